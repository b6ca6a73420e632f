//! Testimony about an endpoint: its answer to the operator's probe, and the word of the gateways. Pure.

use crate::controller::traffic::witness::GatewayWord;
use roadstead_api::v1alpha1::Witness;
use roadstead_provider::probe::ProbeAnswer;

/// Testimony about an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its answer to the operator, if that asked.
    pub probe: Option<ProbeAnswer>,
    /// The word of the gateways.
    pub gateways: GatewayWord,
}

impl From<Option<ProbeAnswer>> for Heard {
    fn from(probe: Option<ProbeAnswer>) -> Self {
        Self { probe, gateways: GatewayWord::Silent }
    }
}

impl Heard {
    /// True if the endpoint serves its callers, and the witness who says so; `None` if nobody can say.
    ///
    /// The operator's own probe speaks first: it knows the key and the model. Where it gets no answer at all, gateways that reach
    /// the endpoint show that only the hub does not. One without protection serves, however wrong that is: a replacement would not
    /// be protected either.
    pub const fn serves(&self) -> Option<(bool, Witness)> {
        match (&self.probe, self.gateways) {
            (Some(ProbeAnswer::Healthy | ProbeAnswer::NotProtected), _) => Some((true, Witness::Probe)),
            (Some(ProbeAnswer::ModelNotListed { .. } | ProbeAnswer::Unexpected { .. }), _) => {
                Some((false, Witness::Probe))
            }
            (_, GatewayWord::Reached) => Some((true, Witness::Gateways)),
            (Some(ProbeAnswer::Unreachable { .. }), _) => Some((false, Witness::Probe)),
            (Some(ProbeAnswer::NotPermitted { .. }) | None, GatewayWord::Unreached | GatewayWord::WithoutToken) => {
                Some((false, Witness::Gateways))
            }
            (Some(ProbeAnswer::NotPermitted { .. }) | None, GatewayWord::Silent) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_speaks_first_and_gateways_where_it_has_no_answer() {
        use GatewayWord::{Reached, Silent, Unreached, WithoutToken};
        let message = String::new;
        let unreachable = || Some(ProbeAnswer::Unreachable { message: message() });
        let wrong = || Some(ProbeAnswer::Unexpected { message: message() });
        let forbidden = || Some(ProbeAnswer::NotPermitted { message: message() });
        let (yes, no) = (|witness| Some((true, witness)), |witness| Some((false, witness)));
        for (probe, gateways, serves) in [
            (Some(ProbeAnswer::Healthy), Silent, yes(Witness::Probe)),
            (Some(ProbeAnswer::Healthy), Unreached, yes(Witness::Probe)),
            (Some(ProbeAnswer::Healthy), WithoutToken, yes(Witness::Probe)),
            (Some(ProbeAnswer::NotProtected), Unreached, yes(Witness::Probe)),
            (unreachable(), Silent, no(Witness::Probe)),
            (unreachable(), Unreached, no(Witness::Probe)),
            (unreachable(), WithoutToken, no(Witness::Probe)),
            (unreachable(), Reached, yes(Witness::Gateways)),
            (wrong(), Reached, no(Witness::Probe)),
            (forbidden(), Silent, None),
            (forbidden(), Reached, yes(Witness::Gateways)),
            (forbidden(), Unreached, no(Witness::Gateways)),
            (None, Silent, None),
            (None, Reached, yes(Witness::Gateways)),
            (None, Unreached, no(Witness::Gateways)),
            (None, WithoutToken, no(Witness::Gateways)),
        ] {
            let heard = Heard { probe, gateways };
            assert_eq!(heard.serves(), serves, "{heard:?}");
        }
    }
}
