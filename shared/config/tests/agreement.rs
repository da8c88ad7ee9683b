//! Agreements: what is read, what is refused, and that the digest does not depend on how it is written.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use catalyst_config::agreement::{load, parse};
use catalyst_names::OrgId;
use catalyst_policy::{Relation, Role};

const PLAIN: &str = r#"{ "version": 1, "parties": [
  { "org": "acme.example", "role": "customer", "max_services": 10, "max_bytes": 2000, "bundle": ["sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"], "contact": "ops@acme.example" },
  { "org": "globex.example", "role": "provider" } ] }"#;

#[track_caller]
fn says(text: &str, expected: &str) {
    assert_eq!(parse(text, "a.json", None).unwrap_err().to_string(), format!("error: a.json:{expected}"));
}

fn org(name: &str) -> OrgId {
    OrgId::parse(name).unwrap()
}

#[test]
fn an_agreement_is_read_whole() {
    let agreement = parse(PLAIN, "a.json", None).unwrap();
    let acme = agreement.party("acme.example").unwrap();
    assert_eq!(
        (acme.role, acme.max_services, acme.max_bytes, acme.bundle.len()),
        (Role::Customer, 10, 2_000, 1)
    );
    assert_eq!(acme.contact.as_str(), "ops@acme.example");
    let globex = agreement.party("globex.example").unwrap();
    assert_eq!(
        (globex.role, globex.max_services, globex.max_bytes, globex.bundle.len()),
        (Role::Provider, 100, 65_536, 0)
    );
    assert_eq!(
        agreement.relation("acme.example", "globex.example"),
        Some(Relation::External(Role::Provider))
    );
}

#[test]
fn the_digest_is_that_of_the_content() {
    let turned = r#"{"parties":[{"role":"provider","org":"globex.example","max_bytes":65536,"contact":"","bundle":[],"max_services":100},
        {"contact":"ops@acme.example","bundle":["sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"],
        "max_bytes":2000,"max_services":10,"role":"customer","org":"acme.example"}],"version":1,"$schema":"x"}"#;
    let (a, b) = (parse(PLAIN, "a", None).unwrap(), parse(turned, "b", None).unwrap());
    assert_eq!(a.digest(), b.digest());
    let mut canonical = String::new();
    a.write_canonical(&mut canonical).unwrap();
    assert_eq!(parse(&canonical, "c", None).unwrap().digest(), a.digest(), "the canonical form can be read");
    let other = PLAIN.replace("2000", "2001");
    assert_ne!(parse(&other, "d", None).unwrap().digest(), a.digest());
}

#[test]
fn mistakes_have_a_place_and_a_fix() {
    says(
        "{ \"version\": 1 }",
        "1:1 at /parties: expected the key \"parties\", a list of objects, found none\n  help: write a list of two objects, one for each organisation",
    );
    says(
        &PLAIN.replace("provider", "customer"),
        "3:38 at /parties/1/role: expected a role that fits the first party's, found \"customer\"\n  \
         help: the roles 'customer' and 'customer' do not fit each other; use customer with provider, or peer with peer",
    );
    says(
        &PLAIN.replace("globex", "acme"),
        "3:12 at /parties/1/org: expected another organisation than the first party, found \"acme.example\"\n  \
         help: both parties are the same organisation; an agreement is between two",
    );
    says(
        &PLAIN.replace("provider", "suplier"),
        "3:38 at /parties/1/role: expected one of customer, provider, peer, found \"suplier\"\n  \
         help: write \"role\": \"peer\" for both if neither pays the other",
    );
    says(
        &PLAIN.replace("eeff\"", "eefg\""),
        "2:98 at /parties/0/bundle/0: expected a fingerprint: \"sha256:\" and 64 digits of 0-9 and a-f, found \"sha256:00112233445566778899aabbccddeeff00112233445566778899a...\"\n  \
         help: a bundle fingerprint must be 'sha256:' followed by 64 digits of 0-9 and a-f",
    );
    says(
        &PLAIN.replace("ops@acme.example", "Zoë"),
        "2:185 at /parties/0/contact: expected one line of printable ASCII such as \"ops@acme.example\", found \"Zoë\"\n  \
         help: a contact must be at most 128 printable ASCII characters without quotes and backslashes",
    );
    says(
        "{ \"version\": 1, \"parties\": [{ \"org\": \"a.b\", \"role\": \"peer\" }] }",
        "1:28 at /parties: expected two parties, found 1\n  help: write one object for each organisation",
    );
    says(
        &PLAIN.replace("max_services\": 10", "max_service\": 10"),
        "2:48 at /parties/0/max_service: expected a known key, found \"max_service\"\n  help: did you mean \"max_services\"?",
    );
}

#[test]
fn a_file_must_bind_the_two_that_use_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    std::fs::write(&file, PLAIN).unwrap();
    assert!(load(&file, &org("globex.example"), &org("acme.example")).is_ok());
    let error = load(&file, &org("acme.example"), &org("initech.example")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "error: {}:1:28 at /parties: expected the parties \"acme.example\" and \"initech.example\", found \"acme.example\" and \"globex.example\"\n  \
             help: this is the agreement of others: check the path in \"agreement\" of the peer",
            file.display()
        )
    );
    let gone = folder.path().join("gone.json");
    let error = load(&gone, &org("acme.example"), &org("globex.example")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("error: {}: expected an agreement, found none\n", gone.display())),
        "{error}"
    );
    std::fs::write(&file, " ".repeat(70_000)).unwrap();
    let error = load(&file, &org("acme.example"), &org("globex.example")).unwrap_err();
    assert!(error.to_string().contains("found more than 65536 bytes"), "{error}");
}
