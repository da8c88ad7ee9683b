//! Shapes of networks: who is linked with whom.

use crate::rng::Rng;

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One after the other.
    Line,
    /// A line that closes.
    Ring,
    /// Edges around one node.
    Star,
    /// A ring of some, and everyone else at two of them.
    DualHomed,
    /// A full mesh of some, and stars of edges around each of them.
    Tiers,
    /// Everyone with everyone.
    Mesh,
    /// Rows and columns.
    Grid,
    /// A tree with some edges more.
    Tree,
    /// Organisations above, below and beside each other, who pass on what their roles allow.
    Hierarchy,
    /// Few organisations of many nodes, with circles inside.
    Siblings,
    /// As a hierarchy, but with roles by chance, and some that two do not agree on.
    WrongRoles,
}

/// All of them.
pub const SHAPES: &[Shape] = &[
    Shape::Line,
    Shape::Ring,
    Shape::Star,
    Shape::DualHomed,
    Shape::Tiers,
    Shape::Mesh,
    Shape::Grid,
    Shape::Tree,
    Shape::Hierarchy,
    Shape::Siblings,
    Shape::WrongRoles,
];

impl Shape {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Shape::Line => "line",
            Shape::Ring => "ring",
            Shape::Star => "star",
            Shape::DualHomed => "dual-homed",
            Shape::Tiers => "tiers",
            Shape::Mesh => "mesh",
            Shape::Grid => "grid",
            Shape::Tree => "tree",
            Shape::Hierarchy => "hierarchy",
            Shape::Siblings => "siblings",
            Shape::WrongRoles => "wrong-roles",
        }
    }

    /// The shape of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        SHAPES.iter().copied().find(|shape| shape.name() == name)
    }

    /// Whether it is made of organisations rather than of nodes.
    pub(crate) fn of_orgs(self) -> bool {
        matches!(self, Shape::Hierarchy | Shape::Siblings | Shape::WrongRoles)
    }

    /// The most nodes that a run of so many organisations can bear. A run of many takes as long as a hundred small ones; `luck` is a
    /// number below 100, and a run of little has more.
    pub(crate) fn most(self, orgs: usize, luck: u64) -> usize {
        match self {
            // Every node holds every route from every other.
            Shape::Mesh if orgs == 1 && luck < 25 => 24,
            Shape::Mesh if orgs == 1 => 12,
            // Each of them hears of each way over the border.
            Shape::Mesh if luck < 5 => 24,
            Shape::Mesh if luck < 20 => 16,
            Shape::Mesh => 8,
            // Paths of more than 32 nodes cannot be written down: beyond, nothing new is tried.
            Shape::Line | Shape::Ring => 60,
            _ => 200,
        }
    }

    /// Its links between so many nodes, each pair at most once.
    pub(crate) fn edges(self, rng: &mut Rng, count: usize) -> Vec<[usize; 2]> {
        let line = || (1..count).map(|i| [i - 1, i]);
        let mut edges: Vec<[usize; 2]> = match self {
            Shape::Line => line().collect(),
            Shape::Ring => line().chain((count > 2).then_some([count - 1, 0])).collect(),
            Shape::Star => (1..count).map(|i| [0, i]).collect(),
            Shape::Mesh => (0..count).flat_map(|i| (0..i).map(move |j| [j, i])).collect(),
            Shape::DualHomed => {
                let core = (count / 2).clamp(2, 20).min(count);
                let ring = (1..core).map(|i| [i - 1, i]).chain((core > 2).then_some([core - 1, 0]));
                let mut all: Vec<[usize; 2]> = ring.collect();
                for i in core..count {
                    let first = rng.index(core);
                    all.push([first, i]);
                    all.push([(first + 1) % core, i]);
                }
                all
            }
            Shape::Tiers => {
                let core = (count / 10).clamp(1, 5);
                let mesh = (0..core).flat_map(|i| (0..i).map(move |j| [j, i]));
                mesh.chain((core..count).map(|i| [i % core, i])).collect()
            }
            Shape::Grid => {
                let width = if count > 6 { 3 } else { 2 };
                let right = (0..count).filter(|i| i % width + 1 < width && i + 1 < count).map(|i| [i, i + 1]);
                right.chain((width..count).map(|i| [i - width, i])).collect()
            }
            // Those of many organisations are made otherwise.
            Shape::Tree | Shape::Hierarchy | Shape::Siblings | Shape::WrongRoles => {
                let mut tree: Vec<[usize; 2]> = (1..count).map(|i| [rng.index(i), i]).collect();
                for _ in 0..rng.below(if count > 20 { 4 } else { count as u64 }) {
                    tree.push([rng.index(count), rng.index(count)]);
                }
                tree
            }
        };
        for edge in &mut edges {
            edge.sort_unstable();
        }
        edges.retain(|[a, b]| a != b);
        edges.sort_unstable();
        edges.dedup();
        // Which end comes first decides who is asked to dial.
        for edge in &mut edges {
            if rng.percent(50) {
                edge.reverse();
            }
        }
        edges
    }
}
