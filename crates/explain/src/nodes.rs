//! Sentences about the nodes of an offer.

use roadstead_model::{Excess, Label, LeftOut, NoNodes, Offer};

use crate::words::{count, list};

/// Nodes that an offer leaves out: their number, the cause and the cure.
#[must_use]
pub fn left_out(cause: &LeftOut, nodes: u32, offer: &Offer) -> String {
    let (them, has, is) =
        if nodes == 1 { ("1 node".to_owned(), "has", "is") } else { (format!("{nodes} nodes"), "have", "are") };
    let these = if nodes == 1 { "this node" } else { "these nodes" };
    let select = format!("to use {these} anyway, add this label to nodes.selector of offer {}", offer.name);
    match cause {
        LeftOut::OtherAccelerator { label, kind } => {
            format!("{them} excluded: label {label} names {kind}, not {}; {select}", offer.kind().unwrap_or_default())
        }
        LeftOut::Slice(label) => format!("{them} excluded: label {label} means slices of devices; {select}"),
        LeftOut::Shared(label) => format!("{them} excluded: label {label} means shared devices; {select}"),
        LeftOut::OtherCapacityType(label) => {
            format!("{them} excluded: label {label} contradicts {}; create a separate offer", offer.capacity_type)
        }
        LeftOut::NoDevices => format!(
            "{them} {has} the offer's labels but no {}: start its device plugin (DRA alone is not supported)",
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
    let kind = offer.kind().unwrap_or_default();
    let (nodes, are, them) = if nodes == 1 {
        ("1 node counts".to_owned(), "it is not", "it")
    } else {
        (format!("{nodes} nodes count"), "they are not", "them")
    };
    format!(
        "{nodes} as {kind}, but the product in label {label} is unknown; if {are}, set nodes.selector of offer {} to \
         exclude {them}",
        offer.name
    )
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
        "{nodes} {have} {resource}, but an instance of offer {} has {count}: Roadstead uses at most {count} per node; \
         if the devices are shared, create an offer for shared devices, otherwise one with the right accelerator.count",
        offer.name
    )
}

/// An offer that has no nodes.
#[must_use]
pub fn no_nodes(why: NoNodes, offer: &Offer) -> String {
    let resource = &offer.resource_name;
    match why {
        NoNodes::NoDevices => {
            format!("no node has {resource}: start its device plugin (DRA alone is not supported)")
        }
        NoNodes::OtherLabels { having } => {
            let labels = offer.node_selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
            format!("none of {} with {resource} has the labels {}", count(having, "node"), list(labels))
        }
    }
}
