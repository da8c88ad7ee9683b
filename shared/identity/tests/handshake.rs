//! Whole TLS handshakes in memory: who gets in, who does not, and what each end learns.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::{Read, Write};
use std::sync::Arc;

use catalyst_identity::{
    Credentials, IdentityError, OrgRoot, PeerVerifier, SERVER_NAME, TrustBundle, client_config, peer_name,
    server_config,
};
use common::{
    NOW, TestClock, enrol, forger, intermediate, issuer, leaf, leaf_params, org, pair, root, verifier,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    AlertDescription, CipherSuite, ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion,
    ServerConfig, ServerConnection,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

const ALPN: &[&[u8]] = &[b"catalyst-peer/1"];
const EDGE: &str = "spiffe://acme.example/node/edge-1";

/// How a handshake ended at each end.
#[derive(Debug)]
struct Outcome {
    client: Result<ClientConnection, rustls::Error>,
    server: Result<ServerConnection, rustls::Error>,
}

impl Outcome {
    fn both(self) -> (ClientConnection, ServerConnection) {
        (self.client.unwrap(), self.server.unwrap())
    }

    /// Why our verifier on the dialled end refused the dialler.
    fn server_refusal(&self) -> IdentityError {
        refusal(self.server.as_ref().err())
    }

    /// Why our verifier on the dialling end refused the other.
    fn client_refusal(&self) -> IdentityError {
        refusal(self.client.as_ref().err())
    }
}

fn refusal(error: Option<&rustls::Error>) -> IdentityError {
    let error = error.expect("the handshake succeeded");
    IdentityError::from_tls(error).unwrap_or_else(|| panic!("not our verifier: {error:?}")).clone()
}

/// Gives bytes to one end.
fn feed<D>(end: &mut rustls::ConnectionCommon<D>, wire: &[u8]) -> Result<(), rustls::Error> {
    let mut rest = wire;
    while !rest.is_empty() {
        end.read_tls(&mut rest).unwrap();
        end.process_new_packets()?;
    }
    Ok(())
}

/// Takes what one end has to send.
fn drain<D>(end: &mut rustls::ConnectionCommon<D>) -> Vec<u8> {
    let mut wire = Vec::new();
    while end.wants_write() {
        end.write_tls(&mut wire).unwrap();
    }
    wire
}

/// Carries bytes between the two ends until neither has more to say. An end that failed is no longer fed, but what
/// it sent before, such as its alert, still arrives.
fn handshake(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Outcome {
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut c = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut s = ServerConnection::new(Arc::clone(server)).unwrap();
    let (mut c_err, mut s_err) = (None, None);
    loop {
        let up = drain(&mut c);
        if s_err.is_none() {
            s_err = feed(&mut s, &up).err();
        }
        let down = drain(&mut s);
        if c_err.is_none() {
            c_err = feed(&mut c, &down).err();
        }
        if up.is_empty() && down.is_empty() {
            break;
        }
    }
    Outcome { client: c_err.map_or(Ok(c), Err), server: s_err.map_or(Ok(s), Err) }
}

/// One end of a peering: what it shows, and whom it trusts.
struct End {
    credentials: Credentials,
    verifier: PeerVerifier,
}

impl End {
    fn new(credentials: Credentials, trusts: &[&OrgRoot]) -> Self {
        End { credentials, verifier: verifier(trusts, TestClock::at(NOW)).1 }
    }

    fn client(&self) -> Arc<ClientConfig> {
        Arc::new(client_config(&self.credentials, &self.verifier, ALPN, false).unwrap())
    }

    fn server(&self) -> Arc<ServerConfig> {
        Arc::new(server_config(&self.credentials, &self.verifier, ALPN).unwrap())
    }

    /// A client that shows this chain and signs with this key instead, whatever they are.
    fn client_showing(&self, chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair) -> Arc<ClientConfig> {
        let mut config = client_config(&self.credentials, &self.verifier, ALPN, false).unwrap();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified(chain, key)));
        Arc::new(config)
    }

    /// A server that shows this chain.
    fn server_showing(&self, chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair) -> Arc<ServerConfig> {
        let mut config = server_config(&self.credentials, &self.verifier, ALPN).unwrap();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(certified(chain, key)));
        Arc::new(config)
    }
}

fn certified(chain: Vec<CertificateDer<'static>>, key: &rcgen::KeyPair) -> CertifiedKey {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::new(chain, provider.key_provider.load_private_key(der).unwrap())
}

fn names(client: &ClientConnection, server: &ServerConnection) -> (String, String) {
    let seen = |chain: Option<&[CertificateDer<'static>]>| peer_name(chain.unwrap()).unwrap().to_string();
    (seen(client.peer_certificates()), seen(server.peer_certificates()))
}

/// Two nodes of one organisation, and its root.
fn pair_of_one() -> (OrgRoot, End, End) {
    let acme = root("acme.example");
    let a = End::new(enrol(&acme, "edge-1"), &[&acme]);
    let b = End::new(enrol(&acme, "cloud-1"), &[&acme]);
    (acme, a, b)
}

/// What the dialled node says when a dialler shows this chain, signed by acme's own root key or below it.
fn shown_to_acme(make: impl FnOnce(&OrgRoot) -> (Vec<CertificateDer<'static>>, rcgen::KeyPair)) -> Outcome {
    let (acme, a, b) = pair_of_one();
    let (chain, key) = make(&acme);
    handshake(&a.client_showing(chain, &key), &b.server())
}

#[test]
fn two_nodes_of_one_organisation_meet_and_talk() {
    let (_, a, b) = pair_of_one();
    let (mut c, mut s) = handshake(&a.client(), &b.server()).both();
    assert_eq!(names(&c, &s), ("cloud-1.acme.example".into(), "edge-1.acme.example".into()));
    assert_eq!(c.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(s.alpn_protocol(), Some(ALPN[0]));
    assert_eq!(s.server_name(), None, "the name dialled stays private");

    c.writer().write_all(b"from the edge").unwrap();
    let wire = drain(&mut c);
    feed(&mut s, &wire).unwrap();
    let mut got = [0; 13];
    s.reader().read_exact(&mut got).unwrap();
    assert_eq!(&got, b"from the edge");
}

#[test]
fn two_organisations_meet_when_each_holds_the_others_bundle() {
    let (acme, globex) = (root("acme.example"), root("globex.example"));
    let a = End::new(enrol(&acme, "edge-1"), &[&acme, &globex]);
    let b = End::new(enrol(&globex, "gate"), &[&acme, &globex]);
    let (c, s) = handshake(&a.client(), &b.server()).both();
    assert_eq!(names(&c, &s), ("gate.globex.example".into(), "edge-1.acme.example".into()));
}

#[test]
fn a_dialler_of_an_unknown_organisation_is_refused_by_name() {
    let (acme, globex) = (root("acme.example"), root("globex.example"));
    let a = End::new(enrol(&acme, "edge-1"), &[&acme, &globex]);
    let b = End::new(enrol(&globex, "gate"), &[&globex]);
    let out = handshake(&a.client(), &b.server());
    let why = out.server_refusal();
    assert!(
        matches!(&why, IdentityError::UnknownOrganisation { name } if name.as_str() == "edge-1.acme.example")
    );
    assert!(why.to_string().contains("add the bundle of acme.example"), "{why}");
    // The dialler hears of it, and rustls' own message carries ours in words.
    assert_eq!(out.client.unwrap_err(), rustls::Error::AlertReceived(AlertDescription::CertificateUnknown));
    assert!(out.server.unwrap_err().to_string().contains("add the bundle of acme.example"));
}

#[test]
fn a_dialled_node_of_an_unknown_organisation_is_refused() {
    let (acme, globex) = (root("acme.example"), root("globex.example"));
    let a = End::new(enrol(&acme, "edge-1"), &[&acme]);
    let b = End::new(enrol(&globex, "gate"), &[&acme, &globex]);
    let out = handshake(&a.client(), &b.server());
    assert!(matches!(out.client_refusal(), IdentityError::UnknownOrganisation { .. }));
    assert!(out.server.is_err());
}

#[test]
fn the_root_of_one_organisation_cannot_vouch_for_another() {
    let (acme, globex) = (root("acme.example"), root("globex.example"));
    let a = End::new(enrol(&acme, "edge-1"), &[&acme, &globex]);
    let b = End::new(enrol(&globex, "gate"), &[&acme, &globex]);
    let (der, key) = leaf(&["spiffe://globex.example/node/gate"], &forger(&acme));
    let out = handshake(&a.client_showing(vec![der], &key), &b.server());
    assert!(
        matches!(out.server_refusal(), IdentityError::WrongSignature { name } if name.org() == "globex.example")
    );
    // Nor by presenting its own root as an intermediate.
    let (der, key) = leaf(&["spiffe://globex.example/node/gate"], &forger(&acme));
    let own_root = acme.bundle().unwrap().roots().next().unwrap().clone();
    let out = handshake(&a.client_showing(vec![der, own_root], &key), &b.server());
    assert!(matches!(out.server_refusal(), IdentityError::WrongSignature { .. }));
}

#[test]
fn an_impostor_root_with_the_same_name_is_refused() {
    let (_, a, b) = pair_of_one();
    let (der, key) = leaf(&[EDGE], &forger(&root("acme.example")));
    let out = handshake(&a.client_showing(vec![der], &key), &b.server());
    assert!(matches!(out.server_refusal(), IdentityError::WrongSignature { .. }));
}

#[test]
fn a_copied_certificate_without_its_key_is_useless() {
    let (_, a, b) = pair_of_one();
    let stolen = b.credentials.chain().to_vec();
    let out = handshake(&a.client_showing(stolen.clone(), &pair()), &b.server());
    assert!(matches!(
        out.server.unwrap_err(),
        rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature)
    ));
    let out = handshake(&a.client(), &b.server_showing(stolen, &pair()));
    assert!(matches!(
        out.client.unwrap_err(),
        rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature)
    ));
}

#[test]
fn validity_is_judged_by_the_clock_given_and_says_so() {
    let acme = root("acme.example");
    let a = End::new(enrol(&acme, "edge-1"), &[&acme]);
    let clock = TestClock::at(NOW);
    let b = End { credentials: enrol(&acme, "cloud-1"), verifier: verifier(&[&acme], clock.clone()).1 };
    let server = b.server();
    let meet = || handshake(&a.client(), &server);

    let span = a.credentials.validity();
    for good in [span.not_before, NOW, span.not_after] {
        clock.set(good);
        meet().both();
    }
    clock.set(span.not_after + 1);
    let why = meet().server_refusal();
    assert!(matches!(&why, IdentityError::Expired { not_after, .. } if not_after.0 == span.not_after));
    assert!(why.to_string().contains("expired at 2026-04-01 00:00 UTC"), "{why}");
    // A board without a battery boots in 1970.
    clock.set(12);
    let why = meet().server_refusal();
    assert!(matches!(&why, IdentityError::NotYetValid { not_before, .. } if not_before.0 == span.not_before));
    assert!(why.to_string().contains("this node's clock says 1970-01-01 00:00 UTC"), "{why}");
    // The far end of the calendar is no panic either.
    clock.set(u64::MAX);
    assert!(matches!(meet().server_refusal(), IdentityError::Expired { .. }));
}

/// A clock that is known to be wrong.
#[derive(Debug)]
struct Behind(u64);

impl catalyst_identity::Clock for Behind {
    fn validity_unix(&self) -> u64 {
        self.0
    }

    fn is_behind(&self) -> bool {
        true
    }
}

#[test]
fn where_the_clock_is_known_to_be_wrong_a_young_certificate_tells_the_time_and_an_old_one_stays_expired() {
    let acme = root("acme.example");
    let a = End::new(enrol(&acme, "edge-1"), &[&acme]);
    let trust = verifier(&[&acme], TestClock::at(NOW)).0;
    let at = |floor: u64| End {
        credentials: enrol(&acme, "cloud-1"),
        verifier: PeerVerifier::new(trust.clone(), std::sync::Arc::new(Behind(floor))),
    };
    let span = a.credentials.validity();
    for floor in [0, 12, span.not_before - 1, span.not_before, span.not_after] {
        handshake(&a.client(), &at(floor).server()).both();
        handshake(&at(floor).client(), &a.server()).both();
    }
    let why = handshake(&a.client(), &at(span.not_after + 1).server()).server_refusal();
    assert!(matches!(why, IdentityError::Expired { .. }));
    // It is no way around the signature.
    let other = End::new(enrol(&root("acme.example"), "edge-1"), &[&acme]);
    let why = handshake(&other.client(), &at(0).server()).server_refusal();
    assert!(matches!(why, IdentityError::WrongSignature { .. }), "{why}");
}

#[test]
fn the_dialler_judges_validity_too() {
    let acme = root("acme.example");
    let b = End::new(enrol(&acme, "cloud-1"), &[&acme]);
    let a = End {
        credentials: enrol(&acme, "edge-1"),
        verifier: verifier(&[&acme], TestClock::at(NOW + 91 * 86_400)).1,
    };
    assert!(matches!(handshake(&a.client(), &b.server()).client_refusal(), IdentityError::Expired { .. }));
}

#[test]
fn only_nodes_get_in() {
    type Case = (&'static [&'static str], fn(&IdentityError) -> bool);
    let cases: &[Case] = &[
        (&["spiffe://acme.example/svc/inventory"], |e| matches!(e, IdentityError::NotANode { .. })),
        (&[], |e| matches!(e, IdentityError::NoSpiffeId { count: 0 })),
        (&[EDGE, EDGE], |e| matches!(e, IdentityError::NoSpiffeId { count: 2 })),
        (&[EDGE, "https://acme.example/", "x:y"], |e| matches!(e, IdentityError::NoSpiffeId { count: 3 })),
        (&["https://acme.example/node/edge-1"], |e| matches!(e, IdentityError::BadSpiffeId(_))),
        (&["spiffe://acme.example"], |e| matches!(e, IdentityError::BadSpiffeId(_))),
        (&["spiffe://acme.example/node/edge-1/x"], |e| matches!(e, IdentityError::BadSpiffeId(_))),
        (&["spiffe://acme.example/node/../root"], |e| matches!(e, IdentityError::BadSpiffeId(_))),
        (&["spiffe://ACME.example/node/edge-1"], |e| matches!(e, IdentityError::BadSpiffeId(_))),
    ];
    for (uris, expected) in cases {
        let why = shown_to_acme(|acme| {
            let (der, key) = leaf(uris, &forger(acme));
            (vec![der], key)
        })
        .server_refusal();
        assert!(expected(&why), "{uris:?}: {why:?}");
    }
}

#[test]
fn a_root_is_not_a_node_and_a_node_is_not_an_issuer() {
    // The root itself as a peer.
    let why = shown_to_acme(|acme| {
        let key = rcgen::KeyPair::from_pem(acme.key_pem().expose()).unwrap();
        (acme.bundle().unwrap().roots().cloned().collect(), key)
    })
    .server_refusal();
    assert!(matches!(why, IdentityError::BadSpiffeId(_)), "{why:?}");
    // A node that issues for itself with its leaf.
    let why = shown_to_acme(|acme| {
        let (node_der, node_key) = leaf(&[EDGE], &forger(acme));
        let (der, key) = leaf(&["spiffe://acme.example/node/admin"], &issuer("leaf", node_key));
        (vec![der, node_der], key)
    })
    .server_refusal();
    assert!(
        matches!(&why, IdentityError::Chain { reason, .. } if reason.contains("EndEntityUsedAsCa")),
        "{why:?}"
    );
}

#[test]
fn a_leaf_for_the_wrong_direction_is_refused() {
    let why = shown_to_acme(|acme| {
        let key = pair();
        let mut params = leaf_params(&[EDGE]);
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        (vec![params.signed_by(&key, &forger(acme)).unwrap().der().clone()], key)
    })
    .server_refusal();
    assert!(matches!(why, IdentityError::Chain { .. }), "{why:?}");

    let (acme, a, b) = pair_of_one();
    let key = pair();
    let mut params = leaf_params(&[EDGE]);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let der = params.signed_by(&key, &forger(&acme)).unwrap().der().clone();
    let why = handshake(&a.client(), &b.server_showing(vec![der], &key)).client_refusal();
    assert!(matches!(why, IdentityError::Chain { .. }), "{why:?}");
}

#[test]
fn intermediates_may_issue_only_below_their_own_name() {
    let through = |name: &'static [&'static str]| {
        shown_to_acme(move |acme| {
            let (ca, ca_key) = intermediate("an issuer", name, &forger(acme));
            let (der, key) = leaf(&[EDGE], &ca_key);
            (vec![der, ca], key)
        })
    };
    for good in [&["spiffe://acme.example"][..], &[EDGE]] {
        let (c, s) = through(good).both();
        assert_eq!(names(&c, &s).1, "edge-1.acme.example");
    }
    for bad in [
        "spiffe://acme.example/node/edge-2",
        "spiffe://acme.example/svc/edge-1",
        "spiffe://globex.example",
        "spiffe://globex.example/node/edge-1",
        "spiffe://acme.example/",
        "spiffe://acme.example.evil.example",
    ] {
        let why = through(Box::leak(Box::new([bad]))).server_refusal();
        assert!(matches!(&why, IdentityError::WrongIssuer { issuer, .. } if issuer == bad), "{bad}: {why:?}");
    }
    for bad in [&[][..], &["spiffe://acme.example", EDGE]] {
        assert!(matches!(through(bad).server_refusal(), IdentityError::Chain { .. }), "{bad:?}");
    }
}

#[test]
fn a_chain_may_have_three_intermediates_and_no_more() {
    let through = |depth: usize| {
        shown_to_acme(move |acme| {
            let mut issuers = Vec::new();
            let mut by = forger(acme);
            for i in 0..depth {
                let (der, next) = intermediate(&format!("issuer {i}"), &["spiffe://acme.example"], &by);
                issuers.insert(0, der);
                by = next;
            }
            let (der, key) = leaf(&[EDGE], &by);
            issuers.insert(0, der);
            (issuers, key)
        })
    };
    through(3).both();
    let why = through(4).server_refusal();
    assert!(matches!(why, IdentityError::TooMuch { size: 5, max: 4, .. }), "{why:?}");
}

#[test]
fn a_dialler_without_a_certificate_is_refused() {
    let (_, a, b) = pair_of_one();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut bare = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(a.verifier.clone()))
        .with_no_client_auth();
    bare.alpn_protocols = vec![ALPN[0].to_vec()];
    let out = handshake(&Arc::new(bare), &b.server());
    assert_eq!(out.server.unwrap_err(), rustls::Error::NoCertificatesPresented);
    assert_eq!(out.client.unwrap_err(), rustls::Error::AlertReceived(AlertDescription::CertificateRequired));
}

#[test]
fn trust_withdrawn_holds_for_the_next_handshake_because_nothing_is_resumed() {
    let (acme, globex) = (root("acme.example"), root("globex.example"));
    let a = End::new(enrol(&acme, "edge-1"), &[&acme, &globex]);
    let (store, judge) = verifier(&[&acme, &globex], TestClock::at(NOW));
    let b = End { credentials: enrol(&globex, "gate"), verifier: judge };
    let (client, server) = (a.client(), b.server());
    for _ in 0..3 {
        let (c, s) = handshake(&client, &server).both();
        assert_eq!(c.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(s.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(c.tls13_tickets_received(), 0);
    }
    assert!(store.remove(&org("acme.example")).is_some());
    let why = handshake(&client, &server).server_refusal();
    assert!(matches!(why, IdentityError::UnknownOrganisation { .. }));
    store.insert(acme.bundle().unwrap()).unwrap();
    handshake(&client, &server).both();
}

#[test]
fn neither_end_resumes_with_a_peer_that_would() {
    let (_, a, b) = pair_of_one();
    let server = b.server();
    assert_eq!((server.send_tls13_tickets, server.max_early_data_size), (0, 0));
    assert!(!server.session_storage.can_cache() && !server.ticketer.enabled());
    let client = a.client();
    assert!(!client.enable_early_data && !client.enable_sni);

    let mut generous = ServerConfig::clone(&server);
    generous.session_storage = rustls::server::ServerSessionMemoryCache::new(8);
    generous.send_tls13_tickets = 2;
    let generous = Arc::new(generous);
    let mut eager = ClientConfig::clone(&client);
    eager.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let eager = Arc::new(eager);
    let second = |client: &Arc<ClientConfig>, server: &Arc<ServerConfig>| {
        handshake(client, server).both();
        handshake(client, server).both().1.handshake_kind().unwrap()
    };
    assert_eq!(second(&eager, &generous), HandshakeKind::Resumed, "the test can see a resumption");
    assert_eq!(second(&client, &generous), HandshakeKind::Full);
    assert_eq!(second(&eager, &server), HandshakeKind::Full);
}

#[test]
fn both_roots_count_while_a_root_is_being_replaced() {
    let (old, new) = (root("acme.example"), root("acme.example"));
    let b = End::new(enrol(&old, "cloud-1"), &[&old]);
    let fresh = End::new(enrol(&new, "edge-1"), &[&old]);
    assert!(matches!(
        handshake(&fresh.client(), &b.server()).server_refusal(),
        IdentityError::WrongSignature { .. }
    ));
    let both = TrustBundle::from_pem(&(old.certificate_pem() + &new.certificate_pem())).unwrap();
    let (store, judge) = verifier(&[], TestClock::at(NOW));
    store.insert(both).unwrap();
    let b = End { credentials: enrol(&old, "cloud-1"), verifier: judge };
    for from in [&old, &new] {
        let a = End::new(enrol(from, "edge-1"), &[&old]);
        handshake(&a.client(), &b.server()).both();
    }
}

#[test]
fn the_client_chooses_the_cipher() {
    let (_, a, b) = pair_of_one();
    for (prefer, expected) in
        [(false, CipherSuite::TLS13_AES_128_GCM_SHA256), (true, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)]
    {
        let client = Arc::new(client_config(&a.credentials, &a.verifier, ALPN, prefer).unwrap());
        let (_, s) = handshake(&client, &b.server()).both();
        assert_eq!(s.negotiated_cipher_suite().unwrap().suite(), expected);
    }
}

#[test]
fn another_application_protocol_is_refused() {
    let (_, a, b) = pair_of_one();
    let client = Arc::new(client_config(&a.credentials, &a.verifier, &[b"catalyst-peer/2"], false).unwrap());
    let out = handshake(&client, &b.server());
    assert_eq!(out.server.unwrap_err(), rustls::Error::NoApplicationProtocol);
    assert_eq!(
        out.client.unwrap_err(),
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)
    );
}

#[test]
fn every_changed_byte_of_a_certificate_is_noticed() {
    let acme = root("acme.example");
    let (_, judge) = verifier(&[&acme], TestClock::at(NOW));
    let good = enrol(&acme, "edge-1").chain()[0].clone();
    judge.verify_client(&good, &[]).unwrap();
    for at in 0..good.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bad = good.to_vec();
            bad[at] ^= flip;
            let bad = CertificateDer::from(bad);
            assert!(judge.verify_client(&bad, &[]).is_err(), "byte {at} changed by {flip:#x} was accepted");
        }
    }
    assert_eq!(peer_name(&[]), Err(IdentityError::NoCertificate));
}
