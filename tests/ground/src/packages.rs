//! The Debian packages that clusters with nodes need.

use std::path::Path;

use anyhow::bail;

use crate::command::run;

/// A package and a program or file that shows that it is there.
const PACKAGES: [(&str, &str); 7] = [
    ("containerd", "/usr/bin/containerd"),
    ("runc", "/usr/sbin/runc"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("nftables", "/usr/sbin/nft"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("iproute2", "/usr/sbin/ip"),
    ("openssl", "/usr/bin/openssl"),
];

/// Sees to it that the packages are there: installs what is missing with apt-get, saying so.
///
/// # Errors
/// Naming what is missing where it cannot be installed: not root, or no apt-get.
pub fn ensure() -> anyhow::Result<()> {
    let missing = missing();
    if run("id", &["-u"])? != "0" {
        bail!("clusters with nodes need root (network namespaces, containers): run as root");
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("missing, and there is no apt-get to install them: {}", missing.join(", "));
    }
    eprintln!("installing with apt-get: {}", missing.join(", "));
    run("apt-get", &["update", "-qq"])?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(&missing);
    run("apt-get", &args)?;
    Ok(())
}

fn missing() -> Vec<&'static str> {
    PACKAGES.into_iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| package).collect()
}
