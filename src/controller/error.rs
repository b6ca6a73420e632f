//! Why a controller could not do what was decided. All of it is tried again; the class of the cause is in the text.

use roadstead_explain::OperatorMessage;
use roadstead_provider::ProviderError;
use roadstead_runtime::client::CallError;

/// A try that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The hub refused or did not answer.
    #[error("{}", OperatorMessage::ReadRefused(&.0.to_string()))]
    Hub(#[from] CallError),
    /// The hub did not take a write.
    #[error("{}", OperatorMessage::WriteRefused { verb, object, answer: &source.to_string() })]
    Write {
        /// The write.
        verb: &'static str,
        /// Kind and name of the object.
        object: String,
        /// The answer, or that there was none.
        source: CallError,
    },
    /// The provider refused or did not answer.
    #[error("provider: {0}")]
    Provider(#[from] ProviderError),
    /// The facts behind the decision have changed: it must be decided again.
    #[error("{}", OperatorMessage::Stale(object))]
    Stale {
        /// The changed object.
        object: String,
    },
    /// A plan breaks a hard rule: a defect of Roadstead, of which nothing is carried out.
    #[error("{}", OperatorMessage::Unsound(violations))]
    Unsound {
        /// Which rules, and where.
        violations: String,
    },
    /// The system gives no random bytes.
    #[error("{}", OperatorMessage::NoRandomBytes(.0))]
    Random(String),
    /// An object of ours could not be written as JSON: a defect of Roadstead.
    #[error("cannot serialize: {0}")]
    Serialize(#[from] serde_json::Error),
}

impl ActError {
    /// The hub's part in it.
    fn of_hub(&self) -> Option<&CallError> {
        match self {
            Self::Hub(error) | Self::Write { source: error, .. } => Some(error),
            Self::Provider(_) | Self::Stale { .. } | Self::Unsound { .. } | Self::Random(_) | Self::Serialize(_) => {
                None
            }
        }
    }

    /// True if the outcome of the request to the hub is unknown.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        self.of_hub().is_some_and(|error| error.code().is_none() && !error.is_not_leader())
    }

    /// True if the hub says that the object does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.of_hub().is_some_and(CallError::is_not_found)
    }

    /// True if the hub says that the object exists already, or that it changed.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.of_hub().is_some_and(CallError::is_conflict)
    }

    /// True if the hub refuses for a reason that somebody has to remove.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.of_hub().is_some_and(CallError::is_refusal)
    }

    /// True if something changed or vanished between a read and a write, or the lease went: the ordinary course of
    /// things, which the next try takes into account.
    #[must_use]
    pub fn is_ordinary(&self) -> bool {
        match self {
            Self::Stale { .. } => true,
            Self::Hub(error) | Self::Write { source: error, .. } => {
                error.is_conflict() || error.is_not_found() || error.is_not_leader()
            }
            Self::Provider(_) | Self::Unsound { .. } | Self::Random(_) | Self::Serialize(_) => false,
        }
    }
}
