//! Reasons of conditions and events: one constant each.

/// Everything is as it should be.
pub const READY: &str = "Ready";
/// The spec says something that cannot be.
pub const INVALID_SPEC: &str = "InvalidSpec";
/// Nothing is decided, because the deployment is suspended.
pub const SUSPENDED: &str = "Suspended";
/// It is being deleted.
pub const DELETING: &str = "Deleting";
/// It is scaled to zero on purpose.
pub const SCALED_TO_ZERO: &str = "ScaledToZero";
/// It has a place.
pub const PLACED: &str = "Placed";
/// The running endpoints are within the budget.
pub const WITHIN_BUDGET: &str = "WithinBudget";
/// The running endpoints exceed the budget.
pub const OVER_BUDGET: &str = "OverBudget";
/// The price of a running endpoint is unknown.
pub const PRICE_UNKNOWN: &str = "PriceUnknown";
/// The standby answers.
pub const STANDS_BY: &str = "StandsBy";
/// The standby is created when all replicas serve.
pub const AWAITING_REPLICAS: &str = "AwaitingReplicas";
/// No gateway could send requests to a standby.
pub const NO_GATEWAY: &str = "NoGateway";
/// Hosted models take requests, because no endpoint answers.
pub const HOSTED_SERVING: &str = "HostedServing";
/// Hosted models have reached their ceilings of cost.
pub const HOSTED_CEILING_REACHED: &str = "HostedCeilingReached";
/// A hosted model cannot take requests.
pub const HOSTED_UNAVAILABLE: &str = "HostedUnavailable";
/// Hosted models take no requests, and would if no endpoint answered.
pub const HOSTED_STANDS_BY: &str = "HostedStandsBy";
/// A replacement is under way.
pub const REPLACING: &str = "Replacing";

/// A replacement was placed and is to take over.
pub const MOVING: &str = "Moving";
/// A replacement has taken over.
pub const MOVED: &str = "Moved";
/// The number of replicas changed in place.
pub const SCALED: &str = "Scaled";
/// An endpoint was deleted before it served.
pub const WITHDRAWN: &str = "Withdrawn";
/// It was ready and is not, without an edit or a move.
pub const NOT_READY: &str = "NotReady";
/// It is decided again after a suspension.
pub const RESUMED: &str = "Resumed";
/// The inventory of some targets has not been received.
pub const AWAITING_INVENTORY: &str = "AwaitingInventory";
/// The target confirmed that an endpoint is gone.
pub const REMOVED: &str = "Removed";
/// The removal of an endpoint failed and is retried.
pub const REMOVAL_DELAYED: &str = "RemovalDelayed";
/// An offer refused a size and is left out for a while.
pub const EXHAUSTED: &str = "Exhausted";

/// The endpoint is starting.
pub const STARTING: &str = "Starting";
/// The endpoint's target cannot be used now.
pub const TARGET_NOT_READY: &str = "TargetNotReady";
/// The endpoint's target cannot be used now, and the endpoint answers.
pub const ISOLATED: &str = "Isolated";
/// Neither the endpoint nor its target answers.
pub const TARGET_LOST: &str = "TargetLost";
/// The endpoint does not answer, and its target refuses the credentials.
pub const TARGET_UNAUTHORIZED: &str = "TargetUnauthorized";
/// No target answers: the hub is presumed to be cut off.
pub const HUB_ISOLATED: &str = "HubIsolated";
/// The endpoint does not answer.
pub const ENDPOINT_FAILING: &str = "EndpointFailing";
/// The address does not answer from the hub.
pub const UNREACHABLE_FROM_HUB: &str = "UnreachableFromHub";
/// The address answers gateways, and not the hub.
pub const REACHED_BY_GATEWAYS: &str = "ReachedByGateways";
/// The address does not answer gateways.
pub const UNREACHABLE_FROM_GATEWAYS: &str = "UnreachableFromGateways";
/// The gateways cannot mint the token that the endpoint wants.
pub const GATEWAY_TOKEN_MISSING: &str = "GatewayTokenMissing";
/// No gateway has said whether the address answers.
pub const AWAITING_GATEWAYS: &str = "AwaitingGateways";
/// The target does not let the operator ask through its API server.
pub const PROBE_FORBIDDEN: &str = "ProbeForbidden";
/// The endpoint answers without its key.
pub const NOT_PROTECTED: &str = "NotProtected";
/// The endpoint does not list the model.
pub const MODEL_NOT_LISTED: &str = "ModelNotListed";
/// The address is not known yet.
pub const AWAITING_ADDRESS: &str = "AwaitingAddress";
/// It did not answer in time after its start.
pub const STARTUP_TIMEOUT: &str = "StartupTimeout";
/// There is no room for it.
pub const CAPACITY_EXHAUSTED: &str = "CapacityExhausted";
/// It was ready once, and has no room now.
pub const INSUFFICIENT_CAPACITY: &str = "InsufficientCapacity";
/// Pods restart in place, because no accelerator is spare.
pub const RECREATE_NO_SPARE_CAPACITY: &str = "RecreateNoSpareCapacity";
/// The member cannot pull the image.
pub const IMAGE_PULL_FAILED: &str = "ImagePullFailed";
/// The container cannot be started.
pub const CONTAINER_CONFIG_ERROR: &str = "ContainerConfigError";
/// The engine keeps ending.
pub const CRASH_LOOP: &str = "CrashLoop";
/// The engine was OOM-killed.
pub const OUT_OF_MEMORY: &str = "OutOfMemory";
/// A container that the member injected into the pods fails.
pub const INJECTED_CONTAINER_FAILED: &str = "InjectedContainerFailed";
/// A container that the member injected into the pods is not ready, though the engine is.
pub const INJECTED_CONTAINER_NOT_READY: &str = "InjectedContainerNotReady";
/// Nodes evicted the pods, being short of something.
pub const EVICTED: &str = "Evicted";
/// The pods' node was shut down.
pub const NODE_SHUTDOWN: &str = "NodeShutdown";
/// The pods' node was lost.
pub const NODE_LOST: &str = "NodeLost";
/// Pods of a higher priority took the place of ours.
pub const PREEMPTED: &str = "Preempted";
/// A policy on the member limits how long pods may run.
pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
/// A node refused pods that the scheduler gave it.
pub const NODE_REFUSED_POD: &str = "NodeRefusedPod";
/// The member's quota leaves no room for the pods.
pub const QUOTA_EXCEEDED: &str = "QuotaExceeded";
/// The member's admission refuses the pods.
pub const PODS_REFUSED: &str = "PodsRefused";
/// The member's admission refuses one of the endpoint's objects.
pub const ADMISSION_REFUSED: &str = "AdmissionRefused";
/// The member's admission changes what it is asked for.
pub const CHANGED_BY_ADMISSION: &str = "ChangedByAdmission";
/// Something that is not ours has the name.
pub const NAME_CONFLICT: &str = "NameConflict";
/// A Secret or a key in it is not there.
pub const SECRET_MISSING: &str = "SecretMissing";
/// The Secrets that the deployment names hold too much.
pub const SECRET_TOO_LARGE: &str = "SecretTooLarge";
/// The target may not be used by this namespace, or is outside the jurisdictions.
pub const NOT_ALLOWED: &str = "NotAllowed";
/// The provider refused.
pub const PROVIDER_ERROR: &str = "ProviderError";
/// It was found running and taken over.
pub const ADOPTED: &str = "Adopted";
/// The record was released by hand.
pub const ABANDONED: &str = "Abandoned";

/// The target answers.
pub const REACHABLE: &str = "Reachable";
/// The target does not answer.
pub const UNREACHABLE: &str = "Unreachable";
/// The target's credentials are accepted.
pub const ACCEPTED: &str = "Accepted";
/// The target refuses the credentials.
pub const UNAUTHORIZED: &str = "Unauthorized";
/// The Secret with the credentials is not there.
pub const CREDENTIALS_MISSING: &str = "CredentialsMissing";
/// The operator was built without the driver for the target's type.
pub const DRIVER_MISSING: &str = "DriverMissing";
/// The operator has no simulated cloud.
pub const SIMULATION_DISABLED: &str = "SimulationDisabled";
/// The kubeconfig cannot be read.
pub const KUBECONFIG_INVALID: &str = "KubeconfigInvalid";
/// The kubeconfig uses a feature that is not allowed.
pub const KUBECONFIG_REFUSED: &str = "KubeconfigRefused";
/// The credentials lead to another cluster than before.
pub const IDENTITY_CHANGED: &str = "IdentityChanged";
/// The target lacks what the member manifest makes.
pub const NOT_PREPARED: &str = "NotPrepared";
/// Another target is the same place.
pub const DUPLICATE_TARGET: &str = "DuplicateTarget";
/// Another hub uses the cluster with the same install id.
pub const INSTALLATION_CONFLICT: &str = "InstallationConflict";
/// The operator lists the target's endpoints.
pub const LISTING: &str = "Listing";
/// The gateway knows no caller of a deployment.
pub const NO_CALLERS: &str = "NoCallers";
/// Orphans were found there.
pub const ORPHANS_FOUND: &str = "OrphansFound";
/// No orphans are left there.
pub const ORPHANS_GONE: &str = "OrphansGone";
/// The deletion of an orphan was asked for.
pub const ORPHAN_REMOVED: &str = "OrphanRemoved";
/// The credentials lack the right to list endpoints, or to read prices and quotas.
pub const READ_REFUSED: &str = "ReadRefused";
/// Its listing exceeds the limit, so not every endpoint is known.
pub const INVENTORY_INCOMPLETE: &str = "InventoryIncomplete";
/// The built-in table spells a name of the spec differently.
pub const SPELLING_DIFFERS: &str = "SpellingDiffers";
/// Nodes are left out of an offer.
pub const NODES_LEFT_OUT: &str = "NodesLeftOut";
/// Nodes of an offer contradict the offer.
pub const NODES_DIFFER: &str = "NodesDiffer";
/// The list of its orphans is current.
pub const SWEPT: &str = "Swept";
/// The first sweep for orphans has not included it.
pub const SWEEP_PENDING: &str = "SweepPending";
/// No sweep for orphans has included it recently.
pub const SWEEP_STALE: &str = "SweepStale";
/// It is being deleted and waits for its endpoints.
pub const IN_USE: &str = "InUse";
/// The operator failed on the object because of a defect of Roadstead.
pub const INTERNAL_ERROR: &str = "InternalError";
/// The hub refuses a write of the operator.
pub const HUB_REFUSED: &str = "HubRefused";
/// It has not been checked.
pub const UNKNOWN: &str = "Unknown";

/// Those that pods give, which may have other words every second.
pub const OF_REPLICAS: [&str; 12] = [
    IMAGE_PULL_FAILED,
    CONTAINER_CONFIG_ERROR,
    CRASH_LOOP,
    OUT_OF_MEMORY,
    INJECTED_CONTAINER_FAILED,
    INJECTED_CONTAINER_NOT_READY,
    EVICTED,
    NODE_SHUTDOWN,
    NODE_LOST,
    PREEMPTED,
    DEADLINE_EXCEEDED,
    NODE_REFUSED_POD,
];
