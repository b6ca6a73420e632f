//! The wanted deployment: model, units and tags. Pure.

use kube::ResourceExt;
use roadstead_api::v1alpha1::{Offer, ServingTarget};
use roadstead_azure::marks::ArmMark;
use roadstead_azure::{ArmSku, ArmTags};
use roadstead_provider::template_hash::template_hash;
use roadstead_provider::{ErrorClass, ProviderError, Wanted, record};

use crate::ownership::tags;
use crate::place::{CatalogModel, CognitivePlace};
use crate::wire::{DeploymentPatch, NewCatalogDeployment, NewCatalogProperties};

/// The service changes the version of a model only where it is asked to.
const NO_UPGRADE: &str = "NoAutoUpgrade";

/// The wanted form.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogForm {
    /// Name of the endpoint and of its deployment.
    pub name: String,
    /// Mark of the endpoint.
    pub mark: ArmMark,
    /// All tags of ours.
    pub tags: ArmTags,
    /// SKU with its units.
    pub sku: ArmSku,
    /// Units of one replica.
    pub units: i32,
    /// Model.
    pub model: CatalogModel,
}

impl CatalogForm {
    /// The deployment to create or replace, with these further tags.
    #[must_use]
    pub fn deployment(&self, further: impl Iterator<Item = (String, String)>) -> NewCatalogDeployment {
        let properties = NewCatalogProperties { model: self.model.clone(), version_upgrade_option: NO_UPGRADE };
        NewCatalogDeployment { tags: self.with(further), sku: self.sku.clone(), properties }
    }

    /// The change of units and tags, with these further tags.
    #[must_use]
    pub fn patch(&self, further: impl Iterator<Item = (String, String)>) -> DeploymentPatch {
        DeploymentPatch { tags: self.with(further), sku: self.sku.clone() }
    }

    fn with(&self, further: impl Iterator<Item = (String, String)>) -> ArmTags {
        further.chain(self.tags.clone()).collect()
    }
}

/// The form of `wanted` at a place, for the hub `hub`.
///
/// # Errors
/// `Invalid` where the account cannot serve it, with what must be changed; `Bug` if it cannot be written.
pub fn form(
    place: &CognitivePlace,
    install_id: &str,
    hub: &str,
    wanted: &Wanted,
) -> Result<CatalogForm, ProviderError> {
    let endpoint = wanted.endpoint.as_ref();
    let spec = &endpoint.spec;
    let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
    let model = model(place, spec.template.model.source.as_deref().unwrap_or_default())?;
    let sku = offer(&wanted.target, &spec.offer)?.instance_type.clone();
    let mark = ArmMark::of(install_id, endpoint, &template_hash(spec, &wanted.secrets).map_err(bug)?);
    let record = record::record(spec).map_err(bug)?;
    let tags = tags(&mark, record.as_deref(), &wanted.api_key, hub).map_err(bug)?;
    let units = spec.accelerator.count.max(1);
    let capacity = spec.replicas.max(1).saturating_mul(units);
    Ok(CatalogForm { name: endpoint.name_any(), mark, tags, sku: ArmSku { name: sku, capacity }, units, model })
}

/// The model of the catalog that has the weights of this source.
fn model(place: &CognitivePlace, source: &str) -> Result<CatalogModel, ProviderError> {
    place.models.get(source).cloned().ok_or_else(|| {
        let message = format!(
            "Azure OpenAI serves models of its catalog alone, and the target names none for {source}: add it to \
             spec.azureOpenAI.models"
        );
        ProviderError::new(ErrorClass::Invalid, message)
    })
}

fn offer<'a>(target: &'a ServingTarget, name: &str) -> Result<&'a Offer, ProviderError> {
    target
        .spec
        .offers
        .iter()
        .find(|known| known.name == name)
        .ok_or_else(|| ProviderError::new(ErrorClass::Invalid, format!("the target has no offer {name} any more")))
}
