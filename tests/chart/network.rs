//! The network policy, played through: who reaches the operator, and what it reaches.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::helm::{at, of_kind, only, rendered};

/// Metadata services of clouds: access to them may reveal the node's credentials.
pub const METADATA: [&str; 10] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "168.63.129.16",
    "192.0.0.192",
    "100.100.100.200",
    "fe80::a9fe:a9fe",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
];

/// The agent of EKS Pod Identity.
const AGENT: &str = "169.254.170.23";
const POD_IDENTITY: [&str; 2] = ["--set", "networkPolicy.eksPodIdentity=true"];

fn policy(values: &[&str]) -> Value {
    only(&rendered(values), "NetworkPolicy").clone()
}

/// True if an address is in a block such as `10.0.0.0/8`.
fn inside(address: IpAddr, block: &str) -> bool {
    let (base, length) = block.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    match (address, base.parse().unwrap()) {
        (IpAddr::V4(address), IpAddr::V4(base)) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            address.to_bits() & mask == base.to_bits() & mask
        }
        (IpAddr::V6(address), IpAddr::V6(base)) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            address.to_bits() & mask == base.to_bits() & mask
        }
        _ => false,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// True if a rule speaks of an address outside the cluster; one without peers speaks of all.
fn leads_to(rule: &Value, address: IpAddr) -> bool {
    let Some(peers) = rule.get("to") else { return true };
    list(peers).iter().filter_map(|peer| peer.get("ipBlock")).any(|block| {
        let excepted = list(&block["except"]).iter().any(|except| inside(address, except.as_str().unwrap()));
        inside(address, block["cidr"].as_str().unwrap()) && !excepted
    })
}

/// True if a rule speaks of a port; one without ports speaks of all.
fn opens(rule: &Value, protocol: &str, port: u16) -> bool {
    let Some(ports) = rule.get("ports") else { return true };
    list(ports)
        .iter()
        .any(|open| open["protocol"] == protocol && open.get("port").is_none_or(|one| *one == json!(port)))
}

/// True if a policy lets its pods send to an address outside their cluster.
pub fn reaches(policy: &Value, address: &str, protocol: &str, port: u16) -> bool {
    let address = address.parse().unwrap();
    list(at(policy, "/spec/egress")).iter().any(|rule| leads_to(rule, address) && opens(rule, protocol, port))
}

#[test]
fn the_operator_reaches_api_servers_and_served_models_wherever_they_are() {
    let policy = policy(&[]);
    for (address, port) in [
        ("10.96.0.1", 443),
        ("172.16.3.4", 6443),
        ("203.0.113.7", 443),
        ("198.51.100.9", 8000),
        ("192.168.1.1", 30080),
        ("2001:db8::7", 443),
        ("fd12:3456::1", 6443),
    ] {
        assert!(reaches(&policy, address, "TCP", port), "{address}:{port}");
    }
    // Those in its own cluster too, where a block may not speak of pods.
    let inside = list(at(&policy, "/spec/egress"));
    assert!(inside.iter().flat_map(|rule| list(&rule["to"])).any(|peer| *peer == json!({"namespaceSelector": {}})));
}

#[test]
fn no_metadata_service_is_reached() {
    let policy = policy(&[]);
    for address in METADATA {
        for port in [80, 443, 8080, 32526] {
            assert!(!reaches(&policy, address, "TCP", port), "{address}:{port}");
        }
    }
}

#[test]
fn names_are_resolved_wherever_the_resolver_is() {
    let policy = policy(&[]);
    // A cluster's own, a cache on the node, and clouds' resolvers.
    for address in ["10.96.0.10", "169.254.20.10", "169.254.169.254", "fd00:10:96::a"] {
        assert!(reaches(&policy, address, "UDP", 53) && reaches(&policy, address, "TCP", 53), "{address}");
    }
    assert!(!reaches(&policy, "203.0.113.7", "UDP", 443), "nothing else goes by UDP");
}

#[test]
fn nothing_comes_in_but_to_health_and_metrics() {
    let policy = policy(&[]);
    assert_eq!(at(&policy, "/spec/policyTypes"), &json!(["Ingress", "Egress"]));
    assert_eq!(at(&policy, "/spec/ingress"), &json!([{"ports": [{"protocol": "TCP", "port": "http"}]}]));
}

#[test]
fn metrics_can_be_kept_for_some_and_egress_be_widened() {
    let peers = r#"networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"name":"monitoring"}}}]"#;
    let from = policy(&["--set-json", peers]);
    assert_eq!(
        at(&from, "/spec/ingress/0/from"),
        &json!([{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}])
    );
    let cilium = r#"networkPolicy.extraEgress=[{"ports":[{"protocol":"TCP","port":6443}]}]"#;
    let wider = policy(&["--set-json", cilium]);
    let last = list(at(&wider, "/spec/egress")).last().unwrap();
    assert_eq!(*last, json!({"ports": [{"protocol": "TCP", "port": 6443}]}));
    assert!(!reaches(&wider, METADATA[0], "TCP", 80));
}

#[test]
fn the_agent_of_pod_identity_is_reached_where_it_is_asked_for_and_no_other_metadata_service() {
    for policy in [policy(&POD_IDENTITY), crate::gateway::policy(&POD_IDENTITY)] {
        for address in METADATA {
            assert_eq!(reaches(&policy, address, "TCP", 80), address == AGENT, "{address}");
            assert!(!reaches(&policy, address, "TCP", 443), "{address}");
        }
    }
}

#[test]
fn the_metadata_server_of_gke_is_reached_where_pods_have_their_identity_from_it() {
    let values = ["--set", "networkPolicy.gkeWorkloadIdentity=true"];
    for policy in [policy(&values), crate::gateway::policy(&values)] {
        for address in METADATA {
            assert_eq!(reaches(&policy, address, "TCP", 80), address == "169.254.169.254", "{address}");
            assert!(!reaches(&policy, address, "TCP", 443), "{address}");
        }
        assert!(reaches(&policy, "169.254.169.252", "TCP", 988));
    }
}

#[test]
fn there_is_none_where_it_is_switched_off() {
    assert!(of_kind(&rendered(&["--set", "networkPolicy.enabled=false"]), "NetworkPolicy").is_empty());
}
