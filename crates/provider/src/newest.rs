//! The newest inventory of a place that is listed at intervals.

use std::sync::{Arc, PoisonError, RwLock};

use crate::site::Inventory;

/// Newest inventory, shared by a driver and its listing.
#[derive(Debug, Default)]
pub struct NewestInventory {
    newest: RwLock<Option<Arc<Inventory>>>,
}

impl NewestInventory {
    /// The inventory; `None` until everything was listed once.
    pub fn get(&self) -> Option<Arc<Inventory>> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes in a listing; true if it is news.
    pub fn take(&self, inventory: Inventory) -> bool {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let news = newest.as_ref().is_none_or(|known| **known != inventory);
        *newest = Some(Arc::new(inventory));
        news
    }

    /// Records a removal: the name is no longer found, whatever the last listing showed.
    pub fn removed(&self, name: &str) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(inventory) = newest.as_mut() {
            Arc::make_mut(inventory).found.retain(|found| found.name != name);
        }
    }
}
