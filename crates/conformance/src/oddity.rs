//! Oddities: ways in which services behave now and then, and not every service in all of them.

/// Something odd that a service does.
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
    /// Creations are refused at once: a quota is used up.
    QuotaNow,
    /// Creations are refused at once: there is no room.
    CapacityNow,
    /// Somebody else has the name of an endpoint.
    NameTaken,
    /// Calls are refused that belong to another region, or name one that is not there.
    WrongRegion,
    /// Endpoints go to zero, as if no request had come for long; without it, the next request comes.
    Cold,
    /// Endpoints that served do so with less than all of their replicas, or not at all.
    Degraded,
}

impl Oddity {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::CreationHangs,
        Self::CreationHides,
        Self::DeletionHangs,
        Self::DeletionFails,
        Self::DeletionLingers,
        Self::UnknownState,
        Self::UpdateRollsBack,
        Self::QuotaNow,
        Self::CapacityNow,
        Self::NameTaken,
        Self::WrongRegion,
        Self::Cold,
        Self::Degraded,
    ];
}

/// A state that no version of a service has.
pub const UNKNOWN_STATE: &str = "Hibernating";

/// Words of an update that failed and was undone.
pub const ROLLED_BACK: &str = "the new container did not pass its health check";
