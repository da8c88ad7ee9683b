//! An Envoy, a publisher with its server, a service that answers with its name, and a client.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use catalyst_xds::{Changes, Limits, Publisher, Resource, Status, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const NODE: &str = "a.acme.example";
/// For one thing to happen on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The server of one run of the node.
pub struct Node {
    pub publisher: Publisher,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Node {
    /// Starts to listen; the snapshot is not open yet.
    pub fn start(dir: &Path) -> Node {
        let publisher = Publisher::new(NODE, Limits::CLOUD);
        let path = dir.join("xds.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = serve(listener, publisher.clone(), async move {
            let _ = stopped.await;
        });
        let task = tokio::spawn(async move { served.await.unwrap() });
        Node { publisher, stop: Some(stop), task }
    }

    pub async fn stop(mut self) {
        let _ = self.stop.take().unwrap().send(());
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("the server ends").unwrap();
    }

    pub fn set(&self, set: impl IntoIterator<Item = Resource>) {
        self.apply(Changes { set: set.into_iter().collect(), ..Changes::default() });
    }

    pub fn apply(&self, changes: Changes) {
        self.publisher.apply(changes).unwrap();
    }

    /// Waits until Envoy has all; says how long it took.
    pub async fn settled(&self) -> Duration {
        self.settled_in(PATIENCE).await
    }

    pub async fn settled_in(&self, patience: Duration) -> Duration {
        let start = Instant::now();
        let settled = tokio::time::timeout(patience, self.publisher.settled()).await;
        assert!(settled.is_ok(), "not settled after {patience:?}: {:#?}", self.publisher.status());
        start.elapsed()
    }

    pub async fn until(&self, what: &str, ready: impl Fn(&Status) -> bool) -> Status {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.publisher.status();
            if ready(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{what}: not after {PATIENCE:?}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A real Envoy. Killed when dropped.
pub struct Envoy {
    child: Child,
    dir: PathBuf,
}

impl Envoy {
    pub fn start(dir: &Path, node: &str) -> Envoy {
        let program = std::env::var_os("CATALYST_ENVOY").expect(
            "CATALYST_ENVOY names no Envoy: run `cargo xtask envoy fetch` and set it to what that prints",
        );
        let admin = dir.join("admin.sock");
        let _ = std::fs::remove_file(&admin);
        let bootstrap = BOOTSTRAP
            .replace("NODE", node)
            .replace("ADMIN", admin.to_str().unwrap())
            .replace("XDS", dir.join("xds.sock").to_str().unwrap());
        let config = dir.join("bootstrap.json");
        std::fs::write(&config, bootstrap).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("envoy.log")).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "info"])
            .args(["--drain-time-s", "0", "--drain-strategy", "immediate", "--reject-unknown-dynamic-fields"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Envoy { child, dir: dir.to_owned() }
    }

    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What the admin interface says.
    pub async fn admin(&self, path: &str) -> String {
        get(&self.dir.join("admin.sock"), "admin", path).await.map_or_else(|e| e, |(_, body)| body)
    }

    /// One figure of `/stats`.
    pub async fn stat(&self, name: &str) -> u64 {
        let text = self.admin(&format!("/stats?filter=^{name}$")).await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name} in {text:?}"))
    }
}

const BOOTSTRAP: &str = r#"{
  "node": { "id": "NODE", "cluster": "acme.example" },
  "admin": { "address": { "pipe": { "path": "ADMIN" } } },
  "dynamic_resources": {
    "ads_config": { "api_type": "DELTA_GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": true,
      "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds", "retry_policy": { "retry_back_off": {
        "base_interval": "0.05s", "max_interval": "0.2s" } } } }] },
    "lds_config": { "resource_api_version": "V3", "ads": {}, "initial_fetch_timeout": "0s" },
    "cds_config": { "resource_api_version": "V3", "ads": {}, "initial_fetch_timeout": "0s" }
  },
  "static_resources": { "clusters": [{
    "name": "xds", "type": "STATIC", "connect_timeout": "1s",
    "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      "explicit_http_config": { "http2_protocol_options": {} } } },
    "load_assignment": { "cluster_name": "xds", "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
      "pipe": { "path": "XDS" } } } }] }] }
  }] },
  "bootstrap_extensions": [{ "name": "envoy.bootstrap.internal_listener", "typed_config": {
    "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener" } }]
}"#;

/// An HTTP service that answers every request with `name`.
pub async fn service(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                let mut buffer = [0; 2048];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    seen.extend_from_slice(&buffer[..n]);
                    if !seen.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    seen.clear();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    at
}

/// A TCP service that sends back what it gets.
pub async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    at
}

/// One request on a connection of its own: status and body.
pub async fn get(socket: &Path, host: &str, path: &str) -> Result<(u16, String), String> {
    let exchange = async {
        let mut stream = UnixStream::connect(socket).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| "no answer".to_owned())?;
    let answer = answer.map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status")?;
    Ok((status, body.to_owned()))
}

/// Asks until the answer is as wanted.
pub async fn until_answer(socket: &Path, host: &str, wanted: Result<(u16, &str), ()>) {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = get(socket, host, "/").await;
        let same = match (&answer, &wanted) {
            (Ok((code, body)), Ok((status, text))) => code == status && body.contains(text),
            (Err(_), Err(())) => true,
            _ => false,
        };
        if same {
            return;
        }
        assert!(Instant::now() < end, "{host}: {answer:?} instead of {wanted:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
