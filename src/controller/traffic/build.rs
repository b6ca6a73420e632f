//! The route of a deployment from its spec, its endpoints and their keys. A pure function.

use std::collections::BTreeMap;

use http::Uri;
use kube::ResourceExt;
use roadstead_gateway::{Caller, Credential, Endpoint, Key, Limits, Route, Scheme, State};

use roadstead_api::v1alpha1::{EndpointState, Engine, InferenceEndpoint, ModelDeployment, Traffic};

/// Header and word by which engines know their API key.
const HEADER: (&str, &str) = ("authorization", "Bearer");
/// Path of the health check of engines that bring one.
const HEALTH: &str = "/health";

/// Keys of endpoints by name.
pub type EndpointKeys = BTreeMap<String, Key>;

/// The route that follows from what is known, with the revision after `former` where it says something new.
///
/// An endpoint is on the route from its first answer on, and stays on it whatever the hub sees of it afterwards: whether it
/// answers is for the gateways to see. One that drains stays until it is gone, so that requests in flight can be counted.
pub fn route<'a>(
    deployment: &ModelDeployment,
    endpoints: impl IntoIterator<Item = &'a InferenceEndpoint>,
    keys: &EndpointKeys,
    callers: Vec<Caller>,
    former: Option<&Route>,
) -> Route {
    let endpoints = endpoints.into_iter().filter_map(|endpoint| part(endpoint, keys, former)).collect();
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
        endpoints,
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

/// The part of one endpoint; `None` if it has none.
fn part(endpoint: &InferenceEndpoint, keys: &EndpointKeys, former: Option<&Route>) -> Option<Endpoint> {
    let name = endpoint.name_any();
    let was = former.and_then(|former| former.endpoints.iter().find(|known| known.name == name));
    let status = endpoint.status.as_ref()?;
    let leaves = endpoint.metadata.deletion_timestamp.is_some() || endpoint.spec.state == EndpointState::Draining;
    if leaves {
        return was.map(|was| Endpoint { state: State::Draining, ..was.clone() });
    }
    let answers = status.ready_replicas > 0;
    if !answers && was.is_none() {
        return None;
    }
    let UrlParts { scheme, host, port, prefix } = address(status.url.as_deref()?)?;
    let (header, word) = HEADER;
    let key = keys.get(&name)?.clone();
    let weight = u32::try_from(status.ready_replicas).unwrap_or(0);
    Some(Endpoint {
        name,
        scheme,
        host,
        port,
        prefix,
        authorities: None,
        credential: Some(Credential { header: header.to_owned(), word: word.to_owned(), key }),
        weight: if weight == 0 { was.map_or(1, |was| was.weight) } else { weight },
        state: State::Active,
    })
}

/// The parts of an endpoint's address.
struct UrlParts {
    scheme: Scheme,
    host: String,
    port: u16,
    prefix: String,
}

fn address(url: &str) -> Option<UrlParts> {
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
