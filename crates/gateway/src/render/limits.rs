//! The limits of a request: those of the deployment, and those of the services that would answer it.

use serde_json::{Value, json};

use crate::route::{HostedModel, Route, ServiceLimits};

use super::NAMESPACE;

/// Keys of a route's metadata with the limits in words, for answers of the gateway.
pub(super) const BODY: &str = "body";
/// See [`BODY`].
pub(super) const TIME: &str = "time";

/// A limit in force.
struct LimitInForce<'a> {
    number: u64,
    /// Whose limit it is.
    whose: &'a str,
}

/// Bytes of a request's body at most.
pub(super) fn body_bytes(route: &Route) -> u64 {
    body(route).number
}

/// Seconds until the first byte of an answer at most.
pub(super) fn first_byte_seconds(route: &Route) -> u32 {
    u32::try_from(time(route).number).unwrap_or(route.limits.first_byte_seconds)
}

/// Metadata of the route.
pub(super) fn metadata(route: &Route) -> Value {
    let (body, time) = (body(route), time(route));
    let body = format!("{} bytes that {} accepts", body.number, body.whose);
    let time = format!("{} s that {} allows", time.number, time.whose);
    json!({"filter_metadata": {NAMESPACE: {BODY: body, TIME: time}}})
}

fn body(route: &Route) -> LimitInForce<'_> {
    in_force(route, route.limits.max_request_bytes, |limits| limits.max_request_bytes)
}

fn time(route: &Route) -> LimitInForce<'_> {
    in_force(route, route.limits.first_byte_seconds.into(), |limits| limits.answer_seconds.map(u64::from))
}

/// The deployment's own limit, or that of the most generous service if every endpoint that takes requests is below it: what one
/// service refuses, another one may take.
fn in_force<'a>(route: &'a Route, own: u64, of: impl Fn(&ServiceLimits) -> Option<u64>) -> LimitInForce<'a> {
    let of_deployment = LimitInForce { number: own, whose: "the deployment" };
    let limits: Option<Vec<LimitInForce<'a>>> = route
        .taking()
        .map(|endpoint| {
            let limits = endpoint.limits.as_ref()?;
            Some(LimitInForce { number: of(limits)?, whose: &limits.service })
        })
        .collect();
    let is_hosted = route.hosted.iter().any(HostedModel::is_open);
    let most = limits.filter(|_| !is_hosted).into_iter().flatten().max_by_key(|limit| limit.number);
    most.filter(|limit| limit.number < own).unwrap_or(of_deployment)
}
