//! Something of every pure crate, linked and called in a binary without std.
#![no_std]
#![no_main]

extern crate alloc;

mod bare;
mod calls;

/// Called by the C library's start code. Exits with 0, or with the number of the call that failed.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    let calls: [fn() -> Option<()>; 6] =
        [calls::names, calls::peering, calls::routes, calls::policy, calls::tunnel, calls::control];
    for (index, call) in (1..).zip(calls) {
        if call().is_none() {
            return index;
        }
    }
    0
}
