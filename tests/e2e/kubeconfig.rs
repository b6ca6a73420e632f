//! A kubeconfig that runs a command: refused with the reason, and nothing runs.

use anyhow::ensure;
use serde_json::json;

use super::operators;
use super::stage::{SOON, Stage, condition, deployment, pods, tells};

/// File that the command would write into the operator's container.
const TRACE: &str = "dev/shm/modeldeployments.yaml";
/// A command that is there in the operator's image: the operator itself.
const COMMAND: [&str; 4] = ["/roadstead", "crd", "--output-dir", "/dev/shm"];

pub fn runs_no_command_of_a_kubeconfig(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    let good = stage.ground.member_kubeconfig("east", "24h")?;
    let [command, args @ ..] = COMMAND;
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": command, "args": args,
    });
    stage.ground.put_kubeconfig("east", &good.replace("token:", &format!("exec: {exec}, token:")))?;
    let target = stage.until("the kubeconfig is refused", SOON, || {
        let target = stage.ground.get("servingtarget", "", "east")?;
        ensure!(condition(&target, "Ready")["reason"] == "KubeconfigRefused", "{}", target["status"]);
        Ok(target)
    })?;
    let said = condition(&target, "CredentialsValid");
    ensure!(said["status"] == "False" && said["reason"] == "KubeconfigRefused", "{said}");
    tells(&said["message"], &["exec", "refused", "--allow-kubeconfig"])?;
    ensure!(!said["message"].as_str().unwrap_or_default().contains("/dev/shm"), "it quotes the kubeconfig: {said}");

    let operators = operators::containers(stage)?;
    ensure!(!operators.is_empty(), "no operator runs");
    for operator in &operators {
        ensure!(!operator.root()?.join(TRACE).exists(), "the command ran in {}", operator.pod);
    }
    ensure!(stage.ask("llama")?.status == 200 && pods(east)? == before, "what is served was touched");
    stage.ground.put_kubeconfig("east", &good)?;
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON)?;
    stage.ready("llama")?;
    // Had it run, it would have left its trace.
    for operator in &operators {
        operator.execute(&COMMAND)?;
        let trace = operator.root()?.join(TRACE);
        ensure!(trace.exists(), "the command leaves no trace, so this proves nothing");
    }
    Ok(())
}
