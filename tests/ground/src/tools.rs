//! Kubernetes, etcd and helm, and linters of manifests: built once from Go modules and kept outside the clone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The version of Kubernetes; clients read it from the binaries' stamp.
const KUBERNETES: (&str, &str, &str) = ("v1.37.2", "1", "37");

/// Environment of the programs in Go: the heap grows to five times what is in use before garbage is collected. An API server
/// then takes a fifth less of the processor to start, and a quarter more memory.
pub(crate) const SPARING: (&str, &str) = ("GOGC", "400");

/// Programs that are built from one Go module.
struct Module {
    /// The folder of its `go.mod`, beside `src`.
    dir: &'static str,
    /// Prefix of its folder in the cache.
    name: &'static str,
    /// Changes with what no file says, such as flags of the build.
    version: &'static str,
    /// Sources of the programs.
    files: &'static [&'static str],
    /// The programs, and the package of each.
    binaries: &'static [(&'static str, &'static str)],
    /// Build time, for people.
    patience: &'static str,
}

/// The programs of clusters and their clients.
const CLUSTERS: Module = Module {
    dir: "tools",
    name: "kubernetes",
    version: KUBERNETES.0,
    files: &["go.mod", "go.sum", "etcd/main.go", "pause/main.go"],
    binaries: &[
        ("etcd", "./etcd"),
        ("pause", "./pause"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
        ("helm", "helm.sh/helm/v3/cmd/helm"),
    ],
    patience: "about six minutes on two cores",
};

/// Linters of manifests. A separate module: another version of it rebuilds no Kubernetes.
const LINTERS: Module = Module {
    dir: "linters",
    name: "linters",
    version: "v1",
    files: &["go.mod", "go.sum"],
    binaries: &[
        ("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),
        ("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),
    ],
    patience: "about a minute on two cores",
};

/// The interpreter of Argo CD's health scripts, which asks one about objects.
const HEALTH: Module = Module {
    dir: "lua",
    name: "lua",
    version: "v1",
    files: &["go.mod", "go.sum", "main.go"],
    binaries: &[("lua-health", ".")],
    patience: "half a minute on two cores",
};

/// The folder in which the tools are.
#[derive(Debug, Clone)]
pub struct Tools {
    dir: PathBuf,
}

impl Tools {
    /// The tools of the folder that `ROADSTEAD_TOOLS` names, else those of the cache, built first where they are missing.
    ///
    /// # Errors
    /// If the named folder lacks one, or they cannot be built.
    pub fn locate() -> anyhow::Result<Self> {
        let Some(named) = named() else { return Self::build(&CLUSTERS) };
        if let Some((missing, _)) = named.missing(&CLUSTERS).next() {
            bail!(
                "ROADSTEAD_TOOLS is {}, which has no {missing}; unset it to have the tools built",
                named.dir.display()
            );
        }
        Ok(named)
    }

    /// The linters kube-score and kubeconform: those of the folder that `ROADSTEAD_TOOLS` names if it has them, else
    /// those of the cache, built first where they are missing.
    ///
    /// # Errors
    /// If they cannot be built.
    pub fn linters() -> anyhow::Result<Self> {
        Self::named_or_built(&LINTERS)
    }

    /// The interpreter `lua-health`, found or built like the linters.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn health() -> anyhow::Result<Self> {
        Self::named_or_built(&HEALTH)
    }

    fn named_or_built(module: &Module) -> anyhow::Result<Self> {
        match named().filter(|named| named.missing(module).next().is_none()) {
            Some(named) => Ok(named),
            None => Self::build(module),
        }
    }

    /// The path of one tool.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn missing(&self, module: &Module) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        module.binaries.iter().filter(|(name, _)| !self.path(name).is_file())
    }

    /// Builds what of a module is missing, one process at a time; a binary appears only when it is whole.
    fn build(module: &Module) -> anyhow::Result<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(module.dir);
        let tools = Self { dir: cache()?.join("tools").join(module.folder(&source)?) };
        if tools.missing(module).next().is_none() {
            return Ok(tools);
        }
        let _lock = Lock::take(&tools.dir.join("lock"))?;
        let go = Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !go.is_ok_and(|status| status.success()) {
            bail!(
                "the tools are built from source and need Go 1.26 or newer on the PATH: install it, or name a folder with the tools in ROADSTEAD_TOOLS"
            );
        }
        let wanted: Vec<_> = tools.missing(module).collect();
        eprintln!("building {} tools into {} (once; {})", wanted.len(), tools.dir.display(), module.patience);
        for (done, (name, package)) in wanted.iter().enumerate() {
            let start = Instant::now();
            eprintln!("  [{}/{}] {name} …", done + 1, wanted.len());
            tools.build_one(&source, name, package)?;
            eprintln!("  [{}/{}] {name}: {} s", done + 1, wanted.len(), start.elapsed().as_secs());
        }
        Ok(tools)
    }

    fn build_one(&self, source: &Path, name: &str, package: &str) -> anyhow::Result<()> {
        let (version, major, minor) = KUBERNETES;
        let stamp = "k8s.io/component-base/version";
        let flags =
            format!("-s -w -X {stamp}.gitVersion={version} -X {stamp}.gitMajor={major} -X {stamp}.gitMinor={minor}");
        let part = self.dir.join(format!("{name}.part"));
        let status = Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-ldflags", &flags, "-o"])
            .arg(&part)
            .arg(package)
            .current_dir(source)
            .env("CGO_ENABLED", "0")
            .status()
            .context("cannot start go")?;
        if !status.success() {
            bail!("go build {package} ended with {status}");
        }
        fs::rename(&part, self.path(name))?;
        Ok(())
    }
}

/// The folder that `ROADSTEAD_TOOLS` names.
fn named() -> Option<Tools> {
    std::env::var_os("ROADSTEAD_TOOLS").map(|dir| Tools { dir: PathBuf::from(dir) })
}

/// The cache outside the clone.
///
/// # Errors
/// If neither `XDG_CACHE_HOME` nor `HOME` is set.
pub fn cache() -> anyhow::Result<PathBuf> {
    if let Some(cache) = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()) {
        return Ok(PathBuf::from(cache).join("roadstead"));
    }
    let home =
        std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: there is no place for the tools")?;
    Ok(PathBuf::from(home).join(".cache/roadstead"))
}

impl Module {
    /// Its folder in the cache: another one with everything that the programs are built from.
    fn folder(&self, source: &Path) -> anyhow::Result<String> {
        let mut digest = Sha256::new();
        digest.update(self.version);
        for file in self.files {
            digest.update(fs::read(source.join(file)).with_context(|| format!("cannot read {file}"))?);
        }
        let hex: String = HEXLOWER.encode(&digest.finalize()).chars().take(12).collect();
        Ok(format!("{}-{}-{hex}", self.name, self.version))
    }
}

/// Held by one process at a time; ends with the process that holds it.
pub struct Lock {
    file: fs::File,
    path: PathBuf,
}

impl Lock {
    /// Waits for the lock.
    ///
    /// # Errors
    /// If the file cannot be made, or nobody lets go of it for half an hour.
    pub fn take(path: &Path) -> anyhow::Result<Self> {
        let start = Instant::now();
        let mut told = false;
        loop {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let file = fs::File::options().create(true).append(true).open(path)?;
            let lock = Self { file, path: path.to_owned() };
            // A file that its former holder has removed keeps nobody out.
            if lock.file.try_lock().is_ok() && lock.is_there() {
                return Ok(lock);
            }
            if !told {
                eprintln!("waiting for another run that holds {}", path.display());
                told = true;
            }
            if start.elapsed() > Duration::from_mins(30) {
                bail!("{} is held for more than half an hour by another run", path.display());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Removes the file; whoever waits for it takes another one.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }

    fn is_there(&self) -> bool {
        let known = |metadata: io::Result<fs::Metadata>| metadata.map(|file| (file.dev(), file.ino())).ok();
        let own = known(self.file.metadata());
        own.is_some() && own == known(fs::metadata(&self.path))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_lock_whose_file_was_removed_keeps_nobody_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ground/lock");
        let former = Lock::take(&path).unwrap();
        assert!(former.is_there());
        former.remove();
        let next = Lock::take(&path).unwrap();
        assert!(next.is_there() && !former.is_there());
        // As one that had opened the file before it was removed.
        drop(former);
        assert!(next.is_there());
    }
}
