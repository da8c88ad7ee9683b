//! The whole core against hostile neighbours: two of the own organisation and one of another, whose sessions stand, say
//! anything in any order while services, rules and time go on. When all are forgotten, nothing of them may be left.
//!
//! An input is a row of steps: a byte that says what and who, two bytes of length, so many bytes.
#![no_main]

use catalyst_control::{Core, Event, Limits, LocalService, Now, PeerConfig, SessionId, Settings};
use catalyst_policy::{Agreement, Neighbour, Party, Pattern, Role, Rule};
use catalyst_route_table::{Heap, Limits as TableLimits, Store};
use catalyst_wire::{Capabilities, Open};

const PEERS: [&str; 3] = ["b.acme.example", "c.acme.example", "p.globex.example"];
/// The most that the other organisation may announce.
const AGREED: u32 = 4;

fn agreement() -> Agreement {
    let party = |org: &str, role, max_services| Party {
        org: org.parse().expect("a name"),
        role,
        max_services,
        max_bytes: 2_000,
        bundle: Default::default(),
        contact: Default::default(),
    };
    Agreement::new(
        party("acme.example", Role::Provider, 1_000),
        party("globex.example", Role::Customer, AGREED),
    )
    .expect("an agreement")
}

struct Bench {
    core: Core<Heap>,
    now: u64,
    sessions: [u64; 3],
    next: u64,
}

impl Bench {
    fn new() -> Bench {
        let settings = Settings {
            name: "a.acme.example".parse().expect("a name"),
            incarnation: 1,
            border_secret: [7; 32],
            limits: Limits::CLOUD,
            mesh_address: String::new(),
            stale_max_ms: 5_000,
            flap: Default::default(),
        };
        let core = Core::new(settings, Heap::new(TableLimits::CLOUD)).expect("room for a name");
        let mut bench = Bench { core, now: 1, sessions: [0; 3], next: 1 };
        for (at, name) in PEERS.iter().enumerate() {
            let agreement = (at == 2).then(agreement);
            let name = name.parse().expect("a name");
            let config = PeerConfig { name, agreement, hold_ms: 3_000, restart_ms: 2_000 };
            bench.feed(Event::PeerConfigured(Box::new(config)));
            bench.connect(at);
        }
        bench.rules(true);
        bench
    }

    fn feed(&mut self, event: Event) {
        self.core.handle(&event, Now::mono(self.now));
        while self.core.poll_effect().is_some() {}
        while self.core.poll_transmit().is_some() {}
    }

    /// A session that stands; one of before is gone.
    fn connect(&mut self, at: usize) {
        let id = SessionId(self.next);
        self.next += 1;
        self.sessions[at] = id.0;
        let peer = PEERS[at];
        self.feed(Event::SessionUp { session: id, peer: peer.parse().expect("a name"), dialled: true });
        let open = Open {
            version_min: 1,
            version_max: 1,
            node: peer,
            incarnation: self.next,
            hold_ms: 3_000,
            restart_ms: 2_000,
            capabilities: Capabilities::REFRESH | Capabilities::INTEREST,
            agreement: (at == 2).then(|| agreement().digest()),
            mesh_address: "",
        };
        let frame = open.write(&mut [0; 1024]).expect("room").to_vec();
        self.feed(Event::PeerFrame { session: id, frame });
        self.feed(Event::Writable { session: id, bytes: 4_000 });
    }

    fn rules(&mut self, open: bool) {
        let rule = |pattern: &str| Rule::new(Pattern::parse(pattern).expect("a pattern"), Neighbour::any());
        let rules = if open { vec![rule("*.*"), rule("*")] } else { Vec::new() };
        self.feed(Event::PolicyChanged { exports: rules.clone(), imports: rules });
    }

    fn service(&mut self, up: bool, cost: u32) {
        let label = "x".parse().expect("a label");
        if !up {
            return self.feed(Event::ServiceDown(label));
        }
        let protocol = "http".parse().expect("a protocol");
        let (weight, tags) = (100, Vec::new());
        self.feed(Event::ServiceUp(LocalService {
            label,
            protocol,
            cost,
            weight,
            tags,
            healthy: true,
            fail_closed: false,
        }));
    }

    fn step(&mut self, what: u8, bytes: &[u8]) {
        let at = usize::from(what % 3);
        let session = SessionId(self.sessions[at]);
        let number = bytes.first().map_or(0, |b| u64::from(*b));
        match what / 3 % 10 {
            0..=4 => self.feed(Event::PeerFrame { session, frame: bytes.to_vec() }),
            5 => {
                self.now += number * 40;
                self.feed(Event::Tick);
            }
            6 => {
                if number % 2 == 0 {
                    self.feed(Event::SessionDown { session });
                }
                self.connect(at);
            }
            7 => self.feed(Event::Writable { session, bytes: bytes.len() * 16 }),
            8 => self.service(number % 2 == 0, number as u32),
            _ => match number % 4 {
                0 => self.rules(true),
                1 => self.rules(false),
                n => self.feed(Event::DrainChanged(n == 2)),
            },
        }
        let stored = |peer: &str| self.core.state().route_rows().iter().filter(|r| r.via == peer).count();
        assert!(stored(PEERS[2]) <= AGREED as usize, "more than was agreed is kept");
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bench = Bench::new();
    let mut rest = bytes;
    while let Some((&[what, high, low], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(behind.len());
        let (now, later) = behind.split_at(length);
        bench.step(what, now);
        rest = later;
    }
    let _ = bench.core.digest();
    for peer in PEERS {
        bench.feed(Event::PeerRemoved(peer.parse().expect("a name")));
    }
    bench.service(false, 0);
    assert_eq!(bench.core.state().table().store().len(), 0, "routes are left of nobody");
});
