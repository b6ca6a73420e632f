//! The connections to the targets, with the time and the reason of each failure.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use k8s_openapi::jiff::Timestamp;

use roadstead_api::v1alpha1::reasons;
use roadstead_model::Contact;
use roadstead_provider::{Inventory, Provider};

/// The connection to one target, as of its last check.
#[derive(Clone)]
pub struct TargetConnection {
    /// The driver; the last one that could be built, so that deletes work also when the Secret is gone.
    pub provider: Option<Arc<dyn Provider>>,
    /// The UID that the place showed when it was last asked; endpoints are judged only there.
    pub identity: Option<String>,
    /// Connection state of the place now.
    pub state: ConnectionState,
    /// Which credentials the driver was built from.
    pub fingerprint: String,
}

/// Connection state of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// It answers, it is the one it should be, and it is ours.
    Ready,
    /// It may not be used, for this reason.
    NotReady {
        /// A CamelCase reason for the condition.
        reason: &'static str,
        /// A sentence for people.
        message: String,
        /// Since when, in this unbroken run.
        since: Timestamp,
    },
}

impl ConnectionState {
    /// The contact with the place's API.
    #[must_use]
    pub fn contact(&self) -> Contact {
        match self {
            Self::Ready => Contact::Answers,
            Self::NotReady { reason, .. } => contact(reason),
        }
    }

    /// Since when the place may not be used, in this unbroken run.
    #[must_use]
    pub const fn not_ready_since(&self) -> Option<Timestamp> {
        match self {
            Self::Ready => None,
            Self::NotReady { since, .. } => Some(*since),
        }
    }
}

impl TargetConnection {
    /// Facts about the place, unless it has another identity or belongs to another hub.
    #[must_use]
    pub fn inventory(&self) -> Option<Arc<Inventory>> {
        let disowned = [reasons::INSTALLATION_CONFLICT, reasons::IDENTITY_CHANGED, reasons::DUPLICATE_TARGET];
        match &self.state {
            ConnectionState::NotReady { reason, .. } if disowned.contains(reason) => None,
            _ => self.provider.as_ref().and_then(|provider| provider.inventory()),
        }
    }

    /// The driver, if everything may be asked of the place.
    #[must_use]
    pub fn usable(&self) -> Option<&Arc<dyn Provider>> {
        match self.state {
            ConnectionState::Ready => self.provider.as_ref(),
            ConnectionState::NotReady { .. } => None,
        }
    }

    /// The driver, if what it says is about the place with this identity: enough for deletes.
    #[must_use]
    pub fn at(&self, identity: &str) -> Option<&Arc<dyn Provider>> {
        if self.identity.as_deref() == Some(identity) { self.provider.as_ref() } else { None }
    }
}

/// The contact with a place that may not be used for this reason. One that leads elsewhere does not answer, and of one that
/// belongs to another hub nothing is known.
#[must_use]
pub fn contact(reason: &str) -> Contact {
    match reason {
        reasons::LISTING => Contact::Answers,
        reasons::UNREACHABLE | reasons::NOT_PREPARED | reasons::IDENTITY_CHANGED => Contact::Silent,
        _ if refuses_credentials(reason) => Contact::Silent,
        _ => Contact::Unknown,
    }
}

/// True if the place is not asked, or does not answer, because of its credentials.
#[must_use]
pub fn refuses_credentials(reason: &str) -> bool {
    [reasons::UNAUTHORIZED, reasons::CREDENTIALS_MISSING, reasons::KUBECONFIG_INVALID, reasons::KUBECONFIG_REFUSED]
        .contains(&reason)
}

/// All connections, by the target's name.
#[derive(Default)]
pub struct Connections {
    all: RwLock<BTreeMap<String, Arc<TargetConnection>>>,
}

impl Connections {
    /// The connection to `target`, if it was ever tried.
    #[must_use]
    pub fn get(&self, target: &str) -> Option<Arc<TargetConnection>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    /// Replaces the connection to `target`.
    pub fn set(&self, target: &str, connection: TargetConnection) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(target.to_owned(), Arc::new(connection));
    }

    /// Forgets the connection to `target`.
    pub fn remove(&self, target: &str) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(target);
    }
}
