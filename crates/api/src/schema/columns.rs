//! Printer columns of the kinds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;

/// One column of `kubectl get`.
pub struct Column {
    name: &'static str,
    type_: &'static str,
    path: &'static str,
    /// Shown with `-o wide` alone.
    wide: bool,
}

impl Column {
    pub fn definition(&self) -> CustomResourceColumnDefinition {
        CustomResourceColumnDefinition {
            name: self.name.to_owned(),
            type_: self.type_.to_owned(),
            json_path: self.path.to_owned(),
            priority: self.wide.then_some(1),
            ..Default::default()
        }
    }
}

const fn text(name: &'static str, path: &'static str) -> Column {
    Column { name, type_: "string", path, wide: false }
}

const fn wide(name: &'static str, path: &'static str) -> Column {
    Column { name, type_: "string", path, wide: true }
}

const READY: Column = text("READY", ".status.conditions[?(@.type==\"Ready\")].status");
const REPLICAS: Column = Column { name: "REPLICAS", type_: "integer", path: ".spec.replicas", wide: false };
const REASON: Column = wide("REASON", ".status.conditions[?(@.type==\"Ready\")].reason");
const AGE: Column = Column { name: "AGE", type_: "date", path: ".metadata.creationTimestamp", wide: false };

/// The columns of a `ModelDeployment`.
pub const MODEL_DEPLOYMENT: &[Column] = &[
    READY,
    text("TARGET", ".status.placements[0].target"),
    text("REGION", ".status.placements[0].region"),
    REPLICAS,
    text("COST/H", ".status.hourlyCost"),
    REASON,
    wide("MOVE", ".status.moves[0].step"),
    wide("MODEL", ".spec.model.source"),
    AGE,
];

/// The columns of a `ServingTarget`.
pub const SERVING_TARGET: &[Column] =
    &[READY, text("CLOUD", ".spec.cloud"), text("REGION", ".spec.region"), text("TYPE", ".spec.type"), REASON, AGE];

/// The columns of an `InferenceEndpoint`.
pub const INFERENCE_ENDPOINT: &[Column] = &[
    READY,
    text("STATE", ".spec.state"),
    text("TARGET", ".spec.target"),
    text("REGION", ".spec.region"),
    REPLICAS,
    text("COST/H", ".spec.hourlyCost"),
    REASON,
    wide("MODEL", ".spec.template.model.name"),
    wide("URL", ".status.url"),
    AGE,
];
