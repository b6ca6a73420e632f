//! The fault script: what goes wrong with which call. Faults are counted, never random.

use serde::{Deserialize, Serialize};

use crate::cloud::ServiceName;

/// One line of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptedFault {
    /// The service whose calls are hit.
    pub service: ServiceName,
    /// The operation that is hit, such as `CreateEndpoint`; `*` is any.
    pub operation: String,
    /// Number of matching calls that pass before the first one is hit.
    #[serde(default)]
    pub skip: u32,
    /// Number of calls that are hit; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The effect on a call that is hit.
    pub effect: Effect,
}

/// Things that listings or all reads do not show yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hidden {
    /// Only listings lag.
    FromLists,
    /// Reads and other operations lag too.
    Everywhere,
}

/// State in which a late failure leaves an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AfterFailure {
    /// It has failed for good.
    #[default]
    Failed,
    /// An update is undone: the former configuration serves.
    RolledBack,
    /// Neither the update nor its undoing has worked.
    RollbackFailed,
}

/// Effect on a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Effect {
    /// It is refused with this status, code and message, and has no effect.
    Reject {
        /// HTTP status.
        status: u16,
        /// The service's code of the error.
        code: String,
        /// The service's text.
        message: String,
    },
    /// It is refused as too frequent.
    Throttle {
        /// Seconds in `Retry-After`; absent where the service names no time.
        #[serde(default)]
        after_seconds: Option<u32>,
    },
    /// The caller lacks the right for this operation.
    Deny,
    /// The connection is cut before the call has an effect.
    LoseRequest,
    /// The call has its effect, and the connection is cut before the answer.
    LoseAnswer,
    /// A page of HTML comes instead of an answer, and the call has no effect.
    Html {
        /// HTTP status.
        status: u16,
    },
    /// No answer comes, and the call has no effect.
    Hang,
    /// The call has its effect, and no answer comes.
    HangAnswer,
    /// The call is delivered twice; the caller gets the second answer.
    Twice,
    /// The call is accepted, and what it began fails later.
    FailLate {
        /// Seconds until the failure.
        after_seconds: u32,
        /// The service's text.
        reason: String,
        /// State afterwards.
        #[serde(default)]
        leaves: AfterFailure,
    },
    /// The call is accepted, and what it began never ends.
    Stuck,
    /// The new thing is not visible for a while.
    Hide {
        /// Seconds.
        seconds: u32,
        /// Extent.
        hidden: Hidden,
        /// True if the connection is cut before the answer, too.
        #[serde(default)]
        loses_answer: bool,
    },
    /// The removed thing is still listed for a while.
    Linger {
        /// Seconds.
        seconds: u32,
    },
    /// The answer shows this state, whatever the true one is.
    Status {
        /// The state.
        value: String,
    },
    /// The answer breaks off after so many bytes.
    Cut {
        /// Number of bytes that arrive.
        bytes: usize,
    },
}

/// The script, and how often each line was met.
#[derive(Debug, Default)]
pub struct Script {
    lines: Vec<(ScriptedFault, u32)>,
}

impl Script {
    /// Replaces the script.
    pub fn set(&mut self, faults: Vec<ScriptedFault>) {
        self.lines = faults.into_iter().map(|fault| (fault, 0)).collect();
    }

    /// Adds a line.
    pub fn add(&mut self, fault: ScriptedFault) {
        self.lines.push((fault, 0));
    }

    /// The effect on this call: that of the first line that hits it.
    pub fn hit(&mut self, service: ServiceName, operation: &str) -> Option<Effect> {
        let mut effect = None;
        for (fault, met) in &mut self.lines {
            if fault.service != service || (fault.operation != "*" && fault.operation != operation) {
                continue;
            }
            let due = *met >= fault.skip && fault.times.is_none_or(|times| *met - fault.skip < times);
            if effect.is_none() && due {
                effect = Some(fault.effect.clone());
            }
            *met += 1;
        }
        effect
    }
}

/// Future of what a call begins, as the script wants it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fate {
    /// It fails after these seconds with this text, and leaves this state.
    pub fails: Option<(u32, String, AfterFailure)>,
    /// It never ends.
    pub stuck: bool,
    /// Seconds for which a new thing stays invisible, and the extent.
    pub hidden: Option<(u32, Hidden)>,
    /// Seconds for which a removed thing stays listed.
    pub lingers: Option<u32>,
    /// State that the answer shows.
    pub status: Option<String>,
}

impl From<Option<&Effect>> for Fate {
    fn from(effect: Option<&Effect>) -> Self {
        let mut fate = Self::default();
        match effect {
            Some(Effect::FailLate { after_seconds, reason, leaves }) => {
                fate.fails = Some((*after_seconds, reason.clone(), *leaves));
            }
            Some(Effect::Stuck) => fate.stuck = true,
            Some(Effect::Hide { seconds, hidden, .. }) => fate.hidden = Some((*seconds, *hidden)),
            Some(Effect::Linger { seconds }) => fate.lingers = Some(*seconds),
            Some(Effect::Status { value }) => fate.status = Some(value.clone()),
            _ => {}
        }
        fate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(operation: &str, skip: u32, times: Option<u32>) -> ScriptedFault {
        ScriptedFault {
            service: ServiceName::SageMaker,
            operation: operation.to_owned(),
            skip,
            times,
            effect: Effect::LoseAnswer,
        }
    }

    #[test]
    fn a_line_hits_the_calls_that_it_counts() {
        let mut script = Script::default();
        script.set(vec![line("CreateEndpoint", 1, Some(2))]);
        let hits: Vec<bool> = (0..5).map(|_| script.hit(ServiceName::SageMaker, "CreateEndpoint").is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(script.hit(ServiceName::SageMaker, "DeleteEndpoint"), None);
    }

    #[test]
    fn a_star_hits_every_operation_of_its_service_alone() {
        let mut script = Script::default();
        script.add(line("*", 0, None));
        assert_eq!(script.hit(ServiceName::SageMaker, "ListTags"), Some(Effect::LoseAnswer));
        assert_eq!(script.hit(ServiceName::HuggingFace, "list"), None);
    }

    #[test]
    fn a_script_is_json() {
        let text = r#"[{"service": "sagemaker", "operation": "CreateEndpoint", "times": 1,
            "effect": {"kind": "failLate", "afterSeconds": 360, "reason": "no room", "leaves": "rolledBack"}}]"#;
        let faults: Vec<ScriptedFault> = serde_json::from_str(text).unwrap();
        let fate = Fate::from(Some(&faults[0].effect));
        assert_eq!(fate.fails, Some((360, "no room".to_owned(), AfterFailure::RolledBack)));
        let unknown =
            r#"{"service": "sagemaker", "operation": "*", "effect": {"kind": "linger", "seconds": 3, "for": 3}}"#;
        assert!(serde_json::from_str::<ScriptedFault>(unknown).is_err());
    }
}
