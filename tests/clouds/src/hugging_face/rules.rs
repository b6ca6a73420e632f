//! Behaviour of Hugging Face Inference Endpoints, as far as the fake behaves so too.

use crate::rules::Rule;

pub const ENVELOPE: Rule = Rule::assumed("envelope", "a refusal is {\"error\": text} in JSON");
pub const TOKEN: Rule = Rule::cited(
    "token",
    "a call without a token of the namespace is 401",
    "huggingface_hub 2.4.0, list_inference_endpoints: 401 where there is no billing or no access",
);
pub const WRITES: Rule = Rule::assumed("writes", "a token that may only read is 403 for every change");
pub const NOT_FOUND: Rule =
    Rule::cited("not-found", "a missing endpoint is 404", "huggingface_hub 2.4.0, tests of get_inference_endpoint");
pub const NAME_TAKEN: Rule = Rule::assumed("name-taken", "a name that exists in the namespace is 409");
pub const NAME: Rule =
    Rule::assumed("name", "a name has 1 to 32 characters: lower-case letters, digits and hyphens; others are 400");
pub const COMPUTE: Rule = Rule::cited(
    "compute",
    "a compute that the region does not have is 400: Instance compute … not found",
    "huggingface/huggingface_hub#2277",
);
pub const BODY: Rule = Rule::cited(
    "body",
    "type, provider, compute, model.repository, model.framework and model.image are required; model.task may be absent, not null",
    "huggingface_hub 2.4.0, create_inference_endpoint and its comments",
);
pub const UNKNOWN_FIELDS: Rule = Rule::cited(
    "unknown-fields",
    "fields that an image's variant does not have are ignored",
    "huggingface_hub 2.4.0, comment on _TENSOR_PARALLEL_IMAGE_KEYS",
);
pub const STATES: Rule = Rule::cited(
    "states",
    "an endpoint is pending, initializing, then running; status.url comes with running",
    "huggingface_hub 2.4.0, InferenceEndpointStatus and InferenceEndpoint.url",
);
pub const HEALTH: Rule = Rule::cited(
    "health",
    "a running endpoint answers its healthRoute with 200 once it is ready",
    "huggingface_hub 2.4.0, InferenceEndpoint.wait",
);
pub const UPDATE: Rule = Rule::cited(
    "update",
    "an update merges compute, scaling and model by field, and replaces image, env, secrets and args whole",
    "huggingface_hub 2.4.0, update_inference_endpoint sends single fields",
);
pub const TAGS: Rule = Rule::assumed(
    "tags",
    "an update of tags alone takes effect at once, and restarts nothing; an endpoint shows its tags",
);
pub const UPDATING_SERVES: Rule = Rule::assumed(
    "updating-serves",
    "an update shows the new form at once; until it ends, or after it failed, the former one serves",
);
pub const PUBLIC: Rule = Rule::assumed(
    "public",
    "a public endpoint takes requests of everybody; their Authorization header reaches the container",
);
pub const WHOAMI: Rule = Rule::cited(
    "whoami",
    "GET /api/whoami-v2 tells the ids of the token's user and organizations",
    "huggingface/huggingface.js, packages/hub, who-am-i",
);
pub const REDACTED: Rule = Rule::cited(
    "redacted",
    "secrets and passwords of registries do not come back",
    "huggingface_hub 2.4.0, comment in update_inference_endpoint",
);
pub const RUNNING_ALREADY: Rule = Rule::cited(
    "running-already",
    "resuming what runs is 400 with the words already running",
    "huggingface_hub 2.4.0, resume_inference_endpoint",
);
pub const ZERO: Rule = Rule::cited(
    "zero",
    "with minReplica 0 and scaleToZeroTimeout an idle endpoint becomes scaledToZero; the next request wakes it",
    "huggingface/hf-endpoints-documentation, autoscaling",
);
pub const COLD: Rule = Rule::cited(
    "cold",
    "a request to an endpoint at zero is 503; X-Scale-Up-Timeout holds it for so many seconds",
    "huggingface/hf-endpoints-documentation, autoscaling",
);
pub const PAUSED: Rule = Rule::assumed("paused", "a request to a paused endpoint is 400, and does not wake it");
pub const QUOTA_COUNTS: Rule = Rule::cited(
    "quota-counts",
    "an endpoint at zero counts against the quota, a paused one does not",
    "huggingface/hf-endpoints-documentation, quotas",
);
pub const QUOTA: Rule =
    Rule::assumed("quota", "a create or update over the quota is 400, and names the quota of accelerators");
pub const CAPACITY: Rule = Rule::partly(
    "capacity",
    "a lack of hardware shows late: failed, with Scheduling failure: not enough hardware capacity",
    "the text: reports about Spaces, on the same scheduler",
    "that endpoints fail so",
);
pub const BILLED: Rule = Rule::cited(
    "billed",
    "replicas are billed by the minute while they initialize and run, and not at zero or paused",
    "huggingface/hf-endpoints-documentation, pricing",
);
pub const DELETED: Rule = Rule::assumed("deleted", "a deleted endpoint is gone with the answer");
pub const DELETE_FAILED: Rule = Rule::assumed(
    "delete-failed",
    "a deletion that does not come about leaves the endpoint as failed, with a message, and can be asked for again",
);
pub const HARDWARE: Rule = Rule::cited(
    "hardware",
    "GET /provider/{namespace} lists every compute with price, availability and the namespace's quota",
    "huggingface_hub 2.4.0, list_inference_endpoints_hardware",
);
pub const THROTTLED: Rule = Rule::assumed("throttled", "too many calls are 429, with or without Retry-After");

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &TOKEN,
    &WRITES,
    &NOT_FOUND,
    &NAME_TAKEN,
    &NAME,
    &COMPUTE,
    &BODY,
    &UNKNOWN_FIELDS,
    &STATES,
    &HEALTH,
    &UPDATE,
    &TAGS,
    &UPDATING_SERVES,
    &PUBLIC,
    &WHOAMI,
    &REDACTED,
    &RUNNING_ALREADY,
    &ZERO,
    &COLD,
    &PAUSED,
    &QUOTA_COUNTS,
    &QUOTA,
    &CAPACITY,
    &BILLED,
    &DELETED,
    &DELETE_FAILED,
    &HARDWARE,
    &THROTTLED,
];
