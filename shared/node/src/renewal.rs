//! Renewal of this node's own certificate at half of its life: the same key, a new certificate, from the authority.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalyst_config::files;
use catalyst_identity::{Credentials, NodeKey, PeerVerifier, client_config};
use catalyst_names::{NodeId, OrgId};
use catalyst_transport::{JOIN_ALPN, Resolver, TcpConnect, enrol};

use crate::enrolment::{Question, Reply, VERSION, greeted};
use crate::limits::Limits;

/// When the next try is due, and how the last one went.
#[derive(Debug, Default)]
pub(crate) struct Renewal {
    due: Option<Instant>,
    /// The same by the wall clock: a board that boots in 1970 may learn later how late it is.
    due_wall: Option<u64>,
    /// When the certificate begins: one from a clock that was ahead is of no use once the clock is right.
    begins: u64,
    busy: bool,
    failures: u32,
    pub(crate) last_error: Option<String>,
}

/// All that a try needs.
pub(crate) struct Try {
    pub(crate) address: String,
    pub(crate) key: PathBuf,
    pub(crate) org: OrgId,
    pub(crate) node: NodeId,
    pub(crate) credentials: Credentials,
    pub(crate) verifier: PeerVerifier,
    pub(crate) prefer_chacha: bool,
}

/// What is to be done.
pub(crate) enum Due {
    /// The authority has served itself.
    Own(Box<Result<Credentials, String>>),
    /// The authority is to be asked.
    Ask(Box<Try>),
}

impl Renewal {
    /// Plans the next try for a certificate: at half of its life, or now if that is over. One that was issued just now
    /// (`fresh`) has the half of what is left before it. `spread` is any number of this node: not all boards of a batch
    /// come at once.
    pub(crate) fn plan(&mut self, credentials: &Credentials, now: u64, spread: u64, fresh: bool) {
        let validity = credentials.validity();
        let half = validity.not_after.saturating_sub(now) / 2;
        let wait = if fresh { half.max(1) } else { validity.half_life().saturating_sub(now) };
        let jitter = spread % (half / 8).max(1);
        self.due = Some(Instant::now() + Duration::from_secs(wait + jitter));
        (self.due_wall, self.begins) = (Some(now.saturating_add(wait + jitter)), validity.not_before);
        (self.busy, self.failures, self.last_error) = (false, 0, None);
    }

    /// When something is to be done.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.busy)
    }

    /// Whether to try now; a try is under way from then on. `now` is the wall clock, in seconds since 1970. What makes
    /// its own certificates (`own`) does not follow a clock that jumps ahead: nobody could use what it made.
    pub(crate) fn start(&mut self, now: u64, own: bool) -> bool {
        let Some(due) = self.due() else { return false };
        let jumped = self.due_wall.is_some_and(|due| (!own && due <= now) || now < self.begins);
        self.busy = jumped || due <= Instant::now();
        self.busy
    }

    /// A try has failed: the next one comes later and later.
    pub(crate) fn failed(&mut self, why: String) {
        let wait = Limits::RENEW_RETRY_S.saturating_mul(1 << self.failures.min(9)).min(3_600);
        self.failures = self.failures.saturating_add(1);
        self.due = Some(Instant::now() + Duration::from_secs(wait));
        (self.busy, self.due_wall) = (false, None);
        self.last_error = Some(why);
    }
}

pub(crate) fn key_of(path: &std::path::Path) -> Result<NodeKey, String> {
    let text = files::read_text(path, catalyst_identity::Limits::PEM);
    let text = zeroize::Zeroizing::new(text.map_err(|e| format!("{}: {e}", path.display()))?);
    files::check_private_file(path).map_err(|e| e.to_string())?;
    NodeKey::from_pem(&text).map_err(|e| format!("{}: {e}", path.display()))
}

/// One try.
///
/// # Errors
/// Why there is no new certificate, in words for `status`.
pub(crate) async fn renew(
    runtime: Arc<dyn quinn::Runtime>,
    tcp: TcpConnect<'_>,
    resolver: Resolver,
    this: Try,
) -> Result<Credentials, String> {
    let key = key_of(&this.key)?;
    let csr = key.csr(&this.org, &this.node).map_err(|e| e.to_string())?;
    let tls = client_config(&this.credentials, &this.verifier, JOIN_ALPN, this.prefer_chacha)
        .map_err(|e| e.to_string())?;
    let words = |e: &dyn std::fmt::Display| format!("{}: {e}", this.address);
    let mut stream = enrol(runtime, tcp, &resolver, &this.address, tls).await.map_err(|e| e.to_string())?;
    greeted(&mut stream).await.map_err(|e| words(&e))?;
    // Its own organisation was verified in the handshake; another one has no say.
    if stream.peer().is_none_or(|p| p.org() != this.org.as_str()) {
        return Err(words(&"a node of another organisation answers there"));
    }
    let question = serde_json::to_vec(&Question { v: VERSION, token: None, csr }).map_err(|e| words(&e))?;
    stream.write(&question).await.map_err(|e| words(&e))?;
    let reply = stream.read().await.map_err(|e| words(&e))?;
    stream.done().await;
    let reply: Reply = serde_json::from_slice(&reply).map_err(|e| words(&e))?;
    let chain = match (reply.chain, reply.error) {
        (Some(chain), _) => chain,
        (None, error) => return Err(words(&error.unwrap_or_else(|| "it gave an empty answer".to_string()))),
    };
    let renewed = Credentials::from_pem(&chain, &key).map_err(|e| words(&e))?;
    let (leaf, rest) = renewed.chain().split_first().ok_or("an empty chain")?;
    let name = this.verifier.verify_server(leaf, rest).map_err(|e| words(&e))?;
    if name != *this.credentials.name() {
        return Err(words(&format!("it issued a certificate for {name}")));
    }
    Ok(renewed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned() -> Renewal {
        let due = Some(Instant::now() + Duration::from_secs(3_600));
        Renewal { due, due_wall: Some(5_000), begins: 1_000, ..Renewal::default() }
    }

    #[test]
    fn a_clock_that_is_put_right_may_show_that_a_renewal_is_overdue() {
        assert!(!planned().start(4_999, false));
        let mut late = planned();
        assert!(late.start(5_000, false) && !late.start(5_000, false), "one try at a time");
        // Each further try keeps its distance, whatever the clock says.
        late.failed("nobody there".to_owned());
        assert!(!late.start(9_000, false));
    }

    #[test]
    fn an_authority_does_not_follow_a_clock_that_jumps_ahead_and_mends_what_came_of_one() {
        assert!(!planned().start(1 << 40, true));
        assert!(planned().start(999, true), "its certificate begins in the future");
    }
}
