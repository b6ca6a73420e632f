//! Oddities: ways in which a service now and then goes on with a call that it has accepted.

/// Something odd that a service does with an accepted call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Creations never end.
    CreationHangs,
    /// A new endpoint is shown by no read and no list for half a minute.
    CreationHides,
    /// Deletions never end.
    DeletionHangs,
    /// Deletions fail a few seconds later, and leave the endpoint.
    DeletionFails,
    /// A deleted endpoint stays in lists for two minutes.
    DeletionLingers,
    /// Reads show the state [`UNKNOWN_STATE`].
    UnknownState,
    /// Updates fail some seconds later with the words [`ROLLED_BACK`], and the former form goes on serving.
    UpdateRollsBack,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CreationHangs,
        Self::CreationHides,
        Self::DeletionHangs,
        Self::DeletionFails,
        Self::DeletionLingers,
        Self::UnknownState,
        Self::UpdateRollsBack,
    ];
}

/// A state that no version of a service has.
pub const UNKNOWN_STATE: &str = "Hibernating";

/// Words of an update that failed and was undone.
pub const ROLLED_BACK: &str = "the new container did not pass its health check";
