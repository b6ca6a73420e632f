//! Sentences about a plan: verdicts, findings, waits, summaries and violations.

use roadstead_explain as explain;
use roadstead_model::{
    Accelerator, Amount, Candidate, CapacityType, Choice, Comparison, Effect, EngineSetting, Excess, Finding,
    FreeAccelerators, Instances, Label, LabelSelector, LackOfRoom, LargestFit, LeftOut, Limit, MicroDollars, Mismatch,
    MissingAccelerator, NoNodes, Nowhere, Numbers, Offer, OfferTrouble, Outage, OverBudget, PartSummary, Placed,
    Placement, Preferred, Price, Reason, Refusal, RegionRule, Rejection, Remarks, ReplacementBudget, Rule, Shifting,
    Shortage, SpecChange, Summary, Taint, TargetTrouble, Throughput, Timestamp, Unaffordable, Unpriced, Unsupported,
    Unusable, Verdict, Violation, Wait,
};
use serde_json::json;

use super::every;

fn usd(dollars: &str) -> Option<MicroDollars> {
    MicroDollars::parse(dollars).ok()
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn set<T: Ord + From<&'static str>>(items: &[&'static str]) -> std::collections::BTreeSet<T> {
    items.iter().map(|item| T::from(*item)).collect()
}

fn noon() -> Timestamp {
    Timestamp(1_785_585_600)
}

fn h100(count: u32) -> Accelerator {
    Accelerator { kind: text("H100"), count }
}

fn label(key: &str, value: &str) -> Label {
    serde_json::from_value(json!({"key": key, "value": value})).unwrap()
}

fn offer() -> Offer {
    Offer {
        name: text("a3"),
        instance_type: text("a3-highgpu-8g"),
        accelerator: Some(h100(8)),
        capacity_type: CapacityType::OnDemand,
        price: usd("80").map(Price::per_instance_hour),
        max_instances: Some(4),
        sold_out: false,
        autoscaled: false,
        resource_name: text("nvidia.com/gpu"),
        node_selector: LabelSelector {
            match_labels: [(text("pool"), text("h100"))].into(),
            match_expressions: Vec::new(),
        },
        node_tolerations: Vec::new(),
    }
}

fn placement() -> Placement {
    Placement {
        target: text("east"),
        offer: text("a3"),
        shape: text("h100x2"),
        accelerator: h100(2),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        replicas: 2,
        replica_cost: usd("20"),
        hourly_cost: usd("40"),
    }
}

fn placed(feasible: u32) -> Placed {
    Placed { placement: placement(), others: Vec::new(), wanted: 2, feasible, candidates: 9 }
}

fn part() -> PartSummary {
    PartSummary { replicas: 2, shape: text("h100x2"), target: text("east"), offer: text("a3"), hourly_cost: usd("40") }
}

/// Two places for four of five replicas.
fn divided() -> Placed {
    let other = Placement { target: text("west"), slot: 1, ..placement() };
    Placed { others: vec![other], wanted: 5, ..placed(2) }
}

fn free(instances: Instances) -> FreeAccelerators {
    FreeAccelerators {
        offer: offer(),
        instances,
        besides_own: false,
        addable: 0,
        unbound: 0,
        left_out: Vec::new(),
        more_causes: 0,
        excess: None,
    }
}

fn all_rejected() -> Nowhere {
    Nowhere::AllRejected {
        replicas: 2,
        candidates: 4,
        reasons: vec![(Reason::OverBudget, 3), (Reason::InsufficientCapacity, 1)],
        largest_fit: Some(LargestFit { target: text("west"), offer: text("h100"), shape: text("h100x2"), replicas: 1 }),
    }
}

fn unaffordable() -> Unaffordable {
    Unaffordable { wanted: 4, cost: usd("80"), budget: usd("50"), held: 2 }
}

fn policy() -> Finding {
    Finding::PolicyViolated(Rejection::JurisdictionNotAllowed {
        region: text("us-east-1"),
        found: set(&["US"]),
        wanted: set(&["EU"]),
    })
}

fn verdict(verdict: &Verdict) -> String {
    let cost = if matches!(verdict, Verdict::Rejected(_)) { usd("40") } else { None };
    explain::verdict(&Candidate {
        target: text("east"),
        cloud: text("aws"),
        region: text("us-east-1"),
        offer: Some(text("a3")),
        shape: text("h100x2"),
        hourly_cost: cost,
        verdict: verdict.clone(),
    })
}

/// The sections of the page.
pub fn sections() -> Vec<(&'static str, String)> {
    vec![
        ("Verdicts on candidates", verdicts()),
        ("Verdicts: rejections", rejections()),
        ("Verdicts: insufficient capacity", limits()),
        ("Nodes of an offer", nodes()),
        ("Findings about the place of an endpoint", findings()),
        ("Waits", waits()),
        ("Summaries of plans", summaries()),
        ("Rules that a finished plan breaks", violations()),
    ]
}

fn verdicts() -> String {
    let remarks = Remarks {
        preferred: Some(Preferred { name: text("gcp europe-west4"), premium_percent: 10 }),
        throughput: Some(Throughput { tokens_per_second: 1200, per_million: usd("4.63") }),
        reserved_without_price: true,
        ..Remarks::default()
    };
    let none = Remarks::default();
    let chosen = |cost, best_of, share, remarks: &Remarks| {
        Verdict::Chosen(Choice { cost, best_of, share, remarks: remarks.clone() })
    };
    let choice = |cost, best_of, remarks: &Remarks| chosen(cost, best_of, None, remarks);
    let other = |cost, chosen| Verdict::Feasible(Comparison { cost, chosen, remarks: Remarks::default() });
    every!(Verdict, verdict, {
        Verdict::Chosen(_) => [
            choice(usd("40"), None, &none),
            choice(usd("40"), Some(1), &none),
            choice(None, Some(3), &none),
            choice(usd("40"), Some(3), &none),
            chosen(usd("40"), None, Some((2, 5)), &none),
            choice(usd("0"), Some(3), &remarks),
            choice(None, Some(3), &Remarks { unpriced: Some(Unpriced::ByTokens), ..none.clone() }),
            choice(None, Some(3), &Remarks { charged_per_million: usd("0.60"), ..none.clone() }),
        ],
        Verdict::Feasible(_) => [
            other(usd("50"), usd("40")),
            other(usd("30"), usd("40")),
            other(usd("40"), usd("40")),
            other(usd("40"), None),
            other(None, usd("40")),
        ],
        Verdict::Rejected(_) => [Verdict::Rejected(Rejection::CloudNotAllowed { cloud: text("aws"), allowed: set(&["gcp"]) })],
    })
}

fn rejections() -> String {
    let say = explain::rejection;
    let pattern = |pattern: &str| serde_json::from_value(json!(pattern)).unwrap();
    let shortage = Shortage { wanted: 2, accelerator: h100(2), fits: 1, limit: Some(Limit::Together) };
    [
        every!(Rejection, say, {
            Rejection::NamespaceNotAllowed { .. } => [Rejection::NamespaceNotAllowed { target: text("east"), namespace: text("team-a") }],
            Rejection::SelectorMismatch(_) => [Rejection::SelectorMismatch(Mismatch::Expression)],
            Rejection::CloudNotAllowed { .. } => [Rejection::CloudNotAllowed { cloud: text("aws"), allowed: set(&["gcp", "azure"]) }],
            Rejection::RegionDenied { .. } => [Rejection::RegionDenied { region: text("us-east-1"), by: RegionRule::Denied(pattern("us-*")) }],
            Rejection::JurisdictionUnknown { .. } => [Rejection::JurisdictionUnknown { region: text("lab-1"), cloud: text("onprem") }],
            Rejection::JurisdictionNotAllowed { .. } => [Rejection::JurisdictionNotAllowed {
                region: text("us-east-1"), found: set(&["US"]), wanted: set(&["EU", "UK"]),
            }],
            Rejection::AcceleratorMissing(_) => [Rejection::AcceleratorMissing(MissingAccelerator::TooFew { instance: h100(4), wanted: 8 })],
            Rejection::CapacityTypeNotAllowed { .. } => [Rejection::CapacityTypeNotAllowed {
                found: CapacityType::Spot, allowed: [CapacityType::Reserved, CapacityType::OnDemand].into(),
            }],
            Rejection::ProviderUnsupported(_) => [Rejection::ProviderUnsupported(Unsupported::ScaleToZero)],
            Rejection::TaintNotTolerated(_) => [Rejection::TaintNotTolerated(Taint {
                key: text("maintenance"), value: text("july"), effect: Effect::NoPlacement,
            })],
            Rejection::OverBudget { .. } => [Rejection::OverBudget { cost: usd("40"), budget: usd("30") }],
            Rejection::PriceUnknown { .. } => [Rejection::PriceUnknown { cause: Unpriced::Missing, budget: usd("30") }],
            Rejection::TargetNotReady(_) => [Rejection::TargetNotReady(Unusable::WithoutInventory)],
            Rejection::EndpointFailing => [Rejection::EndpointFailing],
            Rejection::Exhausted(_) => [Rejection::Exhausted(Refusal::InThisPlan)],
            Rejection::InsufficientCapacity(_) => [Rejection::InsufficientCapacity(shortage.clone())],
        }),
        every!(Mismatch, |one: &Mismatch| say(&Rejection::SelectorMismatch(one.clone())), {
            Mismatch::Label { .. } => [
                Mismatch::Label { key: text("tier"), wanted: text("prod"), found: Some(text("test")) },
                Mismatch::Label { key: text("tier"), wanted: text("prod"), found: None },
            ],
            Mismatch::Expression => [Mismatch::Expression],
        }),
        every!(RegionRule, |one: &RegionRule| say(&Rejection::RegionDenied { region: text("us-east-1"), by: one.clone() }), {
            RegionRule::Denied(_) => [RegionRule::Denied(pattern("us-*"))],
            RegionRule::NotAllowed(_) => [RegionRule::NotAllowed(vec![pattern("eu-*"), pattern("europe-*")])],
        }),
        every!(MissingAccelerator, |one: &MissingAccelerator| say(&Rejection::AcceleratorMissing(one.clone())), {
            MissingAccelerator::TooFew { .. } => [MissingAccelerator::TooFew { instance: h100(4), wanted: 8 }],
            MissingAccelerator::PartOfInstance { .. } => [MissingAccelerator::PartOfInstance { instance: h100(8), wanted: 2 }],
            MissingAccelerator::NoOffer { .. } => [
                MissingAccelerator::NoOffer { kind: text("H100"), offered: set(&["A100-80GB", "L40S"]) },
                MissingAccelerator::NoOffer { kind: text("H100"), offered: set(&[]) },
            ],
        }),
        every!(Unsupported, |one: &Unsupported| say(&Rejection::ProviderUnsupported(one.clone())), {
            Unsupported::Engine { .. } => [Unsupported::Engine { engine: text("custom"), engines: set(&["vllm"]) }],
            Unsupported::Source { .. } => [Unsupported::Source { source: text("hf://example/llama"), sources: set(&["s3"]) }],
            Unsupported::Settings { .. } => [Unsupported::Settings {
                ignored: [EngineSetting::Args, EngineSetting::Revision].into(), target_type: text("Bedrock"),
            }],
            Unsupported::Replicas { .. } => [Unsupported::Replicas { wanted: 4, most: 1 }],
            Unsupported::ScaleToZero => [Unsupported::ScaleToZero],
            Unsupported::UpdateInPlace => [Unsupported::UpdateInPlace],
        }),
        every!(Unusable, |one: &Unusable| say(&Rejection::TargetNotReady(one.clone())), {
            Unusable::WithoutInventory => [Unusable::WithoutInventory],
            Unusable::Since { .. } => [Unusable::Since { since: noon(), reason: text("Unreachable") }],
        }),
        every!(Unpriced, |cause: &Unpriced| say(&Rejection::PriceUnknown { cause: *cause, budget: usd("30") }), {
            Unpriced::Missing => [Unpriced::Missing],
            Unpriced::Unreadable => [Unpriced::Unreadable],
            Unpriced::Expired { .. } => [Unpriced::Expired { at: noon() }],
            Unpriced::ByTokens => [Unpriced::ByTokens],
            Unpriced::NoAccelerators => [Unpriced::NoAccelerators],
        }),
        every!(Refusal, |one: &Refusal| say(&Rejection::Exhausted(one.clone())), {
            Refusal::Recorded { .. } => [Refusal::Recorded {
                accelerators: 2, kind: text("H100"), reason: text("CapacityExhausted"), attempts: 2, until: noon(),
            }],
            Refusal::InThisPlan => [Refusal::InThisPlan],
            Refusal::Unschedulable => [Refusal::Unschedulable],
        }),
    ]
    .concat()
}

fn limits() -> String {
    let shortage = |limit: &Limit| {
        explain::rejection(&Rejection::InsufficientCapacity(Shortage {
            wanted: 2,
            accelerator: h100(2),
            fits: 1,
            limit: Some(limit.clone()),
        }))
    };
    let gib = 1_u64 << 30;
    let all = FreeAccelerators {
        besides_own: true,
        addable: 2,
        unbound: 1,
        left_out: vec![(LeftOut::NotSchedulable, 2)],
        more_causes: 1,
        excess: Some(Excess { nodes: 1, devices: 16 }),
        ..free(Instances::Nodes { free: 3, nodes: 4 })
    };
    [
        every!(Limit, shortage, {
            Limit::SoldOut { .. } => [Limit::SoldOut { instance_type: text("p5.48xlarge") }],
            Limit::MaxInstances { .. } => [Limit::MaxInstances { instances: 4, accelerators: 32, kind: text("H100"), held: 30 }],
            Limit::Accelerators(_) => [Limit::Accelerators(Box::new(all.clone()))],
            Limit::Memory(_) => [Limit::Memory(Amount { wanted: 64 * gib, free: 23 * gib + gib / 2 })],
            Limit::Cpu(_) => [Limit::Cpu(Amount { wanted: 8_000, free: 7_500 })],
            Limit::EphemeralStorage(_) => [Limit::EphemeralStorage(Amount { wanted: 64 * gib, free: 10 * gib })],
            Limit::Together => [Limit::Together],
        }),
        every!(Instances, |one: &Instances| shortage(&Limit::Accelerators(Box::new(free(one.clone())))), {
            Instances::MayBeMade(_) => [Instances::MayBeMade(2)],
            Instances::NoneShown => [Instances::NoneShown],
            Instances::None(_) => [Instances::None(NoNodes::NoDevices)],
            Instances::Nodes { .. } => [Instances::Nodes { free: 3, nodes: 4 }],
        }),
    ]
    .concat()
}

fn nodes() -> String {
    let product = || label("nvidia.com/gpu.product", "NVIDIA-A100-SXM4-80GB");
    let left_out =
        |one: &LeftOut| format!("{}. {}", explain::left_out(one, 1, &offer()), explain::left_out(one, 3, &offer()));
    let unknown = explain::unknown_product(&label("nvidia.com/gpu.product", "NVIDIA-X"), 2, &offer());
    [
        every!(LeftOut, left_out, {
            LeftOut::OtherAccelerator { .. } => [LeftOut::OtherAccelerator { label: product(), kind: text("A100-80GB") }],
            LeftOut::Slice(_) => [LeftOut::Slice(label("nvidia.com/mig.strategy", "single"))],
            LeftOut::Shared(_) => [LeftOut::Shared(label("nvidia.com/gpu.replicas", "4"))],
            LeftOut::OtherCapacityType(_) => [LeftOut::OtherCapacityType(label("cloud.google.com/gke-spot", "true"))],
            LeftOut::NoDevices => [LeftOut::NoDevices],
            LeftOut::Tainted { .. } => [LeftOut::Tainted { key: text("dedicated"), value: text("ml"), effect: Effect::NoSchedule }],
            LeftOut::NotSchedulable => [LeftOut::NotSchedulable],
        }),
        every!(NoNodes, |one: &NoNodes| explain::no_nodes(*one, &offer()), {
            NoNodes::NoDevices => [NoNodes::NoDevices],
            NoNodes::OtherLabels { .. } => [NoNodes::OtherLabels { having: 3 }],
        }),
        super::line("UnknownProduct", &unknown),
        super::line("ExcessDevices", &explain::excess(&Excess { nodes: 2, devices: 16 }, &offer())),
    ]
    .concat()
}

fn outage() -> Outage {
    Outage { endpoint: text("llama-3pqmby4hdiu7"), target: text("east"), since: noon(), until: noon().plus(60) }
}

fn findings() -> String {
    let say = explain::finding;
    [
        every!(Finding, say, {
            Finding::PolicyViolated(_) => [policy()],
            Finding::SpecChanged(_) => [Finding::SpecChanged(SpecChange::ShapeGone { shape: text("h100x2") })],
            Finding::TargetEvicted { .. } => [Finding::TargetEvicted { target: text("east"), taint: Taint {
                key: text("maintenance"), value: text("july"), effect: Effect::Evict,
            } }],
            Finding::FailedBack { .. } => [Finding::FailedBack { to: text("west"), since: noon() }],
            Finding::MoveRequested { .. } => [Finding::MoveRequested { to: text("west") }],
            Finding::TargetLost(_) => [Finding::TargetLost(outage())],
            Finding::EndpointFailing(_) => [Finding::EndpointFailing(outage())],
            Finding::TargetNotReady(_) => [Finding::TargetNotReady(TargetTrouble::Gone { target: text("east") })],
            Finding::OverBudget(_) => [Finding::OverBudget(OverBudget::AsItIs { cost: usd("40"), budget: usd("30") })],
            Finding::PriceUnknown(_) => [Finding::PriceUnknown(Unaffordable { cost: None, ..unaffordable() })],
            Finding::InsufficientCapacity(_) => [Finding::InsufficientCapacity(LackOfRoom::Unschedulable {
                target: text("east"), bound: 1, replicas: 2,
            })],
            Finding::ProviderUnsupported { .. } => [Finding::ProviderUnsupported { target: text("east"), wanted: 4, most: 1, held: 1 }],
            Finding::OfferGone(_) => [Finding::OfferGone(OfferTrouble::Gone { target: text("east"), offer: text("a3") })],
            Finding::StartupTimeout { .. } => [Finding::StartupTimeout { ended: noon() }],
        }),
        every!(SpecChange, |one: &SpecChange| say(&Finding::SpecChanged(one.clone())), {
            SpecChange::ShapeGone { .. } => [SpecChange::ShapeGone { shape: text("h100x2") }],
            SpecChange::Accelerator { .. } => [SpecChange::Accelerator { shape: text("h100x2"), wanted: h100(4), found: h100(2) }],
            SpecChange::Settings { .. } => [SpecChange::Settings {
                target: text("bedrock"), ignored: [EngineSetting::Args].into(),
            }],
            SpecChange::InPlace { .. } => [SpecChange::InPlace { target: text("gke-eu") }],
            SpecChange::Engine { .. } => [SpecChange::Engine { wanted: text("custom"), found: text("vllm") }],
        }),
        every!(TargetTrouble, |one: &TargetTrouble| say(&Finding::TargetNotReady(one.clone())), {
            TargetTrouble::Gone { .. } => [TargetTrouble::Gone { target: text("east") }],
            TargetTrouble::Unusable(_) => [TargetTrouble::Unusable(Unusable::Since {
                since: noon(), reason: text("Unreachable"),
            })],
        }),
        every!(OverBudget, |one: &OverBudget| say(&Finding::OverBudget(one.clone())), {
            OverBudget::AsItIs { .. } => [OverBudget::AsItIs { cost: usd("40"), budget: usd("30") }],
            OverBudget::Grown(_) => [OverBudget::Grown(unaffordable())],
        }),
        every!(LackOfRoom, |one: &LackOfRoom| say(&Finding::InsufficientCapacity(one.clone())), {
            LackOfRoom::Growth { .. } => [
                LackOfRoom::Growth {
                    replicas: Some(4), target: text("east"), offer: text("a3"), held: 2,
                    limit: Some(Limit::Accelerators(Box::new(free(Instances::Nodes { free: 1, nodes: 2 })))),
                },
                LackOfRoom::Growth { replicas: None, target: text("east"), offer: text("a3"), held: 2, limit: None },
            ],
            LackOfRoom::Unschedulable { .. } => [LackOfRoom::Unschedulable { target: text("east"), bound: 1, replicas: 2 }],
        }),
        every!(OfferTrouble, |one: &OfferTrouble| say(&Finding::OfferGone(one.clone())), {
            OfferTrouble::Gone { .. } => [OfferTrouble::Gone { target: text("east"), offer: text("a3") }],
            OfferTrouble::Smaller { .. } => [OfferTrouble::Smaller {
                target: text("east"), offer: text("a3"), instances: 1, allowed: 8, held: 16,
            }],
        }),
    ]
    .concat()
}

fn waits() -> String {
    let endpoint = || text("llama-3pqmby4hdiu7");
    every!(Wait, explain::wait, {
        Wait::Inventory { .. } => [
            Wait::Inventory { targets: 1, overdue: vec![] },
            Wait::Inventory { targets: 3, overdue: vec![text("east"), text("west")] },
        ],
        Wait::Feasible => [Wait::Feasible],
        Wait::ReplacementLimit { .. } => [
            Wait::ReplacementLimit { budget: ReplacementBudget::Fleet, under_way: 5, limit: 5 },
            Wait::ReplacementLimit {
                budget: ReplacementBudget::Namespace { namespace: text("team-a") }, under_way: 1, limit: 1,
            },
            Wait::ReplacementLimit {
                budget: ReplacementBudget::Destination { target: text("west") }, under_way: 2, limit: 2,
            },
        ],
        Wait::HubContact { .. } => [Wait::HubContact { endpoint: endpoint() }],
        Wait::Readiness { .. } => [Wait::Readiness { endpoint: endpoint() }],
        Wait::Verification { .. } => [Wait::Verification { endpoint: endpoint() }],
        Wait::Shift { .. } => [Wait::Shift { endpoint: endpoint(), step: Shifting { percent: 10, until: noon() } }],
        Wait::Publication { .. } => [Wait::Publication { endpoint: endpoint() }],
        Wait::DrainDeadline { .. } => [Wait::DrainDeadline { endpoint: endpoint(), deadline: noon() }],
        Wait::Successor { .. } => [Wait::Successor { endpoint: endpoint() }],
        Wait::LowerPriority { .. } => [Wait::LowerPriority {
            target: text("east"), offer: text("a3"), held_by: vec![text("batch"), text("demo")], others: 1,
        }],
        Wait::Removal { .. } => [Wait::Removal { endpoint: endpoint(), target: text("east") }],
        Wait::Target { .. } => [Wait::Target { target: text("east") }],
        Wait::StandbyPlace { .. } => [
            Wait::StandbyPlace { replicas: 1, nowhere: None },
            Wait::StandbyPlace { replicas: 2, nowhere: Some(all_rejected()) },
        ],
    })
}

fn summaries() -> String {
    let (endpoint, target) = (|| text("llama-3pqmby4hdiu7"), || text("east"));
    [
        every!(Summary, explain::summary, {
            Summary::ScaledToZero => [Summary::ScaledToZero],
            Summary::CannotStayEmpty { .. } => [Summary::CannotStayEmpty { endpoint: endpoint(), target: target() }],
            Summary::GivesUpItsPlace { .. } => [Summary::GivesUpItsPlace { endpoint: endpoint(), target: target() }],
            Summary::KeepsItsPlace { .. } => [Summary::KeepsItsPlace { endpoint: endpoint(), target: target() }],
            Summary::AwaitsInventory { .. } => [Summary::AwaitsInventory { targets: 2, overdue: vec![text("west")] }],
            Summary::Placed(_) => [Summary::Placed(placed(1)), Summary::Placed(placed(3)), Summary::Placed(divided())],
            Summary::Nowhere(_) => [Summary::Nowhere(all_rejected())],
            Summary::Adopts { .. } => [Summary::Adopts { endpoint: endpoint(), target: target(), ready_replicas: 1, replicas: 2 }],
            Summary::Suspended => [Summary::Suspended],
            Summary::Stays { .. } => [Summary::Stays {
                replicas: 2, shape: text("h100x2"), target: target(), offer: text("a3"), hourly_cost: usd("40"),
                findings: vec![Finding::OverBudget(OverBudget::AsItIs { cost: usd("40"), budget: usd("30") })],
            }],
            Summary::Divided { .. } => [
                Summary::Divided { parts: vec![part()], placed: Some(divided()), wanted: 7, nowhere: None },
                Summary::Divided { parts: vec![part()], placed: None, wanted: 7, nowhere: Some(all_rejected()) },
            ],
            Summary::IsReplaced { .. } => [Summary::IsReplaced {
                endpoint: endpoint(), target: target(), by: text("llama-q9dq9dq9dq9d"), to: text("west"),
            }],
            Summary::AwaitsItsTurn { .. } => [Summary::AwaitsItsTurn { endpoint: endpoint(), target: target(), why: Some(policy()) }],
            Summary::Replaces { .. } => [Summary::Replaces {
                endpoint: endpoint(), target: target(), why: Some(policy()), placed: placed(2),
            }],
            Summary::Promotes { .. } => [Summary::Promotes {
                endpoint: endpoint(), target: target(), why: Some(policy()), standby: text("llama-q9dq9dq9dq9d"), to: text("west"),
            }],
            Summary::RemovesFirst { .. } => [Summary::RemovesFirst { endpoint: endpoint(), target: target(), why: Some(policy()) }],
            Summary::CannotRemoveFirst { .. } => [Summary::CannotRemoveFirst { endpoint: endpoint(), target: target(), why: Some(policy()) }],
            Summary::AwaitsRemoval { .. } => [Summary::AwaitsRemoval { endpoint: endpoint(), target: target() }],
            Summary::HasNoReplacement { .. } => [Summary::HasNoReplacement {
                endpoint: endpoint(), target: target(), why: Some(policy()), nowhere: all_rejected(),
            }],
        }),
        every!(Nowhere, |one: &Nowhere| explain::summary(&Summary::Nowhere(one.clone())), {
            Nowhere::NoTarget => [Nowhere::NoTarget],
            Nowhere::NoSuchTarget { .. } => [Nowhere::NoSuchTarget { target: text("west"), namespace: text("team-a") }],
            Nowhere::NoneForNamespace { .. } => [
                Nowhere::NoneForNamespace { namespace: text("team-a"), targets: 1 },
                Nowhere::NoneForNamespace { namespace: text("team-a"), targets: 3 },
            ],
            Nowhere::AllRejected { .. } => [all_rejected()],
        }),
    ]
    .concat()
}

fn violations() -> String {
    let broken = |rule: Rule| {
        let numbers = match rule {
            Rule::WithinBudget => Some(Numbers::Cost { found: usd("40"), allowed: usd("30") }),
            Rule::Pace | Rule::NamespaceBudget | Rule::DestinationBudget => {
                Some(Numbers::Count { found: 6, allowed: 5 })
            }
            _ => None,
        };
        explain::violation(&Violation { rule, subject: text("llama-3pqmby4hdiu7"), numbers })
    };
    Rule::ALL.iter().map(|rule| super::line(rule.as_str(), &broken(*rule))).collect()
}
