//! Objects of another installation, real or apparent, neither count as deleted nor change.

use roadstead_api::v1alpha1::names;
use serde_json::{Value, json};

use crate::operator::Operator;
use crate::stage::{Stage, stage, until};

const OTHER: &str = "--install-id=staging";

/// Waits until the operator is not ready and says that the endpoints are those of another installation.
fn refuses(operator: &Operator, words: &[&str]) {
    until(
        "it says whose endpoints they are, and is not ready",
        || {
            let (log, ready) = (operator.log(), operator.ask("/readyz"));
            ready.contains("503") && words.iter().all(|word| log.contains(word) && ready.contains(word))
        },
        || format!("{}\n{}", operator.ask("/readyz"), operator.log()),
    );
}

/// Everything on the hub that the operator writes, by what changes with each write.
fn versions(stage: &Stage) -> Vec<Value> {
    let objects = ["mdep", "iep", "stgt"].iter().flat_map(|kind| stage.on_hub(kind));
    objects.map(|object| object["metadata"]["resourceVersion"].clone()).collect()
}

#[test]
fn an_operator_with_another_id_does_nothing_while_endpoints_of_the_former_exist() {
    let stage = stage();
    let operator = stage.operator(&[]);
    stage.deploy("kept");
    stage.until_made(&["kept"], &operator);
    let made = stage.made_for("kept");
    drop(operator);
    stage.delete("kept");
    let before = versions(&stage);

    let other = stage.operator(&[OTHER]);
    let both = ["team/llama", "\"prod\"", "\"staging\""].map(|word| word.replace("llama", &made));
    refuses(&other, &both.iter().map(String::as_str).collect::<Vec<_>>());
    drop(other);
    // A record of a release that did not name its installation tells by its name.
    stage.label_record(&made, names::LABEL_INSTALL_ID, None);
    let other = stage.operator(&[OTHER]);
    refuses(&other, &[&format!("team/{made}"), "\"staging\"", "roadstead.dev/install-id of Deployment"]);
    assert!(other.count("leading") == 0 && !stage.is_leaving(&made), "{}", other.log());
    drop(other);
    stage.label_record(&made, names::LABEL_INSTALL_ID, Some("prod"));
    assert_eq!(versions(&stage).len(), before.len(), "something was let go");

    let operator = stage.operator(&[]);
    stage.until_gone("kept", &operator);
    drop(operator);
    // With no endpoint left the id may change.
    let other = stage.operator(&[OTHER]);
    until("it works", || other.count("leading") > 0, || other.log());
    stage.deploy("next");
    stage.until_made(&["next"], &other);
    assert_eq!(stage.on_hub("iep")[0]["metadata"]["labels"][names::LABEL_INSTALL_ID], "staging");
}

#[test]
fn what_lost_our_label_on_its_member_is_not_gone_and_not_touched() {
    let stage = stage();
    let operator = stage.operator(&[]);
    stage.deploy("kept");
    stage.until_made(&["kept"], &operator);
    let made = stage.made_for("kept");
    until(
        "the record names what was made",
        || {
            let id = stage.on_hub("iep")[0]["status"]["externalID"].clone();
            id["uid"] == stage.on_member(&made)["metadata"]["uid"] && id["ownerUID"].is_string()
        },
        || operator.log(),
    );
    let error = || stage.on_hub("iep")[0]["status"]["lastError"].clone();
    let says = |words: &[&str]| {
        until(
            "the record says whose it is",
            || {
                let message = error()["message"].as_str().unwrap_or_default().to_owned();
                error()["class"] == "Conflict" && words.iter().all(|word| message.contains(word))
            },
            || format!("{}\n{}", error(), operator.log()),
        );
    };
    let mark = |kind: &str, id: Option<&str>| stage.label_on_member(kind, &made, names::LABEL_INSTALL_ID, id);

    mark("deploy", Some("staging"));
    says(&["Deployment", "\"staging\"", "\"prod\"", "does not change it"]);
    stage.delete("kept");
    until("its removal was tried", || operator.count("DELETE") > 0 || !error().is_null(), || operator.log());
    says(&["Deployment", "\"staging\"", "\"prod\"", "does not change it"]);
    assert!(!stage.is_leaving(&made) && stage.belongings(&made) == 3, "{}", operator.log());

    mark("svc", None);
    mark("deploy", Some("prod"));
    until("the Deployment leaves", || stage.is_leaving(&made), || operator.log());
    stage.finish("deploy", &made);
    says(&["Service", "no label roadstead.dev/install-id", "\"prod\""]);
    assert!(!stage.on_hub("mdep").is_empty(), "the deployment waits");
    let target = stage.on_hub("stgt");
    assert_eq!(target[0]["metadata"]["finalizers"], json!([names::FINALIZER_TARGET]));

    mark("svc", Some("prod"));
    stage.until_gone("kept", &operator);
    assert_eq!(stage.belongings(&made), 0);
}
