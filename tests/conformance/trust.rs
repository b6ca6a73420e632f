//! The files that let a service or the operator act in a role: who is trusted, under which condition, and for what.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

/// A role's trust.
struct Trust {
    file: &'static str,
    principal: Value,
    actions: &'static [&'static str],
    /// Keys of the conditions with their values, whatever compares them.
    conditions: Value,
}

fn trusts() -> [Trust; 4] {
    let assumes: &[&str] = &["sts:AssumeRole"];
    [
        Trust {
            file: "bedrock/import-trust.json",
            principal: json!({"Service": "bedrock.amazonaws.com"}),
            actions: assumes,
            // Bedrock acts for every account: without both, another account's job could use the role.
            conditions: json!({"aws:SourceAccount": "ACCOUNT",
                               "aws:SourceArn": "arn:aws:bedrock:REGION:ACCOUNT:model-import-job/*"}),
        },
        Trust {
            file: "sagemaker/trust-external-id.json",
            principal: json!({"AWS": "OPERATOR_ROLE_ARN"}),
            actions: assumes,
            conditions: json!({"sts:ExternalId": "EXTERNAL_ID"}),
        },
        Trust {
            file: "sagemaker/trust-irsa.json",
            principal: json!({"Federated": "arn:aws:iam::ACCOUNT:oidc-provider/OIDC_PROVIDER"}),
            actions: &["sts:AssumeRoleWithWebIdentity"],
            // Without both, every pod of the cluster could use the role.
            conditions: json!({"OIDC_PROVIDER:aud": "sts.amazonaws.com",
                               "OIDC_PROVIDER:sub": "system:serviceaccount:roadstead-system:roadstead"}),
        },
        Trust {
            file: "sagemaker/trust-pod-identity.json",
            principal: json!({"Service": "pods.eks.amazonaws.com"}),
            actions: &["sts:AssumeRole", "sts:TagSession"],
            // An association of EKS names the account and the service account.
            conditions: json!({}),
        },
    ]
}

/// Files that other tests hold to the calls made.
const HELD_TO_CALLS: [&str; 14] = [
    "azureml/role.json",
    "azureopenai/gateway-role.json",
    "azureopenai/role.json",
    "baseten/key.json",
    "bedrock/gateway-policy.json",
    "bedrock/import-policy.json",
    "bedrock/policy.json",
    "bedrock/throughput-policy.json",
    "digitalocean/token.json",
    "huggingface/token.json",
    "sagemaker/gateway-policy.json",
    "sagemaker/policy.json",
    "vertex/gateway-role.yaml",
    "vertex/role.yaml",
];

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/providers"))
}

/// The one statement of a file.
pub fn statement(file: &str) -> anyhow::Result<Value> {
    let policy: Value = serde_json::from_slice(&std::fs::read(folder().join(file))?)?;
    let statements = policy["Statement"].as_array().with_context(|| format!("{file} has statements"))?;
    ensure!(statements.len() == 1, "{file} has {} statements", statements.len());
    let statement = &statements[0];
    ensure!(statement["Effect"] == "Allow", "{file}: {statement}");
    ensure!(statement["NotAction"].is_null() && statement["NotPrincipal"].is_null(), "{file}: {statement}");
    Ok(statement.clone())
}

/// Actions of a statement, which are one text or a list.
pub fn actions(statement: &Value) -> BTreeSet<&str> {
    let one = statement["Action"].as_str();
    one.into_iter().chain(statement["Action"].as_array().into_iter().flatten().filter_map(Value::as_str)).collect()
}

/// Each role trusts exactly its user, under conditions that leave out everybody else.
pub async fn roles_trust_their_users_alone() -> anyhow::Result<()> {
    for Trust { file, principal, actions: expected, conditions } in trusts() {
        let statement = statement(file)?;
        ensure!(statement["Principal"] == principal, "{file} trusts {}", statement["Principal"]);
        let granted = actions(&statement);
        ensure!(granted == expected.iter().copied().collect(), "{file} allows {granted:?}");
        let compared = statement["Condition"].as_object().cloned().unwrap_or_default();
        let operators: Vec<&String> = compared.keys().collect();
        let exact = operators.iter().all(|operator| ["StringEquals", "ArnEquals"].contains(&operator.as_str()));
        ensure!(exact, "{file} compares by {operators:?}");
        let keys = compared.values().filter_map(Value::as_object).flatten();
        let found: Value =
            keys.map(|(key, value)| (key.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into();
        ensure!(found == conditions, "{file} demands {found}");
    }
    Ok(())
}

/// A new file is not forgotten.
pub async fn every_file_with_rights_is_held_by_a_test() -> anyhow::Result<()> {
    let mut shipped = BTreeSet::new();
    for provider in std::fs::read_dir(folder())? {
        let provider = provider?;
        for file in std::fs::read_dir(provider.path())? {
            let names = [provider.file_name(), file?.file_name()].map(|name| name.to_string_lossy().into_owned());
            shipped.insert(names.join("/"));
        }
    }
    let held: BTreeSet<String> =
        HELD_TO_CALLS.into_iter().chain(trusts().map(|trust| trust.file)).map(ToOwned::to_owned).collect();
    ensure!(shipped == held, "files {shipped:?}, of which tests hold {held:?}");
    Ok(())
}
