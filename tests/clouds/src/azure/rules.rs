//! Rules of Azure Resource Manager, Azure Machine Learning and Entra ID, each with its source.

use crate::rules::Rule;

pub const ENVELOPE: Rule = Rule::cited(
    "envelope",
    "a refusal is JSON with error.code and error.message",
    "Azure/azure-resource-manager-rpc v1.0/common-api-details.md, Error response content",
);
pub const TOKEN: Rule = Rule::cited(
    "token",
    "a call without a valid token for the management audience is 401 with the code of the fault",
    "learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling; azure-core 1.x, challenges",
);
pub const DENIED: Rule = Rule::cited(
    "denied",
    "a call without the right is 403 AuthorizationFailed and names the action",
    "learn.microsoft.com/azure/role-based-access-control/troubleshooting",
);
pub const EXCHANGE: Rule = Rule::cited(
    "exchange",
    "client credentials, with a secret or with a JWT as assertion, give a token for the audience of the scope",
    "learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow",
);
pub const DISCOVERY: Rule =
    Rule::cited("discovery", "a directory says where its tokens are asked for", "msal, authority.py: tenant_discovery");
pub const NOT_FOUND: Rule = Rule::cited(
    "not-found",
    "a missing resource is 404 ResourceNotFound, and the message names it; a missing group or subscription has another code",
    "learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-not-found",
);
pub const API_VERSION: Rule = Rule::cited(
    "api-version",
    "every call names its api-version",
    "Azure/azure-resource-manager-rpc v1.0/common-api-details.md, api-version",
);
pub const WORKSPACE: Rule = Rule::cited(
    "workspace",
    "a workspace has an immutable id of its own and a location",
    "azure-ai-ml 1.35.2, arm_ml_service: WorkspaceProperties.workspaceId",
);
pub const OPERATIONS: Rule = Rule::cited(
    "operations",
    "a change answers 200, 201 or 202 with Azure-AsyncOperation, which shows status and error until it ends",
    "Azure/azure-resource-manager-rpc v1.0/async-api-reference.md; azure-ai-ml 1.35.2, expected statuses",
);
pub const PUT: Rule = Rule::cited(
    "put",
    "PUT by name creates or replaces; keys are set at creation only and are never shown",
    "azure-ai-ml 1.35.2, arm_ml_service: EndpointPropertiesBase.keys",
);
pub const KEYS: Rule = Rule::cited(
    "keys",
    "listKeys shows both keys; regenerateKeys sets one to a given value",
    "azure-ai-ml 1.35.2, arm_ml_service: EndpointAuthKeys, RegenerateEndpointKeysRequest.keyValue",
);
pub const IF_NONE_MATCH: Rule =
    Rule::assumed("if-none-match", "PUT with If-None-Match: * of an endpoint that exists is 412");
pub const PATCH: Rule = Rule::assumed(
    "patch",
    "PATCH of an endpoint replaces all of its tags at the end of its operation, that of a deployment at once",
);
pub const NAMES: Rule = Rule::cited(
    "names",
    "names of endpoints and deployments have 3 to 32 letters, digits and single dashes, and begin with a letter",
    "learn.microsoft.com/azure/machine-learning/how-to-manage-quotas, online endpoints",
);
pub const TAGS: Rule = Rule::cited(
    "tags",
    "at most 50 tags; names up to 512 characters without <>%&\\?/, values up to 256",
    "learn.microsoft.com/azure/azure-resource-manager/management/tag-resources",
);
pub const LOCATION: Rule =
    Rule::assumed("location", "a resource of a workspace in another location than the workspace's is 400");
pub const AUTH_MODE: Rule = Rule::cited(
    "auth-mode",
    "an endpoint is asked with a key, a token of Azure ML or a token of Entra",
    "azure-ai-ml 1.35.2, arm_ml_service: EndpointAuthMode",
);
pub const TRAFFIC: Rule = Rule::cited(
    "traffic",
    "the percentages of an endpoint's traffic add up to 0 or 100 and name deployments that exist",
    "learn.microsoft.com/azure/machine-learning/reference-yaml-endpoint-online; arm_ml_service: traffic",
);
pub const ENVIRONMENT: Rule = Rule::cited(
    "environment",
    "a deployment runs the image of an environment's version, which cannot be changed; image and routes are given at its creation",
    "azure-ai-ml 1.35.2, arm_ml_service: EnvironmentVersionProperties, visibility read and create",
);
pub const INSTANCE_TYPE: Rule =
    Rule::assumed("instance-type", "a managed deployment on an unknown instance type is 400");
pub const INSTANCES: Rule = Rule::cited(
    "instances",
    "a managed deployment has 1 to 50 instances, which are the capacity of its SKU Default",
    "learn.microsoft.com/azure/machine-learning/how-to-manage-quotas, online endpoints",
);
pub const REQUEST_TIMEOUT: Rule = Rule::cited(
    "request-timeout",
    "a request takes at most 180 seconds",
    "learn.microsoft.com/azure/machine-learning/how-to-manage-quotas, online endpoints",
);
pub const PARENT_STATE: Rule = Rule::partly(
    "parent-state",
    "a deployment is refused while its endpoint is being created or updated",
    "Azure/azure-sdk-for-net#36961",
    "that the status is 409",
);
pub const ONE_CHANGE: Rule =
    Rule::assumed("one-change", "while an operation changes an endpoint or a deployment of it, another change is 409");
pub const QUOTA: Rule = Rule::cited(
    "quota",
    "a deployment beyond the quota of cores is 400 at once, with the words Not enough quota available; a fifth of the instances is kept free for upgrades",
    "MicrosoftLearning/mslearn-azure-ml#30: one instance of 4 cores needs 8",
);
pub const CAPACITY: Rule = Rule::cited(
    "capacity",
    "a lack of machines shows late: the operation fails with the words lack of Azure Machine Learning capacity",
    "MicrosoftDocs/azure-ai-docs how-to-troubleshoot-online-endpoints.md, Region-wide VM capacity; its code there is OutOfQuota",
);
pub const FAILED: Rule = Rule::assumed(
    "failed",
    "a deployment whose creation fails stays as Failed without instances; one whose change fails is Failed and serves on as before",
);
pub const SERVING: Rule = Rule::assumed("serving", "a deployment answers while it is scaled or updated");
pub const DELETE: Rule = Rule::cited(
    "delete",
    "deleting an endpoint deletes its deployments, and cancels what is under way",
    "learn.microsoft.com/azure/machine-learning/how-to-deploy-online-endpoints, Delete the endpoint; troubleshooting, OperationCanceled",
);
pub const DELETE_DEPLOYMENT: Rule =
    Rule::assumed("delete-deployment", "a deployment that takes traffic is not deleted: 400");
pub const LIST: Rule = Rule::partly(
    "list",
    "endpoints are listed in pages, by tags, with a link to the next page",
    "azure-ai-ml 1.35.2, arm_ml_service: OnlineEndpoints.list",
    "that a page has at most 30",
);
pub const GUARDED: Rule = Rule::cited(
    "guarded",
    "an endpoint without its key is 401, and one without a deployment that takes traffic 404",
    "MicrosoftDocs/azure-docs how-to-troubleshoot-online-endpoints.md, HTTP status codes",
);
pub const ROUTES: Rule = Rule::cited(
    "routes",
    "every route of a custom container is reached below the endpoint's address",
    "csiebler/csiebler.github.io content/posts/vllm-on-azure-machine-learning-managed-online-endpoints-deployment.md",
);
pub const MODEL_ERROR: Rule = Rule::cited(
    "model-error",
    "an answer of the container other than 200 becomes 424, with its status in ms-azureml-model-error-statuscode",
    "MicrosoftDocs/azure-docs how-to-troubleshoot-online-endpoints.md, HTTP status codes",
);
pub const THROTTLED: Rule = Rule::cited(
    "throttled",
    "too many calls are 429 with Retry-After",
    "learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling",
);
pub const BILLED: Rule =
    Rule::assumed("billed", "instances are billed from the request for their deployment until it fails or is deleted");

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &TOKEN,
    &DENIED,
    &EXCHANGE,
    &DISCOVERY,
    &NOT_FOUND,
    &API_VERSION,
    &WORKSPACE,
    &OPERATIONS,
    &PUT,
    &KEYS,
    &IF_NONE_MATCH,
    &PATCH,
    &NAMES,
    &TAGS,
    &LOCATION,
    &AUTH_MODE,
    &TRAFFIC,
    &ENVIRONMENT,
    &INSTANCE_TYPE,
    &INSTANCES,
    &REQUEST_TIMEOUT,
    &PARENT_STATE,
    &ONE_CHANGE,
    &QUOTA,
    &CAPACITY,
    &FAILED,
    &SERVING,
    &DELETE,
    &DELETE_DEPLOYMENT,
    &LIST,
    &GUARDED,
    &ROUTES,
    &MODEL_ERROR,
    &THROTTLED,
    &BILLED,
];
