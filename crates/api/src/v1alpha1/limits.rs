//! Bounds of an object's fields. The schema refuses more, so writers of a status must respect them too.

/// Characters of a free text such as an argument or the value of a variable.
pub const TEXT: u32 = 4096;
/// Characters of a message in a status; conditions have their own, larger bound.
pub const MESSAGE: usize = 1024;
/// Characters of a URL.
pub const URL: u32 = 2048;
/// Characters of a quantity.
pub const QUANTITY: u32 = 32;
/// Characters of a label's key: a domain, a slash and a name.
pub const LABEL_KEY: u32 = 317;
/// Labels in one map.
pub const LABELS: u32 = 32;
/// Annotations in one map.
pub const ANNOTATIONS: u32 = 32;
/// Conditions of one label selector.
pub const SELECTOR_CONDITIONS: u32 = 16;
/// Tolerations in one list.
pub const TOLERATIONS: u32 = 16;
/// Types of targets with settings of the engine of their own.
pub const OVERRIDES: u32 = 8;
/// Arguments of one list; an endpoint holds those of a shape, of the deployment and of an override.
pub const ARGS: u32 = 64;
/// Variables of one list; an endpoint holds those of the deployment and of an override.
pub const ENV: u32 = 64;
/// Secrets for pulling an image.
pub const PULL_SECRETS: u32 = 8;
/// Replicas of a deployment or an endpoint.
pub const REPLICAS: u32 = 128;
/// The highest slot of an endpoint.
pub const LAST_SLOT: u32 = 1000;
/// Shapes of a deployment.
pub const SHAPES: u32 = 16;
/// Places in one rule of a placement.
pub const RULE_ENTRIES: u32 = 64;
/// Offers of a target.
pub const OFFERS: u32 = 64;
/// Models that a hosted vendor offers at a target.
pub const HOSTED_MODELS: u32 = 64;
/// Models of a catalog at a target.
pub const CATALOG_MODELS: u32 = 64;
/// Hosted models of a deployment.
pub const HOSTED_FALLBACKS: u32 = 4;
/// Taints of a target.
pub const TAINTS: u32 = 16;
/// Faults of a simulated target.
pub const SIMULATED_FAULTS: u32 = 32;
/// Characters of an ARN of AWS.
pub const ARN: u32 = 2048;
/// Image mirrors of a target.
pub const IMAGE_MIRRORS: u32 = 32;
/// Copies of weights of a target.
pub const MODEL_MIRRORS: u32 = 64;
/// Address ranges of a load balancer.
pub const SOURCE_RANGES: u32 = 64;
/// Conditions in a status.
pub const CONDITIONS: i64 = 16;

/// Placements in a deployment's status.
pub const PLACEMENTS: usize = 16;
/// Candidates in a deployment's status; how many more there are is counted beside them.
pub const CANDIDATES: usize = 64;
/// Steps of a shift.
pub const SHIFT_STEPS: u32 = 8;
/// Moves in a deployment's status.
pub const MOVES: usize = 16;
/// Endpoints in `status.releasing`.
pub const RELEASING: usize = 64;
/// Groups of nodes of one offer in a target's status: one for each number of free accelerators.
pub const NODE_GROUPS: usize = 128;
/// Remarks on the nodes of one offer in a target's status.
pub const REMARKS: usize = 8;
/// Refused sizes in a target's status.
pub const EXHAUSTED: usize = 128;
/// Orphans in a target's status; how many more there are is counted beside them.
pub const ORPHANS: usize = 64;

/// Characters of an annotation's value that a status repeats.
pub const ECHO: usize = 256;

/// Cuts a text to [`MESSAGE`] characters, so that no status is refused for its length.
#[must_use]
pub fn message(text: &str) -> String {
    match text.char_indices().nth(MESSAGE) {
        None => text.to_owned(),
        Some(_) => text.chars().take(MESSAGE - 3).chain("...".chars()).collect(),
    }
}

/// The beginning of an annotation's value, [`ECHO`] characters of it at most.
#[must_use]
pub fn echo(value: &str) -> String {
    value.chars().take(ECHO).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_by_characters() {
        assert_eq!(message("short"), "short");
        assert_eq!(message(&"é".repeat(MESSAGE)).chars().count(), MESSAGE);
        let cut = message(&"é".repeat(MESSAGE + 1));
        assert_eq!(cut.chars().count(), MESSAGE);
        assert!(cut.ends_with("..."));
    }
}
