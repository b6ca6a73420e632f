//! Bodies of answers.

use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use serde::Deserialize;

/// An instance in an answer.
#[derive(Deserialize)]
pub struct OneInstance {
    /// The instance.
    pub dedicated_inference: DedicatedView,
}

/// A page of instances.
#[derive(Deserialize)]
pub struct InstancePage {
    /// The instances.
    pub dedicated_inferences: Vec<DedicatedView>,
    /// Links to other pages.
    #[serde(default)]
    pub links: PageLinks,
}

/// Links of a page.
#[derive(Default, Deserialize)]
pub struct PageLinks {
    /// Other pages.
    #[serde(default)]
    pub pages: Option<OtherPages>,
}

/// Links to other pages.
#[derive(Default, Deserialize)]
pub struct OtherPages {
    /// The next page, if there is one.
    #[serde(default)]
    pub next: Option<String>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DedicatedView {
    /// Id.
    pub id: String,
    /// State, by the service's name.
    pub status: String,
    /// The spec that serves, or that is to.
    pub spec: DedicatedSpec,
    /// The spec that takes its place, while it is updated.
    #[serde(default)]
    pub pending_deployment_spec: Option<DedicatedSpec>,
    /// Addresses.
    #[serde(default)]
    pub endpoints: Option<DedicatedHosts>,
    /// Creation, in RFC 3339.
    pub created_at: String,
}

/// Name and models of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DedicatedSpec {
    /// Name, unique in the team.
    pub name: String,
    /// Models.
    pub model_deployments: Vec<DedicatedModel>,
}

/// A model of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DedicatedModel {
    /// Id; without it an update makes another one.
    #[serde(default)]
    pub model_id: String,
    /// The service's name of the model.
    #[serde(default)]
    pub model_slug: String,
    /// GPUs.
    #[serde(default)]
    pub accelerators: Vec<DedicatedGpus>,
}

/// GPUs of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DedicatedGpus {
    /// Kind and number of GPUs of one replica.
    pub accelerator_slug: String,
    /// Replicas.
    pub scale: u32,
}

/// Addresses of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DedicatedHosts {
    /// Public one.
    #[serde(default)]
    pub public_endpoint_fqdn: Option<String>,
}

/// A state as far as something different is done in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DedicatedState {
    /// It starts.
    Starting,
    /// It serves.
    Active,
    /// It is updated.
    Updating,
    /// Its start or update has failed.
    Failed,
    /// It is being deleted.
    Deleting,
    /// A state that this driver does not know: nothing is concluded from it.
    Unknown,
}

impl DedicatedView {
    /// The state.
    #[must_use]
    pub fn state(&self) -> DedicatedState {
        match self.status.as_str() {
            "new" | "provisioning" => DedicatedState::Starting,
            "active" => DedicatedState::Active,
            "updating" => DedicatedState::Updating,
            "error" => DedicatedState::Failed,
            "deleting" => DedicatedState::Deleting,
            _ => DedicatedState::Unknown,
        }
    }

    /// The spec that was asked for last.
    #[must_use]
    pub fn newest(&self) -> &DedicatedSpec {
        self.pending_deployment_spec.as_ref().unwrap_or(&self.spec)
    }

    /// The same, once its id can be part of a path.
    ///
    /// # Errors
    /// `Transient` where it cannot.
    pub fn checked(self) -> Result<Self, ProviderError> {
        id(&self.id)?;
        Ok(self)
    }
}

impl DedicatedSpec {
    /// Replicas of all models.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        let gpus = self.model_deployments.iter().flat_map(|model| &model.accelerators);
        gpus.fold(0, |sum, gpus| sum.saturating_add(gpus.scale))
    }
}

/// An id of the service, which becomes part of paths.
///
/// # Errors
/// `Transient` where it can be none.
pub fn id(text: &str) -> Result<&str, ProviderError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(ProviderError::new(ErrorClass::Transient, "DigitalOcean answers with an id that has a wrong form"))
}

/// The account of a token.
#[derive(Deserialize)]
pub struct AccountAnswer {
    /// The account.
    pub account: AccountView,
}

/// An account.
#[derive(Deserialize)]
pub struct AccountView {
    /// Id of the user.
    pub uuid: String,
    /// The team for which the token acts.
    #[serde(default)]
    pub team: Option<TeamView>,
}

/// A team.
#[derive(Deserialize)]
pub struct TeamView {
    /// Id.
    pub uuid: String,
}

/// Tokens of an instance.
#[derive(Deserialize)]
pub struct TokenList {
    /// The tokens, without their values.
    #[serde(default)]
    pub tokens: Vec<TokenView>,
}

/// A token of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenView {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Creation, in RFC 3339.
    #[serde(default)]
    pub created_at: String,
}

/// A new token.
#[derive(Deserialize)]
pub struct IssuedToken {
    token: NewToken,
}

#[derive(Deserialize)]
struct NewToken {
    value: String,
}

impl IssuedToken {
    /// Its value, which is shown once.
    #[must_use]
    pub fn value(self) -> Redacted {
        Redacted::new(self.token.value)
    }
}

/// GPUs and their prices.
#[derive(Deserialize)]
pub struct GpuPrices {
    /// GPUs of all regions.
    #[serde(default)]
    pub sizes: Vec<GpuPrice>,
}

/// Price of GPUs in one region.
#[derive(Deserialize)]
pub struct GpuPrice {
    /// Kind and number of GPUs of one replica.
    pub gpu_slug: String,
    /// Price of an hour, as a decimal number.
    #[serde(default)]
    pub price_per_hour: Option<String>,
    /// Region.
    #[serde(default)]
    pub region: String,
    /// Currency.
    #[serde(default)]
    pub currency: String,
}

/// Models on offer.
#[derive(Deserialize)]
pub struct ModelCatalogue {
    /// The models.
    #[serde(default)]
    pub gpu_model_configs: Vec<CatalogueModel>,
}

/// A model on offer.
#[derive(Deserialize)]
pub struct CatalogueModel {
    /// GPUs that it runs on.
    #[serde(default)]
    pub gpu_slugs: Vec<String>,
    /// The service's name of the model.
    pub model_slug: String,
    /// True if it needs a token of Hugging Face.
    #[serde(default)]
    pub is_gated_model: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_plain_word() {
        assert!(id("6b5c619c-359c-44ca-87e2-47e98170c01d").is_ok());
        for wrong in ["", "a/b", "..", "a?b", &"a".repeat(65)] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
