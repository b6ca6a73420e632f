//! The operator's writes, from the API server's own audit log.
//!
//! The server's metrics would cost nothing, but say neither who wrote nor about which object; a proxy in between would
//! take a good part of two cores. The audit log holds one line for each write of the operator and none for anything else.

use std::collections::BTreeMap;

use roadstead_ground::audit::Write;

/// The writes about one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number of writes until its status names its place: writes to the deployment, the record of the decision, and its
    /// event.
    pub to_placed: u32,
    /// All writes, those about its endpoint, its key and its events included.
    pub to_ready: u32,
}

/// Writes by deployment, of those named `names`; whatever is named after a deployment counts as about it.
pub fn tally<'a>(writes: &[Write], names: impl IntoIterator<Item = &'a String>) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, (Tally, bool, bool)> =
        names.into_iter().map(|name| (name.clone(), Default::default())).collect();
    for write in writes {
        let Some((tally, recorded, placed)) = tallies.get_mut(about(write)) else { continue };
        tally.to_ready += 1;
        let own = write.resource.starts_with("modeldeployments");
        let record = write.resource == "inferenceendpoints" && write.verb == "create";
        tally.to_placed += u32::from(record || (own && !*placed));
        *placed |= *recorded && write.resource == "modeldeployments/status";
        *recorded |= record;
    }
    // The event of the placement is sent beside the status: whichever comes first, it belongs to it.
    tallies.into_iter().map(|(name, (tally, ..))| (name, Tally { to_placed: tally.to_placed + 1, ..tally })).collect()
}

/// True if a write carries on what was decided: it is about an endpoint after its record was made.
pub fn carries_on(write: &Write) -> bool {
    ["secrets", "inferenceendpoints/status"].contains(&write.resource.as_str())
}

/// The deployment that a write is about.
pub fn about(write: &Write) -> &str {
    let name = write.object.rsplit('/').next().unwrap_or_default();
    name.split(['-', '.']).next().unwrap_or_default()
}

/// Number of writes of each kind.
pub fn by_kind(writes: &[Write]) -> BTreeMap<String, u32> {
    let mut kinds = BTreeMap::new();
    for write in writes {
        *kinds.entry(kind(write)).or_default() += 1;
    }
    kinds
}

/// The kind of a write, and its answer.
pub fn kind(write: &Write) -> String {
    format!("{} {} {}", write.verb, write.resource, write.code)
}
