//! The rules for hosted vendors, on whose models deployments fall back.

use roadstead_model::{Deployment, Reason, Rejection, Timestamp, first_untolerated};

use crate::candidates::Question;
use crate::fleet::Fleet;
use crate::reasons::forbidden;
use crate::rules::target_rule;

impl Fleet {
    /// The reason why requests of `deployment` may not go to the vendor at a target, if there is one: the rules for endpoints hold
    /// for hosted models too, and each taint keeps them away. A target that is not known has none.
    #[must_use]
    pub fn rejection_of_vendor(&self, deployment: &Deployment, target: &str) -> Option<Rejection> {
        let entry = self.entry(target)?;
        let taint = || {
            let untolerated = first_untolerated(&entry.target.taints, &deployment.rules.target_tolerations);
            untolerated.map(|_| Reason::TaintNotTolerated)
        };
        let reason = target_rule(entry, deployment).or_else(taint)?;
        forbidden(&Question::new(self, deployment, Timestamp::default()), entry, reason)
    }
}
