//! Rules of the resource provider of Azure OpenAI and of its data plane, each with its source. Those of Resource Manager and Entra ID
//! are Azure's.

use crate::azure::rules::{API_VERSION, DENIED, DISCOVERY, ENVELOPE, EXCHANGE, NOT_FOUND, TAGS, THROTTLED, TOKEN};
use crate::rules::Rule;

pub const ACCOUNT: Rule = Rule::cited(
    "account",
    "an account has a location, a subdomain of its own, and the time of its creation",
    "azure-mgmt-cognitiveservices 14.1.0: AccountProperties.custom_sub_domain_name, date_created",
);
pub const KEYS: Rule = Rule::cited(
    "keys",
    "listKeys shows both keys of an account, which open all of its deployments",
    "azure-mgmt-cognitiveservices 14.1.0: Accounts.list_keys",
);
pub const MODELS: Rule = Rule::cited(
    "models",
    "an account lists the models that it can deploy, with SKUs, the names of their quotas and the least capacity",
    "azure-mgmt-cognitiveservices 14.1.0: AccountModel, ModelSku, CapacityConfig",
);
pub const USAGES: Rule = Rule::cited(
    "usages",
    "usage and limit of a quota count for a subscription in a location",
    "azure-mgmt-cognitiveservices 14.1.0: Usages.list",
);
pub const MODEL: Rule = Rule::cited(
    "model",
    "a deployment of a model that the account does not have is 400 DeploymentModelNotSupported",
    "hashicorp/terraform-provider-azurerm#24162; Azure/bicep-registry-modules#453",
);
pub const SKU: Rule = Rule::cited(
    "sku",
    "a SKU that the model does not have is 400 InvalidResourceProperties",
    "thunderbug1/LibreChatAzureDeployment#5; Azure/bicep#16642",
);
pub const CAPACITY: Rule =
    Rule::assumed("capacity", "a capacity below the least of model and SKU is 400 InvalidResourceProperties");
pub const QUOTA: Rule = Rule::cited(
    "quota",
    "units beyond the quota are refused at once: 400 InsufficientQuota, with usage and limit in the text",
    "microsoft/PubSec-Info-Assistant#880",
);
pub const UNITS: Rule = Rule::assumed(
    "units",
    "a lack of provisioned units shows late: the deployment is Failed, and its operation has the code InsufficientCapacity",
);
pub const ONE_CHANGE: Rule = Rule::cited(
    "one-change",
    "while a deployment of an account changes, another change in the account is 409 RequestConflict",
    "hashicorp/terraform-provider-azurerm#22607, #22939; Azure/azure-dev#9398",
);
pub const PUT: Rule = Rule::cited(
    "put",
    "PUT by name creates with 201 or replaces with 200, and shows provisioningState, which ends as Succeeded or Failed",
    "azure-mgmt-cognitiveservices 14.1.0: Deployments.begin_create_or_update, DeploymentProvisioningState",
);
pub const IF_NONE_MATCH: Rule =
    Rule::assumed("if-none-match", "PUT with If-None-Match: * of a deployment that exists is 412");
pub const OPERATIONS: Rule = Rule::assumed(
    "operations",
    "every change answers with Azure-AsyncOperation, which shows status and error until it ends",
);
pub const UPDATE: Rule = Rule::assumed(
    "update",
    "a deployment that changes is Accepted, shows its new form and serves on; if the change fails it has its former form again",
);
pub const PATCH: Rule = Rule::partly(
    "patch",
    "PATCH changes tags and SKU",
    "azure-mgmt-cognitiveservices 14.1.0: PatchResourceTagsAndSku",
    "that tags are replaced as a whole",
);
pub const FAILED: Rule =
    Rule::assumed("failed", "a deployment whose creation fails stays as Failed, uses no unit, and PUT tries it again");
pub const DELETE: Rule = Rule::cited(
    "delete",
    "a deletion is 202, and 204 where nothing is; until its end the deployment is Deleting",
    "azure-mgmt-cognitiveservices 14.1.0: Deployments.begin_delete, DeploymentProvisioningState",
);
pub const LIST: Rule = Rule::partly(
    "list",
    "deployments are listed in pages with a link to the next one",
    "azure-mgmt-cognitiveservices 14.1.0: Deployments.list",
    "that a page has at most 50",
);
pub const GUARDED: Rule = Rule::cited(
    "guarded",
    "a request has a key of the account in api-key or as Bearer, or a token of Entra ID for https://ai.azure.com or https://cognitiveservices.azure.com; else it is 401",
    "learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle, v1 API; openai 3.57.0",
);
pub const DEPLOYMENT_NAME: Rule = Rule::cited(
    "deployment-name",
    "the model of a request is the name of a deployment; one that does not serve is 404 DeploymentNotFound",
    "chatboxai/chatbox#646; MicrosoftDocs/azure-docs#114013",
);
pub const MODEL_OF_ANSWER: Rule = Rule::cited(
    "model-of-answer",
    "an answer has the name of the deployed model, not that of the deployment",
    "learn.microsoft.com/azure/ai-foundry/openai/how-to/chatgpt, sample answers",
);
pub const LISTED_MODELS: Rule =
    Rule::assumed("listed-models", "GET /openai/v1/models lists models of the account, and no deployment");
pub const BILLED: Rule = Rule::cited(
    "billed",
    "provisioned units are billed by the hour from their deployment until its deletion; other SKUs by tokens alone",
    "learn.microsoft.com/azure/ai-foundry/openai/how-to/provisioned-throughput-onboarding, Hourly usage",
);

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &TOKEN,
    &DENIED,
    &EXCHANGE,
    &DISCOVERY,
    &NOT_FOUND,
    &API_VERSION,
    &TAGS,
    &THROTTLED,
    &ACCOUNT,
    &KEYS,
    &MODELS,
    &USAGES,
    &MODEL,
    &SKU,
    &CAPACITY,
    &QUOTA,
    &UNITS,
    &ONE_CHANGE,
    &PUT,
    &IF_NONE_MATCH,
    &OPERATIONS,
    &UPDATE,
    &PATCH,
    &FAILED,
    &DELETE,
    &LIST,
    &GUARDED,
    &DEPLOYMENT_NAME,
    &MODEL_OF_ANSWER,
    &LISTED_MODELS,
    &BILLED,
];
