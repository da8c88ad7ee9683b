//! `org bundle`: the own organisation's trust bundle, from the node, or from its file when it does not run.

use std::path::Path;

use catalyst_config::files;
use catalyst_identity::TrustBundle;

use super::{Common, Program};
use crate::admin::{Answer, Request};
use crate::client::ask;
use crate::error::NodeError;
use crate::output;

/// Prints or writes the bundle.
///
/// # Errors
/// Without a configuration, or without a bundle in it.
pub fn org_bundle(program: &Program, common: &Common, out: Option<&Path>) -> Result<(), NodeError> {
    let answer = match ask(&common.socket(program)?, Request::Bundle) {
        Err(NodeError::NotRunning { .. } | NodeError::NotYours { .. }) => of_file(program, common)?,
        answer => answer?.0,
    };
    let Answer::Bundle { org, pem, fingerprints } = &answer else {
        return Err(NodeError::Failed("the node answered something else than a bundle".to_string()));
    };
    match out {
        Some(path) => {
            files::write_public_file(path, pem.as_bytes()).map_err(|e| NodeError::Failed(e.to_string()))?;
            if common.json {
                let body = serde_json::json!({ "bundle": path, "org": org, "fingerprints": fingerprints });
                output::document(&body.to_string());
            } else {
                output::line(&format!("bundle of {org}  {} (for partners)", path.display()));
                fingerprints.iter().for_each(|f| output::line(&format!("  {f}")));
                output::line("next: send it, and tell them the fingerprint another way");
            }
        }
        None if common.json => output::json(&answer),
        None => output::raw(pem.trim_end()),
    }
    Ok(())
}

fn of_file(program: &Program, common: &Common) -> Result<Answer, NodeError> {
    let path = common.load(program)?.identity.bundle;
    let pem = files::read_text(&path, catalyst_identity::Limits::PEM).map_err(|source| NodeError::File {
        path: path.clone(),
        key: "identity.bundle",
        source,
    })?;
    let bundle =
        TrustBundle::from_pem(&pem).map_err(|source| NodeError::Identity { path: path.clone(), source })?;
    Ok(Answer::Bundle {
        org: bundle.org().to_string(),
        pem: bundle.to_pem(),
        fingerprints: bundle.fingerprints().map(|f| f.to_string()).collect(),
    })
}
