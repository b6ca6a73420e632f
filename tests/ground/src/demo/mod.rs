//! `make demo`: the main job, a failover and a move, seen on real clusters.

mod losing;
mod moving;
mod watch;

use std::time::{Duration, Instant};

use anyhow::Context;
use roadstead_ground::client::Answer;
use roadstead_ground::ground::{Ground, SYSTEM, repository};
use roadstead_ground::load::Service;
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
    step("installing the operator and the gateway on the hub by their Helm charts");
    ground.install_gateway()?;
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
    let service = ask(&ground, &deployment, &step)?;
    losing::watch(&ground, service.clone(), &step)?;
    moving::watch(&ground, service, &step)?;
    println!("{}", ground.hub.kubectl(&["get", "mdep", "-n", "demo", "-o", "wide"])?);
    step("done. Try next:");
    println!(
        "  target/*/debug/ground kubectl hub get mdep,iep -A -o wide\n  \
         target/*/debug/roadstead status tiny -n demo --watch --kubeconfig {}\n  \
         target/*/debug/ground kubectl hub -n demo edit mdep tiny        # allow another jurisdiction, scale, change the image\n  \
         target/*/debug/ground kubectl hub -n {SYSTEM} logs -l app.kubernetes.io/name=roadstead --prefix\n  \
         make demo-down                                                 # ends the clusters",
        ground.hub.kubeconfig().display()
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

/// Asks the model at the deployment's one address, with the caller's key and with another one.
fn ask(ground: &Ground, deployment: &Value, step: &impl Fn(&str)) -> anyhow::Result<Service> {
    let question = "Which way to the roadstead?";
    let status =
        |field: &str| deployment["status"][field].as_str().with_context(|| format!("the status has no {field}"));
    let (url, secret) = (status("url")?, status("keysSecretName")?);
    step(&format!("asking {url} with the key from Secret demo/{secret}: {question}"));
    let key = ground.secret_value("demo", secret, "default")?;
    let service = Service { url: url.to_owned(), key, model: "tiny".to_owned() };
    let limit = Duration::from_secs(10);
    let answer = ground.wait("the model answers", limit, || match service.chat(question)? {
        Answer { status: 200, text } => Ok(text),
        other => anyhow::bail!("it answered {}: {}", other.status, other.text),
    })?;
    println!("  {answer}");
    let stranger = Service { key: "unknown".to_owned(), ..service.clone() };
    println!("  with another key it answers {}", stranger.chat(question)?.status);
    Ok(service)
}
