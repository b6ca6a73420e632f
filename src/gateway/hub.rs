//! The client of the hub, made anew when the kubeconfig changes: credentials are rotated while a gateway runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::{Client, Config};
use roadstead_runtime::client::client;
use tokio::sync::watch;

/// Interval of looks at the kubeconfig.
const LOOK: Duration = Duration::from_secs(10);

/// The client by the pod's service account, whose token the client reads anew by itself, or by the kubeconfig.
///
/// # Errors
/// If neither leads to the hub.
pub async fn connect() -> anyhow::Result<Client> {
    let config = Config::infer()
        .await
        .context("cannot connect to the hub: found neither a pod's service account nor a kubeconfig")?;
    Ok(client(config, Arc::new(|| true))?)
}

/// Follows the file that `KUBECONFIG` names for ever. A text that cannot be used leaves the former client in place.
pub async fn follow(hub: watch::Sender<Client>) {
    let Some(path) = std::env::var_os("KUBECONFIG").map(PathBuf::from) else { return std::future::pending().await };
    let mut former = std::fs::read(&path).ok();
    loop {
        tokio::time::sleep(LOOK).await;
        let text = std::fs::read(&path).ok();
        if text.is_none() || text == former {
            continue;
        }
        if let Ok(client) = connect().await {
            tracing::info!("the kubeconfig of the hub has changed; connecting anew");
            hub.send_replace(client);
        } else {
            // The cause may quote the file.
            tracing::error!("the new kubeconfig of the hub cannot be used; the former one stays in use");
        }
        former = text;
    }
}
