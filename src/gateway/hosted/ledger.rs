//! The cost of hosted models in the present hour, and what follows from it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadstead_gateway::{HostedModel, HostedUse, HostedUseState, HostedUses, Route, State};
use serde::{Deserialize, Serialize};

use crate::gateway::Routes;

/// Seconds of an hour.
const HOUR: i64 = 3600;
/// Seconds for which a request counts as in flight after the last line of the log: its end may be lost with Envoy.
const LONGEST_REQUEST: i64 = HOUR;
/// Bytes of a request, and of an answer, for which one token is counted where the answer states none. An event of a stream has
/// some two hundred bytes.
const BYTES_OF_TOKEN: (u64, u64) = (4, 100);

/// The end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Status of the answer; 0 where there was none.
    pub status: u16,
    /// Tokens of the request and of the answer, where the answer states them.
    pub tokens: Option<(u64, u64)>,
    /// Bytes of the bodies of the request and of the answer.
    pub bytes: (u64, u64),
}

/// Use of one hosted model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostedAccount {
    /// Beginning of the hour, in seconds since the epoch.
    hour: i64,
    /// Micro-dollars in that hour.
    spent: u64,
    /// Requests in flight.
    #[serde(skip)]
    in_flight: u64,
    /// Time of the last beginning or end of a request, in seconds since the epoch.
    #[serde(skip)]
    latest: Option<i64>,
    /// Beginning of the present service, in seconds since the epoch.
    #[serde(skip)]
    since: Option<i64>,
}

impl HostedAccount {
    fn spent_in(&self, now: i64) -> u64 {
        if self.hour == hour_of(now) { self.spent } else { 0 }
    }

    fn serves(&self, now: i64, quiet: i64) -> bool {
        let longest = if self.in_flight > 0 { LONGEST_REQUEST } else { quiet };
        self.latest.is_some_and(|latest| now - latest < longest)
    }
}

const fn hour_of(now: i64) -> i64 {
    now - now.rem_euclid(HOUR)
}

/// The accounts of all hosted models, by the name of their way.
pub struct HostedLedger {
    accounts: BTreeMap<String, HostedAccount>,
    models: BTreeMap<String, HostedModel>,
    /// Seconds without a request after which a hosted model no longer serves.
    quiet: i64,
}

impl HostedLedger {
    /// The ledger with what was noted before. After `quiet` seconds without a request, a model no longer serves.
    #[must_use]
    pub const fn new(accounts: BTreeMap<String, HostedAccount>, quiet: i64) -> Self {
        Self { accounts, models: BTreeMap::new(), quiet }
    }

    /// The accounts, to be noted.
    #[must_use]
    pub const fn accounts(&self) -> &BTreeMap<String, HostedAccount> {
        &self.accounts
    }

    /// Takes the models of these routes in. A model that is gone keeps its account until its hour ends, for it may return.
    pub fn take(&mut self, routes: &Routes, now: i64) {
        self.models = models(routes).map(|(_, name, model)| (name, model.clone())).collect();
        let (models, quiet) = (&self.models, self.quiet);
        self.accounts.retain(|name, account| models.contains_key(name) || account.hour == hour_of(now));
        for account in self.accounts.values_mut().filter(|account| !account.serves(now, quiet)) {
            account.since = None;
        }
    }

    /// A request began.
    pub fn began(&mut self, name: &str, now: i64) {
        let account = self.account(name, now);
        account.in_flight += 1;
        account.latest = Some(now);
        account.since.get_or_insert(now);
    }

    /// Envoy refused a request that had begun: the vendor saw nothing of it.
    pub fn refused(&mut self, name: &str) {
        if let Some(account) = self.accounts.get_mut(name) {
            account.in_flight = account.in_flight.saturating_sub(1);
        }
    }

    /// A request ended; returns the micro-dollars that it is charged. An answer that states no usage is charged by its bytes, and at
    /// least its even share of the ceiling; a refusal of the vendor nothing.
    pub fn ended(&mut self, name: &str, usage: Usage, now: i64) -> u64 {
        let model = self.models.get(name);
        let charge = match (usage, model) {
            (Usage { tokens: Some((input, output)), .. }, Some(model)) => model.price.of(input, output),
            (Usage { status: 0 | 200..300, bytes: (sent, got), .. }, Some(model)) => {
                let by_bytes = model.price.of(sent / BYTES_OF_TOKEN.0, got / BYTES_OF_TOKEN.1);
                by_bytes.max(model.ceiling.even_charge())
            }
            _ => 0,
        };
        let account = self.account(name, now);
        account.in_flight = account.in_flight.saturating_sub(1);
        account.latest = Some(now);
        account.spent = account.spent.saturating_add(charge);
        charge
    }

    fn account(&mut self, name: &str, now: i64) -> &mut HostedAccount {
        let account = self.accounts.entry(name.to_owned()).or_default();
        if account.hour != hour_of(now) {
            account.hour = hour_of(now);
            account.spent = 0;
        }
        account
    }

    fn has_reached(&self, name: &str, model: &HostedModel, now: i64) -> bool {
        let spent = self.accounts.get(name).map_or(0, |account| account.spent_in(now));
        spent >= model.ceiling.share_of_dollars()
    }

    /// The routes, in which the models that have reached their ceilings take no new request.
    #[must_use]
    pub fn open(&self, routes: &Routes, now: i64) -> Routes {
        if models(routes).all(|(_, name, model)| !self.has_reached(&name, model, now)) {
            return Arc::clone(routes);
        }
        let mut open = routes.as_ref().clone();
        for route in open.values_mut() {
            let reached: Vec<bool> =
                route.hosted.iter().map(|model| self.has_reached(&route.way(model), model, now)).collect();
            for (model, _) in route.hosted.iter_mut().zip(reached).filter(|(_, reached)| *reached) {
                model.access.state = State::Draining;
            }
        }
        Arc::new(open)
    }

    /// The use of the models, by deployment.
    #[must_use]
    pub fn uses(&self, routes: &Routes, now: i64) -> HostedUses {
        let mut uses = HostedUses::new();
        for (route, name, model) in models(routes) {
            let account = self.accounts.get(&name);
            let present = if self.has_reached(&name, model, now) {
                Some(HostedUse { state: HostedUseState::CeilingReached, since: hour_of(now) })
            } else {
                let serving =
                    account.filter(|account| account.serves(now, self.quiet)).and_then(|account| account.since);
                serving.map(|since| HostedUse { state: HostedUseState::Serving, since })
            };
            if let Some(present) = present {
                uses.entry(route.uid.clone()).or_default().insert(model.access.name.clone(), present);
            }
        }
        uses
    }

    /// Seconds until something changes by time alone: a model becomes quiet, or the hour ends.
    #[must_use]
    pub fn next(&self, now: i64) -> i64 {
        let quiet = self.accounts.values().filter_map(|account| account.latest).map(|latest| latest + self.quiet - now);
        let hour = hour_of(now) + HOUR - now;
        quiet.filter(|left| *left > 0).chain([hour]).min().unwrap_or(hour).max(1)
    }
}

fn models(routes: &BTreeMap<String, Route>) -> impl Iterator<Item = (&Route, String, &HostedModel)> {
    routes.values().flat_map(|route| route.hosted.iter().map(move |model| (route, route.way(model), model)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAME: &str = "team/llama/hosted:vendor";

    /// A ceiling of $6 an hour and 60 requests a minute, which two gateways divide.
    fn routes() -> Routes {
        let route = json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 1, "model": "m", "callers": [], "endpoints": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "hosted": [{
                "access": {"name": "hosted:vendor", "scheme": "https", "host": "api.vendor.example", "port": 443, "weight": 1, "state": "Active"},
                "ceiling": {"requestsPerMinute": 60, "hourlyMicroDollars": 6_000_000, "gateways": 2},
                "price": {"input": 1_000_000, "output": 2_000_000}, "streamUsage": true,
            }],
        });
        Arc::new(BTreeMap::from([("d".to_owned(), serde_json::from_value(route).unwrap())]))
    }

    fn ledger() -> HostedLedger {
        let mut ledger = HostedLedger::new(BTreeMap::new(), 30);
        ledger.take(&routes(), 0);
        ledger
    }

    fn answer(tokens: Option<(u64, u64)>) -> Usage {
        Usage { status: 200, tokens, bytes: (0, 0) }
    }

    fn is_open(ledger: &HostedLedger, now: i64) -> bool {
        ledger.open(&routes(), now)["d"].hosted[0].is_open()
    }

    #[test]
    fn an_answer_is_charged_its_tokens_or_its_even_share_and_a_refusal_nothing() {
        let mut ledger = ledger();
        assert_eq!(ledger.ended(NAME, answer(Some((1_000, 500))), 10), 2_000);
        assert_eq!(ledger.ended(NAME, answer(None), 10), 1_667, "$6 over 3,600 requests");
        assert_eq!(
            ledger.ended(NAME, Usage { status: 0, tokens: None, bytes: (0, 0) }, 10),
            1_667,
            "the caller left: it may be billed"
        );
        let long = Usage { status: 200, tokens: None, bytes: (40_000, 2_000_000) };
        assert_eq!(ledger.ended(NAME, long, 10), 50_000, "10,000 tokens at $1 and 20,000 at $2 per million");
        assert_eq!(ledger.ended(NAME, Usage { status: 429, tokens: None, bytes: (0, 0) }, 10), 0);
    }

    #[test]
    fn a_model_closes_when_this_gateways_share_is_spent_and_opens_with_the_next_hour() {
        let mut ledger = ledger();
        ledger.ended(NAME, answer(Some((2_999_999, 0))), 100);
        assert!(is_open(&ledger, 100));
        ledger.ended(NAME, answer(Some((1, 0))), 101);
        assert!(!is_open(&ledger, 3_599), "half of $6");
        assert_eq!(ledger.uses(&routes(), 200)["d"]["hosted:vendor"].state, HostedUseState::CeilingReached);
        assert!(is_open(&ledger, 3_600));
        ledger.ended(NAME, answer(Some((1, 0))), 3_601);
        assert!(is_open(&ledger, 3_602), "the new hour begins with nothing");
    }

    #[test]
    fn it_serves_from_the_first_request_until_half_a_minute_after_the_last_one() {
        let mut ledger = ledger();
        let mut serving = |act: fn(&mut HostedLedger, i64), now: i64| {
            act(&mut ledger, now);
            ledger.take(&routes(), now);
            ledger.uses(&routes(), now).get("d").map(|of| of["hosted:vendor"].since)
        };
        let nothing: fn(&mut HostedLedger, i64) = |_, _| {};
        assert_eq!(serving(nothing, 10), None);
        assert_eq!(serving(|ledger, now| ledger.began(NAME, now), 20), Some(20));
        assert_eq!(serving(nothing, 500), Some(20), "a long stream is in flight");
        assert_eq!(serving(|ledger, now| assert_eq!(ledger.ended(NAME, answer(None), now), 1_667), 510), Some(20));
        assert_eq!(serving(nothing, 539), Some(20));
        assert_eq!(serving(nothing, 540), None);
        assert_eq!(serving(|ledger, now| ledger.began(NAME, now), 600), Some(600), "another time");
    }

    #[test]
    fn a_request_whose_end_is_lost_does_not_serve_for_ever() {
        let mut ledger = ledger();
        ledger.began(NAME, 10);
        assert!(!ledger.uses(&routes(), 3_609).is_empty());
        assert!(ledger.uses(&routes(), 3_610).is_empty());
    }

    #[test]
    fn a_request_that_envoy_refused_is_not_in_flight() {
        let mut ledger = ledger();
        ledger.began(NAME, 10);
        ledger.refused(NAME);
        assert!(ledger.uses(&routes(), 40).is_empty());
    }

    #[test]
    fn a_restarted_process_goes_on_with_what_was_spent() {
        let mut before = ledger();
        before.ended(NAME, answer(Some((3_000_000, 0))), 100);
        let text = serde_json::to_string(before.accounts()).unwrap();
        let mut after = HostedLedger::new(serde_json::from_str(&text).unwrap(), 30);
        after.take(&routes(), 200);
        assert!(!is_open(&after, 200));
    }

    #[test]
    fn it_looks_again_when_a_model_becomes_quiet_or_the_hour_ends() {
        let mut ledger = ledger();
        assert_eq!(ledger.next(3_000), 600);
        ledger.began(NAME, 3_000);
        assert_eq!(ledger.next(3_001), 29);
        assert_eq!(ledger.next(3_031), 569);
    }
}
