//! The wanted throughput: its model, its units and its tags. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::template_hash::{short_digest, template_hash};
use roadstead_provider::{ErrorClass, ProviderError, Wanted, record};

use super::wire::NewThroughput;
use crate::ownership;
use crate::wire::{BedrockTags, tag_list};

/// Characters of the form's digest: 64 bits.
const DIGEST_CHARS: usize = 16;
/// Characters of a token: 128 bits of a digest.
const TOKEN_CHARS: usize = 32;

/// The wanted form.
#[derive(Debug, Clone, PartialEq)]
pub struct ThroughputForm {
    /// Name of the endpoint and of its throughput.
    pub name: String,
    /// Model, which only a purchase needs; `None` if the target names none for the weights.
    pub model: Option<String>,
    /// Units.
    pub units: i32,
    /// Owner, and part in the plan.
    pub owner: EndpointTags,
    /// Source of the weights.
    pub source: String,
    /// All tags.
    pub tags: BedrockTags,
    /// Hash of the template.
    pub template_hash: String,
    /// Digest of what the throughput must be: its model and its units. Nothing else of a deployment has an effect here, such as a rotated
    /// Secret.
    pub digest: String,
    /// The life that a purchase belongs to: the endpoint's object, and what was made for it before.
    life: [String; 2],
}

impl ThroughputForm {
    /// The form of `wanted` with these models, by the sources of their weights.
    ///
    /// # Errors
    /// `Bug` if it cannot be written.
    pub fn of(
        models: &BTreeMap<String, String>,
        install_id: &str,
        hub: &str,
        wanted: &Wanted,
    ) -> Result<Self, ProviderError> {
        let endpoint = wanted.endpoint.as_ref();
        let spec = &endpoint.spec;
        let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, format!("the form: {error}"));
        let source = spec.template.model.source.clone().unwrap_or_default();
        let units = spec.accelerator.count.max(1);
        let template_hash = template_hash(spec, &wanted.secrets).map_err(bug)?;
        let model = models.get(&source).cloned();
        let digest = short_digest(&[&source, model.as_deref().unwrap_or_default(), &units.to_string()], DIGEST_CHARS);
        let record = record::record(spec).map_err(bug)?;
        let before = endpoint.external_id().and_then(|id| id.get("uid")).unwrap_or_default();
        Ok(Self {
            name: endpoint.name_any(),
            model,
            units,
            source,
            owner: EndpointTags::of(install_id, endpoint),
            tags: ownership::tags(install_id, endpoint, &digest, record.as_deref(), wanted.api_key.expose(), hub),
            template_hash,
            digest,
            life: [endpoint.uid().unwrap_or_default(), before.to_owned()],
        })
    }

    /// The purchase. Its token is the same for the same purchase in the same life of the endpoint: repeated, it buys nothing more.
    ///
    /// # Errors
    /// `Refused` if the target names no model for the weights, with what must be changed.
    pub fn purchase(&self) -> Result<NewThroughput, ProviderError> {
        let model = self.model.clone().ok_or_else(|| {
            let message = format!(
                "Bedrock sells throughput of models that it knows, and the target names none for {}: add it to \
                 spec.bedrock.models",
                self.source
            );
            ProviderError::new(ErrorClass::Refused, message)
        })?;
        let content = format!("{model} {} {:?}", self.units, self.tags);
        let [object, before] = &self.life;
        Ok(NewThroughput {
            provisioned_model_name: self.name.clone(),
            model_id: model,
            model_units: self.units,
            client_request_token: short_digest(&[&self.name, object, before, &content], TOKEN_CHARS),
            tags: tag_list(&self.tags),
        })
    }
}

#[cfg(test)]
mod tests {
    use roadstead_api::v1alpha1::ExternalId;
    use roadstead_conformance::request::{edited, record as endpoint_record, recorded, request};
    use serde_json::json;

    use super::*;

    fn form(wanted: &Wanted) -> ThroughputForm {
        let models = [("hf://example/llama".to_owned(), "meta.llama3-1-8b-instruct-v1:0:128k".to_owned())];
        ThroughputForm::of(&models.into(), "prod", "hub", wanted).unwrap()
    }

    fn wanted() -> Wanted {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Simulated", "offers": []},
        }));
        request(endpoint_record("llama-a"), &target.unwrap())
    }

    #[test]
    fn a_purchase_is_without_commitment_and_names_the_model_of_the_weights() {
        let purchase = serde_json::to_value(form(&wanted()).purchase().unwrap()).unwrap();
        assert_eq!(purchase["modelId"], "meta.llama3-1-8b-instruct-v1:0:128k");
        assert_eq!((&purchase["modelUnits"], purchase.get("commitmentDuration")), (&json!(1), None));

        let other =
            edited(&wanted(), |endpoint| endpoint.spec.template.model.source = Some("hf://example/b".to_owned()));
        let error = form(&other).purchase().unwrap_err();
        assert!(error.class == ErrorClass::Refused && error.message.contains("spec.bedrock.models"), "{error}");
    }

    #[test]
    fn the_token_is_that_of_one_purchase_in_one_life() {
        let token = |wanted: &Wanted| form(wanted).purchase().unwrap().client_request_token;
        let first = token(&wanted());
        assert_eq!(token(&wanted()), first);
        let made = ExternalId::new("site", [("uid", "a1")]);
        let after_it_was_taken_away = token(&recorded(&wanted(), &made));
        let of_another_object = token(&edited(&wanted(), |endpoint| endpoint.metadata.uid = Some("u2".to_owned())));
        let of_more_units = token(&edited(&wanted(), |endpoint| endpoint.spec.accelerator.count = 2));
        for other in [after_it_was_taken_away, of_another_object, of_more_units] {
            assert_ne!(other, first);
        }
    }
}
