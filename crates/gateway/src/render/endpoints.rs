//! The file of one deployment's endpoints.

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::route::{Endpoint, HostedModel, Route, Scheme, State};

use super::{ADDRESSES, Addresses, NAMESPACE, addresses_of, typed};
use super::{bedrock, hosted, model, paths, prefix, refusal};

/// Metadata by which Envoy chooses how it connects to a host.
const SOCKET_MATCH: &str = "envoy.transport_socket_match";
/// Share of one address of an endpoint: the endpoint's weight, divided evenly among its addresses.
const SHARE: u32 = 12;

pub(super) fn endpoints(route: &Route, addresses: &Addresses) -> Value {
    let at = |priority: u32, states: &[State]| {
        let hosts: Vec<Value> = route
            .endpoints
            .iter()
            .filter(|endpoint| states.contains(&endpoint.state))
            .flat_map(|endpoint| {
                let mut hosts = hosts(endpoint, route.shared_weight(endpoint), addresses);
                for host in &mut hosts {
                    paths::mark(host, route, endpoint);
                }
                hosts
            })
            .collect();
        json!({"priority": priority, "lb_endpoints": hosts})
    };
    let mut localities = vec![at(0, &[State::Active, State::Draining])];
    if route.endpoints.iter().any(|endpoint| endpoint.state == State::Standby) {
        localities.push(at(1, &[State::Standby]));
    }
    for (priority, model) in (localities.len()..).zip(&route.hosted) {
        let host = host(&model.access, &inside(&route.way(model)), 1);
        localities.push(json!({"priority": priority, "lb_endpoints": [hosted_host(host, route, model)]}));
    }
    let mut all = assignment(&route.cluster(), &localities);
    if !route.hosted.is_empty() {
        // Envoy else sends a part of the requests to the next priority as soon as 29 % of the hosts are unhealthy, which is
        // what a standby is for, and no hosted model.
        all["policy"] = json!({"overprovisioning_factor": ALL_HEALTHY});
    }
    all
}

/// Percentage by which Envoy multiplies the healthy part of a priority: one healthy host of a thousand counts as all.
const ALL_HEALTHY: u32 = 100_000;

/// The address of the listener inside Envoy, for this hosted model.
fn inside(name: &str) -> Value {
    json!({"envoy_internal_address": {"server_listener_name": hosted::NAME, "endpoint_id": name}})
}

/// A host that leads to a hosted model by the listener inside Envoy, which makes the connection to the vendor.
fn hosted_host(mut host: Value, route: &Route, model: &HostedModel) -> Value {
    let metadata = &mut host["metadata"]["filter_metadata"];
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove(SOCKET_MATCH);
    }
    metadata[NAMESPACE][hosted::HEADER] = json!(route.way(model));
    paths::mark(&mut host, route, &model.access);
    host["endpoint"]["health_check_config"]["disable_active_health_check"] = json!(true);
    host
}

pub(super) fn assignment(cluster: &str, localities: &[Value]) -> Value {
    typed("envoy.config.endpoint.v3.ClusterLoadAssignment", json!({"cluster_name": cluster, "endpoints": localities}))
}

/// The hosts of an endpoint, which divide its weight: one for each address.
pub(super) fn hosts(endpoint: &Endpoint, weight: u32, addresses: &Addresses) -> Vec<Value> {
    let all = addresses_of(endpoint, addresses);
    let weight = weight.clamp(1, u32::MAX / SHARE / 1024) * SHARE / divisor(all.len());
    let at =
        |address: &IpAddr| json!({"socket_address": {"address": address.to_string(), "port_value": endpoint.port}});
    all.iter().map(|address| host(endpoint, &at(address), weight)).collect()
}

/// The number of addresses; the weight is a multiple of each of these.
fn divisor(count: usize) -> u32 {
    u32::try_from(count.clamp(1, ADDRESSES)).unwrap_or(1)
}

fn host(endpoint: &Endpoint, address: &Value, weight: u32) -> Value {
    // Without its token an endpoint would refuse every request.
    let is_left_out = endpoint.state == State::Draining || endpoint.lacks_token();
    let health = if is_left_out { "DRAINING" } else { "HEALTHY" };
    let mut roadstead = json!({"name": endpoint.name});
    if let Some(credential) = &endpoint.credential {
        roadstead[&credential.header] = json!(credential.value());
    }
    if !endpoint.prefix.is_empty() {
        roadstead[prefix::HEADER] = json!(endpoint.prefix);
    }
    if let Some(name) = &endpoint.model {
        roadstead[model::HEADER] = json!(model::json_string(name));
    }
    if let Some(name) = bedrock::name(endpoint.protocol) {
        roadstead[bedrock::HEADER] = json!(name);
    }
    if !endpoint.refusals.is_empty() {
        roadstead[refusal::HEADER] = json!("yes");
    }
    let mut metadata = json!({NAMESPACE: roadstead});
    if endpoint.scheme == Scheme::Https {
        metadata[SOCKET_MATCH] = json!({"tls": socket_of(endpoint)});
    }
    json!({
        "endpoint": {
            "address": address,
            "hostname": endpoint.host,
            // The path of the health check is that of the whole deployment, and below a prefix there is none.
            "health_check_config": {
                "hostname": endpoint.host, "disable_active_health_check": !endpoint.prefix.is_empty(),
            },
        },
        "load_balancing_weight": weight,
        "health_status": health,
        "metadata": {"filter_metadata": metadata},
    })
}

/// Name of the way to connect to an endpoint over TLS: of the authorities that it is judged by.
pub(super) fn socket_of(endpoint: &Endpoint) -> String {
    match &endpoint.authorities {
        None => "system".to_owned(),
        Some(pem) => HEXLOWER.encode(&Sha256::digest(pem)).chars().take(16).collect(),
    }
}
