//! Health check expressions of a Flux Kustomization, asked as Flux asks them.

use cel::{Context, Program, Value as Cel};
use serde_json::Value;

use crate::kstatus::Status;

/// The expressions of one kind, in the order in which Flux asks them.
pub struct Expressions([(&'static str, Status, Program); 3]);

impl Expressions {
    /// Those of a Kustomization for objects of this kind.
    pub fn of(kustomization: &str, kind: &str) -> Self {
        let object: Value = serde_saphyr::from_str(kustomization).unwrap();
        let checks = object["spec"]["healthCheckExprs"].as_array().unwrap();
        let check = checks.iter().find(|check| check["kind"] == kind).unwrap();
        assert_eq!(check["apiVersion"], "roadstead.dev/v1alpha1");
        Self([("inProgress", Status::InProgress), ("failed", Status::Failed), ("current", Status::Current)].map(
            |(field, status)| {
                let program = Program::compile(check[field].as_str().unwrap());
                (field, status, program.unwrap_or_else(|error| panic!("{field}: {error}")))
            },
        ))
    }

    /// Flux' result for `object`; if no expression is true, it waits.
    pub fn status(&self, object: &Value) -> Status {
        let mut context = Context::default();
        for field in ["metadata", "spec", "status"] {
            context.add_variable(field, &object[field]).unwrap();
        }
        let holds = |(field, _, program): &&(&str, Status, Program)| match program.execute(&context) {
            Ok(Cel::Bool(holds)) => holds,
            other => panic!("{field} is neither true nor false: {other:?}"),
        };
        self.0.iter().find(holds).map_or(Status::InProgress, |(_, status, _)| *status)
    }
}
