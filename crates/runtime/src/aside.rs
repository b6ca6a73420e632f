//! Work that only waits for others, beside the slots of workers.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::meter::Meter;

/// The most reconciles that wait aside at once, of each controller. A socket each.
pub const MOST_ASIDE: usize = 1024;

tokio::task_local! {
    static PLACE: Arc<Place>;
}

/// Slots of one controller's workers, and the places of those that wait aside.
#[derive(Clone)]
pub(crate) struct Slots {
    workers: Arc<Semaphore>,
    aside: Arc<Semaphore>,
    meter: Arc<dyn Meter>,
    controller: &'static str,
}

impl Slots {
    pub(crate) fn new(most: usize, meter: Arc<dyn Meter>, controller: &'static str) -> Self {
        let of = |most| Arc::new(Semaphore::new(most));
        Self { workers: of(most), aside: of(MOST_ASIDE), meter, controller }
    }

    /// Waits for a free slot. It is never `None`: nothing closes the semaphore.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.workers).acquire_owned().await.ok()
    }

    /// Waits until so many slots are free.
    pub(crate) async fn wait_for_free(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let _ = self.workers.acquire_many(count).await;
    }

    /// Runs a reconcile that has this slot, and can leave it by [`aside`].
    pub(crate) async fn run<F: Future>(&self, slot: OwnedSemaphorePermit, reconcile: F) -> F::Output {
        let place = Arc::new(Place { slots: self.clone(), held: Mutex::default() });
        place.enter(slot);
        PLACE.scope(place, reconcile).await
    }
}

/// The place of one reconcile: in a slot or aside.
struct Place {
    slots: Slots,
    held: Mutex<Option<Active>>,
}

/// A reconcile in a slot, which counts as active until this is dropped.
struct Active {
    _slot: OwnedSemaphorePermit,
    meter: Arc<dyn Meter>,
    controller: &'static str,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.meter.worker_ended(self.controller);
    }
}

impl Place {
    fn enter(&self, slot: OwnedSemaphorePermit) {
        let Slots { meter, controller, .. } = &self.slots;
        meter.worker_started(controller);
        let active = Active { _slot: slot, meter: Arc::clone(meter), controller };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(active);
    }

    fn leave(&self) {
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Waits for somebody who may not answer, without a worker's slot: other keys are worked on meanwhile. The key itself is not.
///
/// At most [`MOST_ASIDE`] reconciles of a controller wait like that; a further one keeps its slot until there is a place.
/// Outside workers it only waits.
pub async fn aside<F: Future>(wait: F) -> F::Output {
    let Ok(place) = PLACE.try_with(Arc::clone) else { return wait.await };
    let seat = place.slots.aside.acquire().await;
    place.leave();
    let output = wait.await;
    // Whoever holds a slot may wait for this seat.
    drop(seat);
    if let Some(slot) = place.slots.take().await {
        place.enter(slot);
    }
    output
}
