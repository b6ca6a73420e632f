//! A hub and three members as three clouds, with the operator installed by its charts.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::command::finish;
use crate::images::Image;
use crate::machine::{self, RUN};
use crate::network;
use crate::packages;
use crate::picture::Picture;
use crate::tools::{Lock, Tools};
use crate::wait::wait;

/// The operator's namespace on the hub.
pub const SYSTEM: &str = "roadstead-system";
/// The operator's image as it is built here.
pub const OPERATOR_IMAGE: &str = "localhost/roadstead";
/// Images of engines as they are built here.
const ENGINE_REPOSITORY: &str = "localhost/roadstead-engine";
/// The engine stand-in's image.
pub const ENGINE_IMAGE: &str = "localhost/roadstead-engine:v1";
/// The members' names, in the order of their networks.
pub const MEMBERS: [&str; 3] = ["east", "west", "north"];
/// The resource of the accelerators that the members pretend to have.
pub const GPU: &str = "nvidia.com/gpu";

/// A hub and three members.
pub struct Ground {
    /// The operator's cluster.
    pub hub: Cluster,
    /// The clusters that serve models.
    pub members: Vec<Cluster>,
    tools: Tools,
    // Held by the one run that may start and end clusters; absent where one only looks.
    lock: Option<Lock>,
}

impl Ground {
    /// Sees to it that the packages are there, finds the tools and takes the lock; starts nothing.
    ///
    /// # Errors
    /// If a prerequisite is missing and cannot be installed or built.
    pub fn prepare() -> anyhow::Result<Self> {
        packages::ensure()?;
        Self::take()
    }

    /// Finds the tools and takes the lock, to end what runs: for that nothing has to be installed.
    ///
    /// # Errors
    /// If the tools cannot be found or built, or another run does not let go of the clusters.
    pub fn take() -> anyhow::Result<Self> {
        let lock = Lock::take(&Path::new(RUN).join("lock"))?;
        Self::new(Some(lock))
    }

    /// Finds the tools to look at clusters that another run started, without waiting for that run.
    ///
    /// # Errors
    /// If the tools cannot be found or built.
    pub fn look() -> anyhow::Result<Self> {
        Self::new(None)
    }

    fn new(lock: Option<Lock>) -> anyhow::Result<Self> {
        let tools = Tools::locate()?;
        let root = root();
        let hub = Cluster::new("hub", 0, &tools, &root);
        let members = (1..).zip(MEMBERS).map(|(index, name)| Cluster::new(name, index, &tools, &root)).collect();
        Ok(Self { hub, members, tools, lock })
    }

    /// Starts the hub and the members anew.
    ///
    /// # Errors
    /// If one of them does not come up.
    pub fn up(&self) -> anyhow::Result<()> {
        remember()?;
        machine::prepare()?;
        machine::favour_containers();
        network::guard()?;
        let images = self.images()?;
        at_once(self.all(), |cluster| cluster.up(&images))?;
        for member in &self.members {
            member.set_accelerators(GPU, 8)?;
        }
        Ok(())
    }

    /// Throws the hub away and starts an empty one in its place; the members never notice.
    ///
    /// # Errors
    /// If the new hub does not come up.
    pub fn rebuild_hub(&self) -> anyhow::Result<()> {
        self.hub.up(&self.images()?)
    }

    /// Ends all clusters, removes what they left, and returns what on this machine is not as it was before they were
    /// started, whoever changed it.
    #[must_use]
    pub fn down(&self) -> Vec<String> {
        std::thread::scope(|scope| {
            for cluster in self.all() {
                scope.spawn(|| cluster.down());
            }
        });
        network::unguard();
        machine::restore();
        let _ = fs::remove_dir_all(root());
        let before = fs::read(before_path()).ok().and_then(|text| serde_json::from_slice::<Picture>(&text).ok());
        let _ = fs::remove_file(before_path());
        let Some(before) = before else { return Vec::new() };
        // A container that ended while its runtime was being killed leaves a cgroup that no runtime removes any more.
        machine::remove_cgroups(&before.new_cgroups(&Picture::take()));
        before.differences(&Picture::take())
    }

    /// The hub and the members.
    pub fn all(&self) -> impl Iterator<Item = &Cluster> {
        std::iter::once(&self.hub).chain(&self.members)
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn cluster(&self, name: &str) -> anyhow::Result<&Cluster> {
        self.all().find(|cluster| cluster.name == name).with_context(|| {
            let names: Vec<_> = self.all().map(|cluster| cluster.name.as_str()).collect();
            format!("there is no cluster {name}, only {}", names.join(", "))
        })
    }

    /// The member of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn member(&self, name: &str) -> anyhow::Result<&Cluster> {
        self.members.iter().find(|member| member.name == name).with_context(|| format!("there is no member {name}"))
    }

    /// The images that every node has, as archives.
    ///
    /// # Errors
    /// If one cannot be made.
    pub fn images(&self) -> anyhow::Result<Vec<PathBuf>> {
        let dir = root().join("images");
        fs::create_dir_all(&dir)?;
        let engine = binary("roadstead-engine")?;
        let images = [
            (
                "pause",
                Image {
                    name: "localhost/pause:v1".to_owned(),
                    files: vec![("pause".to_owned(), self.tools.path("pause"))],
                    entrypoint: vec!["/pause".to_owned()],
                    user: String::new(),
                },
            ),
            ("engine", engine_image(ENGINE_IMAGE, &engine)),
            ("operator", operator_image("v1", &binary("roadstead")?)),
        ];
        let mut archives = Vec::new();
        for (name, image) in images {
            let archive = dir.join(format!("{name}.tar"));
            image.write(&archive)?;
            archives.push(archive);
        }
        Ok(archives)
    }

    /// Makes an image of another build of the operator and loads it into the hub under `tag`.
    ///
    /// # Errors
    /// If it cannot be written or loaded.
    pub fn load_operator(&self, tag: &str, binary: &Path) -> anyhow::Result<()> {
        let archive = root().join("images").join(format!("operator-{tag}.tar"));
        operator_image(tag, binary).write(&archive)?;
        self.hub.node().load(&archive)
    }

    /// Makes an image of a program as an engine and loads it into a member under `tag`.
    ///
    /// # Errors
    /// If it cannot be written or loaded.
    pub fn load_engine(&self, member: &Cluster, tag: &str, program: &Path) -> anyhow::Result<()> {
        let archive = root().join("images").join(format!("engine-{tag}-{}.tar", member.name));
        engine_image(&format!("{ENGINE_REPOSITORY}:{tag}"), program).write(&archive)?;
        member.node().load(&archive)?;
        Ok(fs::remove_file(archive)?)
    }

    /// Installs or upgrades the definitions and the operator by their charts, and waits until it is available.
    ///
    /// # Errors
    /// If helm fails or the operator does not become available.
    pub fn install(&self, values: &[&str]) -> anyhow::Result<()> {
        self.install_with(values, &[])
    }

    /// The same with further values in JSON.
    pub(crate) fn install_with(&self, values: &[&str], json: &[String]) -> anyhow::Result<()> {
        self.helm(&[
            "upgrade",
            "--install",
            "roadstead-crds",
            &chart("roadstead-crds"),
            "-n",
            SYSTEM,
            "--create-namespace",
        ])?;
        let enforced = "pod-security.kubernetes.io/enforce=restricted";
        self.hub.kubectl(&["label", "--overwrite", "namespace", SYSTEM, enforced])?;
        let repository = format!("image.repository={OPERATOR_IMAGE}");
        let operator = chart("roadstead");
        let mut args = vec!["upgrade", "--install", "roadstead", &operator, "-n", SYSTEM];
        for value in ["installId=ground", &repository, "image.tag=v1", "log.format=text"].iter().chain(values) {
            args.extend(["--set", value]);
        }
        args.extend(json.iter().flat_map(|value| ["--set-json", value]));
        args.extend(["--wait", "--timeout", "90s"]);
        self.helm(&args).map(drop)
    }

    /// Runs helm against the hub.
    ///
    /// # Errors
    /// If it fails; the error holds what it printed.
    pub fn helm(&self, args: &[&str]) -> anyhow::Result<String> {
        self.helm_on(&self.hub, args)
    }

    /// Runs helm against a cluster.
    ///
    /// # Errors
    /// As [`helm`](Self::helm).
    pub fn helm_on(&self, cluster: &Cluster, args: &[&str]) -> anyhow::Result<String> {
        let home = root().join("helm");
        let mut command = cluster.command("helm");
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, home.join(folder));
        }
        finish(command.args(args))
    }

    /// Prepares every member with the shipped manifest, and puts kubeconfigs of its account into Secrets on the hub.
    ///
    /// # Errors
    /// If a manifest is refused.
    pub fn connect_members(&self) -> anyhow::Result<()> {
        let manifest = fs::read_to_string(repository().join("deploy/member.yaml"))?;
        self.members.iter().try_for_each(|member| member.apply(&manifest).map(drop))?;
        self.connect()
    }

    /// Puts a new kubeconfig of every member's account into its Secret on the hub.
    ///
    /// # Errors
    /// If a token or a Secret is refused.
    pub fn connect(&self) -> anyhow::Result<()> {
        at_once(&self.members, |member| {
            self.put_kubeconfig(&member.name, &self.member_kubeconfig(&member.name, "24h")?)
        })
    }

    /// A kubeconfig of the account that the member manifest made, valid for `duration`.
    ///
    /// # Errors
    /// If the token is refused.
    pub fn member_kubeconfig(&self, name: &str, duration: &str) -> anyhow::Result<String> {
        let member = self.member(name)?;
        let args = ["create", "token", "roadstead-hub", "-n", "roadstead", "--duration", duration];
        member.kubeconfig_with(&member.kubectl(&args)?)
    }

    /// Puts a kubeconfig into the Secret of the member `name` on the hub.
    ///
    /// # Errors
    /// If the hub refuses.
    pub fn put_kubeconfig(&self, name: &str, kubeconfig: &str) -> anyhow::Result<()> {
        let secret = serde_json::json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": SYSTEM},
            "stringData": {"kubeconfig": kubeconfig},
        });
        self.hub.apply(&secret.to_string()).map(drop)
    }

    /// An object of the hub as JSON.
    ///
    /// # Errors
    /// If it is not there.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<Value> {
        self.hub.get(kind, namespace, name)
    }

    /// A value of a Secret on the hub.
    ///
    /// # Errors
    /// If it is not there or is not text.
    pub fn secret_value(&self, namespace: &str, name: &str, key: &str) -> anyhow::Result<String> {
        let secret = self.get("secret", namespace, name)?;
        let value =
            secret["data"][key].as_str().with_context(|| format!("Secret {namespace}/{name} has no key {key}"))?;
        crate::command::feed(std::process::Command::new("base64").arg("-d"), value)
    }

    /// Waits until `check` gives something.
    ///
    /// # Errors
    /// As [`wait`].
    pub fn wait<T>(&self, what: &str, limit: Duration, check: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<T> {
        wait(what, limit, check)
    }
}

impl Drop for Ground {
    /// The folder of the clusters goes with the last of them.
    fn drop(&mut self) {
        let Some(lock) = &self.lock else { return };
        let entries = fs::read_dir(RUN).into_iter().flatten().flatten();
        if entries.into_iter().all(|entry| entry.file_name() == "lock") {
            lock.remove();
            let _ = fs::remove_dir(RUN);
        }
    }
}

fn before_path() -> PathBuf {
    Path::new(RUN).join("before")
}

/// Writes down what the machine is like, unless clusters have been started already.
fn remember() -> anyhow::Result<()> {
    if !before_path().exists() {
        // Whole or not at all: half a picture would show everything else as new.
        let part = before_path().with_extension("part");
        fs::write(&part, serde_json::to_vec(&Picture::take())?)?;
        fs::rename(part, before_path())?;
    }
    Ok(())
}

/// Does something to several clusters side by side.
fn at_once<'a>(
    clusters: impl IntoIterator<Item = &'a Cluster>,
    something: impl Fn(&Cluster) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let something = &something;
        let threads: Vec<_> =
            clusters.into_iter().map(|cluster| (cluster, scope.spawn(move || something(cluster)))).collect();
        threads.into_iter().try_for_each(|(cluster, thread)| {
            thread.join().unwrap_or_else(|_| bail!("what was done to {} panicked", cluster.name))
        })
    })
}

fn engine_image(name: &str, program: &Path) -> Image {
    Image {
        name: name.to_owned(),
        files: vec![("usr/local/bin/vllm".to_owned(), program.to_owned())],
        entrypoint: vec!["/usr/local/bin/vllm".to_owned()],
        user: String::new(),
    }
}

fn operator_image(tag: &str, binary: &Path) -> Image {
    Image {
        name: format!("{OPERATOR_IMAGE}:{tag}"),
        files: vec![("roadstead".to_owned(), binary.to_owned())],
        entrypoint: vec!["/roadstead".to_owned()],
        user: "65532:65532".to_owned(),
    }
}

/// Folder of the clusters' files.
#[must_use]
pub fn root() -> PathBuf {
    std::env::var_os("ROADSTEAD_GROUND_DIR").map_or_else(|| PathBuf::from("/var/lib/roadstead-ground"), PathBuf::from)
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn chart(name: &str) -> String {
    repository().join("charts").join(name).display().to_string()
}

/// A binary of this workspace, built beside the one that runs.
///
/// # Errors
/// If it is not there.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built beside {}; run `cargo build --workspace`", own.display()))
}
