//! Processes that outlive the one that started them, and are found again to be ended.
//!
//! A process is remembered by its id and its start time, so that nobody else's process that has the same id later is
//! ever ended.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::command::run;

/// A process of ours, as written down in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    file: PathBuf,
    pid: u32,
    started: String,
}

impl Process {
    /// Starts `command` in a session of its own, with its output in `<dir>/<name>.log`, and writes it down.
    ///
    /// # Errors
    /// If it cannot be started or written down.
    pub fn start(dir: &Path, name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let log = fs::File::create(dir.join(format!("{name}.log")))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id();
        let started = start_time(pid).unwrap_or_default();
        let file = dir.join(format!("{name}.pid"));
        fs::write(&file, format!("{pid} {started}\n"))?;
        Ok(Self { file, pid, started })
    }

    /// The process that was written down as `name` in `dir`, if it still runs.
    #[must_use]
    pub fn find(dir: &Path, name: &str) -> Option<Self> {
        let file = dir.join(format!("{name}.pid"));
        let text = fs::read_to_string(&file).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let process = Self { file, pid: pid.parse().ok()?, started: started.to_owned() };
        process.is_alive().then_some(process)
    }

    /// Its id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// True if it still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        start_time(self.pid).is_some_and(|started| started == self.started)
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        run("kill", &[format!("-{signal}"), self.pid.to_string()]).map(drop)
    }

    /// Asks it to end, ends it after `patience`, and forgets it.
    pub fn end(&self, patience: Duration) {
        // A frozen process does not hear that it is to end.
        let _ = self.signal("CONT");
        let _ = self.signal("TERM");
        let start = Instant::now();
        while self.is_alive() && start.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        if self.is_alive() {
            let _ = self.signal("KILL");
            while self.is_alive() && start.elapsed() < patience * 2 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = fs::remove_file(&self.file);
    }
}

/// Start time of a process, in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold spaces.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19).map(|field| (*field).to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_process_is_found_again_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let process = Process::start(dir.path(), "sleep", Command::new("sleep").arg("60")).unwrap();
        assert_eq!(Process::find(dir.path(), "sleep"), Some(process.clone()));
        process.end(Duration::from_secs(5));
        assert_eq!(Process::find(dir.path(), "sleep"), None);
    }

    #[test]
    fn another_process_with_the_same_id_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.pid"), format!("{} 1\n", std::process::id())).unwrap();
        assert_eq!(Process::find(dir.path(), "x"), None);
    }
}
