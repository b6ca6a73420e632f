//! Behaviour of hosted vendors with an API like OpenAI's, as far as the fake behaves so too.

use crate::rules::Rule;

pub const ENVELOPE: Rule = Rule::cited(
    "envelope",
    "a refusal is {\"error\": {message, type, param, code}}",
    "openai/openai-openapi, schema ErrorResponse",
);
pub const KEY: Rule = Rule::cited(
    "key",
    "a request without a known key is 401 invalid_api_key",
    "platform.openai.com/docs/guides/error-codes, 401 - Incorrect API key provided",
);
pub const MODELS: Rule =
    Rule::cited("models", "GET /v1/models lists the models of a key", "openai/openai-openapi, listModels");
pub const NO_MODEL: Rule = Rule::cited(
    "no-model",
    "an unknown model is 404 model_not_found: The model … does not exist or you do not have access to it.",
    "Aider-AI/aider issue 2030",
);
pub const ROUTE: Rule = Rule::assumed("route", "a path that the vendor does not have is 404 with an envelope");
pub const SNAPSHOT: Rule = Rule::cited(
    "snapshot",
    "an answer names the dated version of the model that a request names",
    "openai/openai-openapi, examples of createChatCompletion (gpt-4.1-2025-04-14)",
);
pub const USAGE: Rule = Rule::cited(
    "usage",
    "an answer states its tokens in usage.prompt_tokens and usage.completion_tokens",
    "openai/openai-openapi, schema CompletionUsage",
);
pub const STREAM: Rule = Rule::cited(
    "stream",
    "a stream has events data: {chunk} and ends with data: [DONE]",
    "openai/openai-openapi, CreateChatCompletionRequest.stream",
);
pub const STREAM_USAGE: Rule = Rule::cited(
    "stream-usage",
    "a stream states its usage if stream_options.include_usage asks for it: in a last chunk without choices, and null in all others",
    "openai/openai-openapi, schema ChatCompletionStreamOptions",
);
pub const THROTTLED: Rule = Rule::cited(
    "throttled",
    "too many requests are 429 rate_limit_exceeded, with or without Retry-After",
    "platform.openai.com/docs/guides/error-codes, 429; openai-python, _base_client.py, _parse_retry_after_header",
);
pub const SCOPES: Rule =
    Rule::assumed("scopes", "a restricted key without the right for a request is 403 insufficient_permissions");
pub const MISTRAL_OPTIONS: Rule = Rule::cited(
    "mistral-options",
    "Mistral refuses stream_options.include_usage with 422 extra_forbidden, without an envelope",
    "openai/openai-agents-python issue 442; avante-corp/avante.nvim issue 2347",
);
pub const MISTRAL_USAGE: Rule = Rule::partly(
    "mistral-usage",
    "a stream of Mistral states its usage unasked, in its last chunk",
    "dnakov/anon-kode issue 53",
    "that this chunk has a choice",
);
pub const COHERE_OPTIONS: Rule = Rule::partly(
    "cohere-options",
    "Cohere's compatibility API refuses stream_options, and a stream states no usage",
    "strandsagents.com, model providers, Cohere",
    "the status, the words and the missing usage",
);

/// All rules of this service.
pub const ALL: &[&Rule] = &[
    &ENVELOPE,
    &KEY,
    &MODELS,
    &NO_MODEL,
    &ROUTE,
    &SNAPSHOT,
    &USAGE,
    &STREAM,
    &STREAM_USAGE,
    &THROTTLED,
    &SCOPES,
    &MISTRAL_OPTIONS,
    &MISTRAL_USAGE,
    &COHERE_OPTIONS,
];
