//! The schemas as a whole: what every field must have.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

use super::{all_rules, definitions, items, root, values, yaml};

/// Calls `see` with every schema below a root, and its path.
fn walk(schema: &JSONSchemaProps, path: &str, see: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    see(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        walk(property, &format!("{path}.{name}"), see);
    }
    if let Some(items) = items(schema) {
        walk(items, &format!("{path}[]"), see);
    }
    if let Some(values) = values(schema) {
        walk(values, &format!("{path}{{}}"), see);
    }
}

/// Every schema of spec and status of every kind.
fn every_schema(see: &mut dyn FnMut(&str, &JSONSchemaProps)) {
    for definition in definitions() {
        let root = root(&definition).expect("one version with a schema");
        for part in ["spec", "status"] {
            let schema = &root.properties.as_ref().unwrap()[part];
            walk(schema, &format!("{}.{part}", definition.spec.names.kind), see);
        }
    }
}

fn complaints(of: impl Fn(&str, &JSONSchemaProps) -> Option<String>) -> Vec<String> {
    let mut found = Vec::new();
    every_schema(&mut |path, schema| found.extend(of(path, schema).map(|complaint| format!("{path}: {complaint}"))));
    found
}

#[test]
fn every_property_is_described_in_words() {
    let found = complaints(|path, schema| {
        let description = schema.description.as_deref().unwrap_or_default();
        let is_value = path.ends_with("{}") || path.ends_with("[]");
        let empty = description.is_empty() && !is_value;
        let endless = description.len() > 700;
        (empty || endless || description.starts_with("Auto-generated")).then(|| format!("{description:?}"))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn everything_has_a_bound() {
    let found = complaints(|_, schema| {
        let missing = match schema.type_.as_deref() {
            Some("string") => {
                schema.max_length.is_none() && schema.enum_.is_none() && schema.format.as_deref() != Some("date-time")
            }
            Some("array") => schema.max_items.is_none(),
            Some("object") => {
                schema.properties.is_none() && schema.max_properties.is_none() && !is_empty_struct(schema)
            }
            Some("integer" | "boolean") => false,
            None => schema.x_kubernetes_int_or_string != Some(true) || schema.max_length.is_none(),
            Some(other) => return Some(format!("type {other}")),
        };
        missing.then(|| "no bound".to_owned())
    });
    assert_eq!(found, Vec::<String>::new());
}

/// A struct without fields, such as `inCluster`.
fn is_empty_struct(schema: &JSONSchemaProps) -> bool {
    schema.additional_properties.is_none() && schema.x_kubernetes_preserve_unknown_fields.is_none()
}

#[test]
fn numbers_of_specs_have_both_bounds() {
    let found = complaints(|path, schema| {
        let open = schema.minimum.is_none() || schema.maximum.is_none();
        (path.contains(".spec") && schema.type_.as_deref() == Some("integer") && open).then(|| "open".to_owned())
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_list_has_its_type() {
    let found = complaints(|path, schema| {
        let list_type = schema.x_kubernetes_list_type.as_deref();
        let named = items(schema).and_then(|items| items.required.clone()).unwrap_or_default().contains(&"name".into());
        let expected = match (schema.type_.as_deref(), path) {
            (Some("array"), path) if path.ends_with(".status.conditions") => Some("map"),
            (Some("array"), path) if path.contains(".status.") => Some("atomic"),
            (Some("array"), path)
                if named
                    || [
                        ".taints",
                        ".failover.hosted",
                        ".overrides",
                        ".digitalOcean.models",
                        ".azureOpenAI.models",
                        ".bedrock.models",
                    ]
                    .iter()
                    .any(|end| path.ends_with(end)) =>
            {
                Some("map")
            }
            (Some("array"), _) if list_type == Some("set") => Some("set"),
            (Some("array"), _) => Some("atomic"),
            _ => None,
        };
        (list_type != expected).then(|| format!("{list_type:?}, expected {expected:?}"))
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_one_writer_owns_is_owned_whole() {
    let mut whole = Vec::new();
    every_schema(&mut |path, schema| {
        whole.extend(schema.x_kubernetes_map_type.as_ref().map(|map_type| format!("{path}: {map_type}")));
    });
    let expected = [
        "InferenceEndpoint.spec",
        "InferenceEndpoint.status.conditions[]",
        "InferenceEndpoint.status.createIntent",
        "InferenceEndpoint.status.externalID",
        "InferenceEndpoint.status.lastError",
        "ModelDeployment.spec.serving.env[]",
        "ModelDeployment.spec.serving.overrides[].env[]",
        "ModelDeployment.spec.serving.shapes[].accelerator",
        "ModelDeployment.status.conditions[]",
        "ServingTarget.status.conditions[]",
    ]
    .map(|path| format!("{path}: atomic"));
    whole.sort();
    assert_eq!(whole, expected);
}

#[test]
fn nothing_is_nullable_unsigned_or_open() {
    let found = complaints(|_, schema| {
        let unsigned = schema.format.as_deref().is_some_and(|format| format.starts_with("uint"));
        let open = schema.x_kubernetes_preserve_unknown_fields.is_some();
        (schema.nullable.is_some() || unsigned || open).then(|| "nullable, unsigned or open".to_owned())
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_rule_has_its_place_and_tells_what_to_do() {
    let placed: usize = {
        let mut count = 0;
        for definition in definitions() {
            walk(root(&definition).unwrap(), "", &mut |_, schema| {
                count += schema.x_kubernetes_validations.as_ref().map_or(0, Vec::len);
            });
        }
        count
    };
    assert_eq!(placed, all_rules().count(), "a rule's place does not exist");
    for (kind, rule) in all_rules() {
        assert!(rule.message.len() > 30 && rule.message.len() < 250, "{kind} {}: {}", rule.at, rule.message);
        assert!(!rule.message.contains('\n') && !rule.rule.contains('\n'), "{kind} {}: a line break", rule.at);
    }
    let distinct: BTreeSet<_> = all_rules().map(|(kind, rule)| (kind, rule.at, rule.rule)).collect();
    assert_eq!(distinct.len(), all_rules().count());
}

#[test]
fn a_definition_fits_into_the_annotation_of_kubectl_apply() {
    for definition in definitions() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < 262_144, "{}: {size} bytes", definition.spec.names.kind);
    }
}

#[test]
fn a_new_object_has_not_been_looked_at() {
    for definition in definitions() {
        let status = &root(&definition).unwrap().properties.as_ref().unwrap()["status"];
        assert_eq!(status.default.as_ref().unwrap().0, serde_json::json!({"observedGeneration": -1}));
    }
}

#[test]
fn people_can_find_the_kinds() {
    let names: Vec<_> = definitions()
        .iter()
        .map(|definition| {
            let names = &definition.spec.names;
            let version = &definition.spec.versions[0];
            let columns: Vec<_> =
                version.additional_printer_columns.iter().flatten().map(|column| column.name.clone()).collect();
            (
                names.short_names.clone().unwrap()[0].clone(),
                names.categories.clone().unwrap()[0].clone(),
                columns.join(" "),
            )
        })
        .collect();
    let expected = [
        ("mdep", "READY TARGET REGION REPLICAS COST/H REASON MOVE MODEL AGE"),
        ("stgt", "READY CLOUD REGION TYPE REASON AGE"),
        ("iep", "READY STATE TARGET REGION REPLICAS COST/H REASON MODEL URL AGE"),
    ]
    .map(|(short, columns)| (short.to_owned(), "inference".to_owned(), columns.to_owned()));
    assert_eq!(names, expected);
}

#[test]
fn a_definition_is_written_with_whole_numbers() {
    for definition in definitions() {
        let text = yaml(&definition).unwrap();
        assert!(!text.contains(".0\n"), "{}", definition.spec.names.kind);
    }
}

#[test]
fn no_reference_leads_to_another_namespace() {
    let namespaces = complaints(|path, _| {
        // The one namespace on a member is chosen by who may write targets.
        let known = path == "ServingTarget.spec.kubernetes.namespace";
        (path.contains(".spec.") && path.ends_with(".namespace") && !known).then(|| "leads elsewhere".to_owned())
    });
    assert_eq!(namespaces, Vec::<String>::new());
}
