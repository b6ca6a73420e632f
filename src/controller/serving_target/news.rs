//! News about a target from the transition of its status. A pure function that publishes nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::controller::news::{News, of_condition, of_ready};
use roadstead_api::v1alpha1::conditions::{self, TRUE, find};
use roadstead_api::v1alpha1::{ExhaustedStatus, ServingTargetStatus, reasons};
use roadstead_explain::RefusedSize;

/// Conditions that are no part of `Ready`, or that have news of their own.
const SUMMED_UP: [&str; 5] =
    [conditions::READY, conditions::RECONCILING, conditions::STALLED, conditions::NEEDS_ATTENTION, conditions::SWEPT];

/// The news of a target: its summary, then other changed conditions, then refusals.
#[must_use]
pub fn news(former: &ServingTargetStatus, status: &ServingTargetStatus) -> Vec<News> {
    let (before, after) = (&former.conditions, &status.conditions);
    let summary = find(after, conditions::READY);
    // A listing at the start of the operator is no fault of the target.
    let listing = summary.is_some_and(|ready| ready.reason == reasons::LISTING);
    let mut news: Vec<News> = of_ready(before, after, listing).into_iter().collect();
    let turned = !news.is_empty();
    let others = after.iter().filter(|condition| !SUMMED_UP.contains(&condition.type_.as_str()));
    // A part that changed with the summary, or for the same reason, is reported with it.
    let apart = |told: &News| !turned && summary.is_none_or(|ready| ready.reason != told.reason);
    news.extend(others.filter_map(|other| of_condition(before, after, &other.type_)).filter(apart));
    news.extend(attention(before, after));
    news.extend(status.exhausted.iter().filter_map(|refusal| refused(&former.exhausted, refusal)));
    news
}

/// A remark that does not prevent work; absent once it is resolved.
fn attention(former: &[Condition], new: &[Condition]) -> Option<News> {
    let is = find(new, conditions::NEEDS_ATTENTION).filter(|is| is.status == TRUE)?;
    let was = find(former, conditions::NEEDS_ATTENTION);
    was.is_none_or(|was| was.reason != is.reason).then(|| News::new(&is.reason, is.message.clone()))
}

/// A size that an offer has refused, or has refused again.
fn refused(former: &[ExhaustedStatus], refusal: &ExhaustedStatus) -> Option<News> {
    if former.contains(refusal) {
        return None;
    }
    let refused = RefusedSize {
        offer: &refusal.offer,
        accelerators: u32::try_from(refusal.accelerator_count).unwrap_or(0),
        only_for: refusal.only_for.as_deref(),
        attempts: u32::try_from(refusal.attempts).unwrap_or(0),
        reason: &refusal.reason,
        until: &refusal.until.0.to_string(),
    };
    Some(News::new(reasons::EXHAUSTED, refused.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use roadstead_runtime::events::EventSeverity;

    /// A status with these conditions, each as `type status reason message`.
    fn status(conditions: &[&str], exhausted: Value) -> ServingTargetStatus {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|condition| {
                let parts: Vec<&str> = condition.splitn(4, ' ').collect();
                json!({"type": parts[0], "status": parts[1], "reason": parts[2], "message": parts[3],
                       "lastTransitionTime": "2026-08-01T12:00:00Z"})
            })
            .collect();
        let mut status = ServingTargetStatus {
            conditions: serde_json::from_value(json!(conditions)).unwrap(),
            ..ServingTargetStatus::default()
        };
        status.exhausted = serde_json::from_value(exhausted).unwrap();
        status
    }

    fn told(former: &ServingTargetStatus, status: &ServingTargetStatus) -> Vec<String> {
        assert_eq!(news(status, status), [], "a turn is told once");
        let letter = |severity| if severity == EventSeverity::Warning { "W" } else { "N" };
        let line = |news: News| format!("{} {}: {}", letter(news.severity), news.reason, news.note);
        news(former, status).into_iter().map(line).collect()
    }

    #[test]
    fn a_target_that_is_lost_and_comes_back_is_told_once_each_time() {
        let none = json!([]);
        let ready = status(
            &[
                "Ready True Ready connected; accepts placements",
                "Reachable True Reachable ",
                "CredentialsValid True Accepted ",
            ],
            none.clone(),
        );
        assert_eq!(told(&ServingTargetStatus::default(), &ready), ["N Ready: connected; accepts placements"]);
        let lost = status(
            &[
                "Ready False Unreachable timed out",
                "Reachable False Unreachable timed out",
                "CredentialsValid Unknown Unreachable ",
            ],
            none.clone(),
        );
        assert_eq!(told(&ready, &lost), ["W Unreachable: timed out"]);
        let back = told(&lost, &ready);
        assert_eq!(back, ["N Ready: connected; accepts placements (was not ready for 0 s, last Unreachable)"]);
        let refused = status(
            &[
                "Ready False Unauthorized refused",
                "Reachable True Reachable ",
                "CredentialsValid False Unauthorized refused",
            ],
            none.clone(),
        );
        assert_eq!(told(&lost, &refused), ["W Unauthorized: refused"]);
        let listing = status(&["Ready False Listing l", "Reachable True Reachable "], none);
        assert_eq!(told(&ready, &listing), [""; 0], "as at every start of the operator");
    }

    #[test]
    fn a_condition_that_the_summary_does_not_tell_of_has_an_event_of_its_own() {
        let of = |nodes: &str| status(&["Ready True Ready connected; accepts placements", nodes], json!([]));
        let (fine, left_out) =
            (of("NodesMatch True Matched all"), of("NodesMatch False OtherAccelerator 3 nodes left out"));
        assert_eq!(told(&fine, &left_out), ["W OtherAccelerator: 3 nodes left out"]);
        assert_eq!(told(&left_out, &fine), ["N Matched: all"]);
    }

    #[test]
    fn what_needs_attention_is_told_once_and_when_it_is_something_else() {
        let of = |attention: &str| status(&["Ready True Ready connected; accepts placements", attention], json!([]));
        let none = status(&["Ready True Ready connected; accepts placements"], json!([]));
        let one = of("NeedsAttention True NodesLeftOut 3 nodes left out");
        assert_eq!(told(&none, &one), ["W NodesLeftOut: 3 nodes left out"]);
        assert_eq!(told(&one, &of("NeedsAttention True NodesLeftOut 4 nodes left out")), [""; 0]);
        assert_eq!(told(&one, &of("NeedsAttention True OtherSpelling AWS")), ["W OtherSpelling: AWS"]);
        assert_eq!(told(&one, &none), [""; 0]);
    }

    #[test]
    fn each_refusal_of_an_offer_is_told_with_its_end() {
        let refusal = |attempts: i32, until: &str| {
            json!([{"offer": "a3", "acceleratorCount": 2, "cpu": "1", "memory": "1Gi", "ephemeralStorage": "1Gi",
                    "onlyFor": "team/llama", "until": until, "attempts": attempts, "reason": "CapacityExhausted"}])
        };
        let (once, twice) =
            (status(&[], refusal(1, "2026-08-01T12:05:00Z")), status(&[], refusal(2, "2026-08-01T12:15:00Z")));
        assert_eq!(
            told(&ServingTargetStatus::default(), &once),
            ["N Exhausted: offer a3 refused a replica of team/llama with 2 accelerators (CapacityExhausted); \
              the operator does not retry it before 2026-08-01T12:05:00Z"]
        );
        assert_eq!(
            told(&once, &twice),
            ["N Exhausted: offer a3 refused a replica of team/llama with 2 accelerators (CapacityExhausted, \
              2 times in a row); the operator does not retry it before 2026-08-01T12:15:00Z"]
        );
    }
}
