//! The wanted form of an endpoint: its three resources and their labels. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_api::v1alpha1::{CapacityType, EndpointInstance, ServingTarget, VertexAiTarget, names};
use roadstead_provider::images::mirrored;
use roadstead_provider::launch::launch;
use roadstead_provider::template_hash::{short_digest, template_hash};
use roadstead_provider::{ErrorClass, ProviderError, Variables, Wanted, record};

use crate::ownership::{EndpointMark, labels, labels_of_model};
use crate::place::VertexPlace;
use crate::wire::{
    EndpointForm, LabelMap, ModelForm, NewConnection, NewContainer, NewDeployedModel, NewDeployment, NewHttpGet,
    NewMachine, NewPort, NewProbe, NewResources, NewUpload, RegisteredModel, Variable,
};

/// Variable with the endpoint's key, for a rebuilt hub. Engines must not know it: Google guards the endpoint, and the header that
/// would carry the key carries Google's own token.
const KEY_VARIABLE: &str = "ROADSTEAD_ENDPOINT_KEY";
/// Characters of the form's hash in names: 64 bits.
const HASH_CHARS: usize = 16;
/// Smallest id of ten digits, and the number of such ids.
const IDS: [u64; 2] = [1_000_000_000, 9_000_000_000];
/// Longest deployment that the service allows, in seconds.
const LONGEST_DEPLOYMENT: i32 = 7200;
/// Time for machines and the image, which comes before that of the engine's start, in seconds.
const PROVISIONING: i32 = 1800;
/// Pause between two probes of a start, in seconds.
const PROBE_PERIOD: i32 = 10;

/// Accelerators by the names of the catalogue.
/// Source: discovery document aiplatform v1, revision 20261106, MachineSpec.acceleratorType.
const ACCELERATORS: [(&str, &str); 8] = [
    ("A100", "NVIDIA_TESLA_A100"),
    ("A100-80GB", "NVIDIA_A100_80GB"),
    ("B200", "NVIDIA_B200"),
    ("GB200", "NVIDIA_GB200"),
    ("H100", "NVIDIA_H100_80GB"),
    ("H200", "NVIDIA_H200_141GB"),
    ("L4", "NVIDIA_L4"),
    ("RTX-PRO-6000", "NVIDIA_RTX_PRO_6000"),
];
/// Machines whose H100 the service calls otherwise.
const MEGA: &str = "a3-megagpu-";
/// The other name.
const H100_MEGA: &str = "NVIDIA_H100_MEGA_80GB";

/// The longest request that Vertex AI allows, instead of its ten minutes: deployments have limits of their own, which gateways keep.
const LONGEST_REQUEST: &str = "3600s";

/// The wanted form.
#[derive(Debug, Clone, PartialEq)]
pub struct VertexForm {
    /// Id of the model; another form has another one.
    pub model: String,
    /// The model.
    pub upload: NewUpload,
    /// The endpoint.
    pub endpoint: EndpointForm,
    /// The deployment.
    pub deployment: NewDeployment,
    /// Mark of the endpoint.
    pub mark: EndpointMark,
    /// All labels of the endpoint.
    pub labels: LabelMap,
    /// Replicas.
    pub replicas: i32,
}

/// The form of `wanted` at a place.
///
/// # Errors
/// `Refused` where Vertex AI cannot run it so, with what must be changed; `Bug` if it cannot be written.
pub fn form(place: &VertexPlace, install_id: &str, wanted: &Wanted) -> Result<VertexForm, ProviderError> {
    let endpoint = wanted.endpoint.as_ref();
    let spec = &endpoint.spec;
    let (settings, instance) = (settings(&wanted.target)?, wanted.instance()?);
    let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
    let hash = template_hash(spec, &wanted.secrets).map_err(bug)?;
    let mark = EndpointMark::of(install_id, endpoint, &hash);
    let labels = labels(&mark, record::record(spec).map_err(bug)?.as_deref()).map_err(bug)?;
    let image = image(&mirrored(&spec.template.image, &settings.image_mirrors))?;
    let account = settings.container_service_account.clone();
    let parts = [
        hash.as_str(),
        &image,
        account.as_deref().unwrap_or_default(),
        &instance.type_,
        spec.capacity_type.as_str(),
        wanted.api_key.expose(),
    ];
    let digest = short_digest(&parts, HASH_CHARS);
    let name = endpoint.name_any();
    let model = format!("{name}-{digest}");
    Ok(VertexForm {
        upload: NewUpload {
            model_id: model.clone(),
            model: ModelForm {
                display_name: model.clone(),
                container_spec: container(wanted, image)?,
                labels: labels_of_model(install_id, endpoint),
            },
        },
        endpoint: EndpointForm {
            display_name: name,
            labels: labels.clone(),
            dedicated_endpoint_enabled: true,
            client_connection_config: Some(NewConnection { inference_timeout: LONGEST_REQUEST }),
        },
        deployment: NewDeployment {
            deployed_model: NewDeployedModel {
                id: number_of(&digest),
                model: format!("{}/models/{model}", place.parent()),
                display_name: model.clone(),
                dedicated_resources: resources(wanted, instance)?,
                service_account: account,
            },
            traffic_split: BTreeMap::from([("0".to_owned(), 100)]),
        },
        model,
        mark,
        labels,
        replicas: spec.replicas,
    })
}

/// Settings of the target.
fn settings(target: &ServingTarget) -> Result<&VertexAiTarget, ProviderError> {
    let missing = || ProviderError::new(ErrorClass::Invalid, "the target has no spec.vertexAI");
    target.spec.vertex_ai.as_ref().ok_or_else(missing)
}

/// The image, which must be one that Vertex AI pulls.
fn image(image: &str) -> Result<String, ProviderError> {
    let host = image.split('/').next().unwrap_or_default();
    if host.ends_with("-docker.pkg.dev") || host == "gcr.io" || host.ends_with(".gcr.io") {
        return Ok(image.to_owned());
    }
    let message = format!(
        "Vertex AI pulls images from Artifact Registry only, and {image} is elsewhere: copy it to Artifact Registry, and add the \
         copy to spec.vertexAI.imageMirrors of the target, or name it in spec.serving.overrides of the deployment"
    );
    Err(ProviderError::new(ErrorClass::Refused, message))
}

fn container(wanted: &Wanted, image_uri: String) -> Result<NewContainer, ProviderError> {
    let spec = &wanted.endpoint.spec;
    let template = &spec.template;
    let launch = launch(template);
    let given = Variables::of(spec, &wanted.secrets)?.all();
    let mut variables: BTreeMap<String, String> =
        launch.env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    variables.extend(given);
    variables.insert(KEY_VARIABLE.to_owned(), wanted.api_key.expose().to_owned());
    // The service resolves $(NAME) in values; doubled, the dollar stays what it is.
    let variable = |(name, value): (String, String)| Variable { name, value: value.replace("$(", "$$(") };
    let startup = template.startup_timeout_seconds;
    Ok(NewContainer {
        image_uri,
        command: launch.command,
        args: launch.args,
        env: variables.into_iter().map(variable).collect(),
        ports: [NewPort { container_port: template.port }],
        health_route: launch.readiness_path.clone(),
        invoke_route_prefix: "/*",
        deployment_timeout: format!("{}s", startup.saturating_add(PROVISIONING).min(LONGEST_DEPLOYMENT)),
        startup_probe: NewProbe {
            http_get: NewHttpGet { path: launch.readiness_path, port: template.port },
            period_seconds: PROBE_PERIOD,
            timeout_seconds: PROBE_PERIOD,
            failure_threshold: (startup / PROBE_PERIOD).max(1),
        },
        // For engines that spread a model over several accelerators; vLLM needs more than a container's 64 MiB.
        shared_memory_size_mb: "16384",
    })
}

fn resources(wanted: &Wanted, instance: EndpointInstance) -> Result<NewResources, ProviderError> {
    let spec = &wanted.endpoint.spec;
    let accelerator_type = accelerator(&spec.accelerator.type_, &instance.type_).ok_or_else(|| {
        let known: Vec<&str> = ACCELERATORS.iter().map(|(name, _)| *name).collect();
        let message = format!(
            "offer {}: Vertex AI has no accelerator {}; it has {}",
            spec.offer,
            spec.accelerator.type_,
            known.join(", ")
        );
        ProviderError::new(ErrorClass::Refused, message)
    })?;
    let replicas = spec.replicas.max(1);
    Ok(NewResources {
        machine_spec: NewMachine {
            machine_type: instance.type_,
            accelerator_type,
            accelerator_count: instance.accelerators,
        },
        min_replica_count: replicas,
        max_replica_count: replicas,
        spot: spec.capacity_type == CapacityType::Spot,
    })
}

/// The service's name of the accelerators of a machine.
#[must_use]
pub fn accelerator(type_: &str, machine: &str) -> Option<&'static str> {
    if type_ == "H100" && machine.starts_with(MEGA) {
        return Some(H100_MEGA);
    }
    ACCELERATORS.iter().find(|(name, _)| *name == type_).map(|(_, theirs)| *theirs)
}

/// Ten digits made from a hash.
fn number_of(hash: &str) -> String {
    let [least, count] = IDS;
    (least + u64::from_str_radix(hash, 16).unwrap_or(0) % count).to_string()
}

/// The key in the environment of a model, if it is one of Roadstead's.
#[must_use]
pub fn key_in(model: &RegisteredModel) -> Option<&str> {
    let variables = model.container_spec.iter().flat_map(|container| &container.env);
    let mut keys = variables.filter(|variable| variable.name == KEY_VARIABLE).map(|variable| variable.value.as_str());
    keys.find(|key| names::is_api_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_not_in_artifact_registry_is_refused_with_the_cure() {
        for known in ["europe-west4-docker.pkg.dev/acme/images/vllm:1", "gcr.io/acme/vllm:1", "eu.gcr.io/acme/vllm:1"] {
            assert_eq!(image(known).as_deref(), Ok(known));
        }
        for elsewhere in ["vllm/vllm-openai:1", "docker.pkg.dev.example.com/a:1", "notgcr.io/a"] {
            let error = image(elsewhere).unwrap_err();
            assert!(error.class == ErrorClass::Refused && error.message.contains("imageMirrors"), "{error}");
        }
    }

    #[test]
    fn accelerators_have_the_names_of_the_service() {
        assert_eq!(accelerator("H100", "a3-highgpu-8g"), Some("NVIDIA_H100_80GB"));
        assert_eq!(accelerator("H100", "a3-megagpu-8g"), Some("NVIDIA_H100_MEGA_80GB"));
        assert_eq!(accelerator("L4", "g2-standard-12"), Some("NVIDIA_L4"));
        assert_eq!(accelerator("MI300X", "a3-highgpu-8g"), None);
    }

    #[test]
    fn the_id_of_a_deployed_model_has_ten_digits() {
        for hash in ["0000000000000000", "ffffffffffffffff", "0123456789abcdef"] {
            let id = number_of(hash);
            assert!(id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_digit()), "{hash}: {id}");
        }
        assert_ne!(number_of("0123456789abcdef"), number_of("0123456789abcdee"));
    }
}
