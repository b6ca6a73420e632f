//! The hosted models in a deployment's status. Pure.

use k8s_openapi::jiff::Timestamp;
use roadstead_explain::{HostedMessage, hosted_model};
use roadstead_gateway::HostedUseState;

use crate::controller::traffic::hosted::HostedEntry;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{FALSE, TRUE};
use roadstead_api::v1alpha1::{HostedState, HostedStatus, ModelDeploymentStatus, limits, reasons};

/// The hosted models and their parts in serving; a part that does not change keeps its time.
pub fn statuses(former: &ModelDeploymentStatus, entries: &[HostedEntry], now: Timestamp) -> Vec<HostedStatus> {
    entries.iter().map(|entry| status(former, entry, now)).collect()
}

fn status(former: &ModelDeploymentStatus, entry: &HostedEntry, now: Timestamp) -> HostedStatus {
    let HostedEntry { target, model, access, used } = entry;
    let state = match (access, used.map(|used| used.state)) {
        (Err(_), _) => HostedState::Unavailable,
        (Ok(_), None) => HostedState::StandsBy,
        (Ok(_), Some(HostedUseState::Serving)) => HostedState::Serving,
        (Ok(_), Some(HostedUseState::CeilingReached)) => HostedState::CeilingReached,
    };
    let known = former.hosted.iter().find(|known| (&known.target, &known.model) == (target, model));
    let since = known.filter(|known| known.state == state).map(|known| known.since.clone());
    HostedStatus {
        target: target.clone(),
        model: model.clone(),
        state,
        since: since.unwrap_or_else(|| planning::api_time(now)),
        message: access.as_ref().err().map(|cause| limits::message(cause)),
    }
}

/// Status, reason and message of `HostedFallback`; nothing where the deployment names no hosted model.
pub fn condition(hosted: &[HostedStatus]) -> Option<(&'static str, &'static str, String)> {
    let of = |state: HostedState| -> Vec<String> {
        let those = hosted.iter().filter(|one| one.state == state);
        those.map(|one| hosted_model(&one.model, &one.target)).collect()
    };
    let (serving, reached, waiting) =
        (of(HostedState::Serving), of(HostedState::CeilingReached), of(HostedState::StandsBy));
    if hosted.is_empty() {
        return None;
    }
    Some(if !serving.is_empty() {
        (TRUE, reasons::HOSTED_SERVING, HostedMessage::Serving(&serving).to_string())
    } else if !waiting.is_empty() {
        (FALSE, reasons::HOSTED_STANDS_BY, HostedMessage::StandBy(&waiting).to_string())
    } else if !reached.is_empty() {
        (FALSE, reasons::HOSTED_CEILING_REACHED, HostedMessage::CeilingReached(&reached).to_string())
    } else {
        let causes: Vec<String> = hosted.iter().filter_map(|one| one.message.clone()).collect();
        (FALSE, reasons::HOSTED_UNAVAILABLE, HostedMessage::Unavailable(&causes).to_string())
    })
}

#[cfg(test)]
mod tests {
    use roadstead_gateway::HostedUse;

    use super::*;

    fn entry(model: &str, used: Option<HostedUseState>) -> HostedEntry {
        let hosted = serde_json::from_value(serde_json::json!({
            "access": {"name": "hosted:vendor", "scheme": "https", "host": "api.vendor.example", "port": 443, "weight": 1, "state": "Active"},
            "ceiling": {"requestsPerMinute": 60, "hourlyMicroDollars": 5_000_000, "gateways": 2},
            "price": {"input": 1, "output": 1}, "streamUsage": true,
        }));
        let used = used.map(|state| HostedUse { state, since: 7 });
        HostedEntry { target: "vendor".to_owned(), model: model.to_owned(), access: Ok(hosted.unwrap()), used }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_state_keeps_the_time_when_it_began() {
        let of = |former: &[HostedStatus], used, seconds| {
            let former = ModelDeploymentStatus { hosted: former.to_vec(), ..ModelDeploymentStatus::default() };
            statuses(&former, &[entry("large", used)], at(seconds))
        };
        let first = of(&[], None, 100);
        let same = of(&first, None, 200);
        assert_eq!((same[0].state, same[0].since.0), (HostedState::StandsBy, at(100)));
        let serving = of(&same, Some(HostedUseState::Serving), 300);
        assert_eq!((serving[0].state, serving[0].since.0), (HostedState::Serving, at(300)));
    }

    #[test]
    fn the_condition_is_true_exactly_while_a_hosted_model_takes_requests() {
        let unavailable = || HostedEntry { access: Err("no key".to_owned()), ..entry("small", None) };
        let of = |entries: &[HostedEntry]| {
            let statuses = statuses(&ModelDeploymentStatus::default(), entries, at(0));
            condition(&statuses).map(|(status, reason, _)| (status, reason))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[entry("a", None), unavailable()]), Some((FALSE, reasons::HOSTED_STANDS_BY)));
        let (serving, reached) = (Some(HostedUseState::Serving), Some(HostedUseState::CeilingReached));
        assert_eq!(of(&[entry("a", reached), entry("b", serving)]), Some((TRUE, reasons::HOSTED_SERVING)));
        assert_eq!(of(&[entry("a", reached), entry("b", None)]), Some((FALSE, reasons::HOSTED_STANDS_BY)));
        assert_eq!(of(&[entry("a", reached), unavailable()]), Some((FALSE, reasons::HOSTED_CEILING_REACHED)));
        assert_eq!(of(&[unavailable()]), Some((FALSE, reasons::HOSTED_UNAVAILABLE)));
    }
}
