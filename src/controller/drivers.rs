//! Settings of the drivers, each of which is a Cargo feature of its name.

use clap::Args;

#[cfg(feature = "kubernetes")]
use roadstead_kubernetes::cluster::kubeconfig::Feature;
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
}
