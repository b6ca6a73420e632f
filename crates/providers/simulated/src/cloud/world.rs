//! The places of the simulated cloud and their endpoints. Pure: the time is an argument, and the state that must
//! survive the process is returned as [`JournalEntry`]s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::endpoint::Endpoint;
use super::faults::{Faults, Hit};
use super::wire::{
    CallRefusal, Capacity, ClaimOrder, ClaimView, CreateOrder, EndpointList, EndpointView, KeyView, LogEntry,
    PlaceView, Profile, UpdateOrder,
};
use roadstead_api::v1alpha1::{SimulatedCall, SimulatedClass};

/// Number of calls in the log.
const LOG_ENTRIES: usize = 100_000;
/// Places that there can be; more are refused.
const PLACES: usize = 1_000;
/// Endpoints that one place can hold; more are refused.
const ENDPOINTS: usize = 20_000;

/// Entry that must survive the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry")]
pub enum JournalEntry {
    /// A place was met for the first time, or is claimed by another hub.
    Place {
        /// Its name.
        place: String,
        /// Its identity.
        identity: String,
        /// Which hub holds it, by installation.
        claims: BTreeMap<String, String>,
    },
    /// An endpoint is new or changed.
    Endpoint {
        /// Its place.
        place: String,
        /// As it is now.
        endpoint: Box<Endpoint>,
    },
    /// An endpoint is gone.
    Gone {
        /// Its place.
        place: String,
        /// Its name.
        name: String,
    },
}

#[derive(Default)]
struct Place {
    identity: String,
    claims: BTreeMap<String, String>,
    profile: Profile,
    endpoints: BTreeMap<String, Endpoint>,
    /// Names of those whose deletion has begun: the only ones that time removes.
    deleting: BTreeSet<String>,
    /// Deleted endpoints that listings still show, and until when.
    lingering: Vec<(i64, Endpoint)>,
    faults: Faults,
    /// Counts what happened here.
    version: u64,
}

/// All places.
#[derive(Default)]
pub struct World {
    places: BTreeMap<String, Place>,
    log: std::collections::VecDeque<LogEntry>,
    calls: u64,
    journal: Vec<JournalEntry>,
}

type CallResult<T> = Result<T, CallRefusal>;

impl World {
    /// The world that these entries describe.
    pub fn restore(entries: impl IntoIterator<Item = JournalEntry>) -> Self {
        let mut world = Self::default();
        for entry in entries {
            match entry {
                JournalEntry::Place { place, identity, claims } => {
                    let place = world.places.entry(place).or_default();
                    place.identity = identity;
                    place.claims = claims;
                }
                JournalEntry::Endpoint { place, endpoint } => {
                    let place = world.places.entry(place).or_default();
                    place.put(*endpoint);
                }
                JournalEntry::Gone { place, name } => {
                    world.places.entry(place).or_default().remove(&name);
                }
            }
        }
        world
    }

    /// Everything that must survive, as it is now.
    pub fn entries(&self) -> Vec<JournalEntry> {
        let mut entries = Vec::new();
        for (name, place) in &self.places {
            entries.push(place.entry(name));
            entries.extend(
                place.endpoints.values().map(|endpoint| JournalEntry::Endpoint {
                    place: name.clone(),
                    endpoint: Box::new(endpoint.clone()),
                }),
            );
        }
        entries
    }

    /// Entries since the last call that must survive the process.
    pub fn take_journal(&mut self) -> Vec<JournalEntry> {
        std::mem::take(&mut self.journal)
    }

    /// Effect of the faults on this call at the place.
    pub fn hit(&mut self, place: &str, call: SimulatedCall) -> Option<Hit> {
        let place = self.places.get_mut(place)?;
        place.faults.hit(&place.profile.faults, call)
    }

    /// Meets a place, and has it behave as `profile` says.
    ///
    /// # Errors
    /// `QuotaExceeded` where there are too many places.
    pub fn identify(&mut self, name: &str, profile: Profile, now: i64) -> CallResult<PlaceView> {
        if !self.places.contains_key(name) {
            if self.places.len() >= PLACES {
                return Err(refusal(SimulatedClass::QuotaExceeded, format!("there are {PLACES} places already")));
            }
            let identity = identity(name, now);
            self.places.insert(name.to_owned(), Place { identity, ..Place::default() });
            self.record_place(name);
        }
        let place = self.place(name)?;
        if place.profile != profile {
            place.profile = profile;
            place.version += 1;
        }
        Ok(PlaceView { identity: place.identity.clone() })
    }

    /// Claims a place for an installation's hub; says which hub holds it then.
    ///
    /// # Errors
    /// `NotFound` where the place was never met.
    pub fn claim(&mut self, name: &str, install_id: &str, order: &ClaimOrder) -> CallResult<ClaimView> {
        let place = self.place(name)?;
        let holder = place.claims.get(install_id);
        let free = holder.is_none_or(|holder| Some(holder) == order.takeover.as_ref());
        if free && holder != Some(&order.hub_uid) {
            place.claims.insert(install_id.to_owned(), order.hub_uid.clone());
            self.record_place(name);
        }
        let hub_uid = self.place(name)?.claims.get(install_id).cloned().unwrap_or_default();
        Ok(ClaimView { hub_uid })
    }

    /// The endpoints of an installation, as far behind as the profile says.
    ///
    /// # Errors
    /// `NotFound` where the place was never met.
    pub fn list(&mut self, name: &str, install_id: &str, now: i64) -> CallResult<EndpointList> {
        self.clear(name, now);
        let place = self.place(name)?;
        let lag = place.profile.list_lag_millis;
        let shown = place.endpoints.values().filter(|endpoint| endpoint.created.saturating_add(lag) <= now);
        let lingering = place.lingering.iter().filter(|(until, _)| *until > now).map(|(_, endpoint)| endpoint);
        let endpoints: Vec<EndpointView> = shown
            .chain(lingering)
            .filter(|endpoint| endpoint.tags.install_id == install_id)
            .map(|endpoint| endpoint.view(&place.profile, now))
            .collect();
        Ok(EndpointList { mark: mark(&endpoints), endpoints })
    }

    /// A number that changes with every event at a place: while it is equal, only time changes the listing.
    pub fn version(&self, name: &str) -> u64 {
        self.places.get(name).map_or(0, |place| place.version)
    }

    /// Time of the next change of a listing without a call.
    pub fn next_change(&self, name: &str, now: i64) -> Option<i64> {
        let place = self.places.get(name)?;
        let lag = place.profile.list_lag_millis;
        let changes = place.endpoints.values().filter_map(|endpoint| endpoint.next_change(&place.profile, now));
        let shown = place.endpoints.values().map(|endpoint| endpoint.created.saturating_add(lag));
        let hidden = place.lingering.iter().map(|(until, _)| *until);
        changes.chain(shown).chain(hidden).filter(|at| *at > now).min()
    }

    /// One endpoint.
    ///
    /// # Errors
    /// `NotFound` where it is not there.
    pub fn get(&mut self, place: &str, name: &str, now: i64) -> CallResult<EndpointView> {
        self.clear(place, now);
        let found = self.place(place)?;
        let endpoint = found.endpoints.get(name).ok_or_else(|| not_found(place, name))?;
        Ok(endpoint.view(&found.profile, now))
    }

    /// The key of an endpoint.
    ///
    /// # Errors
    /// `NotFound` where it is not there.
    pub fn key(&mut self, place: &str, name: &str) -> CallResult<KeyView> {
        let endpoint = self.place(place)?.endpoints.get(name).ok_or_else(|| not_found(place, name))?;
        Ok(KeyView { api_key: endpoint.form.api_key.clone() })
    }

    /// Creates an endpoint.
    ///
    /// # Errors
    /// `Conflict` where one of that name is there, `CapacityExhausted` where there is no room.
    pub fn create(&mut self, place: &str, order: CreateOrder, now: i64) -> CallResult<EndpointView> {
        self.clear(place, now);
        let name = order.name.clone();
        let result = self.create_one(place, order, now);
        self.note(place, SimulatedCall::Create, &name, &result);
        result
    }

    fn create_one(&mut self, name: &str, order: CreateOrder, now: i64) -> CallResult<EndpointView> {
        let place = self.place(name)?;
        if place.endpoints.contains_key(&order.name) {
            return Err(refusal(SimulatedClass::Conflict, format!("endpoint {} exists already", order.name)));
        }
        if place.endpoints.len() >= ENDPOINTS {
            return Err(refusal(SimulatedClass::QuotaExceeded, format!("there are {ENDPOINTS} endpoints already")));
        }
        let wanted = u64::from(order.form.replicas) * u64::from(order.form.accelerators);
        let room = place.room(&order.tags.offer, None);
        let exhausted = room.is_some_and(|(free, _)| free < wanted);
        if let Some((free, capacity)) = room.filter(|(_, capacity)| exhausted && !capacity.late) {
            return Err(no_room(&order.tags.offer, capacity, wanted, free));
        }
        let uid = identity(&format!("{name}/{}", order.name), now);
        let endpoint = Endpoint::new(order, uid, exhausted, &place.profile, now);
        let view = endpoint.view(&place.profile, now);
        self.put(name, endpoint);
        Ok(view)
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` where it is not as it was seen, `CapacityExhausted` where there is no room for more.
    pub fn update(&mut self, place: &str, name: &str, order: UpdateOrder, now: i64) -> CallResult<EndpointView> {
        self.clear(place, now);
        let result = self.update_one(place, name, order, now);
        self.note(place, SimulatedCall::Update, name, &result);
        result
    }

    fn update_one(&mut self, place_name: &str, name: &str, order: UpdateOrder, now: i64) -> CallResult<EndpointView> {
        let place = self.place(place_name)?;
        let mut endpoint = place.endpoints.get(name).ok_or_else(|| not_found(place_name, name))?.clone();
        if endpoint.version != order.version || endpoint.deleted.is_some() {
            let message = format!("endpoint {name} changed: version {}, not {}", endpoint.version, order.version);
            return Err(refusal(SimulatedClass::Conflict, message));
        }
        let wanted = u64::from(order.form.replicas) * u64::from(order.form.accelerators);
        if let Some((free, capacity)) = place.room(&endpoint.tags.offer, Some(name))
            && wanted > endpoint.accelerators()
            && free < wanted
        {
            return Err(no_room(&endpoint.tags.offer, capacity, wanted, free));
        }
        endpoint.take(order.form, &place.profile, now);
        let view = endpoint.view(&place.profile, now);
        self.put(place_name, endpoint);
        Ok(view)
    }

    /// Begins to delete an endpoint of this identity.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` where another one has the name.
    pub fn delete(&mut self, place: &str, name: &str, uid: &str, now: i64) -> CallResult<EndpointView> {
        self.clear(place, now);
        let result = self.delete_one(place, name, uid, now);
        self.note(place, SimulatedCall::Delete, name, &result);
        self.clear(place, now);
        result
    }

    fn delete_one(&mut self, place_name: &str, name: &str, uid: &str, now: i64) -> CallResult<EndpointView> {
        let place = self.place(place_name)?;
        let mut endpoint = place.endpoints.get(name).ok_or_else(|| not_found(place_name, name))?.clone();
        if endpoint.uid != uid {
            return Err(refusal(SimulatedClass::Conflict, format!("endpoint {name} is not {uid}")));
        }
        if endpoint.deleted.is_none() {
            endpoint.deleted = Some(now);
            endpoint.version += 1;
        }
        let view = endpoint.view(&place.profile, now);
        self.put(place_name, endpoint);
        Ok(view)
    }

    /// Model of an endpoint for a request with `api_key`; `None` if the endpoint does not answer, an empty text if the
    /// key is wrong.
    pub fn serves(&self, place: &str, name: &str, api_key: Option<&str>, now: i64) -> Option<&str> {
        let place = self.places.get(place)?;
        let endpoint = place.endpoints.get(name).filter(|endpoint| endpoint.answers(&place.profile, now))?;
        Some(if api_key == Some(endpoint.form.api_key.as_str()) { &endpoint.form.model } else { "" })
    }

    /// All endpoints by place and installation: the real state, whatever a listing shows.
    pub fn truth(&mut self, now: i64) -> BTreeMap<String, Vec<EndpointView>> {
        let names: Vec<String> = self.places.keys().cloned().collect();
        for name in &names {
            self.clear(name, now);
        }
        let views =
            |place: &Place| place.endpoints.values().map(|endpoint| endpoint.view(&place.profile, now)).collect();
        self.places.iter().map(|(name, place)| (name.clone(), views(place))).collect()
    }

    /// The calls after the entry `after` that changed something or were meant to.
    pub fn log(&self, after: u64) -> Vec<LogEntry> {
        self.log.iter().filter(|entry| entry.index > after).cloned().collect()
    }

    fn place(&mut self, name: &str) -> CallResult<&mut Place> {
        let missing = || refusal(SimulatedClass::NotFound, format!("place {name} is unknown"));
        self.places.get_mut(name).ok_or_else(missing)
    }

    /// Removes the endpoints whose deletion has ended.
    fn clear(&mut self, name: &str, now: i64) {
        let Some(place) = self.places.get_mut(name) else { return };
        let lag = place.profile.list_lag_millis;
        let gone: Vec<String> = place
            .deleting
            .iter()
            .filter(|name| place.endpoints.get(*name).is_some_and(|endpoint| endpoint.is_gone(&place.profile, now)))
            .cloned()
            .collect();
        place.lingering.retain(|(until, _)| *until > now);
        for gone in gone {
            if let Some(endpoint) = place.remove(&gone) {
                let at = endpoint.deleted.unwrap_or(now).saturating_add(place.profile.deletion_millis);
                place.lingering.push((at.saturating_add(lag), endpoint));
            }
            place.version += 1;
            self.journal.push(JournalEntry::Gone { place: name.to_owned(), name: gone });
        }
    }

    fn put(&mut self, place: &str, endpoint: Endpoint) {
        self.journal.push(JournalEntry::Endpoint { place: place.to_owned(), endpoint: Box::new(endpoint.clone()) });
        if let Some(place) = self.places.get_mut(place) {
            place.put(endpoint);
            place.version += 1;
        }
    }

    fn record_place(&mut self, name: &str) {
        let entry = self.places.get(name).map(|place| place.entry(name));
        self.journal.extend(entry);
    }

    fn note<T>(&mut self, place: &str, call: SimulatedCall, name: &str, result: &CallResult<T>) {
        self.calls += 1;
        if self.log.len() >= LOG_ENTRIES {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry {
            index: self.calls,
            place: place.to_owned(),
            call: format!("{call:?}"),
            name: name.to_owned(),
            outcome: result.as_ref().err().map_or_else(|| "done".to_owned(), |refusal| refusal.class.clone()),
        });
    }
}

impl Place {
    fn entry(&self, name: &str) -> JournalEntry {
        JournalEntry::Place { place: name.to_owned(), identity: self.identity.clone(), claims: self.claims.clone() }
    }

    fn put(&mut self, endpoint: Endpoint) {
        if endpoint.deleted.is_some() {
            self.deleting.insert(endpoint.name.clone());
        }
        self.endpoints.insert(endpoint.name.clone(), endpoint);
    }

    fn remove(&mut self, name: &str) -> Option<Endpoint> {
        self.deleting.remove(name);
        self.endpoints.remove(name)
    }

    /// Accelerators of the offer that are free beside what `own` holds, and what limits them; `None` is no end.
    fn room(&self, offer: &str, own: Option<&str>) -> Option<(u64, Capacity)> {
        let capacity = *self.profile.capacity.get(offer)?;
        let others = self
            .endpoints
            .values()
            .filter(|endpoint| endpoint.tags.offer == offer && !endpoint.exhausted && Some(&*endpoint.name) != own);
        let held: u64 = others.map(Endpoint::accelerators).sum();
        Some((u64::from(capacity.accelerators).saturating_sub(held), capacity))
    }
}

fn refusal(class: SimulatedClass, message: String) -> CallRefusal {
    CallRefusal { class: class.as_str().to_owned(), message, retry_after_seconds: None, missing: None }
}

fn not_found(place: &str, name: &str) -> CallRefusal {
    let refusal = refusal(SimulatedClass::NotFound, format!("endpoint {name} is not at place {place}"));
    CallRefusal { missing: Some(name.to_owned()), ..refusal }
}

fn no_room(offer: &str, capacity: Capacity, wanted: u64, free: u64) -> CallRefusal {
    let (class, limit) = if capacity.quota {
        (SimulatedClass::QuotaExceeded, "the quota leaves")
    } else {
        (SimulatedClass::CapacityExhausted, "there are free")
    };
    refusal(class, format!("{wanted} accelerators of offer {offer} are wanted, and {limit} {free}"))
}

/// An identity that no other thing has: of this name, from this moment.
fn identity(name: &str, now: i64) -> String {
    let digest = HEXLOWER.encode(&Sha256::digest(format!("{name}\0{now}")));
    digest.chars().take(32).collect()
}

/// Changes with everything that a listing shows.
fn mark(endpoints: &[EndpointView]) -> String {
    let mut text = String::new();
    for view in endpoints {
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "{} {} {} {} {}", view.uid, view.version, view.ready_replicas, view.serving, view.deleting);
    }
    HEXLOWER.encode(&Sha256::digest(text)).chars().take(32).collect()
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
