//! What does not fit is refused by name, and what was there stays.

use super::make::*;
use crate::error::Reason;
use crate::kind::Kind;
use crate::limits::Limits;
use crate::resource::Resource;
use crate::snapshot::{Changes, Snapshot};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;

fn apply(snapshot: &mut Snapshot, changes: Changes) -> (Vec<String>, Vec<(String, Reason)>) {
    let mut changed = Vec::new();
    let refused = match snapshot.apply(changes, |change| changed.push(change.name.to_string())) {
        Ok(()) => Vec::new(),
        Err(full) => full.refused.into_iter().map(|(_, name, reason)| (name, reason)).collect(),
    };
    (changed, refused)
}

fn large(name: &str, bytes: usize) -> Resource {
    Resource::cluster(&Cluster { name: name.into(), alt_stat_name: "x".repeat(bytes), ..Cluster::default() })
}

#[test]
fn new_names_beyond_the_limit_are_refused_and_changes_are_taken() {
    let mut snapshot = Snapshot::new(Limits { resources: 2, ..Limits::CLOUD });
    let (changed, refused) =
        apply(&mut snapshot, set([fixed("a", 0), fixed("b", 0), fixed("c", 0), scope("s", "a")]));
    assert_eq!(changed, ["a", "b", "s"]);
    assert_eq!(refused, [("c".to_owned(), Reason::Resources(2))]);
    // Removals make room for what is set with them.
    let mut changes = set([fixed("a", 1), fixed("c", 0)]);
    changes.remove.push((Kind::Cluster, "b".into()));
    assert_eq!(apply(&mut snapshot, changes), (vec!["b".into(), "a".into(), "c".into()], vec![]));
}

#[test]
fn bytes_are_bounded_for_one_and_for_all() {
    let mut snapshot = Snapshot::new(Limits { total_bytes: 3_000, ..Limits::CLOUD });
    let (changed, refused) =
        apply(&mut snapshot, set([large("a", 1_000), large("b", 1_000), large("c", 1_000)]));
    assert_eq!((changed.len(), refused), (2, vec![("c".to_owned(), Reason::TotalBytes(3_000))]));
    // The old one stays where the new one does not fit, and a smaller one does.
    let (changed, refused) = apply(&mut snapshot, set([large("a", 2_000)]));
    assert!(changed.is_empty() && refused.len() == 1);
    assert_eq!(snapshot.get(Kind::Cluster, "a").unwrap().version(), large("a", 1_000).version());
    assert_eq!(apply(&mut snapshot, set([large("a", 10), large("c", 1_000)])).1, []);

    let mut snapshot = Snapshot::new(Limits::CLOUD);
    let (_, refused) = apply(&mut snapshot, set([large("a", Limits::RESOURCE_BYTES)]));
    assert!(matches!(refused[..], [(_, Reason::TooLarge(_))]), "{refused:?}");
    let long = "x".repeat(Limits::NAME_BYTES + 1);
    let (_, refused) = apply(&mut snapshot, set([fixed("", 0), fixed(&long, 0)]));
    assert!(matches!(refused[..], [(_, Reason::Name(0)), (_, Reason::Name(_))]), "{refused:?}");
}

#[test]
fn where_what_says_who_may_does_not_fit_the_old_one_goes_at_once() {
    let (narrow, wide) = (filter("list", 0), |bytes: usize| scope("web", &"x".repeat(bytes)));
    let mut snapshot = Snapshot::new(Limits { total_bytes: 3_000, ..Limits::CLOUD });
    apply(&mut snapshot, set([narrow, wide(500), listener("mesh", 0), fixed("a", 0)]));
    let mut gone = Vec::new();
    let full = snapshot.apply(set([wide(4_000)]), |c| gone.push((c.name.to_string(), c.gone, c.urgent)));
    assert!(full.is_err());
    assert_eq!(gone, [("web".to_owned(), true, true)]);
    assert!(snapshot.get(Kind::Scope, "web").is_none());
    assert_eq!(apply(&mut snapshot, set([wide(500)])), (vec!["web".into()], vec![]), "there is room");
}

#[test]
fn what_is_equal_or_not_there_is_no_change() {
    let mut snapshot = Snapshot::new(Limits::CLOUD);
    apply(&mut snapshot, set(service("web")));
    let (changed, _) = apply(&mut snapshot, set(service("web")));
    assert!(changed.is_empty());
    assert!(apply(&mut snapshot, remove(&[(Kind::Cluster, "none")])).0.is_empty());
}

#[test]
fn the_message_says_how_many_which_and_why() {
    let mut snapshot = Snapshot::new(Limits { resources: 0, ..Limits::CLOUD });
    let many = (0..100).map(|n| fixed(&format!("c{n}"), 0));
    let full = snapshot.apply(set(many), |_| ()).unwrap_err();
    assert_eq!((full.count, full.refused.len()), (100, Limits::LISTED));
    let text = full.to_string();
    assert!(
        text.contains("100 resources") && text.contains("cluster \"c0\"") && text.contains("already 0"),
        "{text}"
    );
}
