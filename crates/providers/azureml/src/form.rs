//! The wanted form of an endpoint: its three resources and their tags. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_api::v1alpha1::{AzureMlTarget, Engine, ServingTarget, Template};
use roadstead_azure::marks::{ArmMark, mark_tags};
use roadstead_azure::{ArmSku, ArmTags};
use roadstead_provider::environment::{BARE_PORT, BarePlace, environment};
use roadstead_provider::images::mirrored;
use roadstead_provider::launch::launch;
use roadstead_provider::template_hash::{short_digest, template_hash};
use roadstead_provider::{ErrorClass, ProviderError, Redacted, Wanted, record};
use serde_json::json;

use crate::ownership::tags_of_deployment;
use crate::place::AzureMlPlace;
use crate::wire::{
    ContainerProbe, ContainerRoute, EndpointKeyPair, InferenceConfig, NewManaged, NewOnline, NewOnlineDeployment,
    NewOnlineProperties, RequestSettings, ResourceIdentity, ScaleSettings, VersionProperties,
};

/// Name of the service in messages.
const TITLE: &str = "Azure ML";
/// Characters of a hash in names: 64 bits.
const HASH_CHARS: usize = 16;
/// The longest request that the service allows.
const REQUEST_TIMEOUT: &str = "PT180S";
/// Connections that the service allows an endpoint; the engine queues by itself.
const MAX_REQUESTS: u32 = 500;
/// Seconds between two checks of a container.
const PERIOD_SECONDS: i32 = 10;
/// The same in ISO 8601.
const PERIOD: &str = "PT10S";
/// Failures in a row after which a container that has been up is restarted.
const LIVENESS_FAILURES: i32 = 30;
/// Path of the scoring address. Callers use other paths of the same host.
const SCORING_PATH: &str = "/v1/chat/completions";

/// The wanted form.
#[derive(Clone, PartialEq)]
pub struct OnlineForm {
    /// Name.
    pub name: String,
    /// Name of the environment, and its version.
    pub environment: [String; 2],
    /// The version of the environment.
    pub version: VersionProperties,
    /// Name of the deployment; another form has another one.
    pub deployment_name: String,
    /// The deployment.
    pub deployment: NewOnlineDeployment,
    /// Region of the workspace.
    pub location: String,
    /// Identity with which images are pulled.
    pub identity: ResourceIdentity,
    /// Mark of the endpoint.
    pub mark: ArmMark,
    /// Tags of the endpoint, without that of its key.
    pub tags: ArmTags,
    /// The endpoint's key.
    pub key: Redacted,
    /// Digest of the key.
    pub key_digest: String,
    /// Replicas.
    pub replicas: i32,
}

impl OnlineForm {
    /// The endpoint to create, which takes no requests yet.
    #[must_use]
    pub fn creation(&self) -> NewOnline {
        let mut tags = self.tags.clone();
        tags.insert(crate::ownership::KEY.to_owned(), self.key_digest.clone());
        let keys = EndpointKeyPair { primary_key: self.key.expose().to_owned() };
        self.endpoint(tags, Some(keys), BTreeMap::new())
    }

    /// The endpoint whose requests go to the wanted deployment; its key stays.
    #[must_use]
    pub fn with_traffic(&self, tags: ArmTags) -> NewOnline {
        self.endpoint(tags, None, BTreeMap::from([(self.deployment_name.clone(), 100)]))
    }

    fn endpoint(&self, tags: ArmTags, keys: Option<EndpointKeyPair>, traffic: BTreeMap<String, u32>) -> NewOnline {
        NewOnline {
            location: self.location.clone(),
            tags,
            identity: self.identity.clone(),
            properties: NewOnlineProperties { auth_mode: "Key", keys, traffic },
        }
    }
}

/// The form of `wanted` at a place.
///
/// # Errors
/// `Refused` where Azure ML cannot run it so, with what must be changed; `Bug` if it cannot be written.
pub fn form(place: &AzureMlPlace, install_id: &str, wanted: &Wanted) -> Result<OnlineForm, ProviderError> {
    let endpoint = wanted.endpoint.as_ref();
    let spec = &endpoint.spec;
    let (settings, instance) = (settings(&wanted.target)?, wanted.instance()?);
    let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
    let hash = template_hash(spec, &wanted.secrets).map_err(bug)?;
    let mark = ArmMark::of(install_id, endpoint, &hash);
    let version = version(&spec.template, mirrored(&spec.template.image, &settings.image_mirrors));
    let routes = serde_json::to_string(&version).map_err(bug)?;
    let environment_name = format!("roadstead-{install_id}");
    let version_name = short_digest(&[&routes], HASH_CHARS);
    let digest = short_digest(&[&hash, &version_name, &instance.type_], HASH_CHARS);
    let replicas = spec.replicas.max(1);
    let place_of_engine =
        BarePlace { title: TITLE, custom_port: u16::try_from(spec.template.port).unwrap_or(BARE_PORT) };
    let [liveness_probe, readiness_probe] = probes(spec.template.startup_timeout_seconds);
    let deployment = NewOnlineDeployment {
        location: place.region.clone(),
        tags: tags_of_deployment(install_id, endpoint, replicas),
        sku: sku(replicas),
        properties: NewManaged {
            endpoint_compute_type: "Managed",
            instance_type: instance.type_,
            environment_id: format!("{}/environments/{environment_name}/versions/{version_name}", place.parent()),
            environment_variables: environment(wanted, place_of_engine)?,
            request_settings: RequestSettings {
                request_timeout: REQUEST_TIMEOUT,
                max_concurrent_requests_per_instance: MAX_REQUESTS,
            },
            liveness_probe,
            readiness_probe,
            scale_settings: ScaleSettings { scale_type: "Default" },
        },
    };
    Ok(OnlineForm {
        name: endpoint.name_any(),
        environment: [environment_name, version_name],
        version,
        // Names begin with a letter.
        deployment_name: format!("d{digest}"),
        deployment,
        location: place.region.clone(),
        identity: identity(settings),
        tags: mark_tags(&mark, record::record(spec).map_err(bug)?.as_deref()).map_err(bug)?,
        mark,
        key: wanted.api_key.clone(),
        key_digest: short_digest(&[wanted.api_key.expose()], HASH_CHARS),
        replicas,
    })
}

/// Settings of the target.
fn settings(target: &ServingTarget) -> Result<&AzureMlTarget, ProviderError> {
    let missing = || ProviderError::new(ErrorClass::Invalid, "the target has no spec.azureML");
    target.spec.azure_ml.as_ref().ok_or_else(missing)
}

/// So many instances.
#[must_use]
pub fn sku(capacity: i32) -> ArmSku {
    ArmSku { name: "Default".to_owned(), capacity }
}

fn identity(settings: &AzureMlTarget) -> ResourceIdentity {
    let Some(id) = &settings.endpoint_identity_id else {
        return ResourceIdentity { type_: "SystemAssigned", user_assigned_identities: BTreeMap::new() };
    };
    ResourceIdentity { type_: "UserAssigned", user_assigned_identities: BTreeMap::from([(id.clone(), json!({}))]) }
}

/// Image and routes of a container.
fn version(template: &Template, image: String) -> VersionProperties {
    let launch = launch(template);
    let port = match template.engine {
        Engine::Vllm => i32::from(BARE_PORT),
        Engine::Custom => template.port,
    };
    let route = |path: String| ContainerRoute { path, port };
    VersionProperties {
        image,
        os_type: "Linux".to_owned(),
        inference_config: InferenceConfig {
            liveness: route(launch.liveness_path),
            readiness: route(launch.readiness_path),
            scoring: route(SCORING_PATH.to_owned()),
        },
    }
}

/// Checks of a container: it may take this time until it is ready, and only then must it live.
fn probes(startup_seconds: i32) -> [ContainerProbe; 2] {
    let probe = |initial: i32, failure_threshold| ContainerProbe {
        initial_delay: format!("PT{initial}S"),
        period: PERIOD,
        timeout: PERIOD,
        failure_threshold,
    };
    [probe(startup_seconds, LIVENESS_FAILURES), probe(PERIOD_SECONDS, (startup_seconds / PERIOD_SECONDS).max(1))]
}
