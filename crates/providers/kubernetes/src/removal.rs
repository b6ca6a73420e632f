//! The way back to nothing: removes what belongs to an endpoint, and never says that something is gone which may be its.
//!
//! An object under one of the endpoint's names that lost our mark, or bears another installation's, may still be what was
//! made: the UIDs in the record tell, and where they do not, it is held to be. Such an object is a conflict: it is
//! neither deleted nor taken for gone, nor is the Secret that owns it deleted, since the member's garbage collector would
//! follow.
//!
//! Pods that outlived their Deployment are the endpoint's as well: it does not count as removed, and its key stays,
//! until they have ended.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{Api, ListParams, PropagationPolicy};
use roadstead_model as model;

use super::copies::listed_copies;
use super::found;
use super::identity::Made;
use super::mark::{Mark, MemberObject};
use super::member::Member;
use super::objects;
use super::render::copied_name;
use crate::refusal::provider_error;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint, names};
use roadstead_provider::{ErrorClass, ProviderError, Removal};
use roadstead_runtime::client::call;
use roadstead_runtime::text::bounded_with;

/// Known state of the objects of an endpoint.
#[derive(Default)]
struct Known {
    /// The UIDs on record.
    made: Made,
    /// The UIDs of all Secrets that are known to have owned the rest.
    owners: BTreeSet<String>,
}

impl Known {
    fn recorded(id: Option<&ExternalId>) -> Self {
        let made = Made::recorded(id);
        Self { owners: made.key.iter().cloned().collect(), made }
    }

    /// Takes in what owns the endpoint's Deployment.
    fn learn_from(&mut self, deployment: &Deployment, endpoint: &str) {
        let key = names::key_secret(endpoint);
        let owners = deployment.owner_references().iter().filter(|owner| owner.kind == "Secret" && owner.name == key);
        self.owners.extend(owners.map(|owner| owner.uid.clone()));
    }

    /// True if an object without our mark may be the endpoint's Deployment.
    fn may_be_deployment(&self, live: &Deployment) -> bool {
        self.made.deployment.as_deref().is_none_or(|uid| live.uid().as_deref() == Some(uid)) || self.owns(live)
    }

    /// True if an object without our mark may be the Secret of its API key.
    fn may_be_key(&self, live: &Secret) -> bool {
        self.made.key.is_none() || live.uid().is_some_and(|uid| self.owners.contains(&uid))
    }

    /// True if an object without our mark may be one that the Secret of its API key owns.
    fn may_be_owned(&self, live: &impl ResourceExt) -> bool {
        self.owners.is_empty() || self.owns(live)
    }

    fn owns(&self, live: &impl ResourceExt) -> bool {
        live.owner_references().iter().any(|owner| self.owners.contains(&owner.uid))
    }
}

/// Removes everything of an endpoint; called until nothing is left.
///
/// # Errors
/// `Conflict` where something that may be the endpoint's does not carry our mark, else any [`ProviderError`].
pub async fn remove(member: &Member<'_>, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
    let name = endpoint.name_any();
    let known = Known::recorded(endpoint.external_id());
    let may_be = |live: &Deployment| known.may_be_deployment(live);
    // Foreground: the Deployment stays until its pods are gone, so its absence means theirs.
    if take(&member.api(), &name, member.mark(&name), PropagationPolicy::Foreground, may_be).await? {
        return Ok(Removal::InProgress { message: format!("Deployment {name} and its pods are terminating") });
    }
    if let Some(message) = outlived(member, &name).await? {
        return Ok(Removal::InProgress { message });
    }
    let copies = endpoint.spec.secret_names().iter().map(|secret| copied_name(&name, secret)).collect();
    Ok(removal(&remove_rest(member, &name, known, copies).await?))
}

/// Removes everything of something that was found without a record, if it is still that; called until nothing is left.
///
/// The Deployment is deleted last: while it exists, an interrupted removal is found again.
///
/// # Errors
/// `Conflict` where the name belongs to another Deployment now, or something that may belong to it does not carry our
/// mark, else any [`ProviderError`].
pub async fn remove_found(member: &Member<'_>, found: &model::Found) -> Result<Removal, ProviderError> {
    let deployments: Api<Deployment> = member.api();
    let mut known = Known::default();
    let live = objects::read(&deployments, &found.name).await?;
    if let Some(live) = &live {
        is_what_was_found(live, member.mark(&found.name), found)?;
        known.learn_from(live, &found.name);
    } else if let Some(message) = outlived(member, &found.name).await? {
        return Ok(Removal::InProgress { message });
    }
    let mut left = remove_rest(member, &found.name, known, BTreeSet::new()).await?;
    if let Some(live) = live {
        if live.metadata.deletion_timestamp.is_none() {
            objects::delete(&deployments, &live, PropagationPolicy::Foreground).await?;
        }
        left.push(format!("Deployment {} and its pods", found.name));
    }
    Ok(removal(&left))
}

/// Remaining pods of an endpoint without a Deployment; `None` if all have ended.
///
/// The member itself is asked, not what was watched of it, which may be late or not there yet.
async fn outlived(member: &Member<'_>, name: &str) -> Result<Option<String>, ProviderError> {
    let selector = format!("{}={name}", names::LABEL_ENDPOINT);
    // As pods::is_over says of those that were read whole.
    let living = ListParams::default().labels(&selector).fields("status.phase!=Succeeded,status.phase!=Failed");
    let pods = call("list pods", member.api::<Pod>().list_metadata(&living)).await.map_err(provider_error)?.items;
    let Some(first) = pods.iter().map(ResourceExt::name_any).min() else { return Ok(None) };
    if pods.iter().all(|pod| pod.metadata.deletion_timestamp.is_some()) {
        return Ok(Some(format!("pods of Deployment {name} are terminating")));
    }
    let said =
        format!("Deployment {name} was deleted without its pods: {} still there, such as pod {first}", pods.len());
    let cure = format!("; delete them there: kubectl -n {} delete replicasets,pods -l {selector}", member.namespace);
    Ok(Some(bounded_with(&said, &cure)))
}

/// True if a Deployment is the very one that was found, and still carries our mark and tags.
fn is_what_was_found(live: &Deployment, mark: Mark<'_>, found: &model::Found) -> Result<(), ProviderError> {
    if !mark.is_on(live) {
        return Err(mark.missing_on(live));
    }
    let tagged = live.metadata.deletion_timestamp.is_some()
        || found::found(live).is_some_and(|now| now.deployment == found.deployment && now.target == found.target);
    if tagged && live.uid().as_deref() == Some(found.id.as_str()) {
        return Ok(());
    }
    let message = format!(
        "Deployment {} on the member has changed since it was listed; the operator does not delete it",
        found.name
    );
    Err(ProviderError::new(ErrorClass::Conflict, message))
}

fn removal(left: &[String]) -> Removal {
    if left.is_empty() {
        Removal::Gone
    } else {
        Removal::InProgress { message: format!("{} are terminating", left.join(", ")) }
    }
}

/// Removes an endpoint's objects beside its Deployment, including `copies` and those that its key names; returns the
/// remaining ones. The key is removed last, because it owns the rest.
async fn remove_rest(
    member: &Member<'_>,
    name: &str,
    mut known: Known,
    mut copies: BTreeSet<String>,
) -> Result<Vec<String>, ProviderError> {
    let secrets: Api<Secret> = member.api();
    let mark = member.mark(name);
    let key = objects::read(&secrets, &names::key_secret(name)).await?;
    if let Some(key) = key.as_ref().filter(|key| mark.is_on(*key)) {
        copies.extend(listed_copies(key, name));
        known.owners.extend(key.uid());
    }
    let mut rest = Rest { mark, left: Vec::new(), conflict: None };
    rest.remove::<Service>(&member.api(), "Service", name, &known).await?;
    rest.remove::<PodDisruptionBudget>(&member.api(), "PodDisruptionBudget", name, &known).await?;
    for copy in &copies {
        rest.remove(&secrets, "Secret", copy, &known).await?;
    }
    if let Some(conflict) = rest.conflict {
        return Err(conflict);
    }
    let mut left = rest.left;
    if let Some(key) = key
        && take_one(&secrets, &key, mark, PropagationPolicy::Background, |live| known.may_be_key(live)).await?
    {
        left.push(format!("Secret {}", key.name_any()));
    }
    Ok(left)
}

/// Progress of the removal of a key's dependants.
struct Rest<'a> {
    mark: Mark<'a>,
    left: Vec<String>,
    /// The first object that may not be touched; it keeps no other from being removed.
    conflict: Option<ProviderError>,
}

impl Rest<'_> {
    async fn remove<K: MemberObject>(
        &mut self,
        api: &Api<K>,
        kind: &str,
        name: &str,
        known: &Known,
    ) -> Result<(), ProviderError> {
        match take(api, name, self.mark, PropagationPolicy::Background, |live| known.may_be_owned(live)).await {
            Ok(true) => self.left.push(format!("{kind} {name}")),
            Ok(false) => {}
            Err(error) if error.class == ErrorClass::Conflict => {
                self.conflict.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Removes one copy of a Secret that an endpoint does not name any more, if the Secret `owner` owns it.
///
/// # Errors
/// As for [`remove`].
pub async fn remove_copy(
    secrets: &Api<Secret>,
    name: &str,
    mark: Mark<'_>,
    owner: Option<&str>,
) -> Result<(), ProviderError> {
    let known = Known { owners: owner.map(ToOwned::to_owned).into_iter().collect(), ..Known::default() };
    take(secrets, name, mark, PropagationPolicy::Background, |live| known.may_be_owned(live)).await.map(drop)
}

/// Deletes the object of this name if it carries our mark; returns true while something of the endpoint is left.
///
/// An object without it that by `may_be` cannot be the endpoint's is foreign and does not count.
async fn take<K: MemberObject>(
    api: &Api<K>,
    name: &str,
    mark: Mark<'_>,
    propagation: PropagationPolicy,
    may_be: impl Fn(&K) -> bool,
) -> Result<bool, ProviderError> {
    let Some(live) = objects::read(api, name).await? else { return Ok(false) };
    take_one(api, &live, mark, propagation, may_be).await
}

/// The same for an object that was just read.
async fn take_one<K: MemberObject>(
    api: &Api<K>,
    live: &K,
    mark: Mark<'_>,
    propagation: PropagationPolicy,
    may_be: impl Fn(&K) -> bool,
) -> Result<bool, ProviderError> {
    if !mark.is_on(live) {
        return if may_be(live) { Err(mark.missing_on(live)) } else { Ok(false) };
    }
    if live.meta().deletion_timestamp.is_some() { Ok(true) } else { objects::delete(api, live, propagation).await }
}

#[cfg(test)]
#[path = "removal_tests.rs"]
mod tests;
