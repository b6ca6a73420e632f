//! The operations that the driver calls, and the rights that they need.

/// Begins an import.
pub const CREATE_JOB: &str = "CreateModelImportJob";
/// Lists imports.
pub const LIST_JOBS: &str = "ListModelImportJobs";
/// Reads an import.
pub const GET_JOB: &str = "GetModelImportJob";
/// Lists imported models.
pub const LIST_MODELS: &str = "ListImportedModels";
/// Reads an imported model.
pub const GET_MODEL: &str = "GetImportedModel";
/// Deletes an imported model.
pub const DELETE_MODEL: &str = "DeleteImportedModel";
/// Buys throughput.
pub const CREATE_THROUGHPUT: &str = "CreateProvisionedModelThroughput";
/// Lists throughputs.
pub const LIST_THROUGHPUTS: &str = "ListProvisionedModelThroughputs";
/// Reads a throughput.
pub const GET_THROUGHPUT: &str = "GetProvisionedModelThroughput";
/// Deletes a throughput.
pub const DELETE_THROUGHPUT: &str = "DeleteProvisionedModelThroughput";
/// Reads the tags of a model, an import or a throughput.
pub const LIST_TAGS: &str = "ListTagsForResource";
/// Sets tags.
pub const TAG: &str = "TagResource";

/// Lists resources by their tags; of the tagging service.
pub const GET_RESOURCES: &str = "GetResources";

/// Operations on imports.
pub const IMPORT_OPERATIONS: [&str; 8] =
    [CREATE_JOB, LIST_JOBS, GET_JOB, LIST_MODELS, GET_MODEL, DELETE_MODEL, LIST_TAGS, TAG];
/// Rights beside one for each of [`IMPORT_OPERATIONS`]: to list by tags, and to hand the role of imports to a job. `sts:GetCallerIdentity`
/// needs none.
pub const IMPORT_ACTIONS: [&str; 2] = ["tag:GetResources", "iam:PassRole"];

/// Operations on provisioned throughput.
pub const THROUGHPUT_OPERATIONS: [&str; 6] =
    [CREATE_THROUGHPUT, LIST_THROUGHPUTS, GET_THROUGHPUT, DELETE_THROUGHPUT, LIST_TAGS, TAG];
/// Rights beside one for each of [`THROUGHPUT_OPERATIONS`]: to list by tags.
pub const THROUGHPUT_ACTIONS: [&str; 1] = ["tag:GetResources"];
