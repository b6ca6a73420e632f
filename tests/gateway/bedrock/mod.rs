//! Endpoints that are models of Amazon Bedrock: the fake checks each token, and a server of the tests gives answers that no engine
//! gives.

mod converse;
mod invoke;
mod tokens;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use axum::Router;
use http::StatusCode;
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET};
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_gateway::{
    Endpoint, EndpointProtocol, RefusalMeaning, ServiceRefusal, TokenSource, VerificationQuestion,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::caller::Answer;
use crate::rig::{Rig, endpoint, route};
use crate::tokens::{granted, strangers};

const PATH: &str = "/team-a/llama/v1/chat/completions";
const REGION: &str = "us-east-1";

/// A gateway whose pod has a key of the account.
async fn gateway(clouds: &Clouds) -> Rig {
    gateway_with(clouds, &[]).await
}

/// The same with these options.
async fn gateway_with(clouds: &Clouds, options: &[&str]) -> Rig {
    let mut variables = strangers();
    variables.extend([
        ("AWS_ENDPOINT_URL", clouds.urls.bedrock.clone()),
        ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", KEY_SECRET.to_owned()),
    ]);
    Rig::start_as(options, |_| variables).await
}

/// ARN of the first model of this kind.
fn arn(kind: &str) -> String {
    format!("arn:aws:bedrock:{REGION}:{ACCOUNT}:{kind}/000000000001")
}

/// The model with this ARN as an endpoint, as the operator puts it on a route.
fn at(clouds: &Clouds, arn: &str, protocol: EndpointProtocol, refusal: (u16, &str, RefusalMeaning)) -> Endpoint {
    let address = clouds.urls.bedrock.strip_prefix("http://").unwrap().parse().unwrap();
    let (status, words, meaning) = refusal;
    Endpoint {
        prefix: format!("/model/{}", arn.replace(':', "%3A").replace('/', "%2F")),
        protocol,
        credential: None,
        token: Some(TokenSource::Bedrock { region: REGION.to_owned(), role: None }),
        question: VerificationQuestion::Completion,
        refusals: vec![ServiceRefusal { status, words: words.to_owned(), meaning }],
        ..endpoint("llama-bedrock", address)
    }
}

/// The bodies with which the fake's models were asked by this operation.
fn asked(clouds: &Clouds, operation: &str) -> Vec<Value> {
    let all = clouds.requests_after(0).into_iter();
    let of = all.filter(|asked| asked.service == ServiceName::Bedrock && asked.operation == operation);
    of.map(|asked| serde_json::from_str(&asked.body).unwrap()).collect()
}

/// Checks that the policy of gateways grants the rights to these operations and nothing else, by the names that `right` gives them.
fn assert_granted(clouds: &Clouds, right: fn(&str) -> String) {
    let asked = clouds.requests_after(0);
    let operations = asked.iter().map(|asked| format!("bedrock:{}", right(&asked.operation)));
    let needed: BTreeSet<String> = operations.chain(["bedrock:CallWithBearerToken".to_owned()]).collect();
    let targets: BTreeSet<&str> = asked.iter().map(|asked| asked.target.as_str()).collect();
    assert_eq!(
        granted("bedrock"),
        needed,
        "the policy of gateways grants what they call and nothing else: {targets:?}"
    );
}

/// Checks that the gateway refused requests because no endpoint answers them.
fn assert_not_served(answers: &[Answer]) {
    for answer in answers {
        let code = &answer.json()["error"]["code"];
        assert_eq!((answer.status, code.as_str()), (StatusCode::NOT_FOUND, Some("not_served")), "{}", answer.body);
    }
}

/// The data of the events of a stream.
fn data(answer: &Answer) -> Vec<&str> {
    answer.body.lines().filter(|line| !line.is_empty()).map(|line| line.strip_prefix("data: ").unwrap()).collect()
}

/// A gateway before the model `m` of a server of the tests.
async fn before(app: Router, protocol: EndpointProtocol) -> Rig {
    let there = Endpoint { prefix: "/model/m".to_owned(), protocol, ..endpoint("llama-m", started(app).await) };
    let rig = Rig::start(&[]).await;
    rig.apply(&route("llama", vec![there])).await;
    rig
}

async fn started(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}
