//! Reads our tags back from a member's Deployment: how a rebuilt hub finds its endpoints again.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use roadstead_model as model;
use roadstead_provider::record;

use super::nodes::devices_of;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{limits, names};

/// The endpoint that `deployment` serves; `None` where our tags are incomplete or do not give the name that it has.
///
/// A member's answers are untrusted: the name is computed from the tags again, and an object with a different name is
/// not adopted.
#[must_use]
pub fn found(deployment: &Deployment) -> Option<model::Found> {
    if deployment.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let labels = deployment.labels();
    let tags = deployment.annotations();
    let namespace = labels.get(names::LABEL_NAMESPACE)?;
    let name = labels.get(names::LABEL_DEPLOYMENT)?;
    let target = tags.get(names::ANNOTATION_TARGET)?;
    let shape = tags.get(names::ANNOTATION_SHAPE)?;
    let capacity_type = tags.get(names::ANNOTATION_CAPACITY_TYPE)?;
    let offer = tags.get(names::ANNOTATION_OFFER)?;
    let slot = tags.get(names::ANNOTATION_SLOT)?.parse().ok().filter(|slot| *slot <= limits::LAST_SLOT)?;
    if !names::are_tags(namespace, name, target, offer, shape) {
        return None;
    }
    let computed =
        names::endpoint_name(labels.get(names::LABEL_INSTALL_ID)?, namespace, name, target, shape, capacity_type, slot);
    if computed != deployment.name_any() {
        return None;
    }
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    Some(model::Found {
        name: computed,
        id: deployment.uid().filter(|uid| names::is_uid(uid))?,
        deployment: model::DeploymentId { namespace: namespace.clone(), name: name.clone() },
        target: target.clone(),
        offer: offer.clone(),
        shape: shape.clone(),
        capacity_type: planning::capacity_type(capacity_type)?,
        slot,
        accelerators: deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).map_or(0, devices_of),
        replicas: u32::try_from(replicas).unwrap_or(0),
        ready_replicas: u32::try_from(ready).unwrap_or(0),
        runs: tags.get(names::ANNOTATION_RECORD).and_then(|text| record::runs(text)),
        created_at: planning::timestamp(deployment.metadata.creation_timestamp.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An endpoint's Deployment on a member, with changes.
    fn deployment(change: &Value) -> Deployment {
        let name = names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 3);
        let mut object = json!({
            "metadata": {
                "name": name, "uid": "uid", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {
                    names::LABEL_INSTALL_ID: "prod", names::LABEL_NAMESPACE: "team", names::LABEL_DEPLOYMENT: "llama",
                },
                "annotations": {
                    names::ANNOTATION_TARGET: "east", names::ANNOTATION_OFFER: "a3", names::ANNOTATION_SHAPE: "one",
                    names::ANNOTATION_CAPACITY_TYPE: "OnDemand", names::ANNOTATION_SLOT: "3",
                },
            },
            "spec": {
                "replicas": 2, "selector": {},
                "template": {"spec": {"containers": [{
                    "name": "engine", "resources": {"limits": {"nvidia.com/gpu": "4", "memory": "1Gi"}},
                }]}},
            },
        });
        for (pointer, value) in change.as_object().unwrap() {
            let (parent, key) = pointer.rsplit_once('!').unwrap();
            object.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value.clone());
        }
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn an_endpoint_is_known_by_its_tags() {
        let found = found(&deployment(&json!({}))).unwrap();
        assert_eq!((found.id.as_str(), found.deployment.to_string().as_str()), ("uid", "team/llama"));
        assert_eq!((found.target.as_str(), found.offer.as_str(), found.slot), ("east", "a3", 3));
        assert_eq!((found.replicas, found.accelerators), (2, 4));
    }

    #[test]
    fn what_does_not_have_the_name_that_its_tags_give_is_not_ours() {
        for (pointer, value) in [
            ("/metadata!name", "llama-by-hand"),
            ("/metadata/annotations!roadstead.dev/target", "west"),
            ("/metadata/annotations!roadstead.dev/slot", "4"),
            ("/metadata/labels!roadstead.dev/install-id", "staging"),
            ("/metadata!deletionTimestamp", "2026-01-02T00:00:00Z"),
        ] {
            assert_eq!(found(&deployment(&json!({pointer: value}))), None, "{pointer}");
        }
    }

    #[test]
    fn tags_that_no_object_of_the_hub_can_have_are_not_believed() {
        let namespace = "../../api/v1/namespaces/team";
        let name = names::endpoint_name("prod", namespace, "llama", "east", "one", "OnDemand", 3);
        let forged = json!({"/metadata!name": name, "/metadata/labels!roadstead.dev/namespace": namespace});
        assert_eq!(found(&deployment(&forged)), None);
        assert_eq!(found(&deployment(&json!({"/metadata/annotations!roadstead.dev/offer": "a".repeat(64)}))), None);
        assert_eq!(found(&deployment(&json!({"/metadata!uid": "a\nb"}))), None);
        let name = names::endpoint_name("prod", "team", "llama", "east", "one", "OnDemand", 1001);
        let forged = json!({"/metadata!name": name, "/metadata/annotations!roadstead.dev/slot": "1001"});
        assert_eq!(found(&deployment(&forged)), None, "no record can have this slot");
    }
}
