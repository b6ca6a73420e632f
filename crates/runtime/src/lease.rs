//! Leadership by a Lease: one process works, and it stops before another may begin.
//!
//! The holder trusts its lease only until `renew_deadline` after it *began* its last successful renewal; others take it
//! only after watching it unchanged for `duration` by their own clock. Clocks of machines are never compared, as in
//! client-go's leader election.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::{CallError, call, call_opt};
use super::clock::Clock;

/// Which lease, held by whom, and how long.
#[derive(Debug, Clone)]
pub struct LeaseConfig {
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// Under which name this process holds it.
    pub identity: String,
    /// Time that others wait for an unchanged lease.
    pub duration: Duration,
    /// Time that the holder works after the start of its last successful renewal; less than `duration`.
    pub renew_deadline: Duration,
    /// Interval of reads and renewals of the lease.
    pub retry: Duration,
}

impl LeaseConfig {
    /// Kubernetes' customary times: 15 s, 10 s and 2 s.
    #[must_use]
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// Says whether leadership holds at this moment.
#[derive(Clone)]
pub struct LeaderToken {
    valid_until: Arc<Mutex<Option<Instant>>>,
    clock: Clock,
}

impl LeaderToken {
    fn until(at: Option<Instant>, clock: Clock) -> Self {
        Self { valid_until: Arc::new(Mutex::new(at)), clock }
    }

    /// True if this process may still write. It turns false by itself, without anybody having to run.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.get().is_none_or(|until| self.clock.now() < until)
    }

    fn get(&self) -> Option<Instant> {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Instant) {
        *self.valid_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }
}

/// Leadership that was acquired and is being renewed.
pub struct Leadership {
    token: LeaderToken,
    /// `None` if it cannot be lost.
    lost: Option<watch::Receiver<bool>>,
    stop: CancellationToken,
    renewal: Option<tokio::task::JoinHandle<()>>,
}

impl Leadership {
    /// Leadership without an election, for where a single process can ever run.
    #[must_use]
    pub fn unchallenged(clock: Clock) -> Self {
        Self { token: LeaderToken::until(None, clock), lost: None, stop: CancellationToken::new(), renewal: None }
    }

    /// Token that writes check before they are sent.
    #[must_use]
    pub fn token(&self) -> LeaderToken {
        self.token.clone()
    }

    /// Resolves when leadership is lost.
    pub async fn lost(&self) {
        match self.lost.clone() {
            // An error means that the renewal task is gone: that is a loss too.
            Some(mut lost) => drop(lost.wait_for(|lost| *lost).await),
            None => std::future::pending().await,
        }
    }

    /// Ends the renewal and releases the lease, so that the next leader need not wait.
    pub async fn release(mut self) {
        self.stop.cancel();
        if let Some(renewal) = self.renewal.take() {
            let _ = renewal.await;
        }
    }
}

/// Next step of an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// It has no holder, or has expired.
    Take,
    /// Somebody else holds it.
    Wait,
}

/// A lease as it was seen last, and since when it has looked like this, by our own clock.
#[derive(Debug, Clone)]
struct Sighting {
    version: Option<String>,
    since: Instant,
}

/// Looks at a lease: since when it has looked like this, and what to do about it. What it says of the time of day is
/// not read.
fn look(lease: &Lease, config: &LeaseConfig, seen: Option<Sighting>, now: Instant) -> (Sighting, Move) {
    let version = lease.metadata.resource_version.clone();
    let seen = seen.filter(|seen| seen.version == version).unwrap_or(Sighting { version, since: now });
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    let decision = decide(holder, &config.identity, seen.since, config.duration, now);
    (seen, decision)
}

/// Decides about a lease that is held by `holder` and was seen unchanged since `since`.
fn decide(holder: Option<&str>, identity: &str, since: Instant, duration: Duration, now: Instant) -> Move {
    match holder {
        None | Some("") => Move::Take,
        // A former life of this process: its name is its own.
        Some(holder) if holder == identity => Move::Take,
        Some(_) if now.duration_since(since) > duration => Move::Take,
        Some(_) => Move::Wait,
    }
}

/// Takes part in the election.
pub struct Elector {
    api: Api<Lease>,
    config: LeaseConfig,
    clock: Clock,
}

impl Elector {
    /// An elector over `client`, which must not retry by itself.
    #[must_use]
    pub fn new(client: Client, config: LeaseConfig, clock: Clock) -> Self {
        let api = Api::namespaced(client, &config.namespace);
        Self { api, config, clock }
    }

    /// Waits until the lease is ours, then keeps renewing it in the background.
    pub async fn acquire(self) -> Leadership {
        let mut sighting: Option<Sighting> = None;
        loop {
            let began = self.clock.now();
            match self.attempt(&mut sighting).await {
                Ok(Some(lease)) => return self.hold(lease, began),
                Ok(None) => {}
                Err(error) if error.is_conflict() => {}
                Err(error) => tracing::warn!(%error, "cannot take part in the leader election; retrying"),
            }
            tokio::time::sleep(self.config.retry).await;
        }
    }

    /// Looks at the lease once and takes it if it is free.
    async fn attempt(&self, sighting: &mut Option<Sighting>) -> Result<Option<Lease>, CallError> {
        let Some(lease) = call_opt("get lease", self.api.get(&self.config.name)).await? else {
            let lease = self.ours(None);
            return call("create lease", self.api.create(&PostParams::default(), &lease)).await.map(Some);
        };
        let (seen, decision) = look(&lease, &self.config, sighting.take(), self.clock.now());
        *sighting = Some(seen);
        match decision {
            Move::Wait => Ok(None),
            Move::Take => self.replace(self.ours(Some(&lease))).await.map(Some),
        }
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, CallError> {
        call("update lease", self.api.replace(&self.config.name, &PostParams::default(), &lease)).await
    }

    /// The lease as held by us, after `former`.
    fn ours(&self, former: Option<&Lease>) -> Lease {
        let now = MicroTime(self.clock.wall());
        let spec = former.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let renewal = spec.holder_identity.as_deref() == Some(self.config.identity.as_str());
        let transitions = spec.lease_transitions.unwrap_or(0);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.config.name.clone()),
                namespace: Some(self.config.namespace.clone()),
                resource_version: former.and_then(|lease| lease.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.config.identity.clone()),
                lease_duration_seconds: i32::try_from(self.config.duration.as_secs()).ok(),
                acquire_time: if renewal { spec.acquire_time } else { Some(now.clone()) },
                renew_time: Some(now),
                lease_transitions: Some(if renewal || former.is_none() { transitions } else { transitions + 1 }),
                ..LeaseSpec::default()
            }),
        }
    }

    fn hold(self, lease: Lease, began: Instant) -> Leadership {
        let token = LeaderToken::until(Some(began + self.config.renew_deadline), self.clock);
        let (lost_sender, lost) = watch::channel(false);
        let stop = CancellationToken::new();
        let renewal = tokio::spawn(self.renew(lease, token.clone(), lost_sender, stop.clone()));
        Leadership { token, lost: Some(lost), stop, renewal: Some(renewal) }
    }

    async fn renew(self, mut lease: Lease, token: LeaderToken, lost: watch::Sender<bool>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.let_go(lease).await,
                () = tokio::time::sleep(self.config.retry) => {}
            }
            let began = self.clock.now();
            let result = match token.get() {
                Some(until) => tokio::time::timeout_at(until, self.replace(self.ours(Some(&lease)))).await,
                None => return,
            };
            match result {
                Ok(Ok(renewed)) => {
                    lease = renewed;
                    token.set(began + self.config.renew_deadline);
                }
                // Somebody else wrote to it: if they took it, the next look shows it.
                Ok(Err(error)) if error.is_conflict() => {
                    if let Some(newest) = self.reread().await {
                        lease = newest;
                    } else {
                        lost.send_replace(true);
                        return;
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "lease not renewed; retrying until the deadline"),
                Err(_) => {}
            }
            if !token.is_valid() {
                lost.send_replace(true);
                return;
            }
        }
    }

    /// The lease as it is now, if it is still ours.
    async fn reread(&self) -> Option<Lease> {
        let lease = call("get lease", self.api.get(&self.config.name)).await.ok()?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone());
        (holder.as_deref() == Some(self.config.identity.as_str())).then_some(lease)
    }

    async fn let_go(&self, mut lease: Lease) {
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
        }
        if let Err(error) = self.replace(lease).await {
            tracing::warn!(%error, "lease not released; the next leader waits until it expires");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(15);

    fn decided(holder: Option<&str>, unchanged: u64) -> Move {
        let since = Clock::system().now();
        decide(holder, "me", since, DURATION, since + Duration::from_secs(unchanged))
    }

    #[test]
    fn a_free_lease_is_taken() {
        assert_eq!(decided(None, 0), Move::Take);
        assert_eq!(decided(Some(""), 0), Move::Take);
        assert_eq!(decided(Some("me"), 0), Move::Take);
    }

    #[test]
    fn anothers_lease_is_taken_only_after_it_was_watched_unchanged_for_its_duration() {
        assert_eq!(decided(Some("other"), 0), Move::Wait);
        assert_eq!(decided(Some("other"), 15), Move::Wait);
        assert_eq!(decided(Some("other"), 16), Move::Take);
    }

    #[test]
    fn a_lease_whose_time_is_hours_off_is_judged_like_any_other() {
        let config = LeaseConfig::new("system", "lease", "me");
        let start = Clock::system().now();
        for hours in [-48, -3, 0, 3, 48] {
            let lease = |version: &str| {
                let time = Clock::system().wall() + k8s_openapi::jiff::SignedDuration::from_hours(hours);
                Lease {
                    metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
                    spec: Some(LeaseSpec {
                        holder_identity: Some("other".to_owned()),
                        renew_time: Some(MicroTime(time)),
                        ..LeaseSpec::default()
                    }),
                }
            };
            let at = |seconds| start + Duration::from_secs(seconds);
            let (seen, first) = look(&lease("1"), &config, None, start);
            let (seen, renewed) = look(&lease("2"), &config, Some(seen), at(14));
            let (seen, unchanged) = look(&lease("2"), &config, Some(seen), at(29));
            let (_, run_out) = look(&lease("2"), &config, Some(seen), at(30));
            let moves = [first, renewed, unchanged, run_out];
            assert_eq!(moves, [Move::Wait, Move::Wait, Move::Wait, Move::Take], "{hours} h");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_turns_invalid_by_itself() {
        let token = LeaderToken::until(Some(Clock::system().now() + Duration::from_secs(10)), Clock::system());
        assert!(token.is_valid());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!token.is_valid());
        assert!(LeaderToken::until(None, Clock::system()).is_valid());
    }

    #[tokio::test(start_paused = true)]
    async fn leadership_without_an_election_is_never_lost() {
        let leadership = Leadership::unchallenged(Clock::system());
        assert!(leadership.token().is_valid());
        let lost = tokio::time::timeout(Duration::from_hours(1), leadership.lost()).await;
        assert!(lost.is_err());
    }
}
