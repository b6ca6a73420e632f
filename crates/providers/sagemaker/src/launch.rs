//! Start of the engine: a container at SageMaker has an environment and no arguments. Pure.
//!
//! Images of vLLM for SageMaker turn `SM_VLLM_MAX_MODEL_LEN=4096` into `--max-model-len 4096`, and an empty value into a bare
//! flag (vllm-project/vllm, examples/online_serving/sagemaker-entrypoint.sh; aws/deep-learning-containers). They listen on
//! port 8080, which SageMaker requires.

use std::collections::BTreeMap;

use roadstead_api::v1alpha1::{Engine, InferenceEndpointSpec, Template, names};
use roadstead_provider::{Variables, Wanted};

/// Prefix of the variables that become arguments.
const ARGUMENT: &str = "SM_VLLM_";
/// Port on which SageMaker asks a container.
const PORT: &str = "8080";
/// Variable with the endpoint's key, for a rebuilt hub. Engines must not know it: SageMaker guards the endpoint, and the header
/// that would carry the key carries SageMaker's own token.
pub const KEY_VARIABLE: &str = "ROADSTEAD_ENDPOINT_KEY";
/// Characters of a value.
const MAX_VALUE: usize = 1024;
/// Variables of a container.
const MAX_VARIABLES: usize = 100;

/// Reason why an engine cannot be started at SageMaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchFault(pub String);

fn fault<T>(message: impl Into<String>) -> Result<T, LaunchFault> {
    Err(LaunchFault(message.into()))
}

/// Environment of the container.
///
/// # Errors
/// [`LaunchFault`] where an argument, a command or a value cannot be expressed by an environment.
pub fn environment(wanted: &Wanted) -> Result<BTreeMap<String, String>, LaunchFault> {
    let spec = &wanted.endpoint.spec;
    let template = &spec.template;
    let mut all = given(spec, wanted)?;
    match template.engine {
        Engine::Vllm => all.extend(vllm(template)?),
        Engine::Custom => all.extend(custom(template)?),
    }
    all.insert(KEY_VARIABLE.to_owned(), wanted.api_key.expose().to_owned());
    if let Some((name, _)) = all.iter().find(|(_, value)| value.len() > MAX_VALUE) {
        return fault(format!("variable {name} is longer than {MAX_VALUE} characters, which SageMaker does not allow"));
    }
    if all.len() > MAX_VARIABLES {
        let count = all.len();
        return fault(format!("the container has {count} variables; SageMaker allows {MAX_VARIABLES}"));
    }
    Ok(all)
}

/// Variables from credentials and from the deployment, which come first there too.
fn given(spec: &InferenceEndpointSpec, wanted: &Wanted) -> Result<BTreeMap<String, String>, LaunchFault> {
    let all = Variables::of(spec, &wanted.secrets).map_err(|error| LaunchFault(error.message))?.all();
    match all.keys().find(|name| !is_variable(name) || name.starts_with(ARGUMENT)) {
        Some(name) => {
            fault(format!("SageMaker has no variable {name}: use letters, digits and _; arguments go into args"))
        }
        None => Ok(all),
    }
}

fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

fn vllm(template: &Template) -> Result<BTreeMap<String, String>, LaunchFault> {
    let model = &template.model;
    let source = model.source.as_deref().unwrap_or_default();
    let mut all = arguments(&template.args)?;
    let mut set = |name: &str, value: &str| all.insert(format!("{ARGUMENT}{name}"), value.to_owned());
    set("MODEL", source.strip_prefix("hf://").unwrap_or(source));
    set("SERVED_MODEL_NAME", &model.name);
    if let Some(revision) = &model.revision {
        set("REVISION", revision);
    }
    Ok(all)
}

fn custom(template: &Template) -> Result<BTreeMap<String, String>, LaunchFault> {
    let has_command = template.custom.as_ref().is_some_and(|custom| !custom.command.is_empty());
    if has_command || !template.args.is_empty() {
        return fault("SageMaker runs the entry point of the image: remove custom.command and args, and use env");
    }
    let model = &template.model;
    let mut all = BTreeMap::from([
        ("ROADSTEAD_MODEL_NAME".to_owned(), model.name.clone()),
        ("ROADSTEAD_PORT".to_owned(), PORT.to_owned()),
    ]);
    all.extend(model.source.clone().map(|source| ("ROADSTEAD_MODEL_SOURCE".to_owned(), source)));
    all.extend(model.revision.clone().map(|revision| ("ROADSTEAD_MODEL_REVISION".to_owned(), revision)));
    Ok(all)
}

/// Arguments as variables. A later one of the same name wins, as in a command line.
fn arguments(args: &[String]) -> Result<BTreeMap<String, String>, LaunchFault> {
    let mut all = BTreeMap::new();
    let mut rest = args.iter().map(String::as_str).peekable();
    while let Some(argument) = rest.next() {
        let Some(flag) = argument.strip_prefix("--") else {
            return fault(format!("SageMaker's images take arguments as --name=value; {argument:?} is none"));
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value),
            None => (flag, rest.next_if(|next| !next.starts_with("--")).unwrap_or_default()),
        };
        let variable = format!("{ARGUMENT}{}", name.to_ascii_uppercase().replace('-', "_"));
        // The image turns every _ into a - and every letter into a small one.
        if name.contains('_') || name.bytes().any(|byte| byte.is_ascii_uppercase()) || !is_variable(&variable) {
            return fault(format!("SageMaker's images cannot pass the argument --{name}"));
        }
        if value.contains('\n') {
            return fault(format!("SageMaker's images cannot pass the argument --{name}: its value has several lines"));
        }
        all.insert(variable, value.to_owned());
    }
    Ok(all)
}

/// The key in the environment of a container, if it is one of Roadstead's.
#[must_use]
pub fn key_in(environment: &BTreeMap<String, String>) -> Option<&str> {
    environment.get(KEY_VARIABLE).map(String::as_str).filter(|key| names::is_api_key(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(args: &[&str]) -> Result<Vec<(String, String)>, LaunchFault> {
        arguments(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()).map(|all| all.into_iter().collect())
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
            let LaunchFault(message) = args(refused).unwrap_err();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn variables_have_plain_names() {
        assert!(is_variable("HF_TOKEN") && is_variable("_a1"));
        assert!(!is_variable("1A") && !is_variable("a.b") && !is_variable(""));
    }
}
