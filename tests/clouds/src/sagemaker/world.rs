//! The true state of every account and region, and the operations on it. Time is an argument.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::endpoint::{Change, Endpoint, Fleet, State, Variant, seconds};
use super::rules;
use super::settings::SageMakerSettings;
use super::signature::Caller;
use super::store::{Entry, shown_tags, tags};
use crate::faults::{AfterFailure, Fate};
use crate::kept::{Visibility, page};
use crate::rules::Rule;

/// The text of a lack of machines (aws/deep-learning-containers#6673).
const NO_MACHINES: &str = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a different ML instance type or after some time.";
/// Members of requests that the fake does not play.
const NOT_PLAYED: [&str; 9] = [
    "InstancePools",
    "ServerlessConfig",
    "ManagedInstanceScaling",
    "CapacityReservationConfig",
    "AsyncInferenceConfig",
    "ShadowProductionVariants",
    "ExcludeRetainedVariantProperties",
    "Containers",
    "AcceleratorPartitionLayouts",
];

/// A refusal of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFault {
    pub code: &'static str,
    pub message: String,
    pub rule: &'static Rule,
}

fn invalid(rule: &'static Rule, message: impl Into<String>) -> ApiFault {
    ApiFault { code: "ValidationException", message: message.into(), rule }
}

/// One account in one region.
#[derive(Debug, Default)]
pub struct Place {
    pub models: BTreeMap<String, Entry>,
    pub configs: BTreeMap<String, Entry>,
    pub groups: BTreeMap<String, Entry>,
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Instance-milliseconds of endpoints that are gone.
    billed: i64,
}

/// All places.
#[derive(Debug)]
pub struct World {
    pub places: BTreeMap<(String, String), Place>,
    pub settings: SageMakerSettings,
}

/// Circumstances of one operation.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub caller: &'a Caller,
    pub fate: &'a Fate,
    pub now: i64,
}

impl At<'_> {
    /// An ARN ([`rules::ARN_LOWER_CASE`]).
    pub fn arn(&self, kind: &str, name: &str) -> String {
        let Caller { account, region, .. } = self.caller;
        format!("arn:aws:sagemaker:{region}:{account}:{kind}/{}", name.to_lowercase())
    }
}

type Answer = Result<Value, ApiFault>;

impl World {
    pub fn new(settings: SageMakerSettings) -> Self {
        Self { places: BTreeMap::new(), settings }
    }

    /// One operation of the control plane. The input is well formed.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn call(&mut self, operation: &str, input: &Value, at: At<'_>) -> Answer {
        self.settle(at.now);
        let key = (at.caller.account.clone(), at.caller.region.clone());
        let place = self.places.entry(key).or_default();
        let settings = &self.settings;
        let name = |member: &str| input[member].as_str().unwrap_or_default();
        match operation {
            "CreateModel" => place.create_model(name("ModelName"), input, at),
            "CreateModelPackageGroup" => place.create_group(name("ModelPackageGroupName"), input, at),
            "DescribeModelPackageGroup" => place.describe_group(name("ModelPackageGroupName"), at),
            "CreateEndpointConfig" => place.create_config(name("EndpointConfigName"), input, at),
            "CreateEndpoint" => place.create_endpoint(name("EndpointName"), input, settings, at),
            "DescribeModel" => Ok(described(find(&place.models, "model", name("ModelName"), at)?, "Model")),
            "DescribeEndpointConfig" => {
                Ok(described(find(&place.configs, CONFIG, name("EndpointConfigName"), at)?, "EndpointConfig"))
            }
            "DescribeEndpoint" => place.describe_endpoint(name("EndpointName"), at),
            "UpdateEndpoint" => place.update(name("EndpointName"), input, settings, at),
            "UpdateEndpointWeightsAndCapacities" => place.rescale(name("EndpointName"), input, settings, at),
            "DeleteModel" => delete(&mut place.models, "model", name("ModelName"), at),
            "DeleteEndpointConfig" => delete(&mut place.configs, CONFIG, name("EndpointConfigName"), at),
            "DeleteEndpoint" => place.delete_endpoint(name("EndpointName"), settings, at),
            "ListModels" => Ok(list(&place.models, "Model", input, at.now)),
            "ListEndpointConfigs" => Ok(list(&place.configs, "EndpointConfig", input, at.now)),
            "ListEndpoints" => Ok(place.list_endpoints(input, at)),
            "ListTags" => place.list_tags(input, at),
            "AddTags" => place.add_tags(input, at),
            "DeleteTags" => place.delete_tags(input, at),
            _ => Err(invalid(&rules::VALIDATED, format!("unknown operation {operation}"))),
        }
    }

    /// Ends what has ended everywhere.
    pub fn settle(&mut self, now: i64) {
        for place in self.places.values_mut() {
            for endpoint in place.endpoints.values_mut() {
                endpoint.settle(now);
            }
            let mut over = |endpoint: &mut Endpoint| {
                let over = endpoint.visibility.is_over(now);
                place.billed += if over { endpoint.billed_until(now) } else { 0 };
                !over
            };
            place.endpoints.retain(|_, endpoint| over(endpoint));
            place.models.retain(|_, entry| !entry.visibility.is_over(now));
            place.configs.retain(|_, entry| !entry.visibility.is_over(now));
            place.groups.retain(|_, entry| !entry.visibility.is_over(now));
        }
    }

    /// The true state, for tests.
    pub fn state(&mut self, now: i64) -> Value {
        self.settle(now);
        let places = self.places.iter_mut().map(|((account, region), place)| place.state(account, region, now));
        Value::Array(places.collect())
    }
}

/// The service's words for an endpoint configuration.
const CONFIG: &str = "endpoint configuration";

/// The service's words for a model package group, and those in an ARN.
const GROUP: &str = "model-package-group";

/// The word of a kind in an ARN.
fn arn_kind(kind: &str) -> &str {
    if kind == CONFIG { "endpoint-config" } else { kind }
}

fn missing(kind: &str, name: &str, at: At<'_>) -> ApiFault {
    invalid(&rules::NOT_FOUND, format!("Could not find {kind} \"{}\".", at.arn(arn_kind(kind), name)))
}

fn taken(kind: &str, name: &str, at: At<'_>) -> ApiFault {
    let arn = at.arn(arn_kind(kind), name);
    invalid(&rules::NAME_TAKEN, format!("Cannot create already existing {kind} \"{arn}\"."))
}

fn find<'a>(entries: &'a BTreeMap<String, Entry>, kind: &str, name: &str, at: At<'_>) -> Result<&'a Entry, ApiFault> {
    entries.get(name).filter(|entry| entry.visibility.is_read(at.now)).ok_or_else(|| missing(kind, name, at))
}

fn described(entry: &Entry, prefix: &str) -> Value {
    let mut described = entry.input.clone();
    if let Some(members) = described.as_object_mut() {
        members.remove("Tags");
        members.insert(format!("{prefix}Arn"), json!(entry.arn));
        members.insert("CreationTime".to_owned(), json!(seconds(entry.created)));
    }
    described
}

/// Refuses members that the service has and the fake does not play.
fn played(input: &Value) -> Result<(), ApiFault> {
    let variants = input["ProductionVariants"].as_array().into_iter().flatten();
    for object in [input].into_iter().chain(variants) {
        if let Some(member) = NOT_PLAYED.iter().find(|member| !object[**member].is_null()) {
            return Err(invalid(&rules::VALIDATED, format!("the fake does not play {member}")));
        }
    }
    Ok(())
}

fn create(
    entries: &mut BTreeMap<String, Entry>,
    kind: &str,
    name: &str,
    input: &Value,
    at: At<'_>,
) -> Result<String, ApiFault> {
    played(input)?;
    if entries.get(name).is_some_and(|entry| !entry.visibility.is_gone()) {
        return Err(taken(kind, name, at));
    }
    let arn = at.arn(arn_kind(kind), name);
    let visibility = Visibility::new(at.fate, at.now);
    let entry = Entry { arn: arn.clone(), tags: tags(input), created: at.now, input: input.clone(), visibility };
    entries.insert(name.to_owned(), entry);
    Ok(arn)
}

/// Deletes a model or a configuration, in use or not ([`rules::MODEL_IN_USE`]).
fn delete(entries: &mut BTreeMap<String, Entry>, kind: &str, name: &str, at: At<'_>) -> Answer {
    find(entries, kind, name, at)?;
    if let Some(entry) = entries.get_mut(name) {
        entry.visibility.linger(at.fate);
        entry.visibility.gone(at.now);
    }
    Ok(json!({}))
}

fn list(entries: &BTreeMap<String, Entry>, prefix: &str, input: &Value, now: i64) -> Value {
    let contains = input["NameContains"].as_str().unwrap_or_default();
    let listed = entries.iter().filter(|(name, entry)| entry.visibility.is_listed(now) && name.contains(contains));
    let rows = listed.map(|(name, entry)| {
        json!({format!("{prefix}Name"): name, format!("{prefix}Arn"): entry.arn,
               "CreationTime": seconds(entry.created)})
    });
    paged(&format!("{prefix}s"), rows.collect(), input, 10)
}

/// A page of a listing as the service shows it; pages have `size` rows where the request does not say.
fn paged(member: &str, rows: Vec<Value>, input: &Value, size: u64) -> Value {
    let size = input["MaxResults"].as_u64().unwrap_or(size);
    let (rows, next) = page(rows, input["NextToken"].as_str(), usize::try_from(size).unwrap_or(usize::MAX));
    let mut answer = json!({member: rows});
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    answer
}

impl Place {
    fn create_model(&mut self, name: &str, input: &Value, at: At<'_>) -> Answer {
        Ok(json!({"ModelArn": create(&mut self.models, "model", name, input, at)?}))
    }

    fn create_group(&mut self, name: &str, input: &Value, at: At<'_>) -> Answer {
        Ok(json!({"ModelPackageGroupArn": create(&mut self.groups, GROUP, name, input, at)?}))
    }

    fn describe_group(&self, name: &str, at: At<'_>) -> Answer {
        let missing = |fault: ApiFault| {
            let message = format!("ModelPackageGroup {} does not exist.", at.arn(GROUP, name));
            ApiFault { message, rule: &rules::GROUP_NOT_FOUND, ..fault }
        };
        let mut described = described(find(&self.groups, GROUP, name, at).map_err(missing)?, "ModelPackageGroup");
        described["ModelPackageGroupStatus"] = json!("Completed");
        described["CreatedBy"] = json!({});
        Ok(described)
    }

    fn create_config(&mut self, name: &str, input: &Value, at: At<'_>) -> Answer {
        for variant in input["ProductionVariants"].as_array().into_iter().flatten() {
            let model = variant["ModelName"].as_str().unwrap_or_default();
            find(&self.models, "model", model, at)
                .map_err(|fault| ApiFault { rule: &rules::MODEL_OF_CONFIG, ..fault })?;
        }
        Ok(json!({"EndpointConfigArn": create(&mut self.configs, CONFIG, name, input, at)?}))
    }

    fn create_endpoint(&mut self, name: &str, input: &Value, settings: &SageMakerSettings, at: At<'_>) -> Answer {
        if self.endpoints.get(name).is_some_and(|endpoint| !endpoint.visibility.is_gone()) {
            return Err(taken("endpoint", name, at));
        }
        let fleet = self.fleet(input["EndpointConfigName"].as_str().unwrap_or_default(), at)?;
        self.quota(name, &fleet, settings)?;
        let fate = self.fate(name, &fleet, settings, AfterFailure::Failed, at.fate);
        let change = Change::new(fleet, settings.creating_seconds, &fate, at.now);
        Ok(self.begin(name, input, change, at))
    }

    /// Begins a creation that is allowed.
    fn begin(&mut self, name: &str, input: &Value, change: Change, at: At<'_>) -> Value {
        let arn = at.arn("endpoint", name);
        self.endpoints.insert(name.to_owned(), Endpoint::new(name, arn.clone(), tags(input), change, at.fate));
        json!({"EndpointArn": arn})
    }

    /// Creates a model, a configuration and an endpoint of one name. Quotas and machines do not count.
    ///
    /// # Errors
    /// If one of the names is taken.
    pub fn install(&mut self, name: &str, instance_type: &str, tags: &Value, at: At<'_>) -> Answer {
        let variant = json!({"VariantName": "main", "ModelName": name, "InstanceType": instance_type,
                             "InitialInstanceCount": 1});
        let container = json!({"Image": "vllm", "Environment": {"SM_VLLM_MODEL": name}});
        self.create_model(name, &json!({"ModelName": name, "Tags": tags, "PrimaryContainer": container}), at)?;
        let config = json!({"EndpointConfigName": name, "ProductionVariants": [variant], "Tags": tags});
        self.create_config(name, &config, at)?;
        let change = Change::new(self.fleet(name, at)?, 0, at.fate, at.now);
        Ok(self.begin(name, &json!({"Tags": tags}), change, at))
    }

    /// The configuration of this name, with its models, as an endpoint uses it.
    fn fleet(&self, config: &str, at: At<'_>) -> Result<Fleet, ApiFault> {
        let entry = find(&self.configs, CONFIG, config, at)?;
        let variants = entry.input["ProductionVariants"].as_array().into_iter().flatten();
        let variants: Result<Vec<Variant>, ApiFault> = variants.map(|variant| self.variant(variant, at)).collect();
        Ok(Fleet { config: config.to_owned(), variants: variants? })
    }

    fn variant(&self, variant: &Value, at: At<'_>) -> Result<Variant, ApiFault> {
        let text = |member: &str| variant[member].as_str().unwrap_or_default().to_owned();
        let model = find(&self.models, "model", &text("ModelName"), at)?;
        let container = &model.input["PrimaryContainer"];
        let environment = container["Environment"].as_object().into_iter().flatten();
        Ok(Variant {
            name: text("VariantName"),
            instance_type: text("InstanceType"),
            current: 0,
            desired: number(&variant["InitialInstanceCount"]).unwrap_or(1),
            weight: variant["InitialVariantWeight"].as_f64().unwrap_or(1.0),
            image: container["Image"].as_str().unwrap_or_default().to_owned(),
            environment: environment
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
        })
    }

    /// Instances of a type that all endpoints but one hold.
    fn in_use(&self, kind: &str, without: &str) -> u32 {
        let others =
            self.endpoints.values().filter(|endpoint| endpoint.name != without && !endpoint.visibility.is_gone());
        others.filter_map(|endpoint| endpoint.instances().get(kind).copied()).sum()
    }

    fn quota(&self, name: &str, fleet: &Fleet, settings: &SageMakerSettings) -> Result<(), ApiFault> {
        for (kind, wanted) in wanted(fleet) {
            let limit = settings.quotas.get(kind).copied().unwrap_or(settings.quota);
            let used = self.in_use(kind, name);
            if used + wanted > limit {
                let message = format!(
                    "The account-level service limit '{kind} for endpoint usage' is {limit} Instances, with current utilization of {used} Instances and a request delta of {wanted} Instances. Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota."
                );
                return Err(ApiFault { code: "ResourceLimitExceeded", message, rule: &rules::QUOTA_NOW });
            }
        }
        Ok(())
    }

    /// The script's fate, or that of a change for which there are no machines ([`rules::CAPACITY_LATE`],
    /// [`rules::CAPACITY_UPDATE`]).
    fn fate(
        &self,
        name: &str,
        fleet: &Fleet,
        settings: &SageMakerSettings,
        leaves: AfterFailure,
        scripted: &Fate,
    ) -> Fate {
        let lacking = wanted(fleet).into_iter().any(|(kind, wanted)| {
            settings.machines.get(kind).is_some_and(|machines| self.in_use(kind, name) + wanted > *machines)
        });
        if lacking && scripted.fails.is_none() {
            Fate { fails: Some((settings.capacity_seconds, NO_MACHINES.to_owned(), leaves)), ..scripted.clone() }
        } else {
            scripted.clone()
        }
    }

    fn endpoint(&mut self, name: &str, at: At<'_>) -> Result<&mut Endpoint, ApiFault> {
        let found = self.endpoints.get_mut(name).filter(|endpoint| endpoint.visibility.is_read(at.now));
        found.ok_or_else(|| missing("endpoint", name, at))
    }

    fn describe_endpoint(&mut self, name: &str, at: At<'_>) -> Answer {
        let mut described = self.endpoint(name, at)?.described();
        if let Some(status) = &at.fate.status {
            described["EndpointStatus"] = json!(status);
        }
        Ok(described)
    }

    /// The endpoint, if it can be changed.
    fn idle(&mut self, name: &str, at: At<'_>) -> Result<&mut Endpoint, ApiFault> {
        let endpoint = self.endpoint(name, at)?;
        if endpoint.is_busy() {
            let message = format!("Cannot update in-progress endpoint \"{}\".", endpoint.arn);
            return Err(invalid(&rules::BUSY, message));
        }
        Ok(endpoint)
    }

    /// The endpoint, if it can be updated.
    fn updatable(&mut self, name: &str, at: At<'_>) -> Result<&mut Endpoint, ApiFault> {
        let endpoint = self.idle(name, at)?;
        if endpoint.state == State::Failed {
            let message = format!("Cannot update failed endpoint \"{}\".", endpoint.arn);
            return Err(invalid(&rules::FAILED_ONLY_DELETE, message));
        }
        Ok(endpoint)
    }

    fn update(&mut self, name: &str, input: &Value, settings: &SageMakerSettings, at: At<'_>) -> Answer {
        played(input)?;
        let former = self.updatable(name, at)?.fleet.clone();
        find(&self.configs, CONFIG, &former.config, at)
            .map_err(|fault| ApiFault { rule: &rules::CONFIG_OF_UPDATE, ..fault })?;
        let mut fleet = self.fleet(input["EndpointConfigName"].as_str().unwrap_or_default(), at)?;
        if input["RetainAllVariantProperties"] == json!(true) {
            fleet.retain(&former);
        }
        self.change(name, fleet, false, settings, at)
    }

    fn rescale(&mut self, name: &str, input: &Value, settings: &SageMakerSettings, at: At<'_>) -> Answer {
        let mut fleet = self.updatable(name, at)?.fleet.clone();
        for wish in input["DesiredWeightsAndCapacities"].as_array().into_iter().flatten() {
            let found =
                fleet.variants.iter_mut().find(|variant| Some(variant.name.as_str()) == wish["VariantName"].as_str());
            let Some(variant) = found else {
                let message = format!("Could not find variant {} in endpoint \"{name}\".", wish["VariantName"]);
                return Err(invalid(&rules::NOT_FOUND, message));
            };
            variant.desired = number(&wish["DesiredInstanceCount"]).unwrap_or(variant.desired);
            variant.weight = wish["DesiredWeight"].as_f64().unwrap_or(variant.weight);
        }
        if fleet.variants.iter().any(|variant| variant.desired == 0) {
            return Err(invalid(&rules::ZERO, "The desired instance count must be at least 1."));
        }
        self.change(name, fleet, true, settings, at)
    }

    fn change(&mut self, name: &str, fleet: Fleet, rescales: bool, settings: &SageMakerSettings, at: At<'_>) -> Answer {
        self.quota(name, &fleet, settings)?;
        let fate = self.fate(name, &fleet, settings, AfterFailure::RolledBack, at.fate);
        let endpoint = self.endpoint(name, at)?;
        endpoint.billed_until(at.now);
        endpoint.modified = at.now;
        endpoint.failure = None;
        endpoint.state =
            State::Updating(Change { rescales, ..Change::new(fleet, settings.updating_seconds, &fate, at.now) });
        Ok(json!({"EndpointArn": endpoint.arn}))
    }

    /// Begins a deletion ([`rules::DELETED_AFTER`]).
    fn delete_endpoint(&mut self, name: &str, settings: &SageMakerSettings, at: At<'_>) -> Answer {
        let fails = at.fate.fails.as_ref().map(|(seconds, reason, _)| (*seconds, reason.clone()));
        let seconds = fails.as_ref().map_or(settings.deleting_seconds, |(seconds, _)| *seconds);
        let until = at.now + i64::from(seconds) * 1000;
        let endpoint = self.idle(name, at)?;
        endpoint.billed_until(at.now);
        endpoint.modified = at.now;
        endpoint.delete((!at.fate.stuck).then_some(until), fails.map(|(_, reason)| reason));
        endpoint.visibility.linger(at.fate);
        Ok(json!({}))
    }

    fn list_endpoints(&self, input: &Value, at: At<'_>) -> Value {
        let contains = input["NameContains"].as_str().unwrap_or_default();
        let rows = self.endpoints.values().filter(|endpoint| {
            endpoint.visibility.is_listed(at.now)
                && endpoint.name.contains(contains)
                && input["StatusEquals"].as_str().is_none_or(|status| status == endpoint.status())
        });
        let rows = rows.map(|endpoint| {
            let status = at.fate.status.as_deref().unwrap_or(endpoint.status());
            json!({"EndpointName": endpoint.name, "EndpointArn": endpoint.arn, "EndpointStatus": status,
                   "CreationTime": seconds(endpoint.created), "LastModifiedTime": seconds(endpoint.modified)})
        });
        paged("Endpoints", rows.collect(), input, 10)
    }

    /// Tags of the resource with this ARN.
    fn tags(&mut self, arn: &str, at: At<'_>) -> Result<&mut BTreeMap<String, String>, ApiFault> {
        let models = self.models.values_mut().chain(self.configs.values_mut()).chain(self.groups.values_mut());
        let entries = models.map(|entry| (&entry.arn, &entry.visibility, &mut entry.tags));
        let endpoints = self.endpoints.values_mut();
        let endpoints = endpoints.map(|endpoint| (&endpoint.arn, &endpoint.visibility, &mut endpoint.tags));
        let mut all = entries.chain(endpoints).filter(|(_, visibility, _)| visibility.is_read(at.now));
        let found = all.find(|(known, ..)| *known == arn);
        found
            .map(|(.., tags)| tags)
            .ok_or_else(|| invalid(&rules::NOT_FOUND, format!("Could not find resource \"{arn}\".")))
    }

    fn list_tags(&mut self, input: &Value, at: At<'_>) -> Answer {
        let tags = shown_tags(self.tags(input["ResourceArn"].as_str().unwrap_or_default(), at)?);
        Ok(paged("Tags", tags.as_array().cloned().unwrap_or_default(), input, 50))
    }

    fn add_tags(&mut self, input: &Value, at: At<'_>) -> Answer {
        let known = self.tags(input["ResourceArn"].as_str().unwrap_or_default(), at)?;
        known.extend(tags(input));
        Ok(json!({"Tags": shown_tags(known)}))
    }

    fn delete_tags(&mut self, input: &Value, at: At<'_>) -> Answer {
        let known = self.tags(input["ResourceArn"].as_str().unwrap_or_default(), at)?;
        for key in input["TagKeys"].as_array().into_iter().flatten() {
            known.remove(key.as_str().unwrap_or_default());
        }
        Ok(json!({}))
    }

    /// ARNs and tags of everything that listings show.
    pub fn tagged(&self, now: i64) -> Vec<(&str, &BTreeMap<String, String>)> {
        let entries = self.models.values().chain(self.configs.values());
        let entries = entries.map(|entry| (&entry.arn, &entry.visibility, &entry.tags));
        let endpoints = self.endpoints.values().map(|endpoint| (&endpoint.arn, &endpoint.visibility, &endpoint.tags));
        let all = endpoints.chain(entries).filter(|(_, visibility, _)| visibility.is_listed(now));
        all.map(|(arn, _, tags)| (arn.as_str(), tags)).collect()
    }

    fn state(&mut self, account: &str, region: &str, now: i64) -> Value {
        let mut billed = self.billed;
        let mut endpoints = Vec::new();
        for endpoint in self.endpoints.values_mut() {
            billed += endpoint.billed_until(now);
            if !endpoint.visibility.is_gone() {
                endpoints.push(json!({
                    "name": endpoint.name, "status": endpoint.status(), "config": endpoint.fleet.config,
                    "billedInstances": endpoint.billed_instances(), "tags": endpoint.tags,
                }));
            }
        }
        let names = |entries: &BTreeMap<String, Entry>| -> Vec<String> {
            entries.iter().filter(|(_, entry)| !entry.visibility.is_gone()).map(|(name, _)| name.clone()).collect()
        };
        json!({"account": account, "region": region, "endpoints": endpoints, "configs": names(&self.configs),
               "models": names(&self.models), "billedInstanceSeconds": billed / 1000})
    }
}

/// Instances of each type that a fleet needs.
fn wanted(fleet: &Fleet) -> BTreeMap<&str, u32> {
    let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
    for variant in &fleet.variants {
        *wanted.entry(&variant.instance_type).or_default() += variant.desired;
    }
    wanted
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}
