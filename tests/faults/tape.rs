//! Every write that the operator sends, in the order in which it was sent, and the one fault that was asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A write: a call that may change something on the hub or at the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path, for a creation with the name of what is created.
    pub path: String,
    /// The answer's status code; `None` if there was none.
    pub code: Option<u16>,
    /// Time of arrival.
    pub at: Instant,
}

/// In which way a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The operator is killed after the write was acknowledged, before the next one is sent.
    Acknowledged,
    /// The write has its effect; the operator is killed before the answer comes.
    AnswerLost,
    /// The write has its effect and is answered 504; the operator lives on.
    Ambiguous,
}

/// All ways.
pub const WAYS: [Way; 3] = [Way::Acknowledged, Way::AnswerLost, Way::Ambiguous];

/// Treatment of a write that has just arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It is forwarded, and its answer too.
    Forward,
    /// The operator is killed, and the write is not forwarded.
    Kill,
    /// It is forwarded, and the operator is killed instead of an answer.
    ForwardAndKill,
    /// It is forwarded, and answered 504.
    ForwardAndDeny,
}

#[derive(Default)]
struct Inner {
    writes: Vec<Write>,
    /// The write that goes wrong, counted from 1, and how.
    fault: Option<(usize, Way)>,
    hit: bool,
}

/// The tape.
#[derive(Default)]
pub struct Tape {
    inner: Mutex<Inner>,
    calls: AtomicUsize,
    /// Number of reads of each path.
    reads: Mutex<BTreeMap<String, usize>>,
}

impl Tape {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything, and lets the write `number` (from 1) go wrong.
    pub fn rewind(&self, fault: Option<(usize, Way)>) {
        *self.lock() = Inner { writes: Vec::new(), fault, hit: false };
    }

    /// A call has come, a read or a write.
    pub fn called(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of all calls.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// A read has come.
    pub fn read(&self, path: &str) {
        *self.reads.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default() += 1;
    }

    /// Number of reads of all paths with this prefix.
    pub fn reads(&self, begin: &str) -> usize {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.iter().filter(|(path, _)| path.starts_with(begin)).map(|(_, count)| count).sum()
    }

    /// A write has come; returns its number and what to do.
    pub fn begin(&self, method: &str, path: String) -> (usize, Step) {
        let mut inner = self.lock();
        inner.writes.push(Write { method: method.to_owned(), path, code: None, at: Instant::now() });
        let number = inner.writes.len();
        let step = match inner.fault {
            _ if inner.hit => Step::Forward,
            Some((at, Way::AnswerLost)) if at == number => Step::ForwardAndKill,
            Some((at, Way::Ambiguous)) if at == number => Step::ForwardAndDeny,
            Some((at, Way::Acknowledged)) if at < number => Step::Kill,
            _ => Step::Forward,
        };
        inner.hit = inner.hit || step != Step::Forward;
        (number, step)
    }

    /// A write was answered.
    pub fn end(&self, number: usize, code: u16) {
        if let Some(write) = self.lock().writes.get_mut(number - 1) {
            write.code = Some(code);
        }
    }

    /// All writes.
    pub fn writes(&self) -> Vec<Write> {
        self.lock().writes.clone()
    }

    /// Numbers of creations and deletions of each object, according to the servers' answers.
    pub fn births_and_deaths(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for write in self.writes() {
            let done = write.code.is_some_and(|code| (200..300).contains(&code));
            if done && (write.method == "POST" || write.method == "DELETE") {
                let path = write.path.split('?').next().unwrap_or_default();
                // What follows differs from run to run: it is a part of a UID.
                let path = path.split_once("-key-").map_or(path, |(endpoint, _)| endpoint);
                *counts.entry(format!("{} {path}", write.method)).or_default() += 1;
            }
        }
        counts
    }
}
