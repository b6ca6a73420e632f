//! Access of gateways to endpoints at managed services. Pure.

use roadstead_gateway::{
    EndpointProtocol, RefusalMeaning, ServiceLimits, ServiceRefusal, TokenRole, TokenSource, VerificationQuestion,
};

use roadstead_api::v1alpha1::{AssumeRole, ServingTarget, TargetType};

/// Access to an endpoint at a managed service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccess {
    /// Origin of the token that gateways mint; `None` where the endpoint has a key of its own.
    pub token: Option<TokenSource>,
    /// Protocol of the endpoint.
    pub protocol: EndpointProtocol,
    /// Question by which a gateway verifies the endpoint.
    pub question: VerificationQuestion,
    /// Paths below `/v1/` that the service answers; empty for all that engines answer.
    pub paths: Vec<String>,
    /// Refusals of the service in front of the engine.
    pub refusals: Vec<ServiceRefusal>,
    /// Limits of the service.
    pub limits: Option<ServiceLimits>,
}

impl Default for ServiceAccess {
    /// Access to an engine by the endpoint's own key.
    fn default() -> Self {
        Self {
            token: None,
            protocol: EndpointProtocol::OpenAi,
            // Every route of the engine is reached.
            question: VerificationQuestion::Models,
            paths: Vec::new(),
            refusals: Vec::new(),
            limits: None,
        }
    }
}

/// Access to the endpoint of this name on a target; `None` for a target that is no managed service.
#[must_use]
pub fn access(target: &ServingTarget, endpoint: &str) -> Option<ServiceAccess> {
    let access = match target.spec.type_ {
        TargetType::SageMaker => of_sagemaker(target, endpoint)?,
        TargetType::Bedrock => of_bedrock(target)?,
        TargetType::VertexAI => of_vertex(target)?,
        TargetType::AzureOpenAI => of_azure_openai(target)?,
        TargetType::AzureML | TargetType::Baseten | TargetType::DigitalOcean | TargetType::HuggingFace => {
            ServiceAccess::default()
        }
        TargetType::Kubernetes | TargetType::Simulated | TargetType::OpenAICompatible => return None,
    };
    Some(limited(access, target.spec.type_))
}

/// Adds the limits of a service.
fn limited(access: ServiceAccess, type_: TargetType) -> ServiceAccess {
    let Some(limits) = type_.request_limits() else { return access };
    let max_request_bytes = limits.max_bytes.and_then(|bytes| u64::try_from(bytes).ok());
    let answer_seconds = limits.answer_seconds.and_then(|seconds| u32::try_from(seconds).ok());
    let limits = Some(ServiceLimits { service: type_.name(), max_request_bytes, answer_seconds });
    ServiceAccess { limits, ..access }
}

fn of_sagemaker(target: &ServingTarget, endpoint: &str) -> Option<ServiceAccess> {
    let settings = target.spec.sage_maker.as_ref()?;
    let role = settings.gateway_role.as_ref().map(role);
    Some(ServiceAccess {
        token: Some(TokenSource::SageMaker { region: target.spec.region.clone(), role }),
        // Its route for chats lists no models.
        question: VerificationQuestion::Completion,
        paths: paths(&["chat/completions"]),
        refusals: refusals_of_sagemaker(endpoint),
        ..ServiceAccess::default()
    })
}

fn role(AssumeRole { role_arn, external_id }: &AssumeRole) -> TokenRole {
    TokenRole { arn: role_arn.clone(), external_id: external_id.clone() }
}

fn of_bedrock(target: &ServingTarget) -> Option<ServiceAccess> {
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
    Some(ServiceAccess {
        token: Some(TokenSource::Bedrock { region: target.spec.region.clone(), role }),
        protocol,
        question: VerificationQuestion::Completion,
        paths: paths(served),
        refusals: vec![ServiceRefusal { status, words: words.to_owned(), meaning }],
        ..ServiceAccess::default()
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

fn of_vertex(target: &ServingTarget) -> Option<ServiceAccess> {
    let settings = target.spec.vertex_ai.as_ref()?;
    let token = TokenSource::Google { account: settings.gateway_service_account.clone() };
    Some(ServiceAccess { token: Some(token), ..ServiceAccess::default() })
}

fn of_azure_openai(target: &ServingTarget) -> Option<ServiceAccess> {
    target.spec.azure_open_ai.as_ref()?;
    // A list of models names no deployment.
    let question = VerificationQuestion::Completion;
    let absent =
        ServiceRefusal { status: 404, words: "DeploymentNotFound".to_owned(), meaning: RefusalMeaning::Absent };
    // Other paths belong to the account: they show and change files and answers of everybody there.
    let paths = paths(&["chat/completions", "completions", "embeddings", "responses"]);
    let (token, refusals) = (Some(TokenSource::AzureOpenAI), vec![absent]);
    Some(ServiceAccess { token, question, paths, refusals, ..ServiceAccess::default() })
}

fn paths(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use roadstead_gateway::SERVICE_PATHS;
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
        let ServiceAccess { token, protocol, question, paths, refusals, limits } = access(&target, "a").unwrap();
        let role = TokenRole { arn: "arn:aws:iam::123456789012:role/callers".to_owned(), external_id: None };
        assert_eq!(token, Some(TokenSource::Bedrock { region: "us-east-1".to_owned(), role: Some(role) }));
        assert_eq!(limits.and_then(|limits| limits.max_request_bytes), Some(25_000_000));
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
        let ServiceAccess { protocol, refusals, .. } = access(&target.unwrap(), "a").unwrap();
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
        let access = access(&target.unwrap(), "a").unwrap();
        assert_eq!(access.token, Some(TokenSource::Google { account: Some("gateway@acme.example".to_owned()) }));
        assert_eq!((access.question, access.paths.len()), (VerificationQuestion::Models, 0));
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
        assert_eq!(access.token, Some(TokenSource::AzureOpenAI));
        assert_eq!((access.question, access.refusals[0].status), (VerificationQuestion::Completion, 404));
    }

    #[test]
    fn services_limit_their_endpoints_to_paths_that_gateways_know() {
        let azure = json!({
            "subscriptionID": "0b1f6471-1bf0-4dda-aec3-111122223333", "resourceGroup": "models", "account": "acme",
            "models": [{"source": "hf://example/llama", "format": "f", "name": "llama", "version": "1"}],
        });
        let role = "arn:aws:iam::123456789012:role/models";
        let models = json!([{"source": "hf://example/llama", "modelID": "meta.llama3-1-8b-instruct-v1:0:128k"}]);
        for (type_, field, settings) in [
            ("SageMaker", "sageMaker", json!({"accountID": "123456789012", "executionRoleARN": role})),
            ("Bedrock", "bedrock", json!({"accountID": "123456789012", "importRoleARN": role})),
            ("Bedrock", "bedrock", json!({"accountID": "123456789012", "models": models})),
            ("AzureOpenAI", "azureOpenAI", azure),
        ] {
            let mut target = json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
                "spec": {"cloud": "cloud", "region": "region", "type": type_, "offers": []},
            });
            target["spec"][field] = settings;
            let paths = access(&serde_json::from_value(target).unwrap(), "a").unwrap().paths;
            assert!(!paths.is_empty() && paths.iter().all(|path| SERVICE_PATHS.contains(&path.as_str())), "{paths:?}");
        }
    }

    #[test]
    fn an_endpoint_that_has_a_key_of_its_own_is_reached_by_it_and_its_answer_503_is_a_failure() {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "hub"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "HuggingFace", "offers": []},
        }));
        assert_eq!(access(&target.unwrap(), "llama-a").unwrap(), ServiceAccess::default());
    }

    #[test]
    fn an_endpoint_has_the_limits_of_its_service() {
        let target = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "team"},
            "spec": {"cloud": "baseten", "region": "us-east", "type": "Baseten", "offers": []},
        }));
        let limits = access(&target.unwrap(), "llama-a").unwrap().limits.unwrap();
        assert_eq!((limits.service.as_str(), limits.answer_seconds), ("Baseten", Some(1200)));
    }
}
