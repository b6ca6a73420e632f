//! Child processes that end with this one, however it ends.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// A child process that is killed when this is dropped, or when this process is gone.
pub struct Bound {
    shell: Child,
    pid: u32,
}

impl Bound {
    /// Starts `program` with `args` and `env`, its output appended to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(program: &Path, args: &[String], env: &[(&str, &str)], log: &Path) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let pid_file = tempfile::NamedTempFile::new()?;
        // The shell's end of the pipe closes when this process is gone: then it kills what it started. A signal to the
        // whole group, as a terminal sends one, must not end the shell before that.
        let script = "file=$1; shift; \"$@\" & child=$!; echo $child >\"$file\"; \
                      trap '' HUP INT TERM; cat >/dev/null; kill -KILL $child 2>/dev/null; wait $child";
        let shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(pid_file.path())
            .arg(program)
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let pid = await_pid(pid_file.path()).with_context(|| format!("{} did not start", program.display()))?;
        Ok(Self { shell, pid })
    }

    /// The id of the process itself.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// True if it has not ended yet; the shell keeps its id from being given to another process.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
    }
}

/// The process id that the shell writes into `file`.
fn await_pid(file: &Path) -> anyhow::Result<u32> {
    for _ in 0..500 {
        if let Some(line) = std::fs::read_to_string(file)?.lines().next() {
            return Ok(line.parse()?);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("no process id within 5 s")
}

/// Sends `name` (such as KILL or STOP) to the process `pid`; one that is gone is no error.
pub fn signal(pid: u32, name: &str) {
    let _ = Command::new("kill").args([format!("-{name}"), pid.to_string()]).stderr(Stdio::null()).status();
}

impl Drop for Bound {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
