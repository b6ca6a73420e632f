//! The operator's own pods, and what they write.

use anyhow::Context;
use roadstead_ground::audit::{Mark, Write};
use roadstead_ground::cluster::Cluster;
use roadstead_ground::container::Container;
use roadstead_ground::ground::SYSTEM;

use super::stage::Stage;

/// The operator's account on the hub.
const ON_HUB: &str = "system:serviceaccount:roadstead-system:roadstead";
/// Its account on members.
const ON_MEMBERS: &str = "system:serviceaccount:roadstead:roadstead-hub";

/// The operator's running containers.
pub fn containers(stage: &Stage) -> anyhow::Result<Vec<Container>> {
    Container::find(&stage.ground.hub, SYSTEM, "app.kubernetes.io/name=roadstead")
}

/// The pod that leads, by the lease.
pub fn leader(stage: &Stage) -> anyhow::Result<String> {
    let lease = stage.ground.hub.get("lease", SYSTEM, "roadstead")?;
    Ok(lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
}

/// The leader's container.
pub fn leading(stage: &Stage) -> anyhow::Result<Container> {
    let leader = leader(stage)?;
    let found = containers(stage)?.into_iter().find(|container| container.pod == leader);
    found.with_context(|| format!("the leader {leader} has no running container"))
}

/// Ends of the audit logs of all clusters now.
pub struct Marks(Vec<Mark>);

impl Marks {
    /// Now.
    pub fn now(stage: &Stage) -> Self {
        Self(stage.ground.all().map(Cluster::mark).collect())
    }

    /// The operator's later writes on all clusters: of objects, without its lease and events.
    pub fn writes(&self, stage: &Stage) -> anyhow::Result<Vec<Write>> {
        let mut all = Vec::new();
        for (cluster, mark) in stage.ground.all().zip(&self.0) {
            let writes = cluster.writes_since(*mark)?;
            all.extend(writes.into_iter().filter(|write| write.user == ON_HUB || write.user == ON_MEMBERS));
        }
        all.retain(|write| !["leases", "events"].contains(&write.resource.as_str()));
        Ok(all)
    }

    /// Processes that renewed or took the operator's lease later, in order.
    pub fn holders(&self, stage: &Stage) -> anyhow::Result<Vec<String>> {
        let writes = stage.ground.hub.writes_since(*self.0.first().context("no hub")?)?;
        let renewals = writes.into_iter().filter(|write| write.user == ON_HUB && write.resource == "leases");
        Ok(renewals.filter(Write::took_effect).map(|write| write.pod).collect())
    }
}

/// One write a line, for messages.
pub fn told(writes: &[Write]) -> String {
    writes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
