//! The whole stage in virtual time.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use roadstead_gateway::{Key, Route};
use serde_json::json;

use super::*;

const LIFE: i64 = 3600;

/// Makes tokens that tell their begin, and counts.
struct Press {
    clock: Clock,
    away: AtomicBool,
    hangs: AtomicBool,
    causes: Mutex<Vec<MintCause>>,
}

#[async_trait]
impl Mint for Press {
    async fn mint(&self, _: &TokenSource, cause: MintCause) -> Result<MintedToken, String> {
        self.causes.lock().unwrap().push(cause);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err("no identity".to_owned());
        }
        let now = self.clock.wall().as_second();
        let at = |second| Timestamp::from_second(second).unwrap();
        Ok(MintedToken { key: Key::new(now.to_string()), from: at(now), until: at(now + LIFE) })
    }
}

/// A stage that runs, and everything around it.
struct Ground {
    press: Arc<Press>,
    clock: Clock,
    raw: watch::Sender<Option<Routes>>,
    refused: mpsc::Sender<EndpointName>,
    filled: watch::Receiver<Option<Routes>>,
    metrics: Arc<Metrics>,
}

impl Ground {
    fn start(away: bool, hangs: bool) -> Self {
        let clock = Clock::set_to(Timestamp::from_second(1_000_000).unwrap());
        let press = Press { clock, away: away.into(), hangs: hangs.into(), causes: Mutex::default() };
        let press = Arc::new(press);
        let (raw, raw_out) = watch::channel(None);
        let (refused, refused_out) = mpsc::channel(MOST_REFUSALS);
        let (filled_in, filled) = watch::channel(None);
        let metrics = Arc::new(Metrics::default());
        let stage = TokenStage {
            raw: raw_out,
            refused: refused_out,
            mint: Arc::clone(&press) as Arc<dyn Mint>,
            metrics: Arc::clone(&metrics),
            clock,
            offset: RenewalOffset::of(500),
            filled: filled_in,
        };
        tokio::spawn(stage.run());
        Self { press, clock, raw, refused, filled, metrics }
    }

    fn show(&self, routes: Routes) {
        self.raw.send_replace(Some(routes));
    }

    /// The credential of the endpoint `a` in the routes that are passed on.
    fn credential(&self) -> Option<String> {
        let routes = self.filled.borrow().clone()?;
        Some(routes["d"].endpoint("a")?.credential.as_ref()?.value())
    }

    /// The second in which the token in use was minted, if it is valid now.
    fn valid(&self) -> bool {
        let now = self.clock.wall().as_second();
        let credential = self.credential();
        let minted = credential.as_ref().and_then(|text| text.strip_prefix("Bearer ")?.parse::<i64>().ok());
        minted.is_some_and(|minted| minted <= now && now < minted + LIFE)
    }

    fn causes(&self) -> Vec<MintCause> {
        self.press.causes.lock().unwrap().clone()
    }

    async fn pass(seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

fn routes(revision: u64, endpoints: &[serde_json::Value]) -> Routes {
    let route: Route = serde_json::from_value(json!({
        "namespace": "team", "name": "llama", "uid": "d", "revision": revision, "model": "m", "callers": [],
        "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1}, "endpoints": endpoints,
    }))
    .unwrap();
    Arc::new([(route.uid.clone(), route)].into())
}

fn keyed() -> serde_json::Value {
    json!({"name": "b", "scheme": "http", "host": "192.0.2.2", "port": 1, "weight": 1, "state": "Active",
           "credential": {"header": "authorization", "word": "Bearer", "key": "key-of-b"}})
}

fn minted() -> serde_json::Value {
    json!({"name": "a", "scheme": "https", "host": "192.0.2.1", "port": 443, "weight": 1, "state": "Active",
           "token": {"type": "SageMaker", "region": "eu-west-1"}})
}

#[tokio::test(start_paused = true)]
async fn two_hours_without_the_hub_and_half_an_hour_without_an_identity_have_a_valid_token_in_every_second() {
    let ground = Ground::start(false, false);
    ground.show(routes(1, &[minted(), keyed()]));
    Ground::pass(1).await;
    for second in 0..7200 {
        ground.press.away.store((3000..4200).contains(&second), Ordering::SeqCst);
        assert!(ground.valid(), "at {second}: {:?}", ground.credential());
        Ground::pass(1).await;
    }
    let routes = ground.filled.borrow().clone().unwrap();
    assert_eq!(routes["d"].endpoint("b").unwrap().credential.as_ref().unwrap().value(), "Bearer key-of-b");
}

#[tokio::test(start_paused = true)]
async fn routes_wait_for_the_first_token_and_not_for_long() {
    let ground = Ground::start(false, true);
    ground.show(routes(1, &[minted(), keyed()]));
    Ground::pass(4).await;
    assert!(ground.filled.borrow().is_none(), "Envoy serves with the files of a former process meanwhile");
    Ground::pass(2).await;
    let passed_on = ground.filled.borrow().clone().unwrap();
    assert!(passed_on["d"].endpoint("a").unwrap().lacks_token() && passed_on["d"].serves(), "others serve");
    ground.press.hangs.store(false, Ordering::SeqCst);
    Ground::pass(30).await;
    assert!(ground.valid());
}

#[tokio::test(start_paused = true)]
async fn routes_without_tokens_are_passed_on_at_once_and_unchanged() {
    let ground = Ground::start(true, true);
    let plain = routes(1, &[keyed()]);
    ground.show(Arc::clone(&plain));
    tokio::task::yield_now().await;
    assert!(Arc::ptr_eq(ground.filled.borrow().as_ref().unwrap(), &plain));
    assert!(ground.causes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_without_its_token_is_left_out_and_told() {
    let ground = Ground::start(true, false);
    ground.show(routes(1, &[minted(), keyed()]));
    Ground::pass(1).await;
    let progress = crate::gateway::keeper::Progress { routes: ground.filled.borrow().clone(), trouble: None };
    let told = ground.metrics.encode(&progress, &[].into(), &[].into(), &[].into()).unwrap();
    for line in [
        "token_missing{namespace=\"team\",deployment=\"llama\",endpoint=\"a\"} 1",
        "tokens_total{source=\"SageMaker\",result=\"failed\"} 1",
    ] {
        assert!(told.contains(line), "{line} is not in {told}");
    }
    assert!(!told.contains("token_missing{namespace=\"team\",deployment=\"llama\",endpoint=\"b\"}"));
    ground.press.away.store(false, Ordering::SeqCst);
    Ground::pass(20).await;
    assert!(ground.valid());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_renews_the_token_of_that_endpoint_once() {
    let ground = Ground::start(false, false);
    ground.show(routes(1, &[minted(), keyed()]));
    Ground::pass(60).await;
    let first = ground.credential();
    let name = |endpoint: &str| ("team/llama".to_owned(), endpoint.to_owned());
    ground.refused.send(name("b")).await.unwrap();
    Ground::pass(1).await;
    assert_eq!(ground.causes(), [MintCause::Age], "its key is not minted here");
    for _ in 0..10 {
        ground.refused.send(name("a")).await.unwrap();
        Ground::pass(1).await;
    }
    assert_eq!(ground.causes(), [MintCause::Age, MintCause::Refusal]);
    assert!(ground.valid() && ground.credential() != first);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_routes_keeps_the_token() {
    let ground = Ground::start(false, false);
    ground.show(routes(1, &[minted()]));
    Ground::pass(60).await;
    let first = ground.credential();
    ground.show(routes(2, &[minted(), keyed()]));
    Ground::pass(1).await;
    assert_eq!((ground.credential(), ground.causes().len()), (first, 1));
    assert_eq!(ground.filled.borrow().as_ref().unwrap()["d"].revision, 2);
}
