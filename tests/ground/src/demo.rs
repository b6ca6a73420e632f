//! `make demo`: the main job, seen on real clusters.

use std::time::{Duration, Instant};

use anyhow::Context;
use roadstead_ground::client::{Answer, chat};
use roadstead_ground::ground::{Ground, SYSTEM, repository};
use serde_json::Value;

/// Starts everything and shows it.
///
/// # Errors
/// If a step fails; what was started stays for a look, until `make demo-down`.
pub fn run() -> anyhow::Result<()> {
    let start = Instant::now();
    let step = |text: &str| println!("\n[{:>3} s] {text}", start.elapsed().as_secs());
    let ground = Ground::prepare()?;
    step("starting four clusters: a hub, and east, west and north as three clouds");
    ground.up()?;
    step("installing the operator on the hub by its Helm charts");
    ground.install(&[])?;
    step("preparing the members with deploy/member.yaml, and telling the hub how to reach them");
    ground.connect_members()?;
    let examples = repository().join("examples/demo");
    for file in ["targets.yaml", "deployment.yaml"] {
        let path = examples.join(file).display().to_string();
        step(&format!("kubectl apply -f examples/demo/{file}"));
        println!("{}", ground.hub.kubectl(&["apply", "-f", &path])?);
    }
    step("waiting until the model is served");
    ground.hub.kubectl(&["wait", "-n", "demo", "mdep/tiny", "--for=condition=Ready", "--timeout=60s"])?;
    println!("{}", ground.hub.kubectl(&["get", "servingtargets"])?);
    println!("{}", ground.hub.kubectl(&["get", "mdep", "-n", "demo", "-o", "wide"])?);
    let deployment = ground.get("mdep", "demo", "tiny")?;
    step("why there (status.candidates):");
    candidates(&deployment)?;
    ask(&ground, &deployment, &step)?;
    step("done. Try next:");
    println!(
        "  target/*/debug/ground kubectl hub get mdep,iep -A -o wide\n  \
         target/*/debug/ground kubectl hub -n demo edit mdep tiny        # allow another jurisdiction, scale, change the image\n  \
         target/*/debug/ground kubectl hub -n {SYSTEM} logs -l app.kubernetes.io/name=roadstead --prefix\n  \
         make demo-down                                                 # ends the clusters"
    );
    Ok(())
}

fn candidates(deployment: &Value) -> anyhow::Result<()> {
    let list = deployment["status"]["candidates"].as_array().context("the status has no candidates")?;
    for candidate in list {
        let text = |field: &str| candidate[field].as_str().unwrap_or("-").to_owned();
        println!(
            "  {:<6} {:<10} ${:<8} {:<9} {}",
            text("target"),
            text("offer"),
            text("hourlyCost"),
            text("verdict"),
            text("message")
        );
    }
    Ok(())
}

fn ask(ground: &Ground, deployment: &Value, step: &impl Fn(&str)) -> anyhow::Result<()> {
    let placement = &deployment["status"]["placements"][0];
    let url = placement["url"].as_str().context("the placement has no address")?;
    let secret = placement["apiKeySecretName"].as_str().context("the placement has no key")?;
    let question = "Which way to the roadstead?";
    step(&format!("asking {url} with the key from Secret demo/{secret}: {question}"));
    let key = ground.secret_value("demo", secret, "apiKey")?;
    let limit = Duration::from_secs(10);
    let answer = ground.wait("the model answers", limit, || match chat(url, Some(&key), "tiny", question)? {
        Answer { status: 200, text } => Ok(text),
        other => anyhow::bail!("it answered {}: {}", other.status, other.text),
    })?;
    println!("  {answer}");
    let refused = chat(url, None, "tiny", question)?.status;
    println!("  without the key it answers {refused}");
    Ok(())
}
