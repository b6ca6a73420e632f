//! The wanted deployment: model, units and tags. Pure.

use kube::ResourceExt;
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
    /// Units of one replica.
    pub units: i32,
    /// Content of the deployment; the refusal where the target does not name it any more. A deployment that runs stays as it is then.
    pub content: Result<CatalogContent, ProviderError>,
    /// True if it has served: a deployment whose change fails may show that as its own failure.
    pub has_served: bool,
}

/// Model of a deployment, and its units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogContent {
    /// SKU with its units.
    pub sku: ArmSku,
    /// Model.
    pub model: CatalogModel,
}

impl CatalogForm {
    /// The deployment to create or replace, with these further tags.
    ///
    /// # Errors
    /// `Refused` where the target names no model or no SKU for it.
    pub fn deployment(
        &self,
        further: impl Iterator<Item = (String, String)>,
    ) -> Result<NewCatalogDeployment, ProviderError> {
        let CatalogContent { sku, model } = self.content.clone()?;
        let properties = NewCatalogProperties { model, version_upgrade_option: NO_UPGRADE };
        Ok(NewCatalogDeployment { tags: self.with(further), sku, properties })
    }

    /// The change of units and tags, with these further tags.
    ///
    /// # Errors
    /// `Refused` where the target names no model or no SKU for it.
    pub fn patch(&self, further: impl Iterator<Item = (String, String)>) -> Result<DeploymentPatch, ProviderError> {
        Ok(DeploymentPatch { tags: self.with(further), sku: self.content.clone()?.sku })
    }

    fn with(&self, further: impl Iterator<Item = (String, String)>) -> ArmTags {
        further.chain(self.tags.clone()).collect()
    }
}

/// The form of `wanted` at a place, for the hub `hub`.
///
/// # Errors
/// `Bug` if it cannot be written.
pub fn form(
    place: &CognitivePlace,
    install_id: &str,
    hub: &str,
    wanted: &Wanted,
) -> Result<CatalogForm, ProviderError> {
    let endpoint = wanted.endpoint.as_ref();
    let spec = &endpoint.spec;
    let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
    let mark = ArmMark::of(install_id, endpoint, &template_hash(spec, &wanted.secrets).map_err(bug)?);
    let record = record::record(spec).map_err(bug)?;
    let tags = tags(&mark, record.as_deref(), &wanted.api_key, hub).map_err(bug)?;
    let units = spec.accelerator.count.max(1);
    let has_served = endpoint.status.as_ref().is_some_and(|status| status.first_ready_time.is_some());
    let content = content(place, wanted, units);
    Ok(CatalogForm { name: endpoint.name_any(), mark, tags, units, content, has_served })
}

fn content(place: &CognitivePlace, wanted: &Wanted, units: i32) -> Result<CatalogContent, ProviderError> {
    let spec = &wanted.endpoint.spec;
    let model = model(place, spec.template.model.source.as_deref().unwrap_or_default())?;
    let capacity = spec.replicas.max(1).saturating_mul(units);
    Ok(CatalogContent { sku: ArmSku { name: wanted.offer()?.instance_type.clone(), capacity }, model })
}

/// The model of the catalog that has the weights of this source.
fn model(place: &CognitivePlace, source: &str) -> Result<CatalogModel, ProviderError> {
    place.models.get(source).cloned().ok_or_else(|| {
        let message = format!(
            "Azure OpenAI serves models of its catalog alone, and the target names none for {source}: add it to \
             spec.azureOpenAI.models"
        );
        ProviderError::new(ErrorClass::Refused, message)
    })
}
