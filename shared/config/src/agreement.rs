//! Reading an agreement: the document that two organisations both hold.
//!
//! ```json
//! { "version": 1, "parties": [
//!   { "org": "acme.example", "role": "customer", "max_services": 100, "max_bytes": 65536,
//!     "bundle": ["sha256:..."], "contact": "ops@acme.example" },
//!   { "org": "globex.example", "role": "provider" } ] }
//! ```
//! The order of the parties and of keys, and white space, are free: the digest is taken over the canonical
//! form, which [`catalyst_policy::Agreement`] writes.

use std::path::Path;

use catalyst_names::OrgId;
use catalyst_policy::{Agreement, AgreementError, Fingerprint, Party, Role};

use crate::check::Checker;
use crate::compiled::{Build, Compiled};
use crate::complete::complete;
use crate::error::{ConfigErrors, Report, Wrong};
use crate::keys;
use crate::limits::Limits;
use crate::load::text_of;
use crate::read;
use crate::tree::Tree;

/// Reads the file and checks that it is an agreement between these two.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(path: &Path, own: &OrgId, other: &OrgId) -> Result<Agreement, ConfigErrors> {
    let text = text_of(path, "an agreement", "check the path", Limits::AGREEMENT_FILE)?;
    parse(&text, &path.display().to_string(), Some((own, other)))
}

/// Reads a text; `source` names it in messages, `between` are the two that it must bind.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, source: &str, between: Option<(&OrgId, &OrgId)>) -> Result<Agreement, ConfigErrors> {
    let mut report = Report::new(source, text);
    let unusable =
        || ConfigErrors::unreadable(source, "an agreement", "something else".into(), "check the file");
    let Some(mut tree) = read::file(text, &mut report) else {
        report.finish()?;
        return Err(unusable());
    };
    let (build, compiled) = (Build::Cloud, Compiled::CLOUD);
    Checker { build, compiled: &compiled, report: &mut report, root: keys::AGREEMENT }.document(&tree);
    complete(&mut tree, keys::AGREEMENT, build, &compiled);
    let agreement = if report.is_empty() { join(&tree, between, &mut report) } else { None };
    report.finish()?;
    agreement.ok_or_else(unusable)
}

fn join(tree: &Tree, between: Option<(&OrgId, &OrgId)>, report: &mut Report<'_>) -> Option<Agreement> {
    let list = tree.get("parties")?;
    let [first, second] = list.items() else {
        let wrong = Wrong::new(
            "two parties",
            list.items().len().to_string(),
            "write one object for each organisation",
        );
        report.add(&list.at, Some("/parties".into()), wrong);
        return None;
    };
    let agreement = match Agreement::new(party(first)?, party(second)?) {
        Ok(agreement) => agreement,
        Err(error) => {
            refuse(tree, second, &error, report);
            return None;
        }
    };
    let mut canonical = String::new();
    let written = agreement.write_canonical(&mut canonical);
    if written.is_err() || canonical.len() > catalyst_policy::Limits::AGREEMENT {
        let expected = format!("at most {} bytes in canonical form", catalyst_policy::Limits::AGREEMENT);
        report.add(
            &tree.at,
            Some(String::new()),
            Wrong::new(expected, canonical.len().to_string(), "shorten it"),
        );
        return None;
    }
    if let Some((own, other)) = between
        && agreement.relation(own.as_str(), other.as_str()).is_none()
    {
        let [a, b] = agreement.parties();
        let expected = format!("the parties \"{own}\" and \"{other}\"");
        let found = format!("\"{}\" and \"{}\"", a.org, b.org);
        let help = "this is the agreement of others: check the path in \"agreement\" of the peer";
        report.add(&list.at, Some("/parties".into()), Wrong::new(expected, found, help));
        return None;
    }
    Some(agreement)
}

/// What the constructor refuses, at the key of the second party.
fn refuse(tree: &Tree, second: &Tree, error: &AgreementError, report: &mut Report<'_>) {
    let (name, expected) = match error {
        AgreementError::SameOrg => ("org", "another organisation than the first party"),
        AgreementError::Roles(..) => ("role", "a role that fits the first party's"),
        _ => ("contact", "an agreement"),
    };
    let found = second.get(name).map_or("none".to_owned(), |t| crate::print::found(&t.value));
    let pointer = format!("/parties/1/{name}");
    let at = tree.nearest(&pointer).at.clone();
    report.add(&at, Some(pointer), Wrong::new(expected, found, error.to_string()));
}

fn party(tree: &Tree) -> Option<Party> {
    let text = |name: &str| tree.get(name)?.text();
    let number = |name: &str| u32::try_from(tree.get(name)?.number()?).ok();
    let mut bundle = heapless::Vec::new();
    for fingerprint in tree.get("bundle")?.items() {
        bundle.push(Fingerprint::parse(fingerprint.text()?).ok()?).ok()?;
    }
    let mut contact = heapless::String::new();
    contact.push_str(text("contact")?).ok()?;
    Some(Party {
        org: OrgId::parse(text("org")?).ok()?,
        role: text("role")?.parse::<Role>().ok()?,
        max_services: number("max_services")?,
        max_bytes: number("max_bytes")?,
        bundle,
        contact,
    })
}
