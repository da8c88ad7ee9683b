//! Keeps a [`Shadow`] of every neighbour of every node, and compares it with what the node holds.

use catalyst_control::{Core, Event, Notice, SessionId};
use catalyst_names::NodeName;
use catalyst_route_table::Store;
use catalyst_wire::{
    Announced, Frame, FrameType, Interest, Notify, NotifyCode, Open, Refresh, Update, WellKnown,
};

use crate::any::{AnyCore, Look, StoreKind};
use crate::conn::End;
use crate::net::Net;
use crate::row::Usable;
use crate::seen::{Name, RowsOf, SeenRoute};
use crate::shadow::{Loss, Pair, Shadows, Terms, meaning};

/// The counters of a neighbour's routes, and its session.
struct Counts<'a>(&'a NodeName);

impl Look for Counts<'_> {
    type Found = Option<(usize, usize, Option<SessionId>)>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        let peer = core.state().peer(self.0)?;
        Some((peer.routes, peer.refused.count() as usize, peer.session))
    }
}

/// How many routes a neighbour says that it refuses.
struct Heard<'a>(&'a NodeName);

impl Look for Heard<'_> {
    type Found = Option<usize>;

    fn look<S: Store>(self, core: &Core<S>) -> Self::Found {
        core.state().peer(self.0).map(|peer| peer.refused_by_peer.0 as usize)
    }
}

/// How many routes rank behind for their changes.
struct Restless;

impl Look for Restless {
    type Found = usize;

    fn look<S: Store>(self, core: &Core<S>) -> usize {
        core.state().flapping()
    }
}

fn code(last: &[u8]) -> Option<NotifyCode> {
    let frame = Frame::whole(last).ok().filter(|f| f.kind() == Ok(Some(FrameType::Notify)))?;
    Notify::read(frame.body).ok().map(|said| said.code)
}

/// The keys that an UPDATE announces.
fn announced(body: &[u8]) -> Vec<Name> {
    let Ok(update) = Update::read(body) else { return Vec::new() };
    let key = |element| match element {
        Announced::Route(entry) => Some((entry.service.to_owned(), entry.origin.to_owned())),
        Announced::Malformed { .. } | Announced::NoKey => None,
    };
    update.announced().filter_map(key).collect()
}

impl Net {
    /// A node, the other end of one of its connections, the link and the side.
    pub(crate) fn pair_of(&self, node: usize, session: SessionId) -> Option<(Pair, usize, usize)> {
        let (id, side) = self.end_of(node, session)?;
        let link = self.conns.get(&id)?.link;
        Some(((node, self.links[link].plan.ends[1 - side]), link, side))
    }

    /// A side of a link is configured so now: other terms end everything.
    fn shadow_configured(&mut self, node: usize, peer: &NodeName, configured: bool) {
        let Some(other) = self.place(peer) else { return };
        let link = self.nodes[node].links.iter().copied().find(|l| self.links[*l].plan.ends.contains(&other));
        let Some(link) = link else { return };
        let side = usize::from(self.links[link].plan.ends[1] == node);
        let config = self.links[link].plan.sides[side].clone().filter(|_| configured);
        let (own, their) = (&self.nodes[node].plan, &self.nodes[other].plan);
        let inside = own.name.org() == their.name.org();
        let agreement = config.as_ref().and_then(|side| side.agreement.as_ref());
        let party = agreement.and_then(|a| a.party(their.name.org()));
        let terms = Terms {
            inside,
            node: their.name.node().to_owned(),
            own: own.name.node().to_owned(),
            mute: !inside && agreement.is_none(),
            most: match (agreement, party) {
                (None, _) => own.limits.routes_per_peer,
                (_, party) => party.map_or(0, |party| party.max_services as usize),
            },
            most_bytes: match (agreement, party) {
                (None, _) => own.limits.bytes_per_peer,
                (_, party) => party.map_or(0, |party| party.max_bytes as usize),
            },
            stale_max: own.stale_max_ms,
            mesh: own.mesh && their.mesh,
            flap: own.flap,
        };
        let shadow = self.shadows.all.entry((node, other)).or_default();
        if !configured {
            shadow.forget_changes();
        }
        let key = config.map(|side| (side.agreement.map(|a| a.digest()), side.hold_ms));
        if shadow.config != key {
            shadow.flush();
            shadow.config = key;
        }
        shadow.terms = terms;
        self.shadows.due.insert((node, other));
    }

    /// What an event says of a neighbour's table, before its effects are carried out.
    pub(crate) fn shadow_event(&mut self, node: usize, event: &Event) {
        let now = self.clock.now();
        match event {
            Event::PeerConfigured(config) => self.shadow_configured(node, &config.name, true),
            Event::PeerRemoved(name) => self.shadow_configured(node, name, false),
            Event::PeerFrame { session, frame } => self.shadow_frame(node, *session, frame),
            Event::Tick => {
                let own = self.nodes[node].name().node().to_owned();
                self.shadows.look_again(node, &own, now);
                let Shadows { all, due, .. } = &mut self.shadows;
                for (pair, shadow) in all.range_mut((node, 0)..=(node, usize::MAX)) {
                    if shadow.lost.is_some_and(|lost| now >= lost.next()) {
                        shadow.turn(now);
                        due.insert(*pair);
                    }
                    if shadow.rest(now) {
                        due.insert(*pair);
                    }
                }
            }
            _ => {}
        }
    }

    fn shadow_frame(&mut self, node: usize, session: SessionId, frame: &[u8]) {
        let Some((pair, ..)) = self.pair_of(node, session) else { return };
        let Ok(frame) = Frame::whole(frame) else { return };
        let (room, now) = (self.room(pair), self.clock.now());
        let Some(shadow) = self.shadows.all.get(&pair) else { return };
        let current = shadow.session == Some(session.0);
        let inside = current && shadow.terms.inside;
        if let (true, Ok(Some(FrameType::Update)), Ok(update)) =
            (inside, frame.kind(), Update::read(frame.body))
        {
            let own = self.nodes[node].plan.name.node();
            self.shadows.news(node, own, &update, now);
        }
        let Shadows { all, due, .. } = &mut self.shadows;
        let Some(shadow) = all.get_mut(&pair) else { return };
        match frame.kind() {
            Ok(Some(FrameType::Open)) => {
                if let Ok(open) = Open::read(frame.body) {
                    shadow.asked.insert(session.0, u64::from(open.restart_ms));
                }
            }
            Ok(Some(FrameType::Notify)) => {
                if let Ok(said) = Notify::read(frame.body) {
                    shadow.words.insert(session.0, said.code);
                }
            }
            Ok(Some(FrameType::Update)) if current => {
                shadow.update(frame.body, room, now);
                for name in announced(frame.body) {
                    self.shadows.compare_words(pair, &name, now);
                }
                self.shadow_counted(pair);
            }
            Ok(Some(FrameType::Interest)) if current => {
                if let Ok(part) = Interest::read(frame.body) {
                    shadow.interest(&part);
                }
            }
            Ok(Some(FrameType::EndOfRib)) if current => {
                shadow.end_of_rib();
                due.insert(pair);
            }
            Ok(Some(FrameType::Refresh)) if current => match Refresh::read(frame.body) {
                Ok(Refresh::BEGIN) => {
                    shadow.refresh_begins();
                    self.refreshed(pair, false);
                }
                Ok(Refresh::END) => {
                    shadow.refresh_ends();
                    due.insert(pair);
                    self.refreshed(pair, true);
                }
                _ => {}
            },
            _ => {}
        }
    }

    /// How many routes of a neighbour the node's store has room for.
    fn room(&self, (node, peer): Pair) -> usize {
        let StoreKind::Fixed(all) = self.nodes[node].plan.store else { return usize::MAX };
        let rows = self.shadows.all.range((node, 0)..=(node, usize::MAX));
        let others: usize = rows.filter(|(pair, _)| pair.1 != peer).map(|(_, s)| s.rows.len()).sum();
        all.saturating_sub(others + self.nodes[node].services.len())
    }

    /// After each UPDATE the counters alone are compared: that is cheap.
    fn shadow_counted(&mut self, (node, peer): Pair) {
        let Some(shadow) = self.shadows.all.get(&(node, peer)) else { return };
        let name = self.nodes[peer].name();
        let counts = self.nodes[node].core.as_ref().and_then(|core| core.look(Counts(name)));
        let Some((routes, refused, session)) = counts else { return };
        // What ended with this very frame is seen when the node says so.
        let ended = session.map(|session| session.0) != shadow.session;
        if ended || self.nodes[node].core.as_ref().is_some_and(AnyCore::is_ageing) {
            self.shadows.due.insert((node, peer));
            return;
        }
        let (least, most) = (shadow.rows.len(), shadow.rows.len() + shadow.leaving.perhaps().len());
        let fits = (least..=most).contains(&routes) && refused == shadow.refused.len();
        if !fits {
            let what = format!(
                "holds {routes} routes of {name} and refused {refused}, instead of {least} to {most} and {}",
                shadow.refused.len()
            );
            self.violated(node, &what);
        }
    }

    /// A node closes a connection, with these last words or after those of the other side.
    pub(crate) fn shadow_closed(&mut self, node: usize, session: SessionId, last: &[u8]) {
        let Some((pair, ..)) = self.pair_of(node, session) else { return };
        let Shadows { all, due, .. } = &mut self.shadows;
        let Some(shadow) = all.get_mut(&pair) else { return };
        if let Some(code) = code(last) {
            shadow.words.insert(session.0, code);
        }
        let word = shadow.words.get(&session.0).copied();
        let hard = meaning(word) == Loss::Hard && word != Some(NotifyCode::LIMIT);
        // A connection that was no session yet, while there is none.
        if hard && shadow.session.is_none() && shadow.lost.is_some() {
            shadow.flush();
            due.insert(pair);
        }
    }

    /// What a node says of its sessions.
    pub(crate) fn shadow_notice(&mut self, node: usize, notice: &Notice) {
        let now = self.clock.now();
        match notice {
            Notice::PeerUp(peer, session) => {
                let Some(peer) = self.place(peer) else { return };
                let Shadows { all, due, .. } = &mut self.shadows;
                if let Some(shadow) = all.get_mut(&(node, peer)) {
                    shadow.established(session.0, now);
                    due.insert((node, peer));
                }
            }
            Notice::PeerDown(peer, _) => {
                let Some(peer) = self.place(peer) else { return };
                let Some(session) = self.shadows.all.get(&(node, peer)).and_then(|s| s.session) else {
                    return;
                };
                let others = self.connected(node, peer, session);
                let Shadows { all, due, .. } = &mut self.shadows;
                let Some(shadow) = all.get_mut(&(node, peer)) else { return };
                let loss = match meaning(shadow.words.get(&session).copied()) {
                    Loss::Moved if !others => Loss::Lost,
                    loss => loss,
                };
                shadow.lose(session, loss, now);
                due.insert((node, peer));
            }
            Notice::RefreshAsked(peer) => {
                if let Some(peer) = self.place(peer) {
                    self.refresh_asked((node, peer));
                }
            }
            Notice::NearLimit(peer) => {
                let Some(peer) = self.place(peer) else { return };
                *self.shadows.warnings.entry((node, peer)).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Whether a node has a connection with a neighbour beside this one.
    fn connected(&self, node: usize, peer: usize, but: u64) -> bool {
        let links = self.nodes[node].links.iter().filter(|l| self.links[**l].plan.ends.contains(&peer));
        links.into_iter().any(|link| {
            let side = usize::from(self.links[*link].plan.ends[1] == node);
            self.conns_of(*link).any(|(id, conn)| id != but && conn.ends[side] == End::Up)
        })
    }

    /// After an event: what was touched is compared, and the node must look at its watch in time.
    pub(crate) fn shadow_after(&mut self, node: usize) {
        let now = self.clock.now();
        if self.nodes[node].core.as_ref().is_none_or(|core| !core.is_ageing()) {
            let own = self.shadows.all.range_mut((node, 0)..=(node, usize::MAX));
            own.for_each(|(_, shadow)| shadow.leaving.walked());
        }
        let lost: Vec<Pair> = self
            .shadows
            .all
            .range((node, 0)..=(node, usize::MAX))
            .filter(|(_, shadow)| shadow.lost.is_some())
            .map(|(pair, _)| *pair)
            .collect();
        for pair in &lost {
            let alone = !self.connected(node, pair.1, u64::MAX);
            let Some(shadow) = self.shadows.all.get_mut(pair) else { continue };
            if alone && shadow.session.is_none() {
                shadow.alone(now);
            }
        }
        // What rules and phases make of its routes is seen when they are in force for all of them.
        let halfway =
            |at: &usize| self.nodes[*at].core.as_ref().is_some_and(|c| c.is_judging() || c.is_ageing());
        let due: Vec<Pair> = self.shadows.due.iter().filter(|pair| !halfway(&pair.0)).copied().collect();
        for pair in due {
            self.shadows.due.remove(&pair);
            if let Some(what) = self.unlike_shadow(pair) {
                self.violated(pair.0, &what);
            }
        }
        let own = self.shadows.all.range((node, 0)..=(node, usize::MAX)).map(|(_, shadow)| shadow);
        let next = own.flat_map(|s| [s.lost.map(|lost| lost.next()), s.rests_first()]);
        let next = next.flatten().min();
        let next = next.into_iter().chain(self.shadows.next_held(node).map(|(at, ..)| at)).min();
        let skew = self.nodes[node].plan.skew;
        let rings = self.nodes[node].core.as_ref().and_then(|core| core.next_deadline());
        if let Some(next) = next.filter(|next| rings.is_none_or(|at| at > next.max(&now) + skew)) {
            self.violated(
                node,
                &format!(
                    "does not look at its stale, restless and overtaken routes at {next} ms but at {rings:?}"
                ),
            );
        }
    }

    /// The first difference between what a node holds of a neighbour and what it must hold.
    pub(crate) fn unlike_shadow(&self, (node, peer): Pair) -> Option<String> {
        let shadow = self.shadows.all.get(&(node, peer))?;
        let (place, name) = (&self.nodes[node], self.nodes[peer].name());
        let held = place.core.as_ref()?.look(RowsOf(name))?;
        for (key, row) in &shadow.rows {
            let Some(got) = held.get(key) else {
                return Some(format!("does not hold {key:?} of {name}: {}", self.phase((node, peer))));
            };
            if got.attrs != row.attrs {
                return Some(format!("holds {key:?} of {name} with other attributes than came"));
            }
            let wanted = self.judged((node, peer), key, got);
            if got.eligible && (row.usable == Usable::No || !wanted.eligible)
                || !got.eligible && row.usable == Usable::Yes && wanted.eligible
            {
                let phase = self.phase((node, peer));
                return Some(format!("has {key:?} of {name} as eligible: {}: {phase}", got.eligible));
            }
            if got.overtaken != row.overtaken.is_some() && row.doubted.is_none() {
                return Some(format!("has {key:?} of {name} as overtaken: {}", got.overtaken));
            }
            if got.flapping != row.flapping && !shadow.is_doubted(key) {
                return Some(format!("has {key:?} of {name} as flapping: {}", got.flapping));
            }
            if got.stale != (row.stale || got.marked(WellKnown::STALE)) {
                let phase = self.phase((node, peer));
                return Some(format!("has {key:?} of {name} as stale: {}: {phase}", got.stale));
            }
        }
        let spared = |key: &Name, got: &SeenRoute| {
            let eligible = || self.judged((node, peer), key, got).eligible;
            shadow.leaving.perhaps().get(key).is_some_and(|row| row.attrs == got.attrs)
                && got.stale
                && (!got.eligible || eligible())
        };
        let mut extra = held.iter().filter(|(key, _)| !shadow.rows.contains_key(*key));
        let (extra, _) = extra.find(|(key, got)| !spared(key, got))?;
        Some(format!("holds {extra:?} of {name}, which must not be: {}", self.phase((node, peer))))
    }

    fn phase(&self, pair: Pair) -> String {
        self.shadows.all.get(&pair).map_or(String::new(), |shadow| {
            format!("session {:?}, synced {}, {:?}", shadow.session, shadow.synced, shadow.lost)
        })
    }

    /// How many warnings of a limit a node gave, and how many were due.
    pub(crate) fn warnings_fit(&self) -> Result<(), String> {
        for (pair, shadow) in &self.shadows.all {
            let given = self.shadows.warnings.get(pair).copied().unwrap_or(0);
            if given != shadow.warnings {
                let (node, peer) = (self.nodes[pair.0].name(), self.nodes[pair.1].name());
                return Err(format!("{node}: warned {given} times of {peer}, not {}", shadow.warnings));
            }
        }
        Ok(())
    }

    /// Who refuses routes has told their sender so, and how many.
    pub(crate) fn refusals_told(&self) -> Result<(), String> {
        for ((node, peer), shadow) in &self.shadows.all {
            let Some(core) = self.nodes[*peer].core.as_ref().filter(|_| shadow.session.is_some()) else {
                continue;
            };
            let heard = core.look(Heard(self.nodes[*node].name())).unwrap_or(0);
            if heard != shadow.refused.len() {
                let (node, peer) = (self.nodes[*node].name(), self.nodes[*peer].name());
                return Err(format!(
                    "{peer}: heard that {node} refuses {heard}, not {}",
                    shadow.refused.len()
                ));
            }
        }
        Ok(())
    }

    /// When the next of the routes that no session confirms, that changed too often or whose numbers were forged changes how it
    /// stands, and the last.
    pub(crate) fn stale_until(&self) -> Option<(u64, u64)> {
        let running = self.shadows.all.iter().filter(|(pair, _)| self.nodes[pair.0].core.is_some());
        let (mut next, mut last) = (u64::MAX, None);
        for (_, shadow) in running {
            let rests = shadow.rests().and_then(|(next, last)| Some((next, last?)));
            let lost = shadow.lost.map(|lost| (lost.next(), lost.next()));
            for (first, end) in rests.into_iter().chain(lost) {
                (next, last) = (next.min(first), last.max(Some(end)));
            }
        }
        // Where numbers were forged, what they hid comes back in time.
        if let Some((first, end)) = self.held_until().filter(|_| self.misnumbered) {
            (next, last) = (next.min(first), last.max(Some(end)));
        }
        // A node's own services change too often, too: nobody but itself knows when they rest.
        for node in self.nodes.iter().filter(|node| node.plan.flap.changes > 0) {
            if node.core.as_ref().is_some_and(|core| core.look(Restless) > 0) {
                let at = self.now() + node.plan.flap.rest_ms;
                (next, last) = (next.min(at), last.max(Some(at)));
            }
        }
        last.map(|last| (next, last))
    }
}
