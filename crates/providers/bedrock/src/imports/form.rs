//! The wanted model: its weights and its tags. Pure.

use roadstead_api::v1alpha1::ModelMirror;
use roadstead_provider::{ErrorClass, ProviderError, Wanted};

use super::settings::ImportSettings;
use super::wire::{IMPORT, ModelSource, NewImport, S3Source};
use crate::form::{CommonForm, source};
use crate::wire::{BedrockTags, tag_list};

/// The wanted form.
#[derive(Debug, Clone, PartialEq)]
pub struct BedrockForm {
    /// Names, tags and digest: of the weights. Their folder is no part of it, because another copy holds the same ones.
    pub common: CommonForm,
    /// Folder of the weights, which only an import needs; `None` if they have no copy.
    pub folder: Option<String>,
    /// Role of jobs.
    pub role: String,
}

impl BedrockForm {
    /// The form of `wanted` with these settings.
    ///
    /// # Errors
    /// `Bug` if it cannot be written.
    pub fn of(settings: &ImportSettings, install_id: &str, hub: &str, wanted: &Wanted) -> Result<Self, ProviderError> {
        let source = source(&wanted.endpoint);
        Ok(Self {
            common: CommonForm::of(install_id, hub, wanted, &[&source])?,
            folder: folder(&source, &settings.mirrors),
            role: settings.role.clone(),
        })
    }

    /// The creation of an import with this number.
    ///
    /// # Errors
    /// `Refused` if the weights have no copy, with what must be changed.
    pub fn import(&self, number: u32) -> Result<NewImport, ProviderError> {
        let folder = self.folder.clone().ok_or_else(|| {
            let message = format!(
                "Bedrock imports weights from Amazon S3 only, and {} is elsewhere: copy it to S3, and add the copy to \
                 spec.bedrock.modelMirrors of the target",
                self.common.source
            );
            ProviderError::new(ErrorClass::Refused, message)
        })?;
        let job = job_name(&self.common.name, number);
        let tags = self.tags_of(&job);
        Ok(NewImport {
            job_name: job.clone(),
            imported_model_name: self.common.name.clone(),
            role_arn: self.role.clone(),
            model_data_source: ModelSource { s3_data_source: S3Source { s3_uri: folder } },
            client_request_token: job,
            job_tags: tag_list(&tags),
            imported_model_tags: tag_list(&tags),
        })
    }

    /// The tags of what this job makes.
    #[must_use]
    pub fn tags_of(&self, job: &str) -> BedrockTags {
        self.common.tags.clone().into_iter().chain([(IMPORT.to_owned(), job.to_owned())]).collect()
    }
}

fn job_name(endpoint: &str, number: u32) -> String {
    format!("{endpoint}-{number}")
}

/// Number of an import of this endpoint, by the name of its job.
#[must_use]
pub fn number_of(job: &str, endpoint: &str) -> Option<u32> {
    job.strip_prefix(endpoint)?.strip_prefix('-')?.parse().ok()
}

/// The folder of the copy of these weights in S3, by the longest source that is this one or a beginning of it up to a slash.
fn folder(source: &str, mirrors: &[ModelMirror]) -> Option<String> {
    let below = |mirror: &ModelMirror| {
        let rest = source.strip_prefix(&mirror.source)?;
        let fits = rest.is_empty() || mirror.source.ends_with('/');
        fits.then(|| format!("{}{rest}", mirror.mirror))
    };
    let fitting = mirrors.iter().filter_map(|mirror| Some((mirror.source.len(), below(mirror)?)));
    let (_, copy) = fitting.max_by_key(|(length, _)| *length)?;
    Some(format!("{}/", copy.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_imported_from_their_copy_in_s3() {
        let mirror = |source: &str, mirror: &str| ModelMirror { source: source.to_owned(), mirror: mirror.to_owned() };
        let mut mirrors = vec![mirror("hf://example/llama", "s3://weights/llama")];
        assert_eq!(folder("hf://example/llama", &mirrors).unwrap(), "s3://weights/llama/");
        assert_eq!(folder("hf://example/llama-2", &mirrors), None);

        mirrors.extend([mirror("hf://", "s3://weights/all/"), mirror("hf://example/", "s3://examples/")]);
        for (source, expected) in [
            ("hf://example/llama", "s3://weights/llama/"),
            ("hf://example/llama-2", "s3://examples/llama-2/"),
            ("hf://other/llama", "s3://weights/all/other/llama/"),
        ] {
            assert_eq!(folder(source, &mirrors).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn imports_of_an_endpoint_are_numbered() {
        assert_eq!(number_of(&job_name("llama-ifozqn2uokcb", 7), "llama-ifozqn2uokcb"), Some(7));
        for other in ["llama-ifozqn2uokcb", "llama-ifozqn2uokcb-x", "x-llama-ifozqn2uokcb-1"] {
            assert_eq!(number_of(other, "llama-ifozqn2uokcb"), None, "{other}");
        }
    }
}
