//! The clusters' needs of the machine itself, and the restoration of its former state.
//!
//! Container runtimes and kubelets write to folders and kernel settings that no option of theirs moves elsewhere. So each
//! node has a mount namespace of its own, in which files of the cluster cover those ([ADR 0031](../../../docs/adr/0031-a-ground-that-leaves-nothing.md)).
//! Folders below a mount are recorded before their creation, and removed at the end.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::command::run;

/// The sockets of the clusters and what must be remembered until they are gone.
pub const RUN: &str = "/run/roadstead-ground";
/// The folder in which named network namespaces hang.
const NAMESPACES: &str = "/run/netns";

/// Folders that a node writes to wherever its own are: each node covers them with its own.
pub const FOLDERS: [&str; 5] =
    ["/run/containerd", "/run/mount", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers"];

/// Kernel settings of the whole machine that a kubelet changes unless it finds its own values there.
pub const SETTINGS: [(&str, &str); 6] = [
    ("/proc/sys/vm/overcommit_memory", "1"),
    ("/proc/sys/vm/panic_on_oom", "0"),
    ("/proc/sys/kernel/panic", "10"),
    ("/proc/sys/kernel/panic_on_oops", "1"),
    ("/proc/sys/kernel/keys/root_maxkeys", "1000000"),
    ("/proc/sys/kernel/keys/root_maxbytes", "25000000"),
];

/// Makes the folders that are missing below the mounts, and remembers which those are.
///
/// # Errors
/// If one cannot be made.
pub fn prepare() -> anyhow::Result<()> {
    FOLDERS.into_iter().chain([NAMESPACES]).try_for_each(|folder| make(Path::new(folder), &memory()))
}

/// Removes the folders that [`prepare`] has made, as far as they are empty.
pub fn restore() {
    remove(&memory(), |folder| {
        // `ip netns` mounts this folder onto itself.
        if folder == Path::new(NAMESPACES) && is_empty(folder) {
            let _ = run("umount", &["-n", NAMESPACES]);
        }
    });
}

fn memory() -> PathBuf {
    Path::new(RUN).join("made")
}

fn make(folder: &Path, memory: &Path) -> anyhow::Result<()> {
    let mut missing: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    missing.reverse();
    for folder in missing {
        // First the memory: a run that is killed between the two leaves a folder that is known.
        writeln!(fs::File::options().create(true).append(true).open(memory)?, "{}", folder.display())?;
        fs::create_dir(folder)?;
    }
    Ok(())
}

fn remove(memory: &Path, before: impl Fn(&Path)) {
    let made = fs::read_to_string(memory).unwrap_or_default();
    for folder in made.lines().rev().map(Path::new) {
        before(folder);
        // Only an empty folder goes: whatever others have put there stays.
        let _ = fs::remove_dir(folder);
    }
    let _ = fs::remove_file(memory);
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes the cgroups of these containers, and their parent if no container of others is in it.
pub fn remove_cgroups(containers: &[String]) {
    for parent in cgroup_parents() {
        for container in containers {
            let _ = fs::remove_dir(parent.join(container));
        }
        let _ = fs::remove_dir(parent);
    }
}

/// Parents of the pods' cgroups: in one hierarchy, or in each of several.
fn cgroup_parents() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    hierarchies.chain([root.to_owned()]).map(|folder| folder.join("k8s.io")).filter(|folder| folder.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_made_goes_and_what_was_there_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, there) = (dir.path().join("made"), dir.path().join("there"));
        fs::create_dir(&there).unwrap();
        make(&there, &memory).unwrap();
        make(&there.join("missing/deep"), &memory).unwrap();
        make(&there.join("missing/deep"), &memory).unwrap();
        remove(&memory, |_| ());
        assert!(is_empty(&there), "the made folders are gone, and the one that was there is not");
        assert!(!memory.exists());
    }

    #[test]
    fn a_folder_that_others_use_meanwhile_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (memory, made) = (dir.path().join("made"), dir.path().join("cni"));
        make(&made, &memory).unwrap();
        fs::write(made.join("of-another"), "").unwrap();
        remove(&memory, |_| ());
        assert!(made.join("of-another").exists());
    }
}
