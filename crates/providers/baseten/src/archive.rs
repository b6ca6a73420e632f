//! Archive of a model: a gzipped tar with its config alone. Pure.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Name of the file that describes a model.
const CONFIG: &str = "config.yaml";

/// An archive with this config. JSON is YAML.
///
/// # Errors
/// If the archive cannot be written, which would be a defect.
pub fn archive(config: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(config.len() as u64);
    header.set_mode(0o644);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, CONFIG, config)?;
    let mut zipped = GzEncoder::new(Vec::new(), Compression::default());
    zipped.write_all(&archive.into_inner()?)?;
    zipped.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn an_archive_holds_the_config_and_nothing_else() {
        let bytes = archive(b"{\"model_name\": \"e\"}").unwrap();
        let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_slice()));
        let files: Vec<(String, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let (mut entry, mut text) = (entry.unwrap(), String::new());
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        assert_eq!(files, [("config.yaml".to_owned(), "{\"model_name\": \"e\"}".to_owned())]);
    }
}
