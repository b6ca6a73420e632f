//! The gateway on the hub or on a member, installed by its chart as a user would do it: two pods behind one address.

use std::fs;

use serde_json::json;

use crate::cluster::Cluster;
use crate::envoy;
use crate::ground::{Ground, OPERATOR_IMAGE, chart, repository, root};

/// Namespace of the gateway's pods.
pub const NAMESPACE: &str = "roadstead-gateway";
/// Labels of the gateway's pods.
pub const PODS: &str = "app.kubernetes.io/name=roadstead-gateway";
/// Namespace of the routes.
const ROUTES: &str = "roadstead-routes";
/// Port of the gateway on a cluster's node.
const PORT: u16 = 30080;

impl Ground {
    /// Address of the gateway on a cluster, for callers on this machine.
    #[must_use]
    pub fn gateway_url(&self, cluster: &Cluster) -> String {
        format!("http://{}:{PORT}", cluster.network().node())
    }

    /// Lets the operator write routes, installs the gateway on the hub and waits until its pods are ready. Done already, it
    /// changes nothing.
    ///
    /// # Errors
    /// If an image cannot be made or loaded, or a chart fails.
    pub fn install_gateway(&self) -> anyhow::Result<()> {
        self.install_gateway_with(&[], &[])
    }

    /// The same with these further values of the operator's chart and of the gateway's; each value is JSON.
    ///
    /// # Errors
    /// As [`install_gateway`](Self::install_gateway).
    pub fn install_gateway_with(&self, operator: &[String], gateway: &[String]) -> anyhow::Result<()> {
        self.write_routes(&self.gateway_url(&self.hub), operator)?;
        self.put_gateway(&self.hub, gateway)
    }

    /// Installs the gateway on a member, as docs/gateway.md describes it: with an account on the hub that may read routes.
    /// The operator publishes its address.
    ///
    /// # Errors
    /// As [`install_gateway`](Self::install_gateway).
    pub fn install_gateway_on(&self, member: &Cluster) -> anyhow::Result<()> {
        self.write_routes(&self.gateway_url(member), &[])?;
        let account = fs::read_to_string(repository().join("deploy/gateway-remote.yaml"))?;
        self.hub.apply(&account)?;
        let token = ["create", "token", "roadstead-gateway-remote", "-n", ROUTES, "--duration", "24h"];
        let kubeconfig = self.hub.kubeconfig_with(&self.hub.kubectl(&token)?)?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub", "namespace": NAMESPACE},
            "stringData": {"kubeconfig": kubeconfig},
        });
        member.apply(&namespace.to_string())?;
        member.apply(&secret.to_string())?;
        self.put_gateway(member, &[r#"hub.kubeconfigSecret="hub""#.to_owned()])
    }

    /// Removes the gateway from a cluster.
    ///
    /// # Errors
    /// If helm fails.
    pub fn remove_gateway(&self, cluster: &Cluster) -> anyhow::Result<()> {
        self.helm_on(cluster, &["uninstall", "roadstead-gateway", "-n", NAMESPACE, "--wait"]).map(drop)
    }

    fn write_routes(&self, url: &str, values: &[String]) -> anyhow::Result<()> {
        self.install_with(&["gateway.enabled=true", &format!("gateway.url={url}")], values)
    }

    fn put_gateway(&self, cluster: &Cluster, values: &[String]) -> anyhow::Result<()> {
        load_envoy(cluster)?;
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
        args.extend(own.iter().flat_map(|value| ["--set", value]));
        args.extend(values.iter().flat_map(|value| ["--set-json", value]));
        args.extend(["--wait", "--timeout", "120s"]);
        self.helm_on(cluster, &args)?;
        let enforced = "pod-security.kubernetes.io/enforce=restricted";
        cluster.kubectl(&["label", "--overwrite", "namespace", NAMESPACE, enforced]).map(drop)
    }
}

/// Loads Envoy's image into a cluster, once.
fn load_envoy(cluster: &Cluster) -> anyhow::Result<()> {
    if cluster.node().has_image(envoy::IMAGE)? {
        return Ok(());
    }
    let archive = root().join("images/envoy.tar");
    envoy::image()?.write(&archive)?;
    cluster.node().load(&archive)?;
    // The largest of all images is needed once.
    Ok(fs::remove_file(archive)?)
}
