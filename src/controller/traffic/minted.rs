//! Endpoints whose tokens the gateways mint. Pure.

use roadstead_gateway::{
    EndpointProtocol, RefusalMeaning, ServiceRefusal, TokenRole, TokenSource, VerificationQuestion,
};

use roadstead_api::v1alpha1::{AssumeRole, ServingTarget};

/// Access to an endpoint by a token that gateways mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintedAccess {
    /// Origin of the token.
    pub token: TokenSource,
    /// Protocol of the endpoint.
    pub protocol: EndpointProtocol,
    /// Question by which a gateway verifies the endpoint.
    pub question: VerificationQuestion,
    /// Paths below `/v1/` that the service answers; empty for all that engines answer.
    pub paths: Vec<String>,
    /// Refusals of the service in front of the engine.
    pub refusals: Vec<ServiceRefusal>,
}

/// Access to the endpoint of this name on a target; `None` where it has a key of its own.
#[must_use]
pub fn access(target: &ServingTarget, endpoint: &str) -> Option<MintedAccess> {
    of_sagemaker(target, endpoint)
        .or_else(|| of_bedrock(target))
        .or_else(|| of_vertex(target))
        .or_else(|| of_azure_openai(target))
}

fn of_sagemaker(target: &ServingTarget, endpoint: &str) -> Option<MintedAccess> {
    let settings = target.spec.sage_maker.as_ref()?;
    let role = settings.gateway_role.as_ref().map(role);
    Some(MintedAccess {
        token: TokenSource::SageMaker { region: target.spec.region.clone(), role },
        protocol: EndpointProtocol::OpenAi,
        // Its route for chats lists no models.
        question: VerificationQuestion::Completion,
        paths: paths(&["chat/completions"]),
        refusals: refusals_of_sagemaker(endpoint),
    })
}

fn role(AssumeRole { role_arn, external_id }: &AssumeRole) -> TokenRole {
    TokenRole { arn: role_arn.clone(), external_id: external_id.clone() }
}

fn of_bedrock(target: &ServingTarget) -> Option<MintedAccess> {
    let settings = target.spec.bedrock.as_ref()?;
    let role = settings.gateway_role.as_ref().map(role);
    let (protocol, served, refusal): (_, &[&str], _) = if settings.models.is_empty() {
        // Source of the words: AWS user guide, Handling ModelNotReadyException.
        let cold = (429, "ModelNotReadyException", RefusalMeaning::Cold);
        (EndpointProtocol::BedrockInvoke, &["chat/completions", "completions"], cold)
    } else {
        // Source of the words: botocore, errors of Converse.
        let absent = (404, "ResourceNotFoundException", RefusalMeaning::Absent);
        (EndpointProtocol::BedrockConverse, &["chat/completions"], absent)
    };
    let (status, words, meaning) = refusal;
    Some(MintedAccess {
        token: TokenSource::Bedrock { region: target.spec.region.clone(), role },
        protocol,
        question: VerificationQuestion::Completion,
        paths: paths(served),
        refusals: vec![ServiceRefusal { status, words: words.to_owned(), meaning }],
    })
}

/// Name of the model in requests to an endpoint with this prefix, where the service knows it by the ARN in its path.
#[must_use]
pub fn model_at_bedrock(protocol: EndpointProtocol, prefix: &str) -> Option<String> {
    let arn = || Some(prefix.strip_prefix("/model/")?.replace("%3A", ":").replace("%2F", "/"));
    (protocol == EndpointProtocol::BedrockInvoke).then(arn).flatten()
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
    Some(MintedAccess {
        token: TokenSource::Google { account: settings.gateway_service_account.clone() },
        protocol: EndpointProtocol::OpenAi,
        // Every route of the engine is reached.
        question: VerificationQuestion::Models,
        paths: Vec::new(),
        refusals: Vec::new(),
    })
}

fn of_azure_openai(target: &ServingTarget) -> Option<MintedAccess> {
    target.spec.azure_open_ai.as_ref()?;
    // A list of models names no deployment.
    let question = VerificationQuestion::Completion;
    let absent =
        ServiceRefusal { status: 404, words: "DeploymentNotFound".to_owned(), meaning: RefusalMeaning::Absent };
    let protocol = EndpointProtocol::OpenAi;
    // Other paths belong to the account: they show and change files and answers of everybody there.
    let paths = paths(&["chat/completions", "completions", "embeddings", "responses"]);
    Some(MintedAccess { token: TokenSource::AzureOpenAI, protocol, question, paths, refusals: vec![absent] })
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn models_of_bedrock_are_asked_in_its_own_protocol_by_their_arn_and_may_be_cold() {
        let target: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "bedrock"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Bedrock", "offers": [],
                "bedrock": {
                    "accountID": "123456789012", "importRoleARN": "arn:aws:iam::123456789012:role/imports",
                    "gatewayRole": {"roleARN": "arn:aws:iam::123456789012:role/callers"},
                    "modelMirrors": [{"source": "hf://", "mirror": "s3://weights/"}],
                },
            },
        }))
        .unwrap();
        let MintedAccess { token, protocol, question, paths, refusals } = access(&target, "a").unwrap();
        let role = TokenRole { arn: "arn:aws:iam::123456789012:role/callers".to_owned(), external_id: None };
        assert_eq!(token, TokenSource::Bedrock { region: "us-east-1".to_owned(), role: Some(role) });
        assert_eq!((question, refusals[0].meaning), (VerificationQuestion::Completion, RefusalMeaning::Cold));
        assert_eq!(paths, ["chat/completions", "completions"]);
        let arn = "arn:aws:bedrock:us-east-1:123456789012:imported-model/a1";
        let prefix = "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aimported-model%2Fa1";
        assert_eq!(model_at_bedrock(protocol, prefix).as_deref(), Some(arn));
        assert_eq!(model_at_bedrock(EndpointProtocol::OpenAi, prefix), None);
    }

    #[test]
    fn provisioned_throughput_is_asked_by_conversations_and_its_model_keeps_the_name_that_callers_use() {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "bedrock"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Bedrock", "offers": [],
                "bedrock": {
                    "accountID": "123456789012",
                    "models": [{"source": "hf://example/llama", "modelID": "meta.llama3-1-8b-instruct-v1:0:128k"}],
                },
            },
        }));
        let MintedAccess { protocol, refusals, .. } = access(&target.unwrap(), "a").unwrap();
        assert_eq!((protocol, refusals[0].meaning), (EndpointProtocol::BedrockConverse, RefusalMeaning::Absent));
        assert_eq!(model_at_bedrock(protocol, "/model/arn%3Aaws%3Abedrock"), None);
    }

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
        let (question, protocol) = (VerificationQuestion::Models, EndpointProtocol::OpenAi);
        let expected = MintedAccess { token, protocol, question, paths: Vec::new(), refusals: Vec::new() };
        assert_eq!(access(&target.unwrap(), "a"), Some(expected));
    }

    #[test]
    fn endpoints_of_azure_openai_are_verified_by_a_completion_and_absent_where_azure_says_so() {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "azure"},
            "spec": {
                "cloud": "azure", "region": "global", "type": "AzureOpenAI", "offers": [],
                "azureOpenAI": {
                    "subscriptionID": "0b1f6471-1bf0-4dda-aec3-111122223333", "resourceGroup": "models", "account": "acme",
                    "models": [{"source": "hf://example/llama", "format": "f", "name": "llama", "version": "1"}],
                },
            },
        }));
        let access = access(&target.unwrap(), "llama-a").unwrap();
        assert_eq!(access.token, TokenSource::AzureOpenAI);
        assert_eq!((access.question, access.refusals[0].status), (VerificationQuestion::Completion, 404));
    }
}
