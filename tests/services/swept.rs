//! The services whose calls tests disturb one after the other, and the life of a deployment there.

use anyhow::{Context, ensure};
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};

use super::places::{
    AZURE_ML, AZURE_OPENAI, BASETEN, BEDROCK, DIGITAL_OCEAN, HUGGING_FACE, LLAMA, SAGEMAKER, THROUGHPUT, VERTEX_AI,
    aws_key, azure_key, azure_ml, azure_openai, baseten, baseten_key, bedrock, billed_at_baseten,
    billed_at_hugging_face, deployment_of_units, digital_ocean, digital_ocean_key, held, held_at_azure_ml,
    held_at_azure_openai, held_at_baseten, held_at_bedrock, held_at_digital_ocean, held_at_hugging_face,
    held_at_vertex_ai, held_of_throughput, hugging_face, hugging_face_key, sagemaker, throughput, vertex_ai,
};
use super::stage::{Key, LONG, ServiceStage, TEAM};

/// A step in the life of a deployment.
#[derive(Clone, Copy, PartialEq)]
pub enum Step {
    /// It is created.
    Create,
    /// It gets another replica.
    Scale,
    /// Its engine gets another argument.
    Edit,
    /// Its replicas end.
    Sleep,
    /// They start again.
    Wake,
    /// It is deleted.
    Delete,
}

impl Step {
    /// Replicas after the step.
    pub fn replicas(self) -> i32 {
        match self {
            Self::Create | Self::Edit | Self::Wake => 1,
            Self::Scale => 2,
            Self::Sleep | Self::Delete => 0,
        }
    }
}

/// An operation, with the reason why its right is never named.
pub type Spared = (&'static str, &'static str);

const STEPS: &[(&str, Step)] =
    &[("create", Step::Create), ("scale", Step::Scale), ("edit in place", Step::Edit), ("delete", Step::Delete)];
/// Those where a service has a state without replicas, too.
const WITH_SLEEP: &[(&str, Step)] = &[
    ("create", Step::Create),
    ("scale", Step::Scale),
    ("edit in place", Step::Edit),
    ("sleep", Step::Sleep),
    ("wake", Step::Wake),
    ("delete", Step::Delete),
];
/// Those where nothing is edited in place: another form is another endpoint.
const SCALED: &[(&str, Step)] = &[("create", Step::Create), ("scale", Step::Scale), ("delete", Step::Delete)];
/// Those where nothing is scaled or edited in place.
const MADE_AND_REMOVED: &[(&str, Step)] = &[("create", Step::Create), ("delete", Step::Delete)];

/// A service whose calls are disturbed.
pub struct SweptService {
    /// Its name.
    pub service: ServiceName,
    /// Its target.
    pub target: Key,
    /// Steps in the life of a deployment there.
    pub steps: &'static [(&'static str, Step)],
    /// The target, with the Secret that it needs.
    pub objects: Vec<Value>,
    /// Operations that change something.
    pub changes: &'static [&'static str],
    /// Operations that may succeed twice: they only label, or cost nothing and leave nothing.
    pub repeatable: &'static [&'static str],
    /// Operations of its driver.
    pub operations: fn() -> Vec<&'static str>,
    /// The right that an operation needs, as its vendor names it; `None` for one that needs none.
    pub right: fn(&str) -> Option<String>,
    /// Operations that this life calls only where something else fails, or never.
    pub uncalled: &'static [Spared],
    /// Operations without whose right a step may be done.
    pub needless: &'static [Spared],
    /// Numbers of endpoints, and of their parts where the service has these.
    pub held: fn(&Clouds) -> [usize; 3],
    /// These numbers for one endpoint.
    pub whole: [usize; 3],
    /// Number of replicas that are billed; absent where the steps never end all of them.
    pub billed: Option<fn(&Clouds) -> u64>,
    /// These numbers after an edit in place: what remains of the former form costs nothing, and goes before the next change.
    pub edited: [usize; 3],
}

/// SageMaker.
pub fn at_sagemaker() -> SweptService {
    const CHANGES: [&str; 9] = [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "AddTags",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
    ];
    SweptService {
        service: ServiceName::SageMaker,
        target: SAGEMAKER,
        steps: STEPS,
        objects: vec![aws_key(), sagemaker()],
        changes: &CHANGES,
        repeatable: &["AddTags"],
        held,
        operations: || roadstead_sagemaker::OPERATIONS.to_vec(),
        right: |operation| of_aws("sagemaker", &roadstead_sagemaker::OPERATIONS, operation),
        uncalled: &[("DescribeModel", "only another hub reads the key of what it adopts")],
        needless: &[],
        billed: None,
        whole: [1, 1, 1],
        edited: [1, 2, 2],
    }
}

/// Hugging Face.
pub fn at_hugging_face() -> SweptService {
    SweptService {
        service: ServiceName::HuggingFace,
        target: HUGGING_FACE,
        steps: WITH_SLEEP,
        objects: vec![hugging_face_key(), hugging_face()],
        changes: &["create", "update", "delete", "pause", "resume"],
        repeatable: &[],
        held: |clouds| [held_at_hugging_face(clouds), 0, 0],
        operations: || roadstead_huggingface::OPERATIONS.to_vec(),
        right: |operation| {
            of_table(&[(roadstead_huggingface::PERMISSION, &roadstead_huggingface::OPERATIONS)], operation)
        },
        uncalled: &[],
        needless: &[],
        billed: Some(billed_at_hugging_face),
        whole: [1, 0, 0],
        edited: [1, 0, 0],
    }
}

/// Baseten.
pub fn at_baseten() -> SweptService {
    const CHANGES: [&str; 10] = [
        "prepare",
        "upload",
        "create",
        "createKey",
        "deploy",
        "scale",
        "activate",
        "deactivate",
        "deleteDeployment",
        "delete",
    ];
    SweptService {
        service: ServiceName::Baseten,
        target: BASETEN,
        steps: WITH_SLEEP,
        objects: vec![baseten_key(), baseten()],
        changes: &CHANGES,
        repeatable: &["prepare", "upload", "createKey"],
        held: held_at_baseten,
        operations: || roadstead_baseten::OPERATIONS.to_vec(),
        // An upload goes to a store with credentials of its own.
        right: |operation| (operation != "upload").then(|| roadstead_baseten::KEY_TYPE.to_owned()),
        uncalled: &[
            ("deleteSecret", "only another hub removes the claim of the former one, and this model needs no secret"),
            ("logs", "only a deployment that has failed has a reason there"),
            ("upload", "the store of archives has credentials of its own"),
        ],
        needless: &[],
        billed: Some(billed_at_baseten),
        whole: [1, 1, 1],
        edited: [1, 1, 1],
    }
}

/// Bedrock.
pub fn at_bedrock() -> SweptService {
    SweptService {
        service: ServiceName::Bedrock,
        target: BEDROCK,
        steps: MADE_AND_REMOVED,
        objects: vec![aws_key(), bedrock()],
        changes: &["CreateModelImportJob", "DeleteImportedModel"],
        repeatable: &[],
        held: |clouds| [held_at_bedrock(clouds), 0, 0],
        operations: || roadstead_bedrock::IMPORT_OPERATIONS.to_vec(),
        right: |operation| of_aws("bedrock", &roadstead_bedrock::IMPORT_OPERATIONS, operation),
        uncalled: &[("TagResource", "only another hub marks what it takes over")],
        needless: &[("GetModelImportJob", "the model is there once the job has ended")],
        billed: None,
        whole: [1, 0, 0],
        edited: [1, 0, 0],
    }
}

/// Bedrock with provisioned throughput.
pub fn at_bedrock_with_throughput() -> SweptService {
    SweptService {
        service: ServiceName::Bedrock,
        target: THROUGHPUT,
        steps: MADE_AND_REMOVED,
        objects: vec![aws_key(), throughput()],
        changes: &["CreateProvisionedModelThroughput", "DeleteProvisionedModelThroughput"],
        repeatable: &[],
        held: held_of_throughput,
        operations: || roadstead_bedrock::THROUGHPUT_OPERATIONS.to_vec(),
        right: |operation| of_aws("bedrock", &roadstead_bedrock::THROUGHPUT_OPERATIONS, operation),
        uncalled: &[("TagResource", "only another hub marks what it takes over")],
        needless: &[],
        billed: None,
        whole: [1, 2, 0],
        edited: [1, 2, 0],
    }
}

/// `DigitalOcean`.
pub fn at_digital_ocean() -> SweptService {
    SweptService {
        service: ServiceName::DigitalOcean,
        target: DIGITAL_OCEAN,
        steps: SCALED,
        objects: vec![digital_ocean_key(), digital_ocean()],
        changes: &["create", "update", "delete", "createToken", "deleteToken"],
        repeatable: &["createToken"],
        held: |clouds| [held_at_digital_ocean(clouds)[0], 0, 0],
        operations: || roadstead_digitalocean::OPERATIONS.to_vec(),
        right: |operation| of_table(&roadstead_digitalocean::SCOPES, operation),
        uncalled: &[("deleteToken", "only a token whose Secret is lost is replaced")],
        needless: &[],
        billed: None,
        whole: [1, 0, 0],
        edited: [1, 0, 0],
    }
}

/// Vertex AI.
pub fn at_vertex_ai() -> SweptService {
    const CHANGES: [&str; 8] = [
        "UploadModel",
        "CreateEndpoint",
        "DeployModel",
        "MutateDeployedModel",
        "UpdateEndpoint",
        "UndeployModel",
        "DeleteEndpoint",
        "DeleteModel",
    ];
    SweptService {
        service: ServiceName::VertexAi,
        target: VERTEX_AI,
        steps: STEPS,
        objects: vec![vertex_ai()],
        changes: &CHANGES,
        repeatable: &["UpdateEndpoint"],
        held: held_at_vertex_ai,
        operations: || roadstead_vertex::OPERATIONS.to_vec(),
        right: |operation| of_table(&roadstead_vertex::PERMISSIONS, operation),
        uncalled: &[],
        needless: &[("GetOperation", "the model is there at the next look in any case")],
        billed: None,
        whole: [1, 1, 1],
        edited: [1, 1, 2],
    }
}

/// Azure ML.
pub fn at_azure_ml() -> SweptService {
    // Versions of environments stay, and the next endpoint uses them.
    const CHANGES: [&str; 6] = [
        "OnlineEndpoints_CreateOrUpdate",
        "OnlineEndpoints_Update",
        "OnlineEndpoints_Delete",
        "OnlineDeployments_CreateOrUpdate",
        "OnlineDeployments_Update",
        "OnlineDeployments_Delete",
    ];
    SweptService {
        service: ServiceName::Azure,
        target: AZURE_ML,
        steps: STEPS,
        objects: vec![azure_key(), azure_ml()],
        changes: &CHANGES,
        repeatable: &["OnlineEndpoints_Update"],
        held: held_at_azure_ml,
        operations: || roadstead_azureml::OPERATIONS.to_vec(),
        right: |operation| of_table(&roadstead_azureml::ACTIONS, operation),
        uncalled: &[
            ("OnlineEndpoints_ListKeys", "only another hub reads the key of what it adopts"),
            ("OnlineEndpoints_RegenerateKeys", "only a key that differs is set again"),
            ("Operation_Get", "only a change that has failed is asked for its reason"),
        ],
        needless: &[],
        billed: None,
        whole: [1, 1, 1],
        edited: [1, 1, 1],
    }
}

/// Azure OpenAI.
pub fn at_azure_openai() -> SweptService {
    SweptService {
        service: ServiceName::AzureOpenAi,
        target: AZURE_OPENAI,
        objects: vec![azure_key(), azure_openai()],
        changes: &["Deployments_CreateOrUpdate", "Deployments_Update", "Deployments_Delete"],
        repeatable: &["Deployments_Update"],
        held: |clouds| [held_at_azure_openai(clouds)[0], 0, 0],
        operations: || roadstead_azureopenai::OPERATIONS.to_vec(),
        // The operation of a change only says why the change has failed: see the conformance suite.
        right: |operation| {
            of_table(&roadstead_azureopenai::ACTIONS, operation).filter(|_| operation != "Operation_Get")
        },
        uncalled: &[("Operation_Get", "only a change that has failed is asked for its reason")],
        needless: &[],
        billed: None,
        whole: [1, 0, 0],
        edited: [1, 0, 0],
        steps: STEPS,
    }
}

/// Every service.
pub fn all() -> Vec<SweptService> {
    vec![
        at_sagemaker(),
        at_hugging_face(),
        at_vertex_ai(),
        at_azure_ml(),
        at_azure_openai(),
        at_baseten(),
        at_bedrock(),
        at_bedrock_with_throughput(),
        at_digital_ocean(),
    ]
}

/// A deployment that may run at this target alone.
pub fn deployment_at(target: Key) -> Value {
    let mut deployment = deployment_of_units();
    deployment["spec"]["placement"] = json!({"targetSelector": {"matchLabels": {"place": target.2}}});
    deployment
}

/// The right that an operation of AWS needs.
fn of_aws(service: &str, own: &[&str], operation: &str) -> Option<String> {
    match operation {
        "GetResources" => Some("tag:GetResources".to_owned()),
        _ => own.contains(&operation).then(|| format!("{service}:{operation}")),
    }
}

/// The right that an operation needs by a driver's table of rights.
fn of_table(rights: &[(&str, &[&str])], operation: &str) -> Option<String> {
    let (right, _) = rights.iter().find(|(_, operations)| operations.contains(&operation))?;
    Some((*right).to_owned())
}

/// A hub, the fakes, and the one of them whose calls are disturbed.
pub struct Life {
    /// The hub.
    pub stage: ServiceStage,
    /// The fakes.
    pub clouds: Clouds,
    /// The disturbed one.
    pub swept: SweptService,
}

impl Life {
    /// A deployment that serves, unless the step creates or wakes it.
    pub fn begin(&self, step: Step) -> anyhow::Result<()> {
        if step != Step::Create {
            self.stage.apply(&deployment_at(self.swept.target))?;
            self.stage.served_on(LLAMA, self.swept.target.2)?;
        }
        if step == Step::Wake {
            self.act(Step::Sleep)?;
            self.end(Step::Sleep)?;
        }
        Ok(())
    }

    /// Asks for a step.
    pub fn act(&self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Create => self.stage.apply(&deployment_at(self.swept.target)),
            Step::Scale | Step::Sleep | Step::Wake => {
                self.stage.patch(LLAMA, &json!({"spec": {"replicas": step.replicas()}}))
            }
            // Where arguments are left out, the other field makes it another form.
            Step::Edit => {
                let serving = json!({"args": ["--max-model-len=2048"], "startupTimeoutSeconds": 1300});
                self.stage.patch(LLAMA, &json!({"spec": {"serving": serving}}))
            }
            Step::Delete => self.stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=false"]).map(drop),
        }
    }

    /// Waits until the step is realised, and nothing is there twice.
    pub fn end(&self, step: Step) -> anyhow::Result<()> {
        if step == Step::Delete {
            return self.is_gone();
        }
        if step == Step::Sleep {
            return self.is_asleep();
        }
        self.stage.ready_replicas(LLAMA, step.replicas())?;
        self.stage.served_on(LLAMA, self.swept.target.2)?;
        let expected = if step == Step::Edit { self.swept.edited } else { self.swept.whole };
        wait("everything is there once", LONG, || {
            ensure!(self.held() == expected, "{}", self.clouds.state(self.swept.service));
            Ok(())
        })
    }

    fn is_asleep(&self) -> anyhow::Result<()> {
        let billed = self.swept.billed.context("the service has no state without replicas")?;
        wait("it is there once, and nothing of it is billed", LONG, || {
            let object = self.stage.get(LLAMA)?;
            let status = &object["status"];
            let ready = status["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == "Ready");
            let current = status["observedGeneration"] == object["metadata"]["generation"];
            ensure!(current && ready.is_some_and(|ready| ready["reason"] == "ScaledToZero"), "{status}");
            let state = self.clouds.state(self.swept.service);
            ensure!(self.held() == self.swept.whole && billed(&self.clouds) == 0, "{state}");
            Ok(())
        })
    }

    /// Numbers of what exists at the service.
    pub fn held(&self) -> [usize; 3] {
        (self.swept.held)(&self.clouds)
    }

    /// Deletes the deployment, and waits until everything is gone.
    pub fn clear(&self) -> anyhow::Result<()> {
        self.stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--ignore-not-found", "--wait=false"])?;
        self.is_gone()
    }

    fn is_gone(&self) -> anyhow::Result<()> {
        wait("everything is gone", LONG, || {
            let mut left = self.stage.list("mdep", TEAM)?;
            left.retain(|object| object["metadata"]["name"] == LLAMA.2);
            ensure!(left.is_empty() && self.held() == [0, 0, 0], "{left:?} {}", self.clouds.state(self.swept.service));
            Ok(())
        })
    }
}
