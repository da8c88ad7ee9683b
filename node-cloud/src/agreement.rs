//! `catalyst agreement`: a draft of the document that two organisations both hold.

use std::path::PathBuf;

use catalyst_config::{Limits, agreement, files};
use catalyst_identity::TrustBundle;
use catalyst_names::OrgId;
use catalyst_node::{NodeError, say};
use clap::Subcommand;
use serde_json::{Value, json};

/// `agreement ...`
#[derive(Subcommand)]
pub enum AgreementCommand {
    /// Print an agreement with another organisation, for both sides to keep
    #[command(after_help = "Example:\n  catalyst agreement new --with globex.example > agreement.json\n  \
                      # read it, send it to them; both sides give the same file to 'peer add'")]
    New {
        /// The other organisation
        #[arg(long)]
        with: OrgId,
        /// The own organisation [default: the one of the configuration]
        #[arg(long)]
        org: Option<OrgId>,
        /// What we are to them: peer, customer or provider
        #[arg(long, default_value = "peer")]
        role: String,
        /// How many services each side may announce
        #[arg(long, default_value_t = 100)]
        max_services: u32,
        /// A trust bundle whose roots to pin, of either side; may stand twice
        #[arg(long, value_name = "FILE")]
        bundle: Vec<PathBuf>,
    },
    /// Check an agreement, and print the digest that both sides confirm
    Check {
        /// The document
        file: PathBuf,
    },
}

/// Carries out the command; `own` is asked only when no organisation is given.
pub fn execute(
    command: &AgreementCommand,
    own: impl FnOnce() -> Result<OrgId, NodeError>,
    json: bool,
) -> Result<(), NodeError> {
    match command {
        AgreementCommand::New { with, org, role, max_services, bundle } => {
            let own = match org {
                Some(org) => org.clone(),
                None => own()?,
            };
            let text = draft(&own, with, role, *max_services, bundle)?;
            say!("{text}");
            Ok(())
        }
        AgreementCommand::Check { file } => {
            let text = files::read_text(file, Limits::AGREEMENT_FILE)
                .map_err(|e| NodeError::Failed(format!("{}: {e}", file.display())))?;
            let agreement = agreement::parse(&text, &file.display().to_string(), None)?;
            let digest: String = agreement.digest().iter().map(|b| format!("{b:02x}")).collect();
            if json {
                say!("{}", json!({ "ok": true, "digest": digest }));
            } else {
                say!("{}: good; digest {digest}", file.display());
            }
            Ok(())
        }
    }
}

/// Bytes of attributes for which a draft has room, for each service: a path and some tags.
const BYTES_OF_A_SERVICE: u32 = 256;

fn draft(own: &OrgId, with: &OrgId, role: &str, max: u32, bundles: &[PathBuf]) -> Result<String, NodeError> {
    let theirs = match role {
        "peer" => "peer",
        "customer" => "provider",
        "provider" => "customer",
        other => {
            return Err(NodeError::Usage(format!("'{other}' is no role: use peer, customer or provider")));
        }
    };
    let mut parties = [(own, role, Vec::new()), (with, theirs, Vec::new())];
    for path in bundles {
        let failed = |e: &dyn std::fmt::Display| NodeError::Failed(format!("{}: {e}", path.display()));
        let bundle = files::read_text(path, catalyst_identity::Limits::PEM)
            .map_err(|e| failed(&e))
            .and_then(|text| TrustBundle::from_pem(&text).map_err(|e| failed(&e)))?;
        let Some(party) = parties.iter_mut().find(|(org, ..)| *org == bundle.org()) else {
            return Err(failed(&format!("it belongs to '{}', which is no party", bundle.org())));
        };
        party.2 = bundle.fingerprints().map(|f| f.to_string()).collect();
    }
    // Room for that many, or the bytes would be reached long before.
    let bytes = max.saturating_mul(BYTES_OF_A_SERVICE).max(65_536);
    let party = |(org, role, pins): &(&OrgId, &str, Vec<String>)| -> Value {
        let mut party = json!({ "org": org.as_str(), "role": role, "max_services": max, "max_bytes": bytes });
        if !pins.is_empty() {
            party["bundle"] = json!(pins);
        }
        party
    };
    let document = json!({ "version": 1, "parties": parties.iter().map(party).collect::<Vec<_>>() });
    let text = serde_json::to_string_pretty(&document)
        .map_err(|e| NodeError::Failed(format!("cannot write the agreement: {e}")))?;
    agreement::parse(&text, "the draft", Some((own, with)))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_has_room_for_as_many_services_as_it_names() {
        let [own, with] = ["acme.example", "globex.example"].map(|org| OrgId::parse(org).unwrap());
        for (services, bytes) in [(10, 65_536), (100_000, 25_600_000), (u32::MAX, u32::MAX)] {
            let text = draft(&own, &with, "peer", services, &[]).unwrap();
            let drafted = agreement::parse(&text, "the draft", Some((&own, &with))).unwrap();
            let party = drafted.party(own.as_str()).unwrap();
            assert_eq!((party.max_services, party.max_bytes), (services, bytes));
        }
    }
}
