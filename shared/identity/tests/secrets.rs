//! Private keys appear in no message and no debug print.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use catalyst_identity::{Credentials, DEFAULT_LEAF_SECS, NodeKey, client_config, server_config};
use common::{NOW, TestClock, node, root, verifier};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

/// The ways in which a careless print could show a key: any eight bytes in a row of the private scalar.
fn shown(text: &str, key_pem: &str) -> Option<String> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
    let der = der.secret_pkcs8_der();
    // In PKCS#8 of a P-256 key the scalar is the 32 bytes after OCTET STRING (04 20).
    let at = der.windows(2).position(|w| w == [0x04, 0x20]).unwrap() + 2;
    let scalar = &der[at..at + 32];
    let body: String = key_pem.lines().filter(|l| !l.starts_with('-')).collect();
    let list = |of: &[u8], f: fn(&u8) -> String| of.iter().map(f).collect::<Vec<_>>();
    let mut needles = vec![];
    for w in scalar.windows(8) {
        needles.push(list(w, |b| b.to_string()).join(", "));
        needles.push(list(w, |b| b.to_string()).join(",\n"));
        needles.push(list(w, |b| format!("{b:02x}")).concat());
        needles.push(list(w, |b| format!("{b:02X}")).join(":"));
    }
    // The same text as in a pretty print, whose lines are indented.
    let flat: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The first base64 characters are the fixed header of PKCS#8; the scalar starts after 48.
    needles.extend(body.as_bytes()[48..90].windows(10).map(|w| String::from_utf8(w.to_vec()).unwrap()));
    needles.into_iter().find(|n| text.contains(n.as_str()) || flat.contains(n.as_str()))
}

#[test]
fn the_search_itself_finds_a_key() {
    let key = NodeKey::generate().unwrap();
    let pem = key.to_pem();
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes()).unwrap();
    let der = der.secret_pkcs8_der();
    let hex: String = der.iter().map(|b| format!("{b:02x}")).collect();
    for leak in [pem.expose().to_owned(), format!("{der:?}"), format!("{der:#?}"), hex] {
        assert!(shown(&leak, pem.expose()).is_some(), "{leak}");
    }
    assert_eq!(shown("NodeKey(P-256, ..)", pem.expose()), None);
}

#[test]
fn debug_prints_show_no_key() {
    let acme = root("acme.example");
    let key = NodeKey::generate().unwrap();
    let csr = key.csr(acme.org(), &node("edge-1")).unwrap();
    let cert = acme.sign_csr(&csr, None, NOW, DEFAULT_LEAF_SECS).unwrap();
    let credentials = Credentials::from_pem(&cert, &key).unwrap();
    let (_, judge) = verifier(&[&acme], TestClock::at(NOW));
    let server = server_config(&credentials, &judge, &[b"x"]).unwrap();
    let client = client_config(&credentials, &judge, &[b"x"], false).unwrap();
    let prints = [
        format!("{key:?} {key:#?}"),
        format!("{:?} {:#?}", key.to_pem(), key.to_pem()),
        format!("{credentials:?} {credentials:#?}"),
        format!("{server:?} {server:#?}"),
        format!("{client:?} {client:#?}"),
        format!("{judge:?} {judge:#?}"),
        csr,
        cert,
    ];
    for text in prints {
        assert_eq!(shown(&text, key.to_pem().expose()), None, "in {text}");
    }
    for text in [format!("{acme:?} {acme:#?}"), format!("{:?}", acme.key_pem()), acme.certificate_pem()] {
        assert_eq!(shown(&text, acme.key_pem().expose()), None, "in {text}");
    }
    assert_eq!(format!("{:?}", key.to_pem()), "SecretPem(..)");
}

#[test]
fn errors_about_damaged_key_files_do_not_quote_them() {
    let key = NodeKey::generate().unwrap();
    let pem = key.to_pem().expose().to_owned();
    let damaged = [
        pem.replace('\n', "\\n"),
        pem.replace('\n', " "),
        pem.replace('\n', ""),
        pem.replace("-----END", "----END"),
        pem.replace("KEY-----\n", "KEY-----"),
        pem[..pem.len() / 2].to_owned(),
        pem.replacen('M', "!", 1),
        pem.replace("PRIVATE KEY", "CERTIFICATE"),
        pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        pem.replacen("MIGH", "MIGG", 1),
    ];
    for text in damaged {
        let why = NodeKey::from_pem(&text).unwrap_err();
        let said = format!("{why} {why:?} {why:#?}");
        assert_eq!(shown(&said, &pem), None, "for {text}: {said}");
        // The bytes of a quoted line, too.
        assert!(!said.contains("45, 45, 45"), "for {text}: {said}");
    }
}
