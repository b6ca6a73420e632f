//! The orphans of all targets, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_explain::SweepMessage;
use roadstead_model::MicroDollars;
use serde::Serialize;

use crate::cli::table::{age, counted, table};
use roadstead_api::v1alpha1::conditions::{self, TRUE};
use roadstead_api::v1alpha1::{OrphanStatus, ServingTarget, reasons};

const COLUMNS: [&str; 8] = ["TARGET", "NAME", "DEPLOYMENT", "OFFER", "REPLICAS", "COST/H", "AGE", "STATE"];

/// Orphans: endpoints that run at targets without a record or a deployment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrphanReport {
    /// Number of examined targets.
    targets: usize,
    /// All orphans that are listed.
    orphans: Vec<OrphanLine>,
    /// Number of unlisted orphans.
    omitted: usize,
    /// Hourly cost of the listed orphans in USD, as far as prices are known.
    hourly_cost: String,
    /// Number of listed orphans without a known price.
    unknown_prices: usize,
    /// Targets whose orphans are not known as of now.
    not_swept: Vec<NotSwept>,
}

/// Target without a recent sweep: its list of orphans is not current.
#[derive(Debug, Serialize)]
struct NotSwept {
    target: String,
    /// `SweepPending` where no sweep ever came, `SweepStale` where orphans are those of a former sweep, or the reason why the
    /// target is not ready.
    reason: String,
    message: String,
    /// Since when, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
}

impl NotSwept {
    fn of(target: &ServingTarget) -> Option<Self> {
        let told = target.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let not_swept = |reason: &str, message: String, since: Option<Time>| {
            Some(Self { target: target.name_any(), reason: reason.to_owned(), message, since })
        };
        match conditions::find(told, conditions::SWEPT) {
            None => {
                let message = SweepMessage::Never.to_string();
                not_swept(reasons::SWEEP_PENDING, message, None)
            }
            Some(swept) if swept.status != TRUE => {
                not_swept(&swept.reason, swept.message.clone(), Some(swept.last_transition_time.clone()))
            }
            Some(_) => {
                let ready = conditions::find(told, conditions::READY).filter(|ready| ready.status != TRUE)?;
                let message = SweepMessage::StaleUnready(&ready.reason).to_string();
                not_swept(reasons::SWEEP_STALE, message, Some(ready.last_transition_time.clone()))
            }
        }
    }
}

/// One orphan, and where it is.
#[derive(Debug, Serialize)]
struct OrphanLine {
    target: String,
    #[serde(flatten)]
    orphan: OrphanStatus,
}

impl OrphanReport {
    /// Gathers what the targets' status says, by target and name.
    pub fn of(targets: &[ServingTarget]) -> Self {
        let mut orphans = Vec::new();
        let mut omitted = 0;
        for target in targets {
            let Some(status) = &target.status else { continue };
            let line = |orphan: &OrphanStatus| OrphanLine { target: target.name_any(), orphan: orphan.clone() };
            orphans.extend(status.orphans.iter().map(line));
            omitted += usize::try_from(status.omitted_orphans.unwrap_or(0)).unwrap_or(0);
        }
        let mut not_swept: Vec<NotSwept> = targets.iter().filter_map(NotSwept::of).collect();
        not_swept.sort_by(|a, b| a.target.cmp(&b.target));
        orphans.sort_by(|a, b| (&a.target, &a.orphan.name).cmp(&(&b.target, &b.orphan.name)));
        let costs: Vec<MicroDollars> =
            orphans.iter().filter_map(|line| line.orphan.hourly_cost.as_ref()?.known()).collect();
        Self {
            targets: targets.len(),
            omitted,
            hourly_cost: costs.iter().copied().fold(MicroDollars::ZERO, MicroDollars::saturating_add).to_string(),
            unknown_prices: orphans.len() - costs.len(),
            orphans,
            not_swept,
        }
    }

    /// A table with the sum, and why things stay that could go.
    pub fn text(&self, now: Timestamp) -> String {
        if self.orphans.is_empty() {
            return self.none();
        }
        let mut rows = vec![COLUMNS.map(str::to_owned)];
        rows.extend(self.orphans.iter().map(|line| row(line, now)));
        let mut text = table(&rows);
        let _ = write!(text, "\n{} for ${}/h", counted(self.orphans.len(), "orphan"), self.hourly_cost);
        if self.unknown_prices > 0 {
            let _ = write!(text, ", plus {} of unknown price", self.unknown_prices);
        }
        if self.omitted > 0 {
            let _ = write!(text, "; {} more are not listed", self.omitted);
        }
        text.push_str(".\n");
        let notes: BTreeSet<String> = self
            .orphans
            .iter()
            .filter_map(|line| Some(format!("{}: {}.\n", line.orphan.state.as_str(), line.orphan.message.as_ref()?)))
            .collect();
        text.extend(notes);
        text.extend(self.not_swept.iter().map(note));
        text
    }

    /// Text if no orphan is known.
    fn none(&self) -> String {
        let all = counted(self.targets, "target");
        if self.not_swept.is_empty() {
            return format!("No orphans at {all}.\n");
        }
        let swept = self.targets.saturating_sub(self.not_swept.len());
        let mut text = format!("No orphans at {swept} of {all}; unknown at the others:\n");
        text.extend(self.not_swept.iter().map(note));
        text
    }
}

/// Why the orphans of a target are not known as of now.
fn note(not_swept: &NotSwept) -> String {
    let NotSwept { target, reason, message, since } = not_swept;
    let since = since.as_ref().map(|since| format!(" since {}", since.0)).unwrap_or_default();
    format!("{target}: {reason}{since}: {message}.\n")
}

fn row(line: &OrphanLine, now: Timestamp) -> [String; 8] {
    let orphan = &line.orphan;
    [
        line.target.clone(),
        orphan.name.clone(),
        format!("{}/{}", orphan.namespace, orphan.deployment),
        orphan.offer.clone(),
        orphan.replicas.to_string(),
        orphan.hourly_cost.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string),
        age(now.as_second() - orphan.since.0.as_second()),
        orphan.state.as_str().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-03-05T12:00:00Z";

    fn target(name: &str, status: &Value) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
            "spec": {
                "cloud": "gcp", "region": "europe-west4", "type": "Kubernetes",
                "offers": [{
                    "name": "a3", "instanceType": "a3", "accelerator": {"type": "H100", "count": 8},
                    "capacityType": "OnDemand", "hourlyPrice": "80",
                }],
            },
            "status": status,
        }))
        .unwrap()
    }

    fn orphan(name: &str, change: &Value) -> Value {
        let mut orphan = json!({
            "name": name, "namespace": "team-a", "deployment": "llama-70b", "offer": "a3", "replicas": 2,
            "hourlyCost": "21.10", "since": "2026-03-02T12:00:00Z", "firstSeen": "2026-03-05T11:00:00Z",
            "state": "Reported",
        });
        orphan.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        orphan
    }

    /// Conditions of a target: Ready with this reason, and Swept with this status and reason.
    fn told(ready: &str, swept: &str, reason: &str) -> Value {
        let condition = |type_: &str, status: &str, reason: &str, message: &str| {
            json!({
                "type": type_, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2026-03-05T11:00:00Z",
            })
        };
        let is_ready = if ready == "Ready" { "True" } else { "False" };
        json!([condition("Ready", is_ready, ready, ""), condition("Swept", swept, reason, "as the target says")])
    }

    fn fleet() -> Vec<ServingTarget> {
        let held = json!({"state": "Held", "message": "orphan deletion paused: the hub lists no ModelDeployment", "since": "2026-03-05T11:58:30Z"});
        let west = [orphan("llama-70b-q9dq9dq9dq9d", &held), orphan("llama-70b-a1b2c3d4e5f6", &held)];
        let unknown = json!({"deployment": "tiny", "replicas": 1, "since": "2026-03-05T09:30:00Z", "state": "Waiting"});
        let mut unknown = orphan("tiny-k3xk3xk3xk3x", &unknown);
        unknown.as_object_mut().unwrap().remove("hourlyCost");
        vec![
            target(
                "west",
                &json!({"orphans": west, "omittedOrphans": 3, "conditions": told("Ready", "True", "Swept")}),
            ),
            target("east", &json!({"orphans": [unknown], "conditions": told("Unreachable", "Unknown", "SweepStale")})),
            target("north", &json!({"conditions": told("Ready", "True", "Swept")})),
        ]
    }

    fn golden(name: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/orphans").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let path = path.display();
        assert!(
            text == expected,
            "{path} is not what is written; look at the difference after UPDATE_GOLDEN=1:\n{text}"
        );
    }

    #[test]
    fn orphans_are_told_to_people() {
        golden("table.txt", &OrphanReport::of(&fleet()).text(NOW.parse().unwrap()));
    }

    #[test]
    fn orphans_are_told_to_programs() {
        golden("report.json", &format!("{}\n", serde_json::to_string_pretty(&OrphanReport::of(&fleet())).unwrap()));
    }

    #[test]
    fn a_fleet_without_orphans_says_so() {
        let text = |targets: &[ServingTarget]| OrphanReport::of(targets).text(NOW.parse().unwrap());
        assert_eq!(text(&fleet()[2..]), "No orphans at 1 target.\n");
        assert_eq!(text(&[]), "No orphans at 0 targets.\n");
    }

    #[test]
    fn a_target_that_was_not_swept_is_not_told_to_be_without_orphans() {
        let of = |conditions: &Value| target("north", &json!({"conditions": conditions}));
        let swept = target("south", &json!({"conditions": told("Ready", "True", "Swept")}));
        let unknown = |reason: &str, words: &str| {
            format!("No orphans at 1 of 2 targets; unknown at the others:\nnorth: {reason}{words}.\n")
        };
        let since = " since 2026-03-05T11:00:00Z";
        let as_told = format!("{since}: as the target says");
        for (conditions, told) in [
            (
                json!([]),
                unknown(
                    "SweepPending",
                    ": the first sweep for orphans has not run; the orphans of this target are unknown",
                ),
            ),
            (told("Ready", "False", "SweepPending"), unknown("SweepPending", &as_told)),
            (told("Unreachable", "Unknown", "SweepStale"), unknown("SweepStale", &as_told)),
            (
                told("Unreachable", "True", "Swept"),
                unknown(
                    "SweepStale",
                    &format!(
                        "{since}: the target is not Ready (Unreachable); the listed orphans are those of the last sweep"
                    ),
                ),
            ),
        ] {
            let report = OrphanReport::of(&[of(&conditions), swept.clone()]);
            assert_eq!(report.text(NOW.parse().unwrap()), told);
            let json = serde_json::to_value(&report).unwrap();
            assert_eq!(json["notSwept"][0]["target"], "north", "{json}");
        }
    }
}
