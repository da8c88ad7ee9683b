//! What can be wrong with a key, a certificate, a bundle or a peer, in words that a person can act on.

use std::sync::Arc;

use catalyst_names::{NameError, NodeName, OrgId};

use crate::date::Date;

/// Why a key, certificate, request, bundle or peer was refused. Never holds key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A text that is no PEM.
    #[error(
        "the {what} cannot be read as PEM: {reason}; it must hold blocks that begin with '-----BEGIN {label}-----'"
    )]
    Pem {
        /// Which text: "trust bundle", "certificate", "private key", ...
        what: &'static str,
        /// The PEM label expected in it.
        label: &'static str,
        /// What the PEM reader found.
        reason: String,
    },
    /// A text without the block that it must have.
    #[error("the {what} holds no '-----BEGIN {label}-----' block; is this the right file?")]
    Missing {
        /// Which text.
        what: &'static str,
        /// The PEM label expected in it.
        label: &'static str,
    },
    /// A block of another kind than the text should hold.
    #[error("the {what} holds a {found}, which does not belong there; remove that block")]
    Foreign {
        /// Which text.
        what: &'static str,
        /// The block that does not belong there.
        found: &'static str,
    },
    /// Over one of [`crate::Limits`].
    #[error("the {what} has {size} {unit}, more than the limit of {max}")]
    TooMuch {
        /// Which text or list.
        what: &'static str,
        /// How much there is.
        size: usize,
        /// Of what: "bytes", "certificates", "roots".
        unit: &'static str,
        /// The limit.
        max: usize,
    },
    /// A private key that is not an unencrypted PKCS#8 key on P-256.
    #[error(
        "the private key is not an unencrypted PKCS#8 key on curve P-256 ({reason}); convert it with \
         'openssl pkcs8 -topk8 -nocrypt', or make a new one"
    )]
    Key {
        /// What the key reader said.
        reason: String,
    },
    /// A block that is labelled as a certificate or a request and is none.
    #[error("the {what} is damaged: {reason}; get a fresh copy from its source")]
    Damaged {
        /// Which thing.
        what: &'static str,
        /// What does not parse.
        reason: String,
    },
    /// A certificate and a key that were not made for each other.
    #[error(
        "the certificate of {name} was not issued for this private key; use the key that its signing request was made with"
    )]
    KeyMismatch {
        /// What the certificate is for.
        name: String,
    },
    /// A root that cannot be a root.
    #[error("this certificate cannot be an organisation's root: {reason}")]
    NotARoot {
        /// What it lacks.
        reason: String,
    },
    /// Roots of several organisations in one bundle.
    #[error("the trust bundle holds roots of {first} and of {second}; make one bundle for each organisation")]
    MixedBundle {
        /// The organisation of the first root.
        first: Box<OrgId>,
        /// Another one.
        second: Box<OrgId>,
    },
    /// No room for another organisation.
    #[error(
        "the trust store already holds {max} organisations, its limit; remove one or raise the limit before adding {org}"
    )]
    StoreFull {
        /// The organisation that found no room.
        org: Box<OrgId>,
        /// The limit.
        max: usize,
    },
    /// A date or lifetime that no certificate can carry.
    #[error("cannot issue a certificate: {reason}")]
    Lifetime {
        /// What is wrong with it.
        reason: String,
    },
    /// A request that its own key did not sign.
    #[error(
        "the signing request was not signed by the key it names; make a new request on the node that holds the key"
    )]
    CsrSignature,
    /// A request for a key of another kind.
    #[error(
        "the signing request is for a key that is not on curve P-256; make the node's key with this program"
    )]
    CsrKey,
    /// A request whose names cannot be granted.
    #[error(
        "the signing request asks for {found}; it must ask for exactly one name, 'spiffe://{org}/node/NAME'"
    )]
    CsrName {
        /// The organisation that was asked to sign.
        org: Box<OrgId>,
        /// What it asks for.
        found: String,
    },
    /// A request for another node than the one that was invited.
    #[error(
        "the signing request is for node {found}, but {expected} was expected; enrol each node with its own invitation"
    )]
    CsrUnexpected {
        /// The node that was expected.
        expected: String,
        /// The node that asked.
        found: String,
    },
    /// No certificate, or none that names anybody.
    #[error("the peer presented no certificate; both ends of a peering need a node certificate")]
    NoCertificate,
    /// A certificate without exactly one SPIFFE ID.
    #[error(
        "the certificate carries {count} URI names instead of exactly one SPIFFE ID; issue it as 'spiffe://ORG/node/NAME'"
    )]
    NoSpiffeId {
        /// How many URI names it carries.
        count: usize,
    },
    /// A URI name that is no SPIFFE ID of this system.
    #[error("the certificate's name is not one this system uses: {0}")]
    BadSpiffeId(#[from] NameError),
    /// A certificate that names a service where a node must be.
    #[error("the certificate names '{spiffe}', which is not a node; peers must present a node certificate")]
    NotANode {
        /// The SPIFFE ID as text.
        spiffe: String,
    },
    /// A text that is no usable join token. Never quotes it.
    #[error("this is not a usable join token: {reason}")]
    Token {
        /// What is wrong.
        reason: String,
    },
    /// Somebody else answers at the address of a join token.
    #[error(
        "the node at the token's address does not belong to {org} as the token has it: its roots are others; \
         nothing was sent to it. Ask for a new token, and check the address"
    )]
    WrongAuthority {
        /// The organisation of the token.
        org: Box<OrgId>,
    },
    /// A peer whose key was revoked.
    #[error(
        "the certificate of {name} was revoked by its organisation; it needs a new invitation ('catalyst node invite')"
    )]
    Revoked {
        /// The peer.
        name: Box<NodeName>,
    },
    /// A peer of an organisation without a bundle here.
    #[error("{name} belongs to {}, whose trust bundle this node does not have; add the bundle of {} first", .name.org(), .name.org())]
    UnknownOrganisation {
        /// The peer, as its certificate claims.
        name: Box<NodeName>,
    },
    /// A certificate past its end.
    #[error(
        "the certificate of {name} expired at {not_after} (this node's clock: {now}); renew it on {name}, and check both clocks"
    )]
    Expired {
        /// Whose certificate.
        name: Box<NodeName>,
        /// Its end.
        not_after: Date,
        /// The time used.
        now: Date,
    },
    /// A certificate before its start.
    #[error(
        "the certificate of {name} is valid only from {not_before}, but this node's clock says {now}; \
         set the clock of this node, or of the node that issued the certificate"
    )]
    NotYetValid {
        /// Whose certificate.
        name: Box<NodeName>,
        /// Its start.
        not_before: Date,
        /// The time used.
        now: Date,
    },
    /// A certificate that no root of its organisation signed.
    #[error(
        "the certificate of {name} was not signed by any root that this node holds for {}; \
         compare the fingerprints of the bundle with that organisation, and update it if they changed their root", .name.org()
    )]
    WrongSignature {
        /// The peer, as its certificate claims.
        name: Box<NodeName>,
    },
    /// An intermediate that may not issue for this name.
    #[error(
        "the certificate of {name} was issued by '{issuer}', which may not issue for it; renew it with the organisation's own issuer"
    )]
    WrongIssuer {
        /// The peer, as its certificate claims.
        name: Box<NodeName>,
        /// What the intermediate is called.
        issuer: String,
    },
    /// Any other fault of a chain.
    #[error("the certificate chain of {name} is not acceptable: {reason}")]
    Chain {
        /// The peer, as its certificate claims.
        name: Box<NodeName>,
        /// What the chain verifier said.
        reason: String,
    },
    /// A fault of the crypto library itself.
    #[error("the crypto library refused to {doing}: {reason}")]
    Crypto {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        reason: String,
    },
}

impl IdentityError {
    /// Wraps the error for rustls, so that its message survives into the handshake error.
    pub(crate) fn into_tls(self) -> rustls::Error {
        // The peer is told by an alert of its own, so that its operator knows what to do.
        if matches!(self, IdentityError::Revoked { .. }) {
            return rustls::Error::InvalidCertificate(rustls::CertificateError::Revoked);
        }
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(rustls::OtherError(Arc::new(
            Refusal(self),
        ))))
    }

    /// Finds the reason of this crate's verifier in a handshake error, if it was the verifier that refused the peer.
    #[must_use]
    pub fn from_tls(error: &rustls::Error) -> Option<&IdentityError> {
        match error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                other.0.downcast_ref::<Refusal>().map(|r| &r.0)
            }
            _ => None,
        }
    }
}

/// rustls prints a verifier's own error with `Debug`; this prints it in words there.
#[derive(thiserror::Error)]
#[error("{0}")]
struct Refusal(IdentityError);

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}
