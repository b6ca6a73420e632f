//! Mints tokens with the identity of the gateway's pod. Nothing of an identity is on a route.

use std::time::Duration;

use async_trait::async_trait;
#[cfg(feature = "aws")]
use roadstead_aws::TokenService;
use roadstead_gateway::TokenSource;

use super::renewal::{MintCause, MintedToken};

/// A way to mint tokens.
#[async_trait]
pub trait Mint: Send + Sync {
    /// Mints a token.
    ///
    /// # Errors
    /// The cause, for logs: it has no secret in it.
    async fn mint(&self, source: &TokenSource, cause: MintCause) -> Result<MintedToken, String>;
}

/// Mints with the pod's own identity.
pub struct PodMint {
    #[cfg(feature = "aws")]
    aws: super::aws::AwsMint,
    #[cfg(feature = "vertex-ai")]
    google: super::google::GoogleMint,
    #[cfg(feature = "azure-openai")]
    entra: super::entra::EntraMint,
}

impl PodMint {
    /// Tokens of at most this life.
    #[must_use]
    #[cfg_attr(not(feature = "aws"), expect(unused_variables, reason = "no source is built in"))]
    pub fn new(life: Duration) -> Self {
        Self {
            #[cfg(feature = "aws")]
            aws: super::aws::AwsMint::new(life, roadstead_runtime::clock::Clock::system()),
            #[cfg(feature = "vertex-ai")]
            google: super::google::GoogleMint::new(roadstead_runtime::clock::Clock::system()),
            #[cfg(feature = "azure-openai")]
            entra: super::entra::EntraMint::new(roadstead_runtime::clock::Clock::system()),
        }
    }
}

#[async_trait]
impl Mint for PodMint {
    #[cfg_attr(
        not(all(feature = "aws", feature = "vertex-ai")),
        allow(unused_variables, reason = "not every source is built in")
    )]
    async fn mint(&self, source: &TokenSource, cause: MintCause) -> Result<MintedToken, String> {
        match source {
            #[cfg(feature = "aws")]
            TokenSource::Bedrock { region, role } => {
                self.aws.mint(TokenService::Bedrock, region, role.as_ref(), cause).await
            }
            #[cfg(feature = "aws")]
            TokenSource::SageMaker { region, role } => {
                self.aws.mint(TokenService::SageMaker, region, role.as_ref(), cause).await
            }
            #[cfg(not(feature = "aws"))]
            TokenSource::Bedrock { .. } | TokenSource::SageMaker { .. } => {
                Err("this gateway is built without the features bedrock and sagemaker".to_owned())
            }
            #[cfg(feature = "vertex-ai")]
            TokenSource::Google { account } => self.google.mint(account.as_deref()).await,
            #[cfg(not(feature = "vertex-ai"))]
            TokenSource::Google { .. } => Err("this gateway is built without the feature vertex-ai".to_owned()),
            #[cfg(feature = "azure-openai")]
            TokenSource::AzureOpenAI => self.entra.mint().await,
            #[cfg(not(feature = "azure-openai"))]
            TokenSource::AzureOpenAI => Err("this gateway is built without the feature azure-openai".to_owned()),
            TokenSource::Unknown => Err("the operator is newer than this gateway: upgrade the gateway".to_owned()),
        }
    }
}
