#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use super::*;
use crate::hosted::{HostedCeiling, TokenPrice};
use crate::route::{
    Caller, Credential, EndpointProtocol, HostedModel, Key, Limits, RefusalMeaning, Scheme, ServiceLimits,
    ServiceRefusal, ShiftProgress, State, VerificationQuestion, WitnessRequest,
};
use crate::settings::{Listener, Paths, Tls};
use crate::token::TokenSource;

pub(crate) fn settings() -> Settings {
    Settings {
        listener: Listener {
            address: "0.0.0.0".to_owned(),
            port: 8080,
            tls: None,
            domain: None,
            shared: false,
            tokens: false,
            trusted_hops: 0,
            buffer_bytes: 8 << 20,
            max_connections: 20_000,
        },
        paths: Paths {
            files: "/run/roadstead".to_owned(),
            admin: "/run/roadstead/admin.sock".to_owned(),
            verification: "/run/roadstead/verification.sock".to_owned(),
            authorities: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
        },
        max_heap_bytes: 768 << 20,
        poll_millis: 1000,
        drain_seconds: 3600,
    }
}

pub(crate) fn endpoint(name: &str, host: &str, state: State) -> Endpoint {
    let credential = Credential {
        header: "authorization".to_owned(),
        word: "Bearer".to_owned(),
        key: Key::new(format!("key-of-{name}")),
    };
    Endpoint {
        name: name.to_owned(),
        scheme: Scheme::Http,
        host: host.to_owned(),
        port: 8000,
        prefix: String::new(),
        model: None,
        paths: Vec::new(),
        protocol: EndpointProtocol::OpenAi,
        authorities: None,
        credential: Some(credential),
        token: None,
        question: VerificationQuestion::Models,
        refusals: Vec::new(),
        limits: None,
        weight: 1,
        state,
        shift: None,
        asked: WitnessRequest::Nothing,
    }
}

pub(crate) fn route(name: &str, endpoints: Vec<Endpoint>) -> Route {
    Route {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        revision: 1,
        model: format!("{name}-model"),
        health_path: Some("/health".to_owned()),
        callers: vec![Caller { name: "alice".to_owned(), key: Key::new("key-of-alice") }],
        limits: Limits { first_byte_seconds: 600, idle_seconds: 300, max_request_bytes: 8 << 20 },
        endpoints,
        hosted: Vec::new(),
    }
}

/// A hosted model of two gateways.
pub(crate) fn hosted(target: &str, state: State) -> HostedModel {
    let mut access = endpoint(&format!("hosted:{target}"), "api.vendor.example", state);
    access.scheme = Scheme::Https;
    access.port = 443;
    access.prefix = "/compatibility".to_owned();
    access.model = Some("vendor-large".to_owned());
    HostedModel {
        access,
        ceiling: HostedCeiling { requests_per_minute: 61, hourly_micro_dollars: 5_000_000, gateways: 2 },
        price: TokenPrice { input: 150_000, output: 600_000 },
        stream_usage: true,
    }
}

pub(crate) fn addresses() -> Addresses {
    let of = |host: &str, all: &[&str]| (host.to_owned(), all.iter().map(|one| one.parse().unwrap()).collect());
    Addresses::from([
        of("198.51.100.7", &["198.51.100.7"]),
        of("198.51.100.8", &["198.51.100.8"]),
        of("llama.example.com", &["198.51.100.21", "198.51.100.22"]),
    ])
}

fn golden(case: &str, files: &Files) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(case);
    let mut expected = BTreeMap::new();
    for (file, content) in files.iter() {
        let value: Value = serde_json::from_str(&content.text()).unwrap();
        expected.insert(file.path(), serde_json::to_string_pretty(&value).unwrap() + "\n");
    }
    if std::env::var_os("ROADSTEAD_WRITE").is_some() {
        let _ = fs::remove_dir_all(&folder);
        for (path, text) in &expected {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    for (path, text) in expected {
        let found = fs::read_to_string(folder.join(&path)).unwrap_or_default();
        assert_eq!(found, text, "golden/{case}/{path} differs: ROADSTEAD_WRITE=1 writes it again; read its difference");
    }
}

#[test]
fn renders_a_deployment_in_the_middle_of_a_move() {
    let mut old = endpoint("llama-old", "198.51.100.7", State::Active);
    old.weight = 9;
    let new = endpoint("llama-new", "198.51.100.8", State::Verifying);
    golden("move", &render(&[route("llama", vec![old, new])], &addresses(), &settings()));
}

#[test]
fn a_shift_divides_the_weight_of_the_old_endpoint_and_leaves_the_others_theirs() {
    let mut route =
        route("llama", ["old", "new", "other"].map(|name| endpoint(name, "198.51.100.7", State::Active)).into());
    for (endpoint, weight) in route.endpoints.iter_mut().zip([4, 1, 2]) {
        endpoint.weight = weight;
    }
    let weights =
        |route: &Route| -> Vec<u32> { route.endpoints.iter().map(|endpoint| route.shared_weight(endpoint)).collect() };
    assert_eq!(weights(&route), [4, 1, 2]);
    route.endpoints[1].shift = Some(ShiftProgress { from: "old".to_owned(), percent: 25, step: 0, until: 0 });
    assert_eq!(weights(&route), [300, 100, 200]);
    route.endpoints[2].shift = Some(ShiftProgress { from: "old".to_owned(), percent: 75, step: 1, until: 0 });
    assert_eq!(weights(&route), [200, 50, 150], "two that replace one divide what it gives");
}

#[test]
fn renders_every_state_and_every_setting() {
    let mut secure = endpoint("llama-secure", "llama.example.com", State::Standby);
    secure.scheme = Scheme::Https;
    secure.port = 443;
    secure.authorities = Some("-----BEGIN CERTIFICATE-----\n".to_owned());
    secure.credential.as_mut().unwrap().header = "x-api-key".to_owned();
    secure.credential.as_mut().unwrap().word = String::new();
    let endpoints = vec![
        endpoint("llama-a", "198.51.100.7", State::Active),
        endpoint("llama-b", "198.51.100.8", State::Draining),
        secure,
        endpoint("llama-lost", "no-address.example.com", State::Active),
    ];
    let mut settings = settings();
    settings.listener.shared = true;
    settings.listener.tokens = true;
    settings.listener.domain = Some("models.example.com".to_owned());
    settings.listener.tls = Some(Tls { folder: "/etc/roadstead/tls".to_owned() });
    let qwen = Route { health_path: None, ..route("qwen", vec![endpoint("qwen-a", "198.51.100.7", State::Active)]) };
    golden("everything", &render(&[qwen, route("llama", endpoints)], &addresses(), &settings));
}

#[test]
fn renders_one_address_for_several_deployments() {
    let mut settings = settings();
    settings.listener.shared = true;
    settings.listener.domain = Some("models.example.com".to_owned());
    let mut llama = route("llama", vec![endpoint("llama-a", "198.51.100.7", State::Active)]);
    llama.callers.push(Caller { name: "bob".to_owned(), key: Key::new("key-of-bob") });
    let mut embed = route("embed", vec![endpoint("embed-a", "198.51.100.8", State::Active)]);
    embed.endpoints[0].credential = None;
    embed.endpoints[0].prefix = "/serve/embed".to_owned();
    embed.endpoints[0].model = Some("vendor/embed-large".to_owned());
    golden("shared", &render(&[llama, embed], &addresses(), &settings));
}

#[test]
fn renders_hosted_models_after_all_endpoints() {
    let mut llama = route(
        "llama",
        vec![endpoint("llama-a", "198.51.100.7", State::Active), endpoint("llama-b", "198.51.100.8", State::Standby)],
    );
    llama.hosted = vec![hosted("vendor", State::Active), hosted("other", State::Draining)];
    golden("hosted", &render(&[llama], &addresses(), &settings()));
}

#[test]
fn a_hosted_model_serves_where_no_endpoint_does_and_until_its_ceiling_is_reached() {
    let of = |state| Route { hosted: vec![hosted("vendor", state)], ..route("llama", Vec::new()) };
    assert!(of(State::Active).serves());
    assert!(!of(State::Draining).serves(), "callers get 503 at once");
}

#[test]
fn renders_a_gateway_without_deployments() {
    let mut settings = settings();
    settings.listener.shared = true;
    golden("empty", &render(&[], &addresses(), &settings));
}

/// An endpoint of SageMaker, with its token or without.
fn minted(name: &str, state: State, token: Option<&str>) -> Endpoint {
    let mut minted = endpoint(name, "198.51.100.7", state);
    minted.prefix = format!("/endpoints/{name}/openai");
    minted.token = Some(TokenSource::SageMaker { region: "eu-west-1".to_owned(), role: None });
    minted.question = VerificationQuestion::Completion;
    minted.credential = token.map(|token| Credential {
        header: "authorization".to_owned(),
        word: "Bearer".to_owned(),
        key: Key::new(token),
    });
    minted
}

#[test]
fn an_endpoint_takes_no_request_while_its_token_is_missing_and_its_cluster_stays_the_same() {
    let other = || endpoint("llama-b", "198.51.100.8", State::Active);
    let rendered = |token| {
        let all = vec![minted("llama-a", State::Active, token), other()];
        render(&[route("llama", all)], &addresses(), &settings())
    };
    let (before, after) = (rendered(None), rendered(Some("token-of-llama-a")));
    let text = |files: &Files, file: &File| files.get(file).unwrap().text();
    assert_eq!(text(&before, &File::Clusters), text(&after, &File::Clusters));
    let endpoints = File::Endpoints("uid-llama".to_owned());
    let health = |files: &Files| -> Vec<bool> {
        let value: Value = serde_json::from_str(&text(files, &endpoints)).unwrap();
        let hosts = value["resources"][0]["endpoints"][0]["lb_endpoints"].as_array().unwrap().clone();
        hosts.iter().map(|host| host["health_status"] == "HEALTHY").collect()
    };
    assert_eq!((health(&before), health(&after)), (vec![false, true], vec![true, true]));
    assert!(text(&after, &endpoints).contains("Bearer token-of-llama-a"));
    let alone = route("llama", vec![minted("llama-a", State::Active, None)]);
    assert!(!alone.serves(), "callers get 503 at once");
}

#[test]
fn an_endpoint_is_verified_by_its_own_question_once_it_has_a_token() {
    let verification = |token| {
        let all = vec![minted("llama-a", State::Verifying, token)];
        render(&[route("llama", all)], &addresses(), &settings()).get(&File::Verification).unwrap().text()
    };
    assert!(!verification(None).contains("llama-a"));
    let asked = verification(Some("token"));
    assert!(asked.contains("/team-a/llama/llama-a/v1/chat/completions") && !asked.contains("/v1/models"), "{asked}");
}

#[test]
fn a_renewed_token_makes_no_other_endpoint() {
    let [old, new] = ["old", "new"].map(|token| minted("llama-a", State::Verifying, Some(token)));
    assert!(old != new && old.is_same(&new));
    let [old, new] = ["a", "b"].map(|key| {
        let mut keyed = endpoint("llama-a", "198.51.100.7", State::Verifying);
        keyed.credential.as_mut().unwrap().key = Key::new(key);
        keyed
    });
    assert!(!old.is_same(&new), "another key must be verified");
}

#[test]
fn requests_to_bedrock_are_translated_in_the_clusters_that_have_such_an_endpoint_before_their_answers_are_renamed() {
    let mut model = minted("llama-a", State::Active, Some("token"));
    model.protocol = EndpointProtocol::BedrockInvoke;
    model.model = Some("arn:aws:bedrock:us-east-1:123456789012:imported-model/a1".to_owned());
    let other = endpoint("llama-b", "198.51.100.8", State::Active);
    let files = render(&[route("llama", vec![model, other.clone()])], &addresses(), &settings());
    let clusters = files.get(&File::Clusters).unwrap().text();
    assert!(clusters.contains("%UPSTREAM_METADATA(roadstead:x-roadstead-bedrock)%"), "{clusters}");
    let at = |filter: &str| clusters.find(&format!("\"name\":\"{filter}\"")).unwrap();
    assert!(at("model") < at("bedrock") && at("bedrock") < at("envoy.filters.http.upstream_codec"), "{clusters}");
    assert!(clusters.contains("per_connection_buffer_limit_bytes"), "a request is kept until it is complete");
    let endpoints = files.get(&File::Endpoints("uid-llama".to_owned())).unwrap().text();
    assert_eq!(endpoints.matches("\"x-roadstead-bedrock\":\"invoke\"").count(), 1, "{endpoints}");
    let plain = render(&[route("llama", vec![other])], &addresses(), &settings());
    assert!(!plain.get(&File::Clusters).unwrap().text().contains("bedrock"));
}

/// The routes of `llama` with these endpoints.
fn routes_of(endpoints: Vec<Endpoint>) -> Vec<Value> {
    let files = render(&[route("llama", endpoints)], &addresses(), &settings());
    let routes: Value = serde_json::from_str(&files.get(&File::Routes).unwrap().text()).unwrap();
    let found = routes["resources"][0].pointer("/virtual_hosts/0/matcher/matcher_tree/prefix_match_map/map").unwrap();
    found["/team-a/llama/"]["action"]["typed_config"]["routes"].as_array().unwrap().clone()
}

/// Those with an answer of the gateway, and those that choose among endpoints.
fn routed(endpoints: Vec<Endpoint>) -> (Vec<Value>, Vec<Value>) {
    let list = routes_of(endpoints);
    let with = |field: &str| list.iter().filter(|route| route.pointer(field).is_some()).cloned().collect();
    (with("/direct_response"), with("/route/metadata_match"))
}

#[test]
fn a_path_leads_to_the_endpoints_whose_service_answers_it() {
    let limited = |state| {
        let mut limited = minted("llama-a", state, Some("token"));
        limited.paths = vec!["chat/completions".to_owned()];
        limited
    };
    let engine = || endpoint("llama-b", "198.51.100.8", State::Active);
    let (answered, choosing) = routed(vec![limited(State::Active)]);
    let statuses: Vec<&Value> = answered.iter().map(|route| &route["direct_response"]["status"]).collect();
    assert_eq!((statuses, choosing.len()), (vec![&json!(200), &json!(404), &json!(404)], 0));
    let told = answered[1]["direct_response"]["body"]["inline_string"].as_str().unwrap();
    assert!(told.contains("answers POST requests to /v1/chat/completions") && told.contains("not_served"), "{told}");

    let (answered, choosing) = routed(vec![limited(State::Active), engine()]);
    let wanted = json!({"filter_metadata": {"envoy.lb": {"paths": "other"}}});
    assert_eq!(answered.len(), 1, "the list of models");
    assert_eq!(choosing.len(), 2, "paths below /v1/ and beside it");
    assert!(choosing.iter().all(|route| route["route"]["metadata_match"] == wanted), "{choosing:?}");

    // Endpoints that drain take no request of any path.
    let (answered, choosing) = routed(vec![limited(State::Draining), engine()]);
    assert_eq!((answered.len(), choosing.len()), (1, 0));
    assert_eq!(routed(vec![engine()]), (Vec::new(), Vec::new()));
}

/// The limits of the first route of these endpoints: bytes of a body, time until the first byte, and both in words.
fn limits_of(endpoints: Vec<Endpoint>) -> (Value, Value, Value) {
    let found = routes_of(endpoints).remove(0);
    let size = "/typed_per_filter_config/limit/filter_chain/filters/0/typed_config/max_request_bytes";
    (
        found.pointer(size).unwrap().clone(),
        found.pointer("/route/retry_policy/per_try_timeout").unwrap().clone(),
        found.pointer("/metadata/filter_metadata/roadstead").unwrap().clone(),
    )
}

#[test]
fn a_request_has_the_limits_of_the_most_generous_service_that_would_answer_it() {
    let at = |service: &str, bytes: u64, seconds: u32, state| {
        let mut limited = minted(&format!("llama-{}", service.to_lowercase()), state, Some("token"));
        let (max_request_bytes, answer_seconds) = (Some(bytes), Some(seconds));
        limited.limits = Some(ServiceLimits { service: service.to_owned(), max_request_bytes, answer_seconds });
        limited
    };
    let own = limits_of(vec![endpoint("llama-b", "198.51.100.8", State::Active)]);
    let words =
        json!({"body": "8388608 bytes that the deployment accepts", "time": "600 s that the deployment allows"});
    assert_eq!(own, (json!(8_388_608), json!("600s"), words));

    let small = || at("SageMaker", 1000, 60, State::Active);
    let (bytes, time, words) = limits_of(vec![small(), at("Baseten", 2000, 30, State::Standby)]);
    // The service's own answer comes before.
    assert_eq!((bytes, time), (json!(2000), json!("65s")));
    assert_eq!(words, json!({"body": "2000 bytes that Baseten accepts", "time": "60 s that SageMaker allows"}));

    // An endpoint without limits takes what services refuse; one that takes no requests changes nothing.
    assert_eq!(limits_of(vec![small(), endpoint("llama-b", "198.51.100.8", State::Active)]), own);
    let draining = at("Baseten", 2000, 1200, State::Draining);
    assert_eq!(limits_of(vec![small(), draining]).0, json!(1000));
    assert_eq!(limits_of(vec![at("Baseten", 16 << 20, 1200, State::Active)]), own);
}

#[test]
fn refusals_of_a_service_are_told_apart_in_the_clusters_that_have_one() {
    let of = |words: &str, meaning| ServiceRefusal { status: 400, words: words.to_owned(), meaning };
    let mut marked = minted("llama-a", State::Active, Some("token"));
    marked.refusals = vec![of("Endpoint \"a\" of", RefusalMeaning::Absent), of("no capacity", RefusalMeaning::Cold)];
    let other = endpoint("llama-b", "198.51.100.8", State::Active);
    let files = render(&[route("llama", vec![marked, other.clone()])], &addresses(), &settings());
    let clusters = files.get(&File::Clusters).unwrap().text();
    assert!(clusters.contains("%UPSTREAM_METADATA(roadstead:x-roadstead-refusals)%"), "{clusters}");
    assert!(clusters.contains("[\\\"400\\\"] = { { words = ") && clusters.contains("becomes = \\\"503\\\" }, { words"));
    let plain = render(&[route("llama", vec![other])], &addresses(), &settings());
    assert!(!plain.get(&File::Clusters).unwrap().text().contains("REFUSALS"));
}
