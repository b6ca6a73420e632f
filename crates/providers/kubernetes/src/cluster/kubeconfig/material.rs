//! Certificates and keys in a kubeconfig: base64 of PEM, judged before they are used, so that a fault has its name.
//!
//! The result is rewritten, and contains only checked values.

use std::io::Cursor;

use data_encoding::BASE64;
use k8s_openapi::jiff::Timestamp;
use rustls::InconsistentKeys;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{self, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::KubeconfigError;

const AUTHORITY: &str = "clusters[].cluster.certificate-authority-data";
const CERTIFICATE: &str = "users[].user.client-certificate-data";
const KEY: &str = "users[].user.client-key-data";

/// Characters of a line of PEM.
const PEM_LINE: usize = 64;

fn fault(field: &str, what: &str) -> KubeconfigError {
    KubeconfigError::unusable(format!("{field} {what}"))
}

/// The certificates of the cluster's authority, as base64 of PEM.
///
/// # Errors
/// [`KubeconfigError`] naming the field, what is wrong with it and the cure.
pub fn authority(data: &str) -> Result<String, KubeconfigError> {
    let certificates = certificates(AUTHORITY, data)?;
    // kubectl passes over those that cannot be read.
    let read: Vec<_> =
        certificates.into_iter().filter(|certificate| anchor_from_trusted_cert(certificate).is_ok()).collect();
    if read.is_empty() {
        return Err(fault(AUTHORITY, "contains no readable X.509 certificate; copy it from the cluster again"));
    }
    let roles: Vec<CertificateUse> = read.iter().map(role).collect();
    if !roles.contains(&CertificateUse::Authority) {
        return Err(match roles.into_iter().find(|role| *role != CertificateUse::Server) {
            Some(CertificateUse::Expired { at }) => {
                fault(AUTHORITY, &format!("expired at {}; use the cluster's current CA certificate", time(at)))
            }
            Some(CertificateUse::Early { at }) => {
                fault(AUTHORITY, &format!("is not valid before {}; check it and the operator's clock", time(at)))
            }
            _ => fault(
                AUTHORITY,
                "contains the certificate of a server, not of an authority; use the CA certificate that issued it",
            ),
        });
    }
    Ok(BASE64.encode(pem_of(read.iter().map(|certificate| ("CERTIFICATE", certificate.as_ref()))).as_bytes()))
}

/// The certificate that proves a user with the authorities between, and its key, each as base64 of PEM.
///
/// # Errors
/// [`KubeconfigError`] naming the field, what is wrong with it and the cure.
pub fn client(certificate: &str, key: &str) -> Result<(String, String), KubeconfigError> {
    let chain = certificates(CERTIFICATE, certificate)?;
    if let Some(leaf) = chain.first() {
        check_leaf(leaf)?;
    }
    let (label, key) = private_key(key)?;
    check_pair(&chain, &key)?;
    let chain = pem_of(chain.iter().map(|certificate| ("CERTIFICATE", certificate.as_ref())));
    let key = pem_of([(label, key.secret_der())].into_iter());
    Ok((BASE64.encode(chain.as_bytes()), BASE64.encode(key.as_bytes())))
}

/// Role of a certificate that is given as an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CertificateUse {
    /// Others can have been issued by it.
    Authority,
    /// It proves a server, and was issued by another.
    Server,
    /// Its time is over.
    Expired { at: UnixTime },
    /// Its time has not come.
    Early { at: UnixTime },
}

fn role(certificate: &CertificateDer<'_>) -> CertificateUse {
    // A version 1 certificate says nothing of itself; as an authority it is taken at its word.
    let Ok(read) = EndEntityCert::try_from(certificate) else { return CertificateUse::Authority };
    match verdict(&read) {
        Some(webpki::Error::CertExpired { not_after, .. }) => CertificateUse::Expired { at: not_after },
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => CertificateUse::Early { at: not_before },
        Some(webpki::Error::CaUsedAsEndEntity) => CertificateUse::Authority,
        // A server that issued its own certificate is its own authority.
        _ if read.issuer() == read.subject() => CertificateUse::Authority,
        _ => CertificateUse::Server,
    }
}

/// Errors of a certificate alone: its validity, its use as an authority, and its use for clients, in this order.
fn verdict(certificate: &EndEntityCert<'_>) -> Option<webpki::Error> {
    certificate.verify_for_usage(&[], &[], &[], UnixTime::now(), KeyUsage::client_auth(), None, None).err()
}

fn check_leaf(leaf: &CertificateDer<'_>) -> Result<(), KubeconfigError> {
    let read = EndEntityCert::try_from(leaf).map_err(|error| match error {
        webpki::Error::UnsupportedCertVersion => fault(
            CERTIFICATE,
            "contains an X.509 certificate of version 1, which is not supported; issue one of version 3 (with extensions)",
        ),
        _ => fault(CERTIFICATE, "contains no readable X.509 certificate; issue it again"),
    })?;
    match verdict(&read) {
        Some(webpki::Error::CertExpired { not_after, .. }) => {
            Err(fault(CERTIFICATE, &format!("expired at {}; issue a new certificate", time(not_after))))
        }
        Some(webpki::Error::CertNotValidYet { not_before, .. }) => Err(fault(
            CERTIFICATE,
            &format!("is not valid before {}; check it and the operator's clock", time(not_before)),
        )),
        Some(webpki::Error::RequiredEkuNotFoundContext(_)) => Err(fault(
            CERTIFICATE,
            "is not for clients: its extended key usage lacks clientAuth; issue a client certificate",
        )),
        _ => Ok(()),
    }
}

fn check_pair(chain: &[CertificateDer<'static>], key: &PrivateKeyDer<'_>) -> Result<(), KubeconfigError> {
    let signer = any_supported_type(key).map_err(|_| {
        fault(KEY, "is damaged or of an unsupported type; use RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519")
    })?;
    let fits = |certificate: &CertificateDer<'static>| {
        let pair = CertifiedKey::new(vec![certificate.clone()], std::sync::Arc::clone(&signer));
        !matches!(pair.keys_match(), Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)))
    };
    match chain.iter().position(fits) {
        Some(0) => Ok(()),
        Some(_) => Err(fault(
            CERTIFICATE,
            "does not begin with the certificate of client-key-data; put that one first, then those of its issuers",
        )),
        None => Err(fault(KEY, "does not belong to client-certificate-data; use the key of that certificate")),
    }
}

fn certificates(field: &'static str, data: &str) -> Result<Vec<CertificateDer<'static>>, KubeconfigError> {
    let bytes = decoded(field, data)?;
    let of_kind = |(kind, der)| (kind == SectionKind::Certificate).then(|| CertificateDer::from(der));
    let certificates: Vec<_> = sections(field, &bytes)?.into_iter().filter_map(of_kind).collect();
    if certificates.is_empty() { Err(nothing(field, "CERTIFICATE", &bytes)) } else { Ok(certificates) }
}

fn private_key(data: &str) -> Result<(&'static str, PrivateKeyDer<'static>), KubeconfigError> {
    let bytes = decoded(KEY, data)?;
    if contains(&bytes, b"ENCRYPTED") {
        return Err(fault(KEY, "is encrypted; remove its passphrase (openssl pkey)"));
    }
    let key = sections(KEY, &bytes)?.into_iter().find_map(|(kind, der)| match kind {
        SectionKind::PrivateKey => Some(("PRIVATE KEY", PrivateKeyDer::Pkcs8(der.into()))),
        SectionKind::RsaPrivateKey => Some(("RSA PRIVATE KEY", PrivateKeyDer::Pkcs1(der.into()))),
        SectionKind::EcPrivateKey => Some(("EC PRIVATE KEY", PrivateKeyDer::Sec1(der.into()))),
        _ => None,
    });
    key.ok_or_else(|| nothing(KEY, "PRIVATE KEY", &bytes))
}

/// The bytes behind base64, in which line breaks and spaces do not count.
fn decoded(field: &str, data: &str) -> Result<Vec<u8>, KubeconfigError> {
    let compact: Vec<u8> = data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(&compact).map_err(|_| {
        if data.contains("-----BEGIN") {
            fault(field, "contains plain PEM; encode it with base64 (base64 -w0)")
        } else {
            fault(field, "is not valid base64; encode the PEM file with base64 (base64 -w0)")
        }
    })
}

fn sections(field: &str, bytes: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, KubeconfigError> {
    // The reader's own errors quote what they could not read.
    let damaged = |_| fault(field, "contains unreadable PEM; copy all of it, with its BEGIN and END lines");
    let mut reader = Cursor::new(bytes);
    let mut sections = Vec::new();
    while let Some(section) = pem::from_buf(&mut reader).map_err(damaged)? {
        sections.push(section);
    }
    Ok(sections)
}

/// Describes the content that is not PEM with a section of this name.
fn nothing(field: &str, label: &str, bytes: &[u8]) -> KubeconfigError {
    // All of DER that is meant here begins with a long sequence.
    if bytes.starts_with(&[0x30, 0x82]) || bytes.starts_with(&[0x30, 0x81]) {
        return fault(field, "contains DER; convert it to PEM (openssl with -inform der)");
    }
    let compact: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if BASE64.decode(&compact).is_ok_and(|inner| contains(&inner, b"-----BEGIN")) {
        return fault(field, "is base64 of base64; encode the PEM file once");
    }
    fault(field, &format!("contains no PEM section {label}; use the base64 form of such a file"))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn pem_of<'a>(sections: impl Iterator<Item = (&'static str, &'a [u8])>) -> String {
    let section = |(label, der): (&str, &[u8])| {
        let encoded = BASE64.encode(der);
        let starts = (0..encoded.len()).step_by(PEM_LINE);
        let lines: Vec<&str> = starts.filter_map(|at| encoded.get(at..encoded.len().min(at + PEM_LINE))).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    };
    sections.map(section).collect()
}

fn time(at: UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "a time after the year 9999".to_owned(), |time| time.to_string())
}
