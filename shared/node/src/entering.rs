//! The way of a flow of the tunnel into the program that carries flows.

use std::io;
use std::path::Path;

use catalyst_names::{NodeName, ServiceName, SpiffeId};
use catalyst_transport::LocalStream;
use futures_lite::io::AsyncWriteExt;

use crate::adopt::timeout;
use crate::limits::Limits;
use crate::mesh::proxy_header;
use crate::shell::Shell;

/// A connection to the program that says whose flow it is and where to.
pub(crate) async fn enter<Sh: Shell>(
    shell: &Sh,
    entry: &Path,
    caller: &NodeName,
    service: &ServiceName,
) -> io::Result<Box<dyn LocalStream>> {
    let caller = SpiffeId::node(&caller.org_id(), &caller.node_id()).to_string();
    let entering = async {
        let mut socket = shell.connect_unix(entry).await?;
        socket.write_all(&proxy_header(&caller, service.as_str())).await?;
        Ok(socket)
    };
    timeout(shell, Limits::CONNECT, entering).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
}
