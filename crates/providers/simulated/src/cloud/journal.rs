//! The file in which the simulated cloud's world survives its process: one JSON object a line, appended.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::world::JournalEntry;

/// File of the world's entries, if there is one.
pub struct Journal {
    file: Option<File>,
}

/// A journal that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("state file {}: {message}", path.display())]
pub struct JournalError {
    path: PathBuf,
    message: String,
}

impl Journal {
    /// Reads the world from `path`, if it exists, and rewrites the file with as few lines as possible.
    ///
    /// # Errors
    /// [`JournalError`] where the file cannot be read or written, or holds something else.
    pub fn open(
        path: Option<&Path>,
        compact: impl Fn(&[JournalEntry]) -> Vec<JournalEntry>,
    ) -> Result<(Self, Vec<JournalEntry>), JournalError> {
        let Some(path) = path else { return Ok((Self { file: None }, Vec::new())) };
        let failed = |message: String| JournalError { path: path.to_owned(), message };
        let known = match File::open(path) {
            Ok(file) => read(file).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error.to_string())),
        };
        let entries = compact(&known);
        // A new file takes the place of the old one at once: a crash in between loses nothing.
        let fresh = path.with_extension("new");
        let mut journal = Self { file: Some(File::create(&fresh).map_err(|error| failed(error.to_string()))?) };
        journal.append(&entries).map_err(|error| failed(error.to_string()))?;
        fs::rename(&fresh, path).map_err(|error| failed(error.to_string()))?;
        Ok((journal, entries))
    }

    /// Writes `entries` down.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn append(&mut self, entries: &[JournalEntry]) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| !entries.is_empty()) else { return Ok(()) };
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        file.write_all(&text)
    }
}

/// The entries of a file; a last line that a crash has cut off is passed over.
fn read(file: File) -> Result<Vec<JournalEntry>, String> {
    let lines: Vec<String> =
        BufReader::new(file).lines().collect::<io::Result<_>>().map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(entry) => entries.push(entry),
            Err(_) if index + 1 == lines.len() => {}
            Err(error) => {
                return Err(format!("line {}: {error}; remove the file to start with an empty state", index + 1));
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> JournalEntry {
        JournalEntry::Place {
            place: name.to_owned(),
            identity: "i".to_owned(),
            claims: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn what_was_written_is_read_again_also_after_a_cut_off_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (mut journal, known) = Journal::open(Some(&path), <[JournalEntry]>::to_vec).unwrap();
        assert!(known.is_empty());
        journal.append(&[place("a"), place("b")]).unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"entry\":\"Pla");
        fs::write(&path, text).unwrap();
        let (_, known) = Journal::open(Some(&path), <[JournalEntry]>::to_vec).unwrap();
        assert_eq!(known, [place("a"), place("b")]);
    }

    #[test]
    fn a_file_of_something_else_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::write(&path, "something\nelse\n").unwrap();
        let error = Journal::open(Some(&path), <[JournalEntry]>::to_vec).err().unwrap().to_string();
        assert!(error.contains("line 1") && error.contains("remove the file"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "something\nelse\n");
    }
}
