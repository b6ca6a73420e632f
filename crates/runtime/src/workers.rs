//! Runs the work of a queue: decisions one after another in the queue's order, effects side by side within a bound;
//! a panic costs one try and nothing else; everything is counted.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument;

use super::aside::Slots;
use super::meter::Meter;
use super::panics::{self, Panic};
use super::queue::{Outcome, Queue};

/// Work of one controller on one key.
pub trait Reconcile<K>: Send + Sync + 'static {
    /// The controller's name, for logs and meter.
    const NAME: &'static str;
    /// Decision as plain data.
    type Decision: Send;
    /// The error that a try can end with.
    type Error: Display + Send;

    /// Decides about `key` from known facts. Called for one key at a time, in the order of the queue.
    fn decide(&self, key: &K) -> Self::Decision;

    /// Does what was decided. Runs beside the work on other keys.
    fn act(&self, key: &K, decision: Self::Decision) -> impl Future<Output = Result<Outcome, Self::Error>> + Send;

    /// Reports on the object that a try panicked. Its own panic is ignored.
    fn panicked(&self, _key: &K) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// True if `error` is the ordinary course of things, such as an object that changed meanwhile: it is no warning
    /// then.
    fn is_ordinary(_error: &Self::Error) -> bool {
        false
    }
}

/// Maximum number of concurrent reconciles.
#[derive(Clone)]
pub struct Concurrency {
    /// Maximum number.
    pub most: usize,
    /// A sixteenth of it while others have a backlog, because they share the API server and their writes come first.
    pub after: Option<watch::Receiver<bool>>,
}

impl Concurrency {
    /// A fixed maximum, whatever else waits.
    #[must_use]
    pub const fn of(most: usize) -> Self {
        Self { most, after: None }
    }

    /// Waits until the preferred queue has no backlog, or so few of `slots` are taken that one more may start. The caller has
    /// taken a slot.
    async fn give_way(&mut self, slots: &Slots) {
        let few = (self.most / 16).max(1);
        let Some(after) = &mut self.after else { return };
        tokio::select! {
            // An error means that the other queue is closed.
            _ = after.wait_for(|waiting| !waiting) => {}
            () = slots.wait_for_free(self.most - few) => {}
        }
    }
}

/// Processes `queue` with at most `concurrency` keys at once, until the queue is closed; then waits for running tasks. Those
/// that wait [`aside`](super::aside::aside) are not counted.
pub async fn work<K, R, C>(
    queue: Arc<Queue<K, R>>,
    controller: Arc<C>,
    mut concurrency: Concurrency,
    rank: impl Fn(&K) -> R + Send + Sync + 'static,
    meter: Arc<dyn Meter>,
) where
    K: Clone + Ord + Hash + Debug + Display + Send + Sync + 'static,
    R: Clone + Ord + Send + Sync + 'static,
    C: Reconcile<K>,
{
    meter.max_concurrent_reconciles(C::NAME, concurrency.most);
    let slots = Slots::new(concurrency.most, Arc::clone(&meter), C::NAME);
    let rank = Arc::new(rank);
    let mut tasks = JoinSet::new();
    loop {
        let Some(slot) = slots.take().await else { break };
        let Some(key) = queue.pop().await else { break };
        while tasks.try_join_next().is_some() {}
        concurrency.give_way(&slots).await;
        meter.queue(C::NAME, queue.depth(), queue.take_counts());
        let (queue, controller, rank, meter) =
            (Arc::clone(&queue), Arc::clone(&controller), Arc::clone(&rank), Arc::clone(&meter));
        let (slots, clock, start) = (slots.clone(), queue.clock(), queue.clock().now());
        let decision = std::panic::catch_unwind(AssertUnwindSafe(|| controller.decide(&key)));
        tasks.spawn(async move {
            let reconcile = async {
                let (result, outcome) = attempt(controller.as_ref(), &key, decision, meter.as_ref()).await;
                meter.reconciled(C::NAME, result, clock.now() - start);
                queue.done(&key, rank(&key), outcome);
            };
            slots.run(slot, reconcile).await;
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// The rest of one try: its result for the meter, and its outcome for the queue, whatever goes wrong.
async fn attempt<K, C>(
    controller: &C,
    key: &K,
    decision: Result<C::Decision, Panic>,
    meter: &dyn Meter,
) -> (&'static str, Outcome)
where
    K: Display + Sync,
    C: Reconcile<K>,
{
    let span = tracing::info_span!("reconcile", controller = C::NAME, object = %key);
    let result = match decision {
        Ok(decision) => AssertUnwindSafe(controller.act(key, decision)).catch_unwind().instrument(span.clone()).await,
        Err(panic) => Err(panic),
    };
    if let Err(panic) = &result {
        span.in_scope(|| tracing::error!(panic = panics::text(panic.as_ref()), "reconcile panicked; retrying"));
        meter.reconcile_panicked(C::NAME);
        let _ = AssertUnwindSafe(controller.panicked(key)).catch_unwind().instrument(span.clone()).await;
    }
    let _entered = span.enter();
    match result {
        Ok(Ok(outcome @ (Outcome::Again(_) | Outcome::Hold(_)))) => ("requeue_after", outcome),
        Ok(Ok(Outcome::Done)) => ("success", Outcome::Done),
        Ok(Err(error)) if C::is_ordinary(&error) => {
            tracing::debug!(%error, "object changed since it was read; retrying");
            ("error", Outcome::Failed)
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "reconcile failed; retrying");
            ("error", Outcome::Failed)
        }
        Ok(Ok(Outcome::Failed)) | Err(_) => ("error", Outcome::Failed),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    use super::*;
    use crate::aside::{MOST_ASIDE, aside};
    use crate::clock::Clock;
    use crate::queue::Counts;

    /// Counts panics and active workers.
    #[derive(Default)]
    struct Tally {
        panics: AtomicUsize,
        started: AtomicUsize,
        ended: AtomicUsize,
    }

    impl Meter for Tally {
        fn max_concurrent_reconciles(&self, _: &'static str, _: usize) {}
        fn queue(&self, _: &'static str, _: usize, _: Counts) {}
        fn worker_started(&self, _: &'static str) {
            self.started.fetch_add(1, Relaxed);
        }
        fn worker_ended(&self, _: &'static str) {
            self.ended.fetch_add(1, Relaxed);
        }
        fn reconcile_panicked(&self, _: &'static str) {
            self.panics.fetch_add(1, Relaxed);
        }
        fn reconciled(&self, _: &'static str, _: &'static str, _: Duration) {}
    }

    /// Fails, panics or succeeds as the key says, and writes down what was asked.
    #[derive(Default)]
    struct Actor {
        acted: Mutex<BTreeMap<&'static str, u32>>,
        reported: Mutex<BTreeMap<&'static str, u32>>,
    }

    impl Actor {
        fn times(&self, key: &str) -> u32 {
            self.acted.lock().unwrap().get(key).copied().unwrap_or(0)
        }
    }

    impl Reconcile<&'static str> for Actor {
        const NAME: &'static str = "test";
        type Decision = ();
        type Error = &'static str;

        fn decide(&self, key: &&'static str) {
            assert!(*key != "panics-deciding", "as it was told to");
        }

        async fn act(&self, key: &&'static str, (): ()) -> Result<Outcome, &'static str> {
            *self.acted.lock().unwrap().entry(key).or_default() += 1;
            match *key {
                "panics" => panic!("as it was told to"),
                "fails" => Err("as it was told to"),
                _ => Ok(Outcome::Done),
            }
        }

        async fn panicked(&self, key: &&'static str) {
            *self.reported.lock().unwrap().entry(key).or_default() += 1;
            assert!(*key != "panics-deciding", "as it was told to");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_or_a_failure_costs_one_try_and_nothing_else() {
        let queue: Arc<Queue<&'static str, i32>> = Arc::new(Queue::new(Clock::system()));
        let actor = Arc::new(Actor::default());
        let tally = Arc::new(Tally::default());
        let workers =
            tokio::spawn(work(Arc::clone(&queue), Arc::clone(&actor), Concurrency::of(4), |_| 0, tally.clone()));
        for key in ["panics", "panics-deciding", "fails", "works"] {
            queue.add(key, 0);
        }
        // Tries at 0 s, 0.5 s and 1.5 s.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!((actor.times("panics"), actor.times("fails"), actor.times("works")), (3, 3, 1));
        let counts = (tally.panics.load(Relaxed), tally.started.load(Relaxed), tally.ended.load(Relaxed));
        assert_eq!(counts, (6, 10, 10), "panics, workers that started, workers that ended");
        let reported: Vec<_> = actor.reported.lock().unwrap().clone().into_iter().collect();
        assert_eq!(reported, [("panics", 3), ("panics-deciding", 3)], "each is reported on its object");
        queue.close();
        tokio::time::timeout(Duration::from_secs(1), workers).await.expect("the workers go home").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_go_on_and_the_rest_waits_while_others_have_a_backlog() {
        let (others, after) = watch::channel(true);
        let mut concurrency = Concurrency { most: 32, after: Some(after) };
        let slots = Slots::new(32, Arc::new(Tally::default()), "test");
        let patience = Duration::from_mins(1);
        let mut taken = vec![slots.take().await.unwrap(), slots.take().await.unwrap()];
        let mut may_begin = async || tokio::time::timeout(patience, concurrency.give_way(&slots)).await.is_ok();
        assert!(may_begin().await, "a second one");
        taken.push(slots.take().await.unwrap());
        assert!(!may_begin().await, "a third one");
        taken.pop();
        assert!(may_begin().await, "one after the second");
        taken.push(slots.take().await.unwrap());
        others.send_replace(false);
        assert!(may_begin().await, "nobody waits any more");
    }

    /// Keys below [`SILENT`] ask somebody who answers after five seconds.
    #[derive(Default)]
    struct Asker {
        asking: AtomicUsize,
        most_asking: AtomicUsize,
        answered: AtomicUsize,
        others: AtomicUsize,
    }

    /// More than may wait aside at once.
    const SILENT: usize = MOST_ASIDE + 100;

    impl Reconcile<usize> for Asker {
        const NAME: &'static str = "test";
        type Decision = ();
        type Error = &'static str;

        fn decide(&self, _key: &usize) {}

        async fn act(&self, key: &usize, (): ()) -> Result<Outcome, &'static str> {
            if *key >= SILENT {
                self.others.fetch_add(1, Relaxed);
                return Ok(Outcome::Done);
            }
            aside(async {
                let asking = self.asking.fetch_add(1, Relaxed) + 1;
                self.most_asking.fetch_max(asking, Relaxed);
                tokio::time::sleep(Duration::from_secs(5)).await;
                self.asking.fetch_sub(1, Relaxed);
            })
            .await;
            self.answered.fetch_add(1, Relaxed);
            Ok(Outcome::Done)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_wait_aside_take_no_slot_from_others_within_their_own_bound() {
        let queue: Arc<Queue<usize, usize>> = Arc::new(Queue::new(Clock::system()));
        let (asker, tally) = (Arc::new(Asker::default()), Arc::new(Tally::default()));
        queue.add_all((0..MOST_ASIDE).map(|key| (key, key)));
        tokio::spawn(work(Arc::clone(&queue), Arc::clone(&asker), Concurrency::of(4), |key| *key, tally.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(asker.asking.load(Relaxed), MOST_ASIDE, "all are asked at once, by four workers");
        queue.add(SILENT, 0);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(asker.others.load(Relaxed), 1, "another key does not wait for them");
        let active = tally.started.load(Relaxed) - tally.ended.load(Relaxed);
        assert_eq!(active, 0, "no worker is active");

        queue.add_all((MOST_ASIDE..SILENT).map(|key| (key, key)));
        tokio::time::sleep(Duration::from_secs(13)).await;
        let counts = (asker.answered.load(Relaxed), asker.most_asking.load(Relaxed));
        assert_eq!(counts, (SILENT, MOST_ASIDE), "answers, and the most that were asked at once");
        assert_eq!(tally.started.load(Relaxed), tally.ended.load(Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_waits_aside_is_not_worked_on_twice_at_once() {
        let queue: Arc<Queue<usize, usize>> = Arc::new(Queue::new(Clock::system()));
        let (asker, tally) = (Arc::new(Asker::default()), Arc::new(Tally::default()));
        tokio::spawn(work(Arc::clone(&queue), Arc::clone(&asker), Concurrency::of(4), |key| *key, tally));
        for _ in 0..3 {
            queue.add(0, 0);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        tokio::time::sleep(Duration::from_secs(12)).await;
        let counts = (asker.answered.load(Relaxed), asker.most_asking.load(Relaxed));
        assert_eq!(counts, (2, 1), "once, and once more for the news meanwhile");
    }
}
