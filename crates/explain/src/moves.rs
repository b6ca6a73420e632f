//! Messages about a move that is under way.

use std::fmt;

/// An endpoint and its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointAt<'a> {
    /// Name of the endpoint.
    pub endpoint: &'a str,
    /// Its target.
    pub target: &'a str,
}

impl fmt::Display for EndpointAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.endpoint, self.target)
    }
}

/// Message of a move: what its step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveMessage<'a> {
    /// The new endpoint starts.
    Surge(EndpointAt<'a>),
    /// A gateway asks the new endpoint.
    Verify(EndpointAt<'a>),
    /// Both endpoints take requests.
    Shift {
        /// The new endpoint.
        new: EndpointAt<'a>,
        /// The old endpoint.
        old: EndpointAt<'a>,
        /// Percentage of the requests for the new endpoint, in a step of a shift.
        percent: Option<u32>,
    },
    /// The old endpoint drains.
    Drain(EndpointAt<'a>),
    /// The old endpoint is being removed.
    Remove(EndpointAt<'a>),
}

impl fmt::Display for MoveMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surge(new) => write!(f, "waiting for {new} to become ready"),
            Self::Verify(new) => write!(f, "waiting for a gateway to verify {new}"),
            Self::Shift { new, old, percent: None } => write!(f, "{new} and {old} take requests"),
            Self::Shift { new, old, percent: Some(percent) } => {
                write!(f, "{new} takes {percent} % of the requests, {old} the rest")
            }
            Self::Drain(old) => write!(f, "waiting for the requests in flight at {old} to end"),
            Self::Remove(old) => write!(f, "waiting for the target to confirm the removal of {old}"),
        }
    }
}
