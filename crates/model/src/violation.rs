//! Violations: rules that a finished plan breaks.

use serde::{Deserialize, Serialize};

use crate::money::MicroDollars;

/// A rule that a finished plan breaks, with the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The endpoint or target that it is about.
    pub subject: String,
    /// The numbers, where there are any.
    pub numbers: Option<Numbers>,
}

impl Violation {
    /// Its severity, which is that of its rule.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.rule.severity()
    }
}

/// The consequence of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// The plan may be executed; a warning is logged.
    Warn,
    /// The plan must not be carried out.
    Refuse,
}

/// The number that a plan has, beside the one that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Numbers {
    /// A count.
    Count {
        /// The plan's.
        found: u64,
        /// The most that is allowed.
        allowed: u64,
    },
    /// A cost an hour.
    Cost {
        /// The plan's; `None` is unknown.
        found: Option<MicroDollars>,
        /// The cost that is allowed or expected; `None` is unknown.
        allowed: Option<MicroDollars>,
    },
}

/// Declares the rules once: the type, the list of all of them, their severities and their names.
macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $severity:ident,)*) => {
        /// Rules that every finished plan keeps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The rule's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The consequence of a violation.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }
        }
    };
}

rules! {
    /// An endpoint that a plan names exists and is the deployment's.
    KnownEndpoint Refuse,
    /// No endpoint is in more than one action.
    OneAction Refuse,
    /// No endpoint that served is removed before another endpoint serves.
    ReplaceBeforeRemove Refuse,
    /// A plan creates one endpoint at most, unless replicas are divided.
    OneCreation Refuse,
    /// Nothing is created beside another endpoint where that one is to be removed first.
    NeverTwo Refuse,
    /// A replacement replaces an active endpoint that stays meanwhile.
    ReplacesActive Refuse,
    /// The fleet replaces few endpoints at once.
    Pace Refuse,
    /// Few endpoints of one namespace are replaced at once by choice.
    NamespaceBudget Refuse,
    /// Few replacements at once go to one target.
    DestinationBudget Refuse,
    /// A requested move goes to the target that was named.
    MoveAsRequested Refuse,
    /// A deployment returns only to the target that a failover left, once that is stable.
    FailbackHome Refuse,
    /// Only an endpoint that a taint evicts is replaced because of a taint.
    EvictionByTaint Refuse,
    /// An endpoint that fails is replaced only if its deployment wants that.
    FailoverWanted Refuse,
    /// Only an endpoint that was ready and was seen to fail is replaced because it fails.
    FailoverOfFailing Refuse,
    /// An endpoint that fails is not replaced before its toleration ends.
    FailoverAfterToleration Refuse,
    /// No endpoint is replaced because it fails while no target answers.
    FailoverInContact Refuse,
    /// A suspended deployment changes nothing.
    Suspended Refuse,
    /// A first place is chosen when every target that could hold an endpoint has answered.
    InventoryFirst Refuse,
    /// Only what was found, and has no record, is adopted.
    AdoptsFound Refuse,
    /// An endpoint drains no longer than its deployment says, and at least until later.
    DrainTime Warn,
    /// A refusal is recorded where the endpoint was.
    RefusalWhereItWas Warn,

    /// Each endpoint that exists, is adopted or is created has one allocation, and nothing else has one.
    OneAllocation Refuse,
    /// An allocation has the target, slot and replicas that its step gives.
    AllocatedAsPlanned Refuse,
    /// An allocation has the role of its step: a removed endpoint drains, a replacement takes over, a standby stands by.
    RoleOfStep Refuse,
    /// One allocation serves at most, unless replicas are divided.
    OneServing Refuse,
    /// The deployment does not rely on an endpoint that does not serve while another one does.
    ServesFromReady Refuse,
    /// Requests are divided by replicas among what serves, and nothing else receives any.
    WeightOfRole Refuse,
    /// The phase of an allocation is that of its endpoint.
    PhaseOfFacts Warn,
    /// The revision is one more than the last published one if the endpoints that do not drain changed.
    RevisionOfSet Warn,

    /// Target, offer and shape of a new endpoint exist.
    PlaceExists Refuse,
    /// The target of a new endpoint, or of one that grows, lets the namespace in.
    NamespaceAllowed Refuse,
    /// Its labels match the target selector.
    SelectorMatches Refuse,
    /// Its cloud is allowed.
    CloudAllowed Refuse,
    /// Its region is allowed and not denied.
    RegionAllowed Refuse,
    /// It lies in one of the jurisdictions.
    JurisdictionAllowed Refuse,
    /// The capacity type of its offer is allowed.
    CapacityTypeAllowed Refuse,
    /// A new endpoint goes where its engine can run.
    EngineSupported Refuse,
    /// A new endpoint goes where its model's source can be loaded.
    SourceSupported Refuse,
    /// A new endpoint goes where the settings of its engine have an effect, or are left out.
    SettingsSupported Refuse,
    /// A new endpoint has no more replicas than its target runs of one endpoint.
    ReplicasSupported Refuse,
    /// A new endpoint goes where every taint is tolerated.
    TaintsTolerated Refuse,
    /// A new endpoint goes where the target can be used.
    TargetUsable Refuse,
    /// Placement, offer and shape have the same accelerators and capacity type.
    ShapeFits Refuse,
    /// A new endpoint has all replicas, or some of them where they are divided.
    AllReplicas Refuse,
    /// Parts have no more replicas together than are wanted.
    ReplicasOfAll Refuse,
    /// One endpoint at most stands by, with the replicas that are wanted.
    StandbyWanted Refuse,
    /// A new standby is in another failure domain than everything that serves.
    StandbyApart Refuse,
    /// Only a standby that serves takes over.
    PromotesReady Refuse,
    /// Endpoints that a plan creates or grows share no nodes.
    OwnNodes Refuse,
    /// A new endpoint has an unused slot.
    OwnSlot Refuse,
    /// Nothing is tried where it was refused.
    NotRefused Refuse,
    /// Replicas that are added find room, wherever pods that are not bound yet end up.
    Room Refuse,
    /// Replicas that are added stay within the offer's `maxInstances`.
    MaxInstances Refuse,
    /// A new endpoint is priced as its offer is.
    CostOfOffer Refuse,
    /// Replicas that are added cost no more than the budget, and their price is known where there is one.
    WithinBudget Refuse,

    /// No endpoint that is on its way out is kept.
    KeepsActive Refuse,
    /// No endpoint gets more replicas than are wanted.
    NoMoreThanWanted Refuse,
    /// Pods follow the spec only where the spec still fits the endpoint.
    PodsFollowSpec Refuse,
    /// The cost of an endpoint that stays is that of its offer, or the last one known.
    CostOfKept Warn,
}
