use super::*;

const NOW: u64 = 1_800_000_000;

fn authority() -> Authority {
    let root = OrgRoot::generate(&"acme.example".parse().unwrap(), NOW).unwrap();
    let (invites, issued) = (BTreeMap::new(), BTreeMap::new());
    Authority { root, lifetime_s: 86_400, invites, issued, refused: 0 }
}

/// A key of the node, its request, and the key as it stands in a certificate.
fn key(authority: &Authority, node: &NodeId) -> (String, Fingerprint) {
    let key = NodeKey::generate().unwrap();
    let csr = key.csr(authority.root.org(), node).unwrap();
    let chain = authority.root.sign_csr(&csr, None, NOW, 60).unwrap();
    (csr, catalyst_identity::public_key(&chain).unwrap())
}

#[test]
fn a_connection_that_is_older_than_a_revocation_gets_no_certificate() {
    let mut authority = authority();
    let node = NodeId::parse("pi").unwrap();
    let name = NodeName::new(&node, authority.root.org());
    let (csr, old) = key(&authority, &node);
    assert!(authority.renew(&name, &old, &csr, NOW).is_ok());
    let _ = authority.revoke(&node, NOW);
    let why = authority.renew(&name, &old, &csr, NOW).err().unwrap();
    assert!(why.contains("revoked"), "{why}");
    assert!(authority.issued[&node].revoked.is_some(), "it stays revoked");
    // Invited anew, it has another key; the old one is of no use, the new one is.
    let (again, new) = key(&authority, &node);
    assert!(authority.issue(&again, &node, NOW).is_ok_and(|granted| granted.pinned));
    assert!(authority.renew(&name, &old, &csr, NOW).is_err());
    assert!(authority.renew(&name, &new, &again, NOW).is_ok());
}

#[test]
fn books_of_an_older_day_learn_what_was_stated_since() {
    let mut authority = authority();
    let id = |name: &str| NodeId::parse(name).unwrap();
    let name = |node: &str| NodeName::new(&id(node), &"acme.example".parse().unwrap());
    let mut keys = BTreeMap::new();
    for (node, at) in [("stolen", NOW), ("again", NOW), ("later", NOW + 900), ("out", NOW), ("good", NOW)] {
        let (csr, key) = key(&authority, &id(node));
        authority.issue(&csr, &id(node), at).unwrap();
        keys.insert(node, key);
    }
    let _ = authority.revoke(&id("out"), NOW);
    // Stated after those were issued, and before `later` was: whom the books know as good, and whom they do not know.
    let other = key(&authority, &id("again")).1;
    let list =
        [("stolen", None), ("again", Some(other)), ("later", None), ("out", Some(other)), ("new", None)];
    let list = list.into_iter().map(|(node, except)| (name(node), except)).collect();
    let _ = authority.relearn(&list, NOW + 500, NOW + 1_000);
    let want = [
        ("again", Some(other)),
        ("later", Some(keys["later"])),
        ("new", None),
        ("out", None),
        ("stolen", None),
    ];
    let revoked: Vec<_> = authority.revoked().collect();
    assert_eq!(revoked, want.map(|(node, except)| (name(node), except)));
    // The key of the older day buys no certificate any more.
    let csr = NodeKey::generate().unwrap().csr(authority.root.org(), &id("stolen")).unwrap();
    assert!(authority.renew(&name("stolen"), &keys["stolen"], &csr, NOW + 1_000).is_err());
}

#[test]
fn a_token_serves_the_key_that_it_was_first_used_with_again_and_no_other() {
    let mut authority = authority();
    let node = NodeId::parse("pi").unwrap();
    let (token, _) = authority.invite(&node, "127.0.0.1:1".into(), 600, NOW).unwrap();
    let id = hex(&token.id);
    let (csr, first) = key(&authority, &node);
    let (other, _) = key(&authority, &node);
    let mut join = |csr: &str, now| authority.join(&id, &token.secret(), csr, now);
    assert_eq!(join(&csr, NOW).unwrap().key, first);
    let why = join(&other, NOW + 1).err().unwrap();
    assert!(why.contains("used already"), "{why}");
    // The answer was lost, or the books could not be written.
    assert_eq!(join(&csr, NOW + 2).unwrap().key, first);
    assert!(join(&csr, NOW + 601).err().unwrap().contains("expired"));
    assert!(join(&other, NOW + 3).is_err());
    let _ = authority.revoke(&node, NOW + 4);
    assert!(authority.join(&id, &token.secret(), &csr, NOW + 5).is_err(), "nor after it was revoked");
}
