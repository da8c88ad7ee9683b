//! `join`: a node makes its key, asks the authority that its token names, and writes down what it got.

use std::fs;
use std::path::{Path, PathBuf};

use catalyst_config::files;
use catalyst_identity::{Credentials, JoinToken, NodeKey, joining_config, judge_authority};
use catalyst_names::NodeName;
use catalyst_transport::{JOIN_ALPN, enrol};

use crate::clock::Clocks;
use crate::enrolment::{Proof, Question, Reply, VERSION, greeted, hex};
use crate::error::NodeError;
use crate::plain;
use crate::shell::Shell;
use crate::sockets::connect;

/// What the command is given.
pub struct Join<'a> {
    /// The text of the token.
    pub token: &'a str,
    /// The configuration file; key, certificate, bundle and state go beside it.
    pub config: &'a Path,
    /// For processors without AES instructions.
    pub prefer_chacha: bool,
}

/// What was written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Joined {
    /// Who this node is now.
    pub node: String,
    /// Who issued.
    pub authority: String,
    /// The files, in the order in which they were written.
    pub files: Vec<PathBuf>,
    /// Until when the certificate is good, in seconds since 1970.
    pub certificate_until: u64,
    /// A configuration was there already and was left as it is.
    pub config_kept: bool,
}

fn failed(path: &Path) -> impl Fn(&dyn std::fmt::Display) -> NodeError + '_ {
    move |error| NodeError::Failed(format!("{}: {error}", path.display()))
}

/// Joins.
///
/// # Errors
/// What went wrong. The token is used up when the authority has answered with a certificate; with the same key it may be used
/// again until it expires.
pub async fn join<Sh: Shell>(shell: &Sh, this: Join<'_>) -> Result<Joined, NodeError> {
    let token = JoinToken::from_text(this.token).map_err(|e| NodeError::Usage(e.to_string()))?;
    let folder = this.config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = |name: String| folder.join(name);
    let (key_path, chain_path) = (path(format!("{}.key", token.node)), path(format!("{}.crt", token.node)));
    let bundle_path = path(format!("{}.bundle.pem", token.org));
    fs::create_dir_all(folder).map_err(|e| failed(folder)(&e))?;
    let (key, fresh) = key(&key_path)?;
    // Not earlier than the token was made: a board without a clock cannot judge certificates otherwise.
    let clock = Clocks::new(token.issued);
    if token.expires < clock.now().wall {
        return Err(NodeError::Refused(format!(
            "this token expired at {} (the clock here: {}); ask for a new one: 'catalyst node invite {}'",
            catalyst_identity::Date(token.expires),
            catalyst_identity::Date(clock.now().wall),
            token.node
        )));
    }
    let (reply, authority, bundle) = ask(shell, &token, &key, this.prefer_chacha, &clock).await?;
    let (chain, node) = match (reply.chain, reply.node, reply.error) {
        (Some(chain), node, _) => (chain, node.unwrap_or_else(|| authority.clone())),
        (None, _, error) => {
            if fresh {
                // A key that nobody certified is of no use.
                let _ = fs::remove_file(&key_path);
            }
            let why = error.map_or_else(|| "it gave an empty answer".to_string(), |why| plain::line(&why));
            return Err(NodeError::Refused(format!("{} at {}: {why}", authority, token.address)));
        }
    };
    let credentials = Credentials::from_pem(&chain, &key).map_err(|e| failed(&chain_path)(&e))?;
    let wanted = NodeName::new(&token.node, &token.org);
    if *credentials.name() != wanted {
        return Err(NodeError::Failed(format!(
            "{authority} issued a certificate for {}",
            credentials.name()
        )));
    }
    // The certificate last: with it the node is whole.
    let mut written = vec![key_path];
    files::write_public_file(&bundle_path, bundle.as_bytes())
        .map_err(|e| NodeError::Failed(e.to_string()))?;
    files::write_public_file(&chain_path, chain.as_bytes()).map_err(|e| NodeError::Failed(e.to_string()))?;
    written.extend([bundle_path, chain_path]);
    let config_kept = this.config.exists();
    if !config_kept {
        let text = config(&token, &node);
        files::write_public_file(this.config, text.as_bytes())
            .map_err(|e| NodeError::Failed(e.to_string()))?;
        written.push(this.config.to_path_buf());
    }
    Ok(Joined {
        node: wanted.to_string(),
        authority: node.to_string(),
        files: written,
        certificate_until: credentials.validity().not_after,
        config_kept,
    })
}

/// The key at `path`, or a new one; whether it is new.
fn key(path: &Path) -> Result<(NodeKey, bool), NodeError> {
    if path.exists() {
        files::check_private_file(path).map_err(|e| NodeError::PrivateFile(e.to_string()))?;
        let text = files::read_text(path, catalyst_identity::Limits::PEM).map_err(|e| failed(path)(&e))?;
        let text = zeroize::Zeroizing::new(text);
        return Ok((NodeKey::from_pem(&text).map_err(|e| failed(path)(&e))?, false));
    }
    let key = NodeKey::generate().map_err(|e| failed(path)(&e))?;
    files::write_private_file(path, key.to_pem().expose().as_bytes()).map_err(|e| failed(path)(&e))?;
    Ok((key, true))
}

/// The conversation with the authority: its answer, its name, its bundle and its clock.
async fn ask<Sh: Shell>(
    shell: &Sh,
    token: &JoinToken,
    key: &NodeKey,
    prefer_chacha: bool,
    clock: &Clocks,
) -> Result<(Reply, NodeName, String), NodeError> {
    let words = |e: &dyn std::fmt::Display| NodeError::Failed(format!("{}: {e}", token.address));
    let csr = key.csr(&token.org, &token.node).map_err(|e| words(&e))?;
    let tls = joining_config(JOIN_ALPN, prefer_chacha).map_err(|e| words(&e))?;
    let tcp = |to| connect(shell, to);
    let mut stream = enrol(shell.runtime(), &tcp, &shell.resolver(), &token.address, tls)
        .await
        .map_err(|e| NodeError::Failed(e.to_string()))?;
    let greeting = greeted(&mut stream).await.map_err(|e| words(&e))?;
    let judge = std::sync::Arc::new(clock.clone());
    let (authority, bundle) =
        judge_authority(&stream.chain(), &greeting.bundle, &token.org, &token.roots, judge)
            .map_err(|e| words(&e))?;
    let proof = Proof { id: hex(&token.id), secret: hex(token.secret().expose()) };
    let question = Question { v: VERSION, token: Some(proof), csr };
    let question = zeroize::Zeroizing::new(serde_json::to_vec(&question).map_err(|e| words(&e))?);
    stream.write(&question).await.map_err(|e| words(&e))?;
    let reply = stream
        .read()
        .await
        .map_err(|e| words(&format!("{e}; the same token may be tried again from here")))?;
    let reply: Reply = serde_json::from_slice(&reply).map_err(|e| words(&e))?;
    stream.done().await;
    Ok((reply, authority, bundle.to_pem()))
}

/// The configuration of a node that has nothing but a neighbour.
fn config(token: &JoinToken, authority: &NodeName) -> String {
    let document = serde_json::json!({
        "version": 1,
        "org": token.org.as_str(),
        "node": token.node.as_str(),
        "authority": { "address": token.address },
        "peers": [{ "node": authority.node(), "address": token.address }],
        "services": [],
    });
    format!("{}\n", serde_json::to_string_pretty(&document).unwrap_or_default())
}
