//! Atomic writes of files that only this user can read.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Writes a file beside its place and moves it there: a reader sees the old or the new one, and Envoy, which watches for
/// moves, sees each change once.
///
/// # Errors
/// Any error of the disk.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // The part has a name of its own, because several gateways may share a volume, and only its owner can read it.
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut part = tempfile::NamedTempFile::new_in(folder)?;
    part.write_all(text.as_bytes())?;
    part.persist(path)?;
    Ok(())
}

/// Removes a file; fine if it is not there.
///
/// # Errors
/// Any other error of the disk.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
