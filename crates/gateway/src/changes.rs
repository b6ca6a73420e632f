//! The order of writes between two configurations.

use crate::files::{Content, File, Files};

/// One step from a configuration to the next.
#[derive(Clone, PartialEq, Eq)]
pub enum Change {
    /// Write a file.
    Write(File, Content),
    /// Wait until Envoy has applied this version of a file.
    Await(File, String),
    /// Remove a file.
    Remove(File),
}

/// The steps from `old` to `new`.
///
/// A new deployment gets its endpoints before its cluster, because Envoy refuses a cluster whose file of endpoints is
/// missing, and its cluster before its route, because a route without a cluster answers 503. What goes loses its route
/// first. So the clusters of both configurations exist together until the new routes are applied.
#[must_use]
pub fn changes(old: &Files, new: &Files) -> Vec<Change> {
    let mut steps = Vec::new();
    let is_first = |file: &File| !matches!(file, File::Clusters | File::Hosted | File::Routes | File::Verification);
    for (file, content) in new.iter().filter(|(file, _)| is_first(file)) {
        if old.get(file) != Some(content) {
            steps.push(Change::Write(file.clone(), content.clone()));
        }
    }
    let both = clusters_of_both(old, new);
    write_and_await(&mut steps, File::Clusters, old.get(&File::Clusters), both.as_ref());
    for routes in [File::Hosted, File::Routes, File::Verification] {
        let (old, new) = (old.get(&routes), new.get(&routes));
        write_and_await(&mut steps, routes, old, new);
    }
    write_and_await(&mut steps, File::Clusters, both.as_ref(), new.get(&File::Clusters));
    let gone = old.iter().map(|(file, _)| file).filter(|file| new.get(file).is_none());
    steps.extend(gone.cloned().map(Change::Remove));
    steps
}

fn write_and_await(steps: &mut Vec<Change>, file: File, old: Option<&Content>, new: Option<&Content>) {
    if let Some(content) = new.filter(|_| old != new) {
        steps.push(Change::Write(file.clone(), content.clone()));
        steps.push(Change::Await(file, content.version()));
    }
}

/// The new clusters, and the old ones that the new configuration lacks.
fn clusters_of_both(old: &Files, new: &Files) -> Option<Content> {
    let clusters = |files: &Files| match files.get(&File::Clusters) {
        Some(Content::Resources(resources)) => Some(resources.clone()),
        _ => None,
    };
    let mut both = clusters(old).unwrap_or_default();
    both.extend(clusters(new)?);
    Some(Content::Resources(both))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::render::render;
    use crate::render::tests::{addresses, endpoint, route, settings};
    use crate::route::{Route, State};

    fn rendered(routes: &[Route]) -> Files {
        render(routes, &addresses(), &settings())
    }

    fn one(name: &str, state: State) -> Route {
        route(name, vec![endpoint("a", "198.51.100.7", state)])
    }

    fn shown(old: &[Route], new: &[Route]) -> Vec<String> {
        changes(&rendered(old), &rendered(new))
            .iter()
            .map(|change| match change {
                Change::Write(file, Content::Resources(resources)) if *file == File::Clusters => {
                    format!("write {} with {}", file.path(), resources.keys().cloned().collect::<Vec<_>>().join(" "))
                }
                Change::Write(file, _) => format!("write {}", file.path()),
                Change::Await(file, _) => format!("await {}", file.path()),
                Change::Remove(file) => format!("remove {}", file.path()),
            })
            .collect()
    }

    #[test]
    fn writes_endpoints_then_clusters_then_routes() {
        assert_eq!(
            shown(&[], &[one("llama", State::Active)]),
            [
                "write eds/uid-llama.json",
                "write cds.json with team-a/llama",
                "await cds.json",
                "write rds.json",
                "await rds.json"
            ]
        );
    }

    #[test]
    fn removes_routes_then_clusters_then_endpoints() {
        let (llama, qwen) = (one("llama", State::Active), one("qwen", State::Active));
        assert_eq!(
            shown(&[llama.clone(), qwen], &[llama]),
            [
                "write rds.json",
                "await rds.json",
                "write cds.json with team-a/llama",
                "await cds.json",
                "remove eds/uid-qwen.json"
            ]
        );
    }

    #[test]
    fn keeps_the_clusters_of_both_until_the_routes_are_applied() {
        assert_eq!(
            shown(&[one("llama", State::Active)], &[one("qwen", State::Active)])[1..5],
            ["write cds.json with team-a/llama team-a/qwen", "await cds.json", "write rds.json", "await rds.json"]
        );
    }

    #[test]
    fn a_draining_endpoint_touches_its_own_file_alone() {
        let [serving, draining] =
            [State::Active, State::Draining].map(|state| rendered(&[one("llama", state), one("qwen", State::Active)]));
        let steps = changes(&serving, &draining);
        assert!(matches!(&steps[..], [Change::Write(File::Endpoints(uid), _), ..] if uid == "uid-llama"));
    }

    #[test]
    fn an_endpoint_that_is_verified_changes_no_route_of_callers() {
        let verifying = || {
            let mut route = one("llama", State::Active);
            route.endpoints.push(endpoint("b", "198.51.100.8", State::Verifying));
            route
        };
        assert_eq!(
            shown(&[one("llama", State::Active)], &[verifying()]),
            [
                "write cds.json with team-a/llama team-a/llama/b",
                "await cds.json",
                "write verification.json",
                "await verification.json"
            ]
        );
        assert_eq!(
            shown(&[verifying()], &[one("llama", State::Active)]),
            [
                "write verification.json",
                "await verification.json",
                "write cds.json with team-a/llama",
                "await cds.json"
            ]
        );
    }

    #[test]
    fn a_configuration_is_read_back_as_it_was_written() {
        let files = rendered(&[one("llama", State::Active), one("qwen", State::Verifying)]);
        let texts: std::collections::BTreeMap<String, String> =
            files.iter().map(|(file, content)| (file.path(), content.text())).collect();
        let uids = vec!["uid-llama".to_owned(), "uid-qwen".to_owned()];
        assert!(Files::read(|path| texts.get(path).cloned(), uids) == files);
    }

    #[test]
    fn equal_configurations_need_no_write() {
        assert!(shown(&[one("llama", State::Active)], &[one("llama", State::Active)]).is_empty());
    }
}
