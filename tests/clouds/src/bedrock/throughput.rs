//! Provisioned throughput of one account and region: what time and calls do to it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::rules;
use super::settings::BedrockSettings;
use super::world::{Answer, At, Refusal, matches, missing, paged, tags};
use crate::clock::rfc3339;
use crate::kept::Visibility;

/// One provisioned model throughput.
#[derive(Debug, Clone, PartialEq)]
pub struct Throughput {
    pub arn: String,
    pub name: String,
    /// ARN of the model that serves.
    model: String,
    /// ARN of the model that is to serve.
    desired: String,
    /// ARN of the model of the maker.
    foundation: String,
    pub units: u64,
    pub tags: BTreeMap<String, String>,
    token: Option<String>,
    commitment: Value,
    created: i64,
    /// End of the creation in milliseconds since 1970; absent if it never ends.
    until: Option<i64>,
    /// Text of a failure.
    fails: Option<String>,
    /// End of the latest change of its model.
    changes_until: i64,
    gone: Option<i64>,
    pub visibility: Visibility,
}

impl Throughput {
    /// The state ([`rules::PROVISIONED_LATER`]).
    fn status(&self, now: i64) -> &'static str {
        match self.until {
            Some(until) if until <= now && self.fails.is_some() => "Failed",
            Some(until) if until <= now && now < self.changes_until => "Updating",
            Some(until) if until <= now => "InService",
            _ => "Creating",
        }
    }

    fn summary(&self, at: At<'_>) -> Value {
        let status = self.status(at.now);
        let changed = self.changes_until.max(self.created).min(at.now.max(self.created));
        let model = if status == "Updating" { &self.model } else { &self.desired };
        json!({
            "provisionedModelName": self.name, "provisionedModelArn": self.arn, "modelArn": model,
            "desiredModelArn": self.desired, "foundationModelArn": self.foundation, "modelUnits": self.units,
            "desiredModelUnits": self.units, "status": status, "creationTime": rfc3339(self.created),
            "lastModifiedTime": rfc3339(changed),
        })
    }

    /// The answer of `GetProvisionedModelThroughput` ([`rules::THROUGHPUT_FAILED`]).
    fn described(&self, at: At<'_>) -> Value {
        let mut described = self.summary(at);
        if let Some(reason) = self.fails.as_ref().filter(|_| described["status"] == "Failed") {
            described["failureMessage"] = json!(reason);
        }
        if !self.commitment.is_null() {
            described["commitmentDuration"] = self.commitment.clone();
        }
        if let Some(status) = &at.fate.status {
            described["status"] = json!(status);
        }
        described
    }

    /// Hours of units that were billed, the begun ones too ([`rules::BILLED_UNTIL_DELETED`]).
    fn billed(&self, now: i64) -> u64 {
        let end = self.gone.unwrap_or(now);
        u64::try_from((end - self.created) / 3_600_000 + 1).unwrap_or(0) * self.units
    }
}

/// The throughputs of one account and region.
#[derive(Debug, Default)]
pub struct Throughputs(Vec<Throughput>);

impl Throughputs {
    /// Buys a throughput, if none with its token was bought ([`rules::SAME_TOKEN_THROUGHPUT`]).
    pub fn create(&mut self, id: &str, input: &Value, settings: &BedrockSettings, at: At<'_>) -> Answer {
        let text = |member: &str| input[member].as_str().unwrap_or_default().to_owned();
        let token = input["clientRequestToken"].as_str().map(str::to_owned);
        let mut there = self.0.iter().filter(|one| !one.visibility.is_gone());
        if let Some(known) = there.clone().find(|one| token.is_some() && one.token == token) {
            return Ok(json!({"provisionedModelArn": known.arn}));
        }
        let name = text("provisionedModelName");
        if there.any(|one| one.name == name) {
            let message = format!("A provisioned model named {name} already exists.");
            return Err(invalid(message, &rules::THROUGHPUT_NAME_TAKEN));
        }
        let (model, foundation) = model_of(&text("modelId"), settings, at)?;
        let units = input["modelUnits"].as_u64().unwrap_or(1);
        let used: u64 = self.0.iter().filter(|one| !one.visibility.is_gone()).map(|one| one.units).sum();
        if used + units > settings.model_units {
            let message = format!("The account may have {} model units without commitment.", settings.model_units);
            let code = "ServiceQuotaExceededException";
            return Err(Refusal { status: 400, code, message, rule: &rules::UNITS_QUOTA });
        }
        let (seconds, fails) = match &at.fate.fails {
            Some((after, reason, _)) => (*after, Some(reason.clone())),
            None => (settings.provisioning_seconds, None),
        };
        let arn = at.arn("provisioned-model", id);
        self.0.push(Throughput {
            arn: arn.clone(),
            name,
            desired: model.clone(),
            model,
            foundation,
            units,
            tags: tags(&input["tags"]),
            token,
            commitment: input["commitmentDuration"].clone(),
            created: at.now,
            until: (!at.fate.stuck).then(|| at.now + i64::from(seconds) * 1000),
            fails,
            changes_until: 0,
            gone: None,
            visibility: Visibility::new(at.fate, at.now),
        });
        Ok(json!({"provisionedModelArn": arn}))
    }

    /// Buys one throughput that is there at once. Quotas do not count.
    pub fn install(&mut self, id: &str, name: &str, tags: BTreeMap<String, String>, at: At<'_>) {
        let model = format!("arn:aws:bedrock:{}::foundation-model/{FOUNDATION}", at.caller.region);
        self.0.push(Throughput {
            arn: at.arn("provisioned-model", id),
            name: name.to_owned(),
            model: model.clone(),
            desired: model.clone(),
            foundation: model,
            units: 1,
            tags,
            token: None,
            commitment: Value::Null,
            created: at.now,
            until: Some(at.now),
            fails: None,
            changes_until: 0,
            gone: None,
            visibility: Visibility::new(at.fate, at.now),
        });
    }

    /// The throughput with this name or ARN ([`rules::BY_NAME_OR_ARN`]).
    fn one(&mut self, identifier: &str, at: At<'_>) -> Result<&mut Throughput, Refusal> {
        let is_it = |one: &&mut Throughput| one.name == identifier || one.arn == identifier;
        let found = self.0.iter_mut().filter(|one| one.visibility.is_read(at.now)).find(is_it);
        found.ok_or_else(|| missing(identifier))
    }

    /// Describes one.
    pub fn get(&mut self, identifier: &str, at: At<'_>) -> Answer {
        Ok(self.one(identifier, at)?.described(at))
    }

    /// Gives one another model or name ([`rules::MODEL_CHANGED`]); units stay as they are ([`rules::UNITS_FIXED`]).
    pub fn update(&mut self, identifier: &str, input: &Value, settings: &BedrockSettings, at: At<'_>) -> Answer {
        let desired = input["desiredModelId"].as_str().map(|model| model_of(model, settings, at)).transpose()?;
        let one = self.one(identifier, at)?;
        if one.status(at.now) != "InService" {
            return Err(invalid("The provisioned model is not in service.".to_owned(), &rules::MODEL_CHANGED));
        }
        if let Some((desired, _)) = desired {
            one.model = std::mem::replace(&mut one.desired, desired);
            one.changes_until = at.now + i64::from(settings.provisioning_seconds) * 1000;
        }
        if let Some(name) = input["desiredProvisionedModelName"].as_str() {
            name.clone_into(&mut one.name);
        }
        Ok(json!({}))
    }

    /// Deletes one ([`rules::THROUGHPUT_DELETED`], [`rules::NOT_DELETED_MEANWHILE`]).
    pub fn delete(&mut self, identifier: &str, at: At<'_>) -> Answer {
        let one = self.one(identifier, at)?;
        if one.status(at.now) == "Updating" || !one.commitment.is_null() {
            let message = "The provisioned model cannot be deleted now.".to_owned();
            let (status, code) = (400, "ConflictException");
            return Err(Refusal { status, code, message, rule: &rules::NOT_DELETED_MEANWHILE });
        }
        one.visibility.linger(at.fate);
        one.visibility.gone(at.now);
        one.gone = Some(at.now);
        Ok(json!({}))
    }

    /// A page of those that listings show.
    pub fn list(&self, input: &Value, at: At<'_>) -> Value {
        let all = self.0.iter().filter(|one| one.visibility.is_listed(at.now) && matches(input, &one.name));
        let of_status = |one: &&Throughput| input["statusEquals"].as_str().is_none_or(|it| it == one.status(at.now));
        paged("provisionedModelSummaries", all.filter(of_status).map(|one| one.summary(at)).collect(), input)
    }

    /// Name of the one that takes a request ([`rules::IN_SERVICE_ALONE`]).
    pub fn asked(&mut self, identifier: &str, at: At<'_>) -> Result<String, Refusal> {
        let one = self.one(identifier, at)?;
        if ["InService", "Updating"].contains(&one.status(at.now)) {
            return Ok(one.name.clone());
        }
        Err(invalid(format!("The provisioned model {identifier} is not in service."), &rules::IN_SERVICE_ALONE))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Throughput> {
        self.0.iter()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Throughput> {
        self.0.iter_mut()
    }

    /// The true state.
    pub fn state(&self, now: i64) -> (Value, u64) {
        let there = self.0.iter().filter(|one| !one.visibility.is_gone());
        let shown = there.map(|one| {
            json!({"name": one.name, "units": one.units, "model": one.desired, "tags": one.tags,
                   "commitment": one.commitment})
        });
        (shown.collect(), self.0.iter().map(|one| one.billed(now)).sum())
    }
}

/// A model of a maker that the fake knows by default.
pub const FOUNDATION: &str = "meta.llama3-1-8b-instruct-v1:0:128k";

/// ARNs of the model that this identifier names and of the maker's, if units of it can be bought ([`rules::KNOWN_MODELS`]).
fn model_of(identifier: &str, settings: &BedrockSettings, at: At<'_>) -> Result<(String, String), Refusal> {
    let of_maker = |id: &str| format!("arn:aws:bedrock:{}::foundation-model/{id}", at.caller.region);
    let id = identifier.rsplit_once("foundation-model/").map_or(identifier, |(_, id)| id);
    if settings.foundation_models.iter().any(|known| known == id) {
        return Ok((of_maker(id), of_maker(id)));
    }
    let own = format!("arn:aws:bedrock:{}:{}:custom-model/", at.caller.region, at.caller.account);
    let base = identifier.strip_prefix(&own).and_then(|rest| rest.split('/').next());
    match base.filter(|base| settings.foundation_models.iter().any(|known| known == base)) {
        Some(base) => Ok((identifier.to_owned(), of_maker(base))),
        None => Err(invalid("The provided model identifier is invalid.".to_owned(), &rules::KNOWN_MODELS)),
    }
}

fn invalid(message: String, rule: &'static crate::rules::Rule) -> Refusal {
    Refusal { status: 400, code: "ValidationException", message, rule }
}
