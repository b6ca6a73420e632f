//! Which calls go wrong, and how: by the faults of a place's profile, counted, without chance.

use std::collections::HashMap;

use super::wire::CallRefusal;
use roadstead_api::v1alpha1::{SimulatedCall, SimulatedClass, SimulatedEffect, SimulatedFault};

/// Effect on a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hit {
    /// It is refused and has no effect.
    Refused(CallRefusal),
    /// It has its effect, and its answer is lost.
    Lost,
    /// It has its effect, and its answer comes after these seconds.
    Late(u32),
}

/// Numbers of matching and failing calls of each fault. An edited fault is a new one.
#[derive(Debug, Default)]
pub struct Faults {
    counts: HashMap<String, CallCount>,
}

#[derive(Debug, Default)]
struct CallCount {
    seen: u64,
    hits: u64,
}

impl Faults {
    /// Effect of `faults` on this `call`.
    pub fn hit(&mut self, faults: &[SimulatedFault], call: SimulatedCall) -> Option<Hit> {
        faults.iter().filter(|fault| fault.calls.contains(&call)).find_map(|fault| self.try_one(fault, call))
    }

    fn try_one(&mut self, fault: &SimulatedFault, call: SimulatedCall) -> Option<Hit> {
        let count = self.counts.entry(format!("{fault:?}")).or_default();
        let percent = fault.percent.map_or(100, unsigned);
        // Spread evenly: of every hundred calls exactly `percent` are hit.
        let due = (count.seen + 1) * percent / 100 > count.seen * percent / 100;
        count.seen += 1;
        if !due || fault.times.is_some_and(|times| count.hits >= unsigned(times)) {
            return None;
        }
        count.hits += 1;
        let seconds = fault.seconds.and_then(|seconds| u32::try_from(seconds).ok());
        Some(match fault.effect {
            SimulatedEffect::Lost => Hit::Lost,
            SimulatedEffect::Late => Hit::Late(seconds.unwrap_or(0)),
            SimulatedEffect::Refused => Hit::Refused(CallRefusal {
                class: fault.class.unwrap_or(SimulatedClass::Transient).as_str().to_owned(),
                message: format!("simulated: {call:?} is refused"),
                retry_after_seconds: seconds,
                missing: None,
            }),
        })
    }
}

fn unsigned(number: i32) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(percent: Option<i32>, times: Option<i32>) -> SimulatedFault {
        SimulatedFault {
            calls: vec![SimulatedCall::Create],
            effect: SimulatedEffect::Lost,
            class: None,
            seconds: None,
            percent,
            times,
        }
    }

    fn hits(fault: &SimulatedFault, calls: usize) -> usize {
        let mut faults = Faults::default();
        let all = std::slice::from_ref(fault);
        (0..calls).filter(|_| faults.hit(all, SimulatedCall::Create).is_some()).count()
    }

    #[test]
    fn a_share_of_the_calls_is_hit_and_only_so_many() {
        assert_eq!(hits(&fault(None, None), 10), 10);
        assert_eq!(hits(&fault(Some(30), None), 200), 60);
        assert_eq!(hits(&fault(None, Some(3)), 10), 3);
    }

    #[test]
    fn other_calls_pass_and_an_edited_fault_counts_anew() {
        let mut faults = Faults::default();
        assert_eq!(faults.hit(&[fault(None, Some(1))], SimulatedCall::Delete), None);
        assert_eq!(faults.hit(&[fault(None, Some(1))], SimulatedCall::Create), Some(Hit::Lost));
        assert_eq!(faults.hit(&[fault(None, Some(1))], SimulatedCall::Create), None);
        assert_eq!(faults.hit(&[fault(None, Some(2))], SimulatedCall::Create), Some(Hit::Lost));
    }

    #[test]
    fn a_refusal_has_its_class() {
        let refused = SimulatedFault {
            effect: SimulatedEffect::Refused,
            class: Some(SimulatedClass::Throttled),
            seconds: Some(7),
            ..fault(None, None)
        };
        let Some(Hit::Refused(refusal)) = Faults::default().hit(&[refused], SimulatedCall::Create) else {
            panic!("it is refused");
        };
        assert_eq!((refusal.class.as_str(), refusal.retry_after_seconds), ("Throttled", Some(7)));
    }
}
