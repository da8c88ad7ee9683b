//! Asking Envoy how it is: GET over its admin socket, an answer of bounded size within bounded time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use catalyst_http1::{Body, Framing, Response, head_length};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::EnvoyError;
use crate::limits::Limits;

/// One Envoy's admin interface. Each question is a connection of its own.
#[derive(Clone, Debug)]
pub struct Admin {
    socket: PathBuf,
    patience: Duration,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// All of the body.
    pub body: Vec<u8>,
}

/// Counters and gauges by name. Text and histograms are left out.
pub type Stats = BTreeMap<String, u64>;

/// `/server_info`, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServerInfo {
    /// `9e55.../1.40.0/Clean/RELEASE/BoringSSL`; [`crate::Version::parse`] reads it.
    pub version: String,
    /// `LIVE`, `DRAINING`, `PRE_INITIALIZING`, or `INITIALIZING`: the first clusters and listeners are not there yet.
    pub state: String,
}

/// A certificate that Envoy has loaded, with the bundles it is checked against: `/certs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Certificate {
    /// The bundle's certificates.
    pub ca_cert: Vec<CertificateDetails>,
    /// The chain that Envoy shows.
    pub cert_chain: Vec<CertificateDetails>,
}

#[derive(Deserialize)]
struct Certificates {
    #[serde(default)]
    certificates: Vec<Certificate>,
}

/// What `/certs` says of one certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct CertificateDetails {
    /// The file, or how it came.
    pub path: String,
    /// In hexadecimal.
    pub serial_number: String,
    /// Each as `uri`, `dns` or `ip_address`, and its value.
    pub subject_alt_names: Vec<BTreeMap<String, String>>,
    /// RFC 3339.
    pub valid_from: String,
    /// RFC 3339.
    pub expiration_time: String,
}

impl Admin {
    /// Of the Envoy that answers on this socket. Asks nothing yet.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Admin { socket: socket.into(), patience: Limits::ADMIN_PATIENCE }
    }

    /// Whether it takes traffic: it has its first configuration, and does not drain.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ready(&self) -> Result<bool, EnvoyError> {
        Ok(self.get("/ready").await?.status == 200)
    }

    /// Its version and state.
    ///
    /// # Errors
    /// It does not answer, or not as Envoy does.
    pub async fn server_info(&self) -> Result<ServerInfo, EnvoyError> {
        self.json("/server_info").await
    }

    /// The counters and gauges whose names match this regular expression (RE2), unused ones too.
    ///
    /// # Errors
    /// It does not answer, the expression is wrong, or the answer is too long: filter more.
    pub async fn stats(&self, filter: &str) -> Result<Stats, EnvoyError> {
        let path = format!("/stats?filter={}", encoded(filter));
        let body = self.good("GET", &path).await?;
        Ok(parse_stats(&String::from_utf8_lossy(&body)))
    }

    /// The certificates in use.
    ///
    /// # Errors
    /// It does not answer, or not as Envoy does.
    pub async fn certs(&self) -> Result<Vec<Certificate>, EnvoyError> {
        Ok(self.json::<Certificates>("/certs").await?.certificates)
    }

    /// Opens its log files anew: for who has renamed them.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn reopen_logs(&self) -> Result<(), EnvoyError> {
        self.good("POST", "/reopen_logs").await.map(drop)
    }

    /// Anything else, by its path.
    ///
    /// # Errors
    /// It does not answer in time, the answer is too long or is none of HTTP.
    pub async fn get(&self, path: &str) -> Result<Answer, EnvoyError> {
        self.asked("GET", path).await
    }

    async fn asked(&self, method: &str, path: &str) -> Result<Answer, EnvoyError> {
        let asked = tokio::time::timeout(self.patience, self.ask(method, path)).await;
        let late = || format!("no answer within {} s", self.patience.as_secs());
        asked.unwrap_or_else(|_| Err(late())).map_err(|why| EnvoyError::Admin { path: path.to_owned(), why })
    }

    async fn good(&self, method: &str, path: &str) -> Result<Vec<u8>, EnvoyError> {
        let answer = self.asked(method, path).await?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        let said: String = String::from_utf8_lossy(&answer.body).chars().take(Limits::REASON).collect();
        let why = format!("status {}: {}", answer.status, crate::line::printable(said.trim()));
        Err(EnvoyError::Admin { path: path.to_owned(), why })
    }

    async fn json<T: for<'de> Deserialize<'de>>(&self, path: &str) -> Result<T, EnvoyError> {
        let body = self.good("GET", path).await?;
        serde_json::from_slice(&body)
            .map_err(|error| EnvoyError::Admin { path: path.to_owned(), why: error.to_string() })
    }

    async fn ask(&self, method: &str, path: &str) -> Result<Answer, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut stream = UnixStream::connect(&self.socket).await.map_err(told)?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(told)?;
        let most = u64::try_from(Limits::ADMIN_ANSWER).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        // One more than the bound, to see that it is passed.
        stream.take(most.saturating_add(1)).read_to_end(&mut bytes).await.map_err(told)?;
        if bytes.len() > Limits::ADMIN_ANSWER {
            return Err(format!("the answer has more than {} bytes", Limits::ADMIN_ANSWER));
        }
        parse_answer(&bytes)
    }
}

/// An answer after which the connection was closed.
fn parse_answer(bytes: &[u8]) -> Result<Answer, String> {
    let length = head_length(bytes).map_err(|error| error.to_string())?.ok_or("the answer broke off")?;
    let (head, rest) = bytes.split_at_checked(length).ok_or("the answer broke off")?;
    let response = Response::parse(head, false).map_err(|error| error.to_string())?;
    let mut body = Body::new(response.framing);
    let taken = body.take(rest).map_err(|error| error.to_string())?;
    if !body.may_close() {
        return Err("the answer broke off".to_owned());
    }
    let rest = rest.get(..taken).unwrap_or_default();
    let body = if response.framing == Framing::Chunked { unchunk(rest) } else { rest.to_vec() };
    Ok(Answer { status: response.status, body })
}

/// The data of chunks that [`Body`] found in order.
fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(rest.len());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        let digits: String =
            line.iter().take_while(|b| b.is_ascii_hexdigit()).map(|b| char::from(*b)).collect();
        let size = usize::from_str_radix(&digits, 16).unwrap_or(0);
        let Some((chunk, after)) = after.split_at_checked(size).filter(|_| size > 0) else { break };
        data.extend_from_slice(chunk);
        // CR LF.
        rest = after.get(2..).unwrap_or_default();
    }
    data
}

fn parse_stats(text: &str) -> Stats {
    let number = |line: &str| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(number).collect()
}

/// Percent-encoded, for a query (RFC 3986 section 2.1).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// Asks a server that answers the first request with these bytes.
    fn asked(bytes: Vec<u8>, close: bool) -> Result<Answer, EnvoyError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        block_on(async {
            let listener = UnixListener::bind(&path).unwrap();
            let admin = Admin { socket: path.clone(), patience: Duration::from_millis(300) };
            let server = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 200];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&bytes).await;
                if !close {
                    std::future::pending::<()>().await;
                }
            };
            let asking = admin.get("/x");
            tokio::pin!(server, asking);
            tokio::select! {
                answer = &mut asking => answer,
                () = &mut server => asking.await,
            }
        })
    }

    #[test]
    fn chunks_are_joined() {
        let bytes =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nLI\r\n\r\n3;a=b\r\nVE\n\r\n0\r\n\r\n";
        let answer = asked(bytes.to_vec(), true).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"LI\r\nVE\n".as_slice()));
    }

    #[test]
    fn bad_answers_are_refused() {
        let refused = |bytes: &[u8]| asked(bytes.to_vec(), true).unwrap_err().to_string();
        assert!(refused(b"").contains("broke off"));
        assert!(refused(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort").contains("broke off"));
        assert!(refused(b"SSH-2.0-x\r\n\r\n").contains("/x"));
        let cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nLIVE\r\n";
        assert!(refused(cut).contains("broke off"));
    }

    #[test]
    fn too_long_and_too_late_are_refused() {
        let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        let long = [head.clone(), vec![b'x'; Limits::ADMIN_ANSWER]].concat();
        assert!(asked(long, true).unwrap_err().to_string().contains("more than"));
        assert!(asked(head, false).unwrap_err().to_string().contains("no answer within"));
        let nobody = block_on(Admin::new("/nowhere/a.sock").ready()).unwrap_err().to_string();
        assert!(nobody.contains("/ready") && nobody.contains("No such file"), "{nobody}");
    }

    #[test]
    fn statistics_are_numbers_by_name() {
        let text = "cluster.xds.a: 3\nserver.v: \"text\"\nh: P0(nan,1) P25(nan,1)\nx: No recorded values\n\
                    cluster.[::1]: 80.up: 1\n";
        let stats = parse_stats(text);
        assert_eq!(stats.get("cluster.xds.a"), Some(&3));
        assert_eq!(stats.get("cluster.[::1]: 80.up"), Some(&1));
        assert_eq!(stats.len(), 2);
    }

    #[test]
    fn certificates_are_read_as_envoy_writes_them() {
        let text = r#"{"certificates":[{"ca_cert":[],"cert_chain":[{"path":"c.pem","serial_number":"58497d97",
            "subject_alt_names":[{"dns":"x"},{"uri":"spiffe://acme.example/node/a"}],"days_until_expiration":"2",
            "valid_from":"2026-11-21T12:36:00Z","expiration_time":"2026-11-24T12:36:00Z"}]}]}"#;
        let all: Certificates = serde_json::from_str(text).unwrap();
        let certificate = &all.certificates[0].cert_chain[0];
        assert_eq!(certificate.subject_alt_names[1]["uri"], "spiffe://acme.example/node/a");
        assert_eq!(certificate.expiration_time, "2026-11-24T12:36:00Z");
        assert!(all.certificates[0].ca_cert.is_empty());
    }

    #[test]
    fn a_filter_stays_one_parameter() {
        assert_eq!(encoded(r"^a\.b&c d$"), "%5Ea%5C.b%26c%20d%24");
    }
}
