//! The operations that the driver calls, and the rights that they need.

/// Creates a model.
pub const CREATE_MODEL: &str = "CreateModel";
/// Creates an endpoint configuration.
pub const CREATE_CONFIG: &str = "CreateEndpointConfig";
/// Creates an endpoint, which is billed from then on.
pub const CREATE_ENDPOINT: &str = "CreateEndpoint";
/// Creates the claim of a hub.
pub const CREATE_CLAIM: &str = "CreateModelPackageGroup";
/// Reads the claim of a hub.
pub const DESCRIBE_CLAIM: &str = "DescribeModelPackageGroup";
/// Reads a model.
pub const DESCRIBE_MODEL: &str = "DescribeModel";
/// Reads an endpoint.
pub const DESCRIBE_ENDPOINT: &str = "DescribeEndpoint";
/// Changes the configuration of an endpoint.
pub const UPDATE_ENDPOINT: &str = "UpdateEndpoint";
/// Changes the number of instances of an endpoint.
pub const SCALE_ENDPOINT: &str = "UpdateEndpointWeightsAndCapacities";
/// Deletes an endpoint.
pub const DELETE_ENDPOINT: &str = "DeleteEndpoint";
/// Deletes an endpoint configuration.
pub const DELETE_CONFIG: &str = "DeleteEndpointConfig";
/// Deletes a model.
pub const DELETE_MODEL: &str = "DeleteModel";
/// Lists endpoints with their states.
pub const LIST_ENDPOINTS: &str = "ListEndpoints";
/// Lists endpoint configurations.
pub const LIST_CONFIGS: &str = "ListEndpointConfigs";
/// Lists models.
pub const LIST_MODELS: &str = "ListModels";
/// Reads the tags of a resource.
pub const LIST_TAGS: &str = "ListTags";
/// Sets tags of a resource.
pub const ADD_TAGS: &str = "AddTags";
/// Lists resources by their tags; of the tagging service.
pub const GET_RESOURCES: &str = "GetResources";

/// Operations of SageMaker itself.
pub const OPERATIONS: [&str; 17] = [
    ADD_TAGS,
    CREATE_ENDPOINT,
    CREATE_CONFIG,
    CREATE_MODEL,
    CREATE_CLAIM,
    DELETE_ENDPOINT,
    DELETE_CONFIG,
    DELETE_MODEL,
    DESCRIBE_ENDPOINT,
    DESCRIBE_MODEL,
    DESCRIBE_CLAIM,
    LIST_CONFIGS,
    LIST_ENDPOINTS,
    LIST_MODELS,
    LIST_TAGS,
    UPDATE_ENDPOINT,
    SCALE_ENDPOINT,
];

/// Rights beside one for each of [`OPERATIONS`]: to list by tags, to hand the execution role to a model, and for the probe.
/// `sts:GetCallerIdentity` needs none.
pub const ACTIONS: [&str; 4] =
    ["tag:GetResources", "iam:PassRole", "sagemaker:CallWithBearerToken", "sagemaker:InvokeEndpoint"];
