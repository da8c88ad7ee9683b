//! How many lines of the log a neighbour may cause: what it sends is its choice, and the disk is ours.

use catalyst_control::Notice;
use catalyst_names::NodeName;

use crate::limits::Limits;

/// Lines in the time at hand, when that ends, and how many were left out of it.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    until: u64,
    said: u32,
    left_out: u32,
}

/// The lines that neighbours have caused of late.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    of: Vec<(NodeName, Lines)>,
}

/// Who causes a notice at will: by what it sends in a session, or by connecting and going again.
fn causer(notice: &Notice) -> Option<&NodeName> {
    match notice {
        Notice::PeerUp(peer, _)
        | Notice::PeerDown(peer, _)
        | Notice::SessionEnded(peer, ..)
        | Notice::NotifiedBy(peer, ..)
        | Notice::MalformedRoute(peer, _)
        | Notice::RefusedBy(peer, ..)
        | Notice::Refusing(peer, _)
        | Notice::NearLimit(peer) => Some(peer),
        _ => None,
    }
}

impl Talk {
    /// Whether a notice may have a line now, by the monotonic clock; then also how many of this neighbour's were left out
    /// before.
    pub(crate) fn may(&mut self, notice: &Notice, mono: u64) -> Option<u32> {
        let Some(peer) = causer(notice) else { return Some(0) };
        let mut left_out = 0;
        let known = self.of.iter().position(|(name, _)| name == peer);
        let place = known.unwrap_or_else(|| {
            self.of.retain(|(_, lines)| mono < lines.until);
            if self.of.len() >= Limits::TALKERS {
                self.of.remove(0);
            }
            self.of.push((peer.clone(), Lines::default()));
            self.of.len() - 1
        });
        let (_, lines) = self.of.get_mut(place)?;
        if mono >= lines.until {
            left_out = lines.left_out;
            *lines = Lines { until: mono.saturating_add(Limits::PEER_LINES_MS), ..Lines::default() };
        }
        if lines.said >= Limits::PEER_LINES {
            lines.left_out = lines.left_out.saturating_add(1);
            return None;
        }
        lines.said += 1;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_that_talks_much_is_cut_short_and_others_are_not() {
        let malformed = |peer: &str| Notice::MalformedRoute(peer.parse().unwrap(), "x".into());
        let mut talk = Talk::default();
        let refused = Notice::RefusedBy("b.acme.example".parse().unwrap(), 1, "full".into());
        let lines = |talk: &mut Talk, at| {
            (0..1_000).filter(|_| talk.may(&malformed("b.acme.example"), at).is_some()).count()
        };
        assert_eq!(lines(&mut talk, 5), Limits::PEER_LINES as usize);
        assert_eq!(talk.may(&refused, 6), None, "another kind is no way around");
        assert_eq!(talk.may(&malformed("c.acme.example"), 6), Some(0));
        assert_eq!(talk.may(&Notice::PluginConflict("x".into()), 6), Some(0));
        let later = 5 + Limits::PEER_LINES_MS;
        assert_eq!(talk.may(&refused, later - 1), None);
        assert_eq!(talk.may(&refused, later), Some(1_000 - Limits::PEER_LINES + 2));
        assert_eq!(talk.may(&refused, later), Some(0));
        // Nor is a connection that comes only to be ended.
        let ended = Notice::NotifiedBy(
            "e.acme.example".parse().unwrap(),
            catalyst_wire::NotifyCode(4),
            "so".into(),
            String::new(),
        );
        let said = (0..1_000).filter(|_| talk.may(&ended, later).is_some()).count();
        assert_eq!(said, Limits::PEER_LINES as usize);
        let ended = Notice::SessionEnded(
            "e.acme.example".parse().unwrap(),
            catalyst_wire::NotifyCode(4),
            "so".into(),
        );
        assert_eq!(talk.may(&ended, later), None);
        // Who is silent is forgotten.
        assert!(talk.may(&malformed("d.acme.example"), later * 10).is_some());
        assert_eq!(talk.of.len(), 1);
    }
}
