//! The record of what was asked and answered, for judges and for tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::cloud::{Call, ServiceName};

/// One request with its answer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exchange {
    /// Number, from 1.
    pub number: usize,
    /// The service.
    pub service: ServiceName,
    /// The operation, in the service's words.
    pub operation: String,
    /// Method.
    pub method: String,
    /// Path and query, as they were sent.
    pub target: String,
    /// Headers, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// Body of the request.
    pub body: String,
    /// Kind of the fault that hit it.
    pub fault: Option<String>,
    /// HTTP status; absent while there is no answer, or if the connection was cut.
    pub status: Option<u16>,
    /// Headers of the answer.
    pub answer_headers: Vec<(String, String)>,
    /// Body of the answer; absent where it is a stream, or long.
    pub answer: Option<String>,
    /// Rules that decided the answer.
    pub rules: Vec<&'static str>,
}

/// All requests so far.
#[derive(Debug, Default)]
pub struct Record {
    exchanges: Mutex<Vec<Exchange>>,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and returns its number.
    pub fn asked(&self, service: ServiceName, operation: &str, call: &Call, fault: Option<String>) -> usize {
        let mut exchanges = self.lock();
        let number = exchanges.len() + 1;
        let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        exchanges.push(Exchange {
            number,
            service,
            operation: operation.to_owned(),
            method: call.method.to_string(),
            target: format!("{}{query}", call.path),
            headers: call.headers.iter().map(header).collect(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            fault,
            status: None,
            answer_headers: Vec::new(),
            answer: None,
            rules: Vec::new(),
        });
        number
    }

    /// Completes the request of this number.
    pub fn answered(&self, number: usize, complete: impl FnOnce(&mut Exchange)) {
        let mut exchanges = self.lock();
        if let Some(exchange) = number.checked_sub(1).and_then(|index| exchanges.get_mut(index)) {
            complete(exchange);
        }
    }

    /// The requests after the one of this number.
    #[must_use]
    pub fn after(&self, number: usize) -> Vec<Exchange> {
        self.lock().iter().skip(number).cloned().collect()
    }
}
