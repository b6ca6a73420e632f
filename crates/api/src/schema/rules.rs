//! CEL rules for constraints that bounds and patterns cannot express, each with a message that names the cure.
//!
//! Kept simple, so that the client-side evaluation and the server's agree, and cheap, for the server refuses a
//! definition whose rules could cost too much. A rule is checked where its value is there; defaults are filled in.

use crate::v1alpha1::syntax::{IMAGE_MESSAGE, image_pattern};

/// A rule at one place of a schema.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The place, such as `spec.offers[].hourlyPrice`; empty for the object itself.
    pub at: &'static str,
    /// The expression that must be true.
    pub rule: &'static str,
    /// The problem and its cure.
    pub message: &'static str,
    /// The field below the place that is to blame, if not the place itself.
    pub field: Option<&'static str>,
}

const fn rule(at: &'static str, rule: &'static str, message: &'static str) -> Rule {
    Rule { at, rule, message, field: None }
}

impl Rule {
    const fn blames(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }
}

const NAME: Rule = rule(
    "",
    "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",
    "choose a name of 1 to 63 lower-case letters, digits and hyphens that begins with a letter and does not end with a \
     hyphen: objects on other clusters are named and labelled after it",
)
.blames(".metadata.name");

const DECIMAL: &str = "self.matches('^[0-9]{1,7}([.][0-9]{1,6})?$')";
const DECIMAL_MESSAGE: &str =
    "write an amount of US dollars as a plain decimal in quotes, such as \"24.00\", with at most 6 decimals";

const PATTERN: &str = "self.matches('^[^*]*[*]?$')";
const PATTERN_MESSAGE: &str = "a * is allowed only at the end of a pattern; list the regions instead";

const NOT_EMPTY: &str = "size(self) > 0";
const NOT_EMPTY_MESSAGE: &str = "an empty list would allow nothing: add an entry, or remove the field";

const VALUES: &str = "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)";
const VALUES_MESSAGE: &str = "In and NotIn need values; Exists and DoesNotExist must have none";

const TOLERATION_KEY: &str = "has(self.key) || self.operator == 'Exists'";
const TOLERATION_KEY_MESSAGE: &str = "set the key of the taint, or operator: Exists to tolerate every taint";
const TOLERATION_VALUE: &str = "self.operator != 'Exists' || !has(self.value) || self.value == ''";
const TOLERATION_VALUE_MESSAGE: &str = "operator Exists tolerates every value: remove the value or set operator: Equal";

const NODE_EFFECT: &str = "!has(self.effect) || self.effect in ['', 'NoSchedule', 'NoExecute', 'PreferNoSchedule']";
const NODE_EFFECT_MESSAGE: &str = "node taints have the effects NoSchedule, NoExecute and PreferNoSchedule; remove the effect to tolerate all of them";

const VARIABLE: &str = "has(self.value) != has(self.secretKeyRef)";
const VARIABLE_MESSAGE: &str = "set exactly one of value and secretKeyRef";
const VARIABLE_NAME: &str = "!self.startsWith('ROADSTEAD_') && self != 'VLLM_API_KEY'";
const VARIABLE_NAME_MESSAGE: &str =
    "Roadstead sets this variable itself to protect the endpoint with its own key: choose another name";

const UNCHANGED: &str = "self == oldSelf";
const CATALOG_MODEL_UNCHANGED: &str = "format and name of a source's model are immutable, because another model would replace the one that serves; \
     only its version may change: create a new target with the other model, then delete this target";

/// Refuses arguments of vLLM that Roadstead sets. Not a regular expression, which would cost too much for so many
/// arguments.
macro_rules! reserved {
    ($before:literal $(, $after:literal)?) => {
        concat!(
            "self.engine != 'vllm' || ",
            $before,
            ".exists(arg, arg in ['--api-key', '--api_key', '--host', '--port', '--uds', '--model', ",
            "'--served-model-name', '--served_model_name', '--shutdown-timeout', '--shutdown_timeout'] || ",
            "['--api-key=', '--api_key=', '--host=', '--port=', '--uds=', '--model=', '--served-model-name=', ",
            "'--served_model_name=', '--shutdown-timeout=', '--shutdown_timeout='].exists(flag, arg.startsWith(flag)))",
            $($after)?
        )
    };
}

const RESERVED_MESSAGE: &str = "Roadstead sets --host, --port, --uds, --model, --served-model-name, --api-key and \
     --shutdown-timeout itself: remove them here, and use the fields port, model and drainTimeoutSeconds";

/// The rules of a `ModelDeployment`.
pub const MODEL_DEPLOYMENT: &[Rule] = &[
    NAME,
    rule(
        "spec",
        "self.serving.engine == 'custom' || has(self.model.source)",
        "set the source of the weights as hf://organisation/name, or use engine custom with an image that contains \
         its model",
    )
    .blames(".model.source"),
    rule(
        "spec",
        "self.placement.cost.objective != 'CostPerMillionTokens' || self.serving.shapes.all(shape, \
         has(shape.tokensPerSecond))",
        "the objective CostPerMillionTokens compares shapes by their throughput: give every shape its \
         tokensPerSecond, or use the objective HourlyCost",
    )
    .blames(".serving.shapes"),
    rule(
        "spec.model.source",
        "self.matches('^hf://[A-Za-z0-9][-A-Za-z0-9._]{0,95}/[A-Za-z0-9][-A-Za-z0-9._]{0,95}$')",
        "write the source as hf://organisation/name; other sources than Hugging Face are not supported yet",
    ),
    rule(
        "spec.serving",
        "self.engine != 'custom' || has(self.custom)",
        "engine custom requires the field custom; custom: {} uses its defaults",
    )
    .blames(".custom"),
    rule(
        "spec.serving",
        "self.engine == 'custom' || !has(self.custom)",
        "custom is only for engine custom: remove it, or set engine: custom",
    )
    .blames(".custom"),
    rule("spec.serving.image", concat!("self.matches(r'", image_pattern!(), "')"), IMAGE_MESSAGE),
    rule("spec.serving", reserved!("!has(self.args) || !self.args"), RESERVED_MESSAGE).blames(".args"),
    rule("spec.serving", reserved!("!self.shapes.exists(shape, has(shape.args) && shape.args", ")"), RESERVED_MESSAGE)
        .blames(".shapes"),
    rule("spec.serving", reserved!("!has(self.overrides) || !self.overrides.exists(one, has(one.args) && one.args", ")"), RESERVED_MESSAGE)
        .blames(".overrides"),
    rule("spec.serving.env[]", VARIABLE, VARIABLE_MESSAGE),
    rule("spec.serving.env[].name", VARIABLE_NAME, VARIABLE_NAME_MESSAGE),
    rule(
        "spec.serving.overrides[]",
        "self.type != 'OpenAICompatible'",
        "targets of this type run no engine of the deployment, so there is nothing to override: remove the entry",
    )
    .blames(".type"),
    rule(
        "spec.serving.overrides[]",
        "!(self.type in ['AzureOpenAI', 'Bedrock', 'DigitalOcean']) || !(has(self.image) || has(self.args) || has(self.env))",
        "services of this type run a server of their own: image, args and env have no effect there; only omit is allowed",
    ),
    rule(
        "spec.serving.overrides[]",
        "has(self.image) || has(self.args) || has(self.env) || has(self.omit)",
        "set image, args, env or omit, or remove the entry",
    ),
    rule("spec.serving.overrides[].image", concat!("self.matches(r'", image_pattern!(), "')"), IMAGE_MESSAGE),
    rule("spec.serving.overrides[].env[]", VARIABLE, VARIABLE_MESSAGE),
    rule("spec.serving.overrides[].env[].name", VARIABLE_NAME, VARIABLE_NAME_MESSAGE),
    rule(
        "spec.serving.resources.requests",
        "self.all(resource, resource in ['cpu', 'memory', 'ephemeral-storage'])",
        "only cpu, memory and ephemeral-storage can be requested; accelerators come from the shape",
    ),
    rule(
        "spec.serving.resources.limits",
        "self.all(resource, resource in ['cpu', 'memory', 'ephemeral-storage'])",
        "only cpu, memory and ephemeral-storage can be limited; accelerators come from the shape",
    ),
    rule("spec.placement.clouds.allow", NOT_EMPTY, NOT_EMPTY_MESSAGE),
    rule("spec.placement.regions.allow", NOT_EMPTY, NOT_EMPTY_MESSAGE),
    rule("spec.placement.regions.deny", NOT_EMPTY, NOT_EMPTY_MESSAGE),
    rule("spec.placement.jurisdictions", NOT_EMPTY, NOT_EMPTY_MESSAGE),
    rule("spec.placement.capacityTypes", NOT_EMPTY, NOT_EMPTY_MESSAGE),
    rule("spec.placement.regions.allow[]", PATTERN, PATTERN_MESSAGE),
    rule("spec.placement.regions.deny[]", PATTERN, PATTERN_MESSAGE),
    rule("spec.placement.regions.prefer[].region", PATTERN, PATTERN_MESSAGE),
    rule(
        "spec.placement.regions.prefer[]",
        "has(self.cloud) || has(self.region)",
        "set the preferred cloud, region or both",
    ),
    rule("spec.placement.cost.maxHourlyCost", DECIMAL, DECIMAL_MESSAGE),
    rule(
        "spec",
        "self.failover.standby.replicas == 0 || self.migration.order != 'RemoveThenReplace'",
        "with migration.order RemoveThenReplace there are never two endpoints: set standby.replicas to 0, or use the order \
         ReplaceThenRemove",
    )
    .blames(".failover.standby.replicas"),
    rule("spec.failover.hosted[].maxHourlyCost", DECIMAL, DECIMAL_MESSAGE),
    rule("spec.placement.targetSelector.matchExpressions[]", VALUES, VALUES_MESSAGE),
    rule("spec.placement.targetTolerations[]", TOLERATION_KEY, TOLERATION_KEY_MESSAGE).blames(".key"),
    rule("spec.placement.targetTolerations[]", TOLERATION_VALUE, TOLERATION_VALUE_MESSAGE).blames(".value"),
    rule(
        "spec.placement.targetTolerations[]",
        "!has(self.effect) || self.effect in ['', 'NoPlacement', 'Evict']",
        "target taints have the effect NoPlacement or Evict; remove the effect to tolerate all of them",
    )
    .blames(".effect"),
];

/// The rules of a `ServingTarget`.
pub const SERVING_TARGET: &[Rule] = &[
    NAME,
    rule("spec.cloud", UNCHANGED, "cloud and region are immutable: create a new target, then delete this one"),
    rule("spec.region", UNCHANGED, "cloud and region are immutable: create a new target, then delete this one"),
    rule("spec.type", UNCHANGED, "the type of a target is immutable: create a new target, then delete this one"),
    rule(
        "spec.kubernetes.namespace",
        UNCHANGED,
        "the owner of a target's endpoints is immutable: create a new target with the other owner, then delete this target",
    ),
    rule("spec", "self.type != 'Kubernetes' || has(self.kubernetes)", "type Kubernetes requires the field kubernetes")
        .blames(".kubernetes"),
    rule(
        "spec",
        "self.type == 'Kubernetes' || !has(self.kubernetes)",
        "the field kubernetes is only for type Kubernetes",
    )
    .blames(".kubernetes"),
    rule("spec", "self.type != 'Simulated' || has(self.simulated)", "type Simulated requires the field simulated")
        .blames(".simulated"),
    rule("spec", "self.type == 'Simulated' || !has(self.simulated)", "the field simulated is only for type Simulated")
        .blames(".simulated"),
    rule("spec", "self.type != 'Baseten' || has(self.baseten)", "type Baseten requires the field baseten")
        .blames(".baseten"),
    rule("spec", "self.type == 'Baseten' || !has(self.baseten)", "the field baseten is only for type Baseten")
        .blames(".baseten"),
    rule(
        "spec",
        "self.type != 'Baseten' || self.cloud == 'baseten'",
        "Baseten hides the clouds of its regions: set cloud: baseten, and region as Baseten names it",
    )
    .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'Baseten' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "Baseten's deployments are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec.baseten",
        "has(self.team) == has(oldSelf.team) && (!has(self.team) || self.team == oldSelf.team)",
        "the team of a target's models is immutable: create a new target with the other team, then delete this target",
    )
    .blames(".team"),
    rule(
        "spec",
        "self.type != 'DigitalOcean' || has(self.digitalOcean)",
        "type DigitalOcean requires the field digitalOcean",
    )
    .blames(".digitalOcean"),
    rule(
        "spec",
        "self.type == 'DigitalOcean' || !has(self.digitalOcean)",
        "the field digitalOcean is only for type DigitalOcean",
    )
    .blames(".digitalOcean"),
    rule(
        "spec",
        "self.type != 'DigitalOcean' || self.cloud == 'digitalocean'",
        "type DigitalOcean requires cloud: digitalocean",
    )
    .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'DigitalOcean' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "DigitalOcean's instances are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'DigitalOcean' || !has(self.offers) || self.offers.all(offer, offer.instanceType.startsWith('gpu-'))",
        "instance types of DigitalOcean are GPU slugs, such as gpu-h100x1-80gb",
    )
    .blames(".offers"),
    rule(
        "spec.digitalOcean.vpcUUID",
        UNCHANGED,
        "the network of a target's endpoints is immutable: create a new target with the other network, then delete this target",
    ),
    rule(
        "spec.digitalOcean.models[].slug",
        UNCHANGED,
        "the slug of a source is immutable, because endpoints serve the model under it: create a new target with the other slug, then \
         delete this target",
    ),
    rule(
        "spec",
        "self.type != 'HuggingFace' || has(self.huggingFace)",
        "type HuggingFace requires the field huggingFace",
    )
    .blames(".huggingFace"),
    rule(
        "spec",
        "self.type == 'HuggingFace' || !has(self.huggingFace)",
        "the field huggingFace is only for type HuggingFace",
    )
    .blames(".huggingFace"),
    rule(
        "spec",
        "self.type != 'HuggingFace' || self.cloud in ['aws', 'azure', 'gcp']",
        "type HuggingFace requires cloud: aws, azure or gcp",
    )
    .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'HuggingFace' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "Hugging Face endpoints are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'HuggingFace' || !has(self.offers) || self.offers.all(offer, offer.instanceType.matches('^[a-z0-9-]+-x[0-9]+$'))",
        "instance types of Hugging Face are TYPE-SIZE, such as nvidia-l4-x1",
    )
    .blames(".offers"),
    rule(
        "spec.huggingFace.owner",
        UNCHANGED,
        "the owner of a target's endpoints is immutable: create a new target with the other owner, then delete this target",
    ),
    rule("spec", "self.type != 'SageMaker' || has(self.sageMaker)", "type SageMaker requires the field sageMaker")
        .blames(".sageMaker"),
    rule("spec", "self.type == 'SageMaker' || !has(self.sageMaker)", "the field sageMaker is only for type SageMaker")
        .blames(".sageMaker"),
    rule("spec", "self.type != 'SageMaker' || self.cloud == 'aws'", "type SageMaker requires cloud: aws")
        .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'SageMaker' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "SageMaker endpoints are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'SageMaker' || !has(self.offers) || self.offers.all(offer, offer.instanceType.startsWith('ml.'))",
        "instance types of SageMaker begin with ml., such as ml.p5.48xlarge",
    )
    .blames(".offers"),
    rule(
        "spec.sageMaker.accountID",
        UNCHANGED,
        "the account of a target's endpoints is immutable: create a new target with the other account, then delete this target",
    ),
    rule("spec", "self.type != 'Bedrock' || has(self.bedrock)", "type Bedrock requires the field bedrock")
        .blames(".bedrock"),
    rule("spec", "self.type == 'Bedrock' || !has(self.bedrock)", "the field bedrock is only for type Bedrock")
        .blames(".bedrock"),
    rule("spec", "self.type != 'Bedrock' || self.cloud == 'aws'", "type Bedrock requires cloud: aws")
        .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'Bedrock' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "models of Bedrock are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec",
        "!has(self.bedrock) || !has(self.offers) || self.offers.all(offer, (offer.accelerator.type == 'MU') == has(self.bedrock.models))",
        "the accelerator type of an offer of provisioned throughput is MU (a model unit), and an offer of imported models names an \
         accelerator, such as H100",
    )
    .blames(".offers"),
    rule(
        "spec",
        "!has(self.bedrock) || !has(self.bedrock.models) || !has(self.offers) || self.offers.all(offer, has(offer.hourlyPrice) && offer.hourlyPrice.matches('[1-9]'))",
        "provisioned throughput is billed until it is deleted: set the hourlyPrice of each offer, of its model units without commitment",
    )
    .blames(".offers"),
    rule(
        "spec.bedrock",
        "has(self.modelMirrors) != has(self.models)",
        "set either modelMirrors, for custom model import, or models, for provisioned throughput",
    )
    .blames(".models"),
    rule(
        "spec.bedrock",
        "has(self.modelMirrors) == has(self.importRoleARN)",
        "importRoleARN and modelMirrors belong together: set both or neither",
    )
    .blames(".importRoleARN"),
    rule(
        "spec.bedrock",
        "has(self.models) == has(oldSelf.models)",
        "a target cannot change between custom model import and provisioned throughput: create a new target for the other one",
    )
    .blames(".models"),
    rule(
        "spec.bedrock.models[].source",
        "self.matches('^hf://[A-Za-z0-9][-A-Za-z0-9._]{0,95}/[A-Za-z0-9][-A-Za-z0-9._]{0,95}$')",
        "write the source as hf://organisation/name, as deployments do",
    ),
    rule(
        "spec.bedrock.models[].modelID",
        UNCHANGED,
        "the model of a source is immutable, because another one would replace the one that serves: create a new target with the other model, \
         then delete this target",
    ),
    rule(
        "spec.bedrock.accountID",
        UNCHANGED,
        "the account of a target's models is immutable: create a new target with the other account, then delete this target",
    ),
    rule(
        "spec.bedrock.modelMirrors[]",
        "!self.source.endsWith('/') || self.mirror.endsWith('/')",
        "a source that ends with a slash stands for all models below it: end the mirror with a slash, too",
    )
    .blames(".mirror"),
    rule("spec", "self.type != 'VertexAI' || has(self.vertexAI)", "type VertexAI requires the field vertexAI")
        .blames(".vertexAI"),
    rule("spec", "self.type == 'VertexAI' || !has(self.vertexAI)", "the field vertexAI is only for type VertexAI")
        .blames(".vertexAI"),
    rule("spec", "self.type != 'VertexAI' || self.cloud == 'gcp'", "type VertexAI requires cloud: gcp")
        .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'VertexAI' || !has(self.offers) || self.offers.all(offer, offer.capacityType in ['OnDemand', 'Spot'])",
        "Vertex AI has capacityType OnDemand and Spot",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'VertexAI' || !has(self.offers) || self.offers.all(offer, offer.instanceType.matches('^[a-z][a-z0-9]*-[a-z0-9]+-[0-9]+[a-z]?$'))",
        "instance types of Vertex AI are machine types of Compute Engine, such as a3-highgpu-8g",
    )
    .blames(".offers"),
    rule(
        "spec.vertexAI.project",
        UNCHANGED,
        "the project of a target's endpoints is immutable: create a new target with the other project, then delete this target",
    ),
    rule("spec", "self.type != 'AzureML' || has(self.azureML)", "type AzureML requires the field azureML")
        .blames(".azureML"),
    rule("spec", "self.type == 'AzureML' || !has(self.azureML)", "the field azureML is only for type AzureML")
        .blames(".azureML"),
    rule("spec", "self.type != 'AzureML' || self.cloud == 'azure'", "type AzureML requires cloud: azure")
        .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'AzureML' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "online endpoints of Azure ML are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'AzureML' || !has(self.offers) || self.offers.all(offer, offer.instanceType.startsWith('Standard_'))",
        "instance types of Azure ML begin with Standard_, such as Standard_NC40ads_H100_v5",
    )
    .blames(".offers"),
    rule(
        "spec.azureML.subscriptionID",
        UNCHANGED,
        "the workspace of a target's endpoints is immutable: create a new target with the other workspace, then delete this target",
    ),
    rule(
        "spec.azureML.resourceGroup",
        UNCHANGED,
        "the workspace of a target's endpoints is immutable: create a new target with the other workspace, then delete this target",
    ),
    rule(
        "spec.azureML.workspace",
        UNCHANGED,
        "the workspace of a target's endpoints is immutable: create a new target with the other workspace, then delete this target",
    ),
    rule("spec", "self.type != 'AzureOpenAI' || has(self.azureOpenAI)", "type AzureOpenAI requires the field azureOpenAI")
        .blames(".azureOpenAI"),
    rule("spec", "self.type == 'AzureOpenAI' || !has(self.azureOpenAI)", "the field azureOpenAI is only for type AzureOpenAI")
        .blames(".azureOpenAI"),
    rule("spec", "self.type != 'AzureOpenAI' || self.cloud == 'azure'", "type AzureOpenAI requires cloud: azure")
        .blames(".cloud"),
    rule(
        "spec",
        "self.type != 'AzureOpenAI' || !has(self.offers) || self.offers.all(offer, offer.capacityType == 'OnDemand')",
        "deployments of Azure OpenAI are billed on demand: set capacityType: OnDemand",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'AzureOpenAI' || !has(self.offers) || self.offers.all(offer, offer.instanceType.matches('^(DataZone|Global)?(Standard|ProvisionedManaged)$'))",
        "instance types of Azure OpenAI are SKUs: Standard or ProvisionedManaged, alone or after DataZone or Global",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'AzureOpenAI' || !has(self.offers) || self.offers.all(offer, offer.accelerator.type == (offer.instanceType.endsWith('ProvisionedManaged') ? 'PTU' : 'KTPM'))",
        "the accelerator type of an offer of Azure OpenAI is its unit: PTU for provisioned units, and KTPM for SKUs that are billed by tokens \
         (a thousand tokens per minute)",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'AzureOpenAI' || !has(self.offers) || self.offers.all(offer, offer.instanceType.startsWith('Global') == (self.region == 'global') && offer.instanceType.startsWith('DataZone') == self.region.startsWith('datazone-'))",
        "a SKU that begins with Global needs region: global, and one with DataZone region: datazone-eu or datazone-us, because Azure \
         processes requests anywhere in that area; all others need the region of the account",
    )
    .blames(".region"),
    rule(
        "spec.azureOpenAI.models[].source",
        "self.matches('^hf://[A-Za-z0-9][-A-Za-z0-9._]{0,95}/[A-Za-z0-9][-A-Za-z0-9._]{0,95}$')",
        "write the source as hf://organisation/name, as deployments do",
    ),
    rule("spec.azureOpenAI.models[].format", UNCHANGED, CATALOG_MODEL_UNCHANGED),
    rule("spec.azureOpenAI.models[].name", UNCHANGED, CATALOG_MODEL_UNCHANGED),
    rule(
        "spec.azureOpenAI.subscriptionID",
        UNCHANGED,
        "the account of a target's endpoints is immutable: create a new target with the other account, then delete this target",
    ),
    rule(
        "spec.azureOpenAI.resourceGroup",
        UNCHANGED,
        "the account of a target's endpoints is immutable: create a new target with the other account, then delete this target",
    ),
    rule(
        "spec.azureOpenAI.account",
        UNCHANGED,
        "the account of a target's endpoints is immutable: create a new target with the other account, then delete this target",
    ),
    rule(
        "spec.simulated.faults[]",
        "self.effect == 'Refused' || !has(self.class)",
        "only a refused call has a class: remove it, or choose effect Refused",
    )
    .blames(".class"),
    rule(
        "spec.simulated.faults[]",
        "self.effect != 'Late' || has(self.seconds)",
        "set seconds, the delay of the answer",
    )
    .blames(".seconds"),
    rule(
        "spec.kubernetes.connection",
        "has(self.kubeconfigSecretRef) != has(self.inCluster)",
        "set exactly one of kubeconfigSecretRef and inCluster",
    ),
    rule(
        "spec.kubernetes",
        "self.expose.type != 'ClusterIP' || has(self.connection.inCluster) || self.probe.via == 'APIServerProxy'",
        "ClusterIP is reachable only inside the cluster: set probe.via: APIServerProxy, use connection.inCluster, or \
         expose by LoadBalancer or NodePort",
    )
    .blames(".expose.type"),
    rule(
        "spec.kubernetes.expose",
        "self.type != 'LoadBalancer' || self.public || (has(self.loadBalancer) && \
         has(self.loadBalancer.sourceRanges) && size(self.loadBalancer.sourceRanges) > 0)",
        "set the clients' address ranges in loadBalancer.sourceRanges, or public: true to allow everybody",
    )
    .blames(".loadBalancer"),
    rule(
        "spec.kubernetes.expose",
        "self.type != 'NodePort' || self.public",
        "a NodePort is open to everybody who reaches a node: confirm with public: true, or use LoadBalancer with \
         sourceRanges",
    )
    .blames(".public"),
    rule(
        "spec.kubernetes.expose",
        "self.type == 'LoadBalancer' || !has(self.loadBalancer)",
        "loadBalancer is only for type LoadBalancer: remove it, or set type: LoadBalancer",
    )
    .blames(".loadBalancer"),
    rule(
        "spec.kubernetes.expose",
        "self.public || !has(self.loadBalancer) || !has(self.loadBalancer.sourceRanges) || \
         !self.loadBalancer.sourceRanges.exists(range, range.endsWith('/0'))",
        "a range that ends with /0 allows everybody: narrow it, or confirm with public: true",
    )
    .blames(".loadBalancer.sourceRanges"),
    rule(
        "spec.kubernetes.expose.loadBalancer.sourceRanges[]",
        "isCIDR(self)",
        "write an address range such as 10.0.0.0/8 or 2001:db8::/32",
    ),
    rule(
        "spec",
        "self.type in ['Baseten', 'DigitalOcean', 'HuggingFace'] || !has(self.offers) || self.offers.all(offer, has(offer.hourlyPrice) || offer.capacityType == 'Reserved')",
        "set hourlyPrice of each offer, the price of one whole instance in US dollars per hour; only Reserved offers, and \
         offers of services that state their own prices (Baseten, DigitalOcean, Hugging Face), may have none",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type != 'OpenAICompatible' || has(self.openAICompatible)",
        "type OpenAICompatible requires the field openAICompatible",
    )
    .blames(".openAICompatible"),
    rule(
        "spec",
        "self.type == 'OpenAICompatible' || !has(self.openAICompatible)",
        "the field openAICompatible is only for type OpenAICompatible",
    )
    .blames(".openAICompatible"),
    rule(
        "spec",
        "self.type != 'OpenAICompatible' || !has(self.offers) || size(self.offers) == 0",
        "nothing is placed at a hosted vendor: remove offers, and list its models in openAICompatible.models",
    )
    .blames(".offers"),
    rule(
        "spec",
        "self.type == 'OpenAICompatible' || has(self.offers) && size(self.offers) > 0",
        "a target needs at least one offer: an instance type with its accelerators and its price",
    )
    .blames(".offers"),
    rule(
        "spec.openAICompatible.baseURL",
        UNCHANGED,
        "the address of a vendor is immutable: create a new target with the other address, then delete this target",
    ),
    rule("spec.openAICompatible.models[].inputPrice", DECIMAL, DECIMAL_MESSAGE),
    rule("spec.openAICompatible.models[].outputPrice", DECIMAL, DECIMAL_MESSAGE),
    rule(
        "spec.offers[]",
        "!has(self.provisionTimeoutSeconds) || has(self.maxInstances)",
        "provisionTimeoutSeconds lets an autoscaler add nodes: limit them with maxInstances",
    )
    .blames(".maxInstances"),
    rule("spec.offers[].capacityType", UNCHANGED, OFFER_MESSAGE),
    rule("spec.offers[].billing", UNCHANGED, OFFER_MESSAGE),
    rule("spec.offers[].accelerator", UNCHANGED, OFFER_MESSAGE),
    rule("spec.offers[].hourlyPrice", DECIMAL, DECIMAL_MESSAGE),
    rule("spec.offers[].nodes.tolerations[]", TOLERATION_KEY, TOLERATION_KEY_MESSAGE).blames(".key"),
    rule("spec.offers[].nodes.tolerations[]", TOLERATION_VALUE, TOLERATION_VALUE_MESSAGE).blames(".value"),
    rule("spec.offers[].nodes.tolerations[]", NODE_EFFECT, NODE_EFFECT_MESSAGE).blames(".effect"),
    rule("spec.allowedNamespaces.matchExpressions[]", VALUES, VALUES_MESSAGE),
];

const OFFER_MESSAGE: &str =
    "this field of an offer is immutable: keep the offer, and add the changed one under a new name";

/// The rules of an `InferenceEndpoint`.
pub const INFERENCE_ENDPOINT: &[Rule] = &[
    NAME,
    rule("spec.deploymentRef", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.target", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.cloud", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.region", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.offer", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.shape", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.accelerator", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.instance", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.capacityType", UNCHANGED, ENDPOINT_MESSAGE),
    rule("spec.slot", UNCHANGED, ENDPOINT_MESSAGE),
];

const ENDPOINT_MESSAGE: &str =
    "an endpoint never changes its place: edit the ModelDeployment, and Roadstead replaces the endpoint";
