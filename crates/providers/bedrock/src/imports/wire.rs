//! Inputs and outputs of the operations on imports and models, as far as the driver uses them. Unknown fields of answers are ignored.

use serde::{Deserialize, Serialize};

use crate::wire::{BedrockTag, BedrockTags};

/// Tag with the name of the job that made a model.
pub const IMPORT: &str = "roadstead.dev/import";
/// Mark of a failed job whose endpoint was removed.
pub const REMOVED: &str = "roadstead.dev/removed";

/// Input of `CreateModelImportJob`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewImport {
    /// Name of the job.
    pub job_name: String,
    /// Name of the model.
    pub imported_model_name: String,
    /// Role of the job.
    pub role_arn: String,
    /// Weights.
    pub model_data_source: ModelSource,
    /// Token of the creation.
    pub client_request_token: String,
    /// Tags of the job.
    pub job_tags: Vec<BedrockTag>,
    /// Tags of the model.
    pub imported_model_tags: Vec<BedrockTag>,
}

/// Origin of weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelSource {
    /// In S3.
    pub s3_data_source: S3Source,
}

/// A folder in S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct S3Source {
    /// Its address.
    pub s3_uri: String,
}

/// A job, in a listing or by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// ARN.
    pub job_arn: String,
    /// Name.
    pub job_name: String,
    /// Name of its model.
    #[serde(default)]
    pub imported_model_name: String,
    /// State.
    pub status: String,
    /// Begin, in RFC 3339.
    pub creation_time: String,
    /// Text of a failure; only of a job by itself.
    #[serde(default)]
    pub failure_message: Option<String>,
}

/// An imported model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportedModelView {
    /// ARN.
    pub model_arn: String,
    /// Name.
    pub model_name: String,
    /// End of the import, in RFC 3339.
    pub creation_time: String,
}

/// An endpoint: a model, or the job that imports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportView {
    /// The model exists.
    Model(ImportedModelView),
    /// The latest job, which has no model.
    Job(JobView),
}

impl ImportView {
    /// ARN of the thing that has the tags.
    #[must_use]
    pub fn arn(&self) -> &str {
        match self {
            Self::Model(model) => &model.model_arn,
            Self::Job(job) => &job.job_arn,
        }
    }

    /// Name of the endpoint.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Model(model) => &model.model_name,
            Self::Job(job) => &job.imported_model_name,
        }
    }
}

/// An endpoint with its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedImport {
    /// The model or its job.
    pub view: ImportView,
    /// Tags.
    pub tags: BedrockTags,
}

impl TaggedImport {
    /// Identity of the endpoint at the place: the name of its job, which is never used again.
    #[must_use]
    pub fn uid(&self) -> String {
        let last = || self.view.arn().rsplit('/').next().unwrap_or_default().to_owned();
        self.tags.get(IMPORT).cloned().unwrap_or_else(last)
    }
}
