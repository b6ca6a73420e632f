//! The logs of Envoy: it writes them to files in memory, and this process passes them on and counts what they say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::admin::Admin;
use super::hosted::HostedLine;
use super::metrics::{Line, Metrics};
use super::tokens::fill::EndpointName;

/// Pause between two looks at the file.
const LOOK: Duration = Duration::from_millis(250);
/// Size at which a new file is begun, in bytes. The file is in memory.
const LONGEST: u64 = 8 << 20;
/// Time in which Envoy writes what it holds to the former file.
const FLUSH: Duration = Duration::from_secs(2);

/// Those who learn of each line of a log.
pub trait LogReader {
    /// Reads one line, a JSON object.
    fn read(&self, line: &str);
}

/// Those who learn of each request of a caller.
pub struct AccessReader {
    /// Counts the requests.
    pub metrics: Arc<Metrics>,
    /// Learns of the endpoints that answered 401 or 403.
    pub refused: mpsc::Sender<EndpointName>,
}

impl LogReader for AccessReader {
    fn read(&self, line: &str) {
        let Ok(line) = serde_json::from_str::<Line>(line) else { return };
        self.metrics.request(&line);
        if matches!(line.status, 401 | 403) && !line.endpoint.is_empty() {
            // Of many at once, the first ones say everything.
            let _ = self.refused.try_send((line.deployment, line.endpoint));
        }
    }
}

/// Those who learn of each request to a hosted model.
pub struct HostedReader(pub mpsc::Sender<HostedLine>);

impl LogReader for HostedReader {
    fn read(&self, line: &str) {
        // Each line costs money: if the ledger cannot follow, some are missed, and it closes the model later than it should.
        if let Ok(line) = serde_json::from_str(line)
            && self.0.try_send(line).is_err()
        {
            tracing::warn!("the ledger of hosted models cannot follow the log; a request is not counted");
        }
    }
}

/// Passes on and counts a log for ever.
pub async fn follow(path: PathBuf, admin: Admin, readers: impl LogReader) {
    let mut tail = Tail::new(path);
    // The first look comes before Envoy's first line: a file that is found then has been passed on by another process.
    loop {
        if let Err(error) = tail.pass_on(&readers) {
            tracing::warn!(%error, "a log of Envoy cannot be read; retrying");
        }
        if tail.read > LONGEST {
            turn_over(&mut tail, &admin, &readers).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Begins a new file. Envoy holds lines of the old one for a moment, so that one is read once more.
async fn turn_over(tail: &mut Tail, admin: &Admin, readers: &impl LogReader) {
    if tail.set_aside().is_err() || admin.reopen_logs().await.is_err() {
        return;
    }
    tokio::time::sleep(FLUSH).await;
    let _ = tail.pass_on(readers);
    tail.begin_anew();
}

struct Tail {
    path: PathBuf,
    file: Option<BufReader<File>>,
    /// Bytes of whole lines that were read of the file.
    read: u64,
    /// False until a first look: what another process has passed on is not passed on again.
    begun: bool,
}

impl Tail {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, read: 0, begun: false }
    }

    fn pass_on(&mut self, readers: &impl LogReader) -> io::Result<()> {
        self.open()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut out = io::stdout().lock();
        let mut line = String::new();
        loop {
            line.clear();
            let length = file.read_line(&mut line)? as u64;
            if !line.ends_with('\n') {
                // A line that is not whole is read again.
                file.seek(SeekFrom::Start(self.read))?;
                return out.flush();
            }
            self.read += length;
            out.write_all(line.as_bytes())?;
            readers.read(&line);
        }
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            match File::open(&self.path) {
                Ok(mut file) => {
                    self.read = if self.begun { 0 } else { file.seek(SeekFrom::End(0))? };
                    self.file = Some(BufReader::new(file));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.begun = true;
        Ok(())
    }

    fn set_aside(&self) -> io::Result<()> {
        std::fs::rename(&self.path, self.path.with_extension("old"))
    }

    fn begin_anew(&mut self) {
        let _ = std::fs::remove_file(self.path.with_extension("old"));
        self.file = None;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    fn readers() -> (AccessReader, mpsc::Receiver<EndpointName>) {
        let (refused, refusals) = mpsc::channel(2);
        (AccessReader { metrics: Arc::default(), refused }, refusals)
    }

    #[test]
    fn counts_whole_lines_once_and_a_broken_one_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let (readers, _refused) = readers();
        let mut tail = Tail::new(path.clone());
        tail.pass_on(&readers).unwrap();
        let line = r#"{"deployment":"team/llama","endpoint":"llama-a","status":200,"attempts":2,"firstByteMillis":70}"#;
        fs::write(&path, format!("{line}\n{}", &line[..20])).unwrap();
        tail.pass_on(&readers).unwrap();
        assert_eq!(readers.metrics.requests("team", "llama", "llama-a", "2xx"), 1);
        fs::write(&path, format!("{line}\n{line}\n")).unwrap();
        tail.pass_on(&readers).unwrap();
        tail.pass_on(&readers).unwrap();
        assert_eq!(readers.metrics.requests("team", "llama", "llama-a", "2xx"), 2);
    }

    #[test]
    fn goes_on_in_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let (readers, _refused) = readers();
        let mut tail = Tail::new(path.clone());
        tail.pass_on(&readers).unwrap();
        let line = r#"{"deployment":"team/llama","status":503,"attempts":1}"#;
        fs::write(&path, format!("{line}\n")).unwrap();
        tail.pass_on(&readers).unwrap();
        tail.set_aside().unwrap();
        fs::write(&path, format!("{line}\n")).unwrap();
        tail.begin_anew();
        tail.pass_on(&readers).unwrap();
        assert_eq!(readers.metrics.requests("team", "llama", "", "5xx"), 2);
        assert!(!path.with_extension("old").exists());
    }

    #[test]
    fn refusals_of_endpoints_are_told_and_those_of_the_gateway_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let (readers, mut refusals) = readers();
        let mut tail = Tail::new(path.clone());
        tail.pass_on(&readers).unwrap();
        let line = |endpoint: &str, status: u16| {
            format!("{{\"deployment\":\"team/llama\"{endpoint},\"status\":{status},\"attempts\":1}}\n")
        };
        let of = |name: &str| format!(",\"endpoint\":\"{name}\"");
        let lines = [line("", 401), line(&of("a"), 200), line(&of("b"), 403), line(&of("c"), 401), line(&of("d"), 403)];
        fs::write(&path, lines.concat()).unwrap();
        tail.pass_on(&readers).unwrap();
        let told: Vec<String> = std::iter::from_fn(|| refusals.try_recv().ok()).map(|(_, endpoint)| endpoint).collect();
        assert_eq!(told, ["b", "c"], "as many as there is room for");
    }
}
