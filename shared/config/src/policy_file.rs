//! A file of rules alone, as `policy plan` and `policy apply` read it, and `policy show` writes it.

use std::path::Path;

use catalyst_policy::{Action, Direction, Rule, Set};

use crate::check::Checker;
use crate::compiled::{Build, Compiled};
use crate::complete::complete;
use crate::error::{ConfigErrors, Report, Wrong};
use crate::limits::Limits;
use crate::load::text_of;
use crate::policy;
use crate::print;
use crate::read;
use crate::rule_keys::POLICY;

const WHAT: &str = "a file of rules";

/// The rules of a file, which holds `exports` and `imports` as `catalyst.json` has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFile {
    /// All export rules.
    pub exports: Vec<Rule>,
    /// All import rules.
    pub imports: Vec<Rule>,
}

/// Reads a file of rules: an object with `exports` and `imports`. One that is left out is an error: it would take all
/// rules of that direction away, which is to be said in so many words.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(path: &Path) -> Result<PolicyFile, ConfigErrors> {
    let missing = "check the path; 'catalyst policy show > rules.json' writes the rules in force";
    let text = text_of(path, WHAT, missing, Limits::POLICY_FILE)?;
    parse(&text, &path.display().to_string())
}

/// Reads a text; `source` names it in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, source: &str) -> Result<PolicyFile, ConfigErrors> {
    if text.trim().is_empty() {
        let help =
            "begin with { \"exports\": [], \"imports\": [] }, or with what 'catalyst policy show' writes";
        return Err(ConfigErrors::unreadable(source, WHAT, "nothing".into(), help));
    }
    let mut report = Report::new(source, text);
    let unusable = || ConfigErrors::unreadable(source, WHAT, "something else".into(), "check the file");
    let Some(mut tree) = read::file(text, &mut report) else {
        report.finish()?;
        return Err(unusable());
    };
    let (build, compiled) = (Build::Cloud, Compiled::CLOUD);
    Checker { build, compiled: &compiled, report: &mut report, root: POLICY }.document(&tree);
    for direction in [Direction::Export, Direction::Import].map(Direction::list) {
        if report.is_empty() && tree.get(direction).is_none() {
            let help = format!(
                "write \"{direction}\": [] where no such rule is to stand, or those that 'policy show' writes"
            );
            let wrong = Wrong::new("'exports' and 'imports'", format!("no '{direction}'"), help);
            report.add(&tree.at.clone(), Some(format!("/{direction}")), wrong);
        }
    }
    complete(&mut tree, POLICY, build, &compiled);
    let list = |direction: Direction, report: &mut Report<'_>| {
        let Some(list) = tree.get(direction.list()) else { return Vec::new() };
        let rules: Vec<Rule> = list.items().iter().filter_map(|item| policy::rule(item, direction)).collect();
        if report.is_empty()
            && let Some((place, key, wrong)) = policy::check(direction, &rules)
        {
            let pointer = format!("/{}/{place}{key}", direction.list());
            let at = tree.nearest(&pointer).at.clone();
            report.add(&at, Some(pointer), wrong);
        }
        rules
    };
    let exports = list(Direction::Export, &mut report);
    let imports = list(Direction::Import, &mut report);
    report.finish()?;
    Ok(PolicyFile { exports, imports })
}

/// The text of a file that [`parse`] reads as these rules: one on each line, in order, as a person would write them.
#[must_use]
pub fn write(exports: &[Rule], imports: &[Rule]) -> String {
    let list = |direction: Direction, rules: &[Rule]| {
        let rules: Vec<String> = rules.iter().map(|rule| format!("\n    {}", one(direction, rule))).collect();
        let end = if rules.is_empty() { "" } else { "\n  " };
        format!("  \"{}\": [{}{end}]", direction.list(), rules.join(","))
    };
    format!("{{\n{},\n{}\n}}", list(Direction::Export, exports), list(Direction::Import, imports))
}

/// A rule, on one line.
fn one(direction: Direction, rule: &Rule) -> String {
    let text = |text: &dyn ToString| Some(print::quoted(&text.to_string()));
    let name = Some(&rule.name).filter(|name| !name.is_empty());
    object([
        ("name", name.and_then(|name| text(name))),
        ("service", text(&rule.service)),
        (policy::who(direction), text(&rule.neighbour)),
        ("protocol", rule.protocol.as_ref().and_then(|protocol| text(protocol))),
        ("tag", rule.tag.as_ref().and_then(|tag| text(tag))),
        ("origin", rule.origin.as_ref().and_then(|origin| text(origin))),
        ("path", rule.path.as_ref().map(|path| texts(path.to_string().split(' ')))),
        ("set", Some(&rule.set).filter(|set| !set.is_empty()).map(changes)),
        ("action", (rule.action == Action::Reject).then(|| print::quoted("reject"))),
    ])
}

fn changes(set: &Set) -> String {
    let list = |tags: Vec<String>| Some(tags).filter(|tags| !tags.is_empty()).map(texts);
    object([
        ("local_pref", set.local_pref.map(|n| n.to_string())),
        ("cost", set.cost.map(|n| n.to_string())),
        ("add_tags", list(set.add_tags.iter().map(ToString::to_string).collect())),
        ("del_tags", list(set.del_tags.clone().into())),
    ])
}

fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| print::quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// Those of the members that there are.
fn object<const N: usize>(members: [(&str, Option<String>); N]) -> String {
    let members = members.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\": {}", value?)));
    format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = r#"{
  "exports": [
    { "name": "no-payroll", "service": "payroll", "to": "*", "action": "reject" },
    { "service": "*.initech.example", "to": "gw.globex.example", "protocol": "http:grpc", "tag": "acme.example:gold", "origin": "initech.example", "path": ["initech.example", "*", "**"], "set": { "cost": 7, "add_tags": ["acme.example:a", "acme.example:b"], "del_tags": ["*"] } },
    { "service": "inv*", "to": "globex.example" }
  ],
  "imports": [
    { "service": "*", "from": "globex.example", "set": { "local_pref": 0, "cost": 0, "del_tags": ["globex.example:x"] } },
    { "service": "*.*", "from": "*" }
  ]
}"#;

    #[test]
    fn what_is_written_reads_as_the_same_rules() {
        for text in [EVERYTHING, "{\n  \"exports\": [],\n  \"imports\": []\n}"] {
            let read = parse(text, "rules.json").unwrap();
            let written = write(&read.exports, &read.imports);
            assert_eq!(parse(&written, "written").unwrap(), read);
            // Every key is there, and in the order in which a person writes them.
            assert_eq!(written, text);
        }
    }

    #[test]
    fn a_file_that_is_missing_or_empty_is_helped_with_a_file_of_rules() {
        let folder = std::env::temp_dir().join(format!("catalyst-rules-{}", std::process::id()));
        let said = load(&folder.join("rules.json")).unwrap_err().to_string();
        assert!(said.contains("expected a file of rules, found none"), "{said}");
        assert!(said.contains("policy show") && !said.contains("--config"), "{said}");
        let said = parse(" \n", "rules.json").unwrap_err().to_string();
        assert!(said.contains("\"imports\": []") && !said.contains("version"), "{said}");
    }

    #[test]
    fn a_list_that_is_left_out_is_asked_for_and_an_empty_one_is_taken() {
        for (text, missing) in [
            (r#"{ "exports": [] }"#, "'imports'"),
            (r#"{ "imports": [{ "service": "*", "from": "globex.example" }] }"#, "'exports'"),
            ("{}", "'exports'"),
        ] {
            let said = parse(text, "rules.json").unwrap_err().to_string();
            assert!(said.contains(&format!("no {missing}")), "{said}");
        }
        let text = r#"{ "exports": [], "imports": [{ "service": "*", "from": "globex.example" }] }"#;
        let read = parse(text, "rules.json").unwrap();
        assert_eq!((read.exports.len(), read.imports.len()), (0, 1));
    }
}
