//! Tokens that each gateway mints for endpoints that want short-lived ones.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Origin of an endpoint's token: all that a gateway needs beside an identity of its own. Nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum TokenSource {
    /// A bearer token of Amazon `SageMaker` for the endpoints of one region.
    #[serde(rename_all = "camelCase")]
    SageMaker {
        /// Region of the endpoints.
        region: String,
        /// Role that the gateway assumes first; absent: it uses its own identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<TokenRole>,
    },
    /// A bearer token of Amazon Bedrock for the models of one region.
    #[serde(rename_all = "camelCase")]
    Bedrock {
        /// Region of the models.
        region: String,
        /// Role that the gateway assumes first; absent: it uses its own identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<TokenRole>,
    },
    /// An `OAuth` token of Google Cloud.
    Google {
        /// Service account that the gateway acts as; absent: it uses its own identity.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// A token of Entra ID for deployments of Azure OpenAI, of the gateway's own identity.
    AzureOpenAI,
    /// A source of a later version of the operator, which this version cannot use.
    #[serde(other)]
    Unknown,
}

/// A role that a gateway assumes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRole {
    /// ARN of the role.
    pub arn: String,
    /// External id that its trust policy requires, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

impl TokenSource {
    /// Kind of the source in metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Bedrock { .. } => "Bedrock",
            Self::SageMaker { .. } => "SageMaker",
            Self::Google { .. } => "Google",
            Self::AzureOpenAI => "AzureOpenAI",
            Self::Unknown => "unknown",
        }
    }

    /// Header that carries the token, and the word before it.
    #[must_use]
    pub const fn header(&self) -> (&'static str, &'static str) {
        match self {
            Self::AzureOpenAI | Self::Bedrock { .. } | Self::SageMaker { .. } | Self::Google { .. } | Self::Unknown => {
                ("authorization", "Bearer")
            }
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bedrock { region, role: None } => write!(formatter, "Bedrock in {region}"),
            Self::Bedrock { region, role: Some(role) } => write!(formatter, "Bedrock in {region} as {}", role.arn),
            Self::SageMaker { region, role: None } => write!(formatter, "SageMaker in {region}"),
            Self::SageMaker { region, role: Some(role) } => {
                write!(formatter, "SageMaker in {region} as {}", role.arn)
            }
            Self::Google { account: None } => formatter.write_str("Google"),
            Self::Google { account: Some(account) } => write!(formatter, "Google as {account}"),
            Self::AzureOpenAI => formatter.write_str("Azure OpenAI"),
            Self::Unknown => formatter.write_str("a source that this version does not know"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_plain_data_and_one_of_a_later_version_is_known_as_such() {
        let role = TokenRole { arn: "arn:aws:iam::123456789012:role/gateway".to_owned(), external_id: None };
        let source = TokenSource::SageMaker { region: "eu-west-1".to_owned(), role: Some(role) };
        let text = json!({
            "type": "SageMaker", "region": "eu-west-1", "role": {"arn": "arn:aws:iam::123456789012:role/gateway"},
        });
        assert_eq!(serde_json::to_value(&source).unwrap(), text);
        assert_eq!(serde_json::from_value::<TokenSource>(text).unwrap(), source);
        let google = TokenSource::Google { account: None };
        assert_eq!(serde_json::to_value(&google).unwrap(), json!({"type": "Google"}));
        assert_eq!(serde_json::to_value(TokenSource::AzureOpenAI).unwrap(), json!({"type": "AzureOpenAI"}));
        let later = json!({"type": "Later", "realm": "x"});
        assert_eq!(serde_json::from_value::<TokenSource>(later).unwrap(), TokenSource::Unknown);
    }
}
