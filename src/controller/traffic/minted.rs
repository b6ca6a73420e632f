//! Endpoints whose tokens the gateways mint. Pure.

use roadstead_gateway::{RefusalMeaning, ServiceRefusal, TokenRole, TokenSource, VerificationQuestion};

use roadstead_api::v1alpha1::{AssumeRole, ServingTarget};

/// Access to an endpoint by a token that gateways mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedAccess {
    /// Origin of the token.
    pub token: TokenSource,
    /// Question by which a gateway verifies the endpoint.
    pub question: VerificationQuestion,
    /// Refusals of the service in front of the engine.
    pub refusals: Vec<ServiceRefusal>,
}

/// Access to the endpoint of this name on a target; `None` where it has a key of its own.
#[must_use]
pub fn access(target: &ServingTarget, endpoint: &str) -> Option<MintedAccess> {
    of_sagemaker(target, endpoint).or_else(|| of_vertex(target))
}

fn of_sagemaker(target: &ServingTarget, endpoint: &str) -> Option<MintedAccess> {
    let settings = target.spec.sage_maker.as_ref()?;
    let role = settings.gateway_role.as_ref().map(|AssumeRole { role_arn, external_id }| TokenRole {
        arn: role_arn.clone(),
        external_id: external_id.clone(),
    });
    let token = TokenSource::SageMaker { region: target.spec.region.clone(), role };
    // Its route for chats lists no models.
    Some(MintedAccess { token, question: VerificationQuestion::Completion, refusals: refusals_of_sagemaker(endpoint) })
}

/// SageMaker's own refusals have the status of a bad request. Sources: aws/amazon-sagemaker-examples#293 (no endpoint in service),
/// stdapi-ai/stdapi.ai (no instance yet).
fn refusals_of_sagemaker(endpoint: &str) -> Vec<ServiceRefusal> {
    let said = |words: String, meaning| ServiceRefusal { status: 400, words, meaning };
    vec![
        said(format!("Endpoint {endpoint} of account"), RefusalMeaning::Absent),
        said("has no capacity".to_owned(), RefusalMeaning::Cold),
    ]
}

fn of_vertex(target: &ServingTarget) -> Option<MintedAccess> {
    let settings = target.spec.vertex_ai.as_ref()?;
    let token = TokenSource::Google { account: settings.gateway_service_account.clone() };
    // Every route of the engine is reached.
    Some(MintedAccess { token, question: VerificationQuestion::Models, refusals: Vec::new() })
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
        let expected = MintedAccess { token, question: VerificationQuestion::Models, refusals: Vec::new() };
        assert_eq!(access(&target.unwrap(), "a"), Some(expected));
    }
}
