//! The route of a deployment from its spec, its endpoints and their keys. A pure function.

use std::collections::{BTreeMap, BTreeSet};

use http::Uri;
use kube::ResourceExt;
use roadstead_gateway::{Caller, Credential, Endpoint, HostedModel, Key, Limits, Route, Scheme, State, WitnessRequest};

use super::record::{fails, leaves};
use super::services::{ServiceAccess, model_at_bedrock};
use super::shift;
use super::verified::is_successor;
use roadstead_api::v1alpha1::{EndpointState, Engine, InferenceEndpoint, ModelDeployment, Traffic};

/// Header and word by which engines know their API key.
pub(super) const HEADER: (&str, &str) = ("authorization", "Bearer");
/// Path of the health check of engines that bring one.
const HEALTH: &str = "/health";

/// Keys of endpoints by name.
pub type EndpointKeys = BTreeMap<String, Key>;

/// Facts that the objects of a deployment do not contain.
pub struct RouteFacts<'a> {
    /// Keys of the endpoints.
    pub keys: &'a EndpointKeys,
    /// Access to the endpoints at managed services, by name.
    pub services: &'a BTreeMap<String, ServiceAccess>,
    /// Names of the model at endpoints whose service chooses them, by endpoint.
    pub renamed: &'a BTreeMap<String, String>,
    /// Callers of the deployment.
    pub callers: Vec<Caller>,
    /// Endpoints that a gateway has verified; `None` if there is no gateway.
    pub verified: Option<BTreeSet<String>>,
    /// Questions to the gateways, by endpoint.
    pub asked: BTreeMap<String, WitnessRequest>,
    /// Endpoints whose target leaves it to the gateways to ask them.
    pub by_gateways: BTreeSet<String>,
    /// Hosted models that may take requests.
    pub hosted: Vec<HostedModel>,
    /// The route so far.
    pub former: Option<&'a Route>,
    /// Seconds since the epoch.
    pub now: i64,
}

/// The route that follows from the facts, with the revision after the former one where it says something new.
///
/// An endpoint is on the route from its first answer on, and stays on it whatever the hub sees of it afterwards: whether it
/// answers is for the gateways to see. One that is to take over from another one takes requests only after a gateway has
/// verified it, and step by step where its deployment says so; so does the first one of a target that leaves probes to gateways. One that drains stays until it is gone, so that requests in flight can be counted.
pub fn route<'a>(
    deployment: &ModelDeployment,
    endpoints: &(impl IntoIterator<Item = &'a InferenceEndpoint> + Clone),
    facts: RouteFacts<'_>,
) -> Route {
    let RouteFacts { keys, services, renamed, callers, verified, asked, by_gateways, hosted, former, now } = facts;
    let serving = serving(endpoints.clone(), former);
    let is_unverified = |endpoint: &InferenceEndpoint| {
        let name = endpoint.name_any();
        // Nobody else can say that it answers with its key.
        let never_answered = endpoint.status.as_ref().is_none_or(|status| status.first_ready_time.is_none());
        if never_answered && by_gateways.contains(&name) {
            return verified.as_ref().is_none_or(|verified| !verified.contains(&name));
        }
        is_successor(endpoint, Some(deployment))
            && verified.as_ref().is_some_and(|verified| !verified.contains(&name))
            // Where no other endpoint serves, there is nothing to protect.
            && serving.iter().any(|other| *other != name)
    };
    let part = |endpoint: &'a InferenceEndpoint| {
        let factor = weight_of_replica(deployment, &endpoint.spec.shape);
        part(endpoint, (keys, services, renamed, former), factor, is_unverified(endpoint))
    };
    let mut parts: Vec<Endpoint> = endpoints.clone().into_iter().filter_map(part).collect();
    for part in parts.iter_mut().filter(|part| matches!(part.state, State::Active | State::Standby)) {
        part.asked = asked.get(&part.name).copied().unwrap_or_default();
    }
    if verified.is_some() {
        shift::settle(&mut parts, deployment, endpoints, former, now);
    }
    let spec = &deployment.spec;
    let mut route = Route {
        namespace: deployment.namespace().unwrap_or_default(),
        name: deployment.name_any(),
        uid: deployment.uid().unwrap_or_default(),
        revision: former.map_or(1, |former| former.revision),
        model: spec.model.name.clone().unwrap_or_else(|| deployment.name_any()),
        health_path: health_path(deployment),
        callers,
        limits: limits(&spec.traffic),
        endpoints: parts,
        hosted,
    };
    if former.is_some_and(|former| *former != route) {
        route.revision += 1;
    }
    route
}

fn health_path(deployment: &ModelDeployment) -> Option<String> {
    let serving = &deployment.spec.serving;
    match serving.engine {
        Engine::Vllm => Some(HEALTH.to_owned()),
        Engine::Custom => serving.custom.as_ref().map(|custom| custom.readiness_path.clone()),
    }
}

fn limits(traffic: &Traffic) -> Limits {
    let positive = |number: i32| u32::try_from(number).unwrap_or(1).max(1);
    Limits {
        first_byte_seconds: positive(traffic.first_byte_timeout_seconds),
        idle_seconds: positive(traffic.idle_timeout_seconds),
        max_request_bytes: positive(traffic.max_request_bytes).into(),
    }
}

/// Names of the endpoints that callers reach and that stay. One that fails serves nobody: a failover waits for no gateway.
fn serving<'a>(endpoints: impl IntoIterator<Item = &'a InferenceEndpoint>, former: Option<&Route>) -> BTreeSet<String> {
    let is_active = |name: &String| {
        former.and_then(|former| former.endpoint(name)).is_some_and(|known| known.state == State::Active)
    };
    let stay = endpoints.into_iter().filter(|endpoint| !leaves(endpoint) && !fails(endpoint));
    stay.map(ResourceExt::name_any).filter(is_active).collect()
}

/// Weight of the fastest shape where shapes differ in throughput.
const FASTEST: i32 = 100;

/// Weight of a ready replica: by its throughput, where every shape declares one and they differ.
fn weight_of_replica(deployment: &ModelDeployment, shape: &str) -> u32 {
    let shapes = &deployment.spec.serving.shapes;
    let throughputs: Option<BTreeSet<i32>> = shapes.iter().map(|shape| shape.tokens_per_second).collect();
    let own = shapes.iter().find(|one| one.name == shape).and_then(|shape| shape.tokens_per_second);
    let (Some(throughputs), Some(own)) = (throughputs, own) else { return 1 };
    match throughputs.last() {
        Some(most) if throughputs.len() > 1 => {
            let percent = i64::from(own) * i64::from(FASTEST) / i64::from((*most).max(1));
            u32::try_from(percent).unwrap_or(1).max(1)
        }
        _ => 1,
    }
}

/// The part of one endpoint; `None` if it has none.
fn part(
    endpoint: &InferenceEndpoint,
    (keys, services, renamed, former): (
        &EndpointKeys,
        &BTreeMap<String, ServiceAccess>,
        &BTreeMap<String, String>,
        Option<&Route>,
    ),
    weight_of_replica: u32,
    is_unverified: bool,
) -> Option<Endpoint> {
    let name = endpoint.name_any();
    let was = former.and_then(|former| former.endpoint(&name));
    let served = was.filter(|was| was.state != State::Verifying);
    let status = endpoint.status.as_ref()?;
    if leaves(endpoint) {
        return served.map(|was| Endpoint {
            state: State::Draining,
            shift: None,
            asked: WitnessRequest::Nothing,
            ..was.clone()
        });
    }
    let answers = status.ready_replicas > 0;
    if !answers && was.is_none() {
        return None;
    }
    let UrlParts { scheme, host, port, prefix } = address(status.url.as_deref()?)?;
    let ServiceAccess { token, protocol, question, paths, refusals, limits } = access(&name, services, was);
    let credential = if token.is_some() { None } else { Some(own_key(keys.get(&name)?)) };
    // Where the target is not known, the name stays.
    let renamed = || renamed.get(&name).or(was.and_then(|was| was.model.as_ref())).cloned();
    let model = model_at_bedrock(protocol, &prefix).or_else(renamed);
    let weight = u32::try_from(status.ready_replicas).unwrap_or(0).saturating_mul(weight_of_replica);
    Some(Endpoint {
        name,
        scheme,
        host,
        port,
        prefix,
        model,
        paths,
        protocol,
        authorities: None,
        credential,
        token,
        question,
        refusals,
        limits,
        weight: if weight == 0 { was.map_or(1, |was| was.weight) } else { weight },
        state: match endpoint.spec.state {
            _ if served.is_some() && status.interruption.is_some() => State::Draining,
            EndpointState::Standby => State::Standby,
            _ if served.is_none() && is_unverified => State::Verifying,
            _ => State::Active,
        },
        shift: None,
        asked: WitnessRequest::Nothing,
    })
}

/// Access to an endpoint. Where its target is not known, what the former route says stays.
fn access(name: &str, services: &BTreeMap<String, ServiceAccess>, was: Option<&Endpoint>) -> ServiceAccess {
    let former = || {
        let Endpoint { token, protocol, question, paths, refusals, limits, .. } = was?.clone();
        Some(ServiceAccess { token, protocol, question, paths, refusals, limits })
    };
    services.get(name).cloned().or_else(former).unwrap_or_default()
}

/// The endpoint's own key as a credential.
fn own_key(key: &Key) -> Credential {
    let (header, word) = HEADER;
    Credential { header: header.to_owned(), word: word.to_owned(), key: key.clone() }
}

/// The parts of an endpoint's address.
pub(super) struct UrlParts {
    pub(super) scheme: Scheme,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) prefix: String,
}

pub(super) fn address(url: &str) -> Option<UrlParts> {
    let uri: Uri = url.parse().ok()?;
    let (scheme, usual) = match uri.scheme_str()? {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        _ => return None,
    };
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    Some(UrlParts {
        scheme,
        host,
        port: uri.port_u16().unwrap_or(usual),
        prefix: uri.path().trim_end_matches('/').to_owned(),
    })
}
