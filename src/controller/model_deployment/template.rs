//! The pod fields of a deployment's endpoints. Pure.

use kube::ResourceExt;
use roadstead_api::v1alpha1::{InferenceEndpointSpec, ModelDeployment, ResolvedModel, Template, TemplateNodes};

/// The pod fields: the deployment's, with the shape's arguments before the user's own.
#[must_use]
pub fn template(deployment: &ModelDeployment, shape: &str, nodes: TemplateNodes) -> Template {
    let model = &deployment.spec.model;
    let serving = &deployment.spec.serving;
    let shape_args = serving.shapes.iter().find(|one| one.name == shape).map(|shape| shape.args.clone());
    Template {
        engine: serving.engine,
        image: serving.image.clone(),
        args: shape_args.into_iter().flatten().chain(serving.args.iter().cloned()).collect(),
        env: serving.env.clone(),
        port: serving.port,
        resources: serving.resources.clone(),
        model: ResolvedModel {
            source: model.source.clone(),
            revision: model.revision.clone(),
            name: model.name.clone().unwrap_or_else(|| deployment.name_any()),
            credentials_secret_ref: model.credentials_secret_ref.clone(),
        },
        custom: serving.custom.clone(),
        nodes,
        startup_timeout_seconds: serving.startup_timeout_seconds,
        drain_timeout_seconds: serving.drain_timeout_seconds,
    }
}

/// True if the deployment asks for other pod fields than an endpoint's record has, its nodes left out.
#[must_use]
pub fn is_outdated(deployment: &ModelDeployment, kept: &InferenceEndpointSpec) -> bool {
    template(deployment, &kept.shape, kept.template.nodes.clone()) != kept.template
}
