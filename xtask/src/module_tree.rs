//! The modules of one crate and which of its files name which others.
//!
//! Reads `mod`, `use` and paths that start with `crate` or `super`, follows re-exports to the module that
//! defines the item, and leaves tests out. Not a name resolver: a macro that writes paths is not expanded,
//! and a parent that calls its own child by a relative path is not an edge, because a folder may always
//! use what is in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust_source::{code_without_tests, find_words};
use crate::rust_tokens::{Token, tokens, use_leaves};

/// How many re-exports are followed before we take the name as defined where we are.
const MOST_HOPS: usize = 16;

/// One file names an item of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// The path of the file that names.
    pub from: String,
    /// The path of the file that is named.
    pub to: String,
    /// The line in `from`.
    pub line: usize,
    /// As written: `crate::state::State`.
    pub path: String,
}

/// A path as it stands in the source.
struct Mention {
    path: Vec<String>,
    glob: bool,
    line: usize,
}

#[derive(Default)]
struct Module {
    parent: Option<usize>,
    file: usize,
    children: BTreeMap<String, usize>,
    aliases: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    defined: BTreeSet<String>,
    mentions: Vec<Mention>,
}

/// Reads a file of the crate; nothing when there is no such file.
type Read<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The modules of one library or binary.
pub struct ModuleTree {
    modules: Vec<Module>,
    /// Path and code of each file.
    files: Vec<(String, String)>,
}

impl ModuleTree {
    /// Reads a crate from its root file on.
    pub fn load(root: &str, read: Read<'_>) -> Self {
        let mut tree = Self { modules: Vec::new(), files: Vec::new() };
        if let Some(text) = read(root) {
            let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            tree.add_file(None, root, &text, folder, read);
        }
        tree
    }

    /// Every mention of one file in another, without repeats.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: Vec<Edge> = Vec::new();
        for (index, module) in self.modules.iter().enumerate() {
            for mention in &module.mentions {
                for target in self.targets(index, mention) {
                    let to = self.modules[target].file;
                    let edge = Edge {
                        from: self.files[module.file].0.clone(),
                        to: self.files[to].0.clone(),
                        line: mention.line,
                        path: mention.path.join("::") + if mention.glob { "::*" } else { "" },
                    };
                    if to != module.file
                        && !edges.iter().any(|known| known.from == edge.from && known.to == edge.to)
                    {
                        edges.push(edge);
                    }
                }
            }
        }
        edges
    }

    fn targets(&self, from: usize, mention: &Mention) -> Vec<usize> {
        let Some(target) = self.resolve(from, &mention.path, MOST_HOPS) else { return Vec::new() };
        let mut targets = vec![target];
        if mention.glob {
            // A glob brings in what the target imports from elsewhere; count what this file then names.
            let code = &self.files[self.modules[from].file].1;
            let module = &self.modules[target];
            for (name, path) in &module.aliases {
                if find_words(code, name).next().is_some() {
                    targets.extend(self.resolve(target, path, MOST_HOPS));
                }
            }
            for (name, child) in &module.children {
                if find_words(code, &format!("{name}::")).next().is_some() {
                    targets.push(*child);
                }
            }
        }
        targets
    }

    /// The module that defines what `path` names when written in module `from`; nothing for another crate.
    fn resolve(&self, from: usize, path: &[String], hops: usize) -> Option<usize> {
        let mut at = from;
        let mut rest = path;
        let mut inside = false;
        while let Some((first, after)) = rest.split_first() {
            let module = &self.modules[at];
            match first.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => at = module.parent?,
                name => {
                    if let Some(child) = module.children.get(name) {
                        at = *child;
                    } else if hops == 0 {
                        return inside.then_some(at);
                    } else if let Some(alias) = module.aliases.get(name) {
                        let whole: Vec<String> = alias.iter().chain(after).cloned().collect();
                        // A re-export of another crate's item belongs to the module that re-exports it.
                        return self.resolve(at, &whole, hops - 1).or(inside.then_some(at));
                    } else if module.defined.contains(name) {
                        return Some(at);
                    } else {
                        return self.through_globs(at, rest, hops - 1).or(inside.then_some(at));
                    }
                }
            }
            inside = true;
            rest = after;
        }
        inside.then_some(at)
    }

    fn through_globs(&self, at: usize, rest: &[String], hops: usize) -> Option<usize> {
        let name = rest.first()?;
        self.modules[at].globs.iter().find_map(|glob| {
            let target = self.resolve(at, glob, hops)?;
            let module = &self.modules[target];
            let has = module.children.contains_key(name)
                || module.aliases.contains_key(name)
                || module.defined.contains(name);
            if has && target != at { self.resolve(target, rest, hops) } else { None }
        })
    }

    fn add_file(
        &mut self,
        parent: Option<usize>,
        path: &str,
        text: &str,
        folder: String,
        read: Read<'_>,
    ) -> usize {
        let code = code_without_tests(text);
        let file = self.files.len();
        self.files.push((path.to_owned(), code.clone()));
        let module = self.modules.len();
        self.modules.push(Module { parent, file, ..Module::default() });
        self.scan(module, &tokens(&code), folder, read);
        module
    }

    /// Walks one file. `folder` is where the files of its child modules stand.
    fn scan(&mut self, file_module: usize, tokens: &[Token<'_>], folder: String, read: Read<'_>) {
        let file = self.modules[file_module].file;
        // Inline modules that are open: module, depth of its brace, folder of its children.
        let mut open = vec![(file_module, 0_usize, folder)];
        let (mut at, mut depth) = (0, 0_usize);
        let text = |index: usize| tokens.get(index).map_or("", |token| token.text);
        while let Some(token) = tokens.get(at) {
            let Some((module, opened, folder)) = open.last().cloned() else { return };
            match token.text {
                "{" => depth += 1,
                "}" => {
                    depth = depth.saturating_sub(1);
                    if open.len() > 1 && depth == opened {
                        open.pop();
                    }
                }
                "mod" if text(at + 2) == "{" => {
                    let child = self.modules.len();
                    self.modules.push(Module { parent: Some(module), file, ..Module::default() });
                    self.modules[module].children.insert(text(at + 1).to_owned(), child);
                    open.push((child, depth, join(&folder, text(at + 1))));
                    at += 1;
                }
                "mod" if text(at + 2) == ";" => self.add_child(module, text(at + 1), &folder, read),
                "use" if text(at + 1) != "<" => {
                    at = self.add_use(module, tokens, at);
                    continue;
                }
                "crate" | "super" if text(at + 1) == "::" && !visibility(tokens, at) => {
                    at = self.add_path(module, tokens, at);
                    continue;
                }
                "struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static" => {
                    self.modules[module].defined.insert(text(at + 1).to_owned());
                }
                "macro_rules" => {
                    self.modules[module].defined.insert(text(at + 2).to_owned());
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn add_child(&mut self, parent: usize, name: &str, folder: &str, read: Read<'_>) {
        let below = join(folder, name);
        for path in [format!("{below}.rs"), format!("{below}/mod.rs")] {
            if let Some(text) = read(&path) {
                let child = self.add_file(Some(parent), &path, &text, below, read);
                self.modules[parent].children.insert(name.to_owned(), child);
                return;
            }
        }
    }

    fn add_use(&mut self, module: usize, tokens: &[Token<'_>], at: usize) -> usize {
        let (leaves, end) = use_leaves(tokens, at);
        let module = &mut self.modules[module];
        for leaf in leaves {
            if leaf.glob {
                module.globs.push(leaf.path.clone());
            } else if let Some(name) = leaf.name {
                module.aliases.insert(name, leaf.path.clone());
            }
            if matches!(leaf.path.first().map(String::as_str), Some("crate" | "super")) {
                module.mentions.push(Mention { path: leaf.path, glob: leaf.glob, line: leaf.line });
            }
        }
        end
    }

    fn add_path(&mut self, module: usize, tokens: &[Token<'_>], at: usize) -> usize {
        let mut path = vec![tokens[at].text.to_owned()];
        let mut next = at + 1;
        while let [mark, word, ..] = &tokens[next..] {
            let is_name = word.text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
            if mark.text != "::" || !is_name {
                break;
            }
            path.push(word.text.to_owned());
            next += 2;
        }
        self.modules[module].mentions.push(Mention { path, glob: false, line: tokens[at].line });
        next
    }
}

/// `pub(in crate::a)` says who may look, not what is used.
fn visibility(tokens: &[Token<'_>], at: usize) -> bool {
    at >= 2 && tokens[at - 1].text == "in" && tokens[at - 2].text == "("
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<(String, String, usize)> {
        let read =
            |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
        let tree = ModuleTree::load("src/lib.rs", &read);
        tree.edges().into_iter().map(|edge| (edge.from, edge.to, edge.line)).collect()
    }

    fn edge(from: &str, to: &str, line: usize) -> (String, String, usize) {
        (format!("src/{from}"), format!("src/{to}"), line)
    }

    #[test]
    fn uses_and_inline_paths_are_edges() {
        let found = edges(&[
            ("src/lib.rs", "mod a;\nmod b;\nmod c;"),
            ("src/a.rs", "use crate::b::B;\nfn f() -> crate::c::C { crate::c::C::new() }"),
            ("src/b.rs", "pub struct B;\nuse super::c;"),
            ("src/c.rs", "pub struct C;"),
        ]);
        assert_eq!(found, [edge("a.rs", "b.rs", 1), edge("a.rs", "c.rs", 2), edge("b.rs", "c.rs", 2)]);
    }

    #[test]
    fn re_exports_lead_to_where_the_item_is() {
        let found = edges(&[
            ("src/lib.rs", "mod a;\nmod b;\npub use b::B;\npub use core::fmt;\npub struct Own;"),
            ("src/a.rs", "use crate::B;\nuse crate::Own;\nuse crate::fmt;"),
            ("src/b.rs", "pub struct B;"),
        ]);
        assert_eq!(found, [edge("a.rs", "b.rs", 1), edge("a.rs", "lib.rs", 2)]);
    }

    #[test]
    fn globs_count_what_is_named_through_them() {
        let found = edges(&[
            ("src/lib.rs", "mod a;\nmod b;\nmod c;\nuse b::B;\nuse c::C;"),
            ("src/a.rs", "use super::*;\nfn f(_: B) {}"),
            ("src/b.rs", "pub struct B;"),
            ("src/c.rs", "pub struct C;"),
        ]);
        assert_eq!(found, [edge("a.rs", "lib.rs", 1), edge("a.rs", "b.rs", 1)]);
    }

    #[test]
    fn folders_inline_modules_and_groups() {
        let found = edges(&[
            ("src/lib.rs", "mod a;\nmod b { pub mod deep; pub mod inner { use super::super::a::A; } }"),
            ("src/a/mod.rs", "mod x;\npub struct A;"),
            ("src/a/x.rs", "use {crate::b::deep::{D, E}, super::A};\npub(in crate::b) fn f() {}"),
            ("src/b/deep.rs", "pub struct D; pub struct E;"),
        ]);
        assert_eq!(
            found,
            [edge("a/x.rs", "b/deep.rs", 1), edge("a/x.rs", "a/mod.rs", 1), edge("lib.rs", "a/mod.rs", 2)]
        );
    }

    #[test]
    fn tests_do_not_count() {
        let found = edges(&[
            ("src/lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod tests;"),
            ("src/a.rs", "#[cfg(test)]\nmod tests { use crate::b::B; }\n// crate::b::B\n"),
            ("src/b.rs", "pub struct B;"),
            ("src/tests.rs", "use crate::a;"),
        ]);
        assert_eq!(found, []);
    }

    #[test]
    fn names_that_lead_nowhere_end() {
        let found = edges(&[("src/lib.rs", "mod a;\nuse x::y;"), ("src/a.rs", "use crate::x::x; use x::x;")]);
        assert_eq!(found, [edge("a.rs", "lib.rs", 1)]);
    }
}
