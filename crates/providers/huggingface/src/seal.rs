//! The key of an endpoint, left with it so that a rebuilt hub finds it again. The service returns no secrets, and its plain
//! variables are read by everybody in the namespace: so the key is sealed with the token of the target.

use data_encoding::BASE64URL_NOPAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use roadstead_provider::Redacted;

/// Separates this use of the token from all others.
const PURPOSE: &[u8] = b"roadstead.dev: key of an endpoint, version 1";

/// Seals keys with a token.
pub struct KeySeal {
    key: LessSafeKey,
}

impl KeySeal {
    /// The seal of this token; `None` if the library refuses to derive a key, which it never does.
    #[must_use]
    pub fn of(token: &Redacted) -> Option<Self> {
        let secret = Salt::new(HKDF_SHA256, PURPOSE).extract(token.expose().as_bytes());
        let key: UnboundKey = secret.expand(&[PURPOSE], &CHACHA20_POLY1305).ok()?.into();
        Some(Self { key: LessSafeKey::new(key) })
    }

    /// The key, sealed for the endpoint of this name; `None` without randomness.
    #[must_use]
    pub fn seal(&self, endpoint: &str, key: &Redacted) -> Option<String> {
        let mut nonce = [0_u8; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut text = key.expose().as_bytes().to_vec();
        let aad = Aad::from(endpoint.as_bytes());
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut text).ok()?;
        Some(BASE64URL_NOPAD.encode(&[nonce.as_slice(), &text].concat()))
    }

    /// The key in a sealed text; `None` where it was sealed with another token or for another endpoint.
    #[must_use]
    pub fn open(&self, endpoint: &str, sealed: &str) -> Option<Redacted> {
        let bytes = BASE64URL_NOPAD.decode(sealed.as_bytes()).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = self.key.open_in_place(nonce, Aad::from(endpoint.as_bytes()), &mut text).ok()?;
        String::from_utf8(key.to_vec()).ok().map(Redacted::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_opens_the_seal_of_an_endpoint() {
        let seal = |token: &str| KeySeal::of(&Redacted::new(token.to_owned())).unwrap();
        let key = Redacted::new("rs-key".to_owned());
        let sealed = seal("token").seal("e", &key).unwrap();
        assert!(!sealed.contains("rs-key"));
        assert_eq!(seal("token").open("e", &sealed), Some(key.clone()));
        assert_eq!(seal("other").open("e", &sealed), None);
        assert_eq!(seal("token").open("another", &sealed), None);
        for text in ["", "AA", "!", &sealed[1..]] {
            assert_eq!(seal("token").open("e", text), None, "{text}");
        }
        assert_ne!(seal("token").seal("e", &key), Some(sealed), "each seal is another one");
    }
}
