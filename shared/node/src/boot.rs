//! From a configuration to everything a node needs before its first packet. Nothing is started here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use catalyst_config::{Config, EnvoyMode, LinkProfile as Profile, PeerTransport, agreement, files};
use catalyst_control::{Event, Flap, PeerConfig, Settings};
use catalyst_identity::{
    Credentials, Date, IdentityError, Limits as Pem, NodeKey, PeerVerifier, TrustBundle, TrustStore, Validity,
};
use catalyst_names::{NodeName, OrgId, ServiceLabel, ServiceName};
use catalyst_store::{Opened, RedbStore, Store, StoreError, Table};
use catalyst_transport::{DialTarget, LinkProfile, Via};
use ring::rand::{SecureRandom, SystemRandom};

use crate::authority::Authority;
use crate::clock::Clocks;
use crate::error::NodeError;
use crate::exposes::Exposes;
use crate::last_seen;
use crate::memory;
use crate::overlay::Overlay;
use crate::peers::{PeerSpec, Peers};
use crate::revocations::Revocations;
use crate::rules::Rules;
use crate::write::Write;

/// Where the node's own numbers are kept.
const NODE: Table = Table::new("node");

/// The hold time that a node offers on each kind of link, in milliseconds. A little above the silence that the
/// transport allows, so that the transport, which knows more, is the first to speak.
fn hold_ms(profile: Profile) -> u32 {
    match profile {
        Profile::Lan => 800,
        Profile::Wan => 2_500,
        Profile::Cellular => 25_000,
        Profile::Satellite => 50_000,
    }
}

/// How long a neighbour is asked to keep this node's routes when the session is lost, in milliseconds: time for a restart and
/// for some tries to connect.
fn restart_ms(profile: Profile) -> u32 {
    match profile {
        Profile::Lan => 10_000,
        Profile::Wan => 30_000,
        Profile::Cellular => 120_000,
        Profile::Satellite => 300_000,
    }
}

pub(crate) fn link_profile(profile: Profile) -> LinkProfile {
    match profile {
        Profile::Lan => LinkProfile::LAN,
        Profile::Wan => LinkProfile::WAN,
        Profile::Cellular => LinkProfile::CELLULAR,
        Profile::Satellite => LinkProfile::SATELLITE,
    }
}

/// A node that is ready to run: files read, identity checked, state open.
pub struct Prepared {
    /// The configuration.
    pub config: Config,
    /// `edge` or `cloud`, for `status`.
    pub build: &'static str,
    /// The clocks.
    pub clocks: Clocks,
    /// Chain and key.
    pub credentials: Credentials,
    /// The judge of peers.
    pub verifier: PeerVerifier,
    /// What the core is told about itself.
    pub settings: Settings,
    /// Peers, rules and services, as the first events.
    pub events: Vec<Event>,
    /// Whom to dial.
    pub dials: Vec<DialTarget>,
    /// State on disk.
    pub store: Arc<dyn Store>,
    /// Services that were changed at run time.
    pub overlay: Overlay,
    /// Local ports that were changed at run time.
    pub exposes: Exposes,
    /// Export and import rules that were changed at run time.
    pub rules: Rules,
    /// The organisation's root, if this node issues certificates.
    pub authority: Option<Authority>,
    /// The newest list of revoked nodes.
    pub revocations: Revocations,
    /// Neighbours that were changed at run time.
    pub peers: Peers,
    /// The trust bundles that it holds.
    pub trust: TrustStore,
    /// What to tell the user about the store.
    pub store_notice: Option<String>,
    /// What of the node's own numbers is not on the disk.
    pub(crate) owing: Owing,
    /// Spreads the waits of diallers.
    pub seed: u64,
}

fn read(path: &Path, key: &'static str) -> Result<String, NodeError> {
    files::read_text(path, Pem::PEM).map_err(|source| NodeError::File { path: path.to_owned(), key, source })
}

/// Where a renewed certificate is kept: beside the rest of what the node writes. The file of the configuration stays
/// what it was, for a node that can write to its configuration could be made to run anything at its next start.
pub(crate) fn renewed(config: &Config) -> PathBuf {
    config.state_dir.join("renewed.crt")
}

/// The node's key with its certificate: that of the configuration, or one that was renewed after it.
fn credentials(config: &Config) -> Result<Credentials, NodeError> {
    let key_path = &config.identity.key;
    // A missing file is told as such before its mode is looked at.
    let key_text = zeroize::Zeroizing::new(read(key_path, "identity.key")?);
    files::check_private_file(key_path).map_err(|e| NodeError::PrivateFile(e.to_string()))?;
    let identity = |path: &Path| {
        let path = path.to_owned();
        move |source| NodeError::Identity { path, source }
    };
    let key = NodeKey::from_pem(&key_text).map_err(identity(key_path))?;
    let path = &config.identity.certificate;
    let chain = read(path, "identity.certificate")?;
    let credentials = Credentials::from_pem(&chain, &key).map_err(identity(path))?;
    let wanted = NodeName::new(&config.node, &config.org);
    if *credentials.name() != wanted {
        let (found, wanted) = (credentials.name().to_string(), wanted.to_string());
        return Err(NodeError::WrongName { path: path.clone(), found, wanted });
    }
    // One for another key is from before the node was enrolled anew; a damaged one will be replaced.
    let renewed = files::read_text(renewed(config), Pem::PEM).ok();
    let renewed = renewed.and_then(|chain| Credentials::from_pem(&chain, &key).ok());
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let better =
        |r: &Credentials| *r.name() == wanted && is_better(r.validity(), credentials.validity(), wall);
    Ok(renewed.filter(better).unwrap_or(credentials))
}

/// Whether the renewed certificate is to be used: the one that is good now, and of two that are alike in this the younger.
/// (A clock that shows 1970 finds neither good.)
fn is_better(renewed: Validity, configured: Validity, wall: u64) -> bool {
    let good = |v: Validity| v.not_before <= wall && wall < v.not_after;
    match (good(renewed), good(configured)) {
        (true, false) => true,
        (false, true) => false,
        _ => renewed.not_before > configured.not_before,
    }
}

fn bundle(path: &Path, key: &'static str, org: &OrgId) -> Result<TrustBundle, NodeError> {
    let text = read(path, key)?;
    let bundle = TrustBundle::from_pem(&text)
        .map_err(|source| NodeError::Identity { path: path.to_owned(), source })?;
    if bundle.org() != org {
        return Err(NodeError::Input(format!(
            "{}: the trust bundle belongs to '{}' but '{key}' wants the one of '{org}'",
            path.display(),
            bundle.org()
        )));
    }
    Ok(bundle)
}

/// What neighbours of the node's own organisation, which hold the same bundle, will say to its certificate: said here,
/// for they can only refuse it, and tell their own logs why.
fn check_own(credentials: &Credentials, verifier: &PeerVerifier, config: &Config) -> Result<(), NodeError> {
    let Some((leaf, rest)) = credentials.chain().split_first() else { return Ok(()) };
    let Err(error) = verifier.verify_server(leaf, rest) else { return Ok(()) };
    let path = config.identity.certificate.display();
    Err(NodeError::Input(match error {
        IdentityError::WrongSignature { .. } => format!(
            "{path}: this certificate was not signed by any root in {}: neighbours will refuse it; \
             take both from the organisation's one root",
            config.identity.bundle.display()
        ),
        IdentityError::Expired { not_after, now, .. } => format!(
            "{path}: this certificate expired at {not_after}, and the clock says {now}: neighbours will refuse it; \
             sign the node's request again ('catalyst org sign'), put the new certificate here, and start the node again"
        ),
        error => format!("{path}: neighbours will refuse this certificate: {error}"),
    }))
}

/// The rules of the configuration, as the core takes them.
pub(crate) fn policy(config: &Config) -> Event {
    Event::PolicyChanged { exports: config.exports.clone(), imports: config.imports.clone() }
}

/// What neighbours are to tell of: what the configuration names, and the services that have local ports.
pub(crate) fn interest<'a>(config: &Config, exposed: impl Iterator<Item = &'a ServiceName>) -> Event {
    let list = config.interest.clone().map(|mut list| {
        list.extend(exposed.map(ToString::to_string));
        list.sort_unstable();
        list.dedup();
        list
    });
    Event::InterestChanged(list)
}

/// Trust bundles and agreements of all peers.
fn peers(config: &Config, trust: &TrustStore) -> Result<(Vec<Event>, Vec<DialTarget>), NodeError> {
    let insert =
        |bundle: TrustBundle| trust.insert(bundle).map(drop).map_err(|e| NodeError::Input(e.to_string()));
    insert(bundle(&config.identity.bundle, "identity.bundle", &config.org)?)?;
    let mut events = Vec::new();
    let mut dials = Vec::new();
    for peer in &config.peers {
        let agreement = match &peer.foreign {
            None => None,
            Some(foreign) => {
                let theirs = bundle(&foreign.bundle, "peers.bundle", &peer.org)?;
                let agreement = agreement::load(&foreign.agreement, &config.org, &peer.org)?;
                check_pins(&agreement, &theirs, &peer.org, &foreign.bundle)?;
                insert(theirs)?;
                Some(agreement)
            }
        };
        let (event, dial) = neighbour(peer, agreement);
        events.push(event);
        dials.push(dial);
    }
    Ok((events, dials))
}

/// What the core and the transport are told of a neighbour.
pub(crate) fn neighbour(
    peer: &catalyst_config::Peer,
    agreement: Option<catalyst_policy::Agreement>,
) -> (Event, DialTarget) {
    let name = NodeName::new(&peer.node, &peer.org);
    let event = Event::PeerConfigured(Box::new(PeerConfig {
        name: name.clone(),
        agreement,
        hold_ms: hold_ms(peer.profile),
        restart_ms: peer.restart_s.map_or(restart_ms(peer.profile), |s| s.saturating_mul(1000)),
    }));
    let address = peer.address.as_ref().map(ToString::to_string);
    let via = match peer.transport {
        PeerTransport::Auto => Via::Auto,
        PeerTransport::Quic => Via::Quic,
        PeerTransport::Tcp => Via::Tcp,
    };
    (event, DialTarget { name, address, profile: Some(link_profile(peer.profile)), via })
}

/// The trust bundle and the agreement of a neighbour that is added at run time, checked as those of the file are.
pub(crate) fn foreign(
    spec: &PeerSpec,
    own: &OrgId,
) -> Result<Option<(TrustBundle, catalyst_policy::Agreement)>, String> {
    let (Some(pem), Some(text)) = (&spec.bundle, &spec.agreement) else { return Ok(None) };
    let theirs = TrustBundle::from_pem(pem).map_err(|e| format!("the trust bundle: {e}"))?;
    if *theirs.org() != spec.org {
        return Err(format!("the trust bundle belongs to '{}', the peer to '{}'", theirs.org(), spec.org));
    }
    let agreement =
        agreement::parse(text, "the agreement", Some((own, &spec.org))).map_err(|e| e.to_string())?;
    check_pins(&agreement, &theirs, &spec.org, Path::new("the trust bundle")).map_err(|e| e.to_string())?;
    Ok(Some((theirs, agreement)))
}

/// The agreement may pin the roots of the other side; then the bundle at hand must hold no others.
fn check_pins(
    agreement: &catalyst_policy::Agreement,
    bundle: &TrustBundle,
    org: &OrgId,
    path: &Path,
) -> Result<(), NodeError> {
    let Some(party) = agreement.party(org.as_str()).filter(|p| !p.bundle.is_empty()) else { return Ok(()) };
    for root in bundle.fingerprints() {
        if !party.bundle.iter().any(|pin| pin.0 == root.0) {
            return Err(NodeError::Input(format!(
                "{}: the root {root} is not among the fingerprints that the agreement names for '{org}'; \
                 ask them which is right, and renew the bundle or the agreement",
                path.display()
            )));
        }
    }
    Ok(())
}

/// A number or secret of the node that the disk does not take: the node uses it, and owes it to the disk.
#[derive(Debug, Default)]
pub(crate) struct Owing(Option<(Write, String)>);

impl Owing {
    fn add(&mut self, key: &str, row: &[u8], why: &StoreError) {
        let write = Write::one(NODE, key, Some(row.to_vec())).spare();
        let before = self.0.take().map(|(before, _)| before);
        let all = before.into_iter().fold(write, |later, before| before.then(later));
        self.0 = Some((all, why.to_string()));
    }

    /// The change, and why it was not written; `None` if all was.
    pub(crate) fn into_inner(self) -> Option<(Write, String)> {
        self.0
    }
}

/// Random bytes, made once and kept.
fn secret(store: &dyn Store, key: &str, owing: &mut Owing) -> Result<[u8; 32], NodeError> {
    if let Some(bytes) = store.get(NODE, key.as_bytes())?
        && let Ok(secret) = <[u8; 32]>::try_from(bytes.as_slice())
    {
        return Ok(secret);
    }
    let mut secret = [0u8; 32];
    random(&mut secret)?;
    match store.put(NODE, key.as_bytes(), &secret) {
        Ok(()) => {}
        Err(why @ StoreError::Io { .. }) => owing.add(key, &secret, &why),
        Err(other) => return Err(other.into()),
    }
    Ok(secret)
}

/// The number of this run: larger than that of every run before, and hardly that of another process which began with a
/// copy of this state (`peering::CloneWatch` tells the two apart by it).
fn incarnation(store: &dyn Store, now: catalyst_control::Now, owing: &mut Owing) -> Result<u64, NodeError> {
    const SPREAD: u64 = 1 << 20;
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    let spread = u64::from_le_bytes(bytes) % SPREAD;
    let at_least = if now.wall_trusted {
        now.wall.saturating_mul(SPREAD).saturating_add(spread)
    } else {
        raise(store, 0, spread, owing)?.saturating_add(spread)
    };
    raise(store, at_least, spread, owing)
}

/// As [`Store::bump`] of the incarnation, also where the disk does not take it (ADR 0024): then the next run begins from
/// the same row, and only `spread` keeps their numbers apart.
fn raise(store: &dyn Store, at_least: u64, spread: u64, owing: &mut Owing) -> Result<u64, NodeError> {
    const KEY: &str = "incarnation";
    let why = match store.bump(NODE, KEY.as_bytes(), at_least) {
        Err(why @ StoreError::Io { .. }) => why,
        other => return Ok(other?),
    };
    let kept = store.get(NODE, KEY.as_bytes())?.and_then(|row| <[u8; 8]>::try_from(row.as_slice()).ok());
    let kept = kept.map_or(0, u64::from_be_bytes);
    let next = kept.saturating_add(1).saturating_add(spread).max(at_least);
    owing.add(KEY, &next.to_be_bytes(), &why);
    Ok(next)
}

fn random(out: &mut [u8]) -> Result<(), NodeError> {
    SystemRandom::new()
        .fill(out)
        .map_err(|_| NodeError::Failed("the system gave no random bytes; is /dev/urandom there?".to_string()))
}

fn open_store(config: &Config) -> Result<(RedbStore, Option<String>), NodeError> {
    let (store, opened) = RedbStore::open(config.state_dir.join("state.redb"))?;
    let notice = match opened {
        Opened::Existing | Opened::Created => None,
        Opened::Repaired => Some(
            "a part of the state was damaged, and it is as it was before the last changes of run time: see whether \
             'service ls', 'peer ls' and 'expose ls' show what they should"
                .to_string(),
        ),
        Opened::Rebuilt { moved_to, why } => Some(format!(
            "the state was unusable ({why}); it was moved to {} and a new one was begun: services added at run time \
             must be added again",
            moved_to.display()
        )),
    };
    Ok((store, notice))
}

/// The folder of the state is one, or can be made.
fn check_state_dir(config: &Config) -> Result<(), NodeError> {
    // The file above which no folder can be, if there is one.
    let there = config.state_dir.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    match there {
        Some((path, meta)) if !meta.is_dir() => Err(NodeError::Input(format!(
            "{}: {} is no folder; 'state_dir' in the configuration must name one, or one that can be made",
            config.state_dir.display(),
            if path == config.state_dir { "this".to_string() } else { path.display().to_string() },
        ))),
        _ => Ok(()),
    }
}

impl Prepared {
    /// Reads and checks everything that the configuration names, then opens the state.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file and how to mend it.
    pub fn new(
        mut config: Config,
        build: &'static str,
        limits: catalyst_control::Limits,
    ) -> Result<Self, NodeError> {
        check_state_dir(&config)?;
        let credentials = credentials(&config)?;
        // What the file says must be good before anything of the state is looked at.
        peers(&config, &TrustStore::new(memory::trust(&config.limits)))?;
        let trust = TrustStore::new(memory::trust(&config.limits));
        let (store, store_notice) = open_store(&config)?;
        let clocks = Clocks::new(0);
        let authority = Authority::load(&config, &store)?;
        let verifier = PeerVerifier::new(trust.clone(), Arc::new(clocks.clone()));
        let verifier = if authority.is_some() { verifier.with_strangers() } else { verifier };
        let revocations = Revocations::load(&store, &config.org)?;
        let told =
            revocations.list().filter(|_| authority.is_none()).map(|(name, except)| (name.clone(), except));
        for (name, except) in authority.iter().flat_map(Authority::revoked).chain(told) {
            trust.revoke(&name, except).map_err(|e| NodeError::Input(e.to_string()))?;
        }
        let run_time = Peers::load(&store, &mut config)?;
        let (mut events, dials) = peers(&config, &trust)?;
        // No reason not to start: the clock may be wrong, and the neighbours are the judges.
        if let Err(error) = check_own(&credentials, &verifier, &config) {
            tracing::warn!("{error}");
        }
        clocks.raise(last_seen::floor(&store, credentials.validity())?);
        if clocks.behind() {
            tracing::warn!(
                now = %Date(clocks.floor()),
                "the clock shows a time that has passed: it is taken to be this late at least"
            );
        }
        let now = clocks.now();
        let mut owing = Owing::default();
        let incarnation = incarnation(&store, now, &mut owing)?;
        let border_secret = secret(&store, "border-secret", &mut owing)?;
        let overlay = Overlay::load(&store)?;
        let rules = Rules::load(&store, &mut config)?;
        let exposes = Exposes::load(&store, &mut config)?;
        events.push(policy(&config));
        if config.interest.is_some() {
            events.push(interest(&config, config.expose.iter().map(|port| &port.service)));
        }
        if !revocations.frame().is_empty() {
            events.push(Event::TrustChanged { frame: revocations.frame().to_vec() });
        }
        let mut seed = [0u8; 8];
        random(&mut seed)?;
        let settings = Settings {
            name: NodeName::new(&config.node, &config.org),
            incarnation,
            border_secret,
            limits: memory::control_limits(&config.limits, limits),
            mesh_address: mesh_address(&config),
            stale_max_ms: u64::from(config.stale_max_s) * 1000,
            flap: Flap {
                changes: config.flap.changes,
                window_ms: u64::from(config.flap.window_s) * 1000,
                rest_ms: u64::from(config.flap.rest_s) * 1000,
            },
        };
        Ok(Prepared {
            config,
            build,
            clocks,
            credentials,
            verifier,
            settings,
            events,
            dials,
            store: Arc::new(store),
            overlay,
            exposes,
            rules,
            authority,
            revocations,
            peers: run_time,
            trust,
            store_notice,
            owing,
            seed: u64::from_le_bytes(seed),
        })
    }

    /// The TCP ports that the node will listen on; 0 when it takes free ones. `None` when the peering port is a free one:
    /// the TCP port takes after the UDP port.
    #[must_use]
    pub fn tcp_ports(&self) -> Option<Vec<u16>> {
        let mut all = crate::ports::wanted(&self.config.expose, self.config.http, &*self.store);
        all.extend(self.config.metrics.map(|address| address.port()));
        all.extend(self.config.expose_ports.iter());
        all.extend(self.config.listen.map(|address| address.port()));
        self.config.listen.is_none_or(|address| address.port() != 0).then_some(all)
    }

    /// Checks the files that a configuration names, without touching the state: for `config check`.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn check(config: &Config) -> Result<(), NodeError> {
        check_state_dir(config)?;
        let credentials = credentials(config)?;
        let trust = TrustStore::new(memory::trust(&config.limits));
        peers(config, &trust)?;
        let clocks = Clocks::new(last_seen::made(credentials.validity()));
        let verifier = PeerVerifier::new(trust, Arc::new(clocks));
        check_own(&credentials, &verifier, config)
    }
}

/// What neighbours are told of the mesh port; nothing where there is none.
fn mesh_address(config: &Config) -> String {
    let envoy = config.envoy.as_ref().filter(|envoy| envoy.mode != EnvoyMode::Off);
    envoy.and_then(|envoy| envoy.address.as_ref()).map(ToString::to_string).unwrap_or_default()
}

/// Labels of the configuration's own services.
pub(crate) fn in_file(config: &Config, label: &ServiceLabel) -> bool {
    config.services.iter().any(|s| s.name == *label)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
