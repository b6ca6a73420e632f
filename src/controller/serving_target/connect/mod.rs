//! From a target's declaration and its Secret to a driver: one file for each driver that the operator is built with.

#[cfg(feature = "aws")]
mod aws;
#[cfg(any(feature = "azure-openai", feature = "azureml"))]
mod azure;
#[cfg(feature = "azureml")]
mod azure_ml;
#[cfg(feature = "azure-openai")]
mod azure_openai;
#[cfg(feature = "baseten")]
mod baseten;
#[cfg(feature = "bedrock")]
mod bedrock;
#[cfg(any(feature = "kubernetes", feature = "services", feature = "simulated"))]
mod common;
#[cfg(feature = "digitalocean")]
mod digital_ocean;
#[cfg(feature = "huggingface")]
mod huggingface;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(feature = "openai-compatible")]
mod openai_compatible;
#[cfg(feature = "sagemaker")]
mod sagemaker;
#[cfg(feature = "services")]
mod services;
#[cfg(feature = "simulated")]
mod simulated;
pub mod token;
#[cfg(feature = "vertex-ai")]
mod vertex_ai;

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_explain::TargetMessage;

use crate::controller::context::Context;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ServingTarget, TargetType, reasons};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{Listener, Provider, ProviderEvent, Redacted};

/// Why there is no (new) driver for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    /// A `CamelCase` reason for the condition.
    pub reason: &'static str,
    /// A sentence for people, without anything from the Secret's data.
    pub message: String,
}

impl ConnectError {
    fn new(reason: &'static str, message: TargetMessage<'_>) -> Self {
        Self { reason, message: message.to_string() }
    }
}

/// Everything that the driver of one target is built from.
#[async_trait]
pub trait Source: Send + Sync {
    /// A digest of the credentials and of where and how they are used: another one asks for another driver.
    fn fingerprint(&self) -> String;

    /// Builds the driver; it does nothing before it is asked.
    ///
    /// # Errors
    /// [`ConnectError`] where the credentials are refused or cannot be used.
    async fn connect(&self, context: &Context, target: &ServingTarget) -> Result<Arc<dyn Provider>, ConnectError>;

    /// The reason why credentials that worked before are unfit now, if they show it themselves.
    async fn unfit(&self, context: &Context) -> Option<ConnectError> {
        let _ = context;
        None
    }
}

/// Reads what the target's driver is to be built from.
///
/// # Errors
/// [`ConnectError`] where the spec is incomplete, the Secret or its key is missing, the operator's options are incomplete, or it
/// was built without the driver.
#[cfg_attr(
    not(any(feature = "kubernetes", feature = "services", feature = "simulated")),
    allow(unused_variables, reason = "an operator without a driver reads no option of one")
)]
pub fn source(context: &Context, target: &ServingTarget) -> Result<Box<dyn Source>, ConnectError> {
    match target.spec.type_ {
        #[cfg(feature = "azureml")]
        TargetType::AzureML => azure_ml::source(context, target),
        #[cfg(feature = "azure-openai")]
        TargetType::AzureOpenAI => azure_openai::source(context, target),
        #[cfg(feature = "baseten")]
        TargetType::Baseten => baseten::source(context, target),
        #[cfg(feature = "bedrock")]
        TargetType::Bedrock => bedrock::source(context, target),
        #[cfg(feature = "digitalocean")]
        TargetType::DigitalOcean => digital_ocean::source(context, target),
        #[cfg(feature = "huggingface")]
        TargetType::HuggingFace => huggingface::source(context, target),
        #[cfg(feature = "kubernetes")]
        TargetType::Kubernetes => kubernetes::source(context, target),
        #[cfg(feature = "openai-compatible")]
        TargetType::OpenAICompatible => openai_compatible::source(context, target),
        #[cfg(feature = "sagemaker")]
        TargetType::SageMaker => sagemaker::source(context, target),
        #[cfg(feature = "simulated")]
        TargetType::Simulated => simulated::source(context, target),
        #[cfg(feature = "vertex-ai")]
        TargetType::VertexAI => vertex_ai::source(context, target),
        #[allow(unreachable_patterns, reason = "only an operator without a driver gets here")]
        type_ => Err(missing(type_)),
    }
}

/// That the operator was built without the driver for a type of target.
#[allow(dead_code, reason = "only an operator without a driver says so")]
fn missing(type_: TargetType) -> ConnectError {
    let name = type_.name();
    let feature = match type_ {
        TargetType::AzureOpenAI => "azure-openai".to_owned(),
        TargetType::OpenAICompatible => "openai-compatible".to_owned(),
        TargetType::VertexAI => "vertex-ai".to_owned(),
        _ => name.to_lowercase(),
    };
    ConnectError::new(reasons::DRIVER_MISSING, TargetMessage::DriverMissing { type_: &name, feature: &feature })
}

/// The way to ask an endpoint itself by what is on record of it, and the addresses that it may lead to. Nothing is asked of its
/// target, whose credentials may be gone.
#[must_use]
#[cfg_attr(
    not(all(feature = "kubernetes", feature = "simulated")),
    allow(
        unused_variables,
        clippy::needless_pass_by_value,
        reason = "not every driver needs everything that is on record"
    )
)]
pub fn recorded_probe(
    context: &Context,
    target: &ServingTarget,
    endpoint: &InferenceEndpointSpec,
    url: &str,
    key: Redacted,
) -> Option<(Probe, Reach)> {
    match target.spec.type_ {
        #[cfg(feature = "azureml")]
        TargetType::AzureML => Some(azure_ml::recorded_probe(context, endpoint, url, key)),
        #[cfg(feature = "azure-openai")]
        TargetType::AzureOpenAI => Some(azure_openai::recorded_probe(context, endpoint, url)),
        #[cfg(feature = "baseten")]
        TargetType::Baseten => Some(baseten::recorded_probe(context, endpoint, url, key)),
        #[cfg(feature = "digitalocean")]
        TargetType::DigitalOcean => digital_ocean::recorded_probe(context, target, endpoint, url, key),
        #[cfg(feature = "huggingface")]
        TargetType::HuggingFace => Some(huggingface::recorded_probe(context, endpoint, url, key)),
        #[cfg(feature = "kubernetes")]
        TargetType::Kubernetes => Some(kubernetes::recorded_probe(context, endpoint, url, key)),
        #[cfg(feature = "sagemaker")]
        TargetType::SageMaker => Some(sagemaker::recorded_probe(context, endpoint, url)),
        #[cfg(feature = "simulated")]
        TargetType::Simulated => Some(simulated::recorded_probe(endpoint, url, key)),
        #[cfg(feature = "vertex-ai")]
        TargetType::VertexAI => Some(vertex_ai::recorded_probe(context, endpoint, url)),
        // A question to a model of Bedrock would start a copy of it, which is billed. Nothing is placed at a hosted vendor. An operator
        // without the driver gets here too.
        _ => None,
    }
}

/// Receiver of the reports of the driver of `target`.
pub fn listener(context: &Arc<Context>, target: &ServingTarget) -> Listener {
    let name = target.name_any();
    let weak = Arc::downgrade(context);
    Arc::new(move |event| {
        let Some(context) = weak.upgrade() else { return };
        match event {
            ProviderEvent::Inventory => context.target_inventory_changed(&name),
            ProviderEvent::Endpoint(endpoint) => context.endpoint_changed_at_provider(&name, &endpoint),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each type with the feature of its driver.
    const FEATURES: [(TargetType, &str); 11] = [
        (TargetType::AzureML, "azureml"),
        (TargetType::AzureOpenAI, "azure-openai"),
        (TargetType::Baseten, "baseten"),
        (TargetType::Bedrock, "bedrock"),
        (TargetType::DigitalOcean, "digitalocean"),
        (TargetType::HuggingFace, "huggingface"),
        (TargetType::Kubernetes, "kubernetes"),
        (TargetType::OpenAICompatible, "openai-compatible"),
        (TargetType::SageMaker, "sagemaker"),
        (TargetType::Simulated, "simulated"),
        (TargetType::VertexAI, "vertex-ai"),
    ];

    #[test]
    fn an_operator_without_a_driver_says_which_feature_it_lacks() {
        let manifest = include_str!("../../../../Cargo.toml");
        for (type_, feature) in FEATURES {
            let error = missing(type_);
            let told = [format!("type {}", type_.name()), format!("feature {feature}")];
            assert_eq!(error.reason, reasons::DRIVER_MISSING);
            assert!(told.iter().all(|part| error.message.contains(part)), "{error:?}");
            assert!(manifest.contains(&format!("\n{feature} = [")), "no feature {feature}");
        }
    }
}
