//! Making nodes in a fabric: key, request, certificate and folder, by the real commands.

use std::fs;
use std::path::PathBuf;

use crate::fabric::{Build, Fabric, Org, text};
use crate::node::Node;
use crate::process::{both, output};

impl Fabric {
    /// Makes a node: its key, its signed certificate, an empty configuration. A cloud node listens.
    #[track_caller]
    pub fn node(&self, org: &Org, build: Build, name: &str) -> Node {
        self.node_in(org, build, name, name)
    }

    /// As [`Fabric::node`], in a folder of another name: for two nodes that claim one name.
    ///
    /// # Panics
    /// When the folder is there already.
    #[track_caller]
    pub fn node_in(&self, org: &Org, build: Build, name: &str, folder: &str) -> Node {
        let dir = self.dir().join(format!("{folder}.{}", org.name));
        fs::create_dir(&dir).unwrap();
        let csr = output(
            self.command(build).args(["node", "csr", "--org", &org.name, "--node", name, "--dir"]).arg(&dir),
        );
        assert!(csr.status.success(), "node csr failed: {}", both(&csr));
        self.catalyst(&["org", "sign", text(&dir.join(format!("{name}.csr"))), "--dir", text(&org.root)]);
        fs::copy(org.bundle(), dir.join(format!("{}.bundle.pem", org.name))).unwrap();
        let node = Node::new(self.clone(), org, build, name, dir);
        self.remember_log(format!("{folder}.{}", org.name), node.log().to_owned());
        node
    }

    /// A node whose folder has everything already, its configuration too: one that has joined.
    ///
    /// # Panics
    /// When its configuration is no JSON.
    #[must_use]
    pub fn adopt(&self, org: &Org, build: Build, name: &str, dir: PathBuf) -> Node {
        let text = fs::read_to_string(dir.join("catalyst.json")).unwrap();
        let mut node = Node::new(self.clone(), org, build, name, dir);
        node.config = serde_json::from_str(&text).unwrap();
        node.config["log"] = "debug".into();
        self.remember_log(node.full_name(), node.log().to_owned());
        node
    }

    /// A cloud node.
    #[track_caller]
    pub fn cloud(&self, org: &Org, name: &str) -> Node {
        self.node(org, Build::Cloud, name)
    }

    /// An edge node.
    #[track_caller]
    pub fn edge(&self, org: &Org, name: &str) -> Node {
        self.node(org, Build::Edge, name)
    }
}
