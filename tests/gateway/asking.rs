//! Callers of the deployment `llama` while the operator moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::caller::{Answer, Caller};
use crate::hub::Hub;

/// Requests one after another at the deployment's address.
pub struct Asking {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<String>>,
}

impl Asking {
    /// Starts them; none may fail.
    pub fn start(caller: &Caller) -> Self {
        Self::start_if(caller, |answer| answer.status == StatusCode::OK)
    }

    /// Starts them; each answer must be allowed.
    pub fn start_if(caller: &Caller, is_allowed: fn(&Answer) -> bool) -> Self {
        let (stop, caller) = (Arc::new(AtomicBool::new(false)), caller.clone());
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let answer = ask(&caller).await.unwrap();
                assert!(is_allowed(&answer), "{}: {}", answer.status, answer.body);
                answers.push(answer.body);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answers
        });
        Self { stop, task }
    }

    /// Bodies of all answers so far.
    pub async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

/// Sends one request.
pub async fn ask(caller: &Caller) -> anyhow::Result<Answer> {
    caller.try_post("/team/llama/v1/chat/completions", &json!({"model": "llama", "messages": []})).await
}

/// A caller of the deployment that is placed, once it is answered.
pub async fn caller(hub: &Hub, placed: &Value) -> Caller {
    let key = hub.key(placed["status"]["keysSecretName"].as_str().unwrap(), "default");
    let caller = Caller::new(hub.gateway.address, Some(&key));
    hub.gateway
        .until("it answers", async |_| ask(&caller).await.is_ok_and(|answer| answer.status == StatusCode::OK))
        .await;
    caller
}
