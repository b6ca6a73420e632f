//! Wanted instances, and the bodies that ask for them. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::short_digest;
use roadstead_provider::{ErrorClass, ProviderError, Redacted, Variables, Wanted};
use serde_json::{Value, json};

use crate::marks::{DedicatedMarks, MAX_NAME, endpoint};
use crate::place::DedicatedPlace;
use crate::wire::{DedicatedModel, DedicatedSpec, DedicatedState, DedicatedView};

/// Scheme of models on the Hub.
pub const SOURCE: &str = "hf";
/// Version of the form of specs.
const VERSION: u32 = 1;
/// Each GPU does all the work of a request.
const GPU_WORK: &str = "prefill_decode";
/// Variables in which a token of Hugging Face is given, by precedence.
const TOKENS: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];
/// Characters of the hash of a form.
const HASH_CHARS: usize = 16;

/// A wanted instance.
#[derive(Debug, Clone, PartialEq)]
pub struct DedicatedForm {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Its marks.
    pub marks: DedicatedMarks,
    /// The service's name of the model.
    pub slug: String,
    /// Kind and number of GPUs of one replica.
    pub gpu: String,
    /// Replicas.
    pub replicas: u32,
    /// Token of Hugging Face, for gated models.
    pub hugging_face_token: Option<Redacted>,
    region: String,
    vpc: String,
}

impl DedicatedForm {
    /// The wanted form of an endpoint at a place.
    ///
    /// # Errors
    /// `Invalid` where the model is none that the service can load; `Refused` where the target has no such offer, or the names are too long
    /// for the name of an instance.
    pub fn of(wanted: &Wanted, install_id: &str, hub: &str, place: &DedicatedPlace) -> Result<Self, ProviderError> {
        let spec = &wanted.endpoint.spec;
        let marks = DedicatedMarks { hub: hub.to_owned(), owner: EndpointTags::of(install_id, &wanted.endpoint) };
        let endpoint = wanted.endpoint.name_any();
        let chars = marks.name(&endpoint).len();
        if chars > MAX_NAME {
            let message = format!(
                "the names of the installation, namespace, deployment, target {}, offer {} and shape {} make a name of {chars} characters \
                 at DigitalOcean, which allows {MAX_NAME}: shorten one of them by {}",
                spec.target,
                spec.offer,
                spec.shape,
                chars - MAX_NAME
            );
            return Err(ProviderError::new(ErrorClass::Refused, message));
        }
        let mut secret = Variables::of(spec, &wanted.secrets)?.secret;
        Ok(Self {
            endpoint,
            marks,
            slug: slug(wanted, place)?,
            gpu: wanted.instance()?.type_,
            replicas: u32::try_from(spec.replicas).unwrap_or(0).max(1),
            hugging_face_token: TOKENS.iter().find_map(|name| secret.remove(*name)).map(Redacted::new),
            region: place.region.clone(),
            vpc: place.settings.vpc_uuid.clone(),
        })
    }

    /// Body of a creation.
    #[must_use]
    pub fn creation(&self) -> Value {
        self.body(&self.marks.name(&self.endpoint), "")
    }

    /// Body of an update of an instance of this spec. It keeps the marks, but for the hub, which is the present one.
    #[must_use]
    pub fn update(&self, known: &DedicatedSpec) -> Value {
        // Another model keeps its id, so that it takes the place of the former one.
        let id = known.model_deployments.first().map_or("", |model| model.model_id.as_str());
        let marks = DedicatedMarks::read(&known.name);
        let renamed = |marks| DedicatedMarks { hub: self.marks.hub.clone(), ..marks }.name(endpoint(&known.name));
        self.body(&marks.map_or_else(|| known.name.clone(), renamed), id)
    }

    fn body(&self, name: &str, model_id: &str) -> Value {
        let gpus = json!({"accelerator_slug": self.gpu, "scale": self.replicas, "type": GPU_WORK});
        let model = json!({
            "model_id": model_id, "model_slug": self.slug, "model_provider": "hugging_face", "accelerators": [gpus],
        });
        let mut body = json!({"spec": {
            "version": VERSION, "name": name, "region": self.region, "vpc": {"uuid": self.vpc},
            "enable_public_endpoint": true, "model_deployments": [model],
        }});
        if let Some(token) = &self.hugging_face_token {
            body["access_tokens"] = json!(BTreeMap::from([("hugging_face_token", token.expose())]));
        }
        body
    }

    /// True if nothing is to be changed at an instance now. One that serves must have the present hub in its name: else the place would
    /// count as that of the former hub again, once it is the newest one.
    #[must_use]
    pub fn is_done(&self, view: &DedicatedView) -> bool {
        let is_named = || DedicatedMarks::read(&view.spec.name).is_none_or(|marks| marks.hub == self.marks.hub);
        self.is_of(view.newest()) && (view.state() != DedicatedState::Active || is_named())
    }

    /// True if an instance of this spec has this form.
    #[must_use]
    pub fn is_of(&self, spec: &DedicatedSpec) -> bool {
        self.serves_as(spec) && spec.replicas() == self.replicas
    }

    /// True if an instance of this spec serves the model on the GPUs of this form, with any number of replicas.
    #[must_use]
    pub fn serves_as(&self, spec: &DedicatedSpec) -> bool {
        let [model] = spec.model_deployments.as_slice() else { return false };
        let [gpus] = model.accelerators.as_slice() else { return false };
        model.model_slug == self.slug && gpus.accelerator_slug == self.gpu
    }
}

/// Hash of what an instance of this spec runs: the service has nothing else that a template could change.
#[must_use]
pub fn hash(spec: &DedicatedSpec) -> String {
    let parts = |model: &DedicatedModel| {
        let gpus = model.accelerators.iter().map(|gpus| gpus.accelerator_slug.clone());
        std::iter::once(model.model_slug.clone()).chain(gpus).collect::<Vec<_>>()
    };
    let parts: Vec<String> = spec.model_deployments.iter().flat_map(parts).collect();
    short_digest(&parts.iter().map(String::as_str).collect::<Vec<_>>(), HASH_CHARS)
}

/// The service's name of the model.
fn slug(wanted: &Wanted, place: &DedicatedPlace) -> Result<String, ProviderError> {
    let model = &wanted.endpoint.spec.template.model;
    let slug = model.source.as_deref().and_then(|source| place.settings.slug(source)).ok_or_else(|| {
        let message = "spec.model.source is not hf://…, and DigitalOcean loads from the Hub alone";
        ProviderError::new(ErrorClass::Invalid, message)
    })?;
    Ok(slug.to_owned())
}
