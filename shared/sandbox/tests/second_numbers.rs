//! The list of system calls cannot be got around by their second numbers. Tried in a process of Python, which can make any
//! call, within the very filter that a node enters.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(target_arch = "x86_64")]

use std::process::Command;

use catalyst_sandbox::call_filter;

#[test]
fn calls_of_x32_fail_and_those_of_32_bit_end_the_process() {
    let file = std::env::temp_dir().join(format!("catalyst-filter-{}", std::process::id()));
    std::fs::write(&file, call_filter().unwrap()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/second_numbers.py");
    let out = Command::new("python3").arg(script).arg(&file).output();
    std::fs::remove_file(&file).unwrap();
    let out = out.unwrap_or_else(|e| panic!("this test needs python3: {e}"));
    let said = String::from_utf8_lossy(&out.stdout);
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}{errors}");
    let (before, inside) = said.split_once('\n').unwrap();
    assert_ne!(before, "before, 32 bit: SIGSYS");
    assert_eq!(
        inside,
        "own number: ok\nexecve: EPERM\nnumber of x32: EPERM\nexecve, bit of x32: EPERM\n\
         execve of x32: EPERM\n32 bit: SIGSYS\n",
        "{errors}"
    );
}
