//! Settings of the drivers, each of which is a Cargo feature of its name.

use clap::Args;

#[cfg(feature = "kubernetes")]
use roadstead_kubernetes::cluster::kubeconfig::Feature;
#[cfg(feature = "services")]
use roadstead_rest::{BaseUrl, Insecure};
#[cfg(feature = "simulated")]
use roadstead_simulated::cloud::CloudAddress;

/// The flags of the drivers.
#[derive(Debug, Clone, Default, Args)]
pub struct DriverSettings {
    /// Dangerous kubeconfig features to allow for the kubeconfigs of targets.
    #[cfg(feature = "kubernetes")]
    #[arg(long, env = "ROADSTEAD_ALLOW_KUBECONFIG", value_delimiter = ',')]
    pub allow_kubeconfig: Vec<Feature>,
    /// Address of the simulated cloud, as http://HOST:PORT; without it, targets of type Simulated are not Ready.
    #[cfg(feature = "simulated")]
    #[arg(long, env = "ROADSTEAD_SIMULATED_CLOUD")]
    pub simulated_cloud: Option<CloudAddress>,
    /// Addresses of the services of a type of targets, as TYPE=URL, for tests and for a proxy in front of a service. The operator connects to
    /// any address, also without TLS.
    #[cfg(feature = "services")]
    #[arg(long, env = "ROADSTEAD_ENDPOINT_OVERRIDE", value_delimiter = ',')]
    pub endpoint_override: Vec<EndpointOverride>,
}

/// Types of targets whose services have addresses that can be overridden, as far as they are built in.
#[cfg(feature = "services")]
const OVERRIDABLE: &[&str] = &[
    #[cfg(feature = "azureml")]
    "AzureML",
    #[cfg(feature = "azure-openai")]
    "AzureOpenAI",
    #[cfg(feature = "baseten")]
    "Baseten",
    #[cfg(feature = "bedrock")]
    "Bedrock",
    #[cfg(feature = "digitalocean")]
    "DigitalOcean",
    #[cfg(feature = "huggingface")]
    "HuggingFace",
    #[cfg(feature = "openai-compatible")]
    "OpenAICompatible",
    #[cfg(feature = "sagemaker")]
    "SageMaker",
    #[cfg(feature = "vertex-ai")]
    "VertexAI",
];

/// Another address of the services of a type of targets.
#[cfg(feature = "services")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointOverride {
    type_: String,
    url: BaseUrl,
}

#[cfg(feature = "services")]
impl std::str::FromStr for EndpointOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (type_, url) = text.split_once('=').ok_or("write TYPE=URL, such as SageMaker=http://127.0.0.1:4566")?;
        if !OVERRIDABLE.contains(&type_) {
            return Err(format!("type {type_:?} has no address to override; the types are {}", OVERRIDABLE.join(", ")));
        }
        let url = BaseUrl::parse(url, Insecure::Allowed).map_err(|error| error.to_string())?;
        Ok(Self { type_: type_.to_owned(), url })
    }
}

#[cfg(feature = "services")]
impl DriverSettings {
    /// The address of the services of this type, if a flag sets one.
    #[must_use]
    pub fn endpoint_override(&self, type_: &str) -> Option<BaseUrl> {
        self.endpoint_override.iter().find(|known| known.type_ == type_).map(|known| known.url.clone())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(feature = "sagemaker")]
    fn an_override_names_its_type_and_its_address() {
        use super::{DriverSettings, EndpointOverride};
        let endpoint_override = vec!["SageMaker=http://127.0.0.1:4566".parse().unwrap()];
        let settings = DriverSettings { endpoint_override, ..DriverSettings::default() };
        let url = settings.endpoint_override("SageMaker").map(|url| url.to_string());
        assert_eq!(url.as_deref(), Some("http://127.0.0.1:4566"));
        assert_eq!(settings.endpoint_override("HuggingFace"), None);
        for bad in ["SageMaker", "SageMaker=", "SageMaker=ftp://a", "SageMaker=http://user@a"] {
            assert!(bad.parse::<EndpointOverride>().is_err(), "{bad}");
        }
    }

    #[test]
    #[cfg(feature = "vertex-ai")]
    fn an_unknown_type_is_refused_by_name_and_the_known_ones_are_listed() {
        let error = "Vertex=http://127.0.0.1:4566".parse::<super::EndpointOverride>().unwrap_err();
        assert!(error.contains("\"Vertex\"") && error.contains("VertexAI"), "{error}");
    }
}
