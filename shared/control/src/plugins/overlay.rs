//! What rules change of a route. Adj-RIB-In keeps routes as they came in; what import made of them is worked out anew
//! where it is needed, which is when they are announced or explained: a stored copy would cost memory for every route.

use alloc::vec;
use alloc::vec::Vec;

use catalyst_policy::{Facts, Relation, RuleList, Set, mark_on_import};
use catalyst_route_table::Store;
use catalyst_wire::{Attrs, Limits as WireLimits, Path, Reader, Seqnos, Writer};

use crate::state::{Peer, State};

/// The facts of a route of this neighbour, as policy looks at them.
pub(crate) fn facts<'a, S: Store>(
    state: &'a State<S>,
    peer: &'a Peer,
    service: &'a str,
    attrs: &Attrs<'a>,
) -> Facts<'a> {
    Facts {
        own_org: state.settings.name.org(),
        neighbour_org: peer.config.name.org(),
        neighbour: peer.config.name.as_str(),
        relation: peer.relation,
        service,
        protocol: attrs.protocol,
        org_path: attrs.org_path,
        tags: attrs.tags,
        only_to_customer: attrs.only_to_customer,
    }
}

/// The attributes of a route as import left them: what the organisation hears of it. `scratch` holds the tags.
pub(crate) fn imported<'a, S: Store>(
    state: &'a State<S>,
    peer: Option<&'a Peer>,
    service: &'a str,
    attrs: Attrs<'a>,
    scratch: &'a mut Vec<u8>,
) -> Attrs<'a> {
    imported_by(&state.imports.list, state, peer, service, attrs, scratch)
}

/// The same under other rules.
pub(crate) fn imported_by<'a, S: Store>(
    rules: &'a RuleList,
    state: &'a State<S>,
    peer: Option<&'a Peer>,
    service: &'a str,
    attrs: Attrs<'a>,
    scratch: &'a mut Vec<u8>,
) -> Attrs<'a> {
    let Some(peer) = peer.filter(|p| p.relation.is_some_and(Relation::is_external)) else { return attrs };
    let facts = facts(state, peer, service, &attrs);
    let mark = mark_on_import(peer.relation, peer.config.name.org(), attrs.only_to_customer);
    // Numbers are of the nodes of this organisation: another one has nothing to say of them.
    let attrs = Attrs { only_to_customer: mark, seqnos: Seqnos::EMPTY, ..attrs };
    match catalyst_policy::import(rules, &facts, None) {
        Ok(accepted) => match accepted.rule {
            Some((_, rule)) if !mutant!(ImportSetUntold) => {
                changed(&rule.set, attrs, scratch).unwrap_or(attrs)
            }
            Some(_) | None => attrs,
        },
        Err(_) => attrs,
    }
}

/// Attributes with what a rule sets. Nothing when the tags would be more than a route may carry: whoever sends as many as
/// there may be must not keep off what a later rule asks for.
pub(crate) fn changed<'a>(set: &Set, attrs: Attrs<'a>, scratch: &'a mut Vec<u8>) -> Option<Attrs<'a>> {
    let attrs = Attrs { cost: set.cost.unwrap_or(attrs.cost), ..attrs };
    let kept = attrs.tags.iter().filter(|tag| !set.del_tags.takes(tag));
    let mut tags: Vec<&str> = kept.collect();
    if set.add_tags.is_empty() && tags.len() == attrs.tags.len() {
        return Some(attrs);
    }
    for tag in &set.add_tags {
        if !tags.contains(&tag.as_str()) {
            tags.push(tag.as_str());
        }
    }
    Some(Attrs { tags: path(&tags, scratch)?, ..attrs })
}

/// Texts as a list of the wire.
pub(crate) fn path<'a>(texts: &[&str], scratch: &'a mut Vec<u8>) -> Option<Path<'a>> {
    *scratch = vec![0; WireLimits::ENTRY];
    let len = {
        let mut out = Writer::new(scratch);
        out.u64(texts.len() as u64).ok()?;
        texts.iter().try_for_each(|text| out.text(text)).ok()?;
        out.written().len()
    };
    let mut reader = Reader::new(scratch.get(..len)?);
    Path::read(&mut reader, WireLimits::TAGS, WireLimits::TAG, |_| true).ok()
}
