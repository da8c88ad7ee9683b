//! `node ...`: keys and requests, invitations, revocation.

use std::path::{Path, PathBuf};

use catalyst_config::files;
use catalyst_identity::NodeKey;
use catalyst_names::{NodeId, OrgId};
use clap::Subcommand;

use super::Common;
use crate::admin::Request;
use crate::error::NodeError;
use crate::output;

/// `node ...`
#[derive(Subcommand, Clone, Debug)]
pub enum NodeCommand {
    /// Make the node's key here, and a request for the organisation to sign
    #[command(after_help = "Example:\n  catalyst-edge node csr --org acme.example --node edge-1\n  \
                      # send edge-1.csr to whoever holds the organisation's root; the key never leaves this folder")]
    Csr {
        /// The organisation
        #[arg(long)]
        org: String,
        /// The name of the node: one DNS label
        #[arg(long)]
        node: String,
        /// The folder for NODE.key and NODE.csr
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Make a one-time token with which a new node joins; at the node that holds the organisation's root
    #[command(after_help = "Examples:\n  catalyst node invite edge-1\n  \
                            catalyst node invite edge-1 --ttl 15m --address cloud.acme.example:7443\n  \
                            TOKEN=$(catalyst node invite edge-1)   # the token alone goes to stdout")]
    Invite {
        /// The name of the new node: one DNS label
        node: NodeId,
        /// How long the token is good: 15m, 1h, 7d; 30 days at most
        #[arg(long, default_value = "1h")]
        ttl: String,
        /// Where the new node finds this one, host:port [default: authority.address, or where this node listens]
        #[arg(long)]
        address: Option<String>,
    },
    /// Let neighbours use other ways, wait until nothing of theirs is under way here, then stop the node
    #[cfg(feature = "mesh")]
    #[command(after_help = "Examples:\n  catalyst node drain\n  catalyst node drain --deadline 5m\n  \
                            catalyst node drain --stay   # the node goes on, as the last choice of its neighbours\n\n\
                            Exit codes: 0 nothing was cut, 6 the deadline was over before the last flow; others as ever")]
    Drain {
        /// How long to wait at most: 30s, 5m, 1h; 24 hours at most
        #[arg(long, default_value = "60s")]
        deadline: String,
        /// Do not stop the node at the end
        #[arg(long)]
        stay: bool,
    },
    /// Take a drain back: neighbours use this node as before
    #[cfg(feature = "mesh")]
    #[command(after_help = "Example:\n  catalyst node undrain")]
    Undrain,
    /// List the nodes that were invited, have joined or are revoked
    Ls,
    /// Cut a node off now and for good: its certificates, sessions and flows
    #[command(after_help = "Examples:\n  catalyst node revoke edge-1\n  \
                            catalyst node invite edge-1   # lets the name come back, with another key\n  \
                            catalyst node revoke lost-1 --force   # one that was signed elsewhere, or of lost books")]
    Revoke {
        /// Its name
        node: NodeId,
        /// Also when this node has never heard of it
        #[arg(long)]
        force: bool,
    },
}

/// The request of a command that asks a node.
///
/// # Errors
/// A time that is none.
pub fn request(command: &NodeCommand) -> Result<Request, NodeError> {
    Ok(match command {
        NodeCommand::Ls | NodeCommand::Csr { .. } => Request::Nodes,
        #[cfg(feature = "mesh")]
        NodeCommand::Drain { deadline, stay } => {
            Request::Drain { deadline_s: drain_deadline(deadline)?, stay: *stay }
        }
        #[cfg(feature = "mesh")]
        NodeCommand::Undrain => Request::Undrain,
        NodeCommand::Revoke { node, force } => Request::Revoke { node: node.clone(), force: *force },
        NodeCommand::Invite { node, ttl, address } => {
            Request::Invite { node: node.clone(), ttl_s: seconds(ttl)?, address: address.clone() }
        }
    })
}

/// How long a drain may take.
#[cfg(feature = "mesh")]
fn drain_deadline(text: &str) -> Result<u64, NodeError> {
    if ["0", "0s", "0m", "0h", "0d"].contains(&text) {
        return Err(NodeError::Usage(
            "a deadline of 0 waits for nothing: give at least 1s, or stop the node at once with SIGTERM"
                .into(),
        ));
    }
    let wrong = |_| NodeError::Usage(format!("'{text}' is no deadline: write 30s, 5m or 1h"));
    let deadline = seconds(text).map_err(wrong)?;
    let most = crate::limits::Limits::DRAIN_MOST.as_secs();
    if deadline > most {
        let why =
            format!("a drain has at most {} hours, not '{text}'; a node may --stay drained", most / 3_600);
        return Err(NodeError::Usage(why));
    }
    Ok(deadline)
}

/// `90s`, `15m`, `1h`, `7d`.
pub(super) fn seconds(text: &str) -> Result<u64, NodeError> {
    let refuse = || NodeError::Usage(format!("'{text}' is no time: write 15m, 1h or 7d"));
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(refuse)?;
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(refuse()),
    };
    number.checked_mul(unit).filter(|n| *n > 0).ok_or_else(refuse)
}

/// Makes a key, if there is none, and a request.
pub(super) fn csr(common: &Common, org: &str, node: &str, dir: &Path) -> Result<(), NodeError> {
    let name = |what: &str, e: &dyn std::fmt::Display| NodeError::Usage(format!("'{what}': {e}"));
    let org = OrgId::parse(org).map_err(|e| name(org, &e))?;
    let node = NodeId::parse(node).map_err(|e| name(node, &e))?;
    let (key_path, csr_path) = (dir.join(format!("{node}.key")), dir.join(format!("{node}.csr")));
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |e: &dyn std::fmt::Display| NodeError::Failed(format!("{path}: {e}"))
    };
    // A key that exists is kept: the request may be made again, and the old certificate goes on to fit.
    let key = if key_path.exists() {
        files::check_private_file(&key_path).map_err(|e| NodeError::PrivateFile(e.to_string()))?;
        let text = files::read_text(&key_path, catalyst_identity::Limits::PEM);
        let text = zeroize::Zeroizing::new(text.map_err(|e| failed(&key_path)(&e))?);
        NodeKey::from_pem(&text).map_err(|e| failed(&key_path)(&e))?
    } else {
        let key = NodeKey::generate().map_err(|e| failed(&key_path)(&e))?;
        let pem = key.to_pem();
        files::write_private_file(&key_path, pem.expose().as_bytes()).map_err(|e| failed(&key_path)(&e))?;
        key
    };
    let request = key.csr(&org, &node).map_err(|e| failed(&csr_path)(&e))?;
    files::write_public_file(&csr_path, request.as_bytes()).map_err(|e| failed(&csr_path)(&e))?;
    if common.json {
        output::document(&serde_json::json!({ "key": key_path, "csr": csr_path }).to_string());
    } else {
        output::line(&format!("key      {} (stays here, mode 0600)", key_path.display()));
        output::line(&format!("request  {}", csr_path.display()));
        output::line(&format!(
            "next: catalyst org sign {} --dir DIR, where DIR holds the root of {org}",
            csr_path.display()
        ));
    }
    Ok(())
}

#[cfg(all(test, feature = "mesh"))]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_a_time_of_a_day_at_most() {
        let of = |text: &str| drain_deadline(text).map_err(|error| error.to_string());
        assert_eq!(
            (of("1s"), of("60s"), of("5m"), of("24h"), of("1d")),
            (Ok(1), Ok(60), Ok(300), Ok(86_400), Ok(86_400))
        );
        for text in ["0", "0s", "0m"] {
            assert!(of(text).unwrap_err().contains("waits for nothing"), "{text}");
        }
        for text in ["", "s", "-1s", "60", "1.5m", "soon", "1w", "99999999999999999999d", "é"] {
            assert!(of(text).unwrap_err().contains("is no deadline"), "{text}");
        }
        assert!(of("25h").unwrap_err().contains("24 hours"));
    }
}
