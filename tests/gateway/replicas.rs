//! An endpoint of several replicas behind one address, which gives each connection to one of them, as a Service does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

/// The address of the endpoint, and its replicas, of which a new connection gets the next one.
struct Service {
    replicas: Mutex<Vec<SocketAddr>>,
}

impl Service {
    async fn start(first: SocketAddr) -> (Arc<Self>, SocketAddr) {
        let service = Arc::new(Self { replicas: Mutex::new(vec![first]) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let balancer = Arc::clone(&service);
        tokio::spawn(async move {
            loop {
                let (mut caller, _) = listener.accept().await.unwrap();
                let replica = balancer.next();
                tokio::spawn(async move {
                    let mut replica = TcpStream::connect(replica).await.unwrap();
                    // Either side may end the connection.
                    drop(tokio::io::copy_bidirectional(&mut caller, &mut replica).await);
                });
            }
        });
        (service, address)
    }

    fn next(&self) -> SocketAddr {
        let mut replicas = self.replicas.lock().unwrap();
        replicas.rotate_left(1);
        replicas[0]
    }
}

#[tokio::test]
async fn a_new_replica_gets_requests_although_callers_keep_the_connections_to_the_others_busy() {
    let rig = Rig::start(&[]).await;
    let (_first, first) = Engine::start().await;
    let (second, address_of_second) = Engine::start().await;
    let (service, address) = Service::start(first).await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    let caller = rig.caller("key-of-alice");
    assert_eq!(caller.post("/team-a/llama/v1/chat/completions", &json!({})).await.status, StatusCode::OK);

    service.replicas.lock().unwrap().push(address_of_second);
    rig.until("the second replica answers too", async |_| {
        let answer = caller.post("/team-a/llama/v1/chat/completions", &json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "a renewed connection costs no request: {}", answer.body);
        second.count() > 0
    })
    .await;
}
