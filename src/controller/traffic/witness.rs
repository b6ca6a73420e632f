//! The word of gateways about endpoints, and the questions to them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use roadstead_gateway::{Acks, Answering, Route, State, WitnessRequest};

use super::record::leaves;
use roadstead_api::v1alpha1::{Health, InferenceEndpoint, Witness};

/// The word of all gateways about an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GatewayWord {
    /// None of them has said anything that counts.
    #[default]
    Silent,
    /// One of them reaches it.
    Reached,
    /// Those that look at it do not reach it.
    Unreached,
    /// Those that look at it send it nothing, because they cannot mint its token.
    WithoutToken,
}

/// A gateway's report.
#[derive(Debug, Clone)]
pub struct GatewayReport {
    /// Its content.
    pub acks: Acks,
    /// True if it was written just now: its gateway lives.
    pub fresh: bool,
}

/// The word about an endpoint.
///
/// A gateway that is asked steadily writes at short intervals, so only fresh reports count: one that reaches the endpoint is
/// enough. At rest nothing is written, and reports count as long as they agree that it answers; where they do not, the answer is
/// open until they are asked steadily.
#[must_use]
pub fn word(route: &Route, endpoint: &str, reports: &[GatewayReport]) -> GatewayWord {
    let is_looked_at = |state| matches!(state, State::Active | State::Standby);
    let Some(known) = route.endpoint(endpoint).filter(|known| is_looked_at(known.state)) else {
        return GatewayWord::Silent;
    };
    let sights: Vec<(&Answering, bool)> =
        reports.iter().filter_map(|report| Some((sight(&report.acks, &route.uid, endpoint)?, report.fresh))).collect();
    let says = |answers: bool, of_fresh: bool| {
        sights.iter().any(|(said, fresh)| said.answers == answers && (*fresh || !of_fresh))
    };
    let lack_tokens = || sights.iter().any(|(said, fresh)| said.lacks_token && *fresh);
    match known.asked {
        WitnessRequest::Steadily if says(true, true) => GatewayWord::Reached,
        WitnessRequest::Steadily if lack_tokens() => GatewayWord::WithoutToken,
        WitnessRequest::Steadily if says(false, true) => GatewayWord::Unreached,
        WitnessRequest::Changes if says(true, false) && !says(false, false) => GatewayWord::Reached,
        WitnessRequest::Steadily | WitnessRequest::Changes | WitnessRequest::Nothing => GatewayWord::Silent,
    }
}

fn sight<'a>(acks: &'a Acks, route: &str, endpoint: &str) -> Option<&'a Answering> {
    acks.sees.get(route)?.get(endpoint)
}

/// Questions about the endpoints of a route.
///
/// A doubt is a reason to ask steadily: an endpoint that was ready and is not healthy, one that only gateways reach, and one that
/// some gateway does not reach.
#[must_use]
pub fn asked<'a>(
    endpoints: impl IntoIterator<Item = &'a InferenceEndpoint>,
    by_gateways: &BTreeSet<String>,
    uid: &str,
    reports: &[GatewayReport],
) -> BTreeMap<String, WitnessRequest> {
    let asked = |endpoint: &InferenceEndpoint| {
        let name = endpoint.name_any();
        let is_missed =
            reports.iter().any(|report| sight(&report.acks, uid, &name).is_some_and(|sight| !sight.answers));
        let by_gateways = by_gateways.contains(&name);
        let asked = if !leaves(endpoint) && (is_missed || is_doubtful(endpoint, by_gateways)) {
            WitnessRequest::Steadily
        } else if by_gateways {
            WitnessRequest::Changes
        } else {
            WitnessRequest::Nothing
        };
        (name, asked)
    };
    endpoints.into_iter().map(asked).collect()
}

fn is_doubtful(endpoint: &InferenceEndpoint, by_gateways: bool) -> bool {
    let Some(status) = endpoint.status.as_ref().filter(|status| status.first_ready_time.is_some()) else {
        return false;
    };
    let is_healthy = status.health == Some(Health::Healthy);
    endpoint.spec.replicas > 0 && (!is_healthy || !by_gateways && status.witness == Some(Witness::Gateways))
}

/// True if a report contradicts what others see of an active endpoint on this route and its gateway writes no more: it is dead,
/// or cut off from the hub.
#[must_use]
pub fn is_mute(route: &Route, acks: &Acks) -> bool {
    let asked = route.endpoints.iter().filter(|endpoint| endpoint.asked == WitnessRequest::Steadily);
    asked.into_iter().any(|endpoint| sight(acks, &route.uid, &endpoint.name).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn route(asked: WitnessRequest) -> Route {
        serde_json::from_value(json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 4, "model": "m", "callers": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "endpoints": [{"name": "a", "scheme": "http", "host": "192.0.2.1", "port": 1, "weight": 1, "state": "Active",
                           "asked": asked}],
        }))
        .unwrap()
    }

    fn report(answers: Option<bool>, fresh: bool) -> GatewayReport {
        let sees = answers.map_or(json!({}), |answers| json!({"d": {"a": {"answers": answers, "since": 7}}}));
        GatewayReport { acks: serde_json::from_value(json!({"routes": {}, "sees": sees})).unwrap(), fresh }
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn the_word_of_gateways_that_are_asked_steadily_is_what_the_living_ones_see() {
        let route = route(WitnessRequest::Steadily);
        for (what, reports, expected) in [
            ("no gateway", vec![], GatewayWord::Silent),
            ("none looks", vec![report(None, true)], GatewayWord::Silent),
            ("one reaches it", vec![report(NO, true), report(YES, true)], GatewayWord::Reached),
            ("none reaches it", vec![report(NO, true), report(NO, true)], GatewayWord::Unreached),
            ("a dead one reached it", vec![report(NO, true), report(YES, false)], GatewayWord::Unreached),
            ("only dead ones", vec![report(NO, false), report(YES, false)], GatewayWord::Silent),
            ("another one does not look", vec![report(None, true), report(NO, true)], GatewayWord::Unreached),
        ] {
            assert_eq!(word(&route, "a", &reports), expected, "{what}");
            assert_eq!(word(&route, "b", &reports), GatewayWord::Silent, "{what}");
        }
    }

    #[test]
    fn gateways_that_cannot_mint_a_token_say_so() {
        let lacking = |fresh| {
            let mut report = report(NO, fresh);
            report.acks.sees.get_mut("d").unwrap().get_mut("a").unwrap().lacks_token = true;
            report
        };
        let asked = |reports: &[GatewayReport]| word(&route(WitnessRequest::Steadily), "a", reports);
        assert_eq!(asked(&[report(NO, true), lacking(true)]), GatewayWord::WithoutToken);
        assert_eq!(asked(&[report(YES, true), lacking(true)]), GatewayWord::Reached, "another one can");
        assert_eq!(asked(&[report(NO, true), lacking(false)]), GatewayWord::Unreached, "a dead one");
    }

    #[test]
    fn at_rest_reports_count_while_they_agree_that_it_answers() {
        for (what, reports, expected) in [
            ("no gateway", vec![], GatewayWord::Silent),
            ("all reach it", vec![report(YES, false), report(YES, true)], GatewayWord::Reached),
            ("one does not look yet", vec![report(YES, false), report(None, true)], GatewayWord::Reached),
            ("they differ", vec![report(YES, true), report(NO, true)], GatewayWord::Silent),
            ("none reaches it", vec![report(NO, true)], GatewayWord::Silent),
        ] {
            assert_eq!(word(&route(WitnessRequest::Changes), "a", &reports), expected, "{what}");
            assert_eq!(word(&route(WitnessRequest::Nothing), "a", &reports), GatewayWord::Silent, "{what}");
        }
    }

    fn endpoint(status: &Value) -> InferenceEndpoint {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint", "metadata": {"name": "a", "namespace": "team"},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "d"}, "target": "east", "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 2, "reason": "InitialPlacement",
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn gateways_are_asked_steadily_only_while_there_is_a_doubt() {
        let ready = "2026-03-05T12:00:00Z";
        let of = |status: &Value, by_gateways: bool, reports: &[GatewayReport]| {
            let by_gateways = by_gateways.then(|| "a".to_owned()).into_iter().collect();
            asked([&endpoint(status)], &by_gateways, "d", reports)["a"]
        };
        let healthy = json!({"firstReadyTime": ready, "health": "Healthy", "witness": "Probe"});
        let heard = json!({"firstReadyTime": ready, "health": "Healthy", "witness": "Gateways"});
        assert_eq!(of(&healthy, false, &[report(None, true)]), WitnessRequest::Nothing);
        assert_eq!(of(&healthy, false, &[report(NO, false)]), WitnessRequest::Steadily, "a gateway does not reach it");
        assert_eq!(of(&heard, false, &[]), WitnessRequest::Steadily, "the hub does not reach it");
        assert_eq!(of(&heard, true, &[report(YES, false)]), WitnessRequest::Changes, "nobody else is asked");
        for health in ["Failing", "Lost", "Isolated", "Unknown"] {
            assert_eq!(
                of(&json!({"firstReadyTime": ready, "health": health}), false, &[]),
                WitnessRequest::Steadily,
                "{health}"
            );
        }
        assert_eq!(of(&json!({}), false, &[]), WitnessRequest::Nothing, "it has never been ready");
        assert_eq!(of(&json!({}), true, &[]), WitnessRequest::Changes);
    }

    #[test]
    fn a_report_about_an_endpoint_that_is_asked_for_steadily_is_mute_if_it_is_not_renewed() {
        assert!(is_mute(&route(WitnessRequest::Steadily), &report(NO, false).acks));
        assert!(!is_mute(&route(WitnessRequest::Changes), &report(NO, false).acks));
        assert!(!is_mute(&route(WitnessRequest::Steadily), &report(None, false).acks), "it says nothing of it");
    }
}
