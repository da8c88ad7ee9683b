//! Law: the modules of a crate use each other in one direction.
//!
//! Two files that need each other are one subject in two files, or hide a third that both should use.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Result;

use super::fault::{Fault, Verdict};
use crate::cargo;
use crate::module_tree::{Edge, ModuleTree};
use crate::repo::Repo;

pub fn run(repo: &Repo) -> Result<Verdict> {
    let read = |path: &str| repo.read(path).ok();
    let mut faults = Vec::new();
    for package in cargo::metadata(repo)?.members() {
        for target in package.targets.iter().filter(|target| matches!(target.kind.as_str(), "lib" | "bin")) {
            let tree = ModuleTree::load(&repo.relative(&target.root), &read);
            faults.extend(check(&tree.edges()));
        }
    }
    Ok(faults.into())
}

/// One fault for each knot of files that lead back to each other, with its shortest circle.
fn check(edges: &[Edge]) -> Vec<Fault> {
    let mut from: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in edges {
        from.entry(&edge.from).or_default().push(edge);
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut faults = Vec::new();
    for file in from.keys().copied() {
        if done.contains(file) {
            continue;
        }
        let Some(circle) = shortest_circle(file, &from) else { continue };
        let steps: Vec<String> = circle
            .iter()
            .map(|edge| format!("{}:{} names {} ({})", edge.from, edge.line, edge.to, edge.path))
            .collect();
        let first = circle.first().map_or(0, |edge| edge.line);
        faults.push(Fault::new(
            format!("{file}:{first}"),
            format!("a circle of modules: {}", steps.join("; ")),
            "move what both need into a module of its own that neither is named by, or pass it as an argument",
        ));
        done.extend(circle.iter().map(|edge| edge.from.as_str()));
    }
    faults
}

fn shortest_circle<'a>(start: &str, from: &BTreeMap<&str, Vec<&'a Edge>>) -> Option<Vec<&'a Edge>> {
    let mut came_by: BTreeMap<&str, &'a Edge> = BTreeMap::new();
    let mut queue = VecDeque::from([start.to_owned()]);
    while let Some(file) = queue.pop_front() {
        for edge in from.get(file.as_str()).into_iter().flatten() {
            if came_by.contains_key(edge.to.as_str()) {
                continue;
            }
            came_by.insert(&edge.to, edge);
            if edge.to == start {
                let mut circle = vec![*edge];
                while let Some(last) = circle.last().filter(|last| last.from != start) {
                    circle.push(came_by.get(last.from.as_str())?);
                }
                circle.reverse();
                return Some(circle);
            }
            queue.push_back(edge.to.clone());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(pairs: &[(&str, &str)]) -> Vec<Edge> {
        let edge = |(from, to): &(&str, &str)| Edge {
            from: (*from).to_owned(),
            to: (*to).to_owned(),
            line: 7,
            path: format!("crate::{to}"),
        };
        pairs.iter().map(edge).collect()
    }

    #[test]
    fn one_direction_passes() {
        assert_eq!(check(&edges(&[("a", "b"), ("b", "c"), ("a", "c")])), []);
    }

    #[test]
    fn two_that_name_each_other_fail_once() {
        let faults = check(&edges(&[("a", "b"), ("b", "a"), ("c", "a")]));
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].place, "a:7");
        assert!(faults[0].what.contains("a:7 names b (crate::b); b:7 names a (crate::a)"));
    }

    #[test]
    fn a_long_way_round_fails() {
        let faults = check(&edges(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b"), ("x", "y"), ("y", "x")]));
        assert_eq!(faults.len(), 2);
        assert!(faults[0].what.contains("d:7 names b"));
    }

    #[test]
    fn a_crate_with_a_circle_fails() {
        let read = |path: &str| {
            let text = match path {
                "src/lib.rs" => "mod open;\nmod close;\n",
                "src/open.rs" => "use crate::close::Close;\npub struct Open(Close);\n",
                "src/close.rs" => "pub struct Close;\npub fn f() { super::open::Open; }\n",
                _ => return None,
            };
            Some(text.to_owned())
        };
        let faults = check(&ModuleTree::load("src/lib.rs", &read).edges());
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].place, "src/close.rs:2");
    }
}
