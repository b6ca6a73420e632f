//! `roadstead crd`: the custom resource definitions.
use clap::Args;
/// Options of `roadstead crd`.
#[derive(Debug, Args)]
pub struct CrdArgs {}
/// Prints the definitions as YAML documents.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(_: &CrdArgs) -> anyhow::Result<std::process::ExitCode> {
    use kube::CustomResourceExt;
    use crate::api::v1alpha1::{InferenceEndpoint, ModelDeployment, ServingTarget};
    for crd in [ModelDeployment::crd(), ServingTarget::crd(), InferenceEndpoint::crd()] {
        println!("---\n{}", serde_saphyr::to_string(&crd)?);
    }
    Ok(std::process::ExitCode::SUCCESS)
}
