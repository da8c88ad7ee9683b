//! The authority's side of an enrolment: the conversation is a task of its own, the decision is the engine's.

use std::collections::BTreeSet;

use async_channel::{Sender, bounded};
use catalyst_config::nearest;
use catalyst_identity::{JoinSecret, JoinToken, key_of};
use catalyst_names::{NodeId, NodeName, ServiceName};
use catalyst_route_table::Store as RouteStore;
use catalyst_transport::{EnrolError, EnrolStream};
use tracing::{info, warn};

use crate::admin::Answer;
use crate::authority::Authority;
use crate::caller::Caller;
use crate::cut_off;
use crate::engine::{Engine, Outcome};
use crate::enrolment::{Enrol, Greeting, Question, Reply, VERSION, secret};
use crate::limits::Limits;
use crate::peers::PeerSpec;
use crate::serve::{Ask, Asked};

/// The disk of the authority is full.
const UNWRITTEN: &str = "the authority cannot write down that it gave out a certificate, so it gives none: see 'status' there; when its disk is well \
     again the same token will do";

/// What a conversation begins with.
pub(crate) struct Desk {
    pub(crate) bundle: String,
    pub(crate) now: u64,
}

/// One conversation, to its end.
pub(crate) async fn converse(stream: EnrolStream, desk: Desk, engine: Sender<Asked>) {
    let remote = stream.remote();
    match talk(stream, desk, &engine).await {
        Ok(()) => {}
        Err(error) => tracing::debug!(%remote, %error, "an enrolment broke off"),
    }
}

async fn talk(mut stream: EnrolStream, desk: Desk, engine: &Sender<Asked>) -> Result<(), EnrolError> {
    let broken = |e: serde_json::Error| EnrolError::Lost(e.to_string());
    let greeting = Greeting { v: VERSION, bundle: desk.bundle, now: desk.now };
    stream.write(&serde_json::to_vec(&greeting).map_err(broken)?).await?;
    let question = stream.read().await?;
    let reply = match serde_json::from_slice::<Question>(&question) {
        Ok(question) if question.v == VERSION => {
            let key = stream.chain().first().and_then(|leaf| key_of(leaf).ok());
            let peer = stream.peer().zip(key);
            match ask(Enrol { question, peer }, engine).await {
                Ok(reply) => reply,
                // Without an answer: a node that is refused throws away the key for which the token counts as used.
                Err(why) => {
                    stream.broken_off(why);
                    return Err(EnrolError::Lost(why.to_string()));
                }
            }
        }
        Ok(question) => Reply::refused(format!("version {} is not spoken here; use {VERSION}", question.v)),
        // What it was is not repeated: it may hold a secret.
        Err(_) => Reply::refused("this is not a question of an enrolment".to_string()),
    };
    if reply.chain.is_some() {
        stream.served();
    }
    stream.write(&serde_json::to_vec(&reply).map_err(broken)?).await?;
    stream.answered().await;
    Ok(())
}

/// The answer; or why there is none, though the question was a good one.
async fn ask(enrol: Enrol, engine: &Sender<Asked>) -> Result<Reply, &'static str> {
    let stopping = || Reply::refused("the authority is stopping; try again".to_string());
    let (reply, result) = bounded(1);
    if engine
        .send(Asked { ask: Ask::Enrol(Box::new(enrol)), reply, caller: Caller::default() })
        .await
        .is_err()
    {
        return Ok(stopping());
    }
    Ok(match result.recv().await {
        Ok(Ok(Answer::Enrolled(reply))) => reply,
        Ok(Ok(Answer::Unwritten { .. })) => return Err(UNWRITTEN),
        Ok(Ok(_)) | Err(_) => stopping(),
        Ok(Err(why)) => Reply::refused(why),
    })
}

impl<S: RouteStore> Engine<S> {
    /// What a new conversation needs; `None` where no certificates are issued.
    pub(crate) fn desk(&self) -> Option<Desk> {
        let authority = self.authority.as_ref()?;
        Some(Desk { bundle: authority.bundle_pem(), now: self.clocks.now().wall })
    }

    fn no_authority() -> String {
        "this node issues no certificates: ask the one whose configuration has 'authority.root'".to_string()
    }

    /// Decides about a question of a node that wants a certificate.
    pub(crate) fn enrol(&mut self, enrol: &Enrol) -> Outcome {
        let now = self.clocks.now().wall;
        let Some(authority) = &mut self.authority else { return Outcome::Done(Err(Self::no_authority())) };
        let Enrol { question, peer } = enrol;
        let granted = match (&question.token, peer) {
            (Some(proof), _) => match secret(&proof.secret) {
                Some(bytes) => authority.join(&proof.id, &JoinSecret::from_bytes(bytes), &question.csr, now),
                None => Err("the token's secret has another form".to_string()),
            },
            (None, Some((peer, key))) => authority.renew(peer, key, &question.csr, now),
            (None, None) => Err("without a certificate a node needs a join token".to_string()),
        };
        let granted = match granted {
            Ok(granted) => granted,
            Err(why) => {
                authority.refuse();
                if self.facts.may_log(self.clocks.now().mono) {
                    let who =
                        peer.as_ref().map_or_else(|| "a node".to_string(), |(name, _)| name.to_string());
                    warn!(who, why, "a certificate was refused");
                }
                return Outcome::Done(Err(why));
            }
        };
        let name = NodeName::new(&granted.node, &self.facts.config.org);
        let joined = question.token.is_some();
        if granted.pinned
            && let Err(error) = self.facts.trust.revoke(&name, Some(granted.key))
        {
            return Outcome::Done(Err(error.to_string()));
        }
        let mut write = granted.write;
        if granted.pinned {
            write = write.with(self.state_revoked());
        }
        if joined && self.core.state().peer(&name).is_none() {
            let spec = PeerSpec {
                node: granted.node.clone(),
                org: self.facts.config.org.clone(),
                address: None,
                profile: None,
                transport: None,
                #[cfg(feature = "mesh")]
                restart_s: None,
                bundle: None,
                agreement: None,
            };
            match self.peer_taken(spec) {
                Ok(more) => write = write.with(more),
                Err(why) => return Outcome::Done(Err(why)),
            }
        }
        info!(node = %name, joined, "a certificate was issued");
        let own = self.core.state().settings().name.clone();
        let reply = Reply { v: VERSION, chain: Some(granted.chain), node: Some(own), error: None };
        Outcome::Write(write, Answer::Enrolled(reply))
    }

    /// Makes an invitation.
    pub(crate) fn invite(&mut self, node: &NodeId, ttl_s: u64, address: Option<String>) -> Outcome {
        let now = self.clocks.now().wall;
        let config = &self.facts.config;
        let named = address.or_else(|| config.authority.address.as_ref().map(ToString::to_string));
        let listen = config.listen.filter(|l| !l.ip().is_unspecified());
        let Some(authority) = &mut self.authority else { return Outcome::Done(Err(Self::no_authority())) };
        let Some(address) = named.or_else(|| listen.map(|_| self.transport.local_addr().to_string())) else {
            return Outcome::Done(Err(
                "where will the new node find this one? Give '--address HOST:PORT', or set 'authority.address'"
                    .to_string(),
            ));
        };
        if let Err(why) = catalyst_config::HostPort::parse(&address) {
            return Outcome::Done(Err(format!("the address '{address}' is not usable: {why}")));
        }
        let ttl_s = ttl_s.clamp(1, Limits::INVITE_TTL_S);
        match authority.invite(node, address.clone(), ttl_s, now) {
            Ok((token, write)) => {
                let JoinToken { node, expires, .. } = token.clone();
                let token = token.to_text().to_string();
                Outcome::Write(write, Answer::Invitation { token, node, expires, address })
            }
            Err(why) => Outcome::Done(Err(why)),
        }
    }

    /// The books.
    pub(crate) fn nodes(&self) -> Result<Answer, String> {
        let authority = self.authority.as_ref().ok_or_else(Self::no_authority)?;
        Ok(Answer::Nodes(authority.rows(self.clocks.now().wall)))
    }

    /// What to say of a node of this organisation that nobody has heard of: a typing mistake in the name would leave the
    /// node that is meant where it is. `None`: the books, a neighbour or a route know it.
    fn unknown(&self, authority: &Authority, name: &NodeName) -> Option<String> {
        let config = &self.facts.config;
        let peers = config.peers.iter().filter(|p| p.org == config.org).map(|p| p.node.as_str());
        if authority.known().map(NodeId::as_str).chain(peers.clone()).any(|known| known == name.node()) {
            return None;
        }
        // Origins of other organisations are no names of nodes; paths end at the border.
        let mut routes = self.core.state().route_rows();
        routes.retain(|r| r.service.parse::<ServiceName>().is_ok_and(|s| s.org() == config.org.as_str()));
        let seen = routes.iter().flat_map(|r| r.node_path.iter().chain([&r.origin])).map(String::as_str);
        let known: BTreeSet<&str> = authority.known().map(NodeId::as_str).chain(peers).chain(seen).collect();
        if known.contains(name.node()) {
            return None;
        }
        let meant = match nearest(name.node(), known.into_iter()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => "'catalyst node ls' lists whom it has heard of.".to_string(),
        };
        Some(format!(
            "unknown node '{name}': it was not invited here, and no neighbour and no route has its name; {meant} \
             With --force it is revoked all the same: for one whose certificate was signed elsewhere, or before the \
             books of this authority were lost"
        ))
    }

    /// Cuts a node off: its certificates are refused, and its sessions and flows end now.
    pub(crate) fn revoke(&mut self, node: &NodeId, force: bool) -> Outcome {
        let now = self.clocks.now().wall;
        if *node == self.facts.config.node {
            return Outcome::Done(Err(
                "this is the node itself: it cannot revoke its own certificate".to_string()
            ));
        }
        let name = NodeName::new(node, &self.facts.config.org);
        let Some(authority) = &self.authority else { return Outcome::Done(Err(Self::no_authority())) };
        if !force && let Some(why) = self.unknown(authority, &name) {
            return Outcome::Done(Err(why));
        }
        let Some(authority) = &mut self.authority else { return Outcome::Done(Err(Self::no_authority())) };
        if let Err(error) = self.facts.trust.revoke(&name, None) {
            return Outcome::Done(Err(error.to_string()));
        }
        let mut write = authority.revoke(node, now);
        if self.core.state().peer(&name).is_some() {
            match self.peer_gone(&name, &cut_off::revoked(&name)) {
                Ok(more) => write = write.with(more),
                Err(why) => return Outcome::Done(Err(why)),
            }
        }
        write = write.with(self.state_revoked());
        warn!(node = %name, "a node was revoked; its sessions are cut");
        match self.nodes() {
            Ok(answer) => Outcome::Write(write, answer),
            Err(why) => Outcome::Done(Err(why)),
        }
    }
}
