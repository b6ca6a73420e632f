//! The stage between the routes of the hub and everything that uses routes: it fills in the tokens that endpoints want.
//!
//! [`renewal`] decides when a token is minted and how long it is used, [`fill`] puts tokens into routes; both are pure. [`mint`] makes
//! them with the identity of this pod. The hub is not needed for any of it, and tokens are nowhere but in memory and in Envoy's files.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "azure-openai")]
mod entra;
pub mod fill;
#[cfg(feature = "vertex-ai")]
mod google;
pub mod mint;
pub mod renewal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use roadstead_gateway::TokenSource;
use roadstead_runtime::clock::Clock;
use tokio::sync::{mpsc, watch};

use self::fill::EndpointName;
use self::mint::Mint;
use self::renewal::{MintCause, MintedToken, RenewalOffset, Renewals};
use super::Routes;
use super::metrics::Metrics;

/// Time for one attempt.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Time that routes wait for the first attempt of a new source: without its token an endpoint would be left out for a moment.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest sleep: the time of day may jump.
const LONGEST: Duration = Duration::from_secs(30);
/// Refusals that wait to be read; further ones say nothing more.
pub const MOST_REFUSALS: usize = 64;

/// Everything that the stage is connected to.
pub struct TokenStage {
    /// Routes of the hub.
    pub raw: watch::Receiver<Option<Routes>>,
    /// Endpoints that answered 401 or 403.
    pub refused: mpsc::Receiver<EndpointName>,
    /// Makes tokens.
    pub mint: Arc<dyn Mint>,
    /// Counts the attempts.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Position of this gateway among all.
    pub offset: RenewalOffset,
    /// Routes with their tokens.
    pub filled: watch::Sender<Option<Routes>>,
}

impl TokenStage {
    /// Fills in tokens for ever.
    pub async fn run(mut self) {
        let mut desk = TokenDesk::new(self.offset);
        let mut attempts = FuturesUnordered::new();
        loop {
            let now = self.clock.wall();
            if let Some(routes) = self.raw.borrow_and_update().clone() {
                desk.take(routes, now);
            }
            for (source, cause) in desk.renewals.begin(now) {
                attempts.push(attempt(Arc::clone(&self.mint), source, cause));
            }
            if let Some(routes) = desk.filled(now) {
                desk.tell(&routes);
                self.filled.send_if_modified(|filled| {
                    let changed = filled.as_ref() != Some(&routes);
                    *filled = Some(routes);
                    changed
                });
            }
            tokio::select! {
                changed = self.raw.changed() => if changed.is_err() { return },
                Some((source, result)) = attempts.next() => {
                    self.metrics.token_minted(source.kind(), result.is_ok());
                    desk.attempted(&source, result, self.clock.wall());
                }
                Some(name) = self.refused.recv() => desk.refused(&name, self.clock.wall()),
                () = tokio::time::sleep(desk.sleep(now)) => {}
            }
        }
    }
}

async fn attempt(
    mint: Arc<dyn Mint>,
    source: TokenSource,
    cause: MintCause,
) -> (TokenSource, Result<MintedToken, String>) {
    let result = tokio::time::timeout(ATTEMPT, mint.mint(&source, cause)).await;
    let result = result.unwrap_or_else(|_| Err(format!("no answer within {} s", ATTEMPT.as_secs())));
    (source, result)
}

/// The routes as they were last shown, and the tokens for them.
struct TokenDesk {
    raw: Option<Routes>,
    renewals: Renewals,
    /// Since when routes wait for the first attempt of a source.
    waiting: Option<Timestamp>,
    /// Endpoints that take no request for want of a token.
    lacking: BTreeMap<EndpointName, TokenSource>,
}

impl TokenDesk {
    const fn new(offset: RenewalOffset) -> Self {
        Self { raw: None, renewals: Renewals::new(offset), waiting: None, lacking: BTreeMap::new() }
    }

    fn take(&mut self, routes: Routes, now: Timestamp) {
        self.renewals.want(&fill::sources(&routes), now);
        self.raw = Some(routes);
    }

    /// The routes to use now; `None` while they wait for the first attempt of a source.
    fn filled(&mut self, now: Timestamp) -> Option<Routes> {
        if self.renewals.are_tried() {
            self.waiting = None;
        } else {
            let since = *self.waiting.get_or_insert(now);
            let waited = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            if waited < PATIENCE {
                return None;
            }
        }
        Some(fill::filled(self.raw.as_ref()?, |source| self.renewals.token(source, now)))
    }

    fn attempted(&mut self, source: &TokenSource, result: Result<MintedToken, String>, now: Timestamp) {
        match result {
            Ok(token) => {
                tracing::debug!(%source, until = %token.until, "minted a token");
                self.renewals.minted(source, token, now);
            }
            Err(trouble) => {
                tracing::warn!(%source, trouble, "cannot mint a token; retrying");
                self.renewals.failed(source, trouble, now);
            }
        }
    }

    fn refused(&mut self, name: &EndpointName, now: Timestamp) {
        if let Some(source) = self.raw.as_ref().and_then(|routes| fill::source_of(routes, name)) {
            self.renewals.refused(source, now);
        }
    }

    /// Logs the endpoints that are left out from now on, and those that are back.
    fn tell(&mut self, routes: &Routes) {
        let lacking = fill::lacking(routes);
        for ((deployment, endpoint), source) in &lacking {
            if !self.lacking.contains_key(&(deployment.clone(), endpoint.clone())) {
                let trouble = self.renewals.trouble(source).unwrap_or("it is not minted yet");
                tracing::error!(deployment, endpoint, %source, trouble, "the endpoint takes no request: it lacks its token");
            }
        }
        for (deployment, endpoint) in self.lacking.keys().filter(|name| !lacking.contains_key(*name)) {
            tracing::info!(deployment, endpoint, "the endpoint does not lack its token any more");
        }
        self.lacking = lacking;
    }

    /// Time until something is due.
    fn sleep(&self, now: Timestamp) -> Duration {
        let until = |next: Timestamp| Duration::try_from(next.duration_since(now)).unwrap_or_default();
        let wait = self.waiting.map_or(LONGEST, |_| PATIENCE);
        self.renewals.next(now).map_or(wait, until).min(wait)
    }
}
