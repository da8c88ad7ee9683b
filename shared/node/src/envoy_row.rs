//! How the program is that carries flows in this node's place, for `status`: rows, what they say to a person in few words,
//! and the next step when not all is well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The program: Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnvoyRow {
    /// `managed` or `external`.
    pub mode: String,
    /// `running`, `starting`, `backoff` or `missing`; `waiting` for one that somebody else runs and that is not there.
    pub state: String,
    /// Why it does not run; empty if it does.
    pub why: String,
    /// Seconds that it has run; 0 while it does not.
    pub since_s: u64,
    /// As it says itself: `1.40.0`.
    pub version: String,
    /// Its process, if this node runs it.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u64,
    /// Where neighbours come in.
    pub mesh: String,
    /// What neighbours are told of that; nothing if they are told nothing.
    pub address: Option<String>,
    /// Where HTTPS clients reach services by Host, if anywhere.
    pub https: Option<String>,
    /// What it is told, and what it says to that.
    pub xds: XdsRow,
    /// What it rejects; the first of them.
    pub rejected: Vec<RejectedRow>,
    /// How many there are in all.
    pub rejected_count: usize,
    /// Names that stand for no address.
    pub unresolved: Vec<UnresolvedRow>,
    /// How neighbours are reached.
    pub neighbours: Vec<NeighbourRow>,
}

/// The stream by which the program is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XdsRow {
    /// It is connected.
    pub connected: bool,
    /// All that it was told, it has answered for.
    pub settled: bool,
    /// Resources by kind: `listener`, `cluster`, and more.
    pub resources: BTreeMap<String, usize>,
    /// Answers by which it rejected something, since the node started.
    pub nacks: u64,
    /// The last of them.
    pub last_nack: Option<NackRow>,
    /// Streams that were refused: a second program, or another node's.
    pub refused: u64,
    /// Why the last one was.
    pub last_refused: Option<String>,
}

/// An answer by which something was rejected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NackRow {
    /// Of this kind.
    pub kind: String,
    /// How many resources were in question.
    pub resources: usize,
    /// In its words.
    pub reason: String,
    /// Seconds since.
    pub ago_s: u64,
}

/// Something that the program rejects. What stood there before, if anything did, stays in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RejectedRow {
    /// `listener`, `cluster`, and more.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whose it is: `service web.acme.example`, `port 127.0.0.1:8080 of web.acme.example`, `the HTTP ingress`.
    pub of: String,
    /// In the program's words.
    pub reason: String,
}

/// A name that stands for no address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnresolvedRow {
    /// Whose it is: `service web.acme.example`, `mesh port of b.acme.example`.
    pub of: String,
    /// `host:port`.
    pub name: String,
    /// What the system says.
    pub why: String,
    /// It stood for something before, and that is used on.
    pub known: bool,
}

/// How a neighbour is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NeighbourRow {
    /// Its name.
    pub name: String,
    /// `mesh`, or `tunnel` where it has no mesh port.
    pub way: String,
    /// Whether its mesh port answers the program; nothing while that is not known.
    pub healthy: Option<bool>,
}

/// What keeps a service of this node from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In words.
    pub why: String,
    /// For how many seconds.
    pub since_s: u64,
}

impl EnvoyRow {
    /// Whether it runs and hears this node.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == "running" && self.xds.connected
    }

    /// What `status` says of it: one line when all is well. `duration` writes seconds for people.
    #[must_use]
    pub fn lines(&self, duration: impl Fn(u64) -> String) -> Vec<String> {
        let mut lines = vec![self.first_line(&duration(self.since_s))];
        lines.extend(self.rejected.iter().map(|r| format!("  {}: Envoy rejects it: {}", r.of, r.reason)));
        let more = self.rejected_count.saturating_sub(self.rejected.len());
        if more > 0 {
            lines.push(format!("  and {more} more that Envoy rejects"));
        }
        lines.extend(self.unresolved.iter().map(|name| {
            let then = if name.known { "; its last addresses are used" } else { "" };
            format!("  {}: {} does not resolve: {}{then}", name.of, name.name, name.why)
        }));
        let silent = self.neighbours.iter().filter(|n| n.healthy == Some(false));
        lines.extend(silent.map(|n| format!("  {}: its mesh port does not answer", n.name)));
        if let Some(why) = &self.xds.last_refused {
            lines.push(format!("  {} Envoy(s) refused: {why}", self.xds.refused));
        }
        lines
    }

    fn first_line(&self, runs: &str) -> String {
        let mut words = vec![format!("Envoy {} ({})", self.version, self.mode).replace("  ", " ")];
        match self.state.as_str() {
            "running" => words.push(format!("running for {runs}")),
            state if self.why.is_empty() => words.push(state.to_owned()),
            state => words.push(format!("{state}: {}", self.why)),
        }
        words.extend(self.pid.map(|pid| format!("pid {pid}")));
        if self.restarts > 0 {
            words.push(format!("{} restart(s)", self.restarts));
        }
        words.push(format!("mesh on {}", self.mesh));
        words.extend(self.https.as_ref().map(|at| format!("HTTPS services by Host on {at}")));
        let by = |way: &str| self.neighbours.iter().filter(|n| n.way == way).count();
        words.push(format!("neighbours: {} by mesh, {} by tunnel", by("mesh"), by("tunnel")));
        if self.state == "running" && !self.xds.connected {
            words.push("it does not hear this node yet".to_owned());
        }
        words.join(", ")
    }

    /// What to do about it first, if there is anything.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        match self.state.as_str() {
            "missing" => return Some(format!("there is no Envoy: {}", self.why)),
            "backoff" => {
                return Some(format!("Envoy ended and is started again: {}; the log says more", self.why));
            }
            "waiting" => {
                return Some(
                    "start Envoy with what 'catalyst envoy bootstrap' prints: until then nothing is served by it"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let port = self.rejected.iter().find(|r| is_taken(&r.reason));
        if let Some(row) = port {
            return Some(format!(
                "{} cannot be opened: another program has it; stop that, or choose another port (it is tried again)",
                row.of
            ));
        }
        if let Some(row) = self.rejected.first() {
            return Some(format!("Envoy rejects what it was told of {}: {}", row.of, row.reason));
        }
        self.unresolved
            .first()
            .map(|name| format!("{}: make {} resolve, or give an address: {}", name.of, name.name, name.why))
    }
}

/// Whether a port could not be opened because another program has it.
#[must_use]
pub fn is_taken(reason: &str) -> bool {
    reason.contains("Address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> EnvoyRow {
        EnvoyRow {
            mode: "managed".into(),
            state: "running".into(),
            version: "1.40.0".into(),
            pid: Some(7),
            since_s: 3,
            mesh: "127.0.0.1:8443".into(),
            xds: XdsRow { connected: true, ..XdsRow::default() },
            ..EnvoyRow::default()
        }
    }

    fn rejected(of: &str, reason: &str) -> RejectedRow {
        RejectedRow { of: of.into(), reason: reason.into(), ..RejectedRow::default() }
    }

    fn lines(row: &EnvoyRow) -> Vec<String> {
        row.lines(|seconds| format!("{seconds} s"))
    }

    #[test]
    fn one_line_when_all_is_well() {
        let row = well();
        assert!(row.is_up());
        let line = "Envoy 1.40.0 (managed), running for 3 s, pid 7, mesh on 127.0.0.1:8443, neighbours: 0 by mesh, 0 by \
                    tunnel";
        assert_eq!(lines(&row), [line]);
        assert_eq!(row.next_step(), None);
    }

    #[test]
    fn what_does_not_run_is_said_before_what_is_rejected() {
        let mut row = well();
        row.rejected.push(rejected("service web.acme.example", "bad"));
        assert!(row.next_step().unwrap().contains("web.acme.example: bad"));
        row.rejected.push(rejected("the mesh port", "cannot bind '1:1': Address already in use"));
        assert!(row.next_step().unwrap().starts_with("the mesh port cannot be opened"), "a port comes first");
        assert_eq!(lines(&row).len(), 3);
        row.state = "missing".into();
        row.why = "no such program".into();
        assert_eq!(row.next_step().unwrap(), "there is no Envoy: no such program");
        assert!(lines(&row)[0].contains("missing: no such program"));
    }

    #[test]
    fn a_name_that_was_known_is_used_on() {
        let mut row = well();
        let of = "service db.acme.example".to_owned();
        row.unresolved.push(UnresolvedRow { of, name: "db:1".into(), why: "unknown".into(), known: true });
        assert!(lines(&row)[1].ends_with("db:1 does not resolve: unknown; its last addresses are used"));
        assert!(row.next_step().unwrap().contains("make db:1 resolve"));
    }

    #[test]
    fn rows_of_another_version_can_be_read() {
        let row: EnvoyRow = serde_json::from_str(r#"{"state":"running","new":1}"#).unwrap();
        assert_eq!(row.state, "running");
    }
}
