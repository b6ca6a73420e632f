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
    let settings = target.spec.sage_maker.as_ref()?;
    let role = settings.gateway_role.as_ref().map(|AssumeRole { role_arn, external_id }| TokenRole {
        arn: role_arn.clone(),
        external_id: external_id.clone(),
    });
    let token = TokenSource::SageMaker { region: target.spec.region.clone(), role };
    // Its route for chats lists no models.
    Some(MintedAccess { token, question: VerificationQuestion::Completion })
}
