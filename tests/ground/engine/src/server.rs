//! The HTTP interface, and how it begins and ends.

use std::{future::Future, sync::Arc};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    completion::{self, Generation, Kind},
    config::{Config, Fault},
    metrics::{InFlight, Metrics},
};

/// State that all handlers share.
pub struct Engine {
    config: Config,
    host: String,
    places: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Engine {
    /// An engine on the machine (or pod) called `host`.
    #[must_use]
    pub fn new(config: Config, host: String) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(config.max_running));
        Arc::new(Self { config, host, places, metrics: Arc::default() })
    }

    /// Serves until `shutdown` is ready, then lets what is in flight go on for the shutdown timeout.
    /// From then on new connections are refused.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> anyhow::Result<()> {
        let timeout = self.config.shutdown_timeout;
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = axum::serve(listener, self.router()).with_graceful_shutdown(async move {
            shutdown.await;
            drop(stopping);
        });
        let deadline = async {
            // An error is the news: the sender was dropped.
            let _ = stopped.await;
            tokio::time::sleep(timeout).await;
        };
        tokio::select! {
            ended = server => ended.context("serving HTTP"),
            () = deadline => Ok(()),
        }
    }

    /// The interface, to be served or asked in this process.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v1/models", get(models))
            .route("/v1/chat/completions", post(chat))
            .route("/v1/completions", post(text))
            .layer(middleware::from_fn_with_state(Arc::clone(&self), authorize))
            .route("/health", get(StatusCode::OK))
            .route("/metrics", get(metrics))
            .layer(middleware::from_fn_with_state(Arc::clone(&self), misbehave))
            .with_state(self)
    }

    fn primary_name(&self) -> &str {
        self.config.served_names.first().map_or("", String::as_str)
    }
}

/// Refuses requests without the key, in vLLM's words.
async fn authorize(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
    let Some(key) = &engine.config.api_key else {
        return next.run(request).await;
    };
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if given.and_then(|value| value.strip_prefix("Bearer ")) == Some(key) {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, Json(json!({"error": "Unauthorized"}))).into_response()
    }
}

async fn misbehave(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
    match engine.config.fault {
        Fault::Hang => std::future::pending().await,
        Fault::Unhealthy if request.uri().path() != "/metrics" => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "EngineCore encountered an issue.")
        }
        Fault::None | Fault::FailStart | Fault::HangStart | Fault::Unhealthy => next.run(request).await,
    }
}

async fn models(State(engine): State<Arc<Engine>>) -> Response {
    let card = |name| json!({"id": name, "object": "model", "owned_by": "vllm", "root": engine.config.model});
    let data: Vec<_> = engine.config.served_names.iter().map(card).collect();
    Json(json!({"object": "list", "data": data})).into_response()
}

async fn metrics(State(engine): State<Arc<Engine>>) -> Response {
    let text = engine.metrics.render(engine.primary_name());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn chat(State(engine): State<Arc<Engine>>, Json(request): Json<completion::Request>) -> Response {
    complete(engine, Kind::Chat, request).await
}

async fn text(State(engine): State<Arc<Engine>>, Json(request): Json<completion::Request>) -> Response {
    complete(engine, Kind::Text, request).await
}

async fn complete(engine: Arc<Engine>, kind: Kind, request: completion::Request) -> Response {
    if !engine.config.served_names.contains(&request.model) {
        let message = format!("The model `{}` does not exist.", request.model);
        return error(StatusCode::NOT_FOUND, "NotFoundError", &message);
    }
    let mut in_flight = InFlight::waiting(&engine.metrics, request.prompt_tokens());
    let Ok(place) = Arc::clone(&engine.places).acquire_owned().await else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableError", "The engine is shutting down.");
    };
    in_flight.run();
    let interval = engine.config.token_interval;
    Generation::new(kind, request, in_flight, place, &engine.host, interval).respond().await
}

fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": status.as_u16()}});
    (status, Json(body)).into_response()
}
