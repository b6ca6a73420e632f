//! The wanted throughput: its model, its units and its tags. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_provider::template_hash::short_digest;
use roadstead_provider::{ErrorClass, ProviderError, Wanted};

use super::wire::NewThroughput;
use crate::form::{CommonForm, source};
use crate::wire::tag_list;

/// Characters of a token: 128 bits of a digest.
const TOKEN_CHARS: usize = 32;

/// The wanted form.
#[derive(Debug, Clone, PartialEq)]
pub struct ThroughputForm {
    /// Names, tags and digest: of the weights, their model and its units.
    pub common: CommonForm,
    /// Model, which only a purchase needs; `None` if the target names none for the weights.
    pub model: Option<String>,
    /// Units.
    pub units: i32,
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
        let source = source(endpoint);
        let model = models.get(&source).cloned();
        let units = endpoint.spec.accelerator.count.max(1);
        let effective = [&source, model.as_deref().unwrap_or_default(), &units.to_string()];
        let before = endpoint.external_id().and_then(|id| id.get("uid")).unwrap_or_default();
        Ok(Self {
            common: CommonForm::of(install_id, hub, wanted, &effective)?,
            model,
            units,
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
                self.common.source
            );
            ProviderError::new(ErrorClass::Refused, message)
        })?;
        let content = format!("{model} {} {:?}", self.units, self.common.tags);
        let [object, before] = &self.life;
        Ok(NewThroughput {
            provisioned_model_name: self.common.name.clone(),
            model_id: model,
            model_units: self.units,
            client_request_token: short_digest(&[&self.common.name, object, before, &content], TOKEN_CHARS),
            tags: tag_list(&self.common.tags),
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
