//! Contact of the hub with its targets: one that reaches none of them proves nothing about what runs there.

use roadstead_model::Contact;

use crate::fleet::Fleet;

/// Above this percentage of targets without contact, failovers slow down.
const MANY_PERCENT: usize = 55;

/// Contact of the hub with its targets; its own cluster does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HubContact {
    /// Most targets answer.
    Normal,
    /// More than [`MANY_PERCENT`] of the targets do not answer.
    Impaired,
    /// Of two targets or more, none has answered yet, and some have not been asked: nothing is known of the hub.
    Unclear,
    /// Of two targets or more, none answers: the hub is presumed to be cut off.
    Isolated,
}

impl HubContact {
    /// The contact as the targets show it. A target that has not been asked proves neither that the hub is connected nor that it
    /// is cut off: a new process asks its targets one after another.
    pub(crate) fn of(fleet: &Fleet) -> Self {
        let contacts = || fleet.targets().filter(|target| !target.in_cluster).map(|target| target.contact);
        let number = |of: Contact| contacts().filter(|contact| *contact == of).count();
        let (all, silent) = (contacts().count(), number(Contact::Silent));
        if all >= 2 && silent > 0 && number(Contact::Answers) == 0 {
            if number(Contact::Pending) > 0 { Self::Unclear } else { Self::Isolated }
        } else if silent * 100 > all * MANY_PERCENT && all >= 2 {
            Self::Impaired
        } else {
            Self::Normal
        }
    }
}

impl Fleet {
    /// True if the hub is presumed to be cut off from all targets.
    #[must_use]
    pub fn is_hub_isolated(&self) -> bool {
        HubContact::of(self) == HubContact::Isolated
    }
}
