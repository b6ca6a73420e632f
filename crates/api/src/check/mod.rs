//! Checks objects as the API server and the operator do, without either: structure and bounds, defaults, the rules in
//! CEL, and what only the operator can see.

mod defaults;
mod metadata;
mod nulls;
mod structure;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use kube::core::{CustomResourceExt, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema;
use super::v1alpha1::validate::{self, Problem};
use super::v1alpha1::{InferenceEndpoint, advice};

/// The API group of Roadstead's kinds.
const GROUP: &str = "roadstead.dev";

/// Result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckVerdict {
    /// Not an object of ours: another group, or no object at all.
    NotOurs,
    /// An object of ours with all its problems; none if it is valid.
    Checked {
        /// The kind.
        kind: String,
        /// The namespace, where one is given.
        namespace: Option<String>,
        /// The name, where one is given.
        name: String,
        /// Its problems.
        problems: Vec<Problem>,
        /// Legal values that are probably mistakes.
        warnings: Vec<Problem>,
    },
}

/// Checks objects of all kinds; making one compiles all rules.
pub struct Checker {
    kinds: Vec<Kind>,
    rules: Validator,
}

/// Schema and checks of one kind.
struct Kind {
    name: String,
    api_version: String,
    namespaced: bool,
    schema: JSONSchemaProps,
    compiled: CompiledSchema,
    semantics: fn(Value) -> Vec<Problem>,
    advice: fn(Value) -> Vec<Problem>,
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

impl Checker {
    /// Knows all kinds.
    #[must_use]
    pub fn new() -> Self {
        let semantics = |kind: &str| -> fn(Value) -> Vec<Problem> {
            match kind {
                "ModelDeployment" => |object| semantics(object, validate::model_deployment),
                "ServingTarget" => |object| semantics(object, validate::serving_target),
                _ => |object| semantics(object, |_: &InferenceEndpoint| Vec::new()),
            }
        };
        let advice = |kind: &str| -> fn(Value) -> Vec<Problem> {
            match kind {
                "ModelDeployment" => |object| advise(object, advice::model_deployment),
                "ServingTarget" => |object| advise(object, advice::serving_target),
                _ => |_| Vec::new(),
            }
        };
        let kinds = schema::definitions().into_iter().filter_map(|definition| {
            let schema = schema::root(&definition)?.clone();
            let name = definition.spec.names.kind;
            Some(Kind {
                api_version: format!("{GROUP}/{}", definition.spec.versions.first()?.name),
                namespaced: definition.spec.scope == "Namespaced",
                compiled: compile_schema(&serde_json::to_value(&schema).ok()?),
                schema,
                semantics: semantics(&name),
                advice: advice(&name),
                name,
            })
        });
        Self { kinds: kinds.collect(), rules: Validator::new() }
    }

    /// Checks one object as it is written.
    #[must_use]
    pub fn check(&self, object: &Value) -> CheckVerdict {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let api_version = text("/apiVersion").unwrap_or_default();
        if api_version != GROUP && !api_version.starts_with(&format!("{GROUP}/")) {
            return CheckVerdict::NotOurs;
        }
        let kind = text("/kind").unwrap_or_default();
        let (problems, warnings) = match self.kinds.iter().find(|known| known.name == kind) {
            None => (vec![self.unknown_kind(kind)], Vec::new()),
            Some(known) if known.api_version != api_version => {
                let field = "apiVersion".to_owned();
                let message = format!("{api_version:?} is not known; write {}", known.api_version);
                (vec![Problem { field, message }], Vec::new())
            }
            Some(known) => self.check_kind(known, object),
        };
        CheckVerdict::Checked {
            kind: kind.to_owned(),
            namespace: text("/metadata/namespace").map(ToOwned::to_owned),
            name: text("/metadata/name").or_else(|| text("/metadata/generateName")).unwrap_or_default().to_owned(),
            problems,
            warnings,
        }
    }

    fn unknown_kind(&self, kind: &str) -> Problem {
        let known: Vec<_> = self.kinds.iter().map(|kind| kind.name.as_str()).collect();
        Problem {
            field: "kind".to_owned(),
            message: format!("{kind:?} is not a kind of {GROUP}; the kinds are {}", known.join(", ")),
        }
    }

    fn check_kind(&self, kind: &Kind, object: &Value) -> (Vec<Problem>, Vec<Problem>) {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            // What is created has no status yet, whatever the file says: the server drops it.
            fields.remove("status");
        }
        let mut problems = metadata::check(&mut object, kind.namespaced);
        let nulls = nulls::find(&object, &kind.schema);
        defaults::apply(&mut object, &kind.schema);
        let found = structure::check(&object, &kind.schema);
        let blocked = found.iter().any(|fault| fault.blocks_rules);
        // What is said of a field without a value is said once.
        let told = |problem: &Problem| nulls.iter().any(|null| null.field == problem.field);
        problems.extend(found.into_iter().map(|fault| fault.problem).filter(|problem| !told(problem)));
        if !blocked {
            problems.extend(self.broken_rules(kind, &object));
        }
        problems.extend(nulls);
        let warnings = (kind.advice)(object.clone());
        // The operator sees only what the server has accepted.
        if problems.is_empty() {
            problems = (kind.semantics)(object);
        }
        (problems, warnings)
    }

    fn broken_rules(&self, kind: &Kind, object: &Value) -> Vec<Problem> {
        let Err(errors) = self.rules.validate_compiled(&kind.compiled, object, None) else { return Vec::new() };
        let problem = |error: kube::core::cel::ValidationError| Problem {
            field: error.field_path.trim_start_matches('.').to_owned(),
            message: error.message,
        };
        errors.into_iter().map(problem).collect()
    }
}

/// Probable mistakes, as far as the object is readable.
fn advise<K: DeserializeOwned>(object: Value, advice: fn(&K) -> Vec<Problem>) -> Vec<Problem> {
    serde_json::from_value::<K>(object).map(|object| advice(&object)).unwrap_or_default()
}

/// Problems that the operator would report for an object that the server accepts.
fn semantics<K>(object: Value, check: fn(&K) -> Vec<Problem>) -> Vec<Problem>
where
    K: DeserializeOwned + Resource<DynamicType = ()> + CustomResourceExt,
{
    match serde_json::from_value::<K>(object) {
        Ok(object) => check(&object),
        Err(error) => vec![Problem { field: String::new(), message: format!("cannot be read: {error}") }],
    }
}
