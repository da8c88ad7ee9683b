//! `catalyst init`: an organisation, its first node and a configuration, in one step.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use catalyst_config::{HostPort, files};
use catalyst_identity::{DEFAULT_LEAF_SECS, NodeKey, OrgRoot};
use catalyst_names::{NodeId, OrgId, ServiceName};
use catalyst_node::{NodeError, say};
use clap::Args;
use serde_json::json;

/// The default of `envoy.listen`.
const MESH_PORT: u16 = 8443;
/// Local clients alone.
const INGRESS: &str = "127.0.0.1:8080";

/// `init ...`
#[derive(Args)]
pub struct Init {
    /// The organisation to make: a trust domain shaped like DNS
    #[arg(long)]
    org: OrgId,
    /// The name of this node: one DNS label
    #[arg(long)]
    node: NodeId,
    /// Where other nodes find this one, host:port; it listens on that port
    #[arg(long)]
    address: String,
    /// A local port for a remote service, SERVICE=IP:PORT; may stand several times
    #[arg(long, value_name = "SERVICE=IP:PORT")]
    expose: Vec<String>,
    /// Have Envoy carry the traffic: a mesh port for other nodes (8443), and HTTP services by Host on 127.0.0.1:8080
    #[arg(long)]
    envoy: bool,
    /// The folder for all of it
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

fn at<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> NodeError {
    let path = path.display().to_string();
    move |error| NodeError::Failed(format!("{path}: {error}"))
}

fn exposed(text: &str) -> Result<(ServiceName, SocketAddr), NodeError> {
    let refuse = |why: &dyn std::fmt::Display| {
        NodeError::Usage(format!("--expose {text}: {why}; write orders.globex.example=127.0.0.1:9001"))
    };
    let (service, listen) = text.split_once('=').ok_or_else(|| refuse(&"there is no '='"))?;
    Ok((ServiceName::parse(service).map_err(|e| refuse(&e))?, listen.parse().map_err(|e| refuse(&e))?))
}

impl Init {
    /// Makes everything, or nothing over what is there.
    pub fn run(&self, json: bool) -> Result<(), NodeError> {
        let address = HostPort::parse(&self.address)
            .map_err(|why| NodeError::Usage(format!("--address {}: {why}", self.address)))?;
        let expose = self.expose.iter().map(|text| exposed(text)).collect::<Result<Vec<_>, _>>()?;
        let (org, node, dir) = (&self.org, &self.node, &self.dir);
        let root_dir = dir.join("root");
        let config = dir.join("catalyst.json");
        let files_of_node = ["key", "crt"].map(|end| dir.join(format!("{node}.{end}")));
        let bundle = dir.join(format!("{org}.bundle.pem"));
        let root_files = [format!("{org}.root.key"), format!("{org}.bundle.pem")].map(|f| root_dir.join(f));
        let [key_path, chain_path] = &files_of_node;
        let [root_key, root_bundle] = &root_files;
        let all = [&config, key_path, chain_path, &bundle, root_key, root_bundle];
        if let Some(there) = all.iter().find(|path| path.exists()) {
            return Err(NodeError::Failed(format!(
                "{} exists already: nothing was changed. Use another folder, or remove what is there",
                there.display()
            )));
        }
        fs::create_dir_all(&root_dir).map_err(at(&root_dir))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let root = OrgRoot::generate(org, now).map_err(at(root_key))?;
        let key = NodeKey::generate().map_err(at(key_path))?;
        let csr = key.csr(org, node).map_err(at(key_path))?;
        let chain = root.sign_csr(&csr, Some(node), now, DEFAULT_LEAF_SECS).map_err(at(chain_path))?;
        let private = |path: &Path, text: &str| {
            files::write_private_file(path, text.as_bytes()).map_err(|e| NodeError::Failed(e.to_string()))
        };
        let public = |path: &Path, text: &str| {
            files::write_public_file(path, text.as_bytes()).map_err(|e| NodeError::Failed(e.to_string()))
        };
        private(root_key, root.key_pem().expose())?;
        public(root_bundle, &root.certificate_pem())?;
        private(key_path, key.to_pem().expose())?;
        public(chain_path, &chain)?;
        public(&bundle, &root.certificate_pem())?;
        let expose: Vec<_> = expose
            .iter()
            .map(|(service, listen)| json!({ "service": service.as_str(), "listen": listen.to_string() }))
            .collect();
        let mut document = json!({
            "version": 1,
            "org": org.as_str(),
            "node": node.as_str(),
            "listen": format!("0.0.0.0:{}", address.port),
            "authority": { "root": "root", "address": address.to_string() },
            "peers": [],
            "services": [],
            "expose": expose,
        });
        if self.envoy {
            let mesh = HostPort { port: MESH_PORT, ..address.clone() };
            document["envoy"] = json!({ "mode": "managed", "address": mesh.to_string() });
            document["http"] = json!({ "listen": INGRESS });
        }
        let text = serde_json::to_string_pretty(&document)
            .map_err(|e| NodeError::Failed(format!("cannot write the configuration: {e}")))?;
        public(&config, &format!("{text}\n"))?;
        if json {
            say!("{}", json!({ "config": config, "root": root_dir, "node": format!("{node}.{org}") }));
        } else {
            say!("{}  {node}.{org}, found at {address}", config.display());
            say!(
                "{}  the organisation's root: whoever has it is the organisation; keep a copy offline",
                root_dir.display()
            );
            say!("next: catalyst up -c {}", config.display());
        }
        Ok(())
    }
}
