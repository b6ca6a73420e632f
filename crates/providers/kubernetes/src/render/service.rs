//! The Service through which clients reach an endpoint.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Identity;
use roadstead_api::v1alpha1::{Expose, ExposeType};

/// The name of the port in Services and pods.
pub const PORT_NAME: &str = "http";

/// The endpoint's Service, as the target exposes it.
#[must_use]
pub fn service(identity: &Identity<'_>, expose: &Expose) -> Service {
    let mut metadata = identity.metadata(identity.name());
    let balancer = expose.load_balancer.clone().unwrap_or_default();
    let by_cloud = expose.type_ == ExposeType::LoadBalancer;
    if by_cloud && let Some(annotations) = &mut metadata.annotations {
        annotations.extend(balancer.annotations);
    }
    let port = identity.endpoint.spec.template.port;
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(service_type(expose.type_).to_owned()),
            selector: Some(identity.selector()),
            ports: Some(vec![ServicePort {
                name: Some(PORT_NAME.to_owned()),
                port,
                target_port: Some(IntOrString::String(PORT_NAME.to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            load_balancer_class: balancer.class.filter(|_| by_cloud),
            load_balancer_source_ranges: (by_cloud && !balancer.source_ranges.is_empty())
                .then_some(balancer.source_ranges),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn service_type(type_: ExposeType) -> &'static str {
    match type_ {
        ExposeType::LoadBalancer => "LoadBalancer",
        ExposeType::NodePort => "NodePort",
        ExposeType::ClusterIP => "ClusterIP",
    }
}
