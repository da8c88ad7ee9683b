//! Lies about the numbers of words: frames with numbers that no node gave, and news of them.

use catalyst_wire::{
    Attrs, HEADER, Limits as WireLimits, Overtaken, Seqno, UpdateWriter, Writer, attr, update::write_entry,
    update::write_overtaken,
};

use crate::any::StoreKind;
use crate::lies::{frames, names, path};
use crate::net::Net;
use crate::numbers::said;

/// Higher than anybody counts in a run.
const HIGH: u32 = 4_000_000_000;
/// Routes that are told with forged numbers, or of which there is news, at a time.
const MOST: usize = 60;

/// Attributes with nothing but these numbers.
fn numbers(list: &[(u32, u32)]) -> Vec<u8> {
    let (mut value, mut buf) = (vec![0; 1_024], vec![0; 1_024]);
    let mut inner = Writer::new(&mut value);
    let _ = inner.u64(list.len() as u64);
    for (run, count) in list {
        let _ = inner.raw(&run.to_be_bytes()).and_then(|()| inner.u64(u64::from(*count)));
    }
    let mut out = Writer::new(&mut buf);
    let _ = out.u64(u64::from(attr::kind::SEQNOS)).and_then(|()| out.u8(1));
    let _ = out.bytes(inner.written());
    out.written().to_vec()
}

impl Net {
    /// What this side of a link has told in truth, with numbers that are too high; of a liar of another organisation, a
    /// route with as many numbers as there may be.
    pub(crate) fn forged_numbers(
        &self,
        link: usize,
        side: usize,
        outside: Option<(&str, &[u8])>,
    ) -> Vec<Vec<u8>> {
        let mut buf = vec![0; 8_192];
        if let Some((service, orgs)) = outside {
            // The fixed store has no room for so many.
            let listener = &self.nodes[self.links[link].plan.ends[1 - side]];
            let most = if listener.plan.store == StoreKind::Heap { WireLimits::NODE_PATH } else { 4 };
            let numbers = numbers(&vec![(1, HIGH); most]);
            let seqnos = Attrs::read(&numbers).unwrap_or_default().seqnos;
            let attrs = Attrs { org_path: path(orgs), seqnos, ..Attrs::default() };
            let entry = write_entry(&mut buf, service, "lie", &attrs).map(<[u8]>::to_vec);
            return frames(&entry.into_iter().collect::<Vec<_>>(), &[]);
        }
        let told = self.whole(link, side).and_then(|session| self.conns.get(&session.0));
        let told = told.map(|conn| &conn.flows[side].watch.announced);
        let mut entries = Vec::new();
        for ((service, origin), raw) in told.into_iter().flatten().take(MOST) {
            let high: Vec<(u32, u32)> = said(raw).iter().map(|(_, run, _)| (*run, HIGH)).collect();
            let numbers = numbers(&high);
            let seqnos = Attrs::read(&numbers).unwrap_or_default().seqnos;
            let attrs = Attrs { seqnos, ..Attrs::read(raw).unwrap_or_default() };
            entries.extend(write_entry(&mut buf, service, origin, &attrs).map(<[u8]>::to_vec));
        }
        frames(&entries, &[])
    }

    /// As inside, but each path leads back through the listener.
    pub(crate) fn forged_returns(&self, link: usize, side: usize) -> Vec<Vec<u8>> {
        let listener = self.nodes[self.links[link].plan.ends[1 - side]].name().node();
        let told = self.whole(link, side).and_then(|session| self.conns.get(&session.0));
        let told = told.map(|conn| &conn.flows[side].watch.announced);
        let mut entries = Vec::new();
        let mut buf = vec![0; 8_192];
        for ((service, origin), raw) in told.into_iter().flatten().take(MOST) {
            let words = said(raw);
            let Some((liar, rest)) = words.split_first() else { continue };
            let back = (listener.to_owned(), 1, 1);
            let through: Vec<_> = [liar, &back].into_iter().chain(rest).collect();
            let nodes: Vec<&str> = through.iter().map(|(node, ..)| node.as_str()).collect();
            let high: Vec<(u32, u32)> = through.iter().map(|(_, run, _)| (*run, HIGH)).collect();
            let (nodes, numbers) = (names(&nodes), numbers(&high));
            let seqnos = Attrs::read(&numbers).unwrap_or_default().seqnos;
            let attrs = Attrs { seqnos, node_path: path(&nodes), ..Attrs::read(raw).unwrap_or_default() };
            entries.extend(write_entry(&mut buf, service, origin, &attrs).map(<[u8]>::to_vec));
        }
        frames(&entries, &[])
    }

    /// News that all nodes of all paths which the other side holds have said something newer.
    pub(crate) fn forged_news(&self, link: usize, side: usize) -> Vec<Vec<u8>> {
        let listener = self.links[link].plan.ends[1 - side];
        let own = self.nodes[listener].name().node();
        let (mut buf, mut element) = (vec![0; HEADER + WireLimits::FRAME_BODY], [0; 512]);
        let Ok(mut out) = UpdateWriter::new(&mut buf) else { return Vec::new() };
        let shadows = self.shadows.all.range((listener, 0)..=(listener, usize::MAX));
        let rows = shadows.flat_map(|(_, shadow)| &shadow.rows);
        let words = rows.flat_map(|((service, origin), row)| {
            said(&row.attrs).into_iter().map(move |(node, run, _)| (service, origin, node, run))
        });
        for (service, origin, node, run) in words.filter(|(.., node, _)| node != own).take(MOST) {
            let news = Overtaken { service, origin, node: &node, seqno: Seqno { run, count: HIGH } };
            let _ = write_overtaken(&mut element, &news).and_then(|element| out.overtake(element));
        }
        out.finish().map(<[u8]>::to_vec).into_iter().collect()
    }
}
