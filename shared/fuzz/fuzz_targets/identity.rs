//! Certificates, keys, requests, bundles and tokens.
#![no_main]

use std::sync::LazyLock;

use catalyst_identity::{
    Credentials, Fingerprint, JoinToken, NodeKey, OrgRoot, TrustBundle, peer_name, validity,
};

static ROOT: LazyLock<(OrgRoot, NodeKey)> = LazyLock::new(|| {
    let org = "acme.example".parse().expect("a name");
    (OrgRoot::generate(&org, 1_800_000_000).expect("a root"), NodeKey::generate().expect("a key"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = peer_name(&[bytes.to_vec().into()]);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (root, key) = &*ROOT;
    if let Ok(bundle) = TrustBundle::from_pem(text) {
        let again =
            TrustBundle::from_pem(&bundle.to_pem()).expect("a bundle that was read is written to be read");
        assert_eq!(again.fingerprint(), bundle.fingerprint());
    }
    if let Ok(token) = JoinToken::from_text(text) {
        assert_eq!(token.to_text().as_str(), text.trim());
    }
    let _ = NodeKey::from_pem(text);
    let _ = OrgRoot::from_pem(text, text);
    let _ = Credentials::from_pem(text, key);
    let _ = validity(text);
    let _ = text.parse::<Fingerprint>();
    let _ = root.sign_csr(text, None, 1_800_000_000, 60);
});
