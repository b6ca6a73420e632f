//! Keys and secrets that callers make.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::rules;
use super::world::{BasetenFault, missing};
use crate::clock::rfc3339;

/// Everything that was issued.
#[derive(Debug, Default)]
pub struct Issued {
    /// Keys for inference, in the order of their creation.
    pub keys: Vec<InvokeKey>,
    /// Values of secrets, with the times of their creation, by team and name.
    pub secrets: BTreeMap<(String, String), (String, i64)>,
    made: u64,
}

/// A key for inference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvokeKey {
    prefix: String,
    /// The key.
    pub value: String,
    name: String,
    team: String,
    /// The models that it may call; `None` is every one of its team.
    models: Option<Vec<String>>,
    created: i64,
}

impl InvokeKey {
    /// True if the key may call a model.
    pub fn may_call(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|one| one == model))
    }
}

impl Issued {
    /// Makes a key, whose value is shown once ([`rules::ISSUED`]).
    ///
    /// # Errors
    /// The service's refusal.
    pub fn create_key(&mut self, team: &str, body: &Value, now: i64) -> Result<Value, BasetenFault> {
        let name = body["name"].as_str().unwrap_or_default().to_owned();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let bad = |rule, message: &str| {
            Err(BasetenFault { status: StatusCode::BAD_REQUEST, message: message.to_owned(), rule })
        };
        if !name.chars().all(plain) {
            return bad(&rules::KEY_NAME, "name: use lower-case letters, digits and hyphens");
        }
        if body["type"] != "WORKSPACE_INVOKE" {
            return bad(&rules::ISSUED, "type: this fake makes WORKSPACE_INVOKE alone");
        }
        self.made += 1;
        let models = body["model_ids"]
            .as_array()
            .map(|ids| ids.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
        let prefix = format!("issued{:04}", self.made);
        let value = format!("{prefix}.value-of-an-issued-key");
        let key = InvokeKey { prefix, value: value.clone(), name, team: team.to_owned(), models, created: now };
        self.keys.push(key);
        Ok(json!({"api_key": value}))
    }

    /// Lists the keys of a team, without their values.
    pub fn list_keys(&self, team: &str) -> Value {
        let keys: Vec<Value> = self.keys.iter().filter(|key| key.team == team).map(InvokeKey::shown).collect();
        json!({"keys": keys})
    }

    /// # Errors
    /// The service's refusal.
    pub fn delete_key(&mut self, team: &str, prefix: &str) -> Result<Value, BasetenFault> {
        let before = self.keys.len();
        self.keys.retain(|key| key.team != team || key.prefix != prefix);
        if self.keys.len() == before { Err(missing("API key")) } else { Ok(json!({"prefix": prefix})) }
    }

    /// Writes a secret by its name ([`rules::SECRETS`]).
    pub fn upsert_secret(&mut self, team: &str, body: &Value, now: i64) -> Value {
        let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        let entry = self.secrets.entry((team.to_owned(), name.clone())).or_insert((String::new(), now));
        entry.0 = text("value");
        secret(team, &name, entry.1)
    }

    /// Lists the secrets of a team, without their values.
    pub fn list_secrets(&self, team: &str) -> Value {
        let all = self.secrets.iter().filter(|((owner, _), _)| owner == team);
        json!({"secrets": all.map(|((_, name), (_, created))| secret(team, name, *created)).collect::<Vec<_>>()})
    }

    /// # Errors
    /// The service's refusal.
    pub fn delete_secret(&mut self, team: &str, name: &str) -> Result<Value, BasetenFault> {
        match self.secrets.remove(&(team.to_owned(), name.to_owned())) {
            Some(_) => Ok(json!({"name": name})),
            None => Err(missing("secret")),
        }
    }
}

impl InvokeKey {
    fn shown(&self) -> Value {
        json!({"prefix": self.prefix, "name": self.name, "type": "WORKSPACE_INVOKE", "model_ids": self.models,
               "team_name": self.team, "created_at": rfc3339(self.created), "last_used_at": null, "owner": null})
    }
}

fn secret(team: &str, name: &str, created: i64) -> Value {
    json!({"id": format!("secret-{name}"), "created_at": rfc3339(created), "name": name, "team_name": team})
}
