use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Method;
use roadstead_provider::Redacted;
use roadstead_provider::address;
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::authorize::Bearer;
use crate::base::Insecure;
use crate::pace::Pace;
use crate::profile::class_of_status;
use crate::transport::ServiceRoute;

const TOKEN: &str = "token-canary-0123456789";

#[derive(Deserialize)]
struct Envelope {
    code: String,
    message: String,
}

const PROFILE: ServiceProfile = ServiceProfile {
    name: "example",
    title: "Example",
    deadline: Duration::from_secs(10),
    max_answer_bytes: 4096,
    paces: &[],
    request_id: "x-request-id",
    read_error: |_, body| {
        let Envelope { code, message } = serde_json::from_slice(body).ok()?;
        Some(ErrorEnvelope { code, message })
    },
    rights: &[("things.read", &["Describe"])],
    class: |status, envelope| match envelope.code.as_str() {
        "NoRoom" => ErrorClass::CapacityExhausted,
        _ => class_of_status(status),
    },
};

/// The calls that were counted: operation and code.
#[derive(Default)]
struct Counted(Mutex<Vec<(&'static str, &'static str)>>);

impl ServiceMeter for Counted {
    fn requested(&self, service: &'static str, operation: &'static str, code: &'static str) {
        assert_eq!(service, "example");
        self.0.lock().unwrap().push((operation, code));
    }
}

/// A service, what it was sent, and a client of it.
struct Rig {
    client: RestClient,
    counted: Arc<Counted>,
    asked: Arc<Mutex<Vec<Request<()>>>>,
}

impl Rig {
    fn counted(&self) -> Vec<(&'static str, &'static str)> {
        self.counted.0.lock().unwrap().clone()
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn read(&self) -> Result<RestAnswer, RestFailure> {
        self.client.call(RestCall::new("Describe", CallEffect::Reads, Method::GET, "/things/a?b=c")).await
    }

    async fn failure(&self) -> RestFailure {
        self.read().await.expect_err("it is refused")
    }
}

type Served = (fn() -> Response, Arc<Mutex<Vec<Request<()>>>>);

async fn rig(answer: fn() -> Response) -> Rig {
    rig_of(PROFILE, || true, answer).await
}

async fn rig_of(profile: ServiceProfile, gate: fn() -> bool, answer: fn() -> Response) -> Rig {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::<Mutex<Vec<Request<()>>>>::default();
    let serve = |State((answer, asked)): State<Served>, request: Request<Body>| async move {
        asked.lock().unwrap().push(request.map(drop));
        answer()
    };
    let app = Router::new().fallback(serve).with_state((answer, Arc::clone(&asked)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let (client, counted) = client(profile, &base, gate);
    Rig { client, counted, asked }
}

fn client(profile: ServiceProfile, base: &str, gate: fn() -> bool) -> (RestClient, Arc<Counted>) {
    let counted = Arc::<Counted>::default();
    let client = RestClient::new(ClientParts {
        profile,
        base: BaseUrl::parse(base, Insecure::Allowed).unwrap(),
        transport: Transport::new(ServiceRoute { authorities: String::new(), reach: address::anywhere }),
        credentials: Arc::new(Bearer::new(Redacted::new(TOKEN.to_owned()))),
        gate: Arc::new(gate),
        meter: Arc::clone(&counted) as Arc<dyn ServiceMeter>,
        clock: Clock::system(),
    });
    (client, counted)
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({"code": code, "message": message}).to_string();
    (StatusCode::from_u16(status).unwrap(), [("x-request-id", "id-7")], body).into_response()
}

#[tokio::test]
async fn a_call_carries_the_credentials_and_returns_the_answer() {
    let rig = rig(|| r#"{"name": "a"}"#.into_response()).await;
    let answer: serde_json::Value = rig.read().await.unwrap().json().unwrap();
    assert_eq!(answer["name"], "a");
    let asked = rig.asked.lock().unwrap().pop().unwrap();
    assert_eq!(asked.uri().to_string(), "/things/a?b=c");
    assert_eq!(asked.headers()["authorization"], format!("Bearer {TOKEN}"));
    assert!(asked.headers()["user-agent"].to_str().unwrap().starts_with("roadstead/"));
    assert_eq!(rig.counted(), [("Describe", "2xx")]);
}

#[tokio::test]
async fn a_refusal_has_the_services_words_its_class_and_the_id_of_the_request() {
    let failure = rig(|| refusal(400, "NoRoom", "no instances left")).await.failure().await;
    assert_eq!(failure.error.class, ErrorClass::CapacityExhausted);
    assert_eq!(failure.error.message, "Example Describe: NoRoom: no instances left; HTTP 400, request id-7");
    assert_eq!((failure.code(), failure.message()), ("NoRoom", "no instances left"));
}

#[tokio::test]
async fn a_refusal_for_a_missing_right_names_it_once() {
    let vague = rig(|| refusal(403, "Forbidden", "no")).await.failure().await;
    let named = "Example Describe: Forbidden: no; the credentials need the right things.read; HTTP 403, request id-7";
    assert_eq!(vague.error.message, named);
    let exact = rig(|| refusal(403, "Forbidden", "things.read is missing")).await.failure().await;
    assert_eq!(exact.error.message, "Example Describe: Forbidden: things.read is missing; HTTP 403, request id-7");
    // Credentials that the service does not know lack more than a right.
    let unknown = rig(|| refusal(401, "Unauthorized", "no")).await.failure().await;
    assert_eq!(unknown.error.message, "Example Describe: Unauthorized: no; HTTP 401, request id-7");
}

#[tokio::test]
async fn a_long_refusal_is_cut_before_the_id_of_the_request() {
    let failure = rig(|| refusal(422, "", &"x".repeat(2000))).await.failure().await;
    assert_eq!(failure.error.class, ErrorClass::Invalid);
    assert!(failure.error.message.ends_with("…; HTTP 422, request id-7"), "{failure}");
    assert!(failure.error.message.len() <= roadstead_runtime::text::MAX_BYTES);
}

#[tokio::test]
async fn a_refusal_does_not_repeat_the_token() {
    let failure = rig(|| refusal(401, "Denied", &format!("{TOKEN} has expired"))).await.failure().await;
    assert_eq!(failure.error.class, ErrorClass::Unauthorized);
    assert!(failure.error.message.contains("has expired") && !failure.error.message.contains("canary"), "{failure}");
}

#[tokio::test]
async fn the_pause_that_a_service_asks_for_is_passed_on() {
    let throttled = || {
        let mut response = refusal(429, "Slow", "slow down");
        response.headers_mut().insert("retry-after", HeaderValue::from_static("7"));
        response
    };
    let after = Some(Duration::from_secs(7));
    assert_eq!(rig(throttled).await.failure().await.error.class, ErrorClass::Throttled { after });
}

#[tokio::test]
async fn an_answer_that_is_not_the_services_own_proves_nothing() {
    for (status, class) in [
        (404, ErrorClass::Transient),
        (403, ErrorClass::Transient),
        (502, ErrorClass::Transient),
        (429, ErrorClass::Throttled { after: None }),
    ] {
        let answer: fn() -> Response = match status {
            404 => || (StatusCode::NOT_FOUND, "<html>").into_response(),
            403 => || (StatusCode::FORBIDDEN, "<html>").into_response(),
            502 => || (StatusCode::BAD_GATEWAY, "<html>").into_response(),
            _ => || (StatusCode::TOO_MANY_REQUESTS, "<html>").into_response(),
        };
        let failure = rig(answer).await.failure().await;
        assert_eq!(failure.error.class, class, "{status}");
        assert!(!failure.error.message.contains("html"), "{failure}");
    }
}

#[tokio::test]
async fn an_unexpected_answer_is_not_quoted() {
    let rig = rig(|| r#"{"name": "canary"}"#.into_response()).await;
    let failure = rig.read().await.unwrap().json::<Vec<String>>().unwrap_err();
    assert_eq!(failure.error.class, ErrorClass::Transient);
    assert!(
        failure.error.message.contains("line 1, column 0") && !failure.error.message.contains("canary"),
        "{failure}"
    );
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let rig = rig(|| (StatusCode::TEMPORARY_REDIRECT, [("location", "http://169.254.169.254/")]).into_response()).await;
    assert_eq!(rig.failure().await.error.class, ErrorClass::Transient);
    assert_eq!(rig.counted(), [("Describe", "3xx")]);
}

#[tokio::test]
async fn longer_answers_are_not_read() {
    let failure = rig(|| "x".repeat(5000).into_response()).await.failure().await;
    assert_eq!((failure.error.class, failure.status), (ErrorClass::Transient, None));
    assert!(failure.error.message.contains("cannot read the answer"), "{failure}");
}

#[tokio::test]
async fn a_write_is_not_sent_without_the_lease_and_a_read_is() {
    let rig = rig_of(PROFILE, || false, || "{}".into_response()).await;
    let write = RestCall::new("Create", CallEffect::Writes, Method::POST, "/things");
    let failure = rig.client.call(write).await.unwrap_err();
    assert!(failure.error.message.contains("not the leader"), "{failure}");
    assert_eq!(rig.asked(), 0);
    rig.read().await.unwrap();
    assert_eq!(rig.asked(), 1);
}

#[tokio::test]
async fn one_deadline_bounds_a_call_that_is_never_answered() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let profile = ServiceProfile { deadline: Duration::from_millis(50), ..PROFILE };
    let (client, counted) = client(profile, &base, || true);
    let failure = client.call(RestCall::new("Describe", CallEffect::Reads, Method::GET, "/")).await.unwrap_err();
    assert_eq!((failure.error.class, failure.status), (ErrorClass::Transient, None));
    assert!(failure.error.message.contains("no answer within"), "{failure}");
    assert_eq!(*counted.0.lock().unwrap(), [("Describe", UNANSWERED)]);
}

/// A server that answers the first request of each connection and cuts the connection at the second one.
async fn cutting_server() -> (String, Arc<Mutex<usize>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::<Mutex<usize>>::default();
    let count = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut first = true;
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                *count.lock().unwrap() += 1;
                if !std::mem::take(&mut first) {
                    break;
                }
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
            }
        }
    });
    (base, requests)
}

#[tokio::test]
async fn a_call_whose_connection_is_cut_is_not_repeated() {
    let (base, requests) = cutting_server().await;
    let (client, _) = client(PROFILE, &base, || true);
    let write = || RestCall::new("Create", CallEffect::Writes, Method::POST, "/things");
    client.call(write()).await.unwrap();
    let failure = client.call(write()).await.unwrap_err();
    assert_eq!((failure.error.class, failure.status), (ErrorClass::Transient, None));
    assert_eq!(*requests.lock().unwrap(), 2, "each call was sent once");
}

#[tokio::test]
async fn a_service_does_not_lead_to_the_operator_itself() {
    let rig = rig(|| "{}".into_response()).await;
    let parts = ClientParts {
        transport: Transport::new(ServiceRoute { authorities: String::new(), reach: address::elsewhere }),
        base: rig.client.parts.base.clone(),
        credentials: Arc::clone(&rig.client.parts.credentials),
        gate: Arc::new(|| true),
        meter: Arc::new(()),
        clock: Clock::system(),
        profile: PROFILE,
    };
    let call = RestCall::new("Describe", CallEffect::Reads, Method::GET, "/");
    let failure = RestClient::new(parts).call(call).await.unwrap_err();
    assert!(failure.error.message.contains("loopback"), "{failure}");
    assert_eq!(rig.asked(), 0);
}

#[tokio::test]
async fn a_call_beyond_the_rate_of_the_service_is_not_sent() {
    const SLOW: &[Pace] = &[Pace { operations: &[], rate: RateLimit { burst: 1, interval: Duration::from_mins(1) } }];
    let rig = rig_of(ServiceProfile { paces: SLOW, ..PROFILE }, || true, || "{}".into_response()).await;
    rig.read().await.unwrap();
    let failure = rig.failure().await;
    assert!(matches!(failure.error.class, ErrorClass::Throttled { after: Some(_) }), "{failure:?}");
    assert!(failure.error.message.contains("not sent"), "{failure}");
    assert_eq!(rig.asked(), 1);
}
