//! Messages of conditions and events, and those of the operator.

use roadstead_explain::deployment::{downtime, places, releasing, replicas_differ, shape_differs};
use roadstead_explain::operator::with_hub_cure;
use roadstead_explain::orphans::orphan;
use roadstead_explain::target::offer_remark;
use roadstead_explain::{
    DeploymentEvent, DeploymentMessage, EndpointAt, EndpointEvent, EndpointMessage, GoogleKeyFault, Hold,
    HostedMessage, MoveMessage, OperatorMessage, OrphanEvent, OrphanMessage, PlaceSummary, RefusedSize, StartLimit,
    SweepMessage, TargetMessage, hosted_model,
};
use roadstead_model::{CapacityType, DeploymentId, Found, MicroDollars, Timestamp};

use super::{every, line};

fn usd(dollars: u64) -> MicroDollars {
    MicroDollars(dollars * 1_000_000)
}

fn place() -> PlaceSummary<'static> {
    PlaceSummary {
        replicas: 2,
        shape: "h100x2",
        target: "east",
        cloud: "gcp",
        region: "europe-west4",
        offer: "a3",
        capacity_type: CapacityType::OnDemand,
        cost: Some(usd(40)),
    }
}

/// The sections of the page.
pub fn sections() -> Vec<(&'static str, String)> {
    vec![
        ("Conditions of a ModelDeployment", deployment()),
        ("Hosted models of a ModelDeployment", hosted()),
        ("Moves of a ModelDeployment", moves()),
        ("Events about a ModelDeployment", deployment_events()),
        ("Conditions of an InferenceEndpoint", endpoint()),
        ("Events about an InferenceEndpoint", endpoint_events()),
        ("Conditions of a ServingTarget", target()),
        ("Orphans", orphans()),
        ("The operator", operator()),
    ]
}

fn hosted() -> String {
    let models = [hosted_model("gpt-4o-mini", "openai")];
    let offered = ["gpt-4o-mini".to_owned(), "gpt-4o".to_owned()];
    let causes = ["target openai does not exist; create it, or correct spec.failover.hosted".to_owned()];
    every!(HostedMessage<'_>, ToString::to_string, {
        HostedMessage::NoGateway => [HostedMessage::NoGateway],
        HostedMessage::TargetMissing { .. } => [HostedMessage::TargetMissing { target: "openai" }],
        HostedMessage::NoVendor { .. } => [HostedMessage::NoVendor { target: "east" }],
        HostedMessage::DriverMissing => [HostedMessage::DriverMissing],
        HostedMessage::ModelNotOffered { .. } => [HostedMessage::ModelNotOffered { target: "openai", model: "o9", offered: &offered }],
        HostedMessage::PriceUnknown { .. } => [HostedMessage::PriceUnknown { target: "openai", model: "gpt-4o" }],
        HostedMessage::Forbidden { .. } => [
            HostedMessage::Forbidden { target: "openai", rule: "region us is in US; the deployment allows EU" }
        ],
        HostedMessage::NoKey { .. } => [
            HostedMessage::NoKey { target: "openai", cause: "Secret system/openai does not exist; create it with a token under key \"apiKey\"" }
        ],
        HostedMessage::Serving(_) => [HostedMessage::Serving(&models)],
        HostedMessage::CeilingReached(_) => [HostedMessage::CeilingReached(&models)],
        HostedMessage::StandBy(_) => [HostedMessage::StandBy(&models)],
        HostedMessage::Unavailable(_) => [HostedMessage::Unavailable(&causes)],
    })
}

fn deployment() -> String {
    let missing =
        [replicas_differ(4, 2), shape_differs("h100x2", true), shape_differs("h100x2", false), "image".to_owned()];
    let (cost, budget) = (usd(40), usd(50));
    [
        every!(DeploymentMessage<'_>, ToString::to_string, {
            DeploymentMessage::Deleting => [DeploymentMessage::Deleting],
            DeploymentMessage::SuspendedAtZero => [DeploymentMessage::SuspendedAtZero],
            DeploymentMessage::SuspendedUnplaced(_) => [DeploymentMessage::SuspendedUnplaced(2)],
            DeploymentMessage::SuspendedEdit(_) => [DeploymentMessage::SuspendedEdit(&missing)],
            DeploymentMessage::SuspendedReady => [DeploymentMessage::SuspendedReady],
            DeploymentMessage::SuspendedUnready { .. } => [
                DeploymentMessage::SuspendedUnready { reason: "CrashLoop", message: "engine ended with exit code 1" }
            ],
            DeploymentMessage::StandbyReady(_) => [DeploymentMessage::StandbyReady(place())],
            DeploymentMessage::StandbyUnready { .. } => [DeploymentMessage::StandbyUnready {
                endpoint: "llama-q9dq9dq9dq9d", reason: "Starting", message: "0 of 2 replicas ready",
            }],
            DeploymentMessage::StandbyLater => [DeploymentMessage::StandbyLater],
            DeploymentMessage::StandbyWithoutGateway => [DeploymentMessage::StandbyWithoutGateway],
            DeploymentMessage::SuspendedRollingOut => [DeploymentMessage::SuspendedRollingOut],
            DeploymentMessage::RollingOut => [DeploymentMessage::RollingOut],
            DeploymentMessage::Replacement { .. } => [DeploymentMessage::Replacement {
                endpoint: "llama-q9dq9dq9dq9d", reason: "Starting", message: "0 of 2 replicas are available",
            }],
            DeploymentMessage::Cost { .. } => [DeploymentMessage::Cost { cost, budget }],
            DeploymentMessage::CostUnknown(_) => [DeploymentMessage::CostUnknown(budget)],
        }),
        line(
            "Placed",
            &places(
                [place()],
                [PlaceSummary { target: "west", cost: None, ..place() }],
                [PlaceSummary { target: "north", ..place() }],
            ),
        ),
    ]
    .concat()
}

fn moves() -> String {
    let (old, new) = (
        EndpointAt { endpoint: "llama-3pqmby4hdiu7", target: "east" },
        EndpointAt { endpoint: "llama-q9dq9dq9dq9d", target: "west" },
    );
    every!(MoveMessage<'_>, ToString::to_string, {
        MoveMessage::Surge(_) => [MoveMessage::Surge(new)],
        MoveMessage::Verify(_) => [MoveMessage::Verify(new)],
        MoveMessage::Shift { .. } => [
            MoveMessage::Shift { new, old, percent: None }, MoveMessage::Shift { new, old, percent: Some(10) },
        ],
        MoveMessage::Drain(_) => [MoveMessage::Drain(old)],
        MoveMessage::Remove(_) => [MoveMessage::Remove(old)],
    })
}

fn deployment_events() -> String {
    let why = "InitialPlacement: costs $40.00/h, the best of 3 feasible places";
    let moved =
        |drains| DeploymentEvent::Moved { from: "east", to: "west", was: Some(usd(40)), is: Some(usd(50)), drains };
    [
        every!(DeploymentEvent<'_>, ToString::to_string, {
            DeploymentEvent::Placed { .. } => [DeploymentEvent::Placed { place: place(), why }],
            DeploymentEvent::Adopted(_) => [DeploymentEvent::Adopted(place())],
            DeploymentEvent::NoCallers { .. } => [
                DeploymentEvent::NoCallers { namespace: "team-a", secret: "llama-callers" }
            ],
            DeploymentEvent::Moving { .. } => [
                DeploymentEvent::Moving { from: "west", paid: Some(usd(30)), place: place(), why: "SpecChanged: shape a was removed" }
            ],
            DeploymentEvent::Moved { .. } => [moved(None), moved(Some(("llama-3pqmby4hdiu7", "2026-08-01T12:00:00Z")))],
            DeploymentEvent::Scaled { .. } => [
                DeploymentEvent::Scaled { from: 1, to: 2, target: "east", was: Some(usd(20)), is: Some(usd(40)) }
            ],
            DeploymentEvent::Withdrawn { .. } => [DeploymentEvent::Withdrawn {
                endpoint: "llama-3pqmby4hdiu7", target: "east", why: "CapacityExhausted: the cluster has no room",
            }],
        }),
        line("Deleting", &format!("{}: {}", DeploymentMessage::Deleting, releasing("llama-3pqmby4hdiu7", "east", Some(usd(40))))),
        line("Ready", &format!("2 replicas answer at http://192.0.2.1:8000{}", downtime(95, "TargetNotReady"))),
    ]
    .concat()
}

fn endpoint() -> String {
    let fields: Vec<String> = (1..=10).map(|number| format!("spec.field{number}")).collect();
    let (namespace, name) = ("team-a", "hf-token");
    let late = |provision| EndpointMessage::StartupTimeout {
        limit: StartLimit { startup: 1200, provision },
        reason: "Starting",
        message: "0 of 2 replicas are available",
    };
    every!(EndpointMessage<'_>, ToString::to_string, {
        EndpointMessage::TargetUnusable { .. } => [EndpointMessage::TargetUnusable { target: "east", reason: "Unreachable" }],
        EndpointMessage::Isolated { .. } => [EndpointMessage::Isolated { target: "east", reason: "Unreachable" }],
        EndpointMessage::TargetLost { .. } => [EndpointMessage::TargetLost { target: "east", reason: "Unreachable" }],
        EndpointMessage::HubIsolated { .. } => [EndpointMessage::HubIsolated { target: "east" }],
        EndpointMessage::TargetMissing(_) => [EndpointMessage::TargetMissing("east")],
        EndpointMessage::DeploymentMissing { .. } => [EndpointMessage::DeploymentMissing { name: "llama", uid: "0b9e6f4e" }],
        EndpointMessage::DeploymentDeleting(_) => [EndpointMessage::DeploymentDeleting("llama")],
        EndpointMessage::GoneWhileDraining(_) => [EndpointMessage::GoneWhileDraining("east")],
        EndpointMessage::TargetForbidden { .. } => [
            EndpointMessage::TargetForbidden { target: "east", rule: "JurisdictionNotAllowed" }
        ],
        EndpointMessage::SecretMissing { .. } => [EndpointMessage::SecretMissing { namespace, name }],
        EndpointMessage::SecretKeyMissing { .. } => [EndpointMessage::SecretKeyMissing { namespace, name, key: "TOKEN" }],
        EndpointMessage::SecretsTooLarge { .. } => [EndpointMessage::SecretsTooLarge { limit: 512, namespace, name }],
        EndpointMessage::KeyNameTaken { .. } => [EndpointMessage::KeyNameTaken { namespace: "team-a", name: "llama-key" }],
        EndpointMessage::KeyInvalid { .. } => [EndpointMessage::KeyInvalid { namespace: "team-a", name: "llama-key", field: "apiKey" }],
        EndpointMessage::NotListed => [EndpointMessage::NotListed],
        EndpointMessage::ScaledToZero => [EndpointMessage::ScaledToZero],
        EndpointMessage::Answers { .. } => [
            EndpointMessage::Answers { replicas: 1, url: "http://192.0.2.1:8000" },
            EndpointMessage::Answers { replicas: 2, url: "http://192.0.2.1:8000" },
        ],
        EndpointMessage::AtGateways { .. } => [
            EndpointMessage::AtGateways { url: "http://192.0.2.1:8000", why: "http://192.0.2.1:8000/v1 did not answer within 5 s" }
        ],
        EndpointMessage::NotAtGateways { .. } => [EndpointMessage::NotAtGateways { url: "http://192.0.2.1:8000" }],
        EndpointMessage::WithoutToken { .. } => [EndpointMessage::WithoutToken { url: "https://runtime.example/endpoints/a" }],
        EndpointMessage::AwaitingGateways { .. } => [EndpointMessage::AwaitingGateways { url: "http://192.0.2.1:8000" }],
        EndpointMessage::Interrupting { .. } => [
            EndpointMessage::Interrupting { target: "east", deadline: "2026-03-05T12:02:00Z" }
        ],
        EndpointMessage::NotProtected => [EndpointMessage::NotProtected],
        EndpointMessage::NoAddress => [EndpointMessage::NoAddress],
        EndpointMessage::StartupTimeout { .. } => [late(None), late(Some(600))],
        EndpointMessage::ChangedByAdmission { .. } => [EndpointMessage::ChangedByAdmission { target: "east", fields: &fields }],
        EndpointMessage::OtherCluster(_) => [EndpointMessage::OtherCluster("east")],
    })
}

fn endpoint_events() -> String {
    let (name, target, cost) = ("llama-3pqmby4hdiu7", "east", "$40.00/h");
    every!(EndpointEvent<'_>, ToString::to_string, {
        EndpointEvent::Overdue { .. } => [EndpointEvent::Overdue { message: "the target has assigned no address to the endpoint", seconds: 300 }],
        EndpointEvent::Removed { .. } => [EndpointEvent::Removed { name, target, cost }],
        EndpointEvent::RemovalDelayed { .. } => [
            EndpointEvent::RemovalDelayed { name, target, cost, error: "get deployment: no answer within 10 s" }
        ],
        EndpointEvent::Abandoned { .. } => [EndpointEvent::Abandoned { annotation: "roadstead.dev/abandon", target }],
    })
}

fn target() -> String {
    let users: Vec<String> = (1..=7).map(|number| format!("team-a/llama-{number}")).collect();
    let remarks: Vec<String> =
        (1..=8).map(|number| offer_remark(&format!("o{number}"), "2 nodes are cordoned or not ready")).collect();
    let (namespace, name, key) = ("roadstead", "east-kubeconfig", "kubeconfig");
    let refused = |only_for, attempts| RefusedSize {
        offer: "a3",
        accelerators: 2,
        only_for,
        attempts,
        reason: "CapacityExhausted",
        until: "2026-08-01T12:05:00Z",
    };
    [
        every!(TargetMessage<'_>, ToString::to_string, {
            TargetMessage::Connected => [TargetMessage::Connected],
            TargetMessage::Listing => [TargetMessage::Listing],
            TargetMessage::Unchecked => [TargetMessage::Unchecked],
            TargetMessage::Deleting(_) => [TargetMessage::Deleting(&[]), TargetMessage::Deleting(&users)],
            TargetMessage::NoCredentials => [TargetMessage::NoCredentials],
            TargetMessage::IdentityMalformed => [TargetMessage::IdentityMalformed],
            TargetMessage::IdentityChanged { .. } => [
                TargetMessage::IdentityChanged { found: "c81d4e2e", pinned: "7d444840", users: &users[..2] }
            ],
            TargetMessage::Duplicate { .. } => [TargetMessage::Duplicate { identity: "7d444840", older: "west" }],
            TargetMessage::ClaimedByOtherHub { .. } => [TargetMessage::ClaimedByOtherHub { hub: "9dc1a5f0", install_id: "prod" }],
            TargetMessage::DriverMissing { .. } => [TargetMessage::DriverMissing { type_: "VertexAI", feature: "vertex-ai" }],
            TargetMessage::SimulationDisabled => [TargetMessage::SimulationDisabled],
            TargetMessage::SettingsMissing { .. } => [TargetMessage::SettingsMissing { type_: "Kubernetes", field: "spec.kubernetes" }],
            TargetMessage::TokenSecretMissing { .. } => [TargetMessage::TokenSecretMissing { namespace: "system", name: "huggingface", key: "token" }],
            TargetMessage::TokenUnusable { .. } => [TargetMessage::TokenUnusable { namespace: "system", name: "huggingface", key: "token" }],
            TargetMessage::AwsSecretMissing { .. } => [TargetMessage::AwsSecretMissing { namespace: "system", name: "aws" }],
            TargetMessage::AzureSecretMissing { .. } => [TargetMessage::AzureSecretMissing { namespace: "system", name: "azure" }],
            TargetMessage::SecretEntryUnusable { .. } => [TargetMessage::SecretEntryUnusable { namespace: "system", name: "aws", entry: "AWS_ACCESS_KEY_ID" }],
            TargetMessage::GoogleSecretMissing { .. } => [TargetMessage::GoogleSecretMissing { namespace: "system", name: "google", key: "key.json" }],
            TargetMessage::GoogleKeyUnusable { .. } => [
                TargetMessage::GoogleKeyUnusable { namespace: "system", name: "google", key: "key.json", fault: GoogleKeyFault::Malformed },
                TargetMessage::GoogleKeyUnusable { namespace: "system", name: "google", key: "key.json", fault: GoogleKeyFault::Unusable },
                TargetMessage::GoogleKeyUnusable { namespace: "system", name: "google", key: "key.json", fault: GoogleKeyFault::OtherAddress }
            ],
            TargetMessage::SecretMissing { .. } => [TargetMessage::SecretMissing { namespace, name, key }],
            TargetMessage::SecretKeyMissing { .. } => [TargetMessage::SecretKeyMissing { namespace, name, key }],
            TargetMessage::ReadRefused(_) => [TargetMessage::ReadRefused(
                "DigitalOcean sizes: forbidden: You are not authorized to perform this operation; the credentials need the right dedicated_inference:read",
            )],
            TargetMessage::InventoryIncomplete(_) => [TargetMessage::InventoryIncomplete(
                "Deployments labelled roadstead.dev/install-id in namespace roadstead exceed 64 MiB, so the inventory is incomplete: \
                 delete those there that do not belong to Roadstead",
            )],
            TargetMessage::Attention(_) => [TargetMessage::Attention(&remarks)],
        }),
        line("Exhausted", &refused(None, 1).to_string()),
        line("Exhausted", &refused(Some("team-a/llama"), 2).to_string()),
    ]
    .concat()
}

fn orphans() -> String {
    let found = Found {
        name: "llama-3pqmby4hdiu7".to_owned(),
        id: "0b9e6f4e".to_owned(),
        deployment: DeploymentId { namespace: "team-a".to_owned(), name: "llama".to_owned() },
        target: "east".to_owned(),
        offer: "a3".to_owned(),
        shape: "h100x2".to_owned(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 2,
        runs: None,
        replicas: 2,
        ready_replicas: 2,
        created_at: Timestamp(1_785_585_600),
    };
    let names: Vec<String> =
        (1..=7).map(|number| orphan(&format!("llama-{number}"), "team-a/llama", Some(usd(20)))).collect();
    [
        every!(SweepMessage<'_>, ToString::to_string, {
            SweepMessage::NeverUnready(_) => [SweepMessage::NeverUnready("Unreachable")],
            SweepMessage::Never => [SweepMessage::Never],
            SweepMessage::StaleUnready(_) => [SweepMessage::StaleUnready("Unreachable")],
            SweepMessage::Stale => [SweepMessage::Stale],
        }),
        every!(OrphanMessage<'_>, ToString::to_string, {
            OrphanMessage::DeletionFailed(_) => [OrphanMessage::DeletionFailed("get deployment: no answer within 10 s")],
            OrphanMessage::Misplaced(_) => [OrphanMessage::Misplaced("west")],
            OrphanMessage::Held(_) => [OrphanMessage::Held(Hold::NoDeployments)],
        }),
        every!(Hold, |hold: &Hold| OrphanMessage::Held(*hold).to_string(), {
            Hold::NoDeployments => [Hold::NoDeployments],
            Hold::FewDeployments => [Hold::FewDeployments],
            Hold::MostlyUnknown => [Hold::MostlyUnknown],
        }),
        every!(OrphanEvent<'_>, ToString::to_string, {
            OrphanEvent::Appeared(_) => [OrphanEvent::Appeared(&names)],
            OrphanEvent::Gone => [OrphanEvent::Gone],
            OrphanEvent::Removed { .. } => [OrphanEvent::Removed { found: &found, cost: Some(usd(40)) }],
        }),
    ]
    .concat()
}

fn operator() -> String {
    let answer = "InferenceEndpoint is forbidden: exceeded quota";
    let (verb, object) = ("create", "InferenceEndpoint team-a/llama-3pqmby4hdiu7");
    let other = |theirs| OperatorMessage::OtherInstallation {
        endpoint: "team-a/llama-3pqmby4hdiu7",
        deployment: "llama-3pqmby4hdiu7",
        theirs,
        ours: "staging",
        label: "roadstead.dev/install-id",
    };
    let refused = OperatorMessage::WriteRefused { verb, object, answer };
    [
        every!(OperatorMessage<'_>, ToString::to_string, {
            OperatorMessage::Panicked => [OperatorMessage::Panicked],
            OperatorMessage::Unsound(_) => [OperatorMessage::Unsound("east: the target does not allow the namespace [NamespaceAllowed]")],
            OperatorMessage::WriteRefused { .. } => [refused],
            OperatorMessage::ReadRefused(_) => [OperatorMessage::ReadRefused("get secret: secrets is forbidden")],
            OperatorMessage::Stale(_) => [OperatorMessage::Stale("ModelDeployment team-a/llama")],
            OperatorMessage::NoRandomBytes(_) => [OperatorMessage::NoRandomBytes("getrandom: unsupported")],
            OperatorMessage::OtherInstallation { .. } => [other(Some("prod")), other(None)],
        }),
        line("HubRefused", &with_hub_cure(&refused.to_string())),
    ]
    .concat()
}
