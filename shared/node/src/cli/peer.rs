//! `peer add` and `peer rm`.

use std::path::{Path, PathBuf};

#[cfg(feature = "mesh")]
use catalyst_config::agreement;
use catalyst_config::{Limits, files};
#[cfg(feature = "mesh")]
use catalyst_identity::TrustBundle;
use catalyst_names::{NodeId, NodeName};

use super::{Common, PeerCommand, Program};
use crate::admin::Request;
use crate::error::NodeError;
use crate::peers::PeerSpec;

/// The request of a command.
pub(super) fn request(
    program: &Program,
    common: &Common,
    command: &PeerCommand,
) -> Result<Request, NodeError> {
    Ok(match command {
        PeerCommand::Ls => Request::Peers,
        PeerCommand::Rm { name } => Request::PeerRemove { name: whole(program, common, name)? },
        PeerCommand::Add {
            name,
            address,
            bundle,
            agreement,
            profile,
            transport,
            #[cfg(feature = "mesh")]
            restart,
        } => {
            let name = whole(program, common, name)?;
            let refused = |e: catalyst_names::NameError| NodeError::Usage(format!("'{name}': {e}"));
            Request::PeerAdd {
                peer: PeerSpec {
                    node: NodeId::parse(name.node()).map_err(refused)?,
                    org: name.org_id(),
                    address: address.clone(),
                    profile: profile.clone(),
                    transport: transport.clone(),
                    #[cfg(feature = "mesh")]
                    restart_s: restart.as_deref().map(restart_s).transpose()?,
                    bundle: text(bundle.as_ref(), catalyst_identity::Limits::PEM)?,
                    agreement: text(agreement.as_ref(), Limits::AGREEMENT_FILE)?,
                },
            }
        }
    })
}

/// What a new neighbour of another organisation is trusted by: both sides have to hold the same.
#[cfg(feature = "mesh")]
pub(super) fn to_compare(request: &Request) -> Vec<String> {
    let Request::PeerAdd { peer } = request else { return Vec::new() };
    let bundle = peer.bundle.as_ref().and_then(|pem| TrustBundle::from_pem(pem).ok());
    let agreement = peer.agreement.as_ref().and_then(|text| agreement::parse(text, "", None).ok());
    let (Some(bundle), Some(agreement)) = (bundle, agreement) else { return Vec::new() };
    let digest: String = agreement.digest().iter().map(|byte| format!("{byte:02x}")).collect();
    let fingerprints = bundle.fingerprints().map(|f| format!("  bundle of {}: {f}", peer.org));
    let mut lines: Vec<String> = fingerprints.collect();
    lines.push(format!("  agreement: {digest}"));
    lines.push(format!(
        "compare them with {} by another way, such as a call: 'org bundle --out' and 'agreement check' print them there",
        peer.org
    ));
    lines
}

/// A name with its organisation; one's own where none is given.
fn whole(program: &Program, common: &Common, name: &str) -> Result<NodeName, NodeError> {
    let name =
        if name.contains('.') { name.to_string() } else { format!("{name}.{}", common.load(program)?.org) };
    name.parse().map_err(|e| NodeError::Usage(format!("'{name}' is no name of a node: {e}")))
}

/// How long routes are to be kept.
#[cfg(feature = "mesh")]
fn restart_s(text: &str) -> Result<u32, NodeError> {
    let most = crate::peers::RESTART_S;
    let seconds = if text == "0s" { Ok(0) } else { super::node::seconds(text) };
    let seconds = seconds.ok().and_then(|seconds| u32::try_from(seconds).ok()).filter(|s| *s <= most);
    seconds.ok_or_else(|| {
        let why = format!("--restart '{text}' is no time of {most} s at most: write 0s, 30s or 5m");
        NodeError::Usage(why)
    })
}

fn text(path: Option<&PathBuf>, max: usize) -> Result<Option<String>, NodeError> {
    let read = |path: &Path| {
        files::read_text(path, max).map_err(|e| NodeError::Failed(format!("{}: {e}", path.display())))
    };
    path.map(|p| read(p)).transpose()
}
