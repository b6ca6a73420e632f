//! The Debian packages that clusters with nodes, and the client that asks what they serve, need.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::command::run;
use crate::tools::cache;

/// A package and a program or file that shows that it is there.
const PACKAGES: [(&str, &str); 8] = [
    ("containerd", "/usr/bin/containerd"),
    ("runc", "/usr/sbin/runc"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("nftables", "/usr/sbin/nft"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("iproute2", "/usr/sbin/ip"),
    ("openssl", "/usr/bin/openssl"),
    ("curl", "/usr/bin/curl"),
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
    let mut memory = fs::File::options().create(true).append(true).open(memory()?)?;
    missing.iter().try_for_each(|package| writeln!(memory, "{package}"))?;
    run("apt-get", &args)?;
    Ok(())
}

/// The packages that [`ensure`] has installed on this machine at any time and that are still there.
#[must_use]
pub fn installed() -> Vec<&'static str> {
    let remembered = memory().and_then(|file| Ok(fs::read_to_string(file)?)).unwrap_or_default();
    let ours = |package: &&str| remembered.lines().any(|line| line == *package);
    let missing = missing();
    PACKAGES.into_iter().map(|(package, _)| package).filter(ours).filter(|package| !missing.contains(package)).collect()
}

/// Beside the tools, for packages outlive clusters and clones.
fn memory() -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    fs::create_dir_all(&cache)?;
    Ok(cache.join("debian-packages"))
}

fn missing() -> Vec<&'static str> {
    PACKAGES.into_iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| package).collect()
}
