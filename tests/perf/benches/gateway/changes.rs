//! Time from a write on the hub until it is in effect at two gateways with 1,000 deployments.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams};
use roadstead_gateway::{Route, State};
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::unused::unused_address;
use roadstead_perf::{Distribution, Measures, program};
use serde_json::json;
use tempfile::TempDir;

use crate::fleet;
use crate::http::{await_ok, status};
use crate::load::body;
use crate::origin::Origin;
use crate::proxies::{folder, start_envoy};

/// Deployments.
const MANY: usize = 1000;
/// Namespace of the routes.
const ROUTES: &str = "routes";
/// Label by which gateways find routes.
const LABEL: &str = "roadstead.dev/route";
/// Changes of each kind.
const TRIES: usize = 9;
/// Longest wait for a change.
const PATIENCE: Duration = Duration::from_mins(2);
/// Pause between two requests that look for a change.
const LOOK: Duration = Duration::from_millis(5);

/// A gateway: the process that reads the hub, and Envoy.
struct Gateway {
    address: SocketAddr,
    _process: Bound,
    _envoy: Bound,
    _folder: TempDir,
}

/// Measures them.
pub fn measure(measures: &mut Measures) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure_all(measures))
}

async fn measure_all(measures: &mut Measures) -> Result<()> {
    let (server, origin) = (ApiServer::start()?, Origin::start()?);
    let client = server.client().await?;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": ROUTES}}))?;
    namespaces.create(&PostParams::default(), &namespace).await?;
    for number in 0..MANY {
        write(&client, &fleet::route(number, origin.addresses)).await?;
    }
    let program = program()?;
    let gateways = ["one", "two"].map(|name| Gateway::start(name, &program, &server.kubeconfig()));
    let [one, two] = gateways;
    let gateways = [one?, two?];
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for attempt in 0..TRIES {
        times[0].push(new_route(&client, &gateways, MANY + attempt, &origin).await?);
        times[1].push(weight(&client, &gateways, attempt, &origin).await?);
        times[2].push(drain(&client, &gateways, attempt, &origin).await?);
    }
    for (name, times) in ["route", "weight", "drain"].into_iter().zip(times) {
        let times = Distribution::of(times);
        measures.record(format!("changes.{name}.median"), times.percentile(50));
        measures.record(format!("changes.{name}.most"), times.most());
    }
    Ok(())
}

impl Gateway {
    fn start(name: &str, program: &Path, kubeconfig: &Path) -> Result<Self> {
        let folder = folder()?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (address, desk) = (unused_address(), unused_address());
        let args = [
            "gateway".to_owned(),
            format!("--routes-namespace={ROUTES}"),
            format!("--identity={name}"),
            format!("--files={}", path("run")),
            format!("--state={}", path("state")),
            format!("--listen={desk}"),
            format!("--drain-listen={}", unused_address()),
            format!("--address={address}"),
        ];
        let kubeconfig = kubeconfig.display().to_string();
        let (log, out) = (folder.path().join("process.log"), folder.path().join("envoy.log"));
        let process = Bound::start(program, &args, &[("KUBECONFIG", &kubeconfig)], &log)?;
        await_ok(&process, &log, PATIENCE, || status(desk, "/startupz", "", ""))?;
        let envoy = start_envoy(&folder.path().join("run/bootstrap.json"), &out)?;
        await_ok(&envoy, &out, PATIENCE, || status(address, &fleet::path(MANY - 1), fleet::KEY, body(false)))?;
        Ok(Self { address, _process: process, _envoy: envoy, _folder: folder })
    }
}

async fn write(client: &Client, route: &Route) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": route.uid, "labels": {LABEL: route.uid}},
        "stringData": {"route": serde_json::to_string(route)?},
    });
    let secrets: Api<Secret> = Api::namespaced(client.clone(), ROUTES);
    secrets.patch(&route.uid, &PatchParams::apply("bench").force(), &Patch::Apply(secret)).await?;
    Ok(())
}

/// A new deployment, until both gateways serve it.
async fn new_route(client: &Client, gateways: &[Gateway; 2], number: usize, origin: &Origin) -> Result<f64> {
    let route = fleet::route(number, origin.addresses);
    let start = Instant::now();
    write(client, &route).await?;
    at_both(gateways, start, |gateway| {
        Ok(status(gateway.address, &fleet::path(number), fleet::KEY, body(false))? == 200)
    })
}

/// A second endpoint gets nearly all of the weight, until both gateways send it ten requests in a row.
async fn weight(client: &Client, gateways: &[Gateway; 2], number: usize, origin: &Origin) -> Result<f64> {
    let mut route = fleet::route(number, origin.addresses);
    route.endpoints[0].weight = 1000;
    write(client, &route).await?;
    settle(&fleet::path(number), gateways)?;
    route.endpoints.iter_mut().zip([1, 1000]).for_each(|(endpoint, weight)| endpoint.weight = weight);
    route.revision += 1;
    let start = Instant::now();
    write(client, &route).await?;
    at_both(gateways, start, |gateway| ten_at_second(gateway, number, origin))
}

/// The first endpoint drains, until both gateways send ten requests in a row to the second.
async fn drain(client: &Client, gateways: &[Gateway; 2], number: usize, origin: &Origin) -> Result<f64> {
    let mut route = fleet::route(number, origin.addresses);
    route.revision = 10;
    write(client, &route).await?;
    settle(&fleet::path(number), gateways)?;
    route.endpoints[0].state = State::Draining;
    route.revision += 1;
    let start = Instant::now();
    write(client, &route).await?;
    at_both(gateways, start, |gateway| ten_at_second(gateway, number, origin))
}

/// Lets the former change take effect.
fn settle(path: &str, gateways: &[Gateway; 2]) -> Result<()> {
    std::thread::sleep(Duration::from_secs(3));
    for gateway in gateways {
        ensure!(status(gateway.address, path, fleet::KEY, body(false))? == 200, "{path} is not served");
    }
    Ok(())
}

fn ten_at_second(gateway: &Gateway, number: usize, origin: &Origin) -> Result<bool> {
    let first = origin.requests(0);
    for _ in 0..10 {
        status(gateway.address, &fleet::path(number), fleet::KEY, body(false))?;
        if origin.requests(0) > first {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Seconds since `start` until something holds at each gateway, one after the other.
fn at_both(gateways: &[Gateway; 2], start: Instant, holds: impl Fn(&Gateway) -> Result<bool>) -> Result<f64> {
    for gateway in gateways {
        while !holds(gateway)? {
            ensure!(start.elapsed() < PATIENCE, "the change is not in effect after {PATIENCE:?}");
            std::thread::sleep(LOOK);
        }
    }
    Ok(start.elapsed().as_secs_f64())
}
