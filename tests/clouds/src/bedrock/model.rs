//! One import job and one imported model: what time and requests do to them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::faults::Fate;
use crate::kept::Visibility;

/// Life of a copy after its latest request, and the unit of its bill, in milliseconds.
const WINDOW: i64 = 5 * 60 * 1000;

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobStatus {
    InProgress,
    Completed,
    Failed,
}

impl JobStatus {
    /// The state as the service names it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::InProgress => "InProgress",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
        }
    }
}

/// An import job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub arn: String,
    pub name: String,
    pub model_arn: String,
    pub model_name: String,
    pub role: String,
    pub source: Value,
    pub tags: BTreeMap<String, String>,
    pub model_tags: BTreeMap<String, String>,
    pub token: Option<String>,
    pub created: i64,
    /// End in milliseconds since 1970; absent if it never ends.
    pub until: Option<i64>,
    /// Text of a failure.
    pub fails: Option<String>,
    pub ended: Option<i64>,
    pub status: JobStatus,
    pub visibility: Visibility,
}

impl Job {
    /// Ends the job if it has ended by `now`: the model, if it was imported ([`super::rules::JOB_FAILED`]).
    pub fn settle(&mut self, units: u32, now: i64) -> Option<Imported> {
        let end = self.until.filter(|end| *end <= now && self.status == JobStatus::InProgress)?;
        self.ended = Some(end);
        self.status = if self.fails.is_some() { JobStatus::Failed } else { JobStatus::Completed };
        (self.status == JobStatus::Completed).then(|| Imported {
            arn: self.model_arn.clone(),
            name: self.model_name.clone(),
            job: (self.arn.clone(), self.name.clone()),
            source: self.source.clone(),
            tags: self.model_tags.clone(),
            created: end,
            units,
            copy: Copies::None,
            windows: 0,
            visibility: Visibility::new(&Fate::default(), end),
        })
    }

    /// The answer of `GetModelImportJob`.
    pub fn described(&self, fate: &Fate) -> Value {
        let mut described = self.summary();
        described["roleArn"] = json!(self.role);
        described["modelDataSource"] = self.source.clone();
        if let Some(reason) = self.fails.as_ref().filter(|_| self.status == JobStatus::Failed) {
            described["failureMessage"] = json!(reason);
        }
        if let Some(status) = &fate.status {
            described["status"] = json!(status);
        }
        described
    }

    /// The job in a listing.
    pub fn summary(&self) -> Value {
        let mut summary = json!({
            "jobArn": self.arn, "jobName": self.name, "status": self.status.word(),
            "importedModelName": self.model_name, "creationTime": rfc3339(self.created),
            "lastModifiedTime": rfc3339(self.ended.unwrap_or(self.created)),
        });
        if let Some(ended) = self.ended {
            summary["endTime"] = json!(rfc3339(ended));
        }
        if self.status == JobStatus::Completed {
            summary["importedModelArn"] = json!(self.model_arn);
        }
        summary
    }
}

/// Copies of a model that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    None,
    /// One starts, until then.
    Starting(i64),
    /// One answers: the times of its first and of its latest request.
    Active(i64, i64),
}

impl Copies {
    /// Windows of the copy that answers, the begun one too.
    fn windows(self) -> u64 {
        match self {
            Self::Active(first, last) => {
                u64::try_from((last - first) / WINDOW + 1 + i64::from((last - first) % WINDOW > 0)).unwrap_or(0)
            }
            Self::None | Self::Starting(_) => 0,
        }
    }
}

/// An imported model.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    pub arn: String,
    pub name: String,
    /// ARN and name of its job.
    pub job: (String, String),
    pub source: Value,
    pub tags: BTreeMap<String, String>,
    pub created: i64,
    pub units: u32,
    pub copy: Copies,
    /// Windows of former copies.
    pub windows: u64,
    pub visibility: Visibility,
}

impl Imported {
    /// True if a copy answers a request at `now`; otherwise one starts ([`super::rules::GOES_COLD`]).
    pub fn answers(&mut self, waking_seconds: u32, now: i64) -> bool {
        match self.copy {
            Copies::Active(first, last) if now < last + WINDOW => {
                self.copy = Copies::Active(first, now);
                true
            }
            // It waits for its first request as long as it would wait for another one.
            Copies::Starting(from) if (from..from + WINDOW).contains(&now) => {
                self.copy = Copies::Active(now, now);
                true
            }
            Copies::Starting(from) if now < from => false,
            Copies::None | Copies::Starting(_) | Copies::Active(..) => {
                self.windows += self.copy.windows();
                self.copy = Copies::Starting(now + i64::from(waking_seconds) * 1000);
                false
            }
        }
    }

    /// Unit windows that were billed ([`super::rules::BILLED`]).
    pub fn billed(&self) -> u64 {
        (self.windows + self.copy.windows()) * u64::from(self.units)
    }

    /// The answer of `GetImportedModel` ([`super::rules::UNITS`]).
    pub fn described(&self) -> Value {
        let mut described = self.summary();
        described["jobArn"] = json!(self.job.0);
        described["jobName"] = json!(self.job.1);
        described["modelDataSource"] = self.source.clone();
        described["customModelUnits"] =
            json!({"customModelUnitsPerModelCopy": self.units, "customModelUnitsVersion": "v1.0"});
        described
    }

    /// The model in a listing.
    pub fn summary(&self) -> Value {
        json!({"modelArn": self.arn, "modelName": self.name, "creationTime": rfc3339(self.created),
               "modelArchitecture": "llama", "instructSupported": true})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn a_copy_is_billed_in_whole_windows_until_it_has_been_idle_for_one() {
        let mut job = Job {
            arn: String::new(),
            name: String::new(),
            model_arn: String::new(),
            model_name: String::new(),
            role: String::new(),
            source: Value::Null,
            tags: BTreeMap::new(),
            model_tags: BTreeMap::new(),
            token: None,
            created: 0,
            until: Some(0),
            fails: None,
            ended: None,
            status: JobStatus::InProgress,
            visibility: Visibility::default(),
        };
        let mut model = job.settle(2, 0).unwrap();
        let asked = [0, 1, 2, 6, 12, 13].map(|minute| model.answers(60, minute * MINUTE));
        assert_eq!(asked, [false, true, true, true, false, true]);
        // From minute 1 to 11 two windows, from 13 to 18 one, each of two units.
        assert_eq!(model.billed(), 6);
    }
}
