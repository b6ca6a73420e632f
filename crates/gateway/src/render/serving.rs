//! The parts of which the routes by path, by host and by key consist.

use serde_json::{Value, json};

use crate::route::{Caller, Endpoint, HostedModel, Route, State};

use super::limits::RouteLimits;
use super::{CALLER, extension, seconds, typed};
use super::{bedrock, hosted, model, prefix, refusal};

pub(super) fn header_input(header: &str) -> Value {
    extension("header", "envoy.type.matcher.v3.HttpRequestHeaderMatchInput", json!({"header_name": header}))
}

/// The end of a tree: the first of these routes that matches.
pub(super) fn list(routes: &[Value]) -> Value {
    json!({"action": extension("routes", "envoy.config.route.v3.RouteList", json!({"routes": routes}))})
}

/// A cluster that does not exist: its requests are answered 503.
const NOWHERE: &str = "nowhere";

/// A route to the endpoints, without what it matches; `kept` are the bytes that Envoy keeps, where it keeps a request until it is
/// complete. If no endpoint takes requests, they are refused: Envoy would send them to endpoints that drain.
pub(super) fn serving(route: &Route, callers: &[Caller], kept: Option<u32>) -> Value {
    let cluster = if route.serves() { route.cluster() } else { NOWHERE.to_owned() };
    let limits = RouteLimits::of(route, kept);
    json!({
        "name": route.cluster(),
        "metadata": limits.metadata(),
        // A caller must not choose the path at an endpoint.
        "request_headers_to_remove":
            [prefix::PATH, prefix::HEADER, model::HEADER, bedrock::HEADER, refusal::HEADER, hosted::HEADER],
        "route": {
            "cluster": cluster,
            // A stream has no end that is known before; what may last is bounded by silence.
            "timeout": "0s",
            "idle_timeout": seconds(route.limits.idle_seconds),
            "auto_host_rewrite": true,
            "retry_policy": retries(route, &limits),
        },
        "typed_per_filter_config": {
            "envoy.filters.http.api_key_auth": authentication(callers),
            "limit": body_limit(limits.body_bytes()),
        },
    })
}

/// Attempts at one request.
const ATTEMPTS: usize = 3;

/// Another endpoint takes a request of which no byte was answered.
fn retries(route: &Route, limits: &RouteLimits<'_>) -> Value {
    let takes = |endpoint: &&Endpoint, state: State| endpoint.state == state && !endpoint.lacks_token();
    let count = |state: State| route.endpoints.iter().filter(|endpoint| takes(endpoint, state)).count();
    let mut policy = json!({
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
        "retriable_status_codes": retriable(route),
        "num_retries": ATTEMPTS - 1,
        "per_try_timeout": seconds(limits.first_byte_seconds()),
        "retry_back_off": {"base_interval": "0.025s", "max_interval": "0.25s"},
        "host_selection_retry_max_attempts": 5,
        "retry_host_predicate": [extension(
            "envoy.retry_host_predicates.previous_hosts",
            "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            json!({}),
        )],
    });
    let active = count(State::Active);
    if count(State::Standby) > 0 || route.hosted.iter().any(HostedModel::is_open) {
        // The last attempt leaves the priority of the active endpoints; where one is active, the second one does.
        policy["retry_priority"] = extension(
            "envoy.retry_priorities.previous_priorities",
            "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
            json!({"update_frequency": active.clamp(1, ATTEMPTS - 1)}),
        );
    }
    policy
}

/// Answers that another endpoint may not give: of one that is full or does not serve, and of a service that takes smaller bodies.
fn retriable(route: &Route) -> Vec<u16> {
    let bounds_bodies =
        |endpoint: &Endpoint| endpoint.limits.as_ref().is_some_and(|limits| limits.max_request_bytes.is_some());
    let too_large = route.endpoints.iter().any(bounds_bodies).then_some(413);
    [429, 503].into_iter().chain(too_large).collect()
}

pub(super) fn authentication(callers: &[Caller]) -> Value {
    let credentials: Vec<Value> =
        callers.iter().map(|caller| json!({"key": caller.key.expose(), "client": caller.name})).collect();
    let config = json!({
        "credentials": credentials,
        "forwarding": {"header": CALLER, "hide_credentials": true},
    });
    typed("envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute", config)
}

fn body_limit(bytes: u64) -> Value {
    let filter = extension(
        "size",
        "envoy.extensions.filters.http.body_size_limit.v3.BodySizeLimit",
        json!({"max_request_bytes": bytes}),
    );
    typed(
        "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfigPerRoute",
        json!({"filter_chain": {"filters": [filter]}}),
    )
}
