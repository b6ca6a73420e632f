//! Sentences about the nodes of an offer.

use roadstead_model::{Excess, Label, LeftOut, NoNodes, Offer};

use crate::words::{count, list};

/// Nodes that an offer leaves out: their number, the cause and the cure.
#[must_use]
pub fn left_out(cause: &LeftOut, nodes: u32, offer: &Offer) -> String {
    let (them, has, is) =
        if nodes == 1 { ("1 node".to_owned(), "has", "is") } else { (format!("{nodes} nodes"), "have", "are") };
    let select = "to use it all the same, put this label into nodes.selector";
    match cause {
        LeftOut::OtherAccelerator { label, kind } => {
            format!("{them} left out: label {label} names {kind}, not {}; {select}", offer.kind().unwrap_or_default())
        }
        LeftOut::Slice(label) => format!("{them} left out: by label {label} its devices are slices; {select}"),
        LeftOut::Shared(label) => format!("{them} left out: by label {label} its devices are shared; {select}"),
        LeftOut::OtherCapacityType(label) => {
            format!("{them} left out: label {label} is not {}; make an offer of its own for it", offer.capacity_type)
        }
        LeftOut::NoDevices => format!(
            "{them} {has} the labels and no {}: start its device plugin (devices offered by DRA alone cannot be used)",
            offer.resource_name
        ),
        LeftOut::Tainted { key, value, effect } => {
            let value = if value.is_empty() { String::new() } else { format!("={value}") };
            format!(
                "{them} {has} taint {key}{value}:{effect:?}: tolerate it in nodes.tolerations of offer {}",
                offer.name
            )
        }
        LeftOut::NotSchedulable => format!("{them} {is} cordoned or not ready"),
    }
}

/// Usable nodes with a label of a product that the catalogue does not know.
#[must_use]
pub fn unknown_product(label: &Label, nodes: u32, offer: &Offer) -> String {
    let nodes = if nodes == 1 { "1 node counts".to_owned() } else { format!("{nodes} nodes count") };
    let kind = offer.kind().unwrap_or_default();
    format!("{nodes} as {kind}, though label {label} is unknown: if that is another accelerator, set nodes.selector")
}

/// Nodes with more devices than an instance of the offer has, and the cure.
#[must_use]
pub fn excess(excess: &Excess, offer: &Offer) -> String {
    let (nodes, have) = if excess.nodes == 1 {
        ("1 node".to_owned(), format!("has {}", excess.devices))
    } else {
        (format!("{} nodes", excess.nodes), format!("have up to {}", excess.devices))
    };
    let (resource, count) = (&offer.resource_name, offer.accelerators());
    format!(
        "{nodes} {have} {resource}, an instance of offer {} has {count}: at most {count} of each node are used; if the \
         devices are shared, offer them as what they are, else give accelerator.count of a new offer the right number",
        offer.name
    )
}

/// An offer that has no nodes.
#[must_use]
pub fn no_nodes(why: NoNodes, offer: &Offer) -> String {
    let resource = &offer.resource_name;
    match why {
        NoNodes::NoDevices => {
            format!("no node has {resource}: start its device plugin (devices offered by DRA alone cannot be used)")
        }
        NoNodes::OtherLabels { having } => {
            let labels = offer.node_selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
            format!("none of {} with {resource} has the labels {}", count(having, "node"), list(labels))
        }
    }
}
