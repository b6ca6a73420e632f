//! Container images out of static binaries: no image builder, no registry.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};

/// An image of one layer.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its name with a tag.
    pub name: String,
    /// The files: path in the image, and where the content is.
    pub files: Vec<(String, PathBuf)>,
    /// Command.
    pub entrypoint: Vec<String>,
    /// As whom it runs; empty is root.
    pub user: String,
}

impl Image {
    /// Writes the image as an OCI archive.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn write(&self, archive: &Path) -> anyhow::Result<()> {
        let mut layer = tar::Builder::new(Vec::new());
        for (path, file) in &self.files {
            entry(&mut layer, path.trim_start_matches('/'), &fs::read(file)?, 0o755)?;
        }
        let layer = layer.into_inner()?;
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "User": self.user,
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob("application/vnd.oci.image.config.v1+json", &config),
            "layers": [blob("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string()
        .into_bytes();
        let mut reference = blob("application/vnd.oci.image.manifest.v1+json", &manifest);
        let tag = self.name.rsplit(':').next().unwrap_or_default();
        reference["annotations"] =
            json!({"io.containerd.image.name": self.name, "org.opencontainers.image.ref.name": tag});
        let index = json!({"schemaVersion": 2, "manifests": [reference]}).to_string();
        let mut outer = tar::Builder::new(fs::File::create(archive)?);
        entry(&mut outer, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        entry(&mut outer, "index.json", index.as_bytes(), 0o644)?;
        for content in [&layer, &config, &manifest] {
            let hex = digest(content).trim_start_matches("sha256:").to_owned();
            entry(&mut outer, &format!("blobs/sha256/{hex}"), content, 0o644)?;
        }
        outer.into_inner()?.flush()?;
        Ok(())
    }
}

fn digest(content: &[u8]) -> String {
    let hex = HEXLOWER.encode(&Sha256::digest(content));
    format!("sha256:{hex}")
}

fn blob(media_type: &str, content: &[u8]) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
}

fn entry(archive: &mut tar::Builder<impl Write>, path: &str, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    header.set_cksum();
    archive.append_data(&mut header, path, content)?;
    Ok(())
}
