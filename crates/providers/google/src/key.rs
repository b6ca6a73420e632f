//! The key of a service account, and the signed request for a token that it makes.

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;

/// The scope of every token.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Address at which the key is used; a file that names another address is refused, because the request would go there.
pub const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// Life of a request for a token, in seconds; Google allows an hour.
const LIFE: i64 = 600;
/// A larger file is not read.
const MAX_BYTES: usize = 16 * 1024;

/// Key of a service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccountKey {
    /// Email address of the account.
    pub email: String,
    /// Id of the key.
    id: String,
    /// The private key, in PEM.
    private: Redacted,
}

/// Fault of a key's file, without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It is not the JSON of a service account's key.
    Malformed,
    /// Its private key cannot be used.
    Unusable,
    /// It names another address of tokens than Google's.
    OtherAddress,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type")]
    kind: String,
    client_email: String,
    #[serde(default)]
    private_key_id: String,
    private_key: String,
    #[serde(default)]
    token_uri: Option<String>,
}

impl ServiceAccountKey {
    /// The key in a file as Google hands it out.
    ///
    /// # Errors
    /// [`KeyFault`] where it is none.
    pub fn read(file: &[u8]) -> Result<Self, KeyFault> {
        let file = Some(file).filter(|file| file.len() <= MAX_BYTES).ok_or(KeyFault::Malformed)?;
        let file: KeyFile = serde_json::from_slice(file).map_err(|_| KeyFault::Malformed)?;
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if file.kind != "service_account" || !plain(&file.client_email) {
            return Err(KeyFault::Malformed);
        }
        if file.token_uri.is_some_and(|uri| uri != TOKEN_URI) {
            return Err(KeyFault::OtherAddress);
        }
        let private = Redacted::new(file.private_key);
        pair(&private).ok_or(KeyFault::Unusable)?;
        Ok(Self { email: file.client_email, id: file.private_key_id, private })
    }

    /// The private key, for a digest of what a driver is built from.
    #[must_use]
    pub fn private(&self) -> &Redacted {
        &self.private
    }

    /// A signed request for a token, as a JWT
    /// (<https://developers.google.com/identity/protocols/oauth2/service-account>).
    ///
    /// # Errors
    /// `Unauthorized` if the key cannot sign.
    pub fn request(&self, now: Timestamp) -> Result<Redacted, ProviderError> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.id});
        let issued = now.as_second();
        let claims = json!({"iss": self.email, "scope": SCOPE, "aud": TOKEN_URI, "iat": issued, "exp": issued + LIFE});
        let part = |value: serde_json::Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let unusable = || {
            let message = format!("the private key of service account {} cannot sign", self.email);
            ProviderError::new(ErrorClass::Unauthorized, message)
        };
        let pair = pair(&self.private).ok_or_else(unusable)?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| unusable())?;
        Ok(Redacted::new(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))))
    }
}

/// The key pair in PKCS #8.
fn pair(private: &Redacted) -> Option<RsaKeyPair> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(private.expose().as_bytes()).ok()?;
    RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).ok()
}

#[cfg(test)]
pub mod tests {
    use std::process::Command;

    use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// A file as Google hands it out, with a new key.
    pub fn file(token_uri: &str) -> Vec<u8> {
        let options = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
        let made = Command::new("openssl").args(options).output().expect("openssl is there");
        let key = String::from_utf8(made.stdout).unwrap();
        let file = json!({
            "type": "service_account", "project_id": "acme", "private_key_id": "k1", "private_key": key,
            "client_email": "robot@acme.iam.gserviceaccount.com", "token_uri": token_uri, "universe_domain": "googleapis.com",
        });
        file.to_string().into_bytes()
    }

    /// The public key, as PKCS #1 in DER.
    pub fn public_key(key: &ServiceAccountKey) -> Vec<u8> {
        pair(&key.private).unwrap().public_key().as_ref().to_vec()
    }

    #[test]
    fn a_request_is_signed_by_the_key_for_ten_minutes() {
        let key = ServiceAccountKey::read(&file(TOKEN_URI)).unwrap();
        let now = Timestamp::from_second(1_764_550_000).unwrap();
        let jwt = key.request(now).unwrap();
        let (signed, signature) = jwt.expose().rsplit_once('.').unwrap();
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key(&key))
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        let (_, claims) = signed.split_once('.').unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap();
        let expected =
            json!({"iss": key.email, "scope": SCOPE, "aud": TOKEN_URI, "iat": 1_764_550_000, "exp": 1_764_550_600});
        assert_eq!(claims, expected);
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_by_its_fault() {
        assert_eq!(ServiceAccountKey::read(b"{}"), Err(KeyFault::Malformed));
        assert_eq!(ServiceAccountKey::read(&file("https://tokens.example/token")), Err(KeyFault::OtherAddress));
        let mut file: serde_json::Value = serde_json::from_slice(&file(TOKEN_URI)).unwrap();
        file["private_key"] = json!("no key");
        assert_eq!(ServiceAccountKey::read(file.to_string().as_bytes()), Err(KeyFault::Unusable));
        file["type"] = json!("authorized_user");
        assert_eq!(ServiceAccountKey::read(file.to_string().as_bytes()), Err(KeyFault::Malformed));
    }
}
