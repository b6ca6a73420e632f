//! The operations that the driver calls, as metrics name them, and the scopes that a token needs for them.

/// Name of the service in metrics.
pub const SERVICE: &str = "digitalocean";

/// Reads the team of the token.
pub const ACCOUNT: &str = "account";
/// Lists GPUs with their prices.
pub const SIZES: &str = "sizes";
/// Lists models with their GPUs.
pub const MODELS: &str = "models";
/// Lists instances.
pub const LIST: &str = "list";
/// Creates an instance, which is billed from then on.
pub const CREATE: &str = "create";
/// Reads an instance.
pub const GET: &str = "get";
/// Changes an instance.
pub const UPDATE: &str = "update";
/// Deletes an instance, and ends its bill.
pub const DELETE: &str = "delete";
/// Lists the tokens of an instance.
pub const TOKENS: &str = "tokens";
/// Issues a token for an instance.
pub const CREATE_TOKEN: &str = "createToken";
/// Revokes a token of an instance.
pub const DELETE_TOKEN: &str = "deleteToken";

/// Operations of Dedicated Inference.
pub const OPERATIONS: [&str; 11] =
    [ACCOUNT, SIZES, MODELS, LIST, CREATE, GET, UPDATE, DELETE, TOKENS, CREATE_TOKEN, DELETE_TOKEN];

/// Scopes of tokens, each with the operations that need it.
pub const SCOPES: [(&str, &[&str]); 8] = [
    ("account:read", &[ACCOUNT]),
    ("dedicated_inference:create", &[CREATE]),
    ("dedicated_inference:delete", &[DELETE]),
    ("dedicated_inference:read", &[SIZES, MODELS, LIST, GET]),
    ("dedicated_inference:update", &[UPDATE]),
    ("dedicated_inference_tokens:create", &[CREATE_TOKEN]),
    ("dedicated_inference_tokens:delete", &[DELETE_TOKEN]),
    ("dedicated_inference_tokens:read", &[TOKENS]),
];
