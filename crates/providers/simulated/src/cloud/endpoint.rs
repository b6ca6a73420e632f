//! One endpoint of the simulated cloud, and what time makes of it.

use serde::{Deserialize, Serialize};

use super::wire::{CreateOrder, EndpointView, Form, Preemption, Profile, key_digest};
use roadstead_api::v1alpha1::CapacityType;
use roadstead_provider::tags::EndpointTags;

/// An endpoint as the cloud keeps it. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// Counts its changes.
    pub version: u64,
    /// Creation time.
    pub created: i64,
    /// Whose it is.
    pub tags: EndpointTags,
    /// Wanted state.
    pub form: Form,
    /// Time at which each replica of the newest template answers.
    ready_at: Vec<i64>,
    /// Replicas of the former form, which answer until all of the newest do.
    former: u32,
    /// It was accepted, and there is no room for it.
    pub exhausted: bool,
    /// Time of the request to delete it.
    pub deleted: Option<i64>,
}

impl Endpoint {
    /// A new endpoint.
    pub fn new(order: CreateOrder, uid: String, exhausted: bool, profile: &Profile, now: i64) -> Self {
        let ready = now.saturating_add(profile.startup_millis);
        Self {
            name: order.name,
            uid,
            version: 1,
            created: now,
            tags: order.tags,
            ready_at: vec![ready; order.form.replicas as usize],
            form: order.form,
            former: 0,
            exhausted,
            deleted: None,
        }
    }

    /// Takes another form. A new template replaces every replica; more replicas start beside those that are there.
    pub fn take(&mut self, form: Form, profile: &Profile, now: i64) {
        let ready = now.saturating_add(profile.startup_millis);
        let replicas = form.replicas as usize;
        if form.template_hash == self.form.template_hash {
            self.ready_at.resize(replicas, ready);
            self.former = self.former.min(form.replicas);
        } else {
            self.former = self.answering(now).min(form.replicas);
            self.ready_at = vec![ready; replicas];
        }
        self.form = form;
        self.version += 1;
    }

    /// Accelerators that it holds or waits for.
    pub const fn accelerators(&self) -> u64 {
        self.form.replicas as u64 * self.form.accelerators as u64
    }

    /// True if it is permanently gone.
    pub fn is_gone(&self, profile: &Profile, now: i64) -> bool {
        self.deleted.is_some_and(|deleted| deleted.saturating_add(profile.deletion_millis) <= now)
    }

    /// True if requests are answered.
    pub fn answers(&self, profile: &Profile, now: i64) -> bool {
        self.deleted.is_none() && self.ready_replicas(profile, now) > 0
    }

    fn ready_replicas(&self, profile: &Profile, now: i64) -> u32 {
        if self.exhausted || self.preempted_until(profile, now).is_some() { 0 } else { self.answering(now) }
    }

    /// Replicas that would answer if nothing took them away.
    fn answering(&self, now: i64) -> u32 {
        let newest = u32::try_from(self.ready_at.iter().filter(|at| **at <= now).count()).unwrap_or(u32::MAX);
        if newest < self.form.replicas { newest.max(self.former) } else { newest }
    }

    /// Until when its capacity is taken away, if it is taken away now.
    fn preempted_until(&self, profile: &Profile, now: i64) -> Option<i64> {
        let (turn, down_from, preemption) = self.turn(profile, now)?;
        (now >= down_from).then(|| turn.saturating_add(cycle(preemption)))
    }

    /// The beginning of the present turn of serving and being taken away, and when it is taken away in it.
    fn turn(&self, profile: &Profile, now: i64) -> Option<(i64, i64, Preemption)> {
        let preemption = profile.preemption.filter(|_| self.tags.capacity_type == CapacityType::Spot)?;
        let start = self.ready_at.iter().copied().max().filter(|start| *start <= now)?;
        let turn = now - (now - start).checked_rem(cycle(preemption))?;
        Some((turn, turn.saturating_add(preemption.after_millis), preemption))
    }

    /// Time of the next change without a call.
    pub fn next_change(&self, profile: &Profile, now: i64) -> Option<i64> {
        if let Some(deleted) = self.deleted {
            return Some(deleted.saturating_add(profile.deletion_millis)).filter(|at| *at > now);
        }
        let start = self.ready_at.iter().copied().filter(|at| *at > now).min();
        let turn = self.turn(profile, now).map(|(turn, down_from, preemption)| {
            if now < down_from { down_from } else { turn.saturating_add(cycle(preemption)) }
        });
        start.into_iter().chain(turn).min()
    }

    /// As the cloud shows it.
    pub fn view(&self, profile: &Profile, now: i64) -> EndpointView {
        let ready = self.ready_replicas(profile, now);
        let newest = self.ready_at.iter().filter(|at| **at <= now).count();
        let preempted = self.preempted_until(profile, now);
        let message = match preempted {
            _ if self.deleted.is_some() => "it is being deleted".to_owned(),
            _ if self.exhausted => format!("no room for {} accelerators", self.accelerators()),
            Some(_) => "its spot capacity was taken away".to_owned(),
            None => format!("{newest} of {} replicas answer", self.form.replicas),
        };
        EndpointView {
            name: self.name.clone(),
            uid: self.uid.clone(),
            version: self.version,
            created_millis: self.created,
            tags: self.tags.clone(),
            replicas: self.form.replicas,
            accelerators: self.form.accelerators,
            template_hash: self.form.template_hash.clone(),
            key_digest: key_digest(&self.form.api_key),
            record: self.form.record.clone(),
            ready_replicas: ready,
            serving: self.deleted.is_none() && preempted.is_none() && !self.exhausted && newest == self.ready_at.len(),
            message,
            exhausted: self.exhausted,
            quota: self.exhausted && profile.capacity.get(&self.tags.offer).is_some_and(|capacity| capacity.quota),
            deleting: self.deleted.is_some(),
        }
    }
}

/// One turn of serving and being taken away; never nothing.
fn cycle(preemption: Preemption) -> i64 {
    preemption.after_millis.saturating_add(preemption.down_millis).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(replicas: u32, template: &str) -> Form {
        Form {
            replicas,
            accelerators: 2,
            model: "m".to_owned(),
            template_hash: template.to_owned(),
            api_key: "rs-k".to_owned(),
            record: String::new(),
        }
    }

    fn endpoint(capacity_type: CapacityType, profile: &Profile) -> Endpoint {
        let tags = EndpointTags {
            install_id: "prod".to_owned(),
            namespace: "team".to_owned(),
            deployment: "llama".to_owned(),
            target: "east".to_owned(),
            offer: "o".to_owned(),
            shape: "s".to_owned(),
            capacity_type,
            slot: 0,
        };
        let order = CreateOrder { name: "llama-x".to_owned(), tags, form: form(2, "a") };
        Endpoint::new(order, "uid".to_owned(), false, profile, 0)
    }

    fn profile() -> Profile {
        let preemption = Some(Preemption { after_millis: 100, down_millis: 20 });
        Profile { startup_millis: 10, deletion_millis: 5, preemption, ..Profile::default() }
    }

    fn ready(endpoint: &Endpoint, now: i64) -> (u32, bool) {
        let view = endpoint.view(&profile(), now);
        (view.ready_replicas, view.serving)
    }

    #[test]
    fn replicas_answer_after_their_start() {
        let endpoint = endpoint(CapacityType::OnDemand, &profile());
        assert_eq!(ready(&endpoint, 9), (0, false));
        assert_eq!(endpoint.next_change(&profile(), 9), Some(10));
        assert_eq!(ready(&endpoint, 10), (2, true));
        assert_eq!(endpoint.next_change(&profile(), 10), None);
        assert_eq!(ready(&endpoint, 1_000), (2, true), "on-demand capacity is not taken away");
    }

    #[test]
    fn a_new_template_is_rolled_out_while_the_former_replicas_answer() {
        let mut endpoint = endpoint(CapacityType::OnDemand, &profile());
        endpoint.take(form(2, "b"), &profile(), 50);
        assert_eq!(ready(&endpoint, 50), (2, false));
        assert_eq!(ready(&endpoint, 60), (2, true));
    }

    #[test]
    fn more_replicas_start_beside_those_that_are_there_and_fewer_go_at_once() {
        let mut endpoint = endpoint(CapacityType::OnDemand, &profile());
        endpoint.take(form(3, "a"), &profile(), 50);
        assert_eq!(ready(&endpoint, 50), (2, false));
        assert_eq!(ready(&endpoint, 60), (3, true));
        endpoint.take(form(1, "a"), &profile(), 60);
        assert_eq!(ready(&endpoint, 60), (1, true));
        endpoint.take(form(0, "a"), &profile(), 60);
        assert_eq!(ready(&endpoint, 60), (0, true));
    }

    #[test]
    fn spot_capacity_is_taken_away_and_given_back_again_and_again() {
        let endpoint = endpoint(CapacityType::Spot, &profile());
        for turn in [10, 130, 250] {
            assert_eq!(ready(&endpoint, turn), (2, true));
            assert_eq!(endpoint.next_change(&profile(), turn), Some(turn + 100));
            assert_eq!(ready(&endpoint, turn + 100), (0, false));
            assert_eq!(endpoint.next_change(&profile(), turn + 100), Some(turn + 120));
        }
    }

    #[test]
    fn a_deleted_endpoint_stays_for_a_while_and_answers_nobody() {
        let mut endpoint = endpoint(CapacityType::OnDemand, &profile());
        endpoint.deleted = Some(50);
        assert!(!endpoint.answers(&profile(), 51));
        assert!(!endpoint.is_gone(&profile(), 54));
        assert!(endpoint.is_gone(&profile(), 55));
    }
}
