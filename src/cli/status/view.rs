//! The state of one deployment in text. Pure.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::cli::table::{age, counted, table};
use crate::controller::startup;
use roadstead_api::v1alpha1::conditions::{self, TRUE};
use roadstead_api::v1alpha1::{
    EndpointState, HostedStatus, InferenceEndpoint, ModelDeployment, ModelDeploymentStatus, MoveStatus, MoveStep,
    PlacementRole, Witness, reasons,
};
use roadstead_explain::{hosted_model, per_hour};
use roadstead_gateway::Acks;

const STEPS: [MoveStep; 5] = [MoveStep::Surge, MoveStep::Verify, MoveStep::Shift, MoveStep::Drain, MoveStep::Remove];

const COLUMNS: [&str; 9] =
    ["ENDPOINT", "TARGET", "REGION", "PHASE", "REPLICAS", "COST/H", "IN FLIGHT", "SINCE", "NOTE"];

/// Phase of an endpoint, in the order of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EndpointPhase {
    /// It answers, and the deployment relies on it.
    Serving,
    /// The deployment relies on it, and it does not answer.
    NotReady,
    /// It answers, and is to take over.
    Replacement,
    /// It answers, and takes requests only while nothing serves.
    Standby,
    /// It has not answered yet.
    Starting,
    /// It takes no new request.
    Draining,
    /// It is being removed.
    Deleting,
}

/// The state of a deployment.
pub struct View {
    name: String,
    status: ModelDeploymentStatus,
    lines: Vec<EndpointLine>,
}

/// An endpoint.
struct EndpointLine {
    endpoint: InferenceEndpoint,
    phase: EndpointPhase,
    since: Option<Time>,
    in_flight: Option<u64>,
}

impl View {
    /// The state of a deployment from its objects and the reports of gateways.
    pub fn of(deployment: &ModelDeployment, endpoints: &[InferenceEndpoint], reports: &[Acks]) -> Self {
        let (name, uid) = (deployment.name_any(), deployment.uid().unwrap_or_default());
        let status = deployment.status.clone().unwrap_or_default();
        let mut lines: Vec<EndpointLine> = endpoints
            .iter()
            .filter(|endpoint| endpoint.spec.deployment_ref.name == name)
            .map(|endpoint| {
                let phase = phase(endpoint, &status);
                let since = since(endpoint, phase, &status);
                EndpointLine { phase, since, in_flight: in_flight(&uid, endpoint, reports), endpoint: endpoint.clone() }
            })
            .collect();
        lines.sort_by_key(|line| (line.phase, line.endpoint.name_any()));
        Self { name: format!("{}/{name}", deployment.namespace().unwrap_or_default()), status, lines }
    }

    /// Text for people.
    pub fn text(&self, now: Timestamp) -> String {
        let mut text = match conditions::find(&self.status.conditions, conditions::READY) {
            Some(ready) => format!("{}: {}\n", self.name, condition(ready)),
            None => format!("{}: not observed by the operator yet\n", self.name),
        };
        if let Some(url) = &self.status.url {
            let keys = self.status.keys_secret_name.as_deref().unwrap_or_default();
            let _ = writeln!(text, "address: {url} (callers' keys in Secret {keys})");
        }
        for hosted in &self.status.hosted {
            text.push_str(&hosted_line(hosted, now));
        }
        if self.lines.is_empty() {
            text.push_str("no endpoints\n");
            return text;
        }
        let cost = self.status.hourly_cost.as_ref().map_or("unknown".to_owned(), |cost| format!("${cost}/h"));
        let _ = writeln!(text, "cost: {cost} for {}\n", counted(self.lines.len(), "endpoint"));
        let mut rows = vec![COLUMNS.map(str::to_owned)];
        rows.extend(self.lines.iter().map(|line| line.row(now)));
        text.push_str(&table(&rows));
        for one in &self.status.moves {
            text.push_str(&self.progress(one, now));
        }
        text
    }

    /// A move with its steps, what it waits for, and the cost while both endpoints run.
    fn progress(&self, one: &MoveStatus, now: Timestamp) -> String {
        let record = |name: &str| self.lines.iter().map(|line| &line.endpoint).find(|record| record.name_any() == name);
        let target = |name: &str| record(name).map_or("-", |record| record.spec.target.as_str());
        let cost = |name: &str| record(name)?.spec.hourly_cost.as_ref()?.known();
        let steps: Vec<String> = STEPS
            .iter()
            .map(|step| if *step == one.step { format!("[{step:?}]") } else { format!("{step:?}") })
            .collect();
        let deadline = one.deadline.as_ref().map(|deadline| format!(", until {} at the latest", deadline.0));
        let both = cost(&one.endpoint).zip(cost(&one.replaces)).map(|(new, old)| new.saturating_add(old));
        format!(
            "\n{:?} from {} to {} ({}), started {} ago: {}\n  {}{}\n  {} while both run\n",
            one.kind,
            target(&one.replaces),
            target(&one.endpoint),
            one.reason,
            age(now.as_second() - one.started_at.0.as_second()),
            steps.join(" > "),
            one.message,
            deadline.unwrap_or_default(),
            per_hour(both),
        )
    }
}

/// A hosted model with its part in serving.
fn hosted_line(hosted: &HostedStatus, now: Timestamp) -> String {
    let HostedStatus { target, model, state, since, message } = hosted;
    let why = message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
    format!(
        "hosted: {}: {state:?} for {}{why}\n",
        hosted_model(model, target),
        age(now.as_second() - since.0.as_second())
    )
}

impl EndpointLine {
    fn row(&self, now: Timestamp) -> [String; 9] {
        let spec = &self.endpoint.spec;
        let dash = || "-".to_owned();
        let ready = self.endpoint.status.as_ref().map_or(0, |status| status.ready_replicas);
        [
            self.endpoint.name_any(),
            spec.target.clone(),
            spec.region.clone(),
            format!("{:?}", self.phase),
            format!("{ready}/{}", spec.replicas),
            spec.hourly_cost.as_ref().map_or_else(dash, |cost| format!("${cost}")),
            self.in_flight.map_or_else(dash, |count| count.to_string()),
            self.since.as_ref().map_or_else(dash, |since| age(now.as_second() - since.0.as_second())),
            self.note(),
        ]
    }

    /// Next step of the endpoint, with its time.
    fn note(&self) -> String {
        let (spec, status) = (&self.endpoint.spec, self.endpoint.status.clone().unwrap_or_default());
        let ready = || conditions::find(&status.conditions, conditions::READY);
        let replaces = spec.replaces.as_ref().map(|replaced| format!("replaces {replaced}"));
        let limit = || startup::answer_by(&self.endpoint, &status).map(|limit| format!("must answer by {limit}"));
        let witness = status.witness.filter(|witness| *witness == Witness::Gateways);
        let witness = witness.map(|_| "heard by gateways".to_owned());
        let is_told = |reason: &String| *reason != format!("{:?}", self.phase);
        let reason = || ready().map(|ready| ready.reason.clone()).filter(is_told);
        let notes = match self.phase {
            EndpointPhase::Serving | EndpointPhase::Standby => {
                vec![reason().filter(|reason| *reason != reasons::READY), witness]
            }
            EndpointPhase::NotReady => vec![reason(), witness],
            EndpointPhase::Replacement => vec![replaces],
            EndpointPhase::Starting => vec![replaces, reason(), limit()],
            EndpointPhase::Draining => {
                let deadline = spec.deadline.as_ref();
                vec![deadline.map(|deadline| format!("removed at {} at the latest", deadline.0))]
            }
            EndpointPhase::Deleting => vec![status.last_error.as_ref().map(|error| error.message.clone())],
        };
        notes.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// `Ready=False, PolicyViolated: …`.
fn condition(ready: &Condition) -> String {
    let message = if ready.message.is_empty() { String::new() } else { format!(": {}", ready.message) };
    format!("Ready={}, {}{message}", ready.status, ready.reason)
}

fn phase(endpoint: &InferenceEndpoint, status: &ModelDeploymentStatus) -> EndpointPhase {
    let name = endpoint.name_any();
    let told = endpoint.status.as_ref();
    let ready = told.and_then(|told| conditions::find(&told.conditions, conditions::READY));
    let answers = ready.is_some_and(|ready| ready.status == TRUE);
    let placement = status.placements.iter().find(|placement| placement.endpoint == name);
    if endpoint.metadata.deletion_timestamp.is_some() {
        EndpointPhase::Deleting
    } else if endpoint.spec.state == EndpointState::Draining {
        EndpointPhase::Draining
    } else if answers {
        match placement.map(|placement| placement.role) {
            Some(PlacementRole::Replacement) => EndpointPhase::Replacement,
            Some(PlacementRole::Standby) => EndpointPhase::Standby,
            Some(PlacementRole::Serving) | None => EndpointPhase::Serving,
        }
    } else if told.is_some_and(|told| told.first_ready_time.is_some()) {
        EndpointPhase::NotReady
    } else {
        EndpointPhase::Starting
    }
}

/// Time when the phase began, as far as it is known.
fn since(endpoint: &InferenceEndpoint, phase: EndpointPhase, status: &ModelDeploymentStatus) -> Option<Time> {
    let told = endpoint.status.as_ref();
    match phase {
        EndpointPhase::Draining | EndpointPhase::Deleting => {
            let name = endpoint.name_any();
            status
                .releasing
                .iter()
                .find(|releasing| releasing.endpoint == name)
                .map(|releasing| releasing.since.clone())
        }
        EndpointPhase::Starting => endpoint.metadata.creation_timestamp.clone(),
        EndpointPhase::Serving | EndpointPhase::NotReady | EndpointPhase::Replacement | EndpointPhase::Standby => {
            let ready = conditions::find(&told?.conditions, conditions::READY)?;
            Some(ready.last_transition_time.clone())
        }
    }
}

/// Requests in flight at an endpoint at all gateways that report them.
fn in_flight(uid: &str, endpoint: &InferenceEndpoint, reports: &[Acks]) -> Option<u64> {
    let name = endpoint.name_any();
    let counts = reports.iter().filter_map(|report| report.routes.get(uid)?.in_flight.get(&name));
    counts.copied().reduce(|sum, count| sum + count)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-03-05T12:00:00Z";
    const OLD: &str = "llama-70b-3pqmby4hdiu7";
    const NEW: &str = "llama-70b-ceyfv4cvqaso";

    fn condition(status: &str, reason: &str, message: &str) -> Value {
        json!([{"type": "Ready", "status": status, "reason": reason, "message": message,
                "lastTransitionTime": "2026-03-05T11:59:20Z"}])
    }

    fn placement(name: &str, role: &str, target: &str) -> Value {
        json!({"endpoint": name, "role": role, "target": target, "cloud": "c", "region": "r", "shape": "s", "offer": "o",
               "capacityType": "OnDemand", "replicas": 2, "readyReplicas": 2})
    }

    fn deployment(status: &Value) -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "llama-70b", "namespace": "team-a", "uid": "d"},
            "spec": {"serving": {"engine": "vllm", "image": "i:1",
                                 "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]}},
            "status": status,
        }))
        .unwrap()
    }

    fn endpoint(name: &str, target: &str, spec: &Value, status: &Value) -> InferenceEndpoint {
        let mut object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": name, "namespace": "team-a", "creationTimestamp": "2026-03-05T11:58:00Z"},
            "spec": {
                "deploymentRef": {"name": "llama-70b", "uid": "d"}, "target": target, "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 2, "reason": "InitialPlacement", "hourlyCost": "10.00",
                "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                             "startupTimeoutSeconds": 600, "drainTimeoutSeconds": 5},
            },
            "status": status,
        });
        object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    fn ready() -> Value {
        json!({"conditions": condition("True", "Ready", ""), "readyReplicas": 2, "firstReadyTime": "2026-03-05T11:59:20Z"})
    }

    fn starting() -> Value {
        json!({"conditions": condition("False", "Starting", "starting"), "readyReplicas": 0,
               "startingSince": "2026-03-05T11:58:00Z"})
    }

    fn golden(name: &str, view: &View) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/status").join(name);
        let text = view.text(NOW.parse().unwrap());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == expected, "{} differs; UPDATE_GOLDEN=1 writes it again:\n{text}", path.display());
    }

    fn moving(new: &Value, draining: bool) -> View {
        let (ready_message, roles) = (
            "us-east-1 is in US; allowed: EU; waiting for a gateway to verify the new endpoint",
            ["Serving", "Replacement"],
        );
        let mut status = json!({
            "url": "https://models.example.com/team-a/llama-70b/v1", "keysSecretName": "llama-70b-callers", "hourlyCost": "23.80",
            "conditions": condition("False", "PolicyViolated", ready_message),
            "placements": [placement(OLD, roles[0], "east"), placement(NEW, roles[1], "west")],
        });
        let starts = new["readyReplicas"] == 0;
        let waits = if starts {
            format!("for {NEW} on west to become ready")
        } else {
            format!("for a gateway to verify {NEW} on west")
        };
        status["moves"] = json!([{
            "endpoint": NEW, "replaces": OLD, "kind": "Replacement", "reason": "PolicyViolated", "startedAt": "2026-03-05T11:58:00Z",
            "step": if starts { "Surge" } else { "Verify" }, "deadline": "2026-03-05T12:08:00Z",
            "message": format!("waiting {waits}"),
        }]);
        let mut old = json!({});
        if draining {
            status["moves"][0]["step"] = json!("Drain");
            status["moves"][0]["deadline"] = json!("2026-03-05T12:01:48Z");
            status["moves"][0]["message"] =
                json!(format!("waiting for the requests in flight at {OLD} on east to end"));
            status["conditions"] = condition("True", "Ready", "");
            status["placements"] = json!([placement(NEW, "Serving", "west")]);
            status["releasing"] = json!([{"endpoint": OLD, "target": "east", "since": "2026-03-05T11:59:48Z"}]);
            old = json!({"state": "Draining", "deadline": "2026-03-05T12:01:48Z"});
        }
        let replaces = json!({"replaces": OLD, "hourlyCost": "13.80", "region": "europe-west4"});
        let endpoints = [endpoint(OLD, "east", &old, &ready()), endpoint(NEW, "west", &replaces, new)];
        let ack = json!({"revision": 4, "inFlight": {OLD: 7, NEW: 20}});
        let reports = [ack.clone(), ack].map(|ack| serde_json::from_value(json!({"routes": {"d": ack}})).unwrap());
        View::of(&deployment(&status), &endpoints, if draining { &reports } else { &[] })
    }

    #[test]
    fn a_move_is_shown_step_by_step() {
        golden("1-starting.txt", &moving(&starting(), false));
        golden("2-replacement.txt", &moving(&ready(), false));
        golden("3-draining.txt", &moving(&ready(), true));
    }

    #[test]
    fn a_deployment_without_endpoints_says_so() {
        let status = json!({"conditions": condition("False", "NoFeasiblePlacement", "no target qualifies")});
        let text = View::of(&deployment(&status), &[], &[]).text(NOW.parse().unwrap());
        assert_eq!(text, "team-a/llama-70b: Ready=False, NoFeasiblePlacement: no target qualifies\nno endpoints\n");
        let unseen = View::of(&deployment(&json!({})), &[], &[]).text(NOW.parse().unwrap());
        assert!(unseen.starts_with("team-a/llama-70b: not observed by the operator yet\n"), "{unseen}");
    }

    #[test]
    fn endpoints_of_other_deployments_are_left_out() {
        let mut other = endpoint("qwen-a", "east", &json!({}), &ready());
        other.spec.deployment_ref.name = "qwen".to_owned();
        assert!(View::of(&deployment(&json!({})), &[other], &[]).lines.is_empty());
    }
}
