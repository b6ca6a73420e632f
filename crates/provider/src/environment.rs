//! Start of an engine at a place whose containers have an environment and no arguments. Pure.
//!
//! vLLM's images for such places turn `SM_VLLM_MAX_MODEL_LEN=4096` into `--max-model-len 4096`, and an empty value into a bare flag
//! (vllm-project/vllm, examples/online_serving/sagemaker-entrypoint.sh; aws/deep-learning-containers). They listen on port
//! [`BARE_PORT`].

use std::collections::BTreeMap;

use roadstead_api::v1alpha1::{Engine, InferenceEndpointSpec, Template};

use crate::{ErrorClass, ProviderError, Variables, Wanted};

/// Prefix of the variables that become arguments.
const ARGUMENT: &str = "SM_VLLM_";
/// Port of vLLM's images for such places.
pub const BARE_PORT: u16 = 8080;

/// A place whose containers have no arguments.
#[derive(Debug, Clone, Copy)]
pub struct BarePlace {
    /// Its name in messages.
    pub title: &'static str,
    /// Port on which it asks an image of engine `custom`.
    pub custom_port: u16,
}

/// The error of what this place cannot express, and another one may.
fn refused<T>(message: impl Into<String>) -> Result<T, ProviderError> {
    Err(ProviderError::new(ErrorClass::Refused, message.into()))
}

/// Environment of the container.
///
/// # Errors
/// `Refused` where an argument or a command cannot be expressed by an environment; `Invalid` where a Secret lacks a key.
pub fn environment(wanted: &Wanted, place: BarePlace) -> Result<BTreeMap<String, String>, ProviderError> {
    let spec = &wanted.endpoint.spec;
    let template = &spec.template;
    let mut all = given(spec, wanted, place)?;
    match template.engine {
        Engine::Vllm => all.extend(vllm(template, place)?),
        Engine::Custom => all.extend(custom(template, place)?),
    }
    Ok(all)
}

/// Variables from credentials and from the deployment, which come first there too.
fn given(
    spec: &InferenceEndpointSpec,
    wanted: &Wanted,
    place: BarePlace,
) -> Result<BTreeMap<String, String>, ProviderError> {
    let all = Variables::of(spec, &wanted.secrets)?.all();
    match all.keys().find(|name| !is_variable(name) || name.starts_with(ARGUMENT)) {
        Some(name) => refused(format!(
            "{} does not accept the variable name {name}: use letters, digits and _, and put arguments into args",
            place.title
        )),
        None => Ok(all),
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn vllm(template: &Template, place: BarePlace) -> Result<BTreeMap<String, String>, ProviderError> {
    let model = &template.model;
    let source = model.source.as_deref().unwrap_or_default();
    let mut all = arguments(&template.args, place)?;
    let mut set = |name: &str, value: &str| all.insert(format!("{ARGUMENT}{name}"), value.to_owned());
    set("MODEL", source.strip_prefix("hf://").unwrap_or(source));
    set("SERVED_MODEL_NAME", &model.name);
    if let Some(revision) = &model.revision {
        set("REVISION", revision);
    }
    Ok(all)
}

fn custom(template: &Template, place: BarePlace) -> Result<BTreeMap<String, String>, ProviderError> {
    let has_command = template.custom.as_ref().is_some_and(|custom| !custom.command.is_empty());
    if has_command || !template.args.is_empty() {
        let title = place.title;
        return refused(format!(
            "{title} runs the entry point of the image: remove custom.command and args, and use env"
        ));
    }
    let model = &template.model;
    let mut all = BTreeMap::from([
        ("ROADSTEAD_MODEL_NAME".to_owned(), model.name.clone()),
        ("ROADSTEAD_PORT".to_owned(), place.custom_port.to_string()),
    ]);
    all.extend(model.source.clone().map(|source| ("ROADSTEAD_MODEL_SOURCE".to_owned(), source)));
    all.extend(model.revision.clone().map(|revision| ("ROADSTEAD_MODEL_REVISION".to_owned(), revision)));
    Ok(all)
}

/// Arguments as variables. A later one of the same name wins, as in a command line.
fn arguments(args: &[String], place: BarePlace) -> Result<BTreeMap<String, String>, ProviderError> {
    let title = place.title;
    let mut all = BTreeMap::new();
    let mut rest = args.iter().map(String::as_str).peekable();
    while let Some(argument) = rest.next() {
        let Some(flag) = argument.strip_prefix("--") else {
            return refused(format!(
                "images for {title} take arguments as --name=value; {argument:?} does not have this form"
            ));
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value),
            None => (flag, rest.next_if(|next| !next.starts_with("--")).unwrap_or_default()),
        };
        let variable = format!("{ARGUMENT}{}", name.to_ascii_uppercase().replace('-', "_"));
        // The image turns every _ into a - and every letter into a small one.
        if name.contains('_') || name.bytes().any(|byte| byte.is_ascii_uppercase()) || !is_variable(&variable) {
            return refused(format!("images for {title} cannot pass the argument --{name}"));
        }
        if value.contains('\n') {
            return refused(format!(
                "images for {title} cannot pass the argument --{name}: its value has several lines"
            ));
        }
        all.insert(variable, value.to_owned());
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(args: &[&str]) -> Result<Vec<(String, String)>, ProviderError> {
        let place = BarePlace { title: "SageMaker", custom_port: 8080 };
        arguments(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), place)
            .map(|all| all.into_iter().collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (format!("{ARGUMENT}{name}"), value.to_owned())
    }

    #[test]
    fn arguments_become_variables() {
        let all =
            args(&["--max-model-len=4096", "--tensor-parallel-size", "8", "--enforce-eager", "--seed=-1"]).unwrap();
        assert_eq!(
            all,
            [
                pair("ENFORCE_EAGER", ""),
                pair("MAX_MODEL_LEN", "4096"),
                pair("SEED", "-1"),
                pair("TENSOR_PARALLEL_SIZE", "8")
            ]
        );
    }

    #[test]
    fn the_last_argument_of_a_name_wins() {
        assert_eq!(args(&["--seed=1", "--seed=2"]).unwrap(), [pair("SEED", "2")]);
    }

    #[test]
    fn an_argument_that_the_images_cannot_pass_is_refused_by_its_name() {
        for (refused, named) in [
            (&["-tp", "8"][..], "-tp"),
            (&["--lora-modules", "a", "b"][..], "\"b\""),
            (&["--compilation-config.level=3"][..], "--compilation-config.level"),
            (&["--max_model_len=1"][..], "--max_model_len"),
            (&["--chat-template=a\nb"][..], "--chat-template"),
        ] {
            let error = args(refused).unwrap_err();
            assert!(error.class == ErrorClass::Refused && error.message.contains(named), "{error}");
        }
    }

    #[test]
    fn variables_have_plain_names() {
        assert!(is_variable("HF_TOKEN") && is_variable("_a1"));
        assert!(!is_variable("1A") && !is_variable("a.b") && !is_variable(""));
    }
}
