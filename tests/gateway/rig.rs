//! A gateway of a test: Envoy and the process beside it, with routes in a namespace of its own on one API server.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use roadstead_api::v1alpha1::names;
use roadstead_gateway::{
    Acks, Caller as Key, Credential, Endpoint, EndpointProtocol, Key as Text, Limits, Route, Scheme, State,
    VerificationQuestion, WitnessRequest,
};
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::envoy::OPTIONS;
use roadstead_ground::unused::unused_address;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::caller::Caller;

/// One API server for all tests.
static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
/// Time in which a change of a route takes effect, with room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway.
pub struct Rig {
    /// Namespace of the routes.
    pub namespace: String,
    /// Address for callers.
    pub address: SocketAddr,
    /// Address of its probes and metrics.
    pub desk: SocketAddr,
    /// Address that ends its service.
    pub drain: SocketAddr,
    /// Its files.
    pub folder: TempDir,
    client: Client,
    hub: String,
    kubeconfig: PathBuf,
    options: Vec<String>,
    variables: Vec<(&'static str, String)>,
    process: Option<Bound>,
    envoy: Option<Bound>,
}

impl Rig {
    /// Starts a gateway that has no routes.
    pub async fn start(options: &[&str]) -> Self {
        Self::start_on(Self::server().await, options, Vec::new()).await
    }

    async fn server() -> &'static ApiServer {
        SERVER
            .get_or_init(|| async { tokio::task::spawn_blocking(|| ApiServer::start().unwrap()).await.unwrap() })
            .await
    }

    /// Starts a gateway whose process has these variables, which may name files in its folder.
    pub async fn start_as(options: &[&str], variables: impl FnOnce(&Path) -> Vec<(&'static str, String)>) -> Self {
        let mut rig = Self::prepare(Self::server().await, options).await;
        rig.variables = variables(rig.folder.path());
        rig.start_process();
        rig.start_envoy().await;
        rig
    }

    /// Starts a gateway of this hub, whose process has these variables.
    pub async fn start_on(server: &ApiServer, options: &[&str], variables: Vec<(&'static str, String)>) -> Self {
        let mut rig = Self::prepare(server, options).await;
        rig.variables = variables;
        rig.start_process();
        rig.start_envoy().await;
        rig
    }

    async fn prepare(server: &ApiServer, options: &[&str]) -> Self {
        let client = server.client().await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let object = serde_json::from_value(json!({"metadata": {"generateName": "routes-"}})).unwrap();
        let namespace = namespaces.create(&PostParams::default(), &object).await.unwrap().metadata.name.unwrap();
        Self {
            namespace,
            address: unused_address(),
            desk: unused_address(),
            drain: unused_address(),
            folder: TempDir::new().unwrap(),
            client,
            hub: server.url().unwrap(),
            kubeconfig: server.kubeconfig(),
            options: options.iter().map(ToString::to_string).collect(),
            variables: Vec::new(),
            process: None,
            envoy: None,
        }
    }

    /// Starts the process beside Envoy.
    pub fn start_process(&mut self) {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let mut args = vec![
            "gateway".to_owned(),
            format!("--routes-namespace={}", self.namespace),
            "--identity=one".to_owned(),
            format!("--files={}", path("run")),
            format!("--state={}", path("state")),
            format!("--listen={}", self.desk),
            format!("--drain-listen={}", self.drain),
            format!("--address={}", self.address),
            "--poll-millis=200".to_owned(),
            "--notice-seconds=1".to_owned(),
        ];
        args.extend(self.options.iter().cloned());
        let kubeconfig = self.kubeconfig.display().to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_roadstead"));
        let mut env = vec![("KUBECONFIG", kubeconfig.as_str())];
        env.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        self.process = Some(Bound::start(program, &args, &env, &self.folder.path().join("process.log")).unwrap());
    }

    /// Starts Envoy once its files are there, and waits until both serve.
    pub async fn start_envoy(&mut self) {
        self.until("the files are written", async |rig| rig.probe("/startupz").await).await;
        let envoy = tokio::task::spawn_blocking(|| roadstead_ground::envoy::envoy().unwrap()).await.unwrap();
        let bootstrap = self.folder.path().join("run/bootstrap.json").display().to_string();
        let more = ["--concurrency", "1", "-c", &bootstrap];
        let args: Vec<String> = OPTIONS.iter().chain(&more).map(ToString::to_string).collect();
        self.envoy = Some(Bound::start(&envoy, &args, &[], &self.folder.path().join("envoy.log")).unwrap());
        self.until("Envoy serves", async |rig| rig.probe("/readyz").await).await;
    }

    /// Kills the process beside Envoy.
    pub fn kill_process(&mut self) {
        self.process = None;
    }

    /// Kills Envoy.
    pub fn kill_envoy(&mut self) {
        self.envoy = None;
    }

    /// Has the process reach no hub from its next start on.
    pub fn lose_hub(&mut self) {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let lost = text.replace(&self.hub, &format!("https://{}", unused_address()));
        assert_ne!(lost, text, "the kubeconfig names another server");
        self.kubeconfig = self.folder.path().join("kubeconfig");
        std::fs::write(&self.kubeconfig, lost).unwrap();
    }

    /// Rotates the kubeconfig of a process that reaches no hub to one that leads there.
    pub fn find_hub(&self) {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let server = text.split("server: \"").nth(1).unwrap().split('"').next().unwrap();
        std::fs::write(&self.kubeconfig, text.replace(server, &self.hub)).unwrap();
    }

    /// Says on the hub that all routes have been published.
    pub async fn publish(&self) {
        let name = names::ROUTES_PUBLISHED;
        let mark = json!({"metadata": {"name": name, "labels": {names::LABEL_ROUTE: name}}});
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        secrets.create(&PostParams::default(), &serde_json::from_value(mark).unwrap()).await.unwrap();
    }

    /// A caller with this key.
    pub fn caller(&self, key: &str) -> Caller {
        Caller::new(self.address, Some(key))
    }

    /// Writes a route to the hub, and waits until Envoy has its endpoints, clusters and routes.
    pub async fn apply(&self, route: &Route) {
        self.write(route).await;
        self.until("the route is in effect", async |rig| rig.is_applied(route).await).await;
    }

    /// Writes a route to the hub.
    pub async fn write(&self, route: &Route) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": route.uid, "labels": {names::LABEL_ROUTE: route.uid}},
            "stringData": {"route": serde_json::to_string(route).unwrap()},
        });
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = PatchParams::apply("test").force();
        secrets.patch(&route.uid, &params, &Patch::Apply(secret)).await.unwrap();
    }

    /// Removes a route from the hub.
    pub async fn remove(&self, route: &Route) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        secrets.delete(&route.uid, &DeleteParams::default()).await.unwrap();
    }

    /// True once Envoy has the files as they are rendered of this route.
    async fn is_applied(&self, route: &Route) -> bool {
        let marked = format!("\"name\":\"{}\"", route.endpoints.first().map_or("", |endpoint| &endpoint.name));
        let path = |name: &str| self.folder.path().join("run").join(name);
        let eds = std::fs::read_to_string(path(&format!("eds/{}.json", route.uid))).unwrap_or_default();
        let rds = std::fs::read_to_string(path("rds.json")).unwrap_or_default();
        let admin = roadstead::gateway::admin::Admin::new(path("admin.sock"));
        let routes = [(route.uid.clone(), route.clone())].into();
        let files = [
            (roadstead_gateway::File::Endpoints(route.uid.clone()), version(&eds)),
            (roadstead_gateway::File::Routes, version(&rds)),
        ];
        // The routes are written last: until then, their file and what Envoy has applied are both the former ones.
        let callers = || route.callers.iter().all(|caller| rds.contains(caller.key.expose()));
        let mut applied =
            (route.endpoints.is_empty() || eds.contains(&marked)) && rds.contains(&route.cluster()) && callers();
        for (file, version) in files {
            applied &=
                admin.applied(&file, &routes).await.is_ok_and(|applied| !version.is_empty() && applied == version);
        }
        // The process renders from what it has seen, so its files must be those of this revision.
        applied && Self::renders(route, &eds)
    }

    fn renders(route: &Route, eds: &str) -> bool {
        let addresses =
            route.endpoints.iter().map(|endpoint| (endpoint.host.clone(), vec![endpoint.host.parse().unwrap()]));
        version(eds) == roadstead_gateway::render::endpoints_version(route, &addresses.collect())
    }

    /// The report of the gateway, as the operator reads it.
    pub async fn acks(&self) -> Option<Acks> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let map = maps.get_opt("gateway-one").await.unwrap()?;
        Some(serde_json::from_str(map.data?.get("acks")?).unwrap())
    }

    /// The hub's API for reports.
    pub async fn report_version(&self) -> Option<String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        maps.get_opt("gateway-one").await.unwrap()?.metadata.resource_version
    }

    /// True if the process answers 200.
    pub async fn probe(&self, path: &str) -> bool {
        let answer = Caller::new(self.desk, None).send(http::Method::GET, path, String::new()).await;
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// The text of a log.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let start = std::time::Instant::now();
        while !holds(self).await {
            let logs = || format!("{}\n{}", self.log("process.log"), self.log("envoy.log"));
            assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}\n{}", logs());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn version(text: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    value["version_info"].as_str().unwrap_or_default().to_owned()
}

/// A route of the deployment `team-a/<name>` for the caller alice.
pub fn route(name: &str, endpoints: Vec<Endpoint>) -> Route {
    Route {
        namespace: "team-a".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        revision: 1,
        model: format!("{name}-model"),
        health_path: Some("/health".to_owned()),
        callers: vec![caller("alice")],
        limits: Limits { first_byte_seconds: 20, idle_seconds: 20, max_request_bytes: 1 << 20 },
        endpoints,
        hosted: Vec::new(),
    }
}

/// A caller whose key is `key-of-<name>`.
pub fn caller(name: &str) -> Key {
    Key { name: name.to_owned(), key: Text::new(format!("key-of-{name}")) }
}

/// An active endpoint at `address`, whose key is `key-of-<name>`.
pub fn endpoint(name: &str, address: SocketAddr) -> Endpoint {
    let credential = Credential {
        header: "authorization".to_owned(),
        word: "Bearer".to_owned(),
        key: Text::new(format!("key-of-{name}")),
    };
    Endpoint {
        name: name.to_owned(),
        scheme: Scheme::Http,
        host: address.ip().to_string(),
        port: address.port(),
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
        state: State::Active,
        shift: None,
        asked: WitnessRequest::Nothing,
    }
}
