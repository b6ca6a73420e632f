//! Environment of a container, within the limits of SageMaker. Pure.

use std::collections::BTreeMap;

use roadstead_api::v1alpha1::names;
use roadstead_provider::environment::{BARE_PORT, BarePlace, environment as of_engine};
use roadstead_provider::{ErrorClass, ProviderError, Wanted};

/// SageMaker asks every container on this port.
const PLACE: BarePlace = BarePlace { title: "SageMaker", custom_port: BARE_PORT };
/// Variable with the endpoint's key, for a rebuilt hub. Engines must not know it: SageMaker guards the endpoint, and the header
/// that would carry the key carries SageMaker's own token.
pub const KEY_VARIABLE: &str = "ROADSTEAD_ENDPOINT_KEY";
/// Characters of a value.
const MAX_VALUE: usize = 1024;
/// Variables of a container.
const MAX_VARIABLES: usize = 100;

/// Environment of the container.
///
/// # Errors
/// `Refused` where an argument, a command or a value cannot be expressed by an environment; `Invalid` where a Secret lacks a key.
pub fn environment(wanted: &Wanted) -> Result<BTreeMap<String, String>, ProviderError> {
    let refused = |message: String| Err(ProviderError::new(ErrorClass::Refused, message));
    let mut all = of_engine(wanted, PLACE)?;
    all.insert(KEY_VARIABLE.to_owned(), wanted.api_key.expose().to_owned());
    if let Some((name, _)) = all.iter().find(|(_, value)| value.len() > MAX_VALUE) {
        return refused(format!(
            "variable {name} is longer than {MAX_VALUE} characters, which SageMaker does not allow"
        ));
    }
    if all.len() > MAX_VARIABLES {
        let count = all.len();
        return refused(format!("the container has {count} variables; SageMaker allows {MAX_VARIABLES}"));
    }
    Ok(all)
}

/// The key in the environment of a container, if it is one of Roadstead's.
#[must_use]
pub fn key_in(environment: &BTreeMap<String, String>) -> Option<&str> {
    environment.get(KEY_VARIABLE).map(String::as_str).filter(|key| names::is_api_key(key))
}
