//! Schedule of observations of endpoints. Its loss costs reads, never an action.
//!
//! One that does not answer is asked soon at first, then ever more rarely. Between two looks that time alone brings about, what
//! its provider showed of it is kept: only its address is asked then.
//!
//! It is apart from the endpoint controller's own memory (`inference_endpoint::memory`): watches and drivers of all
//! controllers write here what is new, while that memory belongs to one controller, whose tasks for one endpoint never overlap.

use std::time::Duration;

use tokio::time::Instant;

use roadstead_model::Timestamp;
use roadstead_provider::Present;
use roadstead_runtime::cache::Key;
use roadstead_runtime::kept::Kept;

/// The pause after a first look in vain; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause; what a provider showed is good for as long.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Basis of an observation: the generation, and the end of the inputs' validity. A different basis requires a new
/// observation.
pub type Basis = (Option<i64>, Instant);

/// Observation of a provider.
struct Sight {
    basis: Basis,
    at: Instant,
    present: Box<Present>,
}

#[derive(Default)]
struct EndpointLooks {
    /// Counts what may have changed what a provider shows.
    news: u64,
    /// Looks in a row that were in vain.
    in_vain: u32,
    /// State that the last of them showed.
    state: Option<String>,
    sight: Option<Sight>,
    /// Start time of the latest failed probe that was reported.
    failed_at: Option<Timestamp>,
}

/// By endpoint.
#[derive(Default)]
pub struct Looks {
    slots: Kept<Key, EndpointLooks>,
}

impl Looks {
    /// Something about the endpoint may have changed: the next look is a full one.
    pub fn news(&self, key: &Key) {
        self.slots.change(key, |slot| {
            slot.news += 1;
            slot.sight = None;
        });
    }

    /// Number of changes so far, for an observation that begins now.
    pub fn begin(&self, key: &Key) -> u64 {
        self.slots.see(key, |slot| slot.news).unwrap_or(0)
    }

    /// Keeps what a look that began after `news` showed, unless there was more since.
    pub fn keep(&self, key: &Key, news: u64, basis: Basis, present: &Present, now: Instant) {
        self.slots.change(key, |slot| {
            if slot.news == news {
                slot.sight = Some(Sight { basis, at: now, present: Box::new(present.clone()) });
            }
        });
    }

    /// The recent observation, if it has the same basis.
    pub fn fresh(&self, key: &Key, basis: Basis, now: Instant) -> Option<Box<Present>> {
        let is_fresh = |sight: &&Sight| sight.basis == basis && now.saturating_duration_since(sight.at) < LONGEST_PAUSE;
        self.slots.see(key, |slot| slot.sight.as_ref().filter(is_fresh).map(|sight| sight.present.clone()))?
    }

    /// Records a look without success; returns the pause before the next one. Another `state` than that of the last look,
    /// such as the address of a start or the remains of a removal, is progress and restarts the run: the next step may
    /// be due soon.
    pub fn in_vain(&self, key: &Key, state: Option<&str>) -> Duration {
        self.slots.change(key, |slot| {
            if slot.state.as_deref() != state {
                slot.state = state.map(ToOwned::to_owned);
                slot.in_vain = 0;
            }
            let doublings = slot.in_vain.min(16);
            slot.in_vain = slot.in_vain.saturating_add(1);
            FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
        })
    }

    /// Records a success: the next run starts again.
    pub fn paid_off(&self, key: &Key) {
        self.slots.change_known(key, |slot| slot.in_vain = 0);
    }

    /// A failed probe of an endpoint began then.
    pub fn failed(&self, key: &Key, at: Timestamp) {
        self.slots.change(key, |slot| slot.failed_at = Some(at));
    }

    /// Start time of the latest failed probe that was reported.
    pub fn failed_at(&self, key: &Key) -> Option<Timestamp> {
        self.slots.see(key, |slot| slot.failed_at)?
    }

    /// Forgets an endpoint.
    pub fn forget(&self, key: &Key) {
        self.slots.forget(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::test_present::present;
    use roadstead_runtime::clock::Clock;

    fn key() -> Key {
        Key::new("team", "llama-x")
    }

    /// Numbers of probes and of observations of an endpoint that never answers.
    fn asked_for(time: Duration, looks: &Looks, mut now: Instant) -> (usize, usize) {
        let basis = (Some(1), now);
        let (mut address, mut provider) = (0, 0);
        let end = now + time;
        while now < end {
            if looks.fresh(&key(), basis, now).is_none() {
                provider += 1;
                let news = looks.begin(&key());
                looks.keep(&key(), news, basis, &present(), now);
            }
            address += 1;
            now += looks.in_vain(&key(), Some("http://198.18.0.2:30000"));
        }
        (address, provider)
    }

    #[test]
    fn what_never_answers_is_asked_soon_at_first_and_then_every_half_minute() {
        let (looks, start) = (Looks::default(), Clock::system().now());
        assert_eq!(asked_for(Duration::from_secs(15), &looks, start), (4, 1), "after 0, 1, 3 and 7 s");
        let (address, provider) = asked_for(Duration::from_mins(10), &looks, start + Duration::from_secs(15));
        assert!(address <= 21 && provider <= 21, "{address} and {provider} times in 10 minutes");
        looks.paid_off(&key());
        assert_eq!(looks.in_vain(&key(), None), FIRST_PAUSE);
    }

    #[test]
    fn an_endpoint_that_makes_progress_is_looked_at_soon_again() {
        let looks = Looks::default();
        let pauses =
            |state: Option<&str>| -> Vec<u64> { (0..6).map(|_| looks.in_vain(&key(), state).as_secs()).collect() };
        let removal = [Some("its pods are terminating"), Some("its Service is terminating")];
        let start = [None, Some("http://198.18.0.2:30000"), Some("http://198.18.0.3:30000"), None];
        for state in start.into_iter().chain(removal) {
            assert_eq!(pauses(state), [1, 2, 4, 8, 16, 30], "{state:?}");
        }
    }

    #[test]
    fn what_was_shown_is_good_until_there_is_news_or_another_basis_or_it_is_old() {
        let (looks, now) = (Looks::default(), Clock::system().now());
        let basis = (Some(1), now);
        let look = |news| looks.keep(&key(), news, basis, &present(), now);
        let is_fresh = |basis, now| looks.fresh(&key(), basis, now).is_some();
        look(looks.begin(&key()));
        assert!(is_fresh(basis, now));
        assert!(!is_fresh((Some(2), basis.1), now), "another generation");
        looks.news(&key());
        assert!(!is_fresh(basis, now), "its provider tells of a change");
        let before = looks.begin(&key());
        looks.news(&key());
        look(before);
        assert!(!is_fresh(basis, now), "the change came while it was looked at");
        look(looks.begin(&key()));
        assert!(is_fresh(basis, now) && !is_fresh(basis, now + LONGEST_PAUSE), "it is old");
    }
}
