//! What a node must hold of one neighbour, worked out anew from the frames that reached it, the sessions that it had and
//! the time: routes that came and went, those that no session confirms any more, and those that a limit refuses.
//!
//! It shares no code with the core, and is compared with it whenever something of the neighbour's table ends: a session,
//! a telling, a phase of staleness, an epoch. What the core does piece by piece is done here at once; what may be seen of the
//! difference is in `leaving.rs`.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_control::Flap;
use catalyst_wire::{Announced, Attrs, Interest, NotifyCode, Update, WellKnown, Withdrawn};

use crate::leaving::Leaving;
use crate::numbers::{HELD_DOWN, Newest};
use crate::row::{Row, Usable};
use crate::seen::Name;

/// No neighbour is granted a longer restart time, in milliseconds.
const LONGEST_RESTART: u64 = 3_600_000;

/// How a session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Another connection takes over.
    Moved,
    /// Out of reach.
    Lost,
    /// For good.
    Hard,
}

/// What a NOTIFY means for the routes of its sender and of its receiver.
pub(crate) fn meaning(code: Option<NotifyCode>) -> Loss {
    match code.map_or("", NotifyCode::as_str) {
        "unconfigured-peer" | "wrong-identity" | "agreement-mismatch" | "shutdown" | "peer-removed"
        | "limit" => Loss::Hard,
        "superseded" | "collision" => Loss::Moved,
        _ => Loss::Lost,
    }
}

/// Since when the neighbour is lost, and what follows. Moments are of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) since: u64,
    /// Past the restart time.
    pub(crate) long: bool,
    restart: u64,
    kept_until: u64,
    until: u64,
    sweep_at: Option<u64>,
    path_lost: bool,
}

impl Lost {
    /// When something changes with its routes.
    pub(crate) fn next(&self) -> u64 {
        let turn = match self.sweep_at {
            Some(at) => at,
            None if self.long => self.until,
            None => self.kept_until,
        };
        turn.min(self.until)
    }
}

/// What does not change: who holds whose routes, and under which terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The neighbour is of the same organisation.
    pub(crate) inside: bool,
    /// Its name without the organisation.
    pub(crate) node: String,
    /// The name of the node that holds its routes.
    pub(crate) own: String,
    /// Nothing can be exchanged: of another organisation, and there is no agreement.
    pub(crate) mute: bool,
    /// Routes that may be held.
    pub(crate) most: usize,
    /// Bytes of attributes.
    pub(crate) most_bytes: usize,
    /// How long unconfirmed routes are kept at most.
    pub(crate) stale_max: u64,
    /// Both ends have a mesh port.
    pub(crate) mesh: bool,
    /// When a route changes too often.
    pub(crate) flap: Flap,
}

/// When a route has changed of late.
#[derive(Clone, Debug, Default)]
struct Changed {
    times: Vec<u64>,
    gone: bool,
    demoted: bool,
    /// It is not known whether the last of them count: the route may have been on its way out.
    doubted: bool,
}

/// What one node must hold of one neighbour.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shadow {
    pub(crate) terms: Terms,
    /// How the neighbour is configured: the agreement's digest and the hold time.
    pub(crate) config: Option<(Option<[u8; 32]>, u32)>,
    pub(crate) rows: BTreeMap<Name, Row>,
    /// What went, and may not be gone.
    pub(crate) leaving: Leaving,
    /// When the neighbour took back, at last, a way that led straight to the service's home, or over a border, or was stale; or told
    /// one that leads back here.
    pub(crate) taken_back: BTreeMap<Name, u64>,
    /// What it told once, did not tell again, and has not told since.
    pub(crate) untold: BTreeSet<Name>,
    /// What the neighbour wants to hear of, as far as it has said; everything without a list.
    pub(crate) wants: Option<Vec<String>>,
    /// A list of which the end has not come.
    wanted: Vec<String>,
    /// The established session, as the node itself says.
    pub(crate) session: Option<u64>,
    /// When the last of them ended.
    pub(crate) ended: Option<u64>,
    pub(crate) synced: bool,
    pub(crate) lost: Option<Lost>,
    flaps: BTreeMap<Name, Changed>,
    telling: u32,
    refreshing: bool,
    /// What the neighbour asked for in OPEN, and the last words said or heard, by connection.
    pub(crate) asked: BTreeMap<u64, u64>,
    pub(crate) words: BTreeMap<u64, NotifyCode>,
    /// What is refused of this telling now.
    pub(crate) refused: BTreeSet<Name>,
    /// Warnings that were due since the beginning, and whether one stands.
    pub(crate) warnings: u64,
    warned: bool,
}

fn read(attrs: &[u8]) -> Attrs<'_> {
    Attrs::read(attrs).unwrap_or_default()
}

impl Shadow {
    /// Routes and bytes of attributes: of this telling, and in all.
    fn used(&self) -> [(usize, usize); 2] {
        let sum = |rows: &mut dyn Iterator<Item = &Row>| {
            rows.fold((0, 0), |(count, bytes), row| (count + 1, bytes + row.attrs.len()))
        };
        let confirmed = sum(&mut self.rows.values().filter(|row| row.telling == self.telling));
        [confirmed, sum(&mut self.rows.values())]
    }

    /// Whether this share of a limit is used, in percent.
    fn fills(&self, percent: usize) -> bool {
        let ([(count, used), _], bytes) = (self.used(), self.terms.most_bytes);
        count * 100 >= self.terms.most * percent || bytes < usize::MAX && used * 100 >= bytes * percent
    }

    /// Whether there is no room for a route, by the agreement or in the store. What has yet to be confirmed may take as
    /// much room as the limit once more.
    fn is_over(&self, key: &Name, len: usize, room: usize) -> bool {
        let old = self.rows.get(key);
        let known = old.filter(|row| row.telling == self.telling).map(|row| row.attrs.len());
        let stands = old.map(|row| row.attrs.len());
        let ([(count, bytes), (all, all_bytes)], most, most_bytes) =
            (self.used(), self.terms.most, self.terms.most_bytes);
        known.is_none() && count >= most
            || bytes - known.unwrap_or(0) + len > most_bytes
            || stands.is_none() && all >= room.min(most.saturating_mul(2))
            || all_bytes - stands.unwrap_or(0) + len > most_bytes.saturating_mul(2)
    }

    /// What is wrong with an entry by itself.
    fn malformed(&self, attrs: &Attrs<'_>) -> bool {
        match self.terms.inside {
            true => attrs.node_path.first() != Some(&self.terms.node),
            false => !attrs.node_path.is_empty(),
        }
    }

    /// The neighbour has said this of a route, or withdrawn it. Whether it ranks behind.
    fn changes(&mut self, key: &Name, attrs: Option<&[u8]>, left: Option<&Row>, now: u64) -> bool {
        let flap = self.terms.flap;
        let old = self.rows.get(key).map(|row| row.attrs.as_slice());
        let known = self.flaps.get(key);
        let doubted = left.is_some_and(|left| Some(left.attrs.as_slice()) != attrs);
        // What was never there has not changed.
        let new = old.is_none() && !known.is_some_and(|known| known.gone) && !doubted;
        if old == attrs && !doubted || new || flap.changes == 0 {
            return known.is_some_and(|known| known.demoted);
        }
        let changed = self.flaps.entry(key.clone()).or_default();
        changed.doubted |= doubted;
        changed.gone = attrs.is_none();
        changed.times.push(now);
        let recent = changed.times.iter().filter(|at| now - **at < flap.window_ms).count();
        changed.demoted |= recent > flap.changes as usize;
        changed.demoted
    }

    /// When a route that changed of late is forgotten, or ranks as before.
    fn rests_at(&self, changed: &Changed) -> u64 {
        let flap = self.terms.flap;
        let rest = match changed.doubted {
            true => flap.rest_ms.max(flap.window_ms),
            false if changed.demoted => flap.rest_ms,
            false => flap.window_ms,
        };
        changed.times.last().copied().unwrap_or(0) + rest
    }

    /// When the next does of which it is known.
    pub(crate) fn rests_first(&self) -> Option<u64> {
        let known = self.flaps.values().filter(|changed| !changed.doubted);
        known.map(|changed| self.rests_at(changed)).min()
    }

    /// Whether it is not known if a route ranks behind.
    pub(crate) fn is_doubted(&self, key: &Name) -> bool {
        self.flaps.get(key).is_some_and(|changed| changed.doubted)
    }

    /// When the next does, and the last of those that rank behind.
    pub(crate) fn rests(&self) -> Option<(u64, Option<u64>)> {
        let next = self.flaps.values().map(|changed| self.rests_at(changed)).min()?;
        let behind = self.flaps.values().filter(|changed| changed.demoted || changed.doubted);
        Some((next, behind.map(|changed| self.rests_at(changed)).max()))
    }

    /// Routes that have been at rest for long enough rank as before. Whether there were any.
    pub(crate) fn rest(&mut self, now: u64) -> bool {
        let rested = self.flaps.iter().filter(|(_, changed)| self.rests_at(changed) <= now);
        let rested: Vec<Name> = rested.map(|(key, _)| key.clone()).collect();
        for key in &rested {
            self.flaps.remove(key);
            if let Some(row) = self.rows.get_mut(key) {
                row.flapping = false;
            }
        }
        !rested.is_empty()
    }

    /// The neighbour takes a route away.
    fn withdraw(&mut self, key: &Name, now: u64) {
        self.refused.remove(key);
        let left = self.leaving.told(key);
        self.changes(key, None, left.as_ref(), now);
        self.loses(key, now, left.as_ref());
        self.remove(key);
    }

    /// What the neighbour said of a key is no longer so: it may have led straight to the service's home, or be stale.
    fn loses(&mut self, key: &Name, now: u64, left: Option<&Row>) {
        let home_lost = |row: &Row| {
            let attrs = read(&row.attrs);
            let straight = attrs.node_path.iter().nth(1).is_none_or(|home| home == key.1);
            straight || row.stale || attrs.well_known.has(WellKnown::STALE)
        };
        if self.rows.get(key).or(left).is_some_and(home_lost) {
            self.taken_back.insert(key.clone(), now);
        }
    }

    fn remove(&mut self, key: &Name) {
        if self.rows.remove(key).is_some() && self.warned {
            self.warned = self.fills(70);
        }
    }

    /// An UPDATE came in the established session; so many routes of it have room here.
    pub(crate) fn update(&mut self, body: &[u8], room: usize, now: u64) {
        let Ok(update) = Update::read(body) else { return };
        for element in update.announced() {
            match element {
                Announced::Route(entry) => {
                    let key = (entry.service.to_owned(), entry.origin.to_owned());
                    if self.terms.mute || self.malformed(&entry.attrs) {
                        self.withdraw(&key, now);
                        continue;
                    }
                    if self.is_over(&key, entry.raw.len(), room) {
                        self.remove(&key);
                        self.leaving.told(&key);
                        self.refused.insert(key);
                        continue;
                    }
                    self.refused.remove(&key);
                    self.untold.remove(&key);
                    // What leads back here is no way: what was one before is lost.
                    if entry.attrs.node_path.contains(&self.terms.own) {
                        self.loses(&key, now, None);
                    }
                    let left = self.leaving.told(&key);
                    let flapping = self.changes(&key, Some(entry.raw), left.as_ref(), now);
                    let (attrs, telling) = (entry.raw.to_vec(), self.telling);
                    // The same word again is no newer than before.
                    let same = self.rows.get(&key).filter(|row| row.attrs == attrs);
                    let overtaken = same.and_then(|row| row.overtaken);
                    let left = left.filter(|left| left.attrs == attrs);
                    let left = left.filter(|left| left.overtaken.is_some() || left.doubted.is_some());
                    let doubted = same.and_then(|row| row.doubted).or(left.map(|_| now + HELD_DOWN));
                    let (stale, usable) = (false, Usable::Yes);
                    let row = Row { attrs, telling, stale, usable, flapping, overtaken, doubted };
                    self.rows.insert(key, row);
                    if !self.warned && self.fills(80) {
                        self.warned = true;
                        self.warnings += 1;
                    }
                }
                Announced::Malformed { service, origin, .. } => {
                    self.withdraw(&(service.to_owned(), origin.to_owned()), now);
                }
                Announced::NoKey => {}
            }
        }
        for element in update.withdrawn() {
            if let Withdrawn::Key { service, origin } = element {
                self.withdraw(&(service.to_owned(), origin.to_owned()), now);
            }
        }
    }

    /// Everything that this telling of the table did not confirm goes.
    fn sweep(&mut self) {
        let gone: Vec<Name> = self
            .rows
            .iter()
            .filter(|(_, row)| row.telling != self.telling)
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            let row = self.rows.get(&key).cloned();
            self.remove(&key);
            self.untold.insert(key.clone());
            row.into_iter().for_each(|row| self.leaving.goes(key.clone(), row, false));
        }
        self.leaving.sweep();
        self.lost = None;
    }

    /// The neighbour has told its table.
    pub(crate) fn end_of_rib(&mut self) {
        self.synced = true;
        self.sweep();
    }

    /// The neighbour tells its table once more.
    pub(crate) fn refresh_begins(&mut self) {
        if self.synced {
            self.telling += 1;
            self.refused.clear();
            self.refreshing = true;
        }
    }

    /// It has done so.
    pub(crate) fn refresh_ends(&mut self) {
        if std::mem::take(&mut self.refreshing) {
            self.sweep();
        }
    }

    /// A part of what the neighbour wants to hear of.
    pub(crate) fn interest(&mut self, part: &Interest<'_>) {
        self.wanted.extend(part.patterns().map(str::to_owned));
        if !part.more {
            self.wants = Some(std::mem::take(&mut self.wanted)).filter(|_| !part.all);
        }
    }

    /// A session is established.
    pub(crate) fn established(&mut self, session: u64, now: u64) {
        (self.wants, self.wanted) = (None, Vec::new());
        (self.session, self.synced, self.refreshing) = (Some(session), false, false);
        if let Some(lost) = &mut self.lost {
            lost.sweep_at = Some(now + lost.restart);
            lost.path_lost = false;
            self.leaving.returns();
            let dark = self.rows.values_mut().filter(|row| row.usable == Usable::No);
            dark.for_each(|row| row.usable = Usable::Either);
        }
        self.turn(now);
    }

    /// The established session is gone.
    pub(crate) fn lose(&mut self, session: u64, loss: Loss, now: u64) {
        let asked = self.asked.get(&session).copied().unwrap_or(0).min(LONGEST_RESTART);
        let restart = asked.min(self.terms.stale_max);
        (self.session, self.synced, self.refreshing) = (None, false, false);
        self.ended = Some(now);
        self.refused.clear();
        self.warned = false;
        self.telling += 1;
        let until = now + self.terms.stale_max;
        let kept_until = now + restart;
        let fresh =
            Lost { since: now, long: false, restart, kept_until, until, sweep_at: None, path_lost: false };
        let lost = self.lost.get_or_insert(fresh);
        // A second loss prolongs nothing, and what the neighbour asks for since may be less.
        lost.restart = lost.restart.min(restart);
        lost.kept_until = lost.kept_until.min(kept_until);
        lost.sweep_at = None;
        lost.path_lost |= loss != Loss::Moved;
        if loss == Loss::Hard || lost.restart == 0 {
            return self.flush();
        }
        self.age();
        self.turn(now);
    }

    /// The last connection is gone, established or not.
    pub(crate) fn alone(&mut self, now: u64) {
        if let Some(lost) = self.lost.as_mut().filter(|lost| !lost.path_lost && lost.sweep_at.is_none()) {
            lost.path_lost = true;
            self.age();
            self.turn(now);
        }
    }

    /// The neighbour is configured no longer.
    pub(crate) fn forget_changes(&mut self) {
        self.flaps.clear();
    }

    /// Nothing may stay.
    pub(crate) fn flush(&mut self) {
        for (key, row) in std::mem::take(&mut self.rows) {
            self.leaving.goes(key, row, false);
        }
        self.leaving.sweep();
        self.lost = None;
    }

    /// What has to change with time changes.
    pub(crate) fn turn(&mut self, now: u64) {
        while let Some(lost) = self.lost.as_mut().filter(|lost| now >= lost.next()) {
            if !lost.long && lost.sweep_at.is_none() && now < lost.until {
                lost.long = true;
                self.age();
            } else {
                self.sweep();
            }
        }
    }

    /// What becomes of unconfirmed routes in the phase that has begun.
    fn age(&mut self) {
        let Some(lost) = self.lost else { return };
        let (telling, mesh) = (self.telling, self.terms.mesh);
        let dark = |row: &Row| {
            lost.path_lost && (!mesh || read(&row.attrs).protocol == catalyst_names::Protocol::Udp)
        };
        let closed = |row: &Row| read(&row.attrs).well_known.has(WellKnown::FAIL_CLOSED);
        if lost.long {
            if lost.path_lost {
                self.leaving.parts();
            }
            let goes = |_: &Name, row: &mut Row| row.telling != telling && (dark(row) || closed(row));
            for (key, row) in self.rows.extract_if(.., goes) {
                let spared = !closed(&row);
                self.leaving.goes(key, row, spared);
            }
        }
        for row in self.rows.values_mut().filter(|row| row.telling != telling) {
            row.stale |= lost.long;
            if !lost.long {
                row.usable = if dark(row) { Usable::No } else { row.usable };
            }
        }
    }
}

/// A node and one of its neighbours, by their places.
pub(crate) type Pair = (usize, usize);

/// All shadows, and those that are to be compared.
#[derive(Debug, Default)]
pub(crate) struct Shadows {
    pub(crate) all: BTreeMap<Pair, Shadow>,
    pub(crate) due: BTreeSet<Pair>,
    /// What news told each node of a key.
    pub(crate) words: BTreeMap<(usize, Name), Newest>,
    /// Overtaken rows: the node, until when it does not look at them, the neighbour and the key.
    pub(crate) held: BTreeSet<(usize, u64, usize, Name)>,
    /// Warnings of limits that were given.
    pub(crate) warnings: BTreeMap<Pair, u64>,
}

impl Shadows {
    /// A node is gone, and with it what it held.
    pub(crate) fn forget(&mut self, node: usize) {
        self.all.retain(|(holder, _), _| *holder != node);
        self.words.retain(|(holder, _), _| *holder != node);
        self.held.retain(|(holder, ..)| *holder != node);
        self.warnings.retain(|(holder, _), _| *holder != node);
    }
}
