//! The work queue: one entry a key, the most urgent first, never the same key twice at once, failures ever later.
//!
//! It behaves as client-go's work queue does, with two additions: entries have a rank (so that one queue can hold the
//! planning order), and each key keeps its own count of failures.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::clock::Clock;

/// The wait after a first failure; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait after failures.
const LAST_BACKOFF: Duration = Duration::from_mins(1);

/// So many keys, that wait or are worked on, are a crowd.
const CROWD: usize = 16;

/// Result of the work on a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing more to do until something changes.
    Done,
    /// Look again after this time.
    Again(Duration),
    /// It is of no use to look again before this time: what came in meanwhile, its own writes above all, waits too.
    Hold(Duration),
    /// It failed: look again, later with each failure in a row.
    Failed,
}

struct State<K, R> {
    ready: BTreeSet<(R, u64, K)>,
    /// Position of each ready key in `ready`.
    places: HashMap<K, (R, u64)>,
    delayed: BTreeMap<(Instant, u64), K>,
    due: HashMap<K, (Instant, u64, R)>,
    working: HashSet<K>,
    /// Keys that came in again while they were worked on.
    dirty: HashMap<K, R>,
    failures: HashMap<K, u32>,
    sequence: u64,
    counts: Counts,
    /// Time when a key was last taken while many others waited.
    crowded: Option<Instant>,
    closed: bool,
}

/// Counts since the last read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys that were put in.
    pub adds: u64,
    /// Keys that come again because they failed.
    pub retries: u64,
}

/// A work queue of keys `K`, popped by ascending rank `R`, then in order of arrival.
pub struct Queue<K, R> {
    state: Mutex<State<K, R>>,
    wake: Notify,
    backlog: watch::Sender<bool>,
    clock: Clock,
}

impl<K, R> Queue<K, R> {
    /// An empty queue that tells time by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::new(State {
                ready: BTreeSet::new(),
                places: HashMap::new(),
                delayed: BTreeMap::new(),
                due: HashMap::new(),
                working: HashSet::new(),
                dirty: HashMap::new(),
                failures: HashMap::new(),
                sequence: 0,
                counts: Counts::default(),
                crowded: None,
                closed: false,
            }),
            wake: Notify::new(),
            backlog: watch::Sender::new(false),
        }
    }
}

impl<K, R> Queue<K, R>
where
    K: Clone + Ord + Hash + Debug,
    R: Clone + Ord,
{
    fn lock(&self) -> MutexGuard<'_, State<K, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock of this queue.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// True if keys wait to be worked on now; for others who give way to them.
    pub fn backlog(&self) -> watch::Receiver<bool> {
        self.backlog.subscribe()
    }

    /// True if a key was taken out of a crowd within the last `time`.
    pub fn was_crowded(&self, time: Duration) -> bool {
        let now = self.clock.now();
        self.lock().crowded.is_some_and(|last| now.saturating_duration_since(last) < time)
    }

    /// Publishes the backlog before the lock is released.
    fn tell(&self, state: &State<K, R>) {
        let waiting = !state.closed && !state.ready.is_empty();
        self.backlog.send_if_modified(|told| std::mem::replace(told, waiting) != waiting);
    }

    /// Puts `key` in, now. A key that waits already takes the new rank; one that is worked on comes back afterwards.
    pub fn add(&self, key: K, rank: R) {
        self.add_all([(key, rank)]);
    }

    /// Puts several keys in at once: none of them is taken before all are in, so that rank alone decides.
    pub fn add_all(&self, keys: impl IntoIterator<Item = (K, R)>) {
        let mut state = self.lock();
        for (key, rank) in keys {
            state.add(key, rank);
        }
        self.tell(&state);
        drop(state);
        self.wake.notify_one();
    }

    /// Puts `key` in after `delay`, unless it is due earlier anyway.
    pub fn add_after(&self, key: K, rank: R, delay: Duration) {
        if delay.is_zero() {
            return self.add(key, rank);
        }
        let mut state = self.lock();
        if state.places.contains_key(&key) {
            return;
        }
        state.delay(key, rank, self.clock.now() + delay);
        drop(state);
        self.wake.notify_one();
    }

    /// Waits for the most urgent key and takes it out to be worked on; `None` once the queue is closed.
    pub async fn pop(&self) -> Option<K> {
        loop {
            let (found, next_due) = {
                let mut state = self.lock();
                if state.closed {
                    // One waiting worker was woken by `close`; it wakes the next.
                    self.wake.notify_one();
                    return None;
                }
                let now = self.clock.now();
                state.release_due(now);
                let first = state.take_first();
                if state.ready.len() + state.working.len() >= CROWD {
                    state.crowded = Some(now);
                }
                self.tell(&state);
                (first, state.delayed.keys().next().map(|(due, _)| *due))
            };
            if let Some((key, more)) = found {
                if more {
                    self.wake.notify_one();
                }
                return Some(key);
            }
            match next_due {
                Some(due) => tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => self.wake.notified().await,
            }
        }
    }

    /// Says that the work on `key` is over. `rank` is used where it is to come again.
    pub fn done(&self, key: &K, rank: R, outcome: Outcome) {
        let mut state = self.lock();
        state.working.remove(key);
        let delay = match outcome {
            Outcome::Failed => {
                state.counts.retries += 1;
                let failures = state.failures.entry(key.clone()).or_default();
                let delay = backoff(*failures);
                *failures = failures.saturating_add(1);
                Some(delay)
            }
            Outcome::Again(delay) | Outcome::Hold(delay) => {
                state.failures.remove(key);
                Some(delay)
            }
            Outcome::Done => {
                state.failures.remove(key);
                None
            }
        };
        // News is processed at once, except for a key that fails repeatedly, which would be a hot loop.
        let rests = matches!(outcome, Outcome::Failed | Outcome::Hold(_));
        if let Some(rank) = state.dirty.remove(key)
            && !rests
        {
            state.make_ready(key.clone(), rank);
        } else if let Some(delay) = delay {
            state.delay(key.clone(), rank, self.clock.now() + delay);
        }
        self.tell(&state);
        drop(state);
        self.wake.notify_one();
    }

    /// Returns and resets the counts.
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.lock().counts)
    }

    /// Number of keys that are ready and wait for a worker (without delayed ones).
    pub fn depth(&self) -> usize {
        self.lock().ready.len()
    }

    /// The ready keys in the order in which they will be taken.
    pub fn ready(&self) -> Vec<K> {
        self.lock().ready.iter().map(|(_, _, key)| key.clone()).collect()
    }

    /// Ends the queue: every [`pop`](Self::pop) returns `None` from now on.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.tell(&state);
        drop(state);
        self.wake.notify_one();
    }
}

impl<K, R> State<K, R>
where
    K: Clone + Ord + Hash,
    R: Clone + Ord,
{
    fn add(&mut self, key: K, rank: R) {
        self.counts.adds += 1;
        if self.working.contains(&key) {
            self.dirty.insert(key, rank);
        } else {
            self.cancel_delay(&key);
            self.make_ready(key, rank);
        }
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn make_ready(&mut self, key: K, rank: R) {
        let sequence = match self.places.remove(&key) {
            Some((old, sequence)) => {
                self.ready.remove(&(old, sequence, key.clone()));
                sequence
            }
            None => self.next_sequence(),
        };
        self.places.insert(key.clone(), (rank.clone(), sequence));
        self.ready.insert((rank, sequence, key));
    }

    fn delay(&mut self, key: K, rank: R, due: Instant) {
        if self.due.get(&key).is_some_and(|(earlier, _, _)| *earlier <= due) {
            return;
        }
        self.cancel_delay(&key);
        let sequence = self.next_sequence();
        self.delayed.insert((due, sequence), key.clone());
        self.due.insert(key, (due, sequence, rank));
    }

    fn cancel_delay(&mut self, key: &K) {
        if let Some((due, sequence, _)) = self.due.remove(key) {
            self.delayed.remove(&(due, sequence));
        }
    }

    fn release_due(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let key = entry.remove();
            let Some((_, _, rank)) = self.due.remove(&key) else { continue };
            if self.working.contains(&key) {
                self.dirty.insert(key, rank);
            } else {
                self.make_ready(key, rank);
            }
        }
    }

    /// The first key, and whether more are ready.
    fn take_first(&mut self) -> Option<(K, bool)> {
        let (_, _, key) = self.ready.pop_first()?;
        self.places.remove(&key);
        self.working.insert(key.clone());
        Some((key, !self.ready.is_empty()))
    }
}

/// The wait after `failures` earlier failures in a row.
fn backoff(failures: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(LAST_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Ranked = Queue<&'static str, i32>;

    async fn popped(queue: &Ranked) -> &'static str {
        queue.pop().await.unwrap_or("closed")
    }

    #[tokio::test(start_paused = true)]
    async fn the_lowest_rank_comes_first_then_the_earliest_arrival() {
        let queue = Ranked::new(Clock::system());
        queue.add("late", 5);
        queue.add("later", 5);
        queue.add("urgent", 1);
        assert_eq!(queue.ready(), ["urgent", "late", "later"]);
        assert_eq!(popped(&queue).await, "urgent");
        assert_eq!(popped(&queue).await, "late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_queued_once_and_takes_its_newest_rank() {
        let queue = Ranked::new(Clock::system());
        queue.add("a", 5);
        queue.add("b", 3);
        queue.add("a", 1);
        assert_eq!(queue.depth(), 2);
        assert_eq!(popped(&queue).await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_worked_on_comes_back_only_when_done() {
        let queue = Ranked::new(Clock::system());
        queue.add("a", 1);
        assert_eq!(popped(&queue).await, "a");
        queue.add("a", 1);
        assert_eq!(queue.depth(), 0);
        queue.done(&"a", 1, Outcome::Done);
        assert_eq!(popped(&queue).await, "a");
        queue.done(&"a", 1, Outcome::Done);
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_twice_as_long_each_time_and_success_forgets_them() {
        let queue = Ranked::new(Clock::system());
        let (clock, start) = (Clock::system(), Clock::system().now());
        queue.add("a", 1);
        for _ in 0..3 {
            popped(&queue).await;
            queue.done(&"a", 1, Outcome::Failed);
        }
        popped(&queue).await;
        assert_eq!(clock.now() - start, Duration::from_millis(500 + 1000 + 2000));
        assert_eq!(queue.take_counts(), Counts { adds: 1, retries: 3 });
        queue.done(&"a", 1, Outcome::Again(Duration::from_secs(3)));
        popped(&queue).await;
        queue.done(&"a", 1, Outcome::Failed);
        let failed = Clock::system().now();
        popped(&queue).await;
        assert_eq!(Clock::system().now() - failed, Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn news_does_not_turn_failures_into_a_hot_loop() {
        let queue = Ranked::new(Clock::system());
        queue.add("a", 1);
        popped(&queue).await;
        queue.add("a", 1);
        queue.done(&"a", 1, Outcome::Failed);
        assert_eq!(queue.depth(), 0);
        let failed = Clock::system().now();
        popped(&queue).await;
        assert_eq!(Clock::system().now() - failed, Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_waits_with_the_news_that_its_own_work_made() {
        let queue = Ranked::new(Clock::system());
        queue.add("a", 1);
        popped(&queue).await;
        queue.add("a", 1);
        queue.done(&"a", 1, Outcome::Hold(Duration::from_secs(5)));
        assert_eq!(queue.depth(), 0);
        let held = Clock::system().now();
        popped(&queue).await;
        assert_eq!(Clock::system().now() - held, Duration::from_secs(5));
        queue.done(&"a", 1, Outcome::Hold(Duration::from_secs(5)));
        queue.add("a", 1);
        assert_eq!(queue.depth(), 1, "news from elsewhere does not wait");
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_delay_wins_and_news_beats_a_delay() {
        let queue = Ranked::new(Clock::system());
        let (clock, start) = (Clock::system(), Clock::system().now());
        queue.add_after("a", 1, Duration::from_mins(1));
        queue.add_after("a", 1, Duration::from_secs(5));
        queue.add_after("a", 1, Duration::from_secs(30));
        popped(&queue).await;
        assert_eq!(clock.now() - start, Duration::from_secs(5));
        queue.done(&"a", 1, Outcome::Again(Duration::from_mins(1)));
        queue.add("a", 1);
        popped(&queue).await;
        assert_eq!(clock.now() - start, Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_remembered_for_a_while_and_a_few_are_none() {
        let queue: Queue<usize, u8> = Queue::new(Clock::system());
        let lull = Duration::from_millis(500);
        queue.add_all((1..CROWD).map(|key| (key, 0)));
        queue.pop().await;
        assert!(!queue.was_crowded(lull), "they are a few");
        queue.add(CROWD, 0);
        queue.pop().await;
        assert!(queue.was_crowded(lull));
        tokio::time::advance(lull).await;
        assert!(!queue.was_crowded(lull), "nothing was taken since");
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_is_told_until_the_last_key_is_taken_or_the_queue_is_closed() {
        let queue = Ranked::new(Clock::system());
        let backlog = queue.backlog();
        assert!(!*backlog.borrow());
        queue.add("a", 1);
        queue.add("b", 1);
        popped(&queue).await;
        assert!(*backlog.borrow());
        popped(&queue).await;
        assert!(!*backlog.borrow(), "what is worked on waits no more");
        queue.add("a", 1);
        queue.done(&"a", 1, Outcome::Done);
        assert!(*backlog.borrow(), "it came in again while it was worked on");
        queue.close();
        assert!(!*backlog.borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_sends_every_worker_home() {
        let queue = Ranked::new(Clock::system());
        let (first, second, ()) = tokio::join!(queue.pop(), queue.pop(), async { queue.close() });
        assert_eq!((first, second), (None, None));
    }
}
