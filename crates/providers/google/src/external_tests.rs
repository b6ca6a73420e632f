use serde_json::json;

use super::*;

const AUDIENCE: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";
const ACCOUNT: &str = "vertex@acme.iam.gserviceaccount.com";

/// A file as gcloud writes it.
pub fn file(token: &Path) -> Value {
    json!({
        "universe_domain": "googleapis.com",
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "token_info_url": "https://sts.googleapis.com/v1/introspect",
        "credential_source": {"file": token, "format": {"type": "text"}},
    })
}

fn fault(file: &Value) -> CredentialFileFault {
    ExternalAccount::parse(&file.to_string()).unwrap_err()
}

fn with(member: &str, value: Value) -> Value {
    let mut file = file(Path::new("/token"));
    let (last, parents) = member.rsplit_once('.').map_or((member, None), |(parents, last)| (last, Some(parents)));
    let parent =
        parents.into_iter().flat_map(|parents| parents.split('.')).fold(&mut file, |value, part| &mut value[part]);
    parent[last] = value;
    file
}

fn impersonation(host: &str) -> String {
    format!("{host}/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")
}

#[test]
fn a_file_of_gcloud_names_the_pool_the_token_and_an_account() {
    let parsed = ExternalAccount::parse(&file(Path::new("/token")).to_string()).unwrap();
    assert_eq!((parsed.audience(), parsed.sts.to_string().as_str()), (AUDIENCE, "https://sts.googleapis.com"));
    assert_eq!(parsed.impersonated, None);
    let mut acting =
        with("service_account_impersonation_url", json!(impersonation("https://iamcredentials.googleapis.com")));
    let impersonated = |file: &Value| ExternalAccount::parse(&file.to_string()).unwrap().impersonated.unwrap();
    let account = impersonated(&acting);
    assert_eq!((account.email.as_str(), account.seconds), (ACCOUNT, 3600));
    assert_eq!(account.iam.to_string(), "https://iamcredentials.googleapis.com");
    acting["service_account_impersonation"] = json!({"token_lifetime_seconds": 1800});
    assert_eq!(impersonated(&acting).seconds, 1800);
    acting["service_account_impersonation"] = json!({"token_lifetime_seconds": 599});
    let life = "service_account_impersonation.token_lifetime_seconds";
    assert_eq!(fault(&acting), CredentialFileFault::Malformed(life));
}

#[test]
fn sources_that_run_commands_or_fetch_addresses_are_refused_by_name() {
    for (member, value) in [
        ("credential_source.executable", json!({"command": "/bin/sh"})),
        ("credential_source.url", json!("http://169.254.169.254/token")),
        ("credential_source.environment_id", json!("aws1")),
        ("credential_source.certificate", json!({"use_default_certificate_config": true})),
        ("client_secret", json!("word")),
        ("workforce_pool_user_project", json!("acme")),
    ] {
        let fault = fault(&with(member, value));
        assert_eq!(fault, CredentialFileFault::Unsupported(member));
        assert!(fault.to_string().contains(member), "{fault}");
    }
    assert_eq!(fault(&with("type", json!("service_account"))), CredentialFileFault::OtherType);
    assert_eq!(ExternalAccount::parse("no JSON"), Err(CredentialFileFault::OtherType));
}

#[test]
fn members_that_are_missing_or_malformed_are_named() {
    for (member, value) in [
        ("audience", json!("")),
        ("subject_token_type", Value::Null),
        ("token_url", json!("https://sts.googleapis.com/v1/other")),
        ("credential_source.file", json!(7)),
        ("credential_source.format.type", json!("xml")),
    ] {
        assert_eq!(fault(&with(member, value)), CredentialFileFault::Malformed(member));
    }
    let named = "credential_source.format.subject_token_field_name";
    assert_eq!(
        fault(&with("credential_source.format", json!({"type": "json"}))),
        CredentialFileFault::Malformed(named)
    );
    for url in [
        "https://iamcredentials.googleapis.com",
        &impersonation("https://iamcredentials.googleapis.com").replace('@', "/"),
    ] {
        let malformed = CredentialFileFault::Malformed("service_account_impersonation_url");
        assert_eq!(fault(&with("service_account_impersonation_url", json!(url))), malformed, "{url}");
    }
}

#[test]
fn a_token_is_sent_to_no_address_but_googles() {
    let at = |host: &str| ExternalAccount::parse(&with("token_url", json!(format!("{host}/v1/token"))).to_string());
    for host in [
        "https://sts.googleapis.com",
        "https://STS.googleapis.com",
        "https://sts.mtls.googleapis.com",
        "https://sts.europe-west4.rep.googleapis.com",
        "https://sts-psc.p.googleapis.com",
        "http://127.0.0.1:8080",
    ] {
        assert!(at(host).is_ok(), "{host}");
    }
    for host in [
        "http://sts.googleapis.com",
        "https://sts.googleapis.com.example",
        "https://example/sts.googleapis.com",
        "https://stsxgoogleapis.com",
        "https://storage.googleapis.com",
        "https://sts.a.b.googleapis.com",
        "https://sts-.p.googleapis.com",
        "https://sts.googleapis.com:8443",
        "https://sts.googleapis.com/elsewhere",
        "https://user@sts.googleapis.com",
        "https://127.0.0.1:8080",
        "http://127.0.0.1.example:80",
        "http://127.0.0.1:80@example",
        "http://10.0.0.1:80",
    ] {
        assert_eq!(at(host), Err(CredentialFileFault::OtherAddress("token_url", "sts")), "{host}");
    }
    let url = json!(impersonation("https://iamcredentials.example"));
    let other = CredentialFileFault::OtherAddress("service_account_impersonation_url", "iamcredentials");
    assert_eq!(fault(&with("service_account_impersonation_url", url)), other);
}

#[test]
fn the_token_is_read_anew_each_time_as_text_or_as_a_member() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let text = ExternalAccount::parse(&file(&path).to_string()).unwrap();
    let error = text.subject_token().unwrap_err();
    assert!(
        error.class == ErrorClass::Unauthorized && error.message.contains("cannot read the pod's token in"),
        "{error}"
    );
    for token in ["first", "second\n"] {
        std::fs::write(&path, token).unwrap();
        assert_eq!(text.subject_token().unwrap().expose(), token.trim());
    }
    std::fs::write(&path, "\n").unwrap();
    assert!(text.subject_token().unwrap_err().message.ends_with("has no token"));

    let mut file = file(&path);
    file["credential_source"]["format"] = json!({"type": "json", "subject_token_field_name": "id_token"});
    let member = ExternalAccount::parse(&file.to_string()).unwrap();
    std::fs::write(&path, r#"{"id_token": "third"}"#).unwrap();
    assert_eq!(member.subject_token().unwrap().expose(), "third");
    std::fs::write(&path, r#"{"access_token": "canary"}"#).unwrap();
    let error = member.subject_token().unwrap_err();
    assert!(error.message.contains("under \"id_token\"") && !error.message.contains("canary"), "{error}");
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    let missing = ExternalAccount::of_file(&path).unwrap_err();
    assert_eq!(missing.class, ErrorClass::Unauthorized);
    std::fs::write(&path, with("credential_source.url", json!("http://a.example")).to_string()).unwrap();
    let refused = ExternalAccount::of_file(&path).unwrap_err();
    for (error, part) in [(missing, "No such file"), (refused, "credential_source.url is not supported")] {
        for part in [VARIABLE, "credentials.json", part] {
            assert!(error.message.contains(part), "{part}: {error}");
        }
    }
}
