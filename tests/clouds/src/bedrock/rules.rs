//! Behaviour of Bedrock's custom model import and provisioned throughput, as far as the fake behaves so too.

use crate::rules::Rule;

pub const IMPORTED_LATER: Rule = Rule::cited(
    "imported-later",
    "an import job is InProgress until the model exists; then it is Completed and names the model",
    "botocore 1.44, GetModelImportJobResponse; AWS user guide, Invoke your imported model",
);
pub const JOB_FAILED: Rule = Rule::cited(
    "job-failed",
    "a job that fails says why in failureMessage, and leaves no model",
    "botocore 1.44, GetModelImportJobResponse.failureMessage",
);
pub const SAME_TOKEN: Rule = Rule::cited(
    "same-token",
    "a creation with the client request token of an earlier one makes nothing and is no error",
    "AWS API reference, CreateModelImportJob.clientRequestToken",
);
pub const SAME_TOKEN_ANSWER: Rule =
    Rule::assumed("same-token-answer", "the answer to such a creation is that of the earlier one");
pub const NAME_TAKEN: Rule = Rule::assumed(
    "name-taken",
    "the name of a job, or of an imported model that exists or is being imported, is a ConflictException the second time",
);
pub const NOT_FOUND: Rule = Rule::cited(
    "not-found",
    "a job, a model or a resource with tags that does not exist is a ResourceNotFoundException with status 404",
    "botocore 1.44, errors of GetModelImportJob, GetImportedModel, DeleteImportedModel and ListTagsForResource",
);
pub const BY_NAME_OR_ARN: Rule = Rule::cited(
    "by-name-or-arn",
    "jobs, models and provisioned throughputs are named by their name or their ARN",
    "botocore 1.44, ModelImportJobIdentifier, ImportedModelIdentifier and ProvisionedModelId",
);
pub const QUOTA: Rule = Rule::cited(
    "quota",
    "more imported models than the account may have are a ServiceQuotaExceededException with status 400",
    "botocore 1.44, errors of CreateModelImportJob; AWS user guide, Imported models per account",
);
pub const DELETED_AT_ONCE: Rule = Rule::assumed("deleted-at-once", "a deleted model is not found any more");
pub const COLD: Rule = Rule::cited(
    "cold",
    "a model without an active copy answers 429 ModelNotReadyException, and the request starts one",
    "AWS user guide, Handling ModelNotReadyException; aws-samples/bedrock-engineer#232",
);
pub const GOES_COLD: Rule = Rule::cited(
    "goes-cold",
    "the last copy ends when no request came for five minutes",
    "AWS user guide, Calculate the cost of running a custom model",
);
pub const BILLED: Rule = Rule::cited(
    "billed",
    "custom model units are billed in windows of five minutes from the first request that a copy answers; storage is not played",
    "AWS user guide, Calculate the cost of running a custom model",
);
pub const UNITS: Rule = Rule::cited(
    "units",
    "GetImportedModel says how many custom model units a copy has",
    "botocore 1.44, GetImportedModelResponse.customModelUnits",
);
pub const OPENAI_BODIES: Rule = Rule::cited(
    "openai-bodies",
    "InvokeModel takes and gives the bodies of OpenAI's chats and completions; the path names the model, and not the body",
    "AWS user guide, Invoke your imported model: since 2025-11-11",
);
pub const EVENT_STREAM: Rule = Rule::cited(
    "event-stream",
    "a stream is one of AWS's binary events, each a chunk with a part of the answer in base64",
    "botocore 1.44, bedrock-runtime ResponseStream.chunk; AWS event stream encoding of Smithy",
);
pub const STREAM_EXCEPTION: Rule = Rule::cited(
    "stream-exception",
    "a stream that fails ends with a message of type exception, whose payload has a message",
    "botocore 1.44, bedrock-runtime ResponseStream.modelStreamErrorException; AWS event stream encoding of Smithy",
);
pub const STREAM_PARTS: Rule =
    Rule::assumed("stream-parts", "each part of a stream is one object of OpenAI's stream, without data: and [DONE]");
pub const NO_MODEL: Rule = Rule::assumed(
    "no-model",
    "a request to an imported model that does not exist is a ResourceNotFoundException with status 404",
);
pub const PROVISIONED_LATER: Rule = Rule::cited(
    "provisioned-later",
    "a provisioned throughput is Creating, and then InService or Failed",
    "botocore 1.44, ProvisionedModelStatus",
);
pub const THROUGHPUT_FAILED: Rule = Rule::cited(
    "throughput-failed",
    "a throughput that failed stays, and says why in failureMessage",
    "botocore 1.44, GetProvisionedModelThroughputResponse.failureMessage",
);
pub const SAME_TOKEN_THROUGHPUT: Rule = Rule::cited(
    "same-token-throughput",
    "a purchase with the client request token of an earlier one buys nothing, and its answer is that of the earlier one",
    "AWS API reference, CreateProvisionedModelThroughput.clientRequestToken",
);
pub const THROUGHPUT_NAME_TAKEN: Rule = Rule::assumed(
    "throughput-name-taken",
    "the name of a throughput that exists is a ValidationException the second time: the operation has no ConflictException",
);
pub const KNOWN_MODELS: Rule =
    Rule::assumed("known-models", "a model of which no units can be bought is a ValidationException with status 400");
pub const UNITS_QUOTA: Rule = Rule::cited(
    "units-quota",
    "more model units without commitment than the account may have are a ServiceQuotaExceededException with status 400",
    "botocore 1.44, errors of CreateProvisionedModelThroughput; AWS user guide, Purchase a Provisioned Throughput",
);
pub const UNITS_FIXED: Rule = Rule::cited(
    "units-fixed",
    "the units of a throughput cannot be changed",
    "botocore 1.44, UpdateProvisionedModelThroughputRequest has no units",
);
pub const MODEL_CHANGED: Rule = Rule::assumed(
    "model-changed",
    "a throughput in service that gets another model is Updating for a while, and serves the former one; in another state it is a ValidationException",
);
pub const THROUGHPUT_DELETED: Rule =
    Rule::assumed("throughput-deleted", "a deleted throughput is not found any more, whatever state it was in");
pub const NOT_DELETED_MEANWHILE: Rule = Rule::assumed(
    "not-deleted-meanwhile",
    "a throughput that is Updating or has a commitment is not deleted: a ConflictException",
);
pub const BILLED_UNTIL_DELETED: Rule = Rule::cited(
    "billed-until-deleted",
    "model units are billed by the hour, used or not, until the throughput is deleted",
    "AWS user guide, Increase model invocation capacity with Provisioned Throughput",
);
pub const IN_SERVICE_ALONE: Rule = Rule::assumed(
    "in-service-alone",
    "a request to a throughput that is not in service is a ValidationException, and to one that does not exist a ResourceNotFoundException",
);
pub const CONVERSE: Rule = Rule::cited(
    "converse",
    "Converse takes and gives the same bodies for the models of every maker, and the ARN of a throughput as the model",
    "botocore 1.44, bedrock-runtime ConverseRequest, ConverseResponse and ConversationalModelId",
);
pub const CONVERSE_EVENTS: Rule = Rule::cited(
    "converse-events",
    "a stream of Converse is messageStart, contentBlockDelta for each part, contentBlockStop, messageStop and metadata with the usage",
    "botocore 1.44, bedrock-runtime ConverseStreamOutput; AWS user guide, Using the Converse API",
);
pub const TURNS: Rule = Rule::cited(
    "turns",
    "a conversation begins with the user, and the two take turns; otherwise it is a ValidationException",
    "aws-samples and LangChain, the text of the ValidationException of Converse",
);
pub const BEARER: Rule = Rule::cited(
    "bearer",
    "requests to models take a bearer token, which is a presigned CallWithBearerToken, as well as a signature",
    "aws-bedrock-token-generator 1.1.0",
);
pub const TAGS_BY_TAGGING: Rule = Rule::cited(
    "tags-by-tagging",
    "GetResources of the tagging service lists imported models, their jobs and provisioned throughputs with their tags",
    "AWS documentation, Resources you can use with the Tag Editor: Amazon Bedrock",
);
pub const SIGNATURE: Rule = Rule::cited(
    "signature",
    "a signature that is missing, wrong or old is refused",
    "AWS documentation, Signature Version 4, and botocore's signer",
);
pub const VALIDATED: Rule = Rule::cited(
    "validated",
    "input that breaks the service's model is a ValidationException with status 400",
    "botocore 1.44, the shapes of Bedrock",
);
pub const THROTTLED: Rule =
    Rule::cited("throttled", "too many calls are a ThrottlingException with status 429", "botocore 1.44, Bedrock");
pub const DENIED: Rule =
    Rule::cited("denied", "a missing right is an AccessDeniedException with status 403", "botocore 1.44, Bedrock");

/// All of them.
pub const ALL: &[&Rule] = &[
    &IMPORTED_LATER,
    &JOB_FAILED,
    &SAME_TOKEN,
    &SAME_TOKEN_ANSWER,
    &NAME_TAKEN,
    &NOT_FOUND,
    &BY_NAME_OR_ARN,
    &QUOTA,
    &DELETED_AT_ONCE,
    &COLD,
    &GOES_COLD,
    &BILLED,
    &UNITS,
    &OPENAI_BODIES,
    &EVENT_STREAM,
    &STREAM_EXCEPTION,
    &STREAM_PARTS,
    &NO_MODEL,
    &PROVISIONED_LATER,
    &THROUGHPUT_FAILED,
    &SAME_TOKEN_THROUGHPUT,
    &THROUGHPUT_NAME_TAKEN,
    &KNOWN_MODELS,
    &UNITS_QUOTA,
    &UNITS_FIXED,
    &MODEL_CHANGED,
    &THROUGHPUT_DELETED,
    &NOT_DELETED_MEANWHILE,
    &BILLED_UNTIL_DELETED,
    &IN_SERVICE_ALONE,
    &CONVERSE,
    &CONVERSE_EVENTS,
    &TURNS,
    &BEARER,
    &TAGS_BY_TAGGING,
    &SIGNATURE,
    &VALIDATED,
    &THROTTLED,
    &DENIED,
];
