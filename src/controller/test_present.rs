//! Report of a driver about an endpoint that serves, for the tests of the controllers.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::{Present, Progress};

/// Two replicas that serve; the record, the template and the workload agree.
#[must_use]
pub fn present() -> Present {
    Present {
        in_sync: true,
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id: ExternalId::new("c", [("namespace", "n"), ("uid", "d")]),
        template_hash: "h".to_owned(),
        template_digest: "g".to_owned(),
        replicas: 2,
        ready_replicas: 2,
        url: Some("http://198.18.0.2:30000".to_owned()),
        probe: None,
        progress: Progress::Serving,
        trouble: None,
    }
}
