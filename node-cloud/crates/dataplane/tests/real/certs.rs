//! Certificates and TLS clients of people who are not who they should be.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use catalyst_dataplane::Identity;
use catalyst_identity::OrgRoot;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use time::{Duration, OffsetDateTime};

use crate::lab::PATIENCE;

/// A certificate under this root with any names, valid until so long from now.
pub fn odd(root: &OrgRoot, uris: &[&str], lasts: Duration) -> Identity {
    let mut of_root = rcgen::CertificateParams::default();
    of_root.distinguished_name = rcgen::DistinguishedName::new();
    of_root.distinguished_name.push(rcgen::DnType::CommonName, root.org().as_str());
    let root_key = rcgen::KeyPair::from_pem(root.key_pem().expose()).unwrap();
    let issuer = rcgen::Issuer::from_params(&of_root, &root_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names =
        uris.iter().map(|uri| rcgen::SanType::URI((*uri).try_into().unwrap())).collect();
    params.not_before = OffsetDateTime::now_utc() - Duration::days(2);
    params.not_after = OffsetDateTime::now_utc() + lasts;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth, rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = params.signed_by(&key, &issuer).unwrap();
    Identity { chain: leaf.pem(), key: key.serialize_pem() }
}

/// A connection with TLS 1.3 that has sent its certificate, if it has one. Whether that was taken shows the first read.
pub fn tls(
    at: SocketAddr,
    identity: Option<&Identity>,
    alpn: &[&str],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    tls_to(at, None, identity, alpn)
}

/// The same for somebody who asks for a server name.
pub fn tls_to(
    at: SocketAddr,
    server_name: Option<String>,
    identity: Option<&Identity>,
    alpn: &[&str],
) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match identity {
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let by_address = ServerName::IpAddress(at.ip().into());
    let name = server_name.map_or(by_address, |name| name.try_into().unwrap());
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    while client.is_handshaking() {
        client.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(client, stream))
}

/// What a server says to a client of TLS 1.2 (RFC 5246, section 7.4.1.2): the type of its first record and what is in it.
pub fn hello_of_1_2(at: SocketAddr) -> (u8, Vec<u8>) {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xC0, 0x2B, 0xC0, 0x2F, 1, 0]);
    let extensions: [&[u8]; 4] = [
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 6, 0, 4, 4, 3, 8, 4],
        // ALPN: h2.
        &[0, 16, 0, 5, 0, 3, 2, b'h', b'2'],
    ];
    let extensions = extensions.concat();
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let mut all = vec![22, 3, 1];
    all.extend(u16::try_from(hello.len() + 4).unwrap().to_be_bytes());
    all.push(1);
    all.extend(&u32::try_from(hello.len()).unwrap().to_be_bytes()[1..]);
    all.extend(hello);
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&all).unwrap();
    let mut head = [0; 5];
    stream.read_exact(&mut head).unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).unwrap();
    (head[0], body)
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
