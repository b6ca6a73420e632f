//! Behaviour of Vertex AI, as far as the fake behaves so too.

use crate::rules::Rule;

pub const ENVELOPE: Rule = Rule::cited(
    "envelope",
    "a refusal is {\"error\": {code, message, status}} in JSON, the status one of google.rpc.Code",
    "google.aip.dev/193",
);
pub const TOKEN: Rule = Rule::cited(
    "token",
    "a call without a valid OAuth token is 401 UNAUTHENTICATED",
    "google.aip.dev/193, google.rpc.Code",
);
pub const DENIED: Rule =
    Rule::cited("denied", "a call without the permission is 403 PERMISSION_DENIED", "google.aip.dev/211");
pub const KEY_EXCHANGE: Rule = Rule::cited(
    "key-exchange",
    "a JWT signed with RS256 by the key of a service account is exchanged for a token: iss, scope, aud, iat and exp, at most an hour",
    "developers.google.com/identity/protocols/oauth2/service-account",
);
pub const FEDERATED: Rule = Rule::cited(
    "federated",
    "a token of an issuer that a workload identity pool trusts is exchanged for a token of its principal: a form with the grant \
     token-exchange, the provider as audience, scope, and types of tokens; another token is invalid_grant, another audience invalid_target",
    "cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token; google.aip.dev/auth/4117; \
     cloud.google.com/iam/docs/troubleshooting-workload-identity-federation",
);
pub const METADATA: Rule = Rule::cited(
    "metadata",
    "the metadata server gives a token to a request with Metadata-Flavor: Google, and refuses others with 403",
    "cloud.google.com/compute/docs/metadata/querying-metadata",
);
pub const IMPERSONATED: Rule = Rule::cited(
    "impersonated",
    "generateAccessToken gives a token of another service account for at most an hour",
    "cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken",
);
pub const NUMBER: Rule = Rule::cited(
    "number",
    "names of resources have the number of the project, whichever name of it the request has",
    "googleapis/python-aiplatform#1441, names in answers",
);
pub const PROJECT: Rule = Rule::cited(
    "project",
    "Resource Manager names a project by its number",
    "cloud.google.com/resource-manager/reference/rest/v3/projects",
);
pub const NOT_FOUND: Rule =
    Rule::cited("not-found", "a resource that does not exist is 404 NOT_FOUND", "google.aip.dev/193, google.rpc.Code");
pub const TAKEN: Rule = Rule::assumed("taken", "an id that exists, or is being created, is 409 ALREADY_EXISTS");
pub const IDS: Rule = Rule::cited(
    "ids",
    "an endpoint's id begins with a letter and has at most 63 of a-z, 0-9 and -; a model's also has _; a deployed model's has 1 to 10 digits",
    "discovery document of aiplatform v1, revision 20261106: endpointId, modelId, DeployedModel.id",
);
pub const LABELS: Rule = Rule::cited(
    "labels",
    "at most 64 labels of at most 63 lower-case letters, digits, _ and -, whose keys begin with a letter; others are 400",
    "discovery document: Endpoint.labels; cloud.google.com/resource-manager/docs/labels-overview",
);
pub const INFERENCE_TIMEOUT: Rule = Rule::cited(
    "inference-timeout",
    "a dedicated endpoint ends a request after ten minutes, or after the time of its creation, of at most an hour",
    "cloud.google.com/vertex-ai/docs/predictions/create-public-endpoint",
);
pub const IMAGE: Rule = Rule::cited(
    "image",
    "an image that is neither in Artifact Registry nor in Container Registry is 400",
    "discovery document: ModelContainerSpec.imageUri",
);
pub const INVOKE: Rule = Rule::cited(
    "invoke",
    "with invokeRoutePrefix /* every route of the container is below …/invoke of a dedicated endpoint; other endpoints refuse such a model",
    "discovery document: ModelContainerSpec.invokeRoutePrefix",
);
pub const OPERATIONS: Rule = Rule::cited(
    "operations",
    "upload, create, deploy, mutate, undeploy and delete answer with an operation below their resource that ends later with a response or an error",
    "discovery document, google.aip.dev/151",
);
pub const AT_THE_END: Rule = Rule::assumed(
    "at-the-end",
    "an endpoint, a model and a deployed model exist when their operation has ended well; a failed deployment leaves nothing",
);
pub const ONE_CHANGE: Rule = Rule::assumed(
    "one-change",
    "while an operation deploys, mutates or undeploys at an endpoint, another one is 400 FAILED_PRECONDITION",
);
pub const REPLICAS: Rule = Rule::cited(
    "replicas",
    "minReplicaCount is at least 1, and maxReplicaCount at least that",
    "discovery document: DedicatedResources.minReplicaCount",
);
pub const MACHINES: Rule =
    Rule::assumed("machines", "a machine type with another accelerator or number of them than it has is 400");
pub const TRAFFIC_SPLIT: Rule = Rule::cited(
    "traffic-split",
    "the percentages add up to 100; \"0\" is the model that is being deployed; a deployed model with traffic is not undeployed while another stays",
    "discovery document: DeployModelRequest.trafficSplit, UndeployModelRequest.trafficSplit",
);
pub const QUOTA: Rule = Rule::cited(
    "quota",
    "a deployment beyond a quota is 429 RESOURCE_EXHAUSTED at once, and names the quota metric; the largest number of replicas counts",
    "GoogleCloudPlatform/vertex-ai-samples#3479; discovery document: maxReplicaCount",
);
pub const CAPACITY: Rule = Rule::partly(
    "capacity",
    "a lack of machines shows late: the operation ends with error code 8 and the words temporarily out of capacity",
    "the words: googleapis/google-cloud-java#11195",
    "that they end an operation",
);
pub const NOT_EMPTY: Rule = Rule::cited(
    "not-empty",
    "an endpoint with deployed models cannot be deleted, nor a model that is deployed",
    "googleapis/python-aiplatform#1441 and #2807",
);
pub const DEPLOYING_IS_NOT_EMPTY: Rule =
    Rule::assumed("deploying-is-not-empty", "a deployment that is under way keeps its endpoint from being deleted too");
pub const LIST: Rule = Rule::cited(
    "list",
    "lists have pages, and a filter by labels",
    "discovery document: projects.locations.endpoints.list",
);
pub const PAGE_SIZE: Rule = Rule::assumed("page-size", "a page has at most 100 items");
pub const PATCH: Rule = Rule::cited(
    "patch",
    "a PATCH of labels replaces all of them, at once",
    "discovery document: projects.locations.endpoints.patch, updateMask",
);
pub const STATUS: Rule = Rule::cited(
    "status",
    "a deployed model says how many of its replicas are available",
    "discovery document: DeployedModelStatus",
);
pub const DNS: Rule = Rule::cited(
    "dns",
    "a dedicated endpoint has a DNS name of its own, {endpoint}.{region}-{number}.prediction.vertexai.goog",
    "discovery document: Endpoint.dedicatedEndpointDns",
);
pub const BILLED: Rule = Rule::assumed(
    "billed",
    "replicas are billed from the begin of a deployment that succeeds until the end of the undeployment",
);
pub const THROTTLED: Rule = Rule::assumed(
    "throttled",
    "too many calls are 429 RESOURCE_EXHAUSTED with the words Quota exceeded for quota metric",
);
pub const ALIAS: Rule = Rule::cited(
    "alias",
    "the vendor's client asks for operations below /ui instead of /v1",
    "google-cloud-aiplatform 2.7.0, rest_base.py",
);

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &TOKEN,
    &DENIED,
    &KEY_EXCHANGE,
    &FEDERATED,
    &METADATA,
    &IMPERSONATED,
    &NUMBER,
    &PROJECT,
    &NOT_FOUND,
    &TAKEN,
    &IDS,
    &LABELS,
    &INFERENCE_TIMEOUT,
    &IMAGE,
    &INVOKE,
    &OPERATIONS,
    &AT_THE_END,
    &ONE_CHANGE,
    &REPLICAS,
    &MACHINES,
    &TRAFFIC_SPLIT,
    &QUOTA,
    &CAPACITY,
    &NOT_EMPTY,
    &DEPLOYING_IS_NOT_EMPTY,
    &LIST,
    &PAGE_SIZE,
    &PATCH,
    &STATUS,
    &DNS,
    &BILLED,
    &THROTTLED,
    &ALIAS,
];
