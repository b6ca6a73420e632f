//! Environment of a container, as far as a deployment gives it.

use std::collections::BTreeMap;

use roadstead_api::v1alpha1::InferenceEndpointSpec;

use crate::{ErrorClass, ProviderError, Secret};

/// Variables by their names, plain ones and those from Secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Plain variables.
    pub plain: BTreeMap<String, String>,
    /// Variables whose values are secret.
    pub secret: BTreeMap<String, String>,
}

impl Variables {
    /// The variables of a deployment: the credentials of its model, then its own.
    ///
    /// # Errors
    /// `Invalid` where a Secret lacks a key, or its value is no text.
    pub fn of(spec: &InferenceEndpointSpec, secrets: &BTreeMap<String, Secret>) -> Result<Self, ProviderError> {
        let mut all = Self::default();
        let text =
            |secret: &Secret, key: &str| secret.data.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok());
        let credentials = spec.template.model.credentials_secret_ref.as_ref();
        if let Some(secret) = credentials.and_then(|one| secrets.get(&one.name)) {
            all.secret.extend(secret.data.keys().filter_map(|key| Some((key.clone(), text(secret, key)?))));
        }
        for variable in &spec.template.env {
            match (&variable.value, &variable.secret_key_ref) {
                (Some(value), _) => {
                    all.plain.insert(variable.name.clone(), value.clone());
                }
                (None, Some(reference)) => {
                    let value = secrets.get(&reference.name).and_then(|secret| text(secret, &reference.key));
                    let value = value.ok_or_else(|| {
                        let message =
                            format!("key {} of Secret {} is missing or is not text", reference.key, reference.name);
                        ProviderError::new(ErrorClass::Invalid, message)
                    })?;
                    all.secret.insert(variable.name.clone(), value);
                }
                (None, None) => {}
            }
        }
        Ok(all)
    }

    /// All of them; those of the deployment win.
    #[must_use]
    pub fn all(self) -> BTreeMap<String, String> {
        self.secret.into_iter().chain(self.plain).collect()
    }
}
