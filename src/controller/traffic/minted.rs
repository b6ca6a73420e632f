//! Endpoints whose tokens the gateways mint. Pure.

use roadstead_gateway::{TokenRole, TokenSource, VerificationQuestion};

use roadstead_api::v1alpha1::{AssumeRole, ServingTarget};

/// Access to an endpoint by a token that gateways mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedAccess {
    /// Origin of the token.
    pub token: TokenSource,
    /// Question by which a gateway verifies the endpoint.
    pub question: VerificationQuestion,
}

/// Access to the endpoints of a target; `None` where they have keys of their own.
#[must_use]
pub fn access(target: &ServingTarget) -> Option<MintedAccess> {
    of_sagemaker(target).or_else(|| of_vertex(target))
}

fn of_sagemaker(target: &ServingTarget) -> Option<MintedAccess> {
    let settings = target.spec.sage_maker.as_ref()?;
    let role = settings.gateway_role.as_ref().map(|AssumeRole { role_arn, external_id }| TokenRole {
        arn: role_arn.clone(),
        external_id: external_id.clone(),
    });
    let token = TokenSource::SageMaker { region: target.spec.region.clone(), role };
    // Its route for chats lists no models.
    Some(MintedAccess { token, question: VerificationQuestion::Completion })
}

fn of_vertex(target: &ServingTarget) -> Option<MintedAccess> {
    let settings = target.spec.vertex_ai.as_ref()?;
    let token = TokenSource::Google { account: settings.gateway_service_account.clone() };
    // Every route of the engine is reached.
    Some(MintedAccess { token, question: VerificationQuestion::Models })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn endpoints_of_vertex_ai_have_tokens_of_the_gateways_own_account_and_list_their_models() {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "vertex"},
            "spec": {
                "cloud": "gcp", "region": "europe-west4", "type": "VertexAI", "offers": [],
                "vertexAI": {"project": "acme-models", "impersonateServiceAccount": "operator@acme.example",
                             "gatewayServiceAccount": "gateway@acme.example"},
            },
        }));
        let token = TokenSource::Google { account: Some("gateway@acme.example".to_owned()) };
        let expected = MintedAccess { token, question: VerificationQuestion::Models };
        assert_eq!(access(&target.unwrap()), Some(expected));
    }
}
