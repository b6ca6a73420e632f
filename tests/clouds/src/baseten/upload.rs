//! Archives on their way: credentials for one object each, and what was uploaded with them.

use std::collections::BTreeMap;
use std::io::Read;

use axum::http::StatusCode;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::rules;
use crate::clock::VirtualClock;
use crate::cloud::{Call, Reply};
use crate::sagemaker::signature::{self, AccessKey, Moment};

/// The bucket of all archives.
pub const BUCKET: &str = "uploads-of-the-fake";
const REGION: &str = "us-west-2";
/// Life of credentials.
const LIFE_MILLIS: i64 = 3_600_000;
/// Larger archives are not read.
const MAX_ARCHIVE_BYTES: u64 = 1024 * 1024;

/// All archives, by their key in the bucket; `None` until one is uploaded.
#[derive(Debug, Default)]
pub struct Uploads {
    archives: BTreeMap<String, Option<String>>,
    keys: Vec<AccessKey>,
}

impl Uploads {
    /// Credentials for one more object ([`rules::PREPARE`]).
    pub fn prepare(&mut self, now: i64) -> Value {
        let number = self.keys.len() + 1;
        let key = format!("organizations/acme/models/{number}/model.tgz");
        let (id, secret, token) =
            (format!("ASIABASETEN{number}"), format!("upload-secret-{number}"), format!("upload-token-{number}"));
        let answer = json!({
            "creds": {"aws_access_key_id": id, "aws_secret_access_key": secret, "aws_session_token": token},
            "s3_bucket": BUCKET, "s3_key": key, "s3_region": REGION,
        });
        let (account, arn) = (String::new(), key.clone());
        self.keys.push(AccessKey { id, secret, account, arn, session: Some((token, now + LIFE_MILLIS)) });
        self.archives.insert(key, None);
        answer
    }

    /// Takes an object: the signature must be of the credentials for it ([`rules::UPLOAD`]).
    pub fn take(&mut self, call: &Call, key: &str, now: i64) -> Reply {
        let at = Moment { machine: VirtualClock::machine_millis(), service: now };
        let caller = match signature::of_headers(call, "s3", &self.keys, at) {
            Ok(caller) => caller,
            Err(fault) => return refused(StatusCode::FORBIDDEN, fault.0, fault.1),
        };
        if caller.arn != key {
            return refused(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
        }
        let Some(config) = config(&call.body) else {
            return refused(StatusCode::BAD_REQUEST, "InvalidRequest", "the archive has no config.yaml")
                .by(&rules::ARCHIVE);
        };
        self.archives.insert(key.to_owned(), Some(config));
        Reply::new(StatusCode::OK, "application/xml", "").with("etag", "\"0\"").by(&rules::UPLOAD)
    }

    /// True if an archive was uploaded at this key.
    pub fn has(&self, key: &str) -> bool {
        self.archives.get(key).is_some_and(Option::is_some)
    }
}

/// The text of `config.yaml` in a gzipped tar ([`rules::ARCHIVE`]).
fn config(body: &[u8]) -> Option<String> {
    let mut archive = tar::Archive::new(GzDecoder::new(body).take(MAX_ARCHIVE_BYTES));
    let mut entries = archive.entries().ok()?.filter_map(Result::ok);
    let mut entry = entries.find(|entry| entry.path().is_ok_and(|path| path.ends_with("config.yaml")))?;
    let mut text = String::new();
    entry.read_to_string(&mut text).ok()?;
    Some(text)
}

fn refused(status: StatusCode, code: &str, message: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Reply::new(status, "application/xml", body).by(&rules::UPLOAD)
}
