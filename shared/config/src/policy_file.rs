//! A file of rules alone, as `policy plan` and `policy apply` read it.

use std::path::Path;

use catalyst_policy::{Direction, Rule};

use crate::check::Checker;
use crate::compiled::{Build, Compiled};
use crate::complete::complete;
use crate::error::{ConfigErrors, Report, Wrong};
use crate::limits::Limits;
use crate::load::text_of;
use crate::policy;
use crate::read;
use crate::rule_keys::POLICY;

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
    let text = text_of(path, "a file of rules", Limits::POLICY_FILE)?;
    parse(&text, &path.display().to_string())
}

/// Reads a text; `source` names it in messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, source: &str) -> Result<PolicyFile, ConfigErrors> {
    let mut report = Report::new(source, text);
    let unusable =
        || ConfigErrors::unreadable(source, "a file of rules", "something else".into(), "check the file");
    let Some(mut tree) = read::file(text, &mut report) else {
        report.finish()?;
        return Err(unusable());
    };
    let (build, compiled) = (Build::Cloud, Compiled::CLOUD);
    Checker { build, compiled: &compiled, report: &mut report, root: POLICY }.document(&tree);
    for direction in [Direction::Export, Direction::Import].map(Direction::list) {
        if report.is_empty() && tree.get(direction).is_none() {
            let help = format!(
                "write \"{direction}\": [] where no such rule is to stand, or copy those of 'policy ls'"
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

#[cfg(test)]
mod tests {
    use super::*;

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
