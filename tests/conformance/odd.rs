//! Oddities that the fakes play by their fault script.

use anyhow::bail;
use roadstead_clouds::faults::{AfterFailure, Effect, Hidden, ScriptedFault};
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_conformance::Oddity;
use roadstead_conformance::oddity::{ROLLED_BACK, UNKNOWN_STATE};

use crate::refused::{refusal, use_up};

/// Operations of a service at which an oddity is scripted, or the reason why its fake does not play it. None are needed where the case
/// ends by a verdict.
pub type Played = Result<&'static [&'static str], &'static str>;

/// Nothing of a managed service plays here.
pub const NO_FAKE: &str = "no fake with a fault script";
/// The service has deleted by the time of its answer.
pub const DELETES_AT_ONCE: &str = "the service deletes at once";

/// Replaces the fault script by that of an oddity, or by none.
pub fn play(
    clouds: &Clouds,
    service: ServiceName,
    played: fn(Oddity) -> Played,
    oddity: Option<Oddity>,
) -> anyhow::Result<()> {
    use_up(clouds, service, oddity == Some(Oddity::QuotaNow));
    let Some(oddity) = oddity else {
        clouds.set_faults(Vec::new());
        return Ok(());
    };
    let operations = match played(oddity) {
        Ok(operations) => operations,
        Err(reason) => bail!("{oddity:?} is not played: {reason}"),
    };
    let fault = |operation: &&str| ScriptedFault {
        service,
        operation: (*operation).to_owned(),
        skip: 0,
        times: None,
        effect: effect(service, oddity),
    };
    clouds.set_faults(operations.iter().map(fault).collect());
    Ok(())
}

/// Nothing is played where there is no fake.
pub fn nothing(oddity: Option<Oddity>) -> anyhow::Result<()> {
    match oddity {
        None => Ok(()),
        Some(oddity) => bail!("{oddity:?} is not played: {NO_FAKE}"),
    }
}

fn effect(service: ServiceName, oddity: Oddity) -> Effect {
    let fails =
        |after_seconds, reason: &str, leaves| Effect::FailLate { after_seconds, reason: reason.to_owned(), leaves };
    match oddity {
        Oddity::CreationHangs | Oddity::DeletionHangs => Effect::Stuck,
        Oddity::CreationHides => Effect::Hide { seconds: 30, hidden: Hidden::Everywhere, loses_answer: false },
        Oddity::DeletionFails => fails(5, "the deletion failed", AfterFailure::Failed),
        Oddity::DeletionLingers => Effect::Linger { seconds: 120 },
        Oddity::UnknownState => Effect::Status { value: UNKNOWN_STATE.to_owned() },
        Oddity::UpdateRollsBack => fails(20, ROLLED_BACK, AfterFailure::RolledBack),
        Oddity::Degraded => Effect::Status { value: degraded(service).to_owned() },
        // No call is hit where another hand, or the time, does it.
        Oddity::QuotaNow | Oddity::CapacityNow | Oddity::WrongRegion | Oddity::NameTaken | Oddity::Cold => {
            refusal(service, oddity)
        }
    }
}

/// The state of what is there and does not serve as it should.
const fn degraded(service: ServiceName) -> &'static str {
    match service {
        ServiceName::SageMaker => "OutOfService",
        ServiceName::Baseten => "UNHEALTHY",
        ServiceName::DigitalOcean => "error",
        ServiceName::HuggingFace => "failed",
        ServiceName::AzureOpenAi => "Disabled",
        _ => "Failed",
    }
}
