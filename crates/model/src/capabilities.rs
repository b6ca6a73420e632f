//! The abilities of a place beside having room, and what a request asks of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::deployment::Deployment;
use crate::engine_setting::EngineSetting;

/// The abilities of a place, as its driver declares them.
///
/// Weights are no ability of a place. They divide requests among the endpoints of one deployment, and are needed only where
/// such a division exists: in front of the endpoints, not at their places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Engines that it can run; `None` is every engine, and an empty set is that of a hosted vendor.
    pub engines: Option<BTreeSet<String>>,
    /// Sources from which it can load a model: a scheme, like `hf`, stands for all of its sources, and a source that ends with a
    /// slash for all below it; `None` is every source.
    pub sources: Option<BTreeSet<String>>,
    /// Replicas of one endpoint at most; `None` is no limit of its own.
    pub max_replicas: Option<u32>,
    /// An endpoint can have no replicas and keep its address.
    pub scale_to_zero: bool,
    /// An endpoint can take another form and keep its address.
    pub update_in_place: bool,
    /// A replica has a whole instance to itself, and pays for it.
    pub whole_instances: bool,
    /// Type of the target, if its service runs a server of its own, which ignores [settings of an engine](EngineSetting).
    pub own_server: Option<String>,
}

impl Capabilities {
    /// The abilities of a hosted vendor: it serves models of its own, and holds no endpoint.
    #[must_use]
    pub fn of_vendor() -> Self {
        Self { engines: Some(BTreeSet::new()), ..Self::default() }
    }

    /// True if it can hold endpoints.
    #[must_use]
    pub fn holds_endpoints(&self) -> bool {
        self.engines.as_ref().is_none_or(|engines| !engines.is_empty())
    }

    /// True if a replica with so many accelerators can be on an instance with this number.
    #[must_use]
    pub const fn fits(&self, accelerators: u32, instance: u32) -> bool {
        if self.whole_instances { accelerators == instance } else { accelerators <= instance }
    }
}

impl Default for Capabilities {
    /// Everything that can be asked for.
    fn default() -> Self {
        Self {
            engines: None,
            sources: None,
            max_replicas: None,
            scale_to_zero: true,
            update_in_place: true,
            whole_instances: false,
            own_server: None,
        }
    }
}

/// The part of a request that not every place can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand<'a> {
    /// Engine.
    pub engine: &'a str,
    /// Source of the model, such as `hf://example/llama`, if it has one.
    pub source: Option<&'a str>,
    /// Settings of the engine, each with the types of targets where it is left out.
    pub settings: &'a BTreeMap<EngineSetting, BTreeSet<String>>,
    /// Replicas.
    pub replicas: u32,
    /// An endpoint that exists is to take another form.
    pub update: bool,
}

impl<'a> Demand<'a> {
    /// The demand of a deployment on a new endpoint.
    #[must_use]
    pub fn of(deployment: &'a Deployment) -> Self {
        Self {
            engine: &deployment.engine,
            source: deployment.source.as_deref(),
            settings: &deployment.settings,
            replicas: deployment.replicas,
            update: false,
        }
    }
}

/// An ability that a place lacks for a demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lack {
    /// The engine.
    Engine,
    /// The model's source.
    Source,
    /// An effect of the engine's settings.
    Settings,
    /// So many replicas.
    Replicas {
        /// Replicas of one endpoint at most.
        most: u32,
    },
    /// No replicas.
    ScaleToZero,
    /// Another form of an endpoint that exists.
    UpdateInPlace,
}

/// Scheme of a source; the source itself where it has none.
fn scheme(source: &str) -> &str {
    source.split_once("://").map_or(source, |(scheme, _)| scheme)
}

impl Capabilities {
    /// The first ability that the place lacks for `demand`.
    #[must_use]
    pub fn lacks(&self, demand: &Demand<'_>) -> Option<Lack> {
        let without = |known: &Option<BTreeSet<String>>, wanted: &str| {
            known.as_ref().is_some_and(|known| !known.contains(wanted))
        };
        if without(&self.engines, demand.engine) {
            return Some(Lack::Engine);
        }
        if demand.source.is_some_and(|source| !self.loads(source)) {
            return Some(Lack::Source);
        }
        if self.ignores(demand.settings).next().is_some() {
            return Some(Lack::Settings);
        }
        if let Some(most) = self.max_replicas.filter(|most| demand.replicas > *most) {
            return Some(Lack::Replicas { most });
        }
        if demand.replicas == 0 && !self.scale_to_zero {
            return Some(Lack::ScaleToZero);
        }
        (demand.update && !self.update_in_place).then_some(Lack::UpdateInPlace)
    }

    /// The settings that have no effect here, of those that are not left out here.
    pub fn ignores<'a>(
        &'a self,
        settings: &'a BTreeMap<EngineSetting, BTreeSet<String>>,
    ) -> impl Iterator<Item = EngineSetting> + 'a {
        let kept =
            move |left_out: &BTreeSet<String>| self.own_server.as_ref().is_some_and(|type_| !left_out.contains(type_));
        settings.iter().filter(move |(_, left_out)| kept(left_out)).map(|(setting, _)| *setting)
    }

    /// True if it can load a model from `source`.
    fn loads(&self, source: &str) -> bool {
        let covers = |known: &String| {
            known == source || known == scheme(source) || (known.ends_with('/') && source.starts_with(known.as_str()))
        };
        self.sources.as_ref().is_none_or(|known| known.iter().any(covers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static NONE: BTreeMap<EngineSetting, BTreeSet<String>> = BTreeMap::new();
    const DEMAND: Demand<'static> =
        Demand { engine: "vllm", source: Some("hf://example/llama"), settings: &NONE, replicas: 2, update: false };

    fn only(name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }

    #[test]
    fn a_place_without_limits_lacks_nothing() {
        assert_eq!(Capabilities::default().lacks(&Demand { update: true, ..DEMAND }), None);
        assert_eq!(Capabilities::default().lacks(&Demand { replicas: 0, source: None, ..DEMAND }), None);
    }

    #[test]
    fn a_source_is_known_by_itself_by_its_folder_or_by_its_scheme() {
        for (known, lack) in [
            ("hf", None),
            ("hf://example/llama", None),
            ("hf://example/", None),
            ("hf://", None),
            ("hf://example/other", Some(Lack::Source)),
            ("hf://example/lla", Some(Lack::Source)),
            ("hf://other/", Some(Lack::Source)),
            ("s3", Some(Lack::Source)),
        ] {
            let capabilities = Capabilities { sources: Some(only(known)), ..Capabilities::default() };
            assert_eq!(capabilities.lacks(&DEMAND), lack, "{known}");
        }
    }

    #[test]
    fn a_server_of_the_services_own_ignores_settings_that_are_not_left_out_there() {
        let at_bedrock = Capabilities { own_server: Some("Bedrock".to_owned()), ..Capabilities::default() };
        let settings = BTreeMap::from([
            (EngineSetting::Args, only("Bedrock")),
            (EngineSetting::Env, only("AzureOpenAI")),
            (EngineSetting::Revision, BTreeSet::new()),
        ]);
        let ignored: Vec<EngineSetting> = at_bedrock.ignores(&settings).collect();
        assert_eq!(ignored, [EngineSetting::Env, EngineSetting::Revision]);
        let demand = Demand { settings: &settings, ..DEMAND };
        assert_eq!(at_bedrock.lacks(&demand), Some(Lack::Settings));
        assert_eq!(at_bedrock.lacks(&DEMAND), None, "a deployment without settings");
        assert_eq!(Capabilities::default().lacks(&demand), None, "a place that runs the deployment's engine");
        let left_out = BTreeMap::from([(EngineSetting::Args, only("Bedrock"))]);
        assert_eq!(at_bedrock.lacks(&Demand { settings: &left_out, ..DEMAND }), None);
    }

    #[test]
    fn each_limit_is_a_lack_of_its_own() {
        let all = Capabilities::default;
        for (capabilities, demand, lack) in [
            (Capabilities { engines: Some(only("tgi")), ..all() }, DEMAND, Lack::Engine),
            (Capabilities { sources: Some(only("s3")), ..all() }, DEMAND, Lack::Source),
            (Capabilities { max_replicas: Some(1), ..all() }, DEMAND, Lack::Replicas { most: 1 }),
            (Capabilities { scale_to_zero: false, ..all() }, Demand { replicas: 0, ..DEMAND }, Lack::ScaleToZero),
            (Capabilities { update_in_place: false, ..all() }, Demand { update: true, ..DEMAND }, Lack::UpdateInPlace),
        ] {
            assert_eq!(capabilities.lacks(&demand), Some(lack), "{capabilities:?}");
        }
        let without_source = Demand { source: None, ..DEMAND };
        assert_eq!(Capabilities { sources: Some(only("s3")), ..all() }.lacks(&without_source), None);
    }
}
