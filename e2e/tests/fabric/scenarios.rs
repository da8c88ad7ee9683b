//! `docs/scenarios.md` says which test shows what: each that it names must be there.

use std::fs;
use std::path::Path;

#[test]
fn every_test_that_the_page_of_scenarios_names_is_there() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("../docs/scenarios.md")).unwrap();
    let named: Vec<(&str, &str)> = page.split('`').filter_map(|word| word.split_once("::")).collect();
    assert!(named.len() > 40, "{}", named.len());
    for (file, test) in named {
        let text = fs::read_to_string(here.join(format!("tests/fabric/{file}.rs"))).unwrap_or_default();
        assert!(text.contains(&format!("#[test]\nfn {test}() {{")), "there is no test {file}::{test}");
    }
}
