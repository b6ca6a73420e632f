//! Deployments of the workspace's endpoints. Time is an argument.

use serde_json::{Value, json};

use super::endpoint::{OnlineDeployment, OnlineEndpoint, capacity};
use super::fault::ArmFault;
use super::operation::{OnlineOperation, Work};
use super::workspace::{Answer, ArmAnswer, Workspace, WorkspaceAt};
use super::{forms, rules};
use crate::faults::{AfterFailure, Fate};

/// The text of a lack of machines ([`rules::CAPACITY`]).
const NO_MACHINES: &str = "The specified VM Size failed to provision due to a lack of Azure Machine Learning capacity. \
                           Retry later or try deploying to a different region.";
impl Workspace {
    fn shown_deployment(endpoint: &OnlineEndpoint, names: [&str; 2], at: WorkspaceAt<'_>) -> Value {
        let id = format!("{}/deployments/{}", at.id("onlineEndpoints", names[0]), names[1]);
        let mut shown = endpoint.deployments.get(names[1]).map_or(Value::Null, |known| known.shown(&id));
        if let Some(status) = &at.fate.status {
            shown["properties"]["provisioningState"] = json!(status);
        }
        shown
    }

    fn find_deployment(&mut self, names: [&str; 2], at: WorkspaceAt<'_>) -> Result<&mut OnlineDeployment, ArmFault> {
        let kind = format!("onlineEndpoints/{}/deployments", names[0]);
        self.find(names[0], at)?.deployments.get_mut(names[1]).ok_or_else(|| at.missing(&kind, names[1]))
    }

    pub fn deployment(&mut self, names: [&str; 2], at: WorkspaceAt<'_>) -> Answer {
        self.find_deployment(names, at)?;
        Ok(ArmAnswer::Done(Self::shown_deployment(self.find(names[0], at)?, names, at)))
    }

    pub fn deployments(&mut self, name: &str, at: WorkspaceAt<'_>) -> Answer {
        let endpoint = self.find(name, at)?;
        let all: Vec<Value> =
            endpoint.deployments.keys().map(|known| Self::shown_deployment(endpoint, [name, known], at)).collect();
        Ok(ArmAnswer::Done(json!({"value": all})))
    }

    /// Creates a deployment or gives it another form ([`rules::PARENT_STATE`], [`rules::QUOTA`]).
    pub fn put_deployment(&mut self, names: [&str; 2], body: &Value, at: WorkspaceAt<'_>) -> Answer {
        forms::name(names[1])?;
        forms::deployment(body, at.settings)?;
        self.has_environment(body, at)?;
        let endpoint = self.find(names[0], at)?;
        if endpoint.state != "Succeeded" {
            let state = endpoint.state;
            let message = format!(
                "Cannot create a deployment in endpoint {} because it is in {state} provisioning state.",
                names[0]
            );
            return Err(ArmFault::conflict(&rules::PARENT_STATE, message));
        }
        self.is_free(names[0])?;
        self.quota(names, body, at)?;
        let fate = self.fate(body, at);
        let endpoint = self.find(names[0], at)?;
        let is_new = !endpoint.deployments.contains_key(names[1]);
        let known = endpoint.deployments.entry(names[1].to_owned());
        let known = known.or_insert_with(|| OnlineDeployment::new(body.clone(), at.now));
        known.state = if is_new { "Creating" } else { "Updating" };
        known.modified = at.now;
        let work = Work::Deploy(body.clone());
        let seconds = at.settings.deploying_seconds;
        let operation = self.begin(OnlineOperation::new(names[0], Some(names[1]), work, seconds, &fate, at.now));
        let shown = Self::shown_deployment(self.find(names[0], at)?, names, at);
        Ok(ArmAnswer::Made(if is_new { 201 } else { 200 }, shown, operation))
    }

    /// Changes the number of instances; tags are replaced at once ([`rules::PATCH`]).
    pub fn scale(&mut self, names: [&str; 2], body: &Value, at: WorkspaceAt<'_>) -> Answer {
        forms::instances(body)?;
        forms::tags(&body["tags"])?;
        let mut form = self.find_deployment(names, at)?.form.clone();
        self.is_free(names[0])?;
        form["sku"]["capacity"] = body["sku"]["capacity"].clone();
        self.quota(names, &form, at)?;
        let deployment = self.find_deployment(names, at)?;
        deployment.state = "Scaling";
        deployment.modified = at.now;
        if !body["tags"].is_null() {
            deployment.form["tags"] = body["tags"].clone();
        }
        let work = Work::Scale(capacity(body));
        let seconds = at.settings.scaling_seconds;
        Ok(ArmAnswer::Accepted(self.begin(OnlineOperation::new(
            names[0],
            Some(names[1]),
            work,
            seconds,
            at.fate,
            at.now,
        ))))
    }

    /// Deletes a deployment that takes no requests ([`rules::DELETE_DEPLOYMENT`]).
    pub fn retire(&mut self, names: [&str; 2], at: WorkspaceAt<'_>) -> Answer {
        if self.find_deployment(names, at).is_err() {
            return Ok(ArmAnswer::Nothing);
        }
        self.is_free(names[0])?;
        if self.find(names[0], at)?.traffic().get(names[1]).is_some_and(|percent| *percent > 0) {
            let message = format!("Deployment {} has traffic; set its traffic to 0 first.", names[1]);
            return Err(ArmFault::invalid(&rules::DELETE_DEPLOYMENT, message));
        }
        self.find_deployment(names, at)?.state = "Deleting";
        let seconds = at.settings.deleting_seconds;
        let operation = OnlineOperation::new(names[0], Some(names[1]), Work::Retire, seconds, at.fate, at.now);
        Ok(ArmAnswer::Accepted(self.begin(operation)))
    }

    fn has_environment(&self, body: &Value, at: WorkspaceAt<'_>) -> Result<(), ArmFault> {
        let id = body["properties"]["environmentId"].as_str().unwrap_or_default();
        let rest = id.strip_prefix(at.parent).and_then(|rest| rest.strip_prefix("/environments/"));
        let known = rest.and_then(|rest| rest.split_once("/versions/"));
        let known = known.and_then(|(name, version)| self.environments.get(name)?.versions.get(version));
        known
            .map(drop)
            .ok_or_else(|| ArmFault::invalid(&rules::ENVIRONMENT, format!("The environment {id} does not exist.")))
    }

    /// The properties of the environment of a deployment.
    pub fn environment_of(&self, deployment: &OnlineDeployment) -> Option<&Value> {
        let id = deployment.form["properties"]["environmentId"].as_str()?;
        let (name, version) = id.split_once("/environments/")?.1.split_once("/versions/")?;
        self.environments.get(name)?.versions.get(version)
    }

    fn deployments_but<'a>(&'a self, names: [&'a str; 2]) -> impl Iterator<Item = &'a OnlineDeployment> {
        let of_endpoint = self.endpoints.iter().flat_map(|(endpoint, known)| {
            known.deployments.iter().map(move |(name, deployment)| ([endpoint.as_str(), name.as_str()], deployment))
        });
        of_endpoint.filter(move |(known, _)| *known != names).map(|(_, deployment)| deployment)
    }

    /// Refuses what is beyond the quota of cores, of which a fifth more is kept for upgrades ([`rules::QUOTA`]).
    fn quota(&self, names: [&str; 2], body: &Value, at: WorkspaceAt<'_>) -> Result<(), ArmFault> {
        let cores = |size: &str, count: u32| {
            at.settings.instance_types.get(size).copied().unwrap_or(0) * (count * 6).div_ceil(5)
        };
        let size = body["properties"]["instanceType"].as_str().unwrap_or_default();
        let used: u32 = self.deployments_but(names).map(|known| cores(known.instance_type(), known.instances())).sum();
        let (needed, limit) = (cores(size, capacity(body)), at.settings.quota_cores);
        if used + needed <= limit {
            return Ok(());
        }
        let message = format!(
            "InferencingClient HttpRequest error, error detail: {{\"errors\":{{\"VmSize\":[\"Not enough quota available for {size} \
             in SubscriptionId {}. Current usage/limit: {used}/{limit}. Additional needed: {needed}\"]}}}}",
            at.settings.subscription
        );
        Err(ArmFault::invalid(&rules::QUOTA, message))
    }

    /// The script's fate, or that of a deployment for which there are no machines.
    fn fate(&self, body: &Value, at: WorkspaceAt<'_>) -> Fate {
        let size = body["properties"]["instanceType"].as_str().unwrap_or_default();
        let of_size = self.deployments_but(["", ""]).filter(|known| known.instance_type() == size);
        let used: u32 = of_size.map(OnlineDeployment::instances).sum();
        let lacking = at.settings.machines.get(size).is_some_and(|machines| used + capacity(body) > *machines);
        let fails = Some((at.settings.capacity_seconds, NO_MACHINES.to_owned(), AfterFailure::Failed));
        if lacking && at.fate.fails.is_none() { Fate { fails, ..at.fate.clone() } } else { at.fate.clone() }
    }
}
