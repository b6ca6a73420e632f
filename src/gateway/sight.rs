//! Endpoints that answer or do not, by Envoy's health checks: those that the operator asks for, and all that do not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use roadstead_gateway::render::Addresses;
use roadstead_gateway::{Answering, Endpoint, Route, Sees, State, WitnessRequest, hosts_of_endpoint};
use roadstead_runtime::clock::Clock;
use tokio::sync::watch;

use super::Routes;
use super::admin::{Admin, AdminError, Host};
use super::keeper::Progress;

/// Interval of looks at Envoy's health checks, which is that of the checks themselves.
const LOOK: Duration = Duration::from_secs(2);
/// Looks in a row that find no answer before that is reported: a new host has not been checked yet.
const ENOUGH: u32 = 2;
/// Endpoints in a report, which must fit into a ConfigMap.
const MOST: usize = 5000;

/// Looks for ever, and sends what changes.
pub async fn look(
    admin: Admin,
    progress: watch::Receiver<Progress>,
    addresses: watch::Receiver<Addresses>,
    sees: watch::Sender<Sees>,
) {
    let clock = Clock::system();
    let mut eyes = Eyes::default();
    loop {
        let (routes, known) = (progress.borrow().routes.clone(), addresses.borrow().clone());
        if let Some(routes) = routes {
            match hosts(&admin, &routes).await {
                Ok(hosts) => {
                    let now = eyes.see(&routes, &known, &hosts, clock.wall().as_second());
                    sees.send_if_modified(|sees| {
                        let changed = *sees != now;
                        *sees = now;
                        changed
                    });
                }
                Err(error) => tracing::debug!(%error, "Envoy does not say which endpoints answer"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The hosts of the clusters of which something must be said.
async fn hosts(admin: &Admin, routes: &Routes) -> Result<BTreeMap<String, Vec<Host>>, AdminError> {
    let members = admin.members().await?;
    let is_whole = |route: &Route| members.get(&route.cluster()).is_none_or(|(healthy, total)| healthy == total);
    let is_asked = |route: &Route| route.endpoints.iter().any(|endpoint| !endpoint.asked.is_nothing());
    let wanted: Vec<String> =
        routes.values().filter(|route| is_asked(route) || !is_whole(route)).map(Route::cluster).collect();
    admin.hosts_of(&wanted).await
}

/// Looks in a row that found no answer, and what was said last.
#[derive(Default)]
struct Eyes {
    in_vain: BTreeMap<(String, String), u32>,
    said: Sees,
}

impl Eyes {
    /// Report about the endpoints whose `hosts` are known.
    fn see(&mut self, routes: &Routes, addresses: &Addresses, hosts: &BTreeMap<String, Vec<Host>>, now: i64) -> Sees {
        let former = std::mem::take(&mut self.in_vain);
        let (mut sees, mut left) = (Sees::new(), MOST);
        for (uid, route) in routes.iter() {
            let hosts = hosts.get(&route.cluster()).map_or(&[][..], Vec::as_slice);
            for endpoint in &route.endpoints {
                let Some(answers) = answers(route, endpoint, addresses, hosts) else { continue };
                let name = (uid.clone(), endpoint.name.clone());
                let in_vain = if answers { 0 } else { former.get(&name).map_or(1, |known| known.saturating_add(1)) };
                let said = self.said.get(uid).and_then(|of| of.get(&endpoint.name)).copied();
                self.in_vain.extend((in_vain > 0).then_some((name, in_vain)));
                let answers = match in_vain {
                    0 => true,
                    1..ENOUGH => match said {
                        Some(said) => said.answers,
                        None => continue,
                    },
                    _ => false,
                };
                if left == 0 || answers && endpoint.asked.is_nothing() {
                    continue;
                }
                left -= 1;
                let lacks_token = endpoint.lacks_token();
                let is_known = |said: &Answering| said.answers == answers && said.lacks_token == lacks_token;
                let sight = said.filter(is_known).unwrap_or(Answering { answers, since: now, lacks_token });
                sees.entry(uid.clone()).or_default().insert(endpoint.name.clone(), sight);
            }
        }
        self.said.clone_from(&sees);
        sees
    }
}

/// True if an active endpoint, or one that stands by, passes Envoy's health checks at one of its addresses; `None` if Envoy does
/// not check it. An endpoint that lacks its token counts as one that does not answer.
fn answers(route: &Route, endpoint: &Endpoint, addresses: &Addresses, hosts: &[Host]) -> Option<bool> {
    if !matches!(endpoint.state, State::Active | State::Standby) {
        return None;
    }
    if endpoint.lacks_token() {
        return Some(false);
    }
    let is_checked = route.health_path.is_some() && endpoint.prefix.is_empty();
    if !is_checked {
        return None;
    }
    let own = hosts_of_endpoint(endpoint, addresses);
    let mut known = hosts.iter().filter(|host| own.contains(&host.address)).peekable();
    known.peek()?;
    Some(known.any(|host| !host.unhealthy))
}

/// True if the operator asks steadily about an endpoint.
#[must_use]
pub fn is_asked_steadily(routes: &Routes) -> bool {
    routes.values().flat_map(|route| &route.endpoints).any(|endpoint| endpoint.asked == WitnessRequest::Steadily)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use roadstead_gateway::{Credential, Key, TokenSource};
    use serde_json::json;

    use super::*;

    fn routes(asked: &str, state: &str) -> Routes {
        let route: Route = serde_json::from_value(json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 4, "model": "m", "callers": [],
            "healthPath": "/health", "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "endpoints": [{"name": "a", "scheme": "http", "host": "192.0.2.1", "port": 1, "weight": 1, "state": state, "asked": asked}],
        }))
        .unwrap();
        Arc::new([(route.uid.clone(), route)].into())
    }

    fn seen(eyes: &mut Eyes, routes: &Routes, unhealthy: bool, now: i64) -> Option<(bool, i64)> {
        let host = Host { address: "192.0.2.1:1".to_owned(), active: 0, ejected: false, unhealthy };
        let hosts = BTreeMap::from([("team/llama".to_owned(), vec![host])]);
        let addresses = Addresses::from([("192.0.2.1".to_owned(), vec!["192.0.2.1".parse().unwrap()])]);
        let sees = eyes.see(routes, &addresses, &hosts, now);
        sees.get("d")?.get("a").map(|sight| (sight.answers, sight.since))
    }

    #[test]
    fn what_answers_is_said_where_it_is_asked_and_what_does_not_everywhere() {
        let (mut eyes, nothing) = (Eyes::default(), routes("Nothing", "Active"));
        assert_eq!(seen(&mut eyes, &nothing, false, 10), None);
        assert_eq!(seen(&mut eyes, &nothing, true, 12), None, "one look in vain is none");
        assert_eq!(seen(&mut eyes, &nothing, true, 14), Some((false, 14)));
        assert_eq!(seen(&mut eyes, &nothing, true, 16), Some((false, 14)), "nothing new");
        assert_eq!(seen(&mut eyes, &nothing, false, 18), None);
        for asked in ["Changes", "Steadily"] {
            assert_eq!(seen(&mut Eyes::default(), &routes(asked, "Active"), false, 10), Some((true, 10)), "{asked}");
        }
    }

    #[test]
    fn an_answer_is_said_at_once_and_the_lack_of_one_after_two_looks() {
        let (mut eyes, asked) = (Eyes::default(), routes("Changes", "Active"));
        assert_eq!(seen(&mut eyes, &asked, true, 10), None, "it has not been checked yet");
        assert_eq!(seen(&mut eyes, &asked, false, 12), Some((true, 12)));
        assert_eq!(seen(&mut eyes, &asked, true, 14), Some((true, 12)));
        assert_eq!(seen(&mut eyes, &asked, true, 16), Some((false, 16)));
        assert_eq!(seen(&mut eyes, &asked, false, 18), Some((true, 18)));
    }

    #[test]
    fn an_endpoint_that_lacks_its_token_is_reported_until_it_has_one() {
        let at_sagemaker = |key: Option<&str>| {
            let mut routes = routes("Nothing", "Active");
            let endpoint = &mut Arc::get_mut(&mut routes).unwrap().get_mut("d").unwrap().endpoints[0];
            endpoint.prefix = "/endpoints/a/openai".to_owned();
            endpoint.token = Some(TokenSource::SageMaker { region: "eu-west-1".to_owned(), role: None });
            let credential =
                |key| Credential { header: "authorization".into(), word: "Bearer".into(), key: Key::new(key) };
            endpoint.credential = key.map(credential);
            routes
        };
        let (mut eyes, nothing) = (Eyes::default(), BTreeMap::new());
        let mut seen = |key, now| {
            let sees = eyes.see(&at_sagemaker(key), &Addresses::new(), &nothing, now);
            sees.get("d").and_then(|of| of.get("a").copied())
        };
        let missing = Answering { answers: false, since: 12, lacks_token: true };
        assert_eq!([seen(None, 10), seen(None, 12), seen(None, 14)], [None, Some(missing), Some(missing)]);
        assert_eq!(seen(Some("token"), 16), None, "Envoy does not check it, so nothing more is known");
    }

    #[test]
    fn an_endpoint_that_takes_no_requests_is_not_looked_at() {
        for state in ["Draining", "Verifying"] {
            let mut eyes = Eyes::default();
            let asked = routes("Steadily", state);
            assert_eq!([1, 2, 3].map(|now| seen(&mut eyes, &asked, true, now)), [None; 3], "{state}");
        }
        assert!(is_asked_steadily(&routes("Steadily", "Active")) && !is_asked_steadily(&routes("Changes", "Active")));
    }
}
