//! Stateful fakes of managed services, for Roadstead's tests.
//!
//! Each service is a folder: its rules of behaviour with their sources, its state as plain data whose time is an argument,
//! and its own words for refusals. `server` puts HTTP, the fault script and the record around a service; `admin` is the
//! interface for tests and judges; `engines` are the models behind ready endpoints. [`Clouds::start`] starts all of them in
//! this process, the program `clouds` in one of their own. `judges` holds the vendors' clients that check the fakes. With
//! `ROADSTEAD_CLOUDS_RECORDS` a start in this process writes its requests to a file at its end, for these judges.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod admin;
pub mod azure;
pub mod azure_openai;
pub mod baseten;
pub mod bedrock;
pub mod clock;
mod cloud;
pub mod digital_ocean;
mod engines;
pub mod faults;
pub mod hosted;
pub mod hugging_face;
mod kept;
mod query;
pub mod record;
pub mod rules;
pub mod sagemaker;
mod server;
pub mod vertex_ai;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::admin::Urls;
use self::azure::{Azure, AzureSettings};
use self::azure_openai::{AzureOpenAi, AzureOpenAiSettings};
use self::baseten::{Baseten, BasetenSettings};
use self::bedrock::{Bedrock, BedrockSettings};
use self::clock::VirtualClock;
use self::cloud::Cloud;
pub use self::cloud::ServiceName;
use self::digital_ocean::{DigitalOcean, DigitalOceanSettings};
use self::faults::ScriptedFault;
use self::hosted::{HostedVendor, VendorSettings};
use self::hugging_face::{HuggingFace, HuggingFaceSettings};
use self::record::Exchange;
use self::rules::Rule;
use self::sagemaker::{SageMaker, SageMakerSettings};
use self::server::Shared;
use self::vertex_ai::{VertexAi, VertexAiSettings};

/// Settings of all fakes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CloudSettings {
    /// Seconds of the services' clock in a second of the machine; 0: the clock stands until it is set forward.
    pub pace: u32,
    /// SageMaker.
    pub sagemaker: SageMakerSettings,
    /// Hugging Face.
    pub hugging_face: HuggingFaceSettings,
    /// Vertex AI.
    pub vertex_ai: VertexAiSettings,
    /// Baseten.
    pub baseten: BasetenSettings,
    /// `DigitalOcean`.
    pub digital_ocean: DigitalOceanSettings,
    /// Bedrock.
    pub bedrock: BedrockSettings,
    /// Azure.
    pub azure: AzureSettings,
    /// Azure OpenAI.
    pub azure_openai: AzureOpenAiSettings,
    /// A hosted vendor.
    pub hosted: VendorSettings,
}

/// All fakes in this process, until they are dropped.
pub struct Clouds {
    /// Addresses.
    pub urls: Urls,
    /// SageMaker.
    pub sagemaker: Arc<SageMaker>,
    /// Hugging Face.
    pub hugging_face: Arc<HuggingFace>,
    /// Vertex AI.
    pub vertex_ai: Arc<VertexAi>,
    /// Baseten.
    pub baseten: Arc<Baseten>,
    /// `DigitalOcean`.
    pub digital_ocean: Arc<DigitalOcean>,
    /// Bedrock.
    pub bedrock: Arc<Bedrock>,
    /// Azure.
    pub azure: Arc<Azure>,
    /// Azure OpenAI.
    pub azure_openai: Arc<AzureOpenAi>,
    /// A hosted vendor.
    pub hosted: Arc<HostedVendor>,
    shared: Arc<Shared>,
    servers: Vec<JoinHandle<()>>,
}

/// Names a folder in which the requests of each start are kept for the judges.
const RECORDS: &str = "ROADSTEAD_CLOUDS_RECORDS";

impl Drop for Clouds {
    fn drop(&mut self) {
        for server in &self.servers {
            server.abort();
        }
        if let Some(folder) = std::env::var_os(RECORDS)
            && let Err(error) = self.keep_record(folder.as_ref())
        {
            eprintln!("error: the record of requests cannot be kept: {error}");
        }
    }
}

impl Clouds {
    /// Starts all fakes at free ports of loopback.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(settings: CloudSettings) -> anyhow::Result<Self> {
        Self::start_at(settings, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts all fakes, with the administrative interface at `admin` and the services at free ports of the same address.
    ///
    /// # Errors
    /// If a port is not free.
    pub async fn start_at(settings: CloudSettings, admin: SocketAddr) -> anyhow::Result<Self> {
        let clock = Arc::new(VirtualClock::new(settings.pace));
        let shared = Arc::new(Shared::new(Arc::clone(&clock)));
        let free = SocketAddr::new(admin.ip(), 0);
        let (admin, admin_url) = listen(admin).await?;
        let (aws, aws_url) = listen(free).await?;
        let (hub, hub_url) = listen(free).await?;
        let sagemaker = Arc::new(SageMaker::new(settings.sagemaker, Arc::clone(&clock)));
        let (google, google_url) = listen(free).await?;
        let hugging_face = Arc::new(HuggingFace::new(settings.hugging_face, Arc::clone(&clock), &hub_url));
        let vertex_ai = Arc::new(VertexAi::new(settings.vertex_ai, Arc::clone(&clock)));
        let (trusses, trusses_url) = listen(free).await?;
        let baseten = Arc::new(Baseten::new(settings.baseten, Arc::clone(&clock)));
        let (ocean, ocean_url) = listen(free).await?;
        let digital_ocean = Arc::new(DigitalOcean::new(settings.digital_ocean, Arc::clone(&clock), &ocean_url));
        let (bedrock_listener, bedrock_url) = listen(free).await?;
        let bedrock = Arc::new(Bedrock::new(settings.bedrock, Arc::clone(&clock)));
        let (arm, azure_url) = listen(free).await?;
        let azure = Arc::new(Azure::new(settings.azure, Arc::clone(&clock)));
        let (cognitive, azure_openai_url) = listen(free).await?;
        let azure_openai = Arc::new(AzureOpenAi::new(settings.azure_openai, clock));
        let (vendor, hosted_url) = listen(free).await?;
        let hosted = Arc::new(HostedVendor::new(settings.hosted));
        let urls = Urls {
            admin: admin_url,
            sagemaker: aws_url,
            hugging_face: hub_url,
            vertex_ai: google_url,
            baseten: trusses_url,
            digital_ocean: ocean_url,
            bedrock: bedrock_url,
            azure: azure_url,
            azure_openai: azure_openai_url,
            hosted: hosted_url,
        };
        let clouds: Vec<Arc<dyn Cloud>> = vec![
            Arc::clone(&sagemaker) as _,
            Arc::clone(&hugging_face) as _,
            Arc::clone(&vertex_ai) as _,
            Arc::clone(&baseten) as _,
            Arc::clone(&digital_ocean) as _,
            Arc::clone(&bedrock) as _,
            Arc::clone(&azure) as _,
            Arc::clone(&azure_openai) as _,
            Arc::clone(&hosted) as _,
        ];
        let servers = vec![
            serve(admin, admin::router(urls.clone(), Arc::clone(&shared), clouds)),
            serve(aws, server::router(Arc::clone(&sagemaker) as _, Arc::clone(&shared))),
            serve(hub, server::router(Arc::clone(&hugging_face) as _, Arc::clone(&shared))),
            serve(google, server::router(Arc::clone(&vertex_ai) as _, Arc::clone(&shared))),
            serve(trusses, server::router(Arc::clone(&baseten) as _, Arc::clone(&shared))),
            serve(ocean, server::router(Arc::clone(&digital_ocean) as _, Arc::clone(&shared))),
            serve(bedrock_listener, server::router(Arc::clone(&bedrock) as _, Arc::clone(&shared))),
            serve(arm, server::router(Arc::clone(&azure) as _, Arc::clone(&shared))),
            serve(cognitive, server::router(Arc::clone(&azure_openai) as _, Arc::clone(&shared))),
            serve(vendor, server::router(Arc::clone(&hosted) as _, Arc::clone(&shared))),
        ];
        Ok(Self {
            urls,
            sagemaker,
            hugging_face,
            vertex_ai,
            baseten,
            digital_ocean,
            bedrock,
            azure,
            azure_openai,
            hosted,
            shared,
            servers,
        })
    }

    /// Writes the requests so far to a file of their own.
    fn keep_record(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        // The port is this start's alone while its servers live.
        let port = self.urls.admin.rsplit(':').next().unwrap_or_default();
        let file = folder.join(format!("{}-{port}.json", std::process::id()));
        std::fs::write(file, serde_json::to_vec(&self.requests_after(0))?)
    }

    /// Sets the services' clock forward.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// The services' time in milliseconds since 1970.
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        self.shared.clock.millis()
    }

    /// Replaces the fault script.
    pub fn set_faults(&self, faults: Vec<ScriptedFault>) {
        self.shared.script().set(faults);
    }

    /// Adds a line to the fault script.
    pub fn add_fault(&self, fault: ScriptedFault) {
        self.shared.script().add(fault);
    }

    /// The requests after the one of this number, with their answers.
    #[must_use]
    pub fn requests_after(&self, number: usize) -> Vec<Exchange> {
        self.shared.record.after(number)
    }

    /// The true state of a service.
    #[must_use]
    pub fn state(&self, service: ServiceName) -> Value {
        match service {
            ServiceName::SageMaker => self.sagemaker.state(),
            ServiceName::HuggingFace => self.hugging_face.state(),
            ServiceName::VertexAi => self.vertex_ai.state(),
            ServiceName::Baseten => self.baseten.state(),
            ServiceName::DigitalOcean => self.digital_ocean.state(),
            ServiceName::Bedrock => self.bedrock.state(),
            ServiceName::Azure => self.azure.state(),
            ServiceName::AzureOpenAi => self.azure_openai.state(),
            ServiceName::Hosted => self.hosted.state(),
        }
    }

    /// Waits until a server ends, which happens on an error only.
    pub async fn ended(&mut self) {
        let (..) = futures::future::select_all(self.servers.iter_mut()).await;
    }
}

/// Rules of all services.
#[must_use]
pub fn rules() -> Vec<(ServiceName, &'static [&'static Rule])> {
    vec![
        (ServiceName::SageMaker, sagemaker::RULES),
        (ServiceName::HuggingFace, hugging_face::RULES),
        (ServiceName::VertexAi, vertex_ai::RULES),
        (ServiceName::Baseten, baseten::RULES),
        (ServiceName::DigitalOcean, digital_ocean::RULES),
        (ServiceName::Bedrock, bedrock::RULES),
        (ServiceName::Azure, azure::RULES),
        (ServiceName::AzureOpenAi, azure_openai::RULES),
        (ServiceName::Hosted, hosted::RULES),
    ]
}

async fn listen(address: SocketAddr) -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening at {address}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

fn serve(listener: TcpListener, router: axum::Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            eprintln!("error: {error}");
        }
    })
}
