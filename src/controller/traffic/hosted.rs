//! The hosted models of a deployment: which may take requests, and what gateways say of their use.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use roadstead_explain::{HostedMessage, rejection};
use roadstead_gateway::{
    Acks, Credential, Endpoint, EndpointProtocol, HostedCeiling, HostedModel, HostedUse, HostedUseState, Key, State,
    TokenPrice, VerificationQuestion, WitnessRequest,
};

use super::build::{HEADER, UrlParts, address};
use super::stored;
use crate::controller::context::Context;
use crate::controller::convert;
use crate::controller::routing::Concerned;
use crate::controller::serving_target::connect::token::token;
use roadstead_api::v1alpha1::validate;
use roadstead_api::v1alpha1::{HostedFallback, ModelDeployment, OpenAiCompatibleTarget, ServingTarget};
use roadstead_runtime::cache::{Change, Key as ObjectKey};

/// The name of the way to a hosted model begins with this; no name of an endpoint has such a character.
const PREFIX: &str = "hosted:";

/// A hosted model that a deployment names.
pub struct HostedEntry {
    /// The target.
    pub target: String,
    /// The vendor's name of the model.
    pub model: String,
    /// The way to it, or the reason why it may take no requests.
    pub access: Result<HostedModel, String>,
    /// Its use, as the gateways report it.
    pub used: Option<HostedUse>,
}

impl Context {
    /// The hosted models that may take requests of a deployment.
    #[must_use]
    pub fn hosted_models(&self, deployment: &ModelDeployment) -> Vec<HostedModel> {
        self.hosted_of(deployment).into_iter().filter_map(|entry| entry.access.ok()).collect()
    }

    /// The hosted models that a deployment names, in its order; none while nothing of it is to be served: scaled to zero, in
    /// deletion, or with a spec that cannot be.
    #[must_use]
    pub fn hosted_of(&self, deployment: &ModelDeployment) -> Vec<HostedEntry> {
        let named = &deployment.spec.failover.hosted;
        if named.is_empty() || deployment.spec.replicas == 0 || deployment.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        // An image that an older release accepted is no obstacle, as for endpoints.
        if validate::model_deployment(deployment).iter().any(|problem| !problem.is_of_image()) {
            return Vec::new();
        }
        let reports: Vec<Acks> = self.gateway_reports().into_iter().map(|report| report.acks).collect();
        let uid = deployment.uid().unwrap_or_default();
        let entry = |wanted: &HostedFallback| HostedEntry {
            target: wanted.target.clone(),
            model: wanted.model.clone(),
            access: self.access(deployment, wanted, reports.len()),
            used: used(&reports, &uid, &name(&wanted.target)),
        };
        named.iter().map(entry).collect()
    }

    /// A gateway reported another use of hosted models, or came or went: gateways divide the ceilings among them.
    pub fn hosted_reported(&self, change: &Change<ConfigMap>) {
        let uids = match change {
            Change::Upserted { old: Some(old), new } => {
                let (old, new) = (stored::acks(old).hosted, stored::acks(new).hosted);
                let differs = |uid: &&String| old.get(*uid) != new.get(*uid);
                Some(old.keys().chain(new.keys()).filter(differs).cloned().collect::<BTreeSet<_>>())
            }
            Change::Upserted { old: None, .. } | Change::Deleted(_) => None,
        };
        if uids.as_ref().is_some_and(BTreeSet::is_empty) {
            return;
        }
        let is_of = |deployment: &ModelDeployment| {
            let uid = deployment.uid().unwrap_or_default();
            !deployment.spec.failover.hosted.is_empty() && uids.as_ref().is_none_or(|uids| uids.contains(&uid))
        };
        let all = self.caches.deployments.list();
        let concerned = all.iter().filter(|deployment| is_of(deployment.as_ref()));
        self.wake(concerned.map(|one| Concerned::Deployment(ObjectKey::of(one.as_ref()))));
    }

    /// The deployments that name one of these targets as a hosted vendor.
    #[must_use]
    pub fn deployments_of_vendors(&self, targets: &[ObjectKey]) -> Vec<ObjectKey> {
        let is_vendor = |name: &str| targets.iter().any(|target| target.name == name);
        let all = self.caches.deployments.list();
        let of = all.iter().filter(|one| one.spec.failover.hosted.iter().any(|hosted| is_vendor(&hosted.target)));
        of.map(|one| ObjectKey::of(one.as_ref())).collect()
    }

    fn access(
        &self,
        deployment: &ModelDeployment,
        wanted: &HostedFallback,
        gateways: usize,
    ) -> Result<HostedModel, String> {
        if self.settings.gateway.is_none() {
            return Err(HostedMessage::NoGateway.to_string());
        }
        if cfg!(not(feature = "openai-compatible")) {
            return Err(HostedMessage::DriverMissing.to_string());
        }
        let target = self.caches.targets.get(&ObjectKey::cluster(&wanted.target));
        let target = target.ok_or_else(|| HostedMessage::TargetMissing { target: &wanted.target }.to_string())?;
        let vendor = vendor(&target)?;
        self.allowed(deployment, &wanted.target)?;
        let no_key = |cause: &str| HostedMessage::NoKey { target: &wanted.target, cause }.to_string();
        let key = token(self, &vendor.key_secret_ref).map_err(|error| no_key(&error.message))?;
        let price = price(vendor, wanted)?;
        let gateways = u32::try_from(gateways.max(1)).unwrap_or(u32::MAX);
        Ok(HostedModel {
            access: endpoint(&base_of(self, vendor), wanted, Key::new(key.expose()))
                .ok_or_else(|| no_key("its address is not a URL"))?,
            ceiling: HostedCeiling {
                requests_per_minute: u32::try_from(wanted.requests_per_minute).unwrap_or(1).max(1),
                hourly_micro_dollars: wanted.max_hourly_cost.known().map_or(0, |ceiling| ceiling.0),
                gateways,
            },
            price,
            stream_usage: vendor.request_stream_usage,
        })
    }

    /// The rules for endpoints hold for hosted models too.
    fn allowed(&self, deployment: &ModelDeployment, target: &str) -> Result<(), String> {
        let request = convert::deployment(deployment, self.namespace_labels(deployment));
        let request = request.map_err(|problem| problem.message)?;
        match self.fleet.see(|fleet| fleet.rejection_of_vendor(&request, target)) {
            None => Ok(()),
            Some(found) => Err(HostedMessage::Forbidden { target, rule: &rejection(&found) }.to_string()),
        }
    }
}

/// Address of a vendor: its own, unless a flag of the operator sets another one.
#[cfg(feature = "openai-compatible")]
fn base_of(context: &Context, vendor: &OpenAiCompatibleTarget) -> String {
    let other = context.settings.drivers.endpoint_override("OpenAICompatible");
    other.map_or_else(|| vendor.base_url.clone(), |other| other.to_string())
}

/// Address of a vendor. An operator without the driver sends nothing there.
#[cfg(not(feature = "openai-compatible"))]
fn base_of(_: &Context, vendor: &OpenAiCompatibleTarget) -> String {
    vendor.base_url.clone()
}

/// The name of the way to the hosted model of a target.
#[must_use]
pub fn name(target: &str) -> String {
    format!("{PREFIX}{target}")
}

fn vendor(target: &ServingTarget) -> Result<&OpenAiCompatibleTarget, String> {
    let settings = target.spec.open_ai_compatible.as_ref();
    settings.ok_or_else(|| HostedMessage::NoVendor { target: &target.name_any() }.to_string())
}

fn price(vendor: &OpenAiCompatibleTarget, wanted: &HostedFallback) -> Result<TokenPrice, String> {
    let HostedFallback { target, model, .. } = wanted;
    let Some(offered) = vendor.model(model) else {
        let offered: Vec<String> = vendor.models.iter().map(|model| model.name.clone()).collect();
        return Err(HostedMessage::ModelNotOffered { target, model, offered: &offered }.to_string());
    };
    match (offered.input_price.known(), offered.output_price.known()) {
        (Some(input), Some(output)) => Ok(TokenPrice { input: input.0, output: output.0 }),
        _ => Err(HostedMessage::PriceUnknown { target, model }.to_string()),
    }
}

/// The way to a model below the address of its vendor. Callers' paths begin with the version that the address ends with.
fn endpoint(base: &str, wanted: &HostedFallback, key: Key) -> Option<Endpoint> {
    let UrlParts { scheme, host, port, prefix } = address(base)?;
    let (header, word) = HEADER;
    Some(Endpoint {
        name: name(&wanted.target),
        scheme,
        host,
        port,
        prefix: prefix.strip_suffix("/v1").unwrap_or(&prefix).to_owned(),
        model: Some(wanted.model.clone()),
        paths: Vec::new(),
        protocol: EndpointProtocol::OpenAi,
        authorities: None,
        credential: Some(Credential { header: header.to_owned(), word: word.to_owned(), key }),
        token: None,
        question: VerificationQuestion::Models,
        refusals: Vec::new(),
        limits: None,
        weight: 1,
        state: State::Active,
        shift: None,
        asked: WitnessRequest::Nothing,
    })
}

/// The use of a hosted model by all gateways: it serves if one of them sends it requests.
fn used(reports: &[Acks], uid: &str, name: &str) -> Option<HostedUse> {
    let all: Vec<&HostedUse> = reports.iter().filter_map(|acks| acks.hosted.get(uid)?.get(name)).collect();
    let earliest = |state: HostedUseState| {
        all.iter().filter(|used| used.state == state).min_by_key(|used| used.since).map(|used| **used)
    };
    earliest(HostedUseState::Serving).or_else(|| earliest(HostedUseState::CeilingReached))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> HostedFallback {
        let wanted = json!({"target": "vendor", "model": "large", "requestsPerMinute": 60, "maxHourlyCost": "5.00"});
        serde_json::from_value(wanted).unwrap()
    }

    #[test]
    fn the_version_in_a_vendors_address_is_that_of_callers_paths() {
        for (base, host, prefix) in [
            ("https://api.openai.com/v1", "api.openai.com", ""),
            ("https://api.cohere.ai/compatibility/v1", "api.cohere.ai", "/compatibility"),
            ("http://127.0.0.1:80/v1", "127.0.0.1", ""),
        ] {
            let way = endpoint(base, &wanted(), Key::new("k")).unwrap();
            assert_eq!((way.host.as_str(), way.prefix.as_str(), way.name.as_str()), (host, prefix, "hosted:vendor"));
        }
    }

    #[test]
    fn a_model_serves_if_one_gateway_sends_it_requests() {
        let report = |state: Option<(&str, i64)>| -> Acks {
            let hosted = state
                .map_or(json!({}), |(state, since)| json!({"d": {"hosted:vendor": {"state": state, "since": since}}}));
            serde_json::from_value(json!({"routes": {}, "hosted": hosted})).unwrap()
        };
        let of = |reports: &[Acks]| used(reports, "d", "hosted:vendor").map(|used| (used.state, used.since));
        assert_eq!(of(&[report(None)]), None);
        let (reached, serving) = (report(Some(("CeilingReached", 5))), report(Some(("Serving", 9))));
        assert_eq!(of(&[reached.clone(), report(None)]), Some((HostedUseState::CeilingReached, 5)));
        assert_eq!(of(&[reached, serving, report(Some(("Serving", 7)))]), Some((HostedUseState::Serving, 7)));
    }
}
