//! The pod fields of a deployment's endpoints. Pure.

use kube::ResourceExt;
use roadstead_api::v1alpha1::{
    EngineOverride, EnvVar, InferenceEndpointSpec, ModelDeployment, OmittedSetting, ResolvedModel, Serving, TargetType,
    Template, TemplateNodes,
};

/// The pod fields at a target of this type: the deployment's, with the shape's arguments before the user's own.
#[must_use]
pub fn template(
    deployment: &ModelDeployment,
    type_: Option<TargetType>,
    shape: &str,
    nodes: TemplateNodes,
) -> Template {
    let model = &deployment.spec.model;
    let serving = &deployment.spec.serving;
    let own = override_of(serving, type_);
    let shape = serving.shapes.iter().find(|one| one.name == shape).filter(|_| !has_own_server(type_));
    let shape_args = shape.map_or(&[][..], |shape| &shape.args);
    let own_args = own.map_or(&[][..], |own| &own.args);
    let args = if omits(own, OmittedSetting::Args) { &[][..] } else { &serving.args };
    Template {
        engine: serving.engine,
        image: own.and_then(|own| own.image.as_ref()).unwrap_or(&serving.image).clone(),
        args: shape_args.iter().chain(args).chain(own_args).cloned().collect(),
        env: environment(serving, type_),
        port: serving.port,
        resources: serving.resources.clone(),
        model: ResolvedModel {
            source: model.source.clone(),
            revision: model.revision.clone().filter(|_| !omits(own, OmittedSetting::Revision)),
            name: model.name.clone().unwrap_or_else(|| deployment.name_any()),
            credentials_secret_ref: model.credentials_secret_ref.clone(),
        },
        custom: serving.custom.clone(),
        nodes,
        startup_timeout_seconds: serving.startup_timeout_seconds,
        drain_timeout_seconds: serving.drain_timeout_seconds,
    }
}

/// Environment variables of the engine at a target of this type: those of the override replace the deployment's of their name.
#[must_use]
pub fn environment(serving: &Serving, type_: Option<TargetType>) -> Vec<EnvVar> {
    let own = override_of(serving, type_);
    let all = if omits(own, OmittedSetting::Env) { &[][..] } else { &serving.env };
    let own = own.map_or(&[][..], |own| &own.env);
    let is_replaced = |variable: &&EnvVar| own.iter().any(|one| one.name == variable.name);
    all.iter().filter(|variable| !is_replaced(variable)).chain(own).cloned().collect()
}

fn omits(own: Option<&EngineOverride>, setting: OmittedSetting) -> bool {
    own.is_some_and(|own| own.omits(setting))
}

fn override_of(serving: &Serving, type_: Option<TargetType>) -> Option<&EngineOverride> {
    serving.overrides.iter().find(|one| Some(one.type_) == type_)
}

fn has_own_server(type_: Option<TargetType>) -> bool {
    type_.is_some_and(TargetType::has_own_server)
}

/// True if the deployment asks for other pod fields than an endpoint's record has, its nodes left out. What has no effect at a service with
/// a server of its own counts for nothing there: an edit of it must not buy another endpoint.
#[must_use]
pub fn is_outdated(deployment: &ModelDeployment, kept: &InferenceEndpointSpec) -> bool {
    let mut wanted = template(deployment, kept.target_type, &kept.shape, kept.template.nodes.clone());
    if has_own_server(kept.target_type) {
        let Template { image, port, resources, custom, .. } = kept.template.clone();
        wanted = Template { image, port, resources, custom, ..wanted };
    }
    wanted != kept.template
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "llama", "namespace": "team"},
            "spec": {"serving": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "args": ["--seed=1"],
                "env": [{"name": "A", "value": "all"}, {"name": "B", "value": "all"}],
                "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}, "args": ["--shape"]}],
                "overrides": [
                    {"type": "SageMaker", "image": "ecr/vllm:1", "args": ["--seed=2"],
                     "env": [{"name": "A", "value": "there"}, {"name": "C", "value": "there"}]},
                    {"type": "VertexAI", "args": ["--disable-log-requests"]},
                ],
            }},
        }))
        .unwrap()
    }

    fn at(type_: Option<TargetType>) -> Template {
        template(&deployment(), type_, "s", TemplateNodes::default())
    }

    #[test]
    fn an_override_holds_at_targets_of_its_type_alone() {
        let there = at(Some(TargetType::SageMaker));
        let variables: Vec<_> =
            there.env.iter().map(|one| (one.name.as_str(), one.value.as_deref().unwrap())).collect();
        assert_eq!(there.image, "ecr/vllm:1");
        assert_eq!(there.args, ["--shape", "--seed=1", "--seed=2"]);
        assert_eq!(variables, [("B", "all"), ("A", "there"), ("C", "there")]);
        let elsewhere = at(Some(TargetType::Kubernetes));
        assert_eq!((elsewhere.image.as_str(), elsewhere.args.len()), ("vllm/vllm-openai:v0.20.0", 2));
        assert_eq!((elsewhere.env, elsewhere.image), (at(None).env, at(None).image));
    }

    #[test]
    fn an_edit_without_effect_at_a_service_with_its_own_server_outdates_nothing_there() {
        let kept = |type_: TargetType| InferenceEndpointSpec {
            template: at(Some(type_)),
            target_type: Some(type_),
            shape: "s".to_owned(),
            ..roadstead_conformance::request::record("llama-a").spec
        };
        let (there, elsewhere) = (kept(TargetType::Bedrock), kept(TargetType::Kubernetes));
        let is_outdated = |change: &dyn Fn(&mut ModelDeployment)| {
            let mut edited = deployment();
            change(&mut edited);
            (super::is_outdated(&edited, &there), super::is_outdated(&edited, &elsewhere))
        };
        assert_eq!(is_outdated(&|_| {}), (false, false));
        assert_eq!(
            is_outdated(&|edited| edited.spec.serving.image = "vllm/vllm-openai:v0.21.0".to_owned()),
            (false, true)
        );
        assert_eq!(is_outdated(&|edited| edited.spec.serving.shapes[0].args.clear()), (false, true));
        assert_eq!(is_outdated(&|edited| edited.spec.serving.args.clear()), (true, true));
    }

    #[test]
    fn an_override_leaves_out_what_it_omits() {
        let mut deployment = deployment();
        deployment.spec.model.revision = Some("main".to_owned());
        deployment.spec.serving.overrides = serde_json::from_value(json!([
            {"type": "Bedrock", "omit": ["Args", "Env", "Revision"]},
            {"type": "SageMaker", "omit": ["Args", "Env"], "args": ["--seed=2"], "env": [{"name": "A", "value": "there"}]},
        ]))
        .unwrap();
        let at = |type_| template(&deployment, Some(type_), "s", TemplateNodes::default());
        let there = at(TargetType::Bedrock);
        assert_eq!((there.args, there.env, there.model.revision), (vec![], vec![], None));
        let there = at(TargetType::SageMaker);
        assert_eq!((there.args, there.env.len()), (vec!["--shape".to_owned(), "--seed=2".to_owned()], 1));
        assert_eq!(there.model.revision.as_deref(), Some("main"));
        let elsewhere = at(TargetType::Kubernetes);
        assert_eq!((elsewhere.args.len(), elsewhere.env.len(), elsewhere.model.revision.is_some()), (2, 2, true));
    }

    #[test]
    fn an_override_without_an_image_keeps_the_deployments() {
        let there = at(Some(TargetType::VertexAI));
        assert_eq!((there.image.as_str(), there.args.len(), there.env.len()), ("vllm/vllm-openai:v0.20.0", 3, 2));
    }
}
