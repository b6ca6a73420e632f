//! `roadstead move`, `cordon`, `uncordon` and `evacuate`: requests to the operator, which are annotations.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::hub::HubArgs;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, ServingTarget, names};
use roadstead_runtime::client::{call, call_opt};

/// Options of `roadstead move`.
#[derive(Debug, Args)]
#[command(
    after_help = "Sets the annotation roadstead.dev/move-to, which the operator removes when the move is done. The move \
                        obeys all rules of the deployment except its preference for the cheapest place."
)]
pub struct MoveArgs {
    /// Name of the deployment.
    pub name: String,
    /// Namespace of the deployment; the namespace of the context if absent.
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Target to which the deployment is to move.
    #[arg(long, value_name = "TARGET", required_unless_present = "cancel", conflicts_with = "cancel")]
    pub to: Option<String>,
    /// Requests nothing: prints the last verdict on the target.
    #[arg(long, conflicts_with = "cancel")]
    pub dry_run: bool,
    /// Withdraws the request; a replacement that does not serve yet is removed.
    #[arg(long)]
    pub cancel: bool,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Options of `roadstead cordon` and `roadstead uncordon`.
#[derive(Debug, Args)]
#[command(
    after_help = "A cordon is the annotation roadstead.dev/cordon on the ServingTarget: nothing new is placed there, and its \
                        endpoints stay."
)]
pub struct CordonArgs {
    /// Name of the target.
    pub target: String,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Options of `roadstead evacuate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Sets the annotation roadstead.dev/evacuate on the ServingTarget: nothing new is placed there, and its \
                        endpoints are replaced elsewhere, each one serving until its replacement does."
)]
pub struct EvacuateArgs {
    /// Name of the target.
    pub target: String,
    /// Ends the evacuation: the target takes placements again.
    #[arg(long)]
    pub cancel: bool,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Requests or withdraws the move of a deployment, or prints the verdict on its target.
///
/// # Errors
/// If the hub cannot be asked, has no such deployment, or refuses the change.
pub async fn move_deployment(args: MoveArgs) -> anyhow::Result<ExitCode> {
    let (client, namespace) = args.hub.connect_to_write().await?;
    let namespace = args.namespace.unwrap_or(namespace);
    let api: Api<ModelDeployment> = Api::namespaced(client, &namespace);
    let found = call_opt("get modeldeployment", api.get(&args.name)).await?;
    let deployment = found.with_context(|| format!("no ModelDeployment {} in namespace {namespace}", args.name))?;
    let Some(to) = args.to else {
        annotate(&api, &args.name, names::ANNOTATION_MOVE_TO, &Value::Null).await?;
        return say(&format!("{namespace}/{}: the request to move is withdrawn\n", args.name));
    };
    let known = verdict(&deployment, &to);
    if args.dry_run {
        return say(&known);
    }
    annotate(&api, &args.name, names::ANNOTATION_MOVE_TO, &json!(to)).await?;
    let follow = format!("roadstead status {} --namespace {namespace} --watch", args.name);
    say(&format!("{known}requested: {namespace}/{} moves to {to}; follow it with {follow}\n", args.name))
}

/// Requests or ends the evacuation of a target.
///
/// # Errors
/// If the hub cannot be asked, has no such target, or refuses the change.
pub async fn evacuate(args: EvacuateArgs) -> anyhow::Result<ExitCode> {
    let (client, _) = args.hub.connect_to_write().await?;
    let api: Api<ServingTarget> = Api::all(client.clone());
    let found = call_opt("get servingtarget", api.get(&args.target)).await?;
    found.with_context(|| format!("no ServingTarget {}", args.target))?;
    let value = if args.cancel { Value::Null } else { json!("") };
    annotate(&api, &args.target, names::ANNOTATION_EVACUATE, &value).await?;
    if args.cancel {
        return say(&format!("target {} takes placements again\n", args.target));
    }
    let endpoints: Api<InferenceEndpoint> = Api::all(client);
    let endpoints = call("list inferenceendpoints", endpoints.list(&ListParams::default())).await?.items;
    say(&leaving(&args.target, &endpoints))
}

/// Cordons or uncordons a target.
///
/// # Errors
/// If the hub cannot be asked, has no such target, or refuses the change.
pub async fn cordon(args: CordonArgs, cordoned: bool) -> anyhow::Result<ExitCode> {
    let (client, _) = args.hub.connect_to_write().await?;
    let api: Api<ServingTarget> = Api::all(client);
    let name = &args.target;
    let found =
        call_opt("get servingtarget", api.get(name)).await?.with_context(|| format!("no ServingTarget {name}"))?;
    let value = if cordoned { json!("") } else { Value::Null };
    annotate(&api, name, names::ANNOTATION_CORDON, &value).await?;
    say(&cordon_text(&found, cordoned))
}

/// Result of a cordon or its end, with what else keeps placements away.
fn cordon_text(target: &ServingTarget, cordoned: bool) -> String {
    let name = target.name_any();
    if cordoned {
        return format!("target {name} is cordoned: it accepts no new placements, and its endpoints stay\n");
    }
    let mut others = target.taints();
    others.retain(|taint| taint.key != names::ANNOTATION_CORDON);
    let others: Vec<String> = others.into_iter().map(|taint| format!("{}:{:?}", taint.key, taint.effect)).collect();
    if others.is_empty() {
        return format!("target {name} is uncordoned: it takes placements again\n");
    }
    format!("target {name} is uncordoned, and has other taints: {}\n", others.join(", "))
}

async fn annotate<K>(api: &Api<K>, name: &str, annotation: &str, value: &Value) -> anyhow::Result<()>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let change = json!({"metadata": {"annotations": {annotation: value}}});
    call("annotate", api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(change))).await?;
    Ok(())
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The last verdict on each candidate of a target, one in a line.
fn verdict(deployment: &ModelDeployment, target: &str) -> String {
    let status = deployment.status.clone().unwrap_or_default();
    if status.placements.iter().any(|placement| placement.target == target) {
        return format!("{target}: the deployment has an endpoint there\n");
    }
    let at = status.decided_at.map(|at| format!(" at {}", at.0)).unwrap_or_default();
    let lines: Vec<String> = status
        .candidates
        .iter()
        .filter(|candidate| candidate.target == target)
        .map(|candidate| {
            let offer = candidate.offer.as_deref().unwrap_or("no offer");
            let (shape, verdict, message) = (&candidate.shape, &candidate.verdict, &candidate.message);
            format!("{target}, {offer}, {shape}: {verdict}{at}: {message}\n")
        })
        .collect();
    if lines.is_empty() {
        format!("{target}: no verdict in the status, which lists the most telling candidates only\n")
    } else {
        lines.concat()
    }
}

/// The deployments that leave a target.
fn leaving(target: &str, endpoints: &[InferenceEndpoint]) -> String {
    let here = endpoints.iter().filter(|endpoint| endpoint.spec.target == target);
    let deployments: BTreeSet<String> = here
        .map(|endpoint| format!("{}/{}", endpoint.namespace().unwrap_or_default(), endpoint.spec.deployment_ref.name))
        .collect();
    let names = deployments.iter().map(|name| format!("  {name}\n")).collect::<Vec<_>>().concat();
    match deployments.len() {
        0 => format!("requested: target {target} accepts no new placements; nothing runs there\n"),
        1 => format!("requested: 1 deployment leaves target {target}\n{names}"),
        many => format!("requested: {many} deployments leave target {target}, at the pace of the fleet\n{names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: &Value) -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "llama"},
            "spec": {"serving": {"engine": "custom", "image": "i:1", "shapes": []}}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_dry_run_says_what_the_last_decision_says_of_the_target() {
        let placement = json!({
            "target": "east", "cloud": "aws", "region": "us-east-1", "shape": "s", "offer": "o",
            "capacityType": "OnDemand", "replicas": 1, "readyReplicas": 1, "endpoint": "llama-x",
        });
        let candidate = json!({
            "target": "west", "offer": "h100", "shape": "h100x2", "verdict": "Rejected", "reason": "OverBudget",
            "message": "$55.20/h is over the budget",
        });
        let decided = json!({
            "placements": [placement], "candidates": [candidate], "decidedAt": "2026-08-01T12:00:00Z",
        });
        let told = |target: &str| verdict(&deployment(&decided), target);
        assert_eq!(told("west"), "west, h100, h100x2: Rejected at 2026-08-01T12:00:00Z: $55.20/h is over the budget\n");
        assert_eq!(told("east"), "east: the deployment has an endpoint there\n");
        assert_eq!(told("north"), "north: no verdict in the status, which lists the most telling candidates only\n");
    }

    #[test]
    fn an_uncordoned_target_names_what_else_keeps_placements_away() {
        let target = |annotations: &[&str]| -> ServingTarget {
            let annotations: Value = annotations.iter().map(|key| ((*key).to_owned(), json!(""))).collect();
            serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
                "metadata": {"name": "east", "annotations": annotations},
                "spec": {"cloud": "aws", "region": "us-east-1", "type": "Simulated", "simulated": {}, "offers": []},
            }))
            .unwrap()
        };
        let (cordon, evacuate) = (names::ANNOTATION_CORDON, names::ANNOTATION_EVACUATE);
        let text = cordon_text(&target(&[]), true);
        assert_eq!(text, "target east is cordoned: it accepts no new placements, and its endpoints stay\n");
        let text = cordon_text(&target(&[cordon]), false);
        assert_eq!(text, "target east is uncordoned: it takes placements again\n");
        let text = cordon_text(&target(&[cordon, evacuate]), false);
        assert_eq!(text, "target east is uncordoned, and has other taints: roadstead.dev/evacuate:Evict\n");
    }

    #[test]
    fn an_evacuation_names_the_deployments_that_leave() {
        let endpoint = |name: &str, target: &str| -> InferenceEndpoint {
            serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
                "metadata": {"name": format!("{name}-x"), "namespace": "team"},
                "spec": {
                    "deploymentRef": {"name": name, "uid": name}, "target": target, "cloud": "c", "region": "r",
                    "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "r"},
                    "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
                    "template": {"engine": "custom", "image": "i:1", "port": 1, "model": {"name": "m"},
                                 "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
                },
            }))
            .unwrap()
        };
        let all = [endpoint("a", "east"), endpoint("b", "east"), endpoint("c", "west")];
        assert_eq!(
            leaving("east", &all),
            "requested: 2 deployments leave target east, at the pace of the fleet\n  team/a\n  team/b\n"
        );
        assert_eq!(leaving("west", &all), "requested: 1 deployment leaves target west\n  team/c\n");
        assert_eq!(leaving("north", &all), "requested: target north accepts no new placements; nothing runs there\n");
    }
}
