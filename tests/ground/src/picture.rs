//! The state of the machine that clusters could change: recorded before they start and after they have stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::command::run;
use crate::machine::RUN;

/// Folders that parts of clusters write to, and files; those of the ground itself are among them.
const PLACES: [&str; 14] = [
    RUN,
    "/run/netns",
    "/run/containerd",
    "/run/xtables.lock",
    "/run/mount",
    "/var/lib/roadstead-ground",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/pods",
    "/var/log/containers",
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/usr/libexec/kubernetes",
];
/// Kernel settings that kubelets, network plugins and service proxies set, files and folders below `/proc/sys`. Others are
/// changed by programs that have nothing to do with clusters.
const SETTINGS: [&str; 6] =
    ["net", "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys"];
/// Prefix of cgroups in a picture.
const CGROUP: &str = "cgroup";
/// Prefix of processes in a picture.
const PROCESS: &str = "process";
/// Settings that are only counters, in any part of the kernel.
const COUNTERS: [&str; 1] = ["nf_conntrack_count"];

/// A machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Existing objects: routes, links, network namespaces, mounts, cgroups of pods, tables of the packet filter, files
    /// in the folders of clusters, and processes in the ground's network namespaces.
    things: BTreeSet<String>,
    /// Kernel settings that clusters change.
    settings: BTreeMap<String, String>,
}

impl Picture {
    /// Takes one; what cannot be read is not in it.
    #[must_use]
    pub fn take() -> Self {
        let mut things = BTreeSet::new();
        let mut add = |kind: &str, names: Vec<String>| things.extend(names.iter().map(|name| format!("{kind} {name}")));
        for family in ["-4", "-6"] {
            add("route", lines("ip", &[family, "route", "show", "table", "all"], without_expiry));
        }
        add("link", names(Path::new("/sys/class/net")));
        add("network namespace", lines("ip", &["netns"], first_word));
        add("packet filter", lines("nft", &["list", "tables"], str::to_owned));
        add("mount", mounts());
        add(CGROUP, cgroups());
        add(PROCESS, processes());
        for place in PLACES {
            add("file", below(Path::new(place)));
        }
        add("file", discovered());
        Self { things, settings: settings() }
    }

    /// Cgroups of pods and containers that a later picture has and this one lacks.
    #[must_use]
    pub fn new_cgroups(&self, later: &Self) -> Vec<PathBuf> {
        let new = later.things.difference(&self.things);
        new.filter_map(|thing| thing.strip_prefix(CGROUP)?.strip_prefix(' ')).map(PathBuf::from).collect()
    }

    /// Differences of a later picture, one on each line: new things, missing things, changed settings.
    #[must_use]
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let new = |thing: &&String| {
            // A new folder says enough of what is in it.
            let in_new_folder = thing
                .rsplit_once('/')
                .is_some_and(|(folder, _)| later.things.contains(folder) && !self.things.contains(folder));
            !self.things.contains(*thing) && !in_new_folder
        };
        let new = later.things.iter().filter(new).map(|thing| format!("new: {thing}"));
        // A process that named the ground's folders before and has ended is somebody's `tail` or `du`.
        let gone = self.things.difference(&later.things).filter(|thing| !thing.starts_with(PROCESS));
        let gone = gone.map(|thing| format!("gone: {thing}"));
        // Settings that are new came with a module of the kernel, which stays loaded.
        let changed = self.settings.iter().filter_map(|(name, former)| {
            let value = later.settings.get(name).filter(|value| *value != former)?;
            Some(format!("changed: {name} is {value}, was {former}"))
        });
        new.chain(gone).chain(changed).collect()
    }
}

/// Output of a program by lines; empty if it is missing or fails.
fn lines(program: &str, args: &[&str], shown: impl Fn(&str) -> String) -> Vec<String> {
    run(program, args).unwrap_or_default().lines().map(|line| shown(line.trim())).collect()
}

fn first_word(line: &str) -> String {
    line.split_whitespace().next().unwrap_or_default().to_owned()
}

/// A route that is learned from others says for how many seconds it still holds.
fn without_expiry(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if word == "expires" {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn mounts() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(ToOwned::to_owned).collect()
}

/// The cgroups of pods and containers; those of sessions and services come and go without clusters.
fn cgroups() -> Vec<String> {
    let all = folders(Path::new("/sys/fs/cgroup"));
    let of_pods = |path: &String| ["k8s.io", "kubepods", "roadstead"].iter().any(|mark| path.contains(mark));
    all.into_iter().filter(of_pods).collect()
}

fn processes() -> Vec<String> {
    let marks = [RUN.to_owned(), crate::ground::root().display().to_string()];
    let of_ground = |line: &String| marks.iter().any(|mark| line.contains(mark.as_str()));
    lines("ps", &["-eo", "args"], str::to_owned).into_iter().filter(of_ground).collect()
}

/// Files that kubectl keeps in the user's folder after its first contact with a cluster.
fn discovered() -> Vec<String> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let folder = home.join(".kube/cache/discovery");
    let of_cluster = |name: &String| name.starts_with("198.18.");
    names(&folder).into_iter().filter(of_cluster).map(|name| folder.join(name).display().to_string()).collect()
}

/// A file or folder and all that is in it, without what is held only while the picture is taken.
fn below(place: &Path) -> Vec<String> {
    if place.symlink_metadata().is_err() || place == Path::new(RUN) && names(place).iter().all(|name| own(name)) {
        return Vec::new();
    }
    let mut found = vec![place.display().to_string()];
    if place.is_dir() && !place.is_symlink() {
        let kept = names(place).into_iter().filter(|name| place != Path::new(RUN) || !own(name));
        found.extend(kept.flat_map(|name| below(&place.join(name))));
    }
    found
}

/// Files that the ground keeps in its own folder.
fn own(name: &str) -> bool {
    ["lock", "before", "made"].contains(&name)
}

/// A folder's folders, however deep.
fn folders(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path().display().to_string());
            found.extend(folders(&entry.path()));
        }
    }
    found
}

fn settings() -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for place in SETTINGS {
        read_settings(&Path::new("/proc/sys").join(place), &mut settings);
    }
    settings
}

fn read_settings(place: &Path, into: &mut BTreeMap<String, String>) {
    let name = place.strip_prefix("/proc/sys").unwrap_or(place).display().to_string();
    if place.is_dir() {
        let entries = fs::read_dir(place).into_iter().flatten().flatten();
        entries.for_each(|entry| read_settings(&entry.path(), into));
    } else if !COUNTERS.iter().any(|counter| name.ends_with(counter))
        && let Ok(value) = fs::read_to_string(place)
    {
        into.insert(name.replace('/', "."), value.trim_end().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(things: &[&str], settings: &[(&str, &str)]) -> Picture {
        Picture {
            things: things.iter().map(ToString::to_string).collect(),
            settings: settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn what_is_left_what_is_gone_and_what_is_changed_is_listed() {
        let before = picture(&["link eth0", "mount /proc"], &[("net.ipv4.ip_forward", "0"), ("vm.swappiness", "60")]);
        let after = picture(
            &["link eth0", "route blackhole 198.18.0.0/15"],
            &[("net.ipv4.ip_forward", "1"), ("vm.swappiness", "60")],
        );
        assert_eq!(
            before.differences(&after),
            ["new: route blackhole 198.18.0.0/15", "gone: mount /proc", "changed: net.ipv4.ip_forward is 1, was 0"]
        );
        assert!(before.differences(&before).is_empty());
    }

    #[test]
    fn of_a_new_folder_only_the_uppermost_is_listed() {
        let before = picture(&["file /run/netns"], &[]);
        let things = ["file /run/netns", "file /run/netns/east", "file /run/a", "file /run/a/b", "file /run/a/b/c"];
        let after = picture(&things, &[]);
        assert_eq!(before.differences(&after), ["new: file /run/a", "new: file /run/netns/east"]);
    }

    #[test]
    fn a_process_that_was_there_before_may_have_ended_since() {
        let before = picture(&["process tail -f /run/roadstead-ground/log"], &[]);
        let after = picture(&["process containerd -c /run/roadstead-ground/east"], &[]);
        assert_eq!(before.differences(&after), ["new: process containerd -c /run/roadstead-ground/east"]);
    }

    #[test]
    fn cgroups_that_were_there_before_are_not_new() {
        let before = picture(&["cgroup /sys/fs/cgroup/cpu/k8s.io"], &[]);
        let after = picture(&["cgroup /sys/fs/cgroup/cpu/k8s.io", "cgroup /sys/fs/cgroup/cpu/k8s.io/a", "link a"], &[]);
        assert_eq!(before.new_cgroups(&after), [PathBuf::from("/sys/fs/cgroup/cpu/k8s.io/a")]);
    }

    #[test]
    fn a_setting_that_a_new_module_brings_is_no_difference() {
        let before = picture(&[], &[]);
        assert!(before.differences(&picture(&[], &[("net.netfilter.nf_conntrack_max", "1")])).is_empty());
    }

    #[test]
    fn a_route_is_the_same_one_however_long_it_still_holds() {
        assert_eq!(
            without_expiry("default via fe80::1 dev eth0 expires 1799sec hoplimit 64"),
            without_expiry("default via fe80::1 dev eth0 expires 12sec hoplimit 64")
        );
    }

    #[test]
    fn a_picture_shows_the_links_and_settings_of_this_machine() {
        let picture = Picture::take();
        assert!(picture.things.contains("link lo"), "{:?}", picture.things);
        assert!(picture.settings.contains_key("net.ipv4.ip_forward"));
    }
}
