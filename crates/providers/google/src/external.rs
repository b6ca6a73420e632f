//! The credential file of workload identity federation: the file with the pod's token, and what Google gives for that token.
//!
//! The form is that of AIP-4117 (<https://google.aip.dev/auth/4117>), as `gcloud iam workload-identity-pools create-cred-config`
//! writes it; for clusters outside Google Cloud see
//! <https://cloud.google.com/iam/docs/workload-identity-federation-with-kubernetes>. Only tokens in files are read: the other sources
//! of that form run a command or fetch an address that the file names.

use std::path::{Path, PathBuf};

use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{BaseUrl, Insecure, encoded, is_on_this_machine};
use serde_json::Value;

use crate::key::SCOPE;

/// Variable with the path of the credential file, as Google's own libraries know it.
pub const VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Type of the file.
const TYPE: &str = "external_account";
/// Path at which tokens are exchanged
/// (<https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token>).
pub const EXCHANGE_PATH: &str = "/v1/token";
/// Path of service accounts whose tokens are asked for.
const ACCOUNTS_PATH: &str = "/v1/projects/-/serviceAccounts/";
/// Verb behind an account.
const GENERATE: &str = ":generateAccessToken";
/// Grant of an exchange, and the kind of token that is asked for (RFC 8693).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const REQUESTED: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Members that are refused: other sources of the token, which run a command or fetch an address, and users of a workforce pool.
const REFUSED: [&str; 7] = [
    "credential_source.executable",
    "credential_source.url",
    "credential_source.environment_id",
    "credential_source.certificate",
    "client_id",
    "client_secret",
    "workforce_pool_user_project",
];
/// Bytes of a file that are read at most.
const MAX_BYTES: u64 = 64 * 1024;
/// Life in seconds of a token of the impersonated account, where the file names none, and its bounds (AIP-4117).
const IMPERSONATION_SECONDS: u64 = 3600;
const IMPERSONATION_BOUNDS: std::ops::RangeInclusive<u64> = 600..=43_200;

/// An identity of another issuer that a workload identity pool of Google accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// Full name of the pool's provider.
    audience: String,
    /// Kind of the pod's token.
    subject_token_type: String,
    /// The service that exchanges the token.
    pub sts: BaseUrl,
    /// The pod's token.
    source: SubjectTokenFile,
    /// The account that the identity acts as, if any.
    pub impersonated: Option<ImpersonatedAccount>,
}

/// The service account that a credential file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImpersonatedAccount {
    /// The service that gives its tokens.
    pub iam: BaseUrl,
    /// Its email address.
    pub email: String,
    /// Life of its tokens in seconds.
    pub seconds: u64,
}

/// A file with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SubjectTokenFile {
    path: PathBuf,
    /// Member of the file's JSON with the token; `None`: the file is the token.
    field: Option<String>,
}

/// Fault of a credential file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFileFault {
    /// It is no JSON, or of another type.
    #[error(
        "its type must be external_account; gcloud iam workload-identity-pools create-cred-config writes such a file"
    )]
    OtherType,
    /// A member is missing or cannot be used.
    #[error("its {0} is missing or malformed")]
    Malformed(&'static str),
    /// A member that is not supported.
    #[error("its {0} is not supported; name a file with the pod's token in credential_source.file")]
    Unsupported(&'static str),
    /// An address that is not Google's.
    #[error("its {0} is not an address of Google; expected https://{1}.googleapis.com")]
    OtherAddress(&'static str, &'static str),
}

impl ExternalAccount {
    /// The identity that the environment names; `None` if it names no file.
    ///
    /// # Errors
    /// `Unauthorized` if the file cannot be read or used.
    pub fn of_pod() -> Result<Option<Self>, ProviderError> {
        let named = std::env::var(VARIABLE).ok().filter(|path| !path.is_empty());
        named.map(|path| Self::of_file(Path::new(&path))).transpose()
    }

    fn of_file(path: &Path) -> Result<Self, ProviderError> {
        let unusable = |cause: String| {
            let message = format!("the credential file {} of {VARIABLE} cannot be used: {cause}", path.display());
            ProviderError::new(ErrorClass::Unauthorized, message)
        };
        let text = read(path).map_err(|error| unusable(error.to_string()))?;
        Self::parse(&text).map_err(|fault| unusable(fault.to_string()))
    }

    /// Reads the text of a credential file.
    ///
    /// # Errors
    /// [`CredentialFileFault`] where it cannot be used.
    pub fn parse(text: &str) -> Result<Self, CredentialFileFault> {
        let file: Value = serde_json::from_str(text).map_err(|_| CredentialFileFault::OtherType)?;
        if file["type"] != TYPE {
            return Err(CredentialFileFault::OtherType);
        }
        if let Some(refused) = REFUSED.into_iter().find(|member| !member_of(&file, member).is_null()) {
            return Err(CredentialFileFault::Unsupported(refused));
        }
        Ok(Self {
            audience: needed(&file, "audience")?.to_owned(),
            subject_token_type: needed(&file, "subject_token_type")?.to_owned(),
            sts: sts(needed(&file, "token_url")?)?,
            source: SubjectTokenFile::parse(&file)?,
            impersonated: ImpersonatedAccount::parse(&file)?,
        })
    }

    /// The pod's token. It is read each time: the kubelet renews it.
    ///
    /// # Errors
    /// `Unauthorized` if there is none.
    pub fn subject_token(&self) -> Result<Redacted, ProviderError> {
        self.source.token()
    }

    /// The form that asks for a token of Google in exchange for this one.
    #[must_use]
    pub fn form(&self, subject: &Redacted) -> String {
        [
            ("grant_type", GRANT),
            ("audience", &self.audience),
            ("scope", SCOPE),
            ("requested_token_type", REQUESTED),
            ("subject_token", subject.expose()),
            ("subject_token_type", &self.subject_token_type),
        ]
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .join("&")
    }

    /// Full name of the pool's provider.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }
}

impl SubjectTokenFile {
    fn parse(file: &Value) -> Result<Self, CredentialFileFault> {
        const FORMAT: &str = "credential_source.format.type";
        let path = PathBuf::from(needed(file, "credential_source.file")?);
        let field = match member_of(file, FORMAT) {
            Value::Null => None,
            format if format == "text" => None,
            format if format == "json" => {
                Some(needed(file, "credential_source.format.subject_token_field_name")?.to_owned())
            }
            _ => return Err(CredentialFileFault::Malformed(FORMAT)),
        };
        Ok(Self { path, field })
    }

    fn token(&self) -> Result<Redacted, ProviderError> {
        let path = self.path.display();
        let unusable = |message: String| ProviderError::new(ErrorClass::Unauthorized, message);
        let text =
            read(&self.path).map_err(|error| unusable(format!("cannot read the pod's token in {path}: {error}")))?;
        let token = match &self.field {
            None => Some(text),
            Some(field) => {
                let file: Value = serde_json::from_str(&text).unwrap_or_default();
                file[field.as_str()].as_str().map(ToOwned::to_owned)
            }
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        let field = self.field.as_ref().map(|field| format!(" under {field:?}")).unwrap_or_default();
        token.map(Redacted::new).ok_or_else(|| unusable(format!("{path} has no token{field}")))
    }
}

impl ImpersonatedAccount {
    fn parse(file: &Value) -> Result<Option<Self>, CredentialFileFault> {
        const URL: &str = "service_account_impersonation_url";
        const LIFE: &str = "service_account_impersonation.token_lifetime_seconds";
        if member_of(file, URL).is_null() {
            return Ok(None);
        }
        let malformed = CredentialFileFault::Malformed(URL);
        let (base, account) = needed(file, URL)?.split_once(ACCOUNTS_PATH).ok_or_else(|| malformed.clone())?;
        let email = account.strip_suffix(GENERATE).filter(|email| is_account(email)).ok_or(malformed)?;
        let iam = googles(base, "iamcredentials").ok_or(CredentialFileFault::OtherAddress(URL, "iamcredentials"))?;
        let seconds = match member_of(file, LIFE) {
            Value::Null => IMPERSONATION_SECONDS,
            life => life
                .as_u64()
                .filter(|life| IMPERSONATION_BOUNDS.contains(life))
                .ok_or(CredentialFileFault::Malformed(LIFE))?,
        };
        Ok(Some(Self { iam, email: email.to_owned(), seconds }))
    }
}

/// A file as text, if it is not too long.
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// A member below others, as `a.b`; null if there is none.
fn member_of<'a>(file: &'a Value, name: &str) -> &'a Value {
    name.split('.').fold(file, |value, part| &value[part])
}

/// A member that must be a text of plain characters.
fn needed<'a>(file: &'a Value, name: &'static str) -> Result<&'a str, CredentialFileFault> {
    let text = member_of(file, name).as_str();
    let plain = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    text.filter(plain).ok_or(CredentialFileFault::Malformed(name))
}

fn sts(url: &str) -> Result<BaseUrl, CredentialFileFault> {
    const URL: &str = "token_url";
    let base = url.strip_suffix(EXCHANGE_PATH).ok_or(CredentialFileFault::Malformed(URL))?;
    googles(base, "sts").ok_or(CredentialFileFault::OtherAddress(URL, "sts"))
}

/// The address, if it is that of this service of Google, or on this machine, where no token leaves it.
///
/// Forms of hosts: the public one, those of a region or with certificates of clients (`sts.LABEL`, `sts.REGION.rep`), and those of
/// Private Service Connect (`sts-NAME.p`), all below `googleapis.com`. Google's Go library accepted these until it left the check to
/// its users (golang/oauth2, commits 7df4dd6e and c82d0e16).
fn googles(base: &str, service: &str) -> Option<BaseUrl> {
    if is_on_this_machine(base) {
        return BaseUrl::parse(base, Insecure::Allowed).ok();
    }
    let url = BaseUrl::parse(base, Insecure::Refused).ok()?;
    let host = url.authority().to_ascii_lowercase();
    let labels: Vec<&str> = host.strip_suffix(".googleapis.com")?.split('.').collect();
    let is_googles = match labels[..] {
        [name, "p"] => name.strip_prefix(service).is_some_and(|rest| rest.len() > 1 && rest.starts_with('-')),
        [name] | [name, _] | [name, _, "rep"] => name == service,
        _ => false,
    };
    (is_googles && url.to_string() == format!("https://{}", url.authority())).then_some(url)
}

/// True for an email address or an id of a service account.
fn is_account(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte))
}

#[cfg(test)]
#[path = "external_tests.rs"]
pub mod tests;
