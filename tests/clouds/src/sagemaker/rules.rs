//! Behaviour of SageMaker, as far as the fake behaves so too.

use crate::rules::Rule;

pub const NOT_FOUND: Rule = Rule::cited(
    "not-found",
    "a missing model, config or endpoint is a ValidationException with the text Could not find …",
    "botocore 1.44, waiter EndpointDeleted; the text: hashicorp/terraform-provider-aws#40048",
);
pub const GROUP_NOT_FOUND: Rule = Rule::assumed(
    "group-not-found",
    "a missing model package group is a ValidationException with the text ModelPackageGroup … does not exist.",
);
pub const NAME_TAKEN: Rule = Rule::cited(
    "name-taken",
    "a name that exists is a ValidationException with the text Cannot create already existing …",
    "ministryofjustice/modernisation-platform-environments#9383, awslabs/spot-tagging-bot-for-digital-assets#2",
);
pub const ARN_LOWER_CASE: Rule =
    Rule::cited("arn-lower-case", "an ARN holds the name in lower case", "aws/amazon-sagemaker-examples#293");
pub const CONFIG_OF_UPDATE: Rule = Rule::cited(
    "config-of-update",
    "an update needs the configuration that is in force too; DeleteEndpointConfig does not refuse to delete it",
    "hashicorp/terraform-provider-aws#40048",
);
pub const RETAINED: Rule = Rule::cited(
    "retained",
    "an update has the counts and weights of its configuration; with RetainAllVariantProperties, variants keep those that they have",
    "botocore 1.44, documentation of UpdateEndpointInput",
);
pub const BUSY: Rule = Rule::cited(
    "busy",
    "an endpoint in Creating, Updating, RollingBack or Deleting can be neither updated nor deleted: Cannot update in-progress endpoint …",
    "aws/amazon-sagemaker-operator-for-k8s, DeleteEndpointInProgressMessagePrefix; aws/amazon-sagemaker-examples#3432",
);
pub const FAILED_ONLY_DELETE: Rule = Rule::cited(
    "failed-only-delete",
    "a Failed endpoint can only be deleted",
    "botocore 1.44, EndpointStatus in the documentation of DescribeEndpoint",
);
pub const PENDING_SUMMARY: Rule = Rule::cited(
    "pending-summary",
    "while it is created or updated, an endpoint shows the new configuration as PendingDeploymentSummary only",
    "botocore 1.44, DescribeEndpointOutput.PendingDeploymentSummary",
);
pub const QUOTA_NOW: Rule = Rule::cited(
    "quota-now",
    "a quota that does not suffice is ResourceLimitExceeded, at once, with status 400",
    "aws-samples/sagemaker-custom-project-templates#51",
);
pub const CAPACITY_LATE: Rule = Rule::cited(
    "capacity-late",
    "a lack of machines shows minutes after the call was accepted: Failed with a FailureReason",
    "aws/deep-learning-containers#6673",
);
pub const CAPACITY_UPDATE: Rule = Rule::assumed(
    "capacity-update",
    "an update that finds no machines ends InService with the former configuration and a FailureReason",
);
pub const ROLLBACK_FAILED: Rule = Rule::cited(
    "rollback-failed",
    "where undoing an update fails, the endpoint is UpdateRollbackFailed and serves a mixture",
    "botocore 1.44, EndpointStatus in the documentation of DescribeEndpoint",
);
pub const THROTTLED: Rule = Rule::cited(
    "throttled",
    "too many calls are ThrottlingException with status 400, without a time to wait",
    "botocore 1.44, data/_retry.json: ThrottlingException has http status 400",
);
pub const DENIED: Rule = Rule::cited(
    "denied",
    "a missing right is AccessDeniedException with status 400, which names the action and the resource",
    "AWS SageMaker API reference, Common Errors",
);
pub const SIGNATURE: Rule = Rule::cited(
    "signature",
    "a request is refused unless its Signature Version 4 is right, recent and for this service",
    "AWS IAM User Guide, Signature Version 4; botocore recomputes it in the judge",
);
pub const TOKEN: Rule = Rule::cited(
    "token",
    "the OpenAI route takes a bearer token that is a presigned call of CallWithBearerToken, until it expires",
    "sagemaker-core 2.27.0, token_generator",
);
pub const TAGS_BY_TAGGING: Rule = Rule::cited(
    "tags-by-tagging",
    "GetResources lists endpoints, configurations and models by their tags, at most 100 a page",
    "botocore 1.44, resourcegroupstaggingapi GetResources",
);
pub const VALIDATED: Rule = Rule::partly(
    "validated",
    "input that breaks the model (missing member, type, enum, pattern, length) is a ValidationException",
    "botocore 1.44, sagemaker 2017-07-24",
    "the text",
);
pub const DELETED_AFTER: Rule = Rule::cited(
    "deleted-after",
    "a deleted endpoint is Deleting for a while, then not found",
    "botocore 1.44, waiter EndpointDeleted",
);
pub const DELETE_FAILED: Rule = Rule::assumed(
    "delete-failed",
    "a deletion that fails leaves the endpoint as Failed, with a FailureReason, and can be asked for again",
);
pub const MODEL_IN_USE: Rule = Rule::cited(
    "model-in-use",
    "DeleteModel removes the entry alone, also while an endpoint uses it",
    "botocore 1.44, documentation of DeleteModel",
);
pub const MODEL_OF_CONFIG: Rule =
    Rule::assumed("model-of-config", "a configuration needs models that exist: Could not find model …");
pub const ZERO: Rule = Rule::partly(
    "zero",
    "a variant without inference components cannot have zero instances",
    "stdapi-ai/stdapi.ai#43",
    "the text",
);
pub const BILLED: Rule = Rule::assumed(
    "billed",
    "instances are billed from the create call until the endpoint is gone, and not where there was no capacity",
);
pub const NOT_IN_SERVICE: Rule = Rule::cited(
    "not-in-service",
    "a request to an endpoint that is missing or not yet in service is a ValidationError: Endpoint … not found",
    "aws/amazon-sagemaker-examples#293",
);
pub const ONE_ROUTE: Rule = Rule::cited(
    "one-route",
    "the OpenAI route has chat/completions alone; its own refusals come in OpenAI's envelope",
    "AWS guide: Invoke endpoints with OpenAI-compatible APIs",
);
pub const EMPTY_MODEL: Rule =
    Rule::assumed("empty-model", "an empty model in a request is answered by the model that is served");
pub const CONTAINER_ENVIRONMENT: Rule = Rule::cited(
    "container-environment",
    "a vLLM container takes SM_VLLM_MAX_MODEL_LEN as --max-model-len, and true as a bare flag",
    "aws/deep-learning-containers, documentation of the vLLM images",
);
pub const INVOCATIONS: Rule = Rule::cited(
    "invocations",
    "/invocations answers chat bodies and completion bodies",
    "vllm-project/vllm, entrypoints: /invocations",
);
pub const SESSION: Rule = Rule::cited(
    "session",
    "AssumeRole and AssumeRoleWithWebIdentity give keys that expire, by default after an hour",
    "botocore 1.44, sts 2011-06-15",
);
pub const EXTERNAL_ID: Rule = Rule::cited(
    "external-id",
    "a role whose trust policy wants an external id refuses others with AccessDenied",
    "AWS IAM User Guide, external id",
);

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &NOT_FOUND,
    &GROUP_NOT_FOUND,
    &NAME_TAKEN,
    &ARN_LOWER_CASE,
    &CONFIG_OF_UPDATE,
    &RETAINED,
    &BUSY,
    &FAILED_ONLY_DELETE,
    &PENDING_SUMMARY,
    &QUOTA_NOW,
    &CAPACITY_LATE,
    &CAPACITY_UPDATE,
    &ROLLBACK_FAILED,
    &THROTTLED,
    &DENIED,
    &SIGNATURE,
    &TOKEN,
    &TAGS_BY_TAGGING,
    &VALIDATED,
    &DELETED_AFTER,
    &DELETE_FAILED,
    &MODEL_IN_USE,
    &MODEL_OF_CONFIG,
    &ZERO,
    &BILLED,
    &NOT_IN_SERVICE,
    &ONE_ROUTE,
    &EMPTY_MODEL,
    &CONTAINER_ENVIRONMENT,
    &INVOCATIONS,
    &SESSION,
    &EXTERNAL_ID,
];
