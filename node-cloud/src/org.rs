//! `catalyst org`: the root of an organisation and the certificates of its nodes, as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use catalyst_config::files;
use catalyst_identity::OrgRoot;
use catalyst_names::OrgId;
use catalyst_node::cli::{Common, Program, org_bundle};
use catalyst_node::{NodeError, say};
use clap::Subcommand;

const DAY: u64 = 86_400;

/// `org ...`
#[derive(Subcommand)]
pub enum OrgCommand {
    /// Make the root of an organisation: a private key and a trust bundle
    #[command(after_help = "Example:\n  catalyst org init acme.example --dir ~/acme-root\n  \
                            # keep ORG.root.key offline; give ORG.bundle.pem to every node and to partners")]
    Init {
        /// The organisation: a trust domain shaped like DNS
        org: String,
        /// The folder for ORG.root.key and ORG.bundle.pem
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Print the trust bundle of the organisation, for partners
    #[command(after_help = "Example:\n  catalyst org bundle --out acme.example.bundle.pem")]
    Bundle {
        /// Where to write it [default: print it]
        #[arg(short, long)]
        out: Option<PathBuf>,
    },
    /// Sign the request of a node
    #[command(after_help = "Example:\n  catalyst org sign edge-1.csr --dir ~/acme-root\n  \
                            # give edge-1.crt back to the node, with ORG.bundle.pem")]
    Sign {
        /// The request that 'node csr' made
        csr: PathBuf,
        /// The folder that 'org init' wrote to
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// The organisation, when the folder holds several roots
        #[arg(long)]
        org: Option<String>,
        /// Where to write the certificate [default: beside the request, as NODE.crt]
        #[arg(long)]
        out: Option<PathBuf>,
        /// For how many days, at least 1; the end of the root is the latest end
        #[arg(long, default_value_t = catalyst_identity::DEFAULT_LEAF_SECS / DAY, value_parser = clap::value_parser!(u64).range(1..))]
        days: u64,
    },
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn at<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> NodeError {
    let path = path.display().to_string();
    move |error| NodeError::Failed(format!("{path}: {error}"))
}

/// Carries out the command.
pub fn execute(command: &OrgCommand, program: &Program, common: &Common) -> Result<(), NodeError> {
    let json = common.json;
    match command {
        OrgCommand::Bundle { out } => org_bundle(program, common, out.as_deref()),
        OrgCommand::Init { org, dir } => init(org, dir, json),
        OrgCommand::Sign { csr, dir, org, out, days } => {
            sign(csr, dir, org.as_deref(), out.as_deref(), *days, json)
        }
    }
}

fn init(org: &str, dir: &Path, json: bool) -> Result<(), NodeError> {
    let org = OrgId::parse(org).map_err(|e| NodeError::Usage(format!("'{org}': {e}")))?;
    fs::create_dir_all(dir).map_err(at(dir))?;
    let (key_path, bundle_path) =
        (dir.join(format!("{org}.root.key")), dir.join(format!("{org}.bundle.pem")));
    if let Some(path) = [&key_path, &bundle_path].into_iter().find(|p| p.exists()) {
        return Err(NodeError::Failed(format!(
            "{} exists already; a second root would make the certificates of the first worthless. \
             Use another folder, or move the old root away",
            path.display()
        )));
    }
    let root = OrgRoot::generate(&org, now()).map_err(at(&key_path))?;
    let key = root.key_pem();
    files::write_private_file(&key_path, key.expose().as_bytes()).map_err(at(&key_path))?;
    files::write_public_file(&bundle_path, root.certificate_pem().as_bytes()).map_err(at(&bundle_path))?;
    let fingerprint = root.bundle().map_err(at(&bundle_path))?.fingerprint().to_string();
    if json {
        let body = serde_json::json!({ "key": key_path, "bundle": bundle_path, "fingerprint": fingerprint });
        say!("{body}");
    } else {
        say!("root key  {} (mode 0600; keep it offline)", key_path.display());
        say!("bundle    {} (for every node and for partners)", bundle_path.display());
        say!("          {fingerprint}");
        say!(
            "next: catalyst node csr --org {org} --node NAME on each node, then catalyst org sign NAME.csr --dir {}",
            dir.display()
        );
    }
    Ok(())
}

/// The organisation whose root lies in a folder, when there is only one.
fn only_root(dir: &Path) -> Result<String, NodeError> {
    let mut found: Vec<String> = fs::read_dir(dir)
        .map_err(at(dir))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".root.key").map(str::to_owned))
        .collect();
    match (found.pop(), found.is_empty()) {
        (Some(org), true) => Ok(org),
        (Some(_), false) => Err(NodeError::Usage(format!(
            "{} holds the roots of several organisations; name one with --org",
            dir.display()
        ))),
        (None, _) => Err(NodeError::Usage(format!(
            "{} holds no root (ORG.root.key); name the folder of 'catalyst org init' with --dir",
            dir.display()
        ))),
    }
}

fn sign(
    csr: &Path,
    dir: &Path,
    org: Option<&str>,
    out: Option<&Path>,
    days: u64,
    json: bool,
) -> Result<(), NodeError> {
    let org = org.map_or_else(|| only_root(dir), |o| Ok(o.to_owned()))?;
    let (key_path, bundle_path) =
        (dir.join(format!("{org}.root.key")), dir.join(format!("{org}.bundle.pem")));
    let read = |path: &Path| files::read_text(path, catalyst_identity::Limits::PEM).map_err(at(path));
    let key = read(&key_path)?;
    files::check_private_file(&key_path).map_err(|e| NodeError::PrivateFile(e.to_string()))?;
    let root = OrgRoot::from_pem(&read(&bundle_path)?, &key).map_err(at(&key_path))?;
    let seconds = days.saturating_mul(DAY);
    let issued = now();
    let certificate = root.sign_csr(&read(csr)?, None, issued, seconds).map_err(at(csr))?;
    let out = out.map_or_else(|| csr.with_extension("crt"), Path::to_path_buf);
    files::write_public_file(&out, certificate.as_bytes()).map_err(at(&out))?;
    let until = catalyst_identity::not_after(&certificate).map_err(at(&out))?;
    if json {
        let body = serde_json::json!({ "certificate": out, "bundle": bundle_path, "not_after": until });
        say!("{body}");
    } else {
        // The root's own end may come first.
        say!("certificate  {} (for {} days)", out.display(), until.saturating_sub(issued) / DAY);
        say!("next: put it and {} beside the node's key", bundle_path.display());
    }
    Ok(())
}
