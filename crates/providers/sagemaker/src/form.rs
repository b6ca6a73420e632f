//! The wanted form of an endpoint: its three resources and their tags. Pure.

use kube::ResourceExt;
use roadstead_api::v1alpha1::{ImageMirror, SageMakerTarget, ServingTarget};
use roadstead_provider::images::mirrored;
use roadstead_provider::template_hash::{short_digest, template_hash};
use roadstead_provider::{ErrorClass, ProviderError, Wanted, record};

use crate::launch::environment;
use crate::ownership;
use crate::wire::{Container, NewConfig, NewEndpoint, NewModel, NewVariant, TagMap, tag_list};

/// Name of the one variant.
pub const VARIANT: &str = "main";
/// Characters of the form's hash in names: 64 bits.
pub const HASH_CHARS: usize = 16;
/// Characters of an image's name.
const MAX_IMAGE: usize = 255;
/// Seconds that SageMaker can wait for a container's start.
const STARTUP_SECONDS: [i32; 2] = [60, 3600];

/// The wanted form.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedForm {
    /// Name of the model and of the configuration; another form has another name.
    pub resource: String,
    /// The model.
    pub model: NewModel,
    /// The configuration.
    pub config: NewConfig,
    /// The endpoint.
    pub endpoint: NewEndpoint,
    /// Tags that say for what it is.
    pub identity: TagMap,
    /// All tags of the endpoint.
    pub tags: TagMap,
    /// Instances.
    pub replicas: i32,
    /// Hash of the template.
    pub template_hash: String,
}

/// The form of `wanted`.
///
/// # Errors
/// `Refused` where SageMaker cannot run it so, with what must be changed; `Bug` if it cannot be hashed.
pub fn form(install_id: &str, wanted: &Wanted) -> Result<WantedForm, ProviderError> {
    let endpoint = wanted.endpoint.as_ref();
    let spec = &endpoint.spec;
    let (settings, instance) = (settings(&wanted.target)?, wanted.instance()?);
    let image = image(&spec.template.image, &settings.image_mirrors)?;
    let environment = environment(wanted)?;
    let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
    let hash = template_hash(spec, &wanted.secrets).map_err(bug)?;
    let record = record::record(spec).map_err(bug)?;
    let role = &settings.execution_role_arn;
    let key = wanted.api_key.expose();
    let name = endpoint.name_any();
    // Made from the inputs of the form, so that a new version of the operator, which may write the form in another way,
    // updates nothing.
    let resource = format!("{name}-{}", short_digest(&[&hash, &image, role, &instance.type_, key], HASH_CHARS));
    let identity = ownership::identity(install_id, endpoint);
    let mut tags = identity.clone();
    tags.extend(ownership::form(endpoint, &hash, record.as_deref()));
    let parts = tag_list(&identity);
    let variant = NewVariant {
        variant_name: VARIANT.to_owned(),
        model_name: resource.clone(),
        instance_type: instance.type_,
        initial_instance_count: spec.replicas.max(1),
        initial_variant_weight: 1.0,
        container_startup_health_check_timeout_in_seconds: spec
            .template
            .startup_timeout_seconds
            .clamp(STARTUP_SECONDS[0], STARTUP_SECONDS[1]),
    };
    Ok(WantedForm {
        model: NewModel {
            model_name: resource.clone(),
            primary_container: Container { image, environment },
            execution_role_arn: role.clone(),
            tags: parts.clone(),
        },
        config: NewConfig { endpoint_config_name: resource.clone(), production_variants: vec![variant], tags: parts },
        endpoint: NewEndpoint { endpoint_name: name, endpoint_config_name: resource.clone(), tags: tag_list(&tags) },
        resource,
        identity,
        tags,
        replicas: spec.replicas,
        template_hash: hash,
    })
}

/// Settings of the target.
fn settings(target: &ServingTarget) -> Result<&SageMakerTarget, ProviderError> {
    let missing = || ProviderError::new(ErrorClass::Invalid, "the target has no spec.sageMaker");
    target.spec.sage_maker.as_ref().ok_or_else(missing)
}

/// The image as SageMaker pulls it.
fn image(image: &str, mirrors: &[ImageMirror]) -> Result<String, ProviderError> {
    let refused = |message: String| ProviderError::new(ErrorClass::Refused, message);
    let mapped = mirrored(image, mirrors);
    if !is_in_ecr(&mapped) {
        return Err(refused(format!(
            "SageMaker pulls images from Amazon ECR only, and {mapped} is elsewhere: copy it to ECR, and add the copy to \
             spec.sageMaker.imageMirrors of the target, or name it in spec.serving.overrides of the deployment"
        )));
    }
    if mapped.len() > MAX_IMAGE {
        return Err(refused(format!("the image {mapped} has more than {MAX_IMAGE} characters")));
    }
    Ok(mapped)
}

/// True for an image in a private registry of ECR.
fn is_in_ecr(image: &str) -> bool {
    let host = image.split('/').next().unwrap_or_default();
    let rest = host
        .split_once(".dkr.ecr.")
        .filter(|(account, _)| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()));
    rest.is_some_and(|(_, region)| region.ends_with(".amazonaws.com") || region.ends_with(".amazonaws.com.cn"))
}

/// True if `resource` is a model or a configuration of this endpoint.
#[must_use]
pub fn is_part_of(resource: &str, endpoint: &str) -> bool {
    let hash = resource.strip_prefix(endpoint).and_then(|rest| rest.strip_prefix('-'));
    hash.is_some_and(|hash| hash.len() == HASH_CHARS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

    #[test]
    fn an_image_is_pulled_from_its_mirror_in_ecr() {
        let mirror = ImageMirror { source: "vllm/vllm-openai".to_owned(), mirror: format!("{ECR}/vllm") };
        assert_eq!(image("vllm/vllm-openai:v0.20.0", &[mirror]).unwrap(), format!("{ECR}/vllm:v0.20.0"));
        assert_eq!(image(&format!("{ECR}/own:1"), &[]).unwrap(), format!("{ECR}/own:1"));
    }

    #[test]
    fn an_image_that_is_not_in_ecr_is_refused_with_the_cure() {
        for elsewhere in ["vllm/vllm-openai:1", "1.dkr.ecr.eu-west-1.amazonaws.com/a:1", "a.dkr.ecr.x.example.com/a:1"]
        {
            let error = image(elsewhere, &[]).unwrap_err();
            assert_eq!(error.class, ErrorClass::Refused);
            assert!(error.message.contains("imageMirrors"), "{error}");
        }
    }

    #[test]
    fn a_part_has_the_name_of_its_endpoint_and_a_hash() {
        let endpoint = "llama-ifozqn2uokcb";
        assert!(is_part_of(&format!("{endpoint}-0123456789abcdef"), endpoint));
        for other in ["llama-ifozqn2uokcb", "llama-ifozqn2uokcb-1", "llama-ifozqn2uokcb-0123456789abcdeg", "x-llama"] {
            assert!(!is_part_of(other, endpoint), "{other}");
        }
    }
}
