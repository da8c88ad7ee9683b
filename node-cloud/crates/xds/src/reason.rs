//! What Envoy says of a rejection, as it is kept and shown.

use std::sync::Arc;

use crate::kind::Kind;
use crate::limits::Limits;

/// Envoy puts this before a dump of the whole resource.
const DUMP: &str = "goo.gle/debugonly";

/// On one line, cut to size, and without the dump where the words around it tell the reason. Of a secret the dump
/// holds the private key: no part of it stays.
pub fn tidy(kind: Kind, said: &str) -> Arc<str> {
    let said = match said.split_once(DUMP) {
        None => said.to_owned(),
        Some((before, dump)) => match dump.rsplit_once("\n: ") {
            Some((_, after)) => format!("{before}{after}"),
            None if kind == Kind::Secret => before.to_owned(),
            None => format!("{before}{dump}"),
        },
    };
    if kind == Kind::Secret && said.contains("-----BEGIN") {
        return Arc::from(
            "Envoy rejects it, in words that quote it; see that certificate and key belong together",
        );
    }
    let mut line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        line.push_str("Envoy gave no reason");
    }
    if line.len() > Limits::REASON_BYTES {
        let end = (0..=Limits::REASON_BYTES).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        line.truncate(end);
        line.push_str(" ...");
    }
    Arc::from(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dump_goes_and_the_reason_stays() {
        let said =
            "goo.gle/debugonly  \nname: \"h4\"\n: Proto constraint validation failed (Domains: value must)";
        assert_eq!(&*tidy(Kind::Scope, said), "Proto constraint validation failed (Domains: value must)");
        let said = "Invalid duration: Expected positive: goo.gle/debugonly  \nseconds: -1\n";
        assert_eq!(&*tidy(Kind::Cluster, said), "Invalid duration: Expected positive: seconds: -1");
        assert_eq!(&*tidy(Kind::Cluster, " \n"), "Envoy gave no reason");
    }

    #[test]
    fn no_key_is_quoted() {
        let key = "private_key { inline_string: \"-----BEGIN PRIVATE KEY-----abc\" }";
        for said in [
            format!("bad secret goo.gle/debugonly {key}"),
            format!("bad secret goo.gle/debugonly {key}\n: Proto constraint"),
            format!("bad secret {key}"),
        ] {
            let kept = tidy(Kind::Secret, &said);
            assert!(!kept.contains("BEGIN") && !kept.contains("abc"), "{kept}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let kept = tidy(Kind::Scope, &"\u{e4}".repeat(Limits::REASON_BYTES));
        assert!(kept.len() <= Limits::REASON_BYTES + 4 && kept.ends_with(" ..."));
    }
}
