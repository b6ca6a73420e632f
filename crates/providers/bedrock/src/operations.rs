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
/// Reads the tags of a model or an import.
pub const LIST_TAGS: &str = "ListTagsForResource";
/// Sets tags.
pub const TAG: &str = "TagResource";

/// Lists resources by their tags; of the tagging service.
pub const GET_RESOURCES: &str = "GetResources";

/// Operations of Bedrock.
pub const OPERATIONS: [&str; 8] =
    [CREATE_JOB, LIST_JOBS, GET_JOB, LIST_MODELS, GET_MODEL, DELETE_MODEL, LIST_TAGS, TAG];

/// Rights beside one for each of [`OPERATIONS`]: to list by tags, and to hand the role of imports to a job. `sts:GetCallerIdentity` needs none.
pub const ACTIONS: [&str; 2] = ["tag:GetResources", "iam:PassRole"];
