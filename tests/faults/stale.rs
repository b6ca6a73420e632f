//! The operator shown the past: its lists and watches come from a second API server that is cut off from etcd, while what
//! it writes, and every object that it asks for by name, is of the present. So it is behind a load balancer when one API
//! server lags; Sieve (Sun et al., OSDI 2022) found most of its bugs there.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_ground::api_server::ApiServer;
use serde_json::{Value, json};

use super::crash_sweep::{begin, edit, gone};
use super::link::Link;
use super::objects::deployment;
use super::proxy::Upstream;
use super::rig::{LONG, Rig, TEAM, wait};
use super::weather::{Call, Disturbance, Effect};

/// Time that the operator acts on stale data: longer than its third attempt.
const BELIEVED: Duration = Duration::from_secs(3);

/// Lists of each kind.
const LISTS: [&str; 5] = [
    "/apis/roadstead.dev/v1alpha1/modeldeployments",
    "/apis/roadstead.dev/v1alpha1/servingtargets",
    "/apis/roadstead.dev/v1alpha1/inferenceendpoints",
    "/api/v1/namespaces",
    "/api/v1/namespaces/roadstead-system/secrets",
];

/// A past that is shown, and what must come of it.
struct Case {
    name: &'static str,
    /// The reads that show the past.
    shown: fn(&Call) -> bool,
    /// True if a deployment serves at first.
    serving: bool,
    /// Action of the user while the operator is down, before its data becomes stale.
    before: fn(&Rig) -> anyhow::Result<()>,
    /// Hidden actions while the operator works.
    meanwhile: fn(&Rig) -> anyhow::Result<()>,
    /// Hidden action of the user while the operator is down again.
    last: fn(&Rig) -> anyhow::Result<()>,
    /// Holds once the present is seen.
    end: fn(&Rig) -> anyhow::Result<()>,
    /// Creations and deletions that follow once the current data is visible.
    due: &'static [&'static str],
}

const NOTHING: fn(&Rig) -> anyhow::Result<()> = |_| Ok(());

const CASES: [Case; 7] = [
    Case {
        name: "a deployment of the same name is another one now",
        shown: everything,
        serving: true,
        before: NOTHING,
        meanwhile: |rig| {
            remove(rig)?;
            rig.apply(&deployment())?;
            ready(rig)
        },
        last: NOTHING,
        end: ready,
        due: &[],
    },
    Case {
        name: "a deployment is gone",
        shown: everything,
        serving: true,
        before: NOTHING,
        meanwhile: remove,
        last: NOTHING,
        end: gone,
        due: &[],
    },
    Case {
        name: "a deployment that waited is placed elsewhere by an edit",
        shown: |call| deployments(call) || endpoints(call),
        serving: false,
        before: |rig| {
            taint(rig, &json!([{"key": "maintenance", "effect": "NoPlacement"}]))?;
            rig.apply(&deployment())?;
            rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "False").map(drop)
        },
        meanwhile: |rig| {
            edit(rig, "/spec/placement/jurisdictions", json!(["US"]))?;
            ready(rig)?;
            taint(rig, &json!([]))
        },
        last: NOTHING,
        end: ready,
        due: &[],
    },
    Case {
        name: "an edit was taken back",
        shown: deployments,
        serving: true,
        before: |rig| {
            rig.stop_operator();
            edit(rig, "/spec/placement/jurisdictions", json!(["US"]))
        },
        meanwhile: NOTHING,
        last: |rig| rig.apply(&deployment()),
        end: ready,
        due: &[],
    },
    Case {
        name: "a target that is being deleted has an endpoint",
        shown: endpoints,
        serving: false,
        before: NOTHING,
        meanwhile: placed,
        last: |rig| rig.kubectl(&["delete", "servingtarget", "west", "--wait=false"]).map(drop),
        end: |rig| rig.get(&["servingtarget", "west"]).map(drop),
        due: &[],
    },
    Case {
        name: "a deployment that is being deleted has an endpoint",
        shown: endpoints,
        serving: false,
        before: NOTHING,
        meanwhile: placed,
        last: |rig| rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"]).map(drop),
        end: gone,
        due: &["DELETE /apis/roadstead.dev/", "DELETE /places/west/endpoints/"],
    },
    Case {
        name: "a deployment that was being deleted is another one now, and its endpoint is seen",
        shown: deployments,
        serving: true,
        before: |rig| {
            rig.stop_operator();
            rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"]).map(drop)
        },
        meanwhile: |rig| {
            rig.start_operator()?;
            rig.kubectl(&["wait", "mdep/llama", "-n", TEAM, "--for=delete", "--timeout=60s"])?;
            rig.apply(&deployment())?;
            ready(rig)
        },
        last: NOTHING,
        end: ready,
        due: &[],
    },
];

/// A deployment comes, and is placed in the west.
fn placed(rig: &Rig) -> anyhow::Result<()> {
    rig.apply(&deployment())?;
    ready(rig)
}

/// Every case, one after another.
pub fn believes_nothing_that_spends_or_destroys(rig: &Rig) -> anyhow::Result<()> {
    let past = Past::beside(rig)?;
    for case in &CASES {
        shown(rig, &past, case).with_context(|| case.name)?;
    }
    Ok(())
}

fn shown(rig: &Rig, past: &Past, case: &Case) -> anyhow::Result<()> {
    begin(rig, case.serving)?;
    (case.before)(rig)?;
    past.catch_up(rig)?;
    past.link.hold(true);
    let result = acted_upon(rig, past, case);
    past.link.hold(false);
    let result = result.and_then(|()| caught_up(rig, case));
    // Its watches are those of the second server.
    rig.stop_operator();
    result
}

/// The present is seen: what is due is done, and nothing else.
fn caught_up(rig: &Rig, case: &Case) -> anyhow::Result<()> {
    wait("the present is seen, and served", LONG, || {
        (case.end)(rig)?;
        let counts = counts(rig);
        ensure!(counts.len() == case.due.len(), "created and deleted {counts:?}");
        Ok(())
    })?;
    rig.quiet()?;
    (case.end)(rig)?;
    let counts = counts(rig);
    let due = |(what, times): (&String, &usize)| *times == 1 && case.due.iter().any(|due| what.starts_with(due));
    ensure!(counts.len() == case.due.len() && counts.iter().all(due), "created and deleted {counts:?}");
    Ok(())
}

/// Numbers of creations and deletions of each object, without keys: a key for an endpoint that no longer exists costs
/// nothing, and is collected.
fn counts(rig: &Rig) -> BTreeMap<String, usize> {
    let mut counts = rig.tape.births_and_deaths();
    counts.retain(|what, _| !what.contains("/secrets/"));
    counts
}

/// The operator starts anew, knows nothing but the past, and acts upon it.
fn acted_upon(rig: &Rig, past: &Past, case: &Case) -> anyhow::Result<()> {
    (case.meanwhile)(rig)?;
    if rig.operator.is_alive() {
        rig.quiet()?;
    }
    rig.stop_operator();
    (case.last)(rig)?;
    let (clouds, records) = (clouds(rig)?, records(rig)?);
    rig.tape.rewind(None);
    rig.weather.set(vec![Disturbance { calls: case.shown, effect: Effect::Past(past.upstream.clone()) }]);
    rig.start_operator()?;
    wait("it acts upon what it was shown", LONG, || {
        let reconciles = rig.reconciles()?;
        ensure!(reconciles > 0, "it has not begun");
        Ok(())
    })?;
    std::thread::sleep(BELIEVED);
    let counts = counts(rig);
    ensure!(counts.is_empty(), "upon the past it created and deleted {counts:?}: {:?}", rig.tape.writes());
    ensure!(self::clouds(rig)? == clouds, "upon the past it changed {clouds:?}");
    ensure!(self::records(rig)? == records, "upon the past it let something go of {records:?}");
    Ok(())
}

fn everything(call: &Call) -> bool {
    call.hub && !call.writes() && LISTS.iter().any(|list| call.path == *list)
}

fn deployments(call: &Call) -> bool {
    everything(call) && call.collection("modeldeployments")
}

fn endpoints(call: &Call) -> bool {
    everything(call) && call.collection("inferenceendpoints")
}

fn ready(rig: &Rig) -> anyhow::Result<()> {
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True").map(drop)
}

fn remove(rig: &Rig) -> anyhow::Result<()> {
    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"]).map(drop)
}

fn taint(rig: &Rig, taints: &Value) -> anyhow::Result<()> {
    let patch = json!({"spec": {"taints": taints}}).to_string();
    rig.kubectl(&["patch", "servingtarget", "west", "--type=merge", "-p", &patch]).map(drop)
}

/// The records on the hub: kind, name and UID of each object.
fn records(rig: &Rig) -> anyhow::Result<Vec<String>> {
    let all = rig.get(&["mdep,iep,servingtargets", "-A"])?;
    let record = |one: &Value| format!("{} {} {}", one["kind"], one["metadata"]["name"], one["metadata"]["uid"]);
    Ok(all["items"].as_array().into_iter().flatten().map(record).collect())
}

fn clouds(rig: &Rig) -> anyhow::Result<BTreeMap<&'static str, Vec<Value>>> {
    ["east", "west"].into_iter().map(|place| Ok((place, rig.cloud_endpoints(place)?))).collect()
}

/// A second API server of the same cluster, whose way to etcd can be cut.
struct Past {
    server: ApiServer,
    link: Link,
    upstream: Upstream,
}

impl Past {
    fn beside(rig: &Rig) -> anyhow::Result<Self> {
        let link = rig.runtime.block_on(Link::to(rig.server.etcd()))?;
        let server = ApiServer::beside(&rig.server, link.address)?;
        let upstream = Upstream::Hub(rig.runtime.block_on(server.client())?);
        Ok(Self { server, link, upstream })
    }

    /// Waits until its memory shows what is.
    fn catch_up(&self, rig: &Rig) -> anyhow::Result<()> {
        let items = |server: &ApiServer, path: &str| -> anyhow::Result<Value> {
            let list = roadstead_ground::command::finish(server.kubectl().args(["get", "--raw", path]))?;
            Ok(serde_json::from_str::<Value>(&list)?["items"].take())
        };
        for list in LISTS {
            wait("the second server shows what is", LONG, || {
                let (known, present) =
                    (items(&self.server, &format!("{list}?resourceVersion=0"))?, items(&rig.server, list)?);
                ensure!(known == present, "{list}: it knows {known}");
                Ok(())
            })?;
        }
        Ok(())
    }
}
