//! Interpretation of a survey: progress, address and trouble of the endpoint.

use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::ResourceExt;
use roadstead_provider::launch::launch;
use roadstead_provider::probe::{Probe, ProbeWay, WithoutKey};

use super::identity::Made;
use super::member::Member;
use super::pods;
use super::proxied;
use super::render::{PORT_NAME, Rollout};
use super::survey::Survey;
use super::watched::Watched;
use roadstead_api::v1alpha1::{Engine, ExposeType, InferenceEndpointSpec, ProbeVia, reasons, syntax};
use roadstead_provider::{
    ErrorClass, Observation, Present, Progress, ProviderError, Redacted, Trouble, TroubleKind, Wanted,
};

/// Observation of the wanted endpoint from the survey.
///
/// # Errors
/// `Bug` if something cannot be written as JSON.
pub fn observation(
    survey: &Survey,
    wanted: &Wanted,
    watched: &Watched,
    member: &Member<'_>,
) -> Result<Observation, ProviderError> {
    let desired = survey.desired(member, wanted, watched.inventory().as_deref())?;
    if let Some(foreign) = survey.foreign(member.mark(&wanted.endpoint.name_any())) {
        return Ok(Observation::Foreign { message: foreign.message });
    }
    let Some(deployment) = &survey.deployment else { return Ok(Observation::Absent) };
    let pods = watched.pods_of(&wanted.endpoint.name_any());
    let progress = with_waits(progress(deployment, wanted.endpoint.spec.replicas), deployment, &pods);
    let standing = survey.standing(member, wanted, &desired)?;
    let status = deployment.status.clone().unwrap_or_default();
    let made = Made::of(deployment, survey.key.as_ref());
    if made.deployment.is_none() {
        let message = "the member reports the endpoint's Deployment without a UID";
        return Err(ProviderError::new(ErrorClass::Transient, message));
    }
    let url = url(survey.service.as_ref(), member.namespace, wanted, watched);
    Ok(Observation::Present(Box::new(Present {
        interrupts: !standing.in_sync && survey.interrupts(&desired),
        in_sync: standing.in_sync,
        changed_by_admission: standing.changed_by_admission,
        external_id: made.into_id(member),
        template_hash: desired.hash,
        template_digest: desired.digest,
        replicas: status.replicas.unwrap_or(0).max(0),
        ready_replicas: status.ready_replicas.unwrap_or(0).max(0),
        probe: url.as_deref().map(|url| probe_of(wanted, url, member.namespace)),
        url,
        trouble: trouble(survey, wanted, watched, &progress),
        progress,
    })))
}

/// The way to ask the endpoint at `url` whether it answers.
#[must_use]
pub fn probe(endpoint: &InferenceEndpointSpec, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, endpoint.model_name())
}

/// The way to ask the endpoint, as its target has it.
fn probe_of(wanted: &Wanted, url: &str, namespace: &str) -> Probe {
    let spec = &wanted.endpoint.spec;
    let direct = probe(spec, url, wanted.api_key.clone());
    match wanted.target.spec.probe_via() {
        ProbeVia::Direct => direct,
        ProbeVia::APIServerProxy => {
            let way = ProbeWay::ApiServer {
                path: proxied::path(namespace, &wanted.endpoint.name_any()),
                health: launch(&spec.template).readiness_path,
            };
            // Whether an engine that lists its models to everybody guards its completions cannot be asked by GET.
            let without_key = match spec.template.engine {
                Engine::Vllm => WithoutKey::IsRefused,
                Engine::Custom => WithoutKey::IsNotTried,
            };
            Probe { way, without_key, ..direct }
        }
        ProbeVia::Gateway => Probe { way: ProbeWay::Gateways, ..direct },
    }
}

/// Available alone is not enough: it stays true while a new form of the pods is stuck. The Deployment's own number of
/// replicas is not what counts: admission may have changed it.
fn progress(deployment: &Deployment, wanted: i32) -> Progress {
    let status = deployment.status.clone().unwrap_or_default();
    let starting = |message: String| Progress::Starting { message };
    if status.observed_generation < deployment.metadata.generation {
        return starting("the member has not observed the newest template".to_owned());
    }
    let (total, updated, available) =
        (status.replicas.unwrap_or(0), status.updated_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
    if updated < wanted {
        return starting(format!("rolling out: {updated} of {wanted} replicas updated"));
    }
    if total > updated {
        let old = total - updated;
        let replicas = if old == 1 { "replica is" } else { "replicas are" };
        return starting(format!("{old} old {replicas} terminating"));
    }
    if available < wanted {
        return starting(format!("{available} of {wanted} replicas are available"));
    }
    Progress::Serving
}

/// The pods of the newest template.
fn current<'a>(pods: &'a [Arc<Pod>], deployment: &'a Deployment) -> impl Iterator<Item = &'a Pod> {
    pods.iter().map(AsRef::as_ref).filter(|pod| pods::is_current(pod, deployment))
}

/// Progress with the waits of pods beside their engine.
fn with_waits(progress: Progress, deployment: &Deployment, pods: &[Arc<Pod>]) -> Progress {
    match progress {
        Progress::Starting { message } => {
            let waits = pods::waits_for(current(pods, deployment));
            Progress::Starting { message: waits.map_or(message.clone(), |waits| format!("{message}; {waits}")) }
        }
        Progress::Serving => Progress::Serving,
    }
}

fn trouble(survey: &Survey, wanted: &Wanted, watched: &Watched, progress: &Progress) -> Option<Trouble> {
    if *progress == Progress::Serving {
        return None;
    }
    let pods = watched.pods_of(&wanted.endpoint.name_any());
    let deployment = survey.deployment.as_ref()?;
    let trouble = pods::trouble(current(&pods, deployment)).or_else(|| pods::refused(deployment));
    let ending = pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some());
    let waits_for_itself = trouble.as_ref().is_none_or(|trouble| trouble.kind == TroubleKind::AwaitsRoom);
    if survey.rollout() == Rollout::InPlace && waits_for_itself && (ending || trouble.is_none()) {
        let accelerator = &wanted.endpoint.spec.accelerator;
        return Some(Trouble {
            kind: TroubleKind::Plain,
            class: ErrorClass::Transient,
            reason: reasons::RECREATE_NO_SPARE_CAPACITY,
            message: format!(
                "no node has {} free {}: replicas restart one by one, with less capacity meanwhile; a single replica does not answer until it has restarted",
                accelerator.count, accelerator.type_
            ),
            since: None,
        });
    }
    trouble
}

/// The address that clients use.
fn url(service: Option<&Service>, namespace: &str, wanted: &Wanted, watched: &Watched) -> Option<String> {
    let service = service?;
    // What the member says chooses neither a name nor a port that we know ourselves.
    let port = wanted.endpoint.spec.template.port;
    let expose = wanted.target.spec.kubernetes.as_ref()?.expose.type_;
    match expose {
        ExposeType::ClusterIP => Some(format!("http://{}.{namespace}.svc:{port}", wanted.endpoint.name_any())),
        ExposeType::NodePort => {
            let host = node_address(wanted, watched)?;
            let ports = service.spec.as_ref()?.ports.as_ref()?;
            let ours = ports.iter().find(|port| port.name.as_deref() == Some(PORT_NAME)).or_else(|| ports.first())?;
            let node_port = u16::try_from(ours.node_port?).ok().filter(|port| *port > 0)?;
            Some(format!("http://{}:{node_port}", bracketed(&host)))
        }
        ExposeType::LoadBalancer => {
            let ingress = service.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
            let mut hosts = ingress.iter().flat_map(|entry| [&entry.hostname, &entry.ip]).flatten();
            let host = hosts.find(|host| is_host(host))?;
            Some(format!("http://{}:{port}", bracketed(host)))
        }
    }
}

/// A member's answers are untrusted: only a plain address or name becomes part of a URL.
fn is_host(text: &str) -> bool {
    let label = |label: &str| syntax::is_dns_label(&label.to_ascii_lowercase());
    text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.trim_end_matches('.').split('.').all(label))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// Address of one node: the current one while its node is ready, otherwise that of a node with a pod.
fn node_address(wanted: &Wanted, watched: &Watched) -> Option<String> {
    let nodes = watched.nodes();
    let ready: Vec<(&Node, String)> =
        nodes.iter().filter(|node| is_ready(node)).filter_map(|node| Some((node.as_ref(), address(node)?))).collect();
    let current = wanted.endpoint.status.as_ref().and_then(|status| status.url.clone()).unwrap_or_default();
    if let Some((_, address)) =
        ready.iter().find(|(_, address)| current.contains(&format!("//{}:", bracketed(address))))
    {
        return Some(address.clone());
    }
    let pods = watched.pods_of(&wanted.endpoint.name_any());
    let holds = |node: &Node| {
        pods.iter()
            .any(|pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == node.metadata.name.as_deref())
    };
    ready.iter().find(|(node, _)| holds(node)).or_else(|| ready.first()).map(|(_, address)| address.clone())
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn address(node: &Node) -> Option<String> {
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let of = |type_: &str| addresses.iter().find(|address| address.type_ == type_ && is_host(&address.address));
    of("ExternalIP").or_else(|| of("InternalIP")).map(|address| address.address.clone())
}

#[cfg(test)]
mod tests {
    use super::is_host;

    #[test]
    fn only_an_address_or_a_name_becomes_part_of_a_url() {
        for good in ["203.0.113.7", "2001:db8::1", "a1b2.elb.eu-west-1.amazonaws.com", "Lb.example.com.", "localhost"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "-a.example.com",
            "a b",
            "a/b",
            "a:80",
            "user@a",
            "a\n",
            "a?b",
            "a#b",
            "fe80::1%eth0",
            "[::1]",
            "ä.example.com",
            &"a".repeat(64),
            &format!("{}com", "a.".repeat(130)),
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }
}
