//! Refusals of creations and of regions, in the words of each service. A quota is used up in the settings of the fake where it has one.

use roadstead_clouds::azure::AzureSettings;
use roadstead_clouds::bedrock::BedrockSettings;
use roadstead_clouds::faults::Effect;
use roadstead_clouds::hugging_face::HuggingFaceSettings;
use roadstead_clouds::sagemaker::SageMakerSettings;
use roadstead_clouds::vertex_ai::VertexAiSettings;
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_conformance::Oddity;

/// Why a service does not play [`Oddity::CapacityNow`].
pub const LATE_ALONE: &str = "no error of the service's creations says a lack of capacity";
/// Why a service does not play [`Oddity::Cold`].
pub const NEVER_COLD: &str = "the service keeps the replicas that it was asked for";

/// Has a fake refuse what is beyond its quotas, or gives it room again.
pub fn use_up(clouds: &Clouds, service: ServiceName, is_used_up: bool) {
    match service {
        ServiceName::SageMaker => {
            let quota = if is_used_up { 0 } else { SageMakerSettings::default().quota };
            clouds.sagemaker.configure(|settings| settings.quota = quota);
        }
        ServiceName::VertexAi => {
            let quota = if is_used_up { 0 } else { VertexAiSettings::default().quota };
            clouds.vertex_ai.configure(|settings| settings.quota = quota);
        }
        ServiceName::HuggingFace => clouds.hugging_face.configure(|settings| {
            settings.hardware = HuggingFaceSettings::default().hardware;
            for hardware in settings.hardware.iter_mut().filter(|_| is_used_up) {
                hardware.max_accelerators = 0;
            }
        }),
        ServiceName::Bedrock => {
            let BedrockSettings { quota, model_units, .. } = BedrockSettings::default();
            let (quota, model_units) = if is_used_up { (0, 0) } else { (quota, model_units) };
            clouds.bedrock.configure(|settings| (settings.quota, settings.model_units) = (quota, model_units));
        }
        ServiceName::Azure => {
            let cores = if is_used_up { 0 } else { AzureSettings::default().quota_cores };
            clouds.azure.configure(|settings| settings.quota_cores = cores);
        }
        ServiceName::AzureOpenAi => clouds.azure_openai.configure(|settings| {
            let quota = ("OpenAI.GlobalProvisionedManaged".to_owned(), 0);
            settings.quotas = is_used_up.then_some(quota).into_iter().collect();
        }),
        ServiceName::Baseten | ServiceName::DigitalOcean | ServiceName::Hosted => {}
    }
}

/// The refusal of a call in the words of a service.
pub fn refusal(service: ServiceName, oddity: Oddity) -> Effect {
    let (status, code, message) = match oddity {
        Oddity::QuotaNow => quota(service),
        Oddity::CapacityNow => capacity(service),
        _ => region(service),
    };
    Effect::Reject { status, code: code.to_owned(), message: message.to_owned() }
}

type Words = (u16, &'static str, &'static str);

/// Quotas of services whose fakes have none.
fn quota(service: ServiceName) -> Words {
    match service {
        ServiceName::DigitalOcean => {
            (422, "unprocessable_entity", "creating this/these droplet(s) will exceed your droplet limit")
        }
        _ => (400, "", "The quota of H100 of this team is used up"),
    }
}

fn capacity(service: ServiceName) -> Words {
    match service {
        ServiceName::VertexAi => {
            (429, "RESOURCE_EXHAUSTED", "Machine type temporarily out of capacity, please deploy with another one.")
        }
        ServiceName::Azure => (
            400,
            "OutOfCapacity",
            "The specified VM Size failed to provision due to a lack of Azure Machine Learning capacity.",
        ),
        ServiceName::AzureOpenAi => (400, "InsufficientCapacity", "There is not enough capacity in the region."),
        ServiceName::DigitalOcean => (422, "unprocessable_entity", "there is no capacity for gpu-h100x1-80gb in atl1"),
        ServiceName::HuggingFace => (400, "", "Scheduling failure: not enough hardware capacity"),
        _ => (400, "", "Unable to schedule: insufficient capacity for the requested instance type"),
    }
}

fn region(service: ServiceName) -> Words {
    match service {
        ServiceName::SageMaker | ServiceName::Bedrock => {
            (403, "InvalidSignatureException", "Credential should be scoped to a valid region.")
        }
        ServiceName::VertexAi => {
            (403, "PERMISSION_DENIED", "Permission denied on 'locations/europe-west4' (or it may not exist).")
        }
        ServiceName::Azure => (
            400,
            "LocationNotAvailableForResourceType",
            "The provided location 'westeurope' is not available for resource type 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints'.",
        ),
        ServiceName::DigitalOcean => (422, "unprocessable_entity", "gpu-h100x1-80gb is not available in atl1"),
        ServiceName::HuggingFace => {
            (400, "", "Instance compute 'Gpu' - 'nvidia-l4' - 'x1' in 'aws' - 'eu-west-1' not found")
        }
        _ => (400, "", "region eu-west is not available to this team"),
    }
}
