//! The operations that the driver calls, as the service names them, and the actions that a role must allow.

/// Reads the workspace.
pub const GET_WORKSPACE: &str = "Workspaces_Get";
/// Reads an environment: the claim of a hub.
pub const GET_ENVIRONMENT: &str = "EnvironmentContainers_Get";
/// Creates or changes an environment: the claim of a hub.
pub const PUT_ENVIRONMENT: &str = "EnvironmentContainers_CreateOrUpdate";
/// Reads the version of an environment.
pub const GET_VERSION: &str = "EnvironmentVersions_Get";
/// Registers the version of an environment.
pub const PUT_VERSION: &str = "EnvironmentVersions_CreateOrUpdate";
/// Lists endpoints.
pub const LIST_ENDPOINTS: &str = "OnlineEndpoints_List";
/// Reads an endpoint.
pub const GET_ENDPOINT: &str = "OnlineEndpoints_Get";
/// Creates an endpoint, which costs nothing without a deployment, or changes its traffic.
pub const PUT_ENDPOINT: &str = "OnlineEndpoints_CreateOrUpdate";
/// Changes the tags of an endpoint.
pub const PATCH_ENDPOINT: &str = "OnlineEndpoints_Update";
/// Deletes an endpoint with its deployments, and ends their bill.
pub const DELETE_ENDPOINT: &str = "OnlineEndpoints_Delete";
/// Reads the keys of an endpoint.
pub const LIST_KEYS: &str = "OnlineEndpoints_ListKeys";
/// Sets a key of an endpoint.
pub const SET_KEY: &str = "OnlineEndpoints_RegenerateKeys";
/// Lists the deployments of an endpoint.
pub const LIST_DEPLOYMENTS: &str = "OnlineDeployments_List";
/// Creates a deployment, which is billed from then on.
pub const PUT_DEPLOYMENT: &str = "OnlineDeployments_CreateOrUpdate";
/// Changes the number of instances.
pub const PATCH_DEPLOYMENT: &str = "OnlineDeployments_Update";
/// Deletes a deployment, and ends its bill.
pub const DELETE_DEPLOYMENT: &str = "OnlineDeployments_Delete";
/// Reads an operation.
pub const GET_OPERATION: &str = "Operation_Get";

/// Operations of Azure Machine Learning.
pub const OPERATIONS: [&str; 17] = [
    GET_WORKSPACE,
    GET_ENVIRONMENT,
    PUT_ENVIRONMENT,
    GET_VERSION,
    PUT_VERSION,
    LIST_ENDPOINTS,
    GET_ENDPOINT,
    PUT_ENDPOINT,
    PATCH_ENDPOINT,
    DELETE_ENDPOINT,
    LIST_KEYS,
    SET_KEY,
    LIST_DEPLOYMENTS,
    PUT_DEPLOYMENT,
    PATCH_DEPLOYMENT,
    DELETE_DEPLOYMENT,
    GET_OPERATION,
];

/// Those that Resource Manager counts as writes or deletions.
pub const WRITES: [&str; 9] = [
    PUT_ENVIRONMENT,
    PUT_VERSION,
    PUT_ENDPOINT,
    PATCH_ENDPOINT,
    DELETE_ENDPOINT,
    SET_KEY,
    PUT_DEPLOYMENT,
    PATCH_DEPLOYMENT,
    DELETE_DEPLOYMENT,
];

/// Actions of Azure's roles, each with the operations that need it.
/// It is assumed that an operation is read with the right to read online endpoints' status at its location.
pub const ACTIONS: [(&str, &[&str]); 12] = [
    ("Microsoft.MachineLearningServices/workspaces/read", &[GET_WORKSPACE]),
    ("Microsoft.MachineLearningServices/workspaces/environments/read", &[GET_ENVIRONMENT, GET_VERSION]),
    ("Microsoft.MachineLearningServices/workspaces/environments/write", &[PUT_ENVIRONMENT, PUT_VERSION]),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read", &[GET_ENDPOINT, LIST_ENDPOINTS]),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write", &[PATCH_ENDPOINT, PUT_ENDPOINT]),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete", &[DELETE_ENDPOINT]),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/listkeys/action", &[LIST_KEYS]),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/regeneratekeys/action", &[SET_KEY]),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/read", &[LIST_DEPLOYMENTS]),
    (
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write",
        &[PATCH_DEPLOYMENT, PUT_DEPLOYMENT],
    ),
    ("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/delete", &[DELETE_DEPLOYMENT]),
    ("Microsoft.MachineLearningServices/locations/mfeOperationsStatus/read", &[GET_OPERATION]),
];
