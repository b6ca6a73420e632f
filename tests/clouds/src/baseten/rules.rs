//! Behaviour of Baseten's dedicated deployments, as far as the fake behaves so too.

use crate::rules::Rule;

pub const ENVELOPE: Rule =
    Rule::assumed("envelope", "a refusal is {\"error\": text} in JSON, with a status that says its class");
pub const KEY: Rule = Rule::cited(
    "key",
    "a call needs Authorization: Bearer or Api-Key with a known key; others are 401",
    "docs.baseten.co, reference/management-api: both schemes are accepted",
);
pub const RIGHTS: Rule = Rule::partly(
    "rights",
    "a key for inference only is 403 for every call of the management API",
    "docs.baseten.co, organization/api-keys: such keys cannot deploy or manage",
    "the status",
);
pub const TEAM: Rule = Rule::cited(
    "team",
    "GET /v1/teams lists the teams of a key, one of which is the default",
    "management API, schema TeamsV1",
);
pub const NOT_FOUND: Rule = Rule::assumed("not-found", "a missing model, deployment, secret or key is 404");
pub const PREPARE: Rule = Rule::cited(
    "prepare",
    "POST /v1/prepare_model_upload checks what a creation checks, and issues credentials for one object of S3",
    "docs.baseten.co, examples/create-a-model-with-rest",
);
pub const UPLOAD: Rule = Rule::partly(
    "upload",
    "the archive is uploaded to S3 with these credentials; a creation without an uploaded archive is refused",
    "docs.baseten.co, examples/create-a-model-with-rest",
    "the status 400",
);
pub const ARCHIVE: Rule = Rule::cited(
    "archive",
    "an archive is a gzipped tar with config.yaml in it",
    "docs.baseten.co, examples/create-a-model-with-rest and development/model/custom-server",
);
pub const NAME_TAKEN: Rule = Rule::partly(
    "name-taken",
    "the name of a model is unique in its team; a creation with a taken name is 400",
    "baseten 0.13.1, UpdateModelRequest.name: unique within its team",
    "the refusal",
);
pub const BODY: Rule = Rule::cited(
    "body",
    "a creation needs a source, a name, and a config with an image and the paths and port of its server",
    "management API, schemas ModelArchiveSourceV1 and DeploymentArchivePayloadV1; baseten 0.13.1, modelconfig",
);
pub const PORT: Rule = Rule::cited(
    "port",
    "a server that listens at port 8080 fails to start",
    "docs.baseten.co, development/model/custom-server: port 8080 is reserved",
);
pub const INSTANCE: Rule =
    Rule::assumed("instance", "an instance type that the price list does not have is 400, and names it");
pub const REGION: Rule = Rule::partly(
    "region",
    "an unknown region is 400; the region of a deployment never changes",
    "docs.baseten.co, deployment/regional-deployments",
    "the status",
);
pub const STATES: Rule = Rule::cited(
    "states",
    "a deployment is BUILDING, DEPLOYING, LOADING_MODEL, then ACTIVE; autoscaling_settings is null while it builds",
    "management API, schemas DeploymentStatusV1 and DeploymentV1",
);
pub const PRODUCTION: Rule = Rule::cited(
    "production",
    "a deployment for the environment production takes its traffic once it is active; the former one serves until then",
    "docs.baseten.co, deployment/manage/lifecycle and deployment/environments",
);
pub const CLEANUP: Rule = Rule::cited(
    "cleanup",
    "a deployment that leaves production is scaled to zero",
    "management API, schema PromotionSettingsV1: promotion_cleanup_strategy is SCALE_TO_ZERO by default",
);
pub const SCALE: Rule = Rule::cited(
    "scale",
    "a change of autoscaling settings answers ACCEPTED or UNCHANGED; replicas follow",
    "management API, schema UpdateAutoscalingSettingsResponseV1",
);
pub const INACTIVE: Rule = Rule::cited(
    "inactive",
    "a deactivated deployment has no replicas and costs nothing until it is activated",
    "docs.baseten.co, deployment/manage/lifecycle",
);
pub const DELETE_DEPLOYMENT: Rule =
    Rule::assumed("delete-deployment", "the deployment of an environment cannot be deleted: 400");
pub const DELETED: Rule = Rule::partly(
    "deleted",
    "a deletion of a model removes its deployments with it",
    "management API, schema ModelTombstoneV1",
    "that it is gone with the answer",
);
pub const CAPACITY: Rule = Rule::assumed(
    "capacity",
    "a lack of machines shows late: DEPLOY_FAILED, and the last line of the deployment's logs says why",
);
pub const LOGS: Rule = Rule::cited(
    "logs",
    "GET …/logs returns the lines of a deployment's build and start",
    "management API, schema GetLogsResponseV1",
);
pub const PRICES: Rule = Rule::cited(
    "prices",
    "GET /v1/instance_type_prices lists every instance type with its price in US dollars per minute",
    "management API, schema InstanceTypeWithPriceV1",
);
pub const BILLED: Rule = Rule::partly(
    "billed",
    "each running replica is billed by the minute; one that builds or waits for a machine is not",
    "docs.baseten.co, organization/billing",
    "that loading is billed",
);
pub const ISSUED: Rule = Rule::cited(
    "issued",
    "a key's value is shown once; one for inference can be limited to models",
    "management API, schemas CreateAPIKeyRequestV1 and APIKeyV1; docs.baseten.co, organization/api-keys",
);
pub const KEY_NAME: Rule = Rule::partly(
    "key-name",
    "the name of a key has lower-case letters, digits and hyphens",
    "docs.baseten.co, organization/api-keys",
    "the refusal 400",
);
pub const SECRETS: Rule = Rule::cited(
    "secrets",
    "a secret of a team is written by its name, is never read back, and is a file below /secrets of containers that name it",
    "management API, schemas UpsertSecretRequestV1 and SecretV1; docs.baseten.co, development/model/secrets",
);
pub const SYNC: Rule = Rule::cited(
    "sync",
    "/environments/production/sync/{path} reaches any path of the server",
    "docs.baseten.co, development/model/custom-server",
);
pub const GUARD: Rule =
    Rule::assumed("guard", "the service guards endpoints itself: the container sees no Authorization header");
pub const DRAINED: Rule = Rule::cited(
    "drained",
    "a request for an environment without an active deployment is 503",
    "docs.baseten.co, reference/inference-api: 503 while draining or none yet",
);
pub const THROTTLED: Rule = Rule::cited(
    "throttled",
    "too many calls are 429 with retry_after in seconds in the body",
    "docs.baseten.co, reference/management-api/rate-limits",
);

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &KEY,
    &RIGHTS,
    &TEAM,
    &NOT_FOUND,
    &PREPARE,
    &UPLOAD,
    &ARCHIVE,
    &NAME_TAKEN,
    &BODY,
    &PORT,
    &INSTANCE,
    &REGION,
    &STATES,
    &PRODUCTION,
    &CLEANUP,
    &SCALE,
    &INACTIVE,
    &DELETE_DEPLOYMENT,
    &DELETED,
    &CAPACITY,
    &LOGS,
    &PRICES,
    &BILLED,
    &ISSUED,
    &KEY_NAME,
    &SECRETS,
    &SYNC,
    &GUARD,
    &DRAINED,
    &THROTTLED,
];
