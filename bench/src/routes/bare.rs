//! A server of bare QUIC connections in a process of its own: what a session takes of memory before it is one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::org::Org;
use crate::proc;

/// The first argument of the process that is the server.
pub const SERVER: &str = "routes-bare";

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Takes connections and holds them until it is killed.
pub fn server(folder: &Path) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(folder.join("chain"))?.collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("key"))?;
    runtime.block_on(async {
        let endpoint = Endpoint::server(ServerConfig::with_single_cert(chain?, key)?, NOWHERE)?;
        println!("{}", endpoint.local_addr()?);
        let mut held = Vec::new();
        while let Some(incoming) = endpoint.accept().await {
            held.push(incoming.await?);
        }
        Ok(ExitCode::SUCCESS)
    })
}

struct Server {
    child: Child,
    _out: BufReader<ChildStdout>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of memory that so many connections take at the side that accepts them.
pub fn memory(connections: usize) -> Result<f64> {
    let (folder, org) = (tempfile::tempdir()?, Org::new()?);
    let identity = org.identity("middle")?;
    fs::write(folder.path().join("chain"), &identity.chain)?;
    fs::write(folder.path().join("key"), &identity.key)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg(SERVER)
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut out = BufReader::new(child.stdout.take().context("no output")?);
    let mut line = String::new();
    out.read_line(&mut line)?;
    let server = Server { child, _out: out };
    let at: SocketAddr = line.trim().parse().context("the server of bare connections did not start")?;
    let pid = server.child.id();
    let tls = catalyst_identity::client_config(&org.credentials("source")?, &org.verifier()?, &[], false)?;
    let client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let endpoint = Endpoint::client(NOWHERE)?;
        let name = format!("{}", org.name("middle")?);
        // The first one brings what is there once.
        let mut held: Vec<Connection> = vec![endpoint.connect_with(client.clone(), at, &name)?.await?];
        let before = proc::memory(pid)?.resident;
        for _ in 0..connections {
            held.push(endpoint.connect_with(client.clone(), at, &name)?.await?);
        }
        Ok(proc::memory(pid)?.resident - before)
    })
}
