//! Configurations, agreements and files of rules: no panic, and every refusal says where and what.
#![no_main]

use std::path::Path;

use catalyst_config::{Build, Compiled, agreement, from_text, policy_file};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let errors = [
        from_text(Some((text, Path::new("c"))), &[], &[], Build::Cloud, &Compiled::CLOUD).err(),
        from_text(Some((text, Path::new("c"))), &[], &[], Build::Edge, &Compiled::EDGE).err(),
        agreement::parse(text, "a", None).err(),
        policy_file::parse(text, "p").err(),
    ];
    for errors in errors.into_iter().flatten() {
        assert!(!errors.errors.is_empty());
        let said = errors.to_string();
        assert!(said.chars().all(|c| c == '\n' || !c.is_control()), "it can write on a terminal: {said:?}");
    }
});
