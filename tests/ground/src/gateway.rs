//! The gateway on the hub, installed by its chart as a user would do it: two pods behind one address.

use std::fs;

use crate::envoy;
use crate::ground::{Ground, OPERATOR_IMAGE, chart, root};

/// Namespace of the gateway's pods.
pub const NAMESPACE: &str = "roadstead-gateway";
/// Labels of the gateway's pods.
pub const PODS: &str = "app.kubernetes.io/name=roadstead-gateway";
/// Port of the gateway on the hub's node.
const PORT: u16 = 30080;

impl Ground {
    /// Address of the gateway for callers on this machine.
    #[must_use]
    pub fn gateway_url(&self) -> String {
        format!("http://{}:{PORT}", self.hub.network().node())
    }

    /// Lets the operator write routes, installs the gateway and waits until its pods are ready. Done already, it changes
    /// nothing.
    ///
    /// # Errors
    /// If an image cannot be made or loaded, or a chart fails.
    pub fn install_gateway(&self) -> anyhow::Result<()> {
        self.install(&["gateway.enabled=true", &format!("gateway.url={}", self.gateway_url())])?;
        self.load_envoy()?;
        self.upgrade_gateway(&[])?;
        let enforced = "pod-security.kubernetes.io/enforce=restricted";
        self.hub.kubectl(&["label", "--overwrite", "namespace", NAMESPACE, enforced]).map(drop)
    }

    /// Upgrades the gateway's release with further values, and waits until its new pods are ready.
    ///
    /// # Errors
    /// If helm fails or the pods do not become ready.
    pub fn upgrade_gateway(&self, values: &[&str]) -> anyhow::Result<()> {
        let chart = chart("roadstead-gateway");
        let mut args = vec!["upgrade", "--install", "roadstead-gateway", &chart, "-n", NAMESPACE, "--create-namespace"];
        let own = [
            format!("image.repository={OPERATOR_IMAGE}"),
            "image.tag=v1".to_owned(),
            format!("envoy.image={}", envoy::IMAGE),
            "envoy.concurrency=1".to_owned(),
            "service.type=NodePort".to_owned(),
            format!("service.nodePort={PORT}"),
        ];
        for value in own.iter().map(String::as_str).chain(values.iter().copied()) {
            args.extend(["--set", value]);
        }
        args.extend(["--wait", "--timeout", "120s"]);
        self.helm(&args).map(drop)
    }

    /// Loads Envoy's image into the hub, once.
    fn load_envoy(&self) -> anyhow::Result<()> {
        if self.hub.node().has_image(envoy::IMAGE)? {
            return Ok(());
        }
        let archive = root().join("images/envoy.tar");
        envoy::image()?.write(&archive)?;
        self.hub.node().load(&archive)?;
        // The largest of all images is needed once.
        Ok(fs::remove_file(archive)?)
    }
}
