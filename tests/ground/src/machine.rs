//! The clusters' needs of the machine itself, and the restoration of its former state.
//!
//! Container runtimes and kubelets write to folders and kernel settings that no option of theirs moves elsewhere. So each
//! node has a mount namespace of its own, in which files of the cluster cover those ([ADR 0031](../../../docs/adr/0031-a-ground-that-leaves-nothing.md)).
//! Folders below a mount are recorded before their creation, and removed at the end.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// Parent cgroup of the containers of kubelets, with the file of its weight and eight times the default: of version 1, and of
/// version 2. Kubelets without cgroups for pods share it, and it competes as one with everything else on the machine.
const CONTAINERS: [(&str, &str, &str); 2] =
    [("/sys/fs/cgroup/cpu/k8s.io", "cpu.shares", "8192"), ("/sys/fs/cgroup/k8s.io", "cpu.weight", "800")];

/// Gives containers a larger share of a busy processor, as if the clusters were on machines of their own. A cgroup that exists
/// belongs to others, and where the kernel makes no such file the machine has another version of cgroups: both stay as they are.
pub fn favour_containers() {
    for (cgroup, weight, value) in CONTAINERS {
        if fs::create_dir(cgroup).is_err() {
            continue;
        }
        let file = fs::File::options().write(true).open(Path::new(cgroup).join(weight));
        if file.and_then(|mut file| file.write_all(value.as_bytes())).is_err() {
            let _ = fs::remove_dir(cgroup);
        }
    }
}

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

/// Removes these cgroups, the innermost first. A process that has just been killed keeps its own for a moment, so each
/// removal is tried for some seconds; a cgroup with a running process stays.
pub fn remove_cgroups(cgroups: &[PathBuf]) {
    let mut left: Vec<_> = cgroups.iter().collect();
    left.sort_unstable_by_key(|cgroup| std::cmp::Reverse(cgroup.components().count()));
    for _ in 0..50 {
        left.retain(|cgroup| fs::remove_dir(cgroup).is_err() && cgroup.exists());
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
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

    #[test]
    fn cgroups_go_from_the_innermost_to_the_outermost() {
        let dir = tempfile::tempdir().unwrap();
        let [parent, child] = ["k8s.io", "k8s.io/a"].map(|name| dir.path().join(name));
        fs::create_dir_all(&child).unwrap();
        remove_cgroups(&[parent.clone(), child.clone(), dir.path().join("was-never-there")]);
        assert!(!parent.exists());
    }
}
