//! Wanted endpoints: the bodies that ask for them, and the comparison with what is there.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_api::v1alpha1::InferenceEndpointSpec;
use roadstead_provider::record::record;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::{digest, template_hash};
use roadstead_provider::{ErrorClass, ProviderError, Variables, Wanted};
use serde::Serialize;
use serde_json::{Value, json};

use crate::view::{HubCompute, HubScaling, HubState, HubView, KEY_DIGEST, OWNER, RECORD, SEALED_KEY, TEMPLATE, tags};

/// The variable from which vLLM takes its key.
const ENGINE_KEY: &str = "VLLM_API_KEY";
/// Scheme of models on the Hub.
pub const SOURCE: &str = "hf";

/// A wanted endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct HubForm {
    /// Name.
    pub name: String,
    /// UID of the hub.
    pub hub: String,
    /// Owner, and part in the plan.
    pub owner: EndpointTags,
    /// Replicas; none is a pause.
    pub replicas: u32,
    /// Hardware, with at least one replica.
    pub compute: HubCompute,
    /// Repository and revision.
    pub model: (String, Option<String>),
    /// Image.
    pub image: String,
    /// Arguments.
    pub args: Vec<String>,
    /// Plain variables.
    pub env: BTreeMap<String, String>,
    /// Secret variables.
    pub secrets: BTreeMap<String, String>,
}

/// Parts of a body that an update has too.
#[derive(Serialize)]
struct Changeable<'a> {
    compute: &'a HubCompute,
    model: Value,
    tags: Vec<String>,
}

impl HubForm {
    /// The wanted form of an endpoint of a hub, with this owner and this sealed key.
    ///
    /// # Errors
    /// `Invalid` where the offer or the model is none of this service; `Bug` where something cannot be written.
    pub fn of(
        wanted: &Wanted,
        hub: &str,
        owner: EndpointTags,
        sealed_key: Option<String>,
    ) -> Result<Self, ProviderError> {
        let spec = &wanted.endpoint.spec;
        let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, error);
        let Variables { plain: mut env, secret: mut secrets } = Variables::of(spec, &wanted.secrets)?;
        env.insert(OWNER.to_owned(), serde_json::to_string(&owner).map_err(bug)?);
        env.insert(RECORD.to_owned(), record(spec).map_err(bug)?.unwrap_or_default());
        env.insert(TEMPLATE.to_owned(), template_hash(spec, &wanted.secrets).map_err(bug)?);
        env.insert(KEY_DIGEST.to_owned(), digest(wanted.api_key.expose()));
        env.extend(sealed_key.map(|key| (SEALED_KEY.to_owned(), key)));
        secrets.insert(ENGINE_KEY.to_owned(), wanted.api_key.expose().to_owned());
        let replicas = u32::try_from(spec.replicas).unwrap_or(0);
        let template = &spec.template;
        let args =
            [template.args.clone(), vec!["--served-model-name".to_owned(), spec.model_name().to_owned()]].concat();
        Ok(Self {
            name: wanted.endpoint.name_any(),
            hub: hub.to_owned(),
            owner,
            replicas,
            compute: compute(wanted, replicas.max(1))?,
            model: (repository(spec)?, template.model.revision.clone()),
            image: template.image.clone(),
            args,
            env,
            secrets,
        })
    }

    /// Body of a creation in a cloud's region.
    ///
    /// # Errors
    /// `Bug` if it cannot be written.
    pub fn creation(&self, cloud: &str, region: &str) -> Result<Value, ProviderError> {
        let mut body = self.update()?;
        body["name"] = json!(self.name);
        body["type"] = json!("public");
        body["provider"] = json!({"vendor": cloud, "region": region});
        Ok(body)
    }

    /// Body of an update.
    ///
    /// # Errors
    /// `Bug` if it cannot be written.
    pub fn update(&self) -> Result<Value, ProviderError> {
        let (repository, revision) = &self.model;
        let mut model = json!({
            "repository": repository, "framework": "pytorch", "task": "text-generation",
            "image": {"vLLM": {"url": self.image}}, "env": self.env, "secrets": self.secrets, "args": self.args,
        });
        if let Some(revision) = revision {
            model["revision"] = json!(revision);
        }
        let body = Changeable { compute: &self.compute, model, tags: tags(&self.hub) };
        serde_json::to_value(body).map_err(|error| ProviderError::new(ErrorClass::Bug, error))
    }

    /// True if the endpoint has this form. Secrets do not come back, so their digests are compared.
    #[must_use]
    pub fn is_of(&self, view: &HubView) -> bool {
        let same = |name: &str| view.variable(name) == self.env.get(name).map(String::as_str);
        let replicas = self.replicas == 0 || view.compute.scaling == self.compute.scaling;
        let hardware = HubCompute { scaling: view.compute.scaling.clone(), ..self.compute.clone() };
        [TEMPLATE, KEY_DIGEST, RECORD].into_iter().all(same)
            && replicas
            && view.compute == hardware
            && view.model.repository == self.model.0
            && view.image() == Some(self.image.as_str())
            && view.model.args == self.args
    }

    /// True if the endpoint is paused exactly if it should have no replicas.
    #[must_use]
    pub fn is_awake_as(&self, view: &HubView) -> bool {
        match view.state() {
            HubState::Paused => self.replicas == 0,
            HubState::Zero => false,
            _ => self.replicas > 0,
        }
    }
}

/// The hardware of the endpoint.
fn compute(wanted: &Wanted, replicas: u32) -> Result<HubCompute, ProviderError> {
    let instance = wanted.instance()?;
    let (instance_type, instance_size) = hardware(&instance.type_).ok_or_else(|| {
        let message = format!(
            "offer {}: instanceType {:?} is not TYPE-SIZE as Hugging Face names it, such as nvidia-l4-x1",
            wanted.endpoint.spec.offer, instance.type_
        );
        ProviderError::new(ErrorClass::Refused, message)
    })?;
    let accelerator =
        if instance_type.starts_with("inf") || instance_type.starts_with("trn") { "neuron" } else { "gpu" };
    Ok(HubCompute {
        accelerator: accelerator.to_owned(),
        instance_type: instance_type.to_owned(),
        instance_size: instance_size.to_owned(),
        scaling: HubScaling { min_replica: replicas, max_replica: replicas },
    })
}

/// Type and size in the name of an instance type, such as `nvidia-l4-x1`.
fn hardware(name: &str) -> Option<(&str, &str)> {
    let (kind, size) = name.rsplit_once('-')?;
    let count = size.strip_prefix('x')?;
    (!kind.is_empty() && !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit())).then_some((kind, size))
}

fn repository(spec: &InferenceEndpointSpec) -> Result<String, ProviderError> {
    let source = spec.template.model.source.as_deref().and_then(|source| source.strip_prefix("hf://"));
    source.map(ToOwned::to_owned).ok_or_else(|| {
        ProviderError::new(
            ErrorClass::Invalid,
            "spec.model.source is not hf://…, and this service loads from the Hub alone",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_type_names_type_and_size() {
        assert_eq!(hardware("nvidia-l4-x1"), Some(("nvidia-l4", "x1")));
        assert_eq!(hardware("inf2-x12"), Some(("inf2", "x12")));
        for text in ["nvidia-l4", "x1", "-x1", "nvidia-l4-x", "nvidia-l4-1x"] {
            assert_eq!(hardware(text), None, "{text}");
        }
    }
}
