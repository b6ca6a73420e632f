//! Import jobs, imported models and provisioned throughput of each account and region. Time is an argument.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::model::{Copies, Imported, Job, JobStatus};
use super::rules;
use super::settings::BedrockSettings;
use super::throughput::{Throughput, Throughputs};
use crate::faults::Fate;
use crate::kept::{Visibility, page};
use crate::rules::Rule;
use crate::sagemaker::signature::Caller;

/// Rows of a page that no request asks for.
const ROWS: usize = 10;

/// A refusal: status, code and text, and the rule behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    pub rule: &'static Rule,
}

/// The answer to a call.
pub type Answer = Result<Value, Refusal>;

/// Caller, fate and time of a call.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub caller: &'a Caller,
    pub fate: &'a Fate,
    /// Milliseconds since 1970.
    pub now: i64,
}

impl At<'_> {
    /// The ARN of a thing of the caller.
    pub fn arn(&self, kind: &str, id: &str) -> String {
        let Caller { account, region, .. } = self.caller;
        format!("arn:aws:bedrock:{region}:{account}:{kind}/{id}")
    }
}

/// All accounts and regions.
#[derive(Debug)]
pub struct World {
    pub settings: BedrockSettings,
    places: BTreeMap<(String, String), Region>,
    made: u64,
}

/// One account in one region.
#[derive(Debug, Default)]
struct Region {
    jobs: Vec<Job>,
    models: Vec<Imported>,
    throughputs: Throughputs,
}

impl World {
    /// Nothing exists.
    pub fn new(settings: BedrockSettings) -> Self {
        Self { settings, places: BTreeMap::new(), made: 0 }
    }

    /// Makes a call to the control plane.
    ///
    /// # Errors
    /// The refusal.
    pub fn call(&mut self, operation: &str, input: &Value, at: At<'_>) -> Answer {
        self.made += 1;
        // Twelve letters and digits, as the service's own ids.
        let id = format!("{:012}", self.made);
        let place = (at.caller.account.clone(), at.caller.region.clone());
        let region = self.places.entry(place).or_default();
        region.settle(&self.settings, at);
        let text = |member: &str| input[member].as_str().unwrap_or_default();
        match operation {
            "CreateModelImportJob" => region.create(&id, input, &self.settings, at),
            "GetModelImportJob" => region.job(text("jobIdentifier"), at).map(|job| job.described(at.fate)),
            "ListModelImportJobs" => Ok(region.list_jobs(input, at)),
            "GetImportedModel" => region.model(text("modelIdentifier"), at).map(|model| model.described()),
            "ListImportedModels" => Ok(region.list_models(input, at)),
            "DeleteImportedModel" => region.delete(text("modelIdentifier"), at),
            "CreateProvisionedModelThroughput" => region.throughputs.create(&id, input, &self.settings, at),
            "GetProvisionedModelThroughput" => region.throughputs.get(text("provisionedModelId"), at),
            "ListProvisionedModelThroughputs" => Ok(region.throughputs.list(input, at)),
            "UpdateProvisionedModelThroughput" => {
                region.throughputs.update(text("provisionedModelId"), input, &self.settings, at)
            }
            "DeleteProvisionedModelThroughput" => region.throughputs.delete(text("provisionedModelId"), at),
            "ListTagsForResource" => Ok(json!({"tags": shown(region.tags(text("resourceARN"), at)?)})),
            "TagResource" => {
                region.tags(text("resourceARN"), at)?.extend(tags(&input["tags"]));
                Ok(json!({}))
            }
            _ => {
                let known = region.tags(text("resourceARN"), at)?;
                for key in input["tagKeys"].as_array().into_iter().flatten() {
                    known.remove(key.as_str().unwrap_or_default());
                }
                Ok(json!({}))
            }
        }
    }

    /// Asks for a copy of a model: its name, if one answers.
    ///
    /// # Errors
    /// The refusal; where the model is cold, a copy begins to start.
    pub fn invoke(&mut self, identifier: &str, at: At<'_>) -> Result<String, Refusal> {
        let place = (at.caller.account.clone(), at.caller.region.clone());
        let region = self.places.entry(place).or_default();
        region.settle(&self.settings, at);
        let model = region.model(identifier, at).map_err(|missing| Refusal { rule: &rules::NO_MODEL, ..missing })?;
        if model.answers(self.settings.waking_seconds, at.now) {
            return Ok(model.name.clone());
        }
        let message = "Model is not ready for inference. Wait and try your request again.".to_owned();
        Err(Refusal { status: 429, code: "ModelNotReadyException", message, rule: &rules::COLD })
    }

    /// Asks the model of a provisioned throughput: its name, if it is in service.
    ///
    /// # Errors
    /// The refusal.
    pub fn converse(&mut self, identifier: &str, at: At<'_>) -> Result<String, Refusal> {
        let place = (at.caller.account.clone(), at.caller.region.clone());
        self.places.entry(place).or_default().throughputs.asked(identifier, at)
    }

    /// ARNs and tags of everything that listings show.
    pub fn tagged(&mut self, at: At<'_>) -> Vec<(&str, &BTreeMap<String, String>)> {
        let region = self.places.entry((at.caller.account.clone(), at.caller.region.clone())).or_default();
        region.settle(&self.settings, at);
        let models = region.models.iter().map(|model| (&model.arn, &model.visibility, &model.tags));
        let jobs = region.jobs.iter().map(|job| (&job.arn, &job.visibility, &job.tags));
        let throughputs = region.throughputs.iter().map(|one| (&one.arn, &one.visibility, &one.tags));
        let all = models.chain(jobs).chain(throughputs).filter(|(_, visibility, _)| visibility.is_listed(at.now));
        all.map(|(arn, _, tags)| (arn.as_str(), tags)).collect()
    }

    /// Removes a model or a provisioned throughput at once. True if there was one.
    pub fn take_away(&mut self, account: &str, region: &str, name: &str, now: i64) -> bool {
        let caller = Caller { account: account.to_owned(), arn: String::new(), region: region.to_owned() };
        let at = At { caller: &caller, fate: &Fate::default(), now };
        let place = self.places.entry((account.to_owned(), region.to_owned())).or_default();
        place.settle(&self.settings, at);
        place.delete(name, at).is_ok() || place.throughputs.delete(name, at).is_ok()
    }

    /// Imports a model at once.
    pub fn install(&mut self, name: &str, tags: BTreeMap<String, String>, at: At<'_>) {
        self.made += 1;
        let id = format!("{:012}", self.made);
        let region = self.places.entry((at.caller.account.clone(), at.caller.region.clone())).or_default();
        region.models.push(Imported {
            arn: at.arn("imported-model", &id),
            name: name.to_owned(),
            job: (at.arn("model-import-job", &id), name.to_owned()),
            source: json!({"s3DataSource": {"s3Uri": "s3://weights/"}}),
            tags,
            created: at.now,
            units: self.settings.units,
            copy: Copies::None,
            windows: 0,
            visibility: Visibility::new(at.fate, at.now),
        });
    }

    /// Buys throughput that is there at once.
    pub fn provision(&mut self, name: &str, tags: BTreeMap<String, String>, at: At<'_>) {
        self.made += 1;
        let place = (at.caller.account.clone(), at.caller.region.clone());
        self.places.entry(place).or_default().throughputs.install(&format!("{:012}", self.made), name, tags, at);
    }

    /// The true state.
    pub fn state(&mut self, now: i64) -> Value {
        let settings = self.settings.clone();
        let (caller, fate) =
            (Caller { account: String::new(), arn: String::new(), region: String::new() }, Fate::default());
        let places = self.places.iter_mut().map(|((account, region), place)| {
            place.settle(&settings, At { caller: &caller, fate: &fate, now });
            let models = place.models.iter().filter(|model| !model.visibility.is_gone());
            let jobs = place.jobs.iter().filter(|job| job.status == JobStatus::InProgress);
            let (throughputs, unit_hours) = place.throughputs.state(now);
            json!({
                "account": account, "region": region, "throughputs": throughputs, "billedUnitHours": unit_hours,
                "models": models.map(|model| json!({"name": model.name, "tags": model.tags})).collect::<Value>(),
                "jobs": jobs.map(|job| json!({"name": job.name, "model": job.model_name})).collect::<Value>(),
                "billedUnitWindows": place.models.iter().map(Imported::billed).sum::<u64>(),
            })
        });
        places.collect()
    }
}

impl Region {
    /// Ends what has ended ([`rules::IMPORTED_LATER`]).
    fn settle(&mut self, settings: &BedrockSettings, at: At<'_>) {
        for job in &mut self.jobs {
            self.models.extend(job.settle(settings.units, at.now));
        }
    }

    /// Begins an import, if none with its token was begun ([`rules::SAME_TOKEN`], [`rules::SAME_TOKEN_ANSWER`]).
    fn create(&mut self, id: &str, input: &Value, settings: &BedrockSettings, at: At<'_>) -> Answer {
        let text = |member: &str| input[member].as_str().unwrap_or_default().to_owned();
        let token = input["clientRequestToken"].as_str().map(str::to_owned);
        if let Some(known) = self.jobs.iter().find(|job| token.is_some() && job.token == token) {
            return Ok(json!({"jobArn": known.arn}));
        }
        let (name, model_name) = (text("jobName"), text("importedModelName"));
        let conflict = |what: &str, name: &str| Refusal {
            status: 400,
            code: "ConflictException",
            message: format!("The provided {what} name {name} is already in use."),
            rule: &rules::NAME_TAKEN,
        };
        if self.jobs.iter().any(|job| job.name == name) {
            return Err(conflict("job", &name));
        }
        let under_way = self.jobs.iter().filter(|job| job.status == JobStatus::InProgress).map(|job| &job.model_name);
        let existing = self.models.iter().filter(|model| !model.visibility.is_gone()).map(|model| &model.name);
        let names: Vec<&String> = under_way.chain(existing).collect();
        if names.contains(&&model_name) {
            return Err(conflict("imported model", &model_name));
        }
        if names.len() >= settings.quota {
            let message = format!("You have reached the limit of {} imported models per account.", settings.quota);
            return Err(Refusal { status: 400, code: "ServiceQuotaExceededException", message, rule: &rules::QUOTA });
        }
        let (seconds, fails) = match &at.fate.fails {
            Some((after, reason, _)) => (*after, Some(reason.clone())),
            None => (settings.importing_seconds, None),
        };
        let job = Job {
            arn: at.arn("model-import-job", id),
            name,
            model_arn: at.arn("imported-model", id),
            model_name,
            role: text("roleArn"),
            source: input["modelDataSource"].clone(),
            tags: tags(&input["jobTags"]),
            model_tags: tags(&input["importedModelTags"]),
            token,
            created: at.now,
            until: (!at.fate.stuck).then(|| at.now + i64::from(seconds) * 1000),
            fails,
            ended: None,
            status: JobStatus::InProgress,
            visibility: Visibility::new(at.fate, at.now),
        };
        let answer = json!({"jobArn": job.arn});
        self.jobs.push(job);
        Ok(answer)
    }

    /// The job with this name or ARN ([`rules::BY_NAME_OR_ARN`]).
    fn job(&mut self, identifier: &str, at: At<'_>) -> Result<&mut Job, Refusal> {
        let is_it = |job: &&mut Job| [&job.name, &job.arn].contains(&&identifier.to_owned());
        let found = self.jobs.iter_mut().filter(|job| job.visibility.is_read(at.now)).find(is_it);
        found.ok_or_else(|| missing(identifier))
    }

    fn model(&mut self, identifier: &str, at: At<'_>) -> Result<&mut Imported, Refusal> {
        let is_it = |model: &&mut Imported| [&model.name, &model.arn].contains(&&identifier.to_owned());
        let found = self.models.iter_mut().filter(|model| model.visibility.is_read(at.now)).find(is_it);
        found.ok_or_else(|| missing(identifier))
    }

    /// Deletes a model ([`rules::DELETED_AT_ONCE`]).
    fn delete(&mut self, identifier: &str, at: At<'_>) -> Answer {
        let model = self.model(identifier, at)?;
        model.visibility.linger(at.fate);
        model.visibility.gone(at.now);
        Ok(json!({}))
    }

    fn list_jobs(&self, input: &Value, at: At<'_>) -> Value {
        let jobs = self.jobs.iter().filter(|job| job.visibility.is_listed(at.now));
        let jobs = jobs.filter(|job| matches(input, &job.name));
        let with_status = |job: &&Job| input["statusEquals"].as_str().is_none_or(|status| status == job.status.word());
        paged("modelImportJobSummaries", jobs.filter(with_status).map(Job::summary).collect(), input)
    }

    fn list_models(&self, input: &Value, at: At<'_>) -> Value {
        let models = self.models.iter().filter(|model| model.visibility.is_listed(at.now));
        paged(
            "modelSummaries",
            models.filter(|model| matches(input, &model.name)).map(Imported::summary).collect(),
            input,
        )
    }

    /// Tags of the resource with this ARN.
    fn tags(&mut self, arn: &str, at: At<'_>) -> Result<&mut BTreeMap<String, String>, Refusal> {
        let models = self.models.iter_mut().map(|model| (&model.arn, &model.visibility, &mut model.tags));
        let jobs = self.jobs.iter_mut().map(|job| (&job.arn, &job.visibility, &mut job.tags));
        let throughputs = self.throughputs.iter_mut();
        let throughputs = throughputs.map(|Throughput { arn, visibility, tags, .. }| (&*arn, &*visibility, tags));
        let mut all = models.chain(jobs).chain(throughputs).filter(|(_, visibility, _)| visibility.is_read(at.now));
        all.find(|(known, ..)| *known == arn).map(|(.., tags)| tags).ok_or_else(|| missing(arn))
    }
}

/// True if a listing with this input shows this name.
pub fn matches(input: &Value, name: &str) -> bool {
    input["nameContains"].as_str().is_none_or(|text| name.contains(text))
}

/// The page of a list that the input asks for.
pub fn paged(list: &str, rows: Vec<Value>, input: &Value) -> Value {
    let size = input["maxResults"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(ROWS);
    let (rows, next) = page(rows, input["nextToken"].as_str(), size);
    let mut answer = json!({list: rows});
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}

/// The refusal for a thing that does not exist.
pub fn missing(identifier: &str) -> Refusal {
    let message = format!("Could not find the resource {identifier}.");
    Refusal { status: 404, code: "ResourceNotFoundException", message, rule: &rules::NOT_FOUND }
}

/// Tags of an input.
pub fn tags(input: &Value) -> BTreeMap<String, String> {
    let pairs = input.as_array().into_iter().flatten();
    pairs.filter_map(|tag| Some((tag["key"].as_str()?.to_owned(), tag["value"].as_str()?.to_owned()))).collect()
}

fn shown(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}
