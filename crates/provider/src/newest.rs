//! The newest inventory of a place that is listed at intervals.

use std::sync::{Arc, PoisonError, RwLock};

use crate::site::Inventory;

/// Newest inventory, shared by a driver and its listing.
#[derive(Debug, Default)]
pub struct NewestInventory {
    newest: RwLock<Option<Arc<Inventory>>>,
    refusal: RwLock<Option<String>>,
}

impl NewestInventory {
    /// The inventory; `None` until everything was listed once.
    pub fn get(&self) -> Option<Arc<Inventory>> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Message of the newest refusal of a listing, or of terms; `None` once everything is allowed.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that a listing was refused with this message; true if it is news.
    pub fn refuse(&self, message: Option<String>) -> bool {
        let mut refusal = self.refusal.write().unwrap_or_else(PoisonError::into_inner);
        let news = *refusal != message;
        *refusal = message;
        news
    }

    /// Takes in a listing; true if it is news.
    pub fn take(&self, inventory: Inventory) -> bool {
        let is_other = self.refuse(inventory.refused.clone());
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        let news = newest.as_ref().is_none_or(|known| **known != inventory);
        *newest = Some(Arc::new(inventory));
        news || is_other
    }

    /// Records a removal: the name is no longer found, whatever the last listing showed.
    pub fn removed(&self, name: &str) {
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(inventory) = newest.as_mut() {
            Arc::make_mut(inventory).found.retain(|found| found.name != name);
        }
    }
}
