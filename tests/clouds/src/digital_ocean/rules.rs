//! Behaviour of `DigitalOcean` Dedicated Inference, as far as the fake behaves so too.

use crate::rules::Rule;

pub const ENVELOPE: Rule =
    Rule::cited("envelope", "a refusal is {\"id\": word, \"message\": text}", "digitalocean/openapi, schema error");
pub const TOKEN: Rule =
    Rule::cited("token", "a call without a known token is 401", "digitalocean/openapi, response unauthorized");
pub const SCOPES: Rule = Rule::partly(
    "scopes",
    "each operation needs its scope, such as dedicated_inference:create; without it a call is 403",
    "digitalocean/openapi, bearer_auth of each operation",
    "the status",
);
pub const ACCOUNT: Rule = Rule::cited(
    "account",
    "GET /v2/account tells the uuid of the team of a token",
    "digitalocean/openapi, schema account",
);
pub const NOT_FOUND: Rule =
    Rule::cited("not-found", "a missing thing is 404", "digitalocean/openapi, response not_found");
pub const NAME: Rule = Rule::partly(
    "name",
    "the name of an instance or a token has 1 to 255 letters, digits, hyphens and underscores; others are 422",
    "digitalocean/openapi, schemas dedicated_inference_spec and …_token_create_request",
    "the status",
);
pub const NAME_TAKEN: Rule = Rule::partly(
    "name-taken",
    "a name is unique in its team; a creation or an update with a taken one is 422",
    "digitalocean/openapi, schema dedicated_inference_spec",
    "the status",
);
pub const BODY: Rule = Rule::partly(
    "body",
    "a body is what the document says, with the members that it requires, and the types and limits of all; others are 422",
    "digitalocean/openapi, schemas of the request bodies",
    "the status",
);
pub const MODELS: Rule = Rule::partly(
    "models",
    "GET …/gpu-model-config lists the models and the GPUs that they run on; other pairs are 422",
    "digitalocean/openapi, dedicatedInferences_get_gpu_model_config",
    "the refusal",
);
pub const SIZES: Rule = Rule::partly(
    "sizes",
    "GET …/sizes lists GPUs by region with the price of an hour as a text; a GPU that a region lacks is 422",
    "digitalocean/openapi, dedicatedInferences_list_sizes",
    "the refusal",
);
pub const GATED: Rule = Rule::assumed("gated", "a gated model without access_tokens.hugging_face_token is 422");
pub const STATES: Rule = Rule::cited(
    "states",
    "an instance is new, provisioning, then active; the answer 202 says nothing about success",
    "digitalocean/openapi, schema dedicated_inference and dedicatedInferences_create",
);
pub const UPDATE: Rule = Rule::partly(
    "update",
    "an update takes the whole spec, or keeps it if it has none, and may rename the instance; it is updating, shows pending_deployment_spec, and is active again",
    "digitalocean/openapi, dedicatedInferences_patch and its example",
    "that the former spec serves meanwhile",
);
pub const MODEL_ID: Rule = Rule::cited(
    "model-id",
    "each model of a spec gets an id; an update names it, and a model without one is another one",
    "digitalocean/openapi, schema model_deployment_spec",
);
pub const ERROR: Rule = Rule::cited(
    "error",
    "a failed creation is error, without a reason",
    "digitalocean/openapi, schema dedicated_inference",
);
pub const CAPACITY: Rule = Rule::assumed("capacity", "a lack of GPUs shows late, as error");
pub const DELETE: Rule = Rule::cited(
    "delete",
    "a deletion is accepted with 202; the instance is deleting, then gone",
    "digitalocean/openapi, dedicatedInferences_delete",
);
pub const DELETE_FAILED: Rule =
    Rule::assumed("delete-failed", "a deletion that fails leaves the instance as error, and can be asked for again");
pub const ISSUED: Rule = Rule::cited(
    "issued",
    "a creation and POST …/tokens show the value of a token once; lists show its name",
    "digitalocean/openapi, dedicatedInferences_create and dedicatedInferences_create_tokens",
);
pub const GUARD: Rule = Rule::partly(
    "guard",
    "a request needs Authorization: Bearer with a token of its instance; others are 401",
    "digitalocean/openapi, schema dedicated_inference_access_token",
    "the status",
);
pub const SERVED_NAME: Rule = Rule::assumed("served-name", "a model is served under its slug");
pub const PAGES: Rule = Rule::partly(
    "pages",
    "a list has per_page entries, 20 by default and 200 at most, and links to the next page; other numbers and regions are 422",
    "digitalocean/openapi, parameters page, per_page and region",
    "the status",
);
pub const BILLED: Rule = Rule::assumed("billed", "GPUs are billed from their provisioning until the deletion begins");
pub const THROTTLED: Rule = Rule::cited(
    "throttled",
    "too many calls are 429 with id too_many_requests and the header retry-after",
    "digitalocean/openapi, response too_many_requests; docs.digitalocean.com, rate limits",
);

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &TOKEN,
    &SCOPES,
    &ACCOUNT,
    &NOT_FOUND,
    &NAME,
    &NAME_TAKEN,
    &BODY,
    &MODELS,
    &SIZES,
    &GATED,
    &STATES,
    &UPDATE,
    &MODEL_ID,
    &ERROR,
    &CAPACITY,
    &DELETE,
    &DELETE_FAILED,
    &ISSUED,
    &GUARD,
    &SERVED_NAME,
    &PAGES,
    &BILLED,
    &THROTTLED,
];
