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

/// Seconds after a service's own limit until an attempt ends: the service's own answer arrives before, and is final.
const MARGIN_SECONDS: u32 = 5;

/// Limits of the requests on one route.
pub(super) struct RouteLimits<'a> {
    body: LimitInForce<'a>,
    time: LimitInForce<'a>,
    own_seconds: u32,
}

impl<'a> RouteLimits<'a> {
    /// The limits of a route; `kept` are the bytes that Envoy keeps, where it keeps a request until it is complete.
    pub(super) fn of(route: &'a Route, kept: Option<u32>) -> Self {
        let own_seconds = route.limits.first_byte_seconds;
        let body = in_force(route, route.limits.max_request_bytes, |limits| limits.max_request_bytes);
        let kept = kept.map(of_gateway).filter(|kept| kept.number < body.number);
        let time = in_force(route, own_seconds.into(), |limits| limits.answer_seconds.map(u64::from));
        Self { body: kept.unwrap_or(body), time, own_seconds }
    }

    /// Bytes of a request's body at most.
    pub(super) const fn body_bytes(&self) -> u64 {
        self.body.number
    }

    /// Seconds until the first byte of an answer at most.
    pub(super) fn first_byte_seconds(&self) -> u32 {
        let of_service = u32::try_from(self.time.number).unwrap_or(self.own_seconds);
        of_service.saturating_add(MARGIN_SECONDS).min(self.own_seconds)
    }

    /// Metadata of the route.
    pub(super) fn metadata(&self) -> Value {
        metadata(&self.body.bytes(), &format!("{} s that {} allows", self.time.number, self.time.whose))
    }
}

impl LimitInForce<'_> {
    fn bytes(&self) -> String {
        format!("{} bytes that {} accepts", self.number, self.whose)
    }
}

/// Metadata of a route that keeps each request to read it, `kept` bytes at most, and answers it itself.
pub(super) fn of_reader(kept: u32) -> Value {
    metadata(&of_gateway(kept).bytes(), "")
}

fn of_gateway(kept: u32) -> LimitInForce<'static> {
    LimitInForce { number: kept.into(), whose: "the gateway" }
}

fn metadata(body: &str, time: &str) -> Value {
    json!({"filter_metadata": {NAMESPACE: {BODY: body, TIME: time}}})
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
