//! Drivers of real accounts: settings of the target as the operator reads them, credentials from the environment.

use std::sync::Arc;

use anyhow::{Context, bail};
use roadstead_api::v1alpha1::TargetType;
use roadstead_aws::{CredentialSettings, CredentialSource, LongLivedKey};
use roadstead_azure::{EntraIdentity, EntraSecret};
use roadstead_azureml::{AzureMl, AzureMlPlace, WorkspaceAccess};
use roadstead_azureopenai::{AzureOpenAi, CatalogModel, CognitiveAccess, CognitivePlace};
use roadstead_baseten::{Baseten, BasetenAccess, BasetenAddresses, BasetenPlace};
use roadstead_bedrock::{Bedrock, BedrockAccess, BedrockPlace, BedrockThroughput, ImportSettings};
use roadstead_digitalocean::{DedicatedAccess, DedicatedAddresses, DedicatedInference, DedicatedPlace};
use roadstead_google::{GoogleIdentity, ServiceAccountKey};
use roadstead_huggingface::{HubAccess, HubAddresses, HubPlace, HuggingFace};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{Provider, Redacted, address};
use roadstead_rest::{ManagedService, ServiceContext, ServiceDriver};
use roadstead_sagemaker::{AccountAccess, SageMaker, SageMakerPlace};
use roadstead_vertex::{ProjectAccess, VertexAi, VertexPlace};

use super::settings::RealSettings;
use crate::upstream;

/// A new driver for an installation.
pub fn driver(settings: &RealSettings, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
    let context = ServiceContext { paced: true, ..upstream::context(install_id) };
    Ok(match settings.target.spec.type_ {
        TargetType::AzureML => used(settings, azure_ml(settings, context)?),
        TargetType::AzureOpenAI => used(settings, azure_openai(settings, context)?),
        TargetType::Baseten => used(settings, baseten(settings, context)?),
        TargetType::Bedrock => bedrock(settings, context)?,
        TargetType::DigitalOcean => used(settings, digital_ocean(settings, context)?),
        TargetType::HuggingFace => used(settings, hugging_face(settings, context)?),
        TargetType::SageMaker => used(settings, sagemaker(settings, context)?),
        TargetType::VertexAI => used(settings, vertex_ai(settings, context)?),
        other => bail!("a target of type {other:?} is none of a managed service that runs endpoints"),
    })
}

fn used(settings: &RealSettings, service: impl ManagedService) -> Arc<dyn Provider> {
    Arc::new(Discreet::new(ServiceDriver::new(service).listing_every(settings.pause)))
}

fn reach(settings: &RealSettings) -> address::Reach {
    if settings.stand_in.is_some() { address::anywhere } else { address::elsewhere }
}

fn secret(settings: &RealSettings, name: &str) -> anyhow::Result<Redacted> {
    (settings.credential)(name).map(Redacted::new)
}

/// The application of the operator at Azure.
fn application(settings: &RealSettings) -> anyhow::Result<EntraIdentity> {
    Ok(EntraIdentity::Application(EntraSecret {
        tenant: (settings.credential)("AZURE_TENANT_ID")?,
        client: (settings.credential)("AZURE_CLIENT_ID")?,
        secret: secret(settings, "AZURE_CLIENT_SECRET")?,
    }))
}

/// The key of the operator at AWS.
fn aws(settings: &RealSettings) -> anyhow::Result<CredentialSettings> {
    let key = LongLivedKey {
        id: (settings.credential)("AWS_ACCESS_KEY_ID")?,
        secret: secret(settings, "AWS_SECRET_ACCESS_KEY")?,
        session: secret(settings, "AWS_SESSION_TOKEN").ok(),
    };
    Ok(CredentialSettings {
        source: CredentialSource::Key(key),
        role: None,
        region: settings.target.spec.region.clone(),
        endpoint: settings.stand_in.as_ref().map(ToString::to_string),
    })
}

fn azure_ml(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<AzureMl> {
    let spec = settings.target.spec.azure_ml.as_ref().context("set spec.azureML")?;
    let identity = application(settings)?;
    let place = AzureMlPlace {
        subscription: spec.subscription_id.clone(),
        resource_group: spec.resource_group.clone(),
        workspace: spec.workspace.clone(),
        region: settings.target.spec.region.clone(),
        endpoint: settings.stand_in.clone(),
    };
    Ok(AzureMl::new(WorkspaceAccess { place, identity, context })?)
}

fn azure_openai(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<AzureOpenAi> {
    let spec = settings.target.spec.azure_open_ai.as_ref().context("set spec.azureOpenAI")?;
    let offer = settings.target.spec.offers.first().context("the target has no offer")?;
    let models = spec.models.iter().map(|model| {
        let (format, name, version) = (model.format.clone(), model.name.clone(), model.version.clone());
        (model.source.clone(), CatalogModel { format, name, version })
    });
    let place = CognitivePlace {
        subscription: spec.subscription_id.clone(),
        resource_group: spec.resource_group.clone(),
        account: spec.account.clone(),
        region: settings.target.spec.region.clone(),
        models: models.collect(),
        units: [(offer.instance_type.clone(), u32::try_from(offer.accelerator.count)?)].into(),
        endpoint: settings.stand_in.clone(),
    };
    Ok(AzureOpenAi::new(CognitiveAccess { place, identity: application(settings)?, context })?)
}

fn baseten(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<Baseten> {
    let spec = settings.target.spec.baseten.as_ref().context("set spec.baseten")?;
    Ok(Baseten::new(BasetenAccess {
        addresses: BasetenAddresses::of(settings.stand_in.as_ref())?,
        place: BasetenPlace { team: spec.team.clone(), region: settings.target.spec.region.clone() },
        key: secret(settings, "BASETEN_API_KEY")?,
        reach: reach(settings),
        context,
    }))
}

fn bedrock(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<Arc<dyn Provider>> {
    let spec = settings.target.spec.bedrock.as_ref().context("set spec.bedrock")?;
    let place = BedrockPlace {
        region: settings.target.spec.region.clone(),
        account: spec.account_id.clone(),
        endpoint: settings.stand_in.clone(),
    };
    let access = BedrockAccess { place, credentials: aws(settings)?, context };
    let Some(role) = spec.import_role_arn.clone() else {
        let models = spec.models.iter().map(|model| (model.source.clone(), model.model_id.clone()));
        return Ok(used(settings, BedrockThroughput::new(access, models.collect())?));
    };
    let imports = ImportSettings { role, mirrors: spec.model_mirrors.clone() };
    Ok(used(settings, Bedrock::new(access, imports)?))
}

fn digital_ocean(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<DedicatedInference> {
    let spec = settings.target.spec.digital_ocean.as_ref().context("set spec.digitalOcean")?;
    Ok(DedicatedInference::new(DedicatedAccess {
        addresses: DedicatedAddresses::of(settings.stand_in.as_ref())?,
        place: DedicatedPlace { region: settings.target.spec.region.clone(), settings: spec.clone() },
        token: secret(settings, "DIGITALOCEAN_TOKEN")?,
        reach: reach(settings),
        context,
    }))
}

fn hugging_face(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<HuggingFace> {
    let spec = settings.target.spec.hugging_face.as_ref().context("set spec.huggingFace")?;
    Ok(HuggingFace::new(HubAccess {
        addresses: HubAddresses::of(settings.stand_in.as_ref())?,
        place: HubPlace {
            namespace: spec.owner.clone(),
            cloud: settings.target.spec.cloud.clone(),
            region: settings.target.spec.region.clone(),
        },
        token: secret(settings, "HF_TOKEN")?,
        reach: reach(settings),
        context,
    }))
}

fn sagemaker(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<SageMaker> {
    let spec = settings.target.spec.sage_maker.as_ref().context("set spec.sageMaker")?;
    let place = SageMakerPlace {
        region: settings.target.spec.region.clone(),
        account: spec.account_id.clone(),
        endpoint: settings.stand_in.clone(),
    };
    Ok(SageMaker::new(AccountAccess { place, credentials: aws(settings)?, context })?)
}

/// The key of a service account in the file that Google's own clients read, or the identity of this machine.
fn vertex_ai(settings: &RealSettings, context: ServiceContext) -> anyhow::Result<VertexAi> {
    let spec = settings.target.spec.vertex_ai.as_ref().context("set spec.vertexAI")?;
    let identity = match (settings.credential)("GOOGLE_APPLICATION_CREDENTIALS") {
        Err(_) => GoogleIdentity::Workload,
        Ok(path) => {
            let file = std::fs::read(&path).with_context(|| format!("reading {path}"))?;
            let key = ServiceAccountKey::read(&file)
                .ok()
                .with_context(|| format!("{path} is no key of a service account"))?;
            GoogleIdentity::Key(key)
        }
    };
    let place = VertexPlace {
        project: spec.project.clone(),
        location: settings.target.spec.region.clone(),
        endpoint: settings.stand_in.clone(),
    };
    Ok(VertexAi::new(ProjectAccess { place, identity, acting_as: None, context })?)
}
