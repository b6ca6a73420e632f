//! An API server's audit log: its requests and their users.

use std::fmt;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

/// Every writing request, without its body; what only reads is left out.
pub(crate) const WRITES: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\n\
    rules: [{level: None, verbs: [get, list, watch]}, {level: Metadata}]\n";

/// Audited requests of an API server, each without its body and after its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audited {
    /// Nothing.
    Nothing,
    /// Every request.
    Everything,
    /// The writing requests of this user: a second administrator, whose token is `ground-` and the name.
    WritesOf(String),
}

impl Audited {
    /// The audit policy; `None` where nothing is written down.
    pub(crate) fn policy(&self) -> Option<String> {
        let rules = match self {
            Self::Nothing => return None,
            Self::Everything => "{level: Metadata}".to_owned(),
            Self::WritesOf(user) => {
                format!(
                    "{{level: None, verbs: [get, list, watch]}}, {{level: Metadata, users: [{user}]}}, {{level: None}}"
                )
            }
        };
        let stages = "[RequestReceived, ResponseStarted]";
        Some(format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: {stages}\nrules: [{rules}]\n"))
    }
}

/// A place in an audit log: what is written from now on comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// Start of a log.
    pub(crate) const START: Self = Self(0);
}

/// One writing request and how it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The cluster whose API server was asked.
    pub cluster: String,
    /// Time of arrival: RFC 3339, UTC, to the microsecond.
    pub time: String,
    /// User.
    pub user: String,
    /// The pod whose token was used, if it was a pod's own.
    pub pod: String,
    /// The address that it came from.
    pub source: String,
    /// `create`, `update`, `patch`, `delete` …
    pub verb: String,
    /// The kind in plural, with the subresource after a slash.
    pub resource: String,
    /// Namespace and name; the namespace alone where the request names no object.
    pub object: String,
    /// The HTTP status of the answer.
    pub code: u64,
}

impl Write {
    /// True if the server did what was asked.
    #[must_use]
    pub fn took_effect(&self) -> bool {
        self.code < 300
    }

    fn read(cluster: &str, event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let joined = |first: &Value, second: &Value| {
            let parts = [text(first), text(second)];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
        };
        let reference = &event["objectRef"];
        Self {
            cluster: cluster.to_owned(),
            time: text(&event["requestReceivedTimestamp"]),
            user: text(&event["user"]["username"]),
            pod: text(&event["user"]["extra"]["authentication.kubernetes.io/pod-name"][0]),
            source: text(&event["sourceIPs"][0]),
            verb: text(&event["verb"]),
            resource: joined(&reference["resource"], &reference["subresource"]),
            object: joined(&reference["namespace"], &reference["name"]),
            code: event["responseStatus"]["code"].as_u64().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, time, user, pod, source, verb, resource, object, code } = self;
        write!(f, "{cluster} {time} {user} {pod} ({source}): {verb} {resource} {object}: {code}")
    }
}

/// Current end of the log.
pub(crate) fn end_of(log: &Path) -> Mark {
    Mark(fs::metadata(log).map_or(0, |metadata| metadata.len()))
}

/// The writes that came in after `mark` and are answered.
pub(crate) fn since(cluster: &str, log: &Path, mark: Mark) -> anyhow::Result<Vec<Write>> {
    Ok(events(log, mark)?.iter().map(|event| Write::read(cluster, event)).collect())
}

/// The events after `mark`, as the server wrote them down.
pub(crate) fn events(log: &Path, mark: Mark) -> anyhow::Result<Vec<Value>> {
    let mut file = fs::File::open(log).with_context(|| format!("cannot read {}", log.display()))?;
    file.seek(SeekFrom::Start(mark.0))?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // The last line may still be being written.
    let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
    let event = |line| serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"));
    whole.lines().map(event).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LINE: &str = r#"{"verb":"patch","user":{"username":"system:serviceaccount:ns:op","extra":{"authentication.kubernetes.io/pod-name":["op-1"]}},"sourceIPs":["198.18.1.5"],"objectRef":{"resource":"pods","namespace":"ns","name":"a","subresource":"status"},"responseStatus":{"code":409},"requestReceivedTimestamp":"2026-01-01T00:00:00.000001Z"}"#;

    #[test]
    fn a_write_after_the_mark_is_told_and_a_half_written_line_waits() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("audit.log");
        assert_eq!(end_of(&log), Mark(0));
        fs::write(&log, format!("{LINE}\n")).unwrap();
        let mark = end_of(&log);
        assert_eq!(since("hub", &log, mark).unwrap(), []);
        fs::write(&log, format!("{LINE}\n{LINE}\n{{\"verb\"")).unwrap();
        let writes = since("hub", &log, mark).unwrap();
        assert_eq!(writes.len(), 1);
        assert_eq!(
            writes[0].to_string(),
            "hub 2026-01-01T00:00:00.000001Z system:serviceaccount:ns:op op-1 (198.18.1.5): patch pods/status ns/a: 409"
        );
        assert!(!writes[0].took_effect());
    }
}
