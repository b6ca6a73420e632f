//! `roadstead crd`: the custom resource definitions.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use roadstead_api::schema::{definitions, yaml};

/// Options of `roadstead crd`.
#[derive(Debug, Args)]
pub struct CrdArgs {
    /// Write one file for each kind into this folder, instead of all definitions to standard output.
    #[arg(long, value_name = "FOLDER")]
    pub output_dir: Option<PathBuf>,
    /// Annotate the definitions so that Helm keeps them when their chart is uninstalled.
    #[arg(long)]
    pub helm_keep: bool,
}

/// Prints the definitions as YAML documents, or writes them to files.
///
/// # Errors
/// If standard output or a file cannot be written.
pub fn run(args: &CrdArgs) -> anyhow::Result<ExitCode> {
    let files = files(args.helm_keep)?;
    match &args.output_dir {
        None => {
            let mut out = std::io::stdout().lock();
            for (_, text) in files {
                writeln!(out, "---\n{}", text.trim_end())?;
            }
        }
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create the folder {}", folder.display()))?;
            for (name, text) in files {
                let path = folder.join(name);
                std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Name and text of each file; with `helm_keep` in the chart's form.
///
/// # Errors
/// If a definition cannot be written as YAML, which would be a mistake in this program.
pub fn files(helm_keep: bool) -> anyhow::Result<Vec<(String, String)>> {
    definitions()
        .iter_mut()
        .map(|definition| {
            if helm_keep {
                let annotations = definition.metadata.annotations.get_or_insert_default();
                annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
            }
            let name = format!("{}.yaml", definition.spec.names.plural);
            let text = yaml(definition).with_context(|| format!("cannot write {name}"))?;
            Ok((name, format!("# Generated from the types in src/api by `make generate`; edit those instead.\n{text}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_definitions_are_those_of_the_types() {
        same_as_committed("crds", false);
        same_as_committed("charts/roadstead-crds/templates", true);
    }

    fn same_as_committed(folder: &str, helm_keep: bool) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut expected = files(helm_keep).unwrap();
        expected.sort();
        let mut found: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        found.sort();
        let names = |files: &[(String, String)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected));
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found == expected, "{} has drifted from the types: run `make generate`", found.0);
        }
    }
}
