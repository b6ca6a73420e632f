//! The hub, as subcommands for people reach it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use roadstead_runtime::client::client;

/// The way to the hub.
#[derive(Debug, Args)]
pub struct HubArgs {
    /// Kubeconfig of the hub.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; the current context if absent.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl HubArgs {
    /// A client that writes nothing, and the namespace of the context.
    ///
    /// # Errors
    /// If there is no usable kubeconfig.
    pub async fn connect(&self) -> anyhow::Result<(Client, String)> {
        self.client(false).await
    }

    /// The same with a client that writes.
    ///
    /// # Errors
    /// If there is no usable kubeconfig.
    pub async fn connect_to_write(&self) -> anyhow::Result<(Client, String)> {
        self.client(true).await
    }

    async fn client(&self, writes: bool) -> anyhow::Result<(Client, String)> {
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => Kubeconfig::read().context("no kubeconfig of the hub: set --kubeconfig")?,
        };
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .context("cannot use the kubeconfig of the hub")?;
        let namespace = config.default_namespace.clone();
        Ok((client(config, Arc::new(move || writes))?, namespace))
    }
}
