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
