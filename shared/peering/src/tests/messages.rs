//! What a person reads when a session ends, and the code that goes with it.

use std::string::ToString;

use catalyst_wire::{FrameError, FrameType, NotifyCode};

use super::kit::name;
use crate::Failure;

#[test]
fn every_failure_has_its_code_and_says_what_to_do() {
    let digest = |byte: u8| Some([byte; 32]);
    let (own, peer) = (name("a.acme.example"), name("b.globex.example"));
    let table: [(Failure, NotifyCode, &str); 11] = [
        (Failure::Version((1, 1), (2, 3)), NotifyCode::VERSION, "upgrade the older one"),
        (Failure::Identity(name("x.acme.example")), NotifyCode::IDENTITY, "'x.acme.example'"),
        (
            Failure::Agreement(digest(1), digest(0xab)),
            NotifyCode::AGREEMENT,
            "different agreements: a.acme.example holds 0101010101010101..., b.globex.example holds abababababababab...; \
             give both the same file",
        ),
        (
            Failure::Agreement(digest(1), None),
            NotifyCode::AGREEMENT,
            "b.globex.example holds none; give both",
        ),
        (Failure::Agreement(None, digest(1)), NotifyCode::AGREEMENT, "a.acme.example holds none, b"),
        (Failure::Hold(3000), NotifyCode::HOLD, "3000 ms"),
        (Failure::SendHold(10_000), NotifyCode::SEND_HOLD, "not read for 10000 ms"),
        (Failure::OpenTimer(5000), NotifyCode::HOLD, "no OPEN"),
        (Failure::Malformed(FrameError::UnknownType(77)), NotifyCode::MALFORMED, "77"),
        (Failure::Unexpected(FrameType::Update, false), NotifyCode::UNEXPECTED, "UPDATE came before OPEN"),
        (Failure::Unexpected(FrameType::Open, true), NotifyCode::UNEXPECTED, "second OPEN"),
    ];
    for (failure, code, words) in table {
        assert_eq!(failure.code(), code);
        let text = failure.between(&own, &peer).to_string();
        assert!(text.contains(words), "{text:?} should say {words:?}");
    }
}
