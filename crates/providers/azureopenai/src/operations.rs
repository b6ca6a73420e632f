//! The operations that the driver calls, as the service names them, and the actions that a role must allow.

/// Reads the account.
pub const GET_ACCOUNT: &str = "Accounts_Get";
/// Lists the models of the account, with the names of their quotas.
pub const LIST_ACCOUNT_MODELS: &str = "Accounts_ListModels";
/// Lists deployments.
pub const LIST_DEPLOYMENTS: &str = "Deployments_List";
/// Reads a deployment.
pub const GET_DEPLOYMENT: &str = "Deployments_Get";
/// Creates a deployment, whose provisioned units are billed from then on, or changes its model.
pub const PUT_DEPLOYMENT: &str = "Deployments_CreateOrUpdate";
/// Changes units and tags of a deployment.
pub const PATCH_DEPLOYMENT: &str = "Deployments_Update";
/// Deletes a deployment, and ends its bill.
pub const DELETE_DEPLOYMENT: &str = "Deployments_Delete";
/// Reads the quotas of the subscription in a location.
pub const LIST_USAGES: &str = "Usages_List";
/// Reads the operation of a change.
pub const GET_OPERATION: &str = "Operation_Get";
/// Lists the models of the data plane, as a probe.
pub const LIST_MODELS: &str = "ListModels";

/// Operations of Resource Manager.
pub const OPERATIONS: [&str; 9] = [
    GET_ACCOUNT,
    LIST_ACCOUNT_MODELS,
    LIST_DEPLOYMENTS,
    GET_DEPLOYMENT,
    PUT_DEPLOYMENT,
    PATCH_DEPLOYMENT,
    DELETE_DEPLOYMENT,
    LIST_USAGES,
    GET_OPERATION,
];

/// Those that Resource Manager counts as writes or deletions.
pub const WRITES: [&str; 3] = [PUT_DEPLOYMENT, PATCH_DEPLOYMENT, DELETE_DEPLOYMENT];

/// Actions of Azure's roles, each with the operations that need it. It is
/// assumed that an operation is read with the right to read operation statuses at its location.
pub const ACTIONS: [(&str, &[&str]); 7] = [
    ("Microsoft.CognitiveServices/accounts/read", &[GET_ACCOUNT]),
    ("Microsoft.CognitiveServices/accounts/models/read", &[LIST_ACCOUNT_MODELS]),
    ("Microsoft.CognitiveServices/accounts/deployments/read", &[GET_DEPLOYMENT, LIST_DEPLOYMENTS]),
    ("Microsoft.CognitiveServices/accounts/deployments/write", &[PATCH_DEPLOYMENT, PUT_DEPLOYMENT]),
    ("Microsoft.CognitiveServices/accounts/deployments/delete", &[DELETE_DEPLOYMENT]),
    ("Microsoft.CognitiveServices/locations/usages/read", &[LIST_USAGES]),
    ("Microsoft.CognitiveServices/locations/operationStatuses/read", &[GET_OPERATION]),
];

/// Data actions of the operator, each with the requests that need it.
pub const DATA_ACTIONS: [(&str, &[&str]); 1] =
    [("Microsoft.CognitiveServices/accounts/OpenAI/models/read", &[LIST_MODELS])];
