//! Verifies endpoints before callers reach them: asks each one through Envoy until it has answered well several times in a
//! row.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode};
use roadstead_gateway::render::path_to_verify;
use roadstead_gateway::{Endpoint, Route, State, VerificationQuestion};
use roadstead_provider::probe::{listed, one_token};
use tokio::sync::watch;

use super::Routes;
use super::keeper::Progress;
use super::socket::{self, SocketRequest};

/// Good answers in a row that verify an endpoint.
const ENOUGH: u32 = 3;
/// Pause between two questions to an endpoint.
const PAUSE: Duration = Duration::from_millis(300);
/// Time for one answer.
const ANSWER: Duration = Duration::from_secs(6);
/// Longest answer that is read: what an endpoint returns is untrusted.
const MAX_ANSWER: usize = 1 << 20;

/// UID of a route and name of an endpoint on it.
pub type Name = (String, String);
/// Endpoints that are verified, as the route had them.
pub type Verified = BTreeMap<Name, Endpoint>;

/// Verifies for ever: asks the endpoints that the files in effect name as such, and sends those that are verified.
pub async fn verify(socket: PathBuf, mut progress: watch::Receiver<Progress>, verified: watch::Sender<Verified>) {
    let mut scores = Scores::default();
    loop {
        let routes = progress.borrow_and_update().routes.clone();
        let open = scores.open(routes.as_ref());
        let is_idle = open.is_empty();
        let asked = open.into_iter().map(|(route, endpoint)| async {
            let good = is_good(&socket, &route, &endpoint).await;
            ((route.uid, endpoint.name), good)
        });
        for (name, good) in futures::future::join_all(asked).await {
            scores.count(&name, good);
        }
        let now = scores.verified();
        verified.send_if_modified(|verified| {
            let changed = *verified != now;
            *verified = now;
            changed
        });
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(PAUSE), if !is_idle => {}
        }
    }
}

/// True if the endpoint lists the model, or completes a token where it lists none.
async fn is_good(socket: &Path, route: &Route, endpoint: &Endpoint) -> bool {
    let answer = tokio::time::timeout(ANSWER, socket::ask(socket, question(route, endpoint), MAX_ANSWER)).await;
    let path = endpoint.question.path();
    let problem = match answer {
        Ok(Ok((StatusCode::OK, body))) => match judged(endpoint.question, &body, known_as(route, endpoint)) {
            Ok(()) => return true,
            Err(problem) => problem,
        },
        Ok(Ok((status, _))) => format!("{path} answered {}", status.as_u16()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("{path} did not answer within {} s", ANSWER.as_secs()),
    };
    tracing::info!(deployment = route.cluster(), endpoint = endpoint.name, problem, "the endpoint is not verified yet");
    false
}

fn question(route: &Route, endpoint: &Endpoint) -> SocketRequest {
    let (method, body) = match endpoint.question {
        VerificationQuestion::Models => (Method::GET, String::new()),
        VerificationQuestion::Completion => (Method::POST, one_token(&route.model)),
    };
    SocketRequest { method, path: path_to_verify(route, endpoint), body }
}

/// Name by which an endpoint lists the model: lists pass Envoy as they are.
fn known_as<'a>(route: &'a Route, endpoint: &'a Endpoint) -> &'a str {
    endpoint.model.as_deref().unwrap_or(&route.model)
}

/// Judges an answer of status 200.
fn judged(question: VerificationQuestion, body: &[u8], model: &str) -> Result<(), String> {
    match question {
        VerificationQuestion::Models => listed(body, "/v1", model),
        VerificationQuestion::Completion => {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
            if is_json { Ok(()) } else { Err(format!("{} answered 200 without JSON", question.path())) }
        }
    }
}

/// True for an endpoint that can be asked before callers reach it.
fn is_open(endpoint: &Endpoint) -> bool {
    endpoint.state == State::Verifying && !endpoint.lacks_token()
}

/// Good answers in a row of each endpoint that is being verified.
#[derive(Default)]
struct Scores(BTreeMap<Name, (Endpoint, u32)>);

impl Scores {
    /// The endpoints that are still to be asked. One whose address or credential has changed starts anew, and one that is
    /// no longer being verified is forgotten.
    fn open(&mut self, routes: Option<&Routes>) -> Vec<(Route, Endpoint)> {
        let mut former = std::mem::take(&mut self.0);
        let mut open = Vec::new();
        for route in routes.iter().flat_map(|routes| routes.values()) {
            for endpoint in route.endpoints.iter().filter(|endpoint| is_open(endpoint)) {
                let name = (route.uid.clone(), endpoint.name.clone());
                let known = former.remove(&name).filter(|(known, _)| known.is_same(endpoint));
                let score = known.map_or(0, |(_, score)| score);
                self.0.insert(name, (endpoint.clone(), score));
                if score < ENOUGH {
                    open.push((route.clone(), endpoint.clone()));
                }
            }
        }
        open
    }

    fn count(&mut self, name: &Name, good: bool) {
        if let Some((_, score)) = self.0.get_mut(name) {
            *score = if good { *score + 1 } else { 0 };
        }
    }

    fn verified(&self) -> Verified {
        let good = self.0.iter().filter(|(_, (_, score))| *score >= ENOUGH);
        good.map(|(name, (endpoint, _))| (name.clone(), endpoint.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use serde_json::json;

    fn routes(host: &str, state: &str) -> Routes {
        let endpoint = |name: &str, state: &str| json!({"name": name, "scheme": "http", "host": host, "port": 1, "weight": 1, "state": state});
        let route: Route = serde_json::from_value(json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 4, "model": "m", "callers": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "endpoints": [endpoint("old", "Active"), endpoint("new", state)],
        }))
        .unwrap();
        Arc::new([(route.uid.clone(), route)].into())
    }

    fn new() -> Name {
        ("d".to_owned(), "new".to_owned())
    }

    fn answers(scores: &mut Scores, routes: &Routes, good: &[bool]) {
        for good in good {
            scores.open(Some(routes));
            scores.count(&new(), *good);
        }
    }

    #[test]
    fn three_good_answers_in_a_row_verify_an_endpoint() {
        let (mut scores, routes) = (Scores::default(), routes("192.0.2.1", "Verifying"));
        answers(&mut scores, &routes, &[true, true, false, true, true]);
        assert!(scores.verified().is_empty(), "the bad answer counts");
        answers(&mut scores, &routes, &[true]);
        assert!(scores.verified().contains_key(&new()));
        assert!(scores.open(Some(&routes)).is_empty(), "it is asked no more, and stays verified");
        assert!(scores.verified().contains_key(&new()));
    }

    #[test]
    fn another_address_is_verified_anew() {
        let mut scores = Scores::default();
        answers(&mut scores, &routes("192.0.2.1", "Verifying"), &[true, true, true]);
        assert_eq!(scores.open(Some(&routes("192.0.2.2", "Verifying"))).len(), 1);
        assert!(scores.verified().is_empty());
    }

    #[test]
    fn an_endpoint_that_serves_or_is_gone_is_forgotten() {
        let mut scores = Scores::default();
        answers(&mut scores, &routes("192.0.2.1", "Verifying"), &[true, true, true]);
        assert!(scores.open(Some(&routes("192.0.2.1", "Active"))).is_empty());
        assert!(scores.verified().is_empty());
        assert!(scores.open(None).is_empty(), "before the hub has shown its routes");
    }
}
