//! Recordings: one that can be read runs to its end, and to the same state each time.
#![no_main]

use catalyst_control::record::{Header, Record, Recording};
use catalyst_route_table::{Heap, Limits};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|b| *b == b'\n');
    let Some(Ok(header)) = lines.next().map(serde_json::from_slice::<Header>) else { return };
    let records = lines.map_while(|line| serde_json::from_slice::<Record>(line).ok()).collect();
    let recording = Recording { header, records };
    let run = || recording.replay(Heap::new(Limits::CLOUD)).map(|core| core.digest());
    assert_eq!(run().ok(), run().ok());
});
