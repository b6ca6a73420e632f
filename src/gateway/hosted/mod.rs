//! The stage between routes with their tokens and Envoy's files that keeps hosted models under their ceilings of cost.
//!
//! [`ledger`] counts what they cost and decides; it is pure. The log of Envoy's listener for hosted models says when a request
//! begins, and at its end how many tokens the answer states. Envoy itself keeps the ceiling of requests.

pub mod ledger;
pub mod metrics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use roadstead_gateway::HostedUses;
use roadstead_runtime::clock::Clock;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use self::ledger::{HostedAccount, HostedLedger, Usage};
use super::metrics::Metrics;
use super::{Routes, disk};

/// File with the cost of hosted models in the present hour, below the folder of the files. A restarted process reads it.
pub const SPENT: &str = "hosted-spent.json";
/// Lines that wait to be counted.
pub const MOST_LINES: usize = 4096;
/// Longest sleep: the time of day may jump.
const LONGEST: Duration = Duration::from_secs(30);
/// Lines that arrive within this time are counted together.
const GATHER: Duration = Duration::from_millis(100);

/// A line of the log of hosted models.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostedLine {
    /// `DownstreamStart` at the beginning of a request, `DownstreamEnd` at its end.
    #[serde(rename = "type")]
    pub kind: String,
    /// Cluster of the deployment and name of the way to the model, with a slash between them.
    pub hosted: String,
    /// Status of the answer; 0 where there was none.
    pub status: u16,
    /// Envoy's flags of the request; `RL` means that Envoy refused it for its ceiling.
    pub flags: String,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Tokens of the request, where the answer states them.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, where it states them.
    pub completion_tokens: Option<u64>,
}

impl HostedLine {
    /// The tokens that the answer states; of what it leaves out, such as the output of an embedding, there are none.
    fn tokens(&self) -> Option<(u64, u64)> {
        let is_stated = self.prompt_tokens.is_some() || self.completion_tokens.is_some();
        is_stated.then(|| (self.prompt_tokens.unwrap_or(0), self.completion_tokens.unwrap_or(0)))
    }

    fn is_refused(&self) -> bool {
        self.flags.split(',').any(|flag| flag == "RL")
    }
}

/// Everything that the stage is connected to.
pub struct HostedStage {
    /// Routes with their tokens.
    pub raw: watch::Receiver<Option<Routes>>,
    /// Lines of the log.
    pub lines: mpsc::Receiver<HostedLine>,
    /// Counts tokens and dollars.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// File of what was spent.
    pub spent: PathBuf,
    /// Time without a request after which a hosted model no longer serves.
    pub quiet: Duration,
    /// Routes without the hosted models that have reached their ceilings.
    pub open: watch::Sender<Option<Routes>>,
    /// Use of hosted models, for the report.
    pub uses: watch::Sender<HostedUses>,
}

impl HostedStage {
    /// Keeps hosted models under their ceilings for ever.
    pub async fn run(mut self) {
        let mut ledger = HostedLedger::new(self.read_back(), i64::try_from(self.quiet.as_secs()).unwrap_or(i64::MAX));
        loop {
            let now = self.clock.wall().as_second();
            let routes = self.raw.borrow_and_update().clone();
            if let Some(routes) = routes {
                ledger.take(&routes, now);
                self.publish(&ledger, &routes, now);
            }
            let sleep = Duration::from_secs(ledger.next(now).unsigned_abs()).min(LONGEST);
            tokio::select! {
                changed = self.raw.changed() => if changed.is_err() { return },
                line = self.lines.recv() => match line {
                    Some(line) => self.count(&mut ledger, line).await,
                    None => return,
                },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    fn publish(&self, ledger: &HostedLedger, routes: &Routes, now: i64) {
        let open = ledger.open(routes, now);
        self.open.send_if_modified(|sent| {
            let changed = sent.as_ref() != Some(&open);
            *sent = Some(open);
            changed
        });
        let uses = ledger.uses(routes, now);
        self.uses.send_if_modified(|sent| {
            let changed = *sent != uses;
            *sent = uses;
            changed
        });
    }

    /// Counts a line and those that arrive with it, and then notes what was spent.
    async fn count(&mut self, ledger: &mut HostedLedger, first: HostedLine) {
        tokio::time::sleep(GATHER).await;
        let now = self.clock.wall().as_second();
        let mut next = Some(first);
        while let Some(line) = next {
            self.count_one(ledger, &line, now);
            next = self.lines.try_recv().ok();
        }
        let text = serde_json::to_string(ledger.accounts()).unwrap_or_default();
        if let Err(error) = disk::write(&self.spent, &text) {
            tracing::warn!(%error, "the cost of hosted models cannot be noted; a restart would begin the hour anew");
        }
    }

    fn count_one(&self, ledger: &mut HostedLedger, line: &HostedLine, now: i64) {
        if line.hosted.is_empty() {
            // Envoy itself refused it: the vendor serves no such path.
            return;
        }
        if line.kind == "DownstreamStart" {
            ledger.began(&line.hosted, now);
            return;
        }
        if line.is_refused() {
            ledger.refused(&line.hosted);
            self.metrics.hosted.refused(&line.hosted);
            return;
        }
        let usage = Usage { status: line.status, tokens: line.tokens(), bytes: (line.bytes_in, line.bytes_out) };
        let charge = ledger.ended(&line.hosted, usage, now);
        self.metrics.hosted.answered(&line.hosted, usage, charge);
    }

    /// The notes of a former process in this pod.
    fn read_back(&self) -> BTreeMap<String, HostedAccount> {
        let text = std::fs::read_to_string(&self.spent).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}
