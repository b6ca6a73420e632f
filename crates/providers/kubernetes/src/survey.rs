//! The existing and the wanted objects of one endpoint on a member, and the steps between them. `removal` removes them
//! all.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{PodTemplateSpec, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::Api;

use super::admission::JudgedFields;
use super::copies::{ANNOTATION_COPIES, listed_copies};
use super::identity::Made;
use super::mark::{Mark, MemberObject};
use super::member::Member;
use super::objects::{self, Writer};
use super::removal;
use super::render::{self, Identity, Rollout, copied_name};
use super::spare;
use roadstead_api::v1alpha1::names;
use roadstead_provider::record::record;
use roadstead_provider::{ErrorClass, Inventory, ProviderError, Redacted, Wanted};

/// The existing objects of one endpoint on a member.
pub struct Survey {
    /// The Secret of the API key.
    pub key: Option<Secret>,
    /// The copies of the tenant's Secrets, by the tenant's name of each.
    pub copies: BTreeMap<String, Option<Secret>>,
    /// The Deployment.
    pub deployment: Option<Deployment>,
    /// The Service.
    pub service: Option<Service>,
    /// The disruption budget.
    pub budget: Option<PodDisruptionBudget>,
}

/// The wanted objects.
pub struct Desired {
    key: Secret,
    copies: BTreeMap<String, Secret>,
    deployment: Deployment,
    service: Service,
    budget: PodDisruptionBudget,
    /// The hash of what the pods are made from.
    pub hash: String,
    /// The digest of the rendered template.
    pub digest: String,
}

impl Survey {
    /// Reads everything that belongs to the wanted endpoint.
    ///
    /// # Errors
    /// Any [`ProviderError`] of a read.
    pub async fn take(member: &Member<'_>, wanted: &Wanted) -> Result<Self, ProviderError> {
        let name = wanted.endpoint.name_any();
        let secrets: Api<Secret> = member.api();
        let key_name = names::key_secret(&name);
        let (deployments, services, budgets) = (member.api(), member.api(), member.api());
        let (key, deployment, service, budget) = tokio::try_join!(
            objects::read(&secrets, &key_name),
            objects::read(&deployments, &name),
            objects::read(&services, &name),
            objects::read(&budgets, &name),
        )?;
        let mut copies = BTreeMap::new();
        for secret in wanted.secrets.keys() {
            copies.insert(secret.clone(), objects::read(&secrets, &copied_name(&name, secret)).await?);
        }
        Ok(Self { key, copies, deployment, service, budget })
    }

    /// The wanted objects. The template is rendered only if its inputs changed.
    ///
    /// # Errors
    /// `Bug` if something cannot be written as JSON.
    pub fn desired(
        &self,
        member: &Member<'_>,
        wanted: &Wanted,
        inventory: Option<&Inventory>,
    ) -> Result<Desired, ProviderError> {
        let owner_uid = self.key.as_ref().and_then(ResourceExt::uid);
        let key_identity = Identity {
            endpoint: &wanted.endpoint,
            install_id: member.install_id,
            namespace: member.namespace,
            owner_uid: None,
        };
        let identity = Identity { owner_uid: owner_uid.as_deref(), ..key_identity };
        let bug = |error: serde_json::Error| ProviderError::new(ErrorClass::Bug, error);
        let hash = render::template_hash(&wanted.endpoint.spec, &wanted.secrets).map_err(bug)?;
        let (template, rendered, rollout) = if let Some((template, rendered)) = self.standing_template(wanted, &hash) {
            (template, rendered, self.rollout())
        } else {
            let mut template = render::pod_template(&identity, &hash);
            if let (Some(spec), Some(former)) = (&mut template.spec, self.former_template(wanted)) {
                // Which nodes it may use was decided with the endpoint: its pods may run where another rule lets none go.
                spec.affinity = former.spec.and_then(|former| former.affinity);
            }
            let rendered = serde_json::to_string(&template).map_err(bug)?;
            // A first template takes the place of no pod.
            let replaces = self.deployment.is_some();
            let rollout =
                if replaces { spare::rollout(inventory, &wanted.endpoint, &template) } else { Rollout::Surge };
            (template, rendered, rollout)
        };
        let digest = render::digest(&rendered);
        let record = record(&wanted.endpoint.spec).map_err(bug)?;
        let copies: BTreeMap<String, Secret> = wanted
            .secrets
            .iter()
            .map(|(name, secret)| (name.clone(), render::copied_secret(&identity, name, secret)))
            .collect();
        let mut key = render::key_secret(&key_identity, &wanted.api_key);
        let listed: Vec<String> = copies.values().map(ResourceExt::name_any).collect();
        key.annotations_mut().insert(ANNOTATION_COPIES.to_owned(), listed.join(","));
        let expose = wanted.target.spec.kubernetes.as_ref().map(|kubernetes| &kubernetes.expose);
        let Some(expose) = expose else {
            return Err(ProviderError::new(ErrorClass::Invalid, "the target's spec.kubernetes is missing"));
        };
        Ok(Desired {
            key,
            copies,
            deployment: render::deployment(&identity, template, rendered, hash.clone(), record, rollout),
            service: render::service(&identity, expose),
            budget: render::disruption_budget(&identity),
            hash,
            digest,
        })
    }

    /// The rendered template, if its inputs are the wanted ones and it is unchanged.
    fn standing_template(&self, wanted: &Wanted, hash: &str) -> Option<(PodTemplateSpec, String)> {
        let deployment = self.deployment.as_ref()?;
        if deployment.annotations().get(names::ANNOTATION_TEMPLATE_HASH).map(String::as_str) != Some(hash) {
            return None;
        }
        let rendered = deployment.annotations().get(names::ANNOTATION_TEMPLATE)?.clone();
        let recorded = wanted.endpoint.status.as_ref().filter(|status| status.template_hash.as_deref() == Some(hash));
        if let Some(digest) = recorded.and_then(|status| status.template_digest.as_ref())
            && *digest != render::digest(&rendered)
        {
            return None;
        }
        let template = serde_json::from_str(&rendered).ok()?;
        Some((template, rendered))
    }

    /// The last rendered template with any inputs, if it is unchanged.
    fn former_template(&self, wanted: &Wanted) -> Option<PodTemplateSpec> {
        let rendered = self.deployment.as_ref()?.annotations().get(names::ANNOTATION_TEMPLATE)?;
        let recorded = wanted.endpoint.status.as_ref().and_then(|status| status.template_digest.as_ref());
        let trusted = recorded.is_none_or(|digest| *digest == render::digest(rendered));
        serde_json::from_str(rendered).ok().filter(|_| trusted)
    }

    /// Rollout of the existing Deployment.
    pub fn rollout(&self) -> Rollout {
        rollout_of(self.deployment.as_ref())
    }

    /// True if the wanted template ends the last ready replica before a new one is ready.
    pub fn interrupts(&self, desired: &Desired) -> bool {
        let Some(live) = &self.deployment else { return false };
        let ready = live.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let is_same = live.annotations().get(names::ANNOTATION_TEMPLATE_HASH) == Some(&desired.hash);
        !is_same && ready == 1 && rollout_of(Some(&desired.deployment)) == Rollout::InPlace
    }

    /// Something that has one of the names and does not carry `mark`.
    pub fn foreign(&self, mark: Mark<'_>) -> Option<ProviderError> {
        fn check<K: MemberObject>(live: Option<&K>, mark: Mark<'_>) -> Option<ProviderError> {
            live.filter(|live| !mark.is_on(*live)).map(|live| mark.missing_on(live))
        }
        check(self.key.as_ref(), mark)
            .or_else(|| check(self.deployment.as_ref(), mark))
            .or_else(|| check(self.service.as_ref(), mark))
            .or_else(|| check(self.budget.as_ref(), mark))
            .or_else(|| self.copies.values().find_map(|copy| check(copy.as_ref(), mark)))
    }

    /// True if everything is as it should be, and what the member's admission made otherwise.
    ///
    /// # Errors
    /// `Bug` if something cannot be written as JSON.
    pub fn standing(
        &self,
        member: &Member<'_>,
        wanted: &Wanted,
        desired: &Desired,
    ) -> Result<ObjectsState, ProviderError> {
        let mut standing = ObjectsState { in_sync: true, changed_by_admission: Vec::new() };
        let key = &wanted.api_key;
        standing.add("Deployment", judge(member, key, self.deployment.as_ref(), &desired.deployment)?);
        standing.add("Service", judge(member, key, self.service.as_ref(), &desired.service)?);
        standing.add("PodDisruptionBudget", judge(member, key, self.budget.as_ref(), &desired.budget)?);
        standing.add("Secret", judge(member, key, self.key.as_ref(), &desired.key)?);
        for (name, copy) in &desired.copies {
            standing.add("Secret", judge(member, key, self.copies.get(name).and_then(Option::as_ref), copy)?);
        }
        Ok(standing)
    }

    /// Creates missing objects and corrects differences. The key's Secret comes first, because it owns the rest.
    ///
    /// # Errors
    /// `Conflict` where something that is not ours has a name, else any [`ProviderError`].
    pub async fn put_right(
        mut self,
        member: &Member<'_>,
        wanted: &Wanted,
        inventory: Option<&Inventory>,
    ) -> Result<Made, ProviderError> {
        let secrets: Api<Secret> = member.api();
        let name = wanted.endpoint.name_any();
        let mark = member.mark(&name);
        let dropped = self.dropped_copies(wanted);
        let desired = self.desired(member, wanted, inventory)?;
        let writer = Writer { admissions: member.admissions, key: &wanted.api_key, mark };
        let key = writer.put_right(&secrets, self.key.take(), &desired.key).await?;
        let owner = key.uid();
        self.key = Some(key);
        // Only now is the owner's UID known.
        let desired = self.desired(member, wanted, inventory)?;
        for (name, copy) in &desired.copies {
            writer.put_right(&secrets, self.copies.remove(name).flatten(), copy).await?;
        }
        let deployment = Box::pin(writer.put_right(&member.api(), self.deployment, &desired.deployment)).await?;
        writer.put_right(&member.api(), self.service, &desired.service).await?;
        writer.put_right(&member.api(), self.budget, &desired.budget).await?;
        for name in dropped {
            removal::remove_copy(&secrets, &name, mark, owner.as_deref()).await?;
        }
        Ok(Made::of(&deployment, self.key.as_ref()))
    }

    /// Copies that were made once and are not named any more.
    fn dropped_copies(&self, wanted: &Wanted) -> Vec<String> {
        let endpoint = wanted.endpoint.name_any();
        let kept: BTreeSet<String> = wanted.secrets.keys().map(|name| copied_name(&endpoint, name)).collect();
        let listed = self.key.as_ref().map(|key| listed_copies(key, &endpoint)).unwrap_or_default();
        listed.into_iter().filter(|name| !kept.contains(name)).collect()
    }
}

fn rollout_of(deployment: Option<&Deployment>) -> Rollout {
    let rolling = deployment
        .and_then(|deployment| deployment.spec.as_ref())
        .and_then(|spec| spec.strategy.as_ref())
        .and_then(|strategy| strategy.rolling_update.as_ref())
        .and_then(|rolling| rolling.max_surge.clone());
    let none = k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(0);
    if rolling == Some(none) { Rollout::InPlace } else { Rollout::Surge }
}

/// State of an endpoint's objects compared with the wanted ones.
pub struct ObjectsState {
    /// Nothing is left to be written.
    pub in_sync: bool,
    /// The fields that the member's admission changed, each with the kind of its object.
    pub changed_by_admission: Vec<String>,
}

impl ObjectsState {
    fn add(&mut self, kind: &str, judged: Option<JudgedFields>) {
        self.in_sync &= judged.as_ref().is_some_and(|judged| judged.due.is_empty());
        let changed = judged.into_iter().flat_map(|judged| judged.admitted);
        let named = changed.map(|difference| format!("{kind} {}", difference.path));
        for field in named {
            if !self.changed_by_admission.contains(&field) {
                self.changed_by_admission.push(field);
            }
        }
    }
}

/// Differences of a live object; `None` if it does not exist.
fn judge<K: MemberObject>(
    member: &Member<'_>,
    key: &Redacted,
    live: Option<&K>,
    wanted: &K,
) -> Result<Option<JudgedFields>, ProviderError> {
    let Some(live) = live else { return Ok(None) };
    let judged = member.admissions.judge(live, wanted, key)?;
    if judged.due.is_empty() {
        member.admissions.learn(live, judged.admitted.clone());
    }
    Ok(Some(judged))
}

#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "adoption_tests.rs"]
mod adoption_tests;
