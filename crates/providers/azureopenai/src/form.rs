//! The wanted deployment: model, units and tags. Pure.

use kube::ResourceExt;
use roadstead_api::planning::timestamp;
use roadstead_azure::marks::{self, ArmMark};
use roadstead_azure::{ArmSku, ArmTags};
use roadstead_model::Timestamp;
use roadstead_provider::template_hash::template_hash;
use roadstead_provider::{ErrorClass, ProviderError, Wanted, record};

use crate::ownership::tags;
use crate::place::{CatalogModel, CognitivePlace};
use crate::wire::{CatalogDeployment, DeploymentPatch, NewCatalogDeployment, NewCatalogProperties};

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
    /// SKU with its units; the refusal where neither the record nor the target names it. A deployment that runs keeps its own then.
    pub sku: Result<ArmSku, ProviderError>,
    /// Model; the refusal where the target does not name it any more. A deployment that runs stays as it is then.
    pub model: Result<CatalogModel, ProviderError>,
    /// Time of the endpoint's first answer: a deployment that is older and whose change fails may show that as its own failure.
    pub first_ready: Option<Timestamp>,
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
        let properties = NewCatalogProperties { model: self.model.clone()?, version_upgrade_option: NO_UPGRADE };
        Ok(NewCatalogDeployment { tags: self.with(further), sku: self.sku.clone()?, properties })
    }

    /// The change of units and tags of a deployment.
    ///
    /// # Errors
    /// `Refused` where the target names no model for another template than that of the deployment, whose mark it must not have.
    pub fn patch(&self, former: &CatalogDeployment) -> Result<DeploymentPatch, ProviderError> {
        let is_same = || ArmMark::read(&former.tags).is_some_and(|mark| mark.template == self.mark.template);
        let sku = self.sku.as_ref().unwrap_or(&former.sku).clone();
        match &self.model {
            Err(refusal) if !is_same() => Err(refusal.clone()),
            _ => Ok(DeploymentPatch { tags: self.with(marks::foreign(&former.tags)), sku }),
        }
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
    let first_ready = endpoint.status.as_ref().and_then(|status| status.first_ready_time.as_ref());
    let capacity = spec.replicas.max(1).saturating_mul(units);
    let sku = wanted.instance().map(|instance| ArmSku { name: instance.type_, capacity });
    let model = model(place, spec.template.model.source.as_deref().unwrap_or_default());
    Ok(CatalogForm {
        name: endpoint.name_any(),
        mark,
        tags,
        units,
        sku,
        model,
        first_ready: first_ready.map(|time| timestamp(Some(time))),
    })
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
