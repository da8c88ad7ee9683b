//! What each golden file says. The bytes stand in `golden/v1`; this is their meaning.

use std::vec::Vec;

use catalyst_names::Protocol;

use super::kit::{attr, body, entry, frame, frame_of, names, path, post};
use crate::attr::{OPTIONAL, TRANSITIVE, kind};
use crate::frame as env;
use crate::{
    AttrError, Attrs, FrameType, HEADER, Health, Keepalive, Limits, Notify, NotifyCode, Open, Overtaken,
    Path, Refresh, Refused, Revoked, Seqno, Seqnos, WellKnown,
};

/// A golden file.
pub struct Vector {
    pub file: &'static str,
    /// The comment in the file.
    pub what: &'static str,
    pub content: Content,
    /// What another version sent, where this version would write other bytes.
    pub foreign: Option<Vec<u8>>,
    /// The file that holds what this version writes instead; itself when `None`.
    pub again: Option<&'static str>,
}

/// A decoded frame.
pub enum Content {
    Open(Open<'static>),
    Update(Vec<Element>, Vec<(&'static str, &'static str)>),
    /// An UPDATE that also says what is overtaken.
    News(Vec<Element>, Vec<(&'static str, &'static str)>, Vec<Overtaken<'static>>),
    Keepalive(Keepalive),
    Refused(Refused<'static>),
    Notify(Notify<'static>),
    /// Signature, organisation, epoch, revoked nodes.
    Trust(&'static [u8], &'static str, u64, &'static [Revoked<'static>]),
    Refresh(Refresh),
    /// A list that fits one frame; everything when `None`.
    Interest(Option<&'static [&'static str]>),
    /// A type whose body says nothing in this version.
    Bare(FrameType),
    /// An unknown type that is skipped.
    Skipped(u8),
}

/// One announcement.
#[allow(clippy::large_enum_variant)]
pub enum Element {
    Route(&'static str, &'static str, Attrs<'static>),
    Malformed(&'static str, &'static str, AttrError),
    NoKey,
}

const SERVICE: &str = "inventory.acme.example";
const NODE: &str = "edge-1";
const TAIL: &[u8] = &[0xfe, 0x01, 0x02, 0x03];

const OPEN: Open<'static> = Open {
    version_min: 1,
    version_max: 2,
    node: "edge-1.acme.example",
    incarnation: 1_700_000_000_123,
    hold_ms: 3_000,
    restart_ms: 120_000,
    capabilities: 5,
    agreement: Some([0xa5; 32]),
    mesh_address: "edge-1.acme.example:8443",
};
const REFUSED: Refused<'static> =
    Refused { count: 300, reason: "the table is full at 1024 routes", services: "" };
const REFUSED_NAMED: Refused<'static> = Refused {
    count: 2,
    reason: "the limit of 3 routes for this peer is reached",
    services: "inventory.acme.example orders.acme.example",
};
const NOTIFY: Notify<'static> = Notify {
    code: NotifyCode::HOLD,
    reason: "nothing heard for 3000 ms; check the link to hub.acme.example",
    document: "",
};
const AGREEMENT: Notify<'static> =
    Notify { code: NotifyCode::AGREEMENT, reason: "the agreements differ", document: "{\"version\":1}" };
const KEEPALIVE: Keepalive =
    Keepalive { digest: Some([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]) };

fn one_route() -> Attrs<'static> {
    Attrs { protocol: Protocol::Http, node_path: Path::one(NODE), ..Attrs::default() }
}

const SEQNO: Seqno = Seqno { run: 0x00c0_ffee, count: 300 };
const OVERTAKEN: Overtaken<'static> =
    Overtaken { service: SERVICE, origin: NODE, node: "hub-1", seqno: SEQNO };

fn numbered() -> Attrs<'static> {
    Attrs { seqnos: Seqnos::EMPTY.prepend(SEQNO), ..one_route() }
}

fn everything() -> Attrs<'static> {
    Attrs {
        protocol: Protocol::HttpGraphql,
        org_path: path(&["hub.example", "acme.example"]),
        node_path: path(&["hub-1", NODE]),
        local_pref: Some(300),
        cost: 20_000,
        weight: 65_535,
        tags: path(&["acme.example:gold", "hub.example:eu-west"]),
        well_known: WellKnown(
            WellKnown::NO_EXPORT | WellKnown::GRACEFUL_SHUTDOWN | WellKnown::STALE | 1 << 30,
        ),
        health: Health::Down,
        only_to_customer: Some("hub.example"),
        schema_digest: Some([0x5c; 32]),
        attestation: Some(b"sha256:attested"),
        ..Attrs::default()
    }
}

fn unknown(list: &[Vec<u8>]) -> Attrs<'static> {
    let bytes: &'static [u8] = Vec::leak(list.concat());
    Attrs { cost: 5, ..Attrs::read(bytes).unwrap() }
}

fn carried() -> Vec<u8> {
    attr(14, OPTIONAL | TRANSITIVE, b"carried on")
}

fn dropped() -> Vec<u8> {
    attr(13, OPTIONAL, b"skipped")
}

fn full_path() -> Attrs<'static> {
    Attrs { org_path: path(&["a.example"; Limits::ORG_PATH]), ..Attrs::default() }
}

fn vector(file: &'static str, what: &'static str, content: Content) -> Vector {
    Vector { file, what, content, foreign: None, again: None }
}

/// A frame that ends with bytes of a later version; written again it is `again`.
fn with_tail(file: &'static str, what: &'static str, again: Vector) -> Vector {
    let frame = super::golden::write(&again.content);
    let body = [&frame[HEADER..], TAIL].concat();
    let foreign = Some(frame_of(frame[0], 0, &body));
    Vector { file, what, content: again.content, foreign, again: Some(again.file) }
}

/// A frame that this version would write otherwise.
fn foreign(again: &'static str, bytes: Vec<u8>, vector: Vector) -> Vector {
    Vector { foreign: Some(bytes), again: Some(again), ..vector }
}

fn full_open() -> Vector {
    vector("open", "OPEN with every field", Content::Open(OPEN))
}

fn digest() -> Vector {
    vector("keepalive-digest", "KEEPALIVE with a digest", Content::Keepalive(KEEPALIVE))
}

fn refused() -> Vector {
    vector("refused", "REFUSED: 300 routes and why", Content::Refused(REFUSED))
}

fn refused_named() -> Vector {
    vector("refused-named", "REFUSED: 2 routes, why, and which", Content::Refused(REFUSED_NAMED))
}

fn trust() -> Vector {
    const REVOKED: &[Revoked<'static>] =
        &[Revoked { node: "edge-1", except: None }, Revoked { node: "edge-2", except: Some([0x7b; 32]) }];
    vector(
        "trust-revoked",
        "TRUST: two revoked nodes, one of which has a new key",
        Content::Trust(b"a signature", "acme.example", 300, REVOKED),
    )
}

/// Entries of a later version say more.
fn trust_of_later() -> Vector {
    let entry = [&[6][..], b"edge-1", &[0], TAIL].concat();
    let mut statement = [&[12][..], b"acme.example", &[7]].concat();
    statement.push(u8::try_from(entry.len()).unwrap());
    statement.extend(entry);
    let body = [&[1, u8::try_from(statement.len()).unwrap()][..], &statement, &[1, 0x55], TAIL].concat();
    foreign(
        "trust-one",
        frame_of(FrameType::Trust as u8, 0, &body),
        Vector { file: "trust-tail", what: "TRUST with unknown tails", ..trust_one() },
    )
}

fn trust_one() -> Vector {
    const ONE: &[Revoked<'static>] = &[Revoked { node: "edge-1", except: None }];
    vector("trust-one", "TRUST: one revoked node", Content::Trust(&[0x55], "acme.example", 7, ONE))
}

fn notify_agreement() -> Vector {
    vector(
        "notify-agreement",
        "NOTIFY agreement-mismatch with the sender's document",
        Content::Notify(AGREEMENT),
    )
}

fn refresh_end() -> Vector {
    vector("refresh-end", "REFRESH: the end", Content::Refresh(Refresh::END))
}

fn interest() -> Vector {
    let list = &["inventory.acme.example", "*.globex.example", "inv*.*"];
    vector(
        "interest",
        "INTEREST in one service, one organisation and a pattern",
        Content::Interest(Some(list)),
    )
}

fn end_of_rib() -> Vector {
    vector("end-of-rib", "END_OF_RIB", Content::Bare(FrameType::EndOfRib))
}

fn both() -> Vector {
    let routes = vec![
        Element::Route(SERVICE, NODE, one_route()),
        Element::Route("orders.acme.example", "hub-1", Attrs { cost: 3, ..Attrs::default() }),
    ];
    let keys = vec![("prices.acme.example", NODE), ("prices.acme.example", "hub-1")];
    vector("update-both", "UPDATE with two announcements and two withdrawals", Content::Update(routes, keys))
}

fn route(file: &'static str, what: &'static str, attrs: Attrs<'static>) -> Vector {
    vector(file, what, Content::Update(vec![Element::Route(SERVICE, NODE, attrs)], vec![]))
}

/// All golden files of version 1.
pub fn all() -> Vec<Vector> {
    let minimal = Open {
        version_max: 1,
        incarnation: 0,
        hold_ms: 0,
        restart_ms: 0,
        capabilities: 0,
        agreement: None,
        mesh_address: "",
        ..OPEN
    };
    let mut vectors = vec![
        full_open(),
        vector("open-minimal", "OPEN with everything empty but the name", Content::Open(minimal)),
        with_tail("open-tail", "OPEN with an unknown tail", full_open()),
        end_of_rib(),
        vector("refresh-request", "REFRESH: a wish", Content::Refresh(Refresh::REQUEST)),
        vector("refresh-begin", "REFRESH: the begin", Content::Refresh(Refresh::BEGIN)),
        vector("refresh-end", "REFRESH: the end", Content::Refresh(Refresh::END)),
        with_tail("refresh-tail", "REFRESH: the end, with an unknown tail", refresh_end()),
        interest(),
        vector("interest-none", "INTEREST in nothing", Content::Interest(Some(&[]))),
        vector("interest-all", "INTEREST in everything", Content::Interest(None)),
        with_tail("interest-tail", "INTEREST with an unknown tail", interest()),
        with_tail("end-of-rib-tail", "END_OF_RIB with an unknown tail", end_of_rib()),
        vector("keepalive", "KEEPALIVE without a digest", Content::Keepalive(Keepalive::default())),
        digest(),
        with_tail("keepalive-tail", "KEEPALIVE with a digest and an unknown tail", digest()),
        refused(),
        refused_named(),
        with_tail("refused-tail", "REFUSED with an unknown tail", refused()),
        vector("notify", "NOTIFY hold-timer-expired", Content::Notify(NOTIFY)),
        notify_agreement(),
        trust(),
        trust_one(),
        trust_of_later(),
        with_tail("notify-tail", "NOTIFY with a document and an unknown tail", notify_agreement()),
        vector("dial-data", "DIAL_DATA", Content::Bare(FrameType::DialData)),
        Vector {
            foreign: Some(frame_of(200, env::OPTIONAL, b"of a later version")),
            ..vector("unknown-optional", "an unknown type that may be skipped", Content::Skipped(200))
        },
    ];
    vectors.extend(updates());
    vectors
}

fn updates() -> Vec<Vector> {
    let announce = |attrs: &[u8]| frame(FrameType::Update, &body(&[entry(SERVICE, NODE, attrs)], &[])[..]);
    let spelled_out = [
        attr(kind::PROTOCOL, 0, &[0]),
        attr(kind::ORG_PATH, 0, &names(&[])),
        attr(kind::COST, 0, &[0]),
        attr(kind::WEIGHT, 0, &post(&100u16)),
        attr(kind::HEALTH, 0, &[0]),
    ];
    vec![
        route("update-seqnos", "UPDATE: a route with the number of its node's word", numbered()),
        vector(
            "update-overtaken",
            "UPDATE: a withdrawal, and what is overtaken by it",
            Content::News(vec![], vec![(SERVICE, NODE)], vec![OVERTAKEN]),
        ),
        vector("update-empty", "UPDATE with nothing in it", Content::Update(vec![], vec![])),
        route("update-one", "UPDATE: inventory.acme.example, http, from edge-1", one_route()),
        route("update-defaults", "UPDATE: a route with every default takes its key alone", Attrs::default()),
        foreign(
            "update-defaults",
            announce(&spelled_out.concat()),
            route(
                "update-defaults-spelled-out",
                "UPDATE: defaults that were written all the same",
                Attrs::default(),
            ),
        ),
        route("update-everything", "UPDATE: a route with every attribute", everything()),
        route(
            "update-fail-closed",
            "UPDATE: a route that must not become long-lived stale",
            Attrs { well_known: WellKnown(WellKnown::FAIL_CLOSED), ..one_route() },
        ),
        route("update-full-path", "UPDATE: a route with 16 organisations in its path", full_path()),
        vector("update-withdraw", "UPDATE: one withdrawal", Content::Update(vec![], vec![(SERVICE, NODE)])),
        both(),
        with_tail("update-tail", "UPDATE with an unknown tail", both()),
        foreign(
            "update-unknown-carried",
            announce(&[attr(kind::COST, 0, &[5]), dropped(), carried()].concat()),
            route(
                "update-unknown",
                "UPDATE: attribute 13 is optional, 14 optional and transitive",
                unknown(&[dropped(), carried()]),
            ),
        ),
        route("update-unknown-carried", "UPDATE: the same route as it is passed on", unknown(&[carried()])),
        foreign(
            "update-defaults",
            malformed(),
            vector(
                "update-malformed",
                "UPDATE: a sound route among an unknown mandatory attribute, a bad weight, an unreadable key",
                Content::Update(
                    vec![
                        Element::Malformed("a.acme.example", NODE, AttrError::Unknown(99)),
                        Element::Route(SERVICE, NODE, Attrs::default()),
                        Element::Malformed("b.acme.example", NODE, AttrError::Value(kind::WEIGHT)),
                        Element::NoKey,
                    ],
                    vec![],
                ),
            ),
        ),
    ]
}

fn malformed() -> Vec<u8> {
    let elements = [
        entry("a.acme.example", NODE, &attr(99, 0, b"mandatory")),
        entry(SERVICE, NODE, &[]),
        entry("b.acme.example", NODE, &attr(kind::WEIGHT, 0, &post(&65_536u32))),
        entry("NOT A NAME", NODE, &[]),
    ];
    frame(FrameType::Update, &body(&elements, &[]))
}
