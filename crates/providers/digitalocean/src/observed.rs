//! Report on an instance to the core. Pure.

use roadstead_api::v1alpha1::{ExternalId, reasons};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{ErrorClass, Present, Progress, Trouble, TroubleKind, Wanted};

use crate::form::{self, DedicatedForm};
use crate::place::{DedicatedAddresses, probe};
use crate::wire::{DedicatedState, DedicatedView};

/// The instance as the core sees it.
#[must_use]
pub fn present(
    view: &DedicatedView,
    form: &DedicatedForm,
    wanted: &Wanted,
    external_id: ExternalId,
    addresses: &DedicatedAddresses,
) -> Present {
    let state = view.state();
    let replicas = view.spec.replicas();
    let ready = match state {
        // While it is updated, the former spec serves.
        DedicatedState::Active | DedicatedState::Updating => replicas,
        // What has served may serve in a state that this version does not know: probes decide.
        DedicatedState::Unknown if wanted.has_served() => replicas,
        _ => 0,
    };
    let hash = form::hash(&view.spec);
    let shown = view.endpoints.as_ref().and_then(|hosts| hosts.public_endpoint_fqdn.as_deref());
    let url = shown.and_then(|shown| addresses.url(shown));
    // A name of a former hub is to be changed, but the instance serves as it should.
    let serves = state == DedicatedState::Active && form.is_of(view.newest());
    Present {
        in_sync: form.is_done(view),
        interrupts: state == DedicatedState::Active && !form.serves_as(&view.spec),
        changed_by_admission: Vec::new(),
        external_id,
        template_digest: digest(&hash),
        template_hash: hash,
        replicas: count(replicas),
        ready_replicas: count(ready),
        probe: url.as_ref().map(|url| probe(&form.slug, url, wanted.api_key.clone())),
        url,
        progress: if serves { Progress::Serving } else { Progress::Starting { message: told(view) } },
        trouble: (state == DedicatedState::Failed).then(|| trouble(view)),
    }
}

fn count(replicas: u32) -> i32 {
    i32::try_from(replicas).unwrap_or(i32::MAX)
}

/// The state in words.
fn told(view: &DedicatedView) -> String {
    format!("DigitalOcean: {}", view.status)
}

/// The trouble of an instance that has failed. The service says no reason: a place that cannot start it is left, as one without GPUs.
fn trouble(view: &DedicatedView) -> Trouble {
    let (class, reason) = (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED);
    let message = format!(
        "{}, for which DigitalOcean gives no reason; Roadstead takes it for a lack of GPUs. See instance {} there",
        told(view),
        view.id
    );
    Trouble { kind: TroubleKind::Plain, class, reason, message, since: None }
}

#[cfg(test)]
mod tests {
    use roadstead_conformance::request::{record, request};
    use serde_json::{Value, json};

    use super::*;
    use crate::place::DedicatedPlace;

    fn spec(scale: u32, slug: &str) -> Value {
        let gpus = json!([{"accelerator_slug": "gpu-h100x1-80gb", "scale": scale, "type": "prefill_decode"}]);
        json!({"name": "e__x", "model_deployments": [{"model_id": "m", "model_slug": slug, "accelerators": gpus}]})
    }

    /// The report on an instance in this state for a wish of one replica.
    fn seen(status: &str, spec: &Value, pending: Option<&Value>) -> Present {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {"cloud": "digitalocean", "region": "atl1", "type": "Simulated",
                     "offers": [{"name": "a3", "instanceType": "gpu-h100x1-80gb",
                                 "accelerator": {"type": "H100", "count": 1}, "capacityType": "OnDemand"}]},
        }))
        .unwrap();
        let wanted = request(record("e"), &target);
        let settings = json!({"vpcUUID": "v", "tokenSecretRef": {"name": "a", "key": "b"}});
        let place = DedicatedPlace { region: "atl1".to_owned(), settings: serde_json::from_value(settings).unwrap() };
        let form = DedicatedForm::of(&wanted, "prod", "hub", &place).unwrap();
        let view = json!({"id": "i", "status": status, "spec": spec, "pending_deployment_spec": pending,
                          "created_at": "2026-12-01T00:00:00Z",
                          "endpoints": {"public_endpoint_fqdn": "https://a.do-infra.ai"}});
        let id = ExternalId::new("site", [("uid", "i")]);
        let addresses = DedicatedAddresses::of(None).unwrap();
        present(&serde_json::from_value(view).unwrap(), &form, &wanted, id, &addresses)
    }

    #[test]
    fn states_are_told_apart_and_unknown_ones_are_not_guessed() {
        let wanted = spec(1, "example/llama");
        for (status, ready, serves, fails) in [
            ("new", 0, false, false),
            ("provisioning", 0, false, false),
            ("active", 1, true, false),
            ("updating", 1, false, false),
            ("error", 0, false, true),
            ("deleting", 0, false, false),
            ("hibernating", 0, false, false),
        ] {
            let present = seen(status, &wanted, None);
            let found = (present.ready_replicas, present.progress == Progress::Serving, present.trouble.is_some());
            assert_eq!(found, (ready, serves, fails), "{status}");
        }
    }

    #[test]
    fn an_update_in_progress_counts_as_asked_for_and_the_former_replicas_as_ready() {
        let present = seen("updating", &spec(3, "example/llama"), Some(&spec(1, "example/llama")));
        assert!(present.in_sync && present.progress != Progress::Serving, "{present:?}");
        assert_eq!((present.replicas, present.ready_replicas), (3, 3));
    }

    #[test]
    fn another_model_interrupts_and_another_number_of_replicas_does_not() {
        let of = |scale, slug| {
            let present = seen("active", &spec(scale, slug), None);
            (present.in_sync, present.interrupts)
        };
        assert_eq!(of(1, "example/llama"), (true, false));
        assert_eq!(of(2, "example/llama"), (false, false));
        assert_eq!(of(1, "example/other"), (false, true));
    }
}
