//! The stand-in for vLLM as a program.
//!
//! On SIGTERM it behaves as vLLM does: new requests are refused, requests in flight go on
//! for `--shutdown-timeout` seconds (by default none), and it ends with exit code 0.

#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

use std::process::ExitCode;

use anyhow::Context as _;
use roadstead_engine::config::{Config, Fault};
use roadstead_engine::server::Engine;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<ExitCode> {
    let config = Config::read(std::env::args().skip(1), &|name| std::env::var(name).ok())?;
    // As process 1 of a container a signal without a handler is lost, so it is installed before anything waits.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    if config.fault == Fault::FailStart {
        anyhow::bail!("the model {} cannot be loaded (ENGINE_FAULT=fail-start)", config.model);
    }
    tokio::select! {
        () = tokio::time::sleep(config.startup) => {}
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
    }
    if config.fault == Fault::HangStart {
        terminate.recv().await;
        return Ok(ExitCode::SUCCESS);
    }
    serve(config, terminate).await
}

async fn serve(config: Config, mut terminate: Signal) -> anyhow::Result<ExitCode> {
    let address = format!("{}:{}", config.host, config.port);
    let listener = TcpListener::bind(&address).await.with_context(|| format!("listening at {address}"))?;
    println!("serving {} at {}", config.served_names.join(", "), listener.local_addr()?);
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned());
    let exit_code = config.exit_code;
    let exit = {
        let after = config.exit_after;
        async move {
            match after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        }
    };
    let shutdown = async move {
        terminate.recv().await;
        println!("SIGTERM: new requests are refused, requests in flight are finished");
    };
    tokio::select! {
        ended = Engine::new(config, host).serve(listener, shutdown) => ended.map(|()| ExitCode::SUCCESS),
        () = exit => Ok(ExitCode::from(exit_code)),
    }
}
