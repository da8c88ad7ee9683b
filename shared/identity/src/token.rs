//! The one-time token with which a new node joins: who it will be, whom to ask, whom to trust, and the secret that proves
//! the invitation.
//!
//! ```text
//! "cn1." base64url( version u8 = 1 | issued u64 | expires u64 | id 8 bytes | secret 32 bytes
//!                   | roots u8, 32 bytes each | org, node, address: length u8 and text | check 4 bytes )
//! ```
//! Numbers are big-endian, times seconds since 1970 UTC. The check is the start of SHA-256 over what comes before it: it
//! tells a cut or mistyped token from a forged one. Whoever holds the token can become the node: it is a secret.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use catalyst_names::{NodeId, OrgId};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::limits::Limits;

const PREFIX: &str = "cn1.";
const VERSION: u8 = 1;
const CHECK: usize = 4;

/// An invitation, as the authority hands it out. Its `Debug` never shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// The organisation to join.
    pub org: OrgId,
    /// Who the new node will be.
    pub node: NodeId,
    /// `host:port` of the node that issued it.
    pub address: String,
    /// The roots of the organisation, [`Limits::TOKEN_ROOTS`] at most: nobody else may answer.
    pub roots: Vec<Fingerprint>,
    /// When it was made: no clock of the joining node may be earlier.
    pub issued: u64,
    /// Until when it may be used.
    pub expires: u64,
    /// Which invitation it is.
    pub id: [u8; 8],
    secret: Zeroizing<[u8; 32]>,
}

/// What the new node shows to prove that it holds the token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinSecret(Zeroizing<[u8; 32]>);

impl JoinSecret {
    /// What the authority keeps of it. The secret has 256 random bits: its hash needs neither salt nor stretching.
    #[must_use]
    pub fn hash(&self) -> Fingerprint {
        Fingerprint::of(self.0.as_slice())
    }

    /// For the wire.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the wire.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        JoinSecret(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(..)")
    }
}

fn bad(reason: &str) -> IdentityError {
    IdentityError::Token { reason: reason.to_owned() }
}

impl JoinToken {
    /// Makes a new invitation with a secret of its own.
    ///
    /// # Errors
    /// When the system has no randomness, or a field does not fit.
    pub fn generate(
        org: OrgId,
        node: NodeId,
        address: String,
        roots: Vec<Fingerprint>,
        issued: u64,
        expires: u64,
    ) -> Result<Self, IdentityError> {
        if address.len() > usize::from(u8::MAX) || roots.is_empty() || roots.len() > Limits::TOKEN_ROOTS {
            return Err(bad("its address is too long, or it has no root or too many"));
        }
        let (mut id, mut secret) = ([0; 8], Zeroizing::new([0; 32]));
        let random = SystemRandom::new();
        random.fill(&mut id).and_then(|()| random.fill(secret.as_mut_slice())).map_err(|_| {
            IdentityError::Crypto { doing: "make a token", reason: "the system has no randomness".to_owned() }
        })?;
        Ok(JoinToken { org, node, address, roots, issued, expires, id, secret })
    }

    /// The secret.
    #[must_use]
    pub fn secret(&self) -> JoinSecret {
        JoinSecret(self.secret.clone())
    }

    /// The text that is handed over.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![VERSION]);
        bytes.extend(self.issued.to_be_bytes());
        bytes.extend(self.expires.to_be_bytes());
        bytes.extend(self.id);
        bytes.extend(self.secret.iter());
        // Lengths were checked, or are those of names.
        bytes.push(u8::try_from(self.roots.len()).unwrap_or(0));
        self.roots.iter().for_each(|root| bytes.extend(root.0));
        for text in [self.org.as_str(), self.node.as_str(), &self.address] {
            bytes.push(u8::try_from(text.len()).unwrap_or(0));
            bytes.extend(text.as_bytes());
        }
        let check = Fingerprint::of(&bytes);
        bytes.extend(check.0.iter().take(CHECK));
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice())))
    }

    /// Reads a token; white space around it does no harm.
    ///
    /// # Errors
    /// Whether it is no token at all, was cut or mistyped, or is of a later version.
    pub fn from_text(text: &str) -> Result<Self, IdentityError> {
        let text = text.trim();
        if text.len() > Limits::TOKEN {
            return Err(bad("it is far too long"));
        }
        let Some(text) = text.strip_prefix(PREFIX) else {
            return Err(bad("it does not begin with 'cn1.'"));
        };
        let damaged = || bad("it was cut or mistyped: copy it again, in one piece");
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?);
        let (body, check) = bytes.split_last_chunk::<CHECK>().map(|(b, c)| (b, *c)).ok_or_else(damaged)?;
        if !Fingerprint::of(body).0.starts_with(&check) {
            return Err(damaged());
        }
        let mut reader = Reader(body);
        if reader.byte() != Some(VERSION) {
            return Err(bad("it is of a later version: update this node"));
        }
        Self::fields(&mut reader).ok_or_else(damaged)
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Self> {
        let issued = u64::from_be_bytes(reader.array()?);
        let expires = u64::from_be_bytes(reader.array()?);
        let id = reader.array()?;
        let secret = Zeroizing::new(reader.array()?);
        let count = usize::from(reader.byte()?);
        if count == 0 || count > Limits::TOKEN_ROOTS {
            return None;
        }
        let roots = (0..count).map(|_| reader.array().map(Fingerprint)).collect::<Option<Vec<_>>>()?;
        let org = OrgId::parse(reader.text()?).ok()?;
        let node = NodeId::parse(reader.text()?).ok()?;
        let address = reader.text()?.to_owned();
        Some(JoinToken { org, node, address, roots, issued, expires, id, secret })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.byte()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("org", &self.org)
            .field("node", &self.node)
            .field("address", &self.address)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
