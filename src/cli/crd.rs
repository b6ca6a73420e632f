//! `roadstead crd`: the custom resource definitions.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use crate::api::v1alpha1::crds;

/// Options of `roadstead crd`.
#[derive(Debug, Args)]
pub struct CrdArgs {
    /// Write one file a kind into this directory instead of printing all of them.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Have Helm keep the definitions when their chart is uninstalled.
    #[arg(long)]
    pub keep: bool,
}

/// Prints or writes the definitions.
///
/// # Errors
/// When a file cannot be written.
pub fn run(args: &CrdArgs) -> anyhow::Result<ExitCode> {
    for crd in crds() {
        let text = yaml(crd.clone(), args.keep)?;
        match &args.dir {
            None => print!("---\n{text}"),
            Some(dir) => {
                let path = dir.join(format!("{}.yaml", crd.spec.names.plural));
                std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One definition in YAML, as it stands in `crds/` and, with `keep`, in the chart.
///
/// # Errors
/// When it cannot be written as YAML, which would be a defect.
pub fn yaml(mut crd: CustomResourceDefinition, keep: bool) -> anyhow::Result<String> {
    if keep {
        let annotations = crd.metadata.annotations.get_or_insert_default();
        annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    }
    Ok(serde_saphyr::to_string(&crd)?)
}
