//! A client with a real certificate and frames of its own: for what no honest node would send.

use std::cell::Cell;
use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_channel::{Receiver, bounded};
use bytes::Bytes;
use catalyst_e2e::{Node, Org};
use catalyst_identity::{
    Clock, Credentials, Limits as TrustLimits, NodeKey, PeerVerifier, TrustBundle, TrustStore,
};
use catalyst_names::NodeName;
use catalyst_transport::{
    DialTarget, DownReason, Event, FlowError, Limits, LinkProfile, Resolving, SessionId, Transport,
    TransportConfig, Via,
};
use catalyst_tunnel::{FlowKind, StreamHeader};
use catalyst_wire::update::{UpdateWriter, write_entry, write_key};
use catalyst_wire::{
    Attrs, Frame, FrameType, HEADER, Keepalive, Limits as WireLimits, Notify, Open, Path, Reader, small,
};

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Wall;

impl Clock for Wall {
    fn validity_unix(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }
}

/// The client. It dials one node, with the key and certificate of another one's folder.
pub struct Rogue {
    own: NodeName,
    victim: NodeName,
    transport: Transport,
    events: Receiver<Event>,
    session: Option<SessionId>,
    /// Bytes that may be sent.
    credit: Cell<i64>,
}

fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let late = async {
        smol::Timer::after(PATIENCE).await;
        None
    };
    let done = smol::block_on(smol::future::or(async { Some(work.await) }, late));
    done.unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for: {what}"))
}

impl Rogue {
    /// Takes the identity of `identity`, which must not run, and dials `victim`, trusting `org` to know it.
    pub fn new(identity: &Node, victim: &Node, org: &Org) -> Rogue {
        Rogue::deaf(identity, victim, victim.address(), org, 256)
    }

    /// The same by another address; while nothing of it is read, so many frames and no more find room.
    pub fn deaf(identity: &Node, victim: &Node, by: SocketAddr, org: &Org, room: usize) -> Rogue {
        let read = |file: String| fs::read_to_string(identity.dir.join(file)).unwrap();
        let key = NodeKey::from_pem(&read(format!("{}.key", identity.name))).unwrap();
        let credentials = Credentials::from_pem(&read(format!("{}.crt", identity.name)), &key).unwrap();
        let trust = TrustStore::new(TrustLimits::default());
        trust.insert(TrustBundle::from_pem(&fs::read_to_string(org.bundle()).unwrap()).unwrap()).unwrap();
        let own = credentials.name().clone();
        let config = TransportConfig {
            bind: "127.0.0.1:0".parse().unwrap(),
            listen: false,
            credentials,
            verifier: PeerVerifier::new(trust, Arc::new(Wall)),
            flows: None,
            prefer_chacha: false,
            tcp: None,
            resolver: Arc::new(|text: String| -> Resolving {
                Box::pin(async move { Ok(vec![text.parse().map_err(|_| std::io::ErrorKind::NotFound)?]) })
            }),
            profile: LinkProfile::WAN,
            limits: Limits::EDGE,
            seed: 1,
        };
        let (send, events) = bounded(room);
        let transport = Transport::start(config, Arc::new(quinn::SmolRuntime), send).unwrap();
        let victim_name: NodeName = victim.full_name().parse().unwrap();
        let address = Some(by.to_string());
        transport.set_peer(DialTarget { name: victim_name.clone(), address, profile: None, via: Via::Quic });
        Rogue { own, victim: victim_name, transport, events, session: None, credit: Cell::new(0) }
    }

    fn next(&self, what: &str) -> Event {
        let event = within(what, self.events.recv()).unwrap();
        if let Event::Writable { bytes, .. } = &event {
            self.credit.set(self.credit.get() + *bytes as i64);
        }
        event
    }

    /// Waits until the control connection is up: both certificates are good.
    pub fn connect(mut self) -> Rogue {
        loop {
            match self.next("a control connection") {
                Event::SessionUp { session, .. } => {
                    self.session = Some(session);
                    return self;
                }
                Event::DialFailed { error, .. } => panic!("the dial failed: {error}"),
                _ => {}
            }
        }
    }

    /// Waits until the first dial has failed, or a connection was cut before any frame. Says why.
    pub fn refused(&self) -> String {
        loop {
            match self.next("a refusal") {
                Event::DialFailed { error, .. } => return error,
                Event::SessionDown { reason, .. } => return reason.to_string(),
                _ => {}
            }
        }
    }

    /// Sends bytes as they are.
    pub fn send(&self, bytes: &[u8]) {
        // Below zero until the first credit is read.
        self.credit.set(self.credit.get() - bytes.len() as i64);
        self.transport.send(self.session.unwrap(), Bytes::copy_from_slice(bytes)).unwrap();
    }

    /// Sends a good OPEN.
    pub fn open(&self) {
        self.open_with(&self.own, None, 10_000);
    }

    /// Sends a good OPEN with this hold time.
    pub fn open_holding(&self, hold_ms: u32) {
        self.open_with(&self.own, None, hold_ms);
    }

    /// Sends an OPEN that gives this name.
    pub fn open_as(&self, name: &NodeName) {
        self.open_with(name, None, 10_000);
    }

    /// Sends a good OPEN under an agreement.
    pub fn open_under(&self, digest: [u8; 32]) {
        self.open_with(&self.own, Some(digest), 10_000);
    }

    fn open_with(&self, name: &NodeName, agreement: Option<[u8; 32]>, hold_ms: u32) {
        self.send(&self.open_frame(name, agreement, hold_ms));
    }

    fn open_frame(&self, name: &NodeName, agreement: Option<[u8; 32]>, hold_ms: u32) -> Vec<u8> {
        let open = Open {
            version_min: 1,
            version_max: 1,
            node: name.as_str(),
            incarnation: 1,
            hold_ms,
            restart_ms: 0,
            capabilities: 0,
            agreement,
            mesh_address: "",
        };
        open.write(&mut [0; 1024]).unwrap().to_vec()
    }

    /// Sends END_OF_RIB: all of a node without routes.
    pub fn end_of_rib(&self) {
        self.send(small::write_end_of_rib(&mut [0; 16]).unwrap());
    }

    /// Sends a good OPEN, END_OF_RIB and so many bytes of KEEPALIVE, all at once.
    pub fn talk(&self, bytes: usize) {
        let mut all = self.open_frame(&self.own, None, 10_000);
        all.extend_from_slice(small::write_end_of_rib(&mut [0; 16]).unwrap());
        let mut buf = [0; 16];
        let keepalive = Keepalive { digest: None }.write(&mut buf).unwrap();
        while all.len() < bytes {
            all.extend_from_slice(keepalive);
        }
        self.send(&all);
    }

    /// Sends an UPDATE with one announcement and one withdrawal.
    pub fn update(&self, announce: Option<(&str, &str, &Attrs<'_>)>, withdraw: Option<(&str, &str)>) {
        let mut frame = vec![0; HEADER + WireLimits::FRAME_BODY];
        let mut element = [0; WireLimits::ENTRY + 8];
        let mut writer = UpdateWriter::new(&mut frame).unwrap();
        if let Some((service, origin, attrs)) = announce {
            writer.announce(write_entry(&mut element, service, origin, attrs).unwrap()).unwrap();
        }
        if let Some((service, origin)) = withdraw {
            writer.withdraw(write_key(&mut element, service, origin).unwrap()).unwrap();
        }
        let update = writer.finish().unwrap().to_vec();
        self.send(&update);
    }

    /// Announces services `flood-0` and so on, as fast as the other side takes them, in full frames. Returns the last REFUSED
    /// that came meanwhile.
    pub fn flood(&self, count: usize) -> Option<Vec<u8>> {
        let mut frame = vec![0; HEADER + WireLimits::FRAME_BODY];
        let mut element = [0; WireLimits::ENTRY + 8];
        let path = [&[1, u8::try_from(self.own.node().len()).unwrap()], self.own.node().as_bytes()].concat();
        let node_path = Path::read(&mut Reader::new(&path), 9, 63, |_| true).unwrap();
        let attrs = Attrs { node_path, ..Attrs::default() };
        let (mut next, mut refused) = (0, None);
        while next < count {
            let mut writer = UpdateWriter::new(&mut frame).unwrap();
            while next < count {
                let service = format!("flood-{next}.{}", self.own.org());
                let entry = write_entry(&mut element, &service, self.own.node(), &attrs).unwrap();
                if writer.announce(entry).is_err() {
                    break;
                }
                next += 1;
            }
            let update = writer.finish().unwrap().to_vec();
            while self.credit.get() < update.len() as i64 {
                match self.next("credit") {
                    Event::SessionDown { reason, .. } => panic!("the session ended after {next}: {reason}"),
                    Event::Frame { frame, .. } if frame[0] == FrameType::Notify as u8 => {
                        panic!("the session ended after {next}: {:?}", Notify::read(&frame[HEADER..]))
                    }
                    Event::Frame { frame, .. } if frame[0] == FrameType::Refused as u8 => {
                        refused = Some(frame.to_vec());
                    }
                    _ => {}
                }
            }
            self.send(&update);
        }
        refused
    }

    /// Waits for a frame of this type. Skips others.
    pub fn frame(&self, wanted: FrameType) -> Vec<u8> {
        loop {
            match self.next(wanted.as_str()) {
                Event::Frame { frame, .. } if frame[0] == wanted as u8 => return frame.to_vec(),
                Event::SessionDown { reason, .. } => {
                    panic!("no {}: the session ended: {reason}", wanted.as_str())
                }
                _ => {}
            }
        }
    }

    /// Waits for NOTIFY: its code's name and its reason.
    pub fn notify(&self) -> (String, String) {
        let frame = self.frame(FrameType::Notify);
        let notify = Notify::read(Frame::whole(&frame).unwrap().body).unwrap();
        (notify.code.to_string(), notify.reason.to_string())
    }

    /// Waits for the end of the session.
    pub fn down(&self) -> DownReason {
        loop {
            if let Event::SessionDown { reason, .. } = self.next("the end of the session") {
                return reason;
            }
        }
    }

    /// Asks for a flow to a service, with no route for it.
    pub fn flow(&self, service: &str) -> Result<(), FlowError> {
        let header = StreamHeader {
            service: service.parse().unwrap(),
            origin: None,
            caller: self.own.clone(),
            trace: None,
            policy_epoch: 0,
            hop_limit: 8,
            kind: FlowKind::Bytes,
        };
        within("an answer to a flow", self.transport.open_flow(&self.victim, &header)).map(drop)
    }
}
