//! The operations that the driver calls, and the permissions that they need.

/// Uploads a model.
pub const UPLOAD_MODEL: &str = "UploadModel";
/// Reads a model.
pub const GET_MODEL: &str = "GetModel";
/// Lists models.
pub const LIST_MODELS: &str = "ListModels";
/// Deletes a model.
pub const DELETE_MODEL: &str = "DeleteModel";
/// Creates an endpoint, which costs nothing while it is empty.
pub const CREATE_ENDPOINT: &str = "CreateEndpoint";
/// Reads an endpoint.
pub const GET_ENDPOINT: &str = "GetEndpoint";
/// Lists endpoints.
pub const LIST_ENDPOINTS: &str = "ListEndpoints";
/// Changes the labels of an endpoint.
pub const UPDATE_ENDPOINT: &str = "UpdateEndpoint";
/// Deletes an endpoint.
pub const DELETE_ENDPOINT: &str = "DeleteEndpoint";
/// Deploys a model, which is billed from then on.
pub const DEPLOY: &str = "DeployModel";
/// Changes the number of replicas.
pub const MUTATE: &str = "MutateDeployedModel";
/// Ends a deployment, and its bill.
pub const UNDEPLOY: &str = "UndeployModel";
/// Lists the operations of an endpoint.
pub const LIST_OPERATIONS: &str = "ListOperations";
/// Reads an operation.
pub const GET_OPERATION: &str = "GetOperation";
/// Reads a project; of Resource Manager.
pub const GET_PROJECT: &str = "GetProject";

/// Operations of Vertex AI itself.
pub const OPERATIONS: [&str; 14] = [
    CREATE_ENDPOINT,
    DELETE_ENDPOINT,
    DELETE_MODEL,
    DEPLOY,
    GET_ENDPOINT,
    GET_MODEL,
    GET_OPERATION,
    LIST_ENDPOINTS,
    LIST_MODELS,
    LIST_OPERATIONS,
    MUTATE,
    UNDEPLOY,
    UPDATE_ENDPOINT,
    UPLOAD_MODEL,
];

/// Operations of Resource Manager.
pub const PROJECTS: [&str; 1] = [GET_PROJECT];

/// Permissions of the operations, each with the operations that need it; the last one is for the probe. No document
/// names the permissions of a change of replicas and of reading an operation: it is assumed that they need that of a deployment and that
/// of a list of operations.
pub const PERMISSIONS: [(&str, &[&str]); 14] = [
    ("aiplatform.endpoints.create", &[CREATE_ENDPOINT]),
    ("aiplatform.endpoints.delete", &[DELETE_ENDPOINT]),
    ("aiplatform.endpoints.deploy", &[DEPLOY, MUTATE]),
    ("aiplatform.endpoints.get", &[GET_ENDPOINT]),
    ("aiplatform.endpoints.list", &[LIST_ENDPOINTS]),
    ("aiplatform.endpoints.undeploy", &[UNDEPLOY]),
    ("aiplatform.endpoints.update", &[UPDATE_ENDPOINT]),
    ("aiplatform.models.delete", &[DELETE_MODEL]),
    ("aiplatform.models.get", &[GET_MODEL]),
    ("aiplatform.models.list", &[LIST_MODELS]),
    ("aiplatform.models.upload", &[UPLOAD_MODEL]),
    ("aiplatform.operations.list", &[GET_OPERATION, LIST_OPERATIONS]),
    ("resourcemanager.projects.get", &[GET_PROJECT]),
    ("aiplatform.endpoints.predict", &[]),
];
