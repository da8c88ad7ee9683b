//! What a person reads when a part of the program panics.
//!
//! The store library does so on some damaged files. A build that unwinds turns that into an error, which is told as such.
//! One that aborts starts over: after a few tries the store moves the file aside, and says so.

use std::panic::{PanicHookInfo, set_hook};

use catalyst_services::start_over;
use catalyst_store::Busy;

use crate::error::Exit;

/// To be called before anything that may panic.
pub fn install(program: &'static str) {
    set_hook(Box::new(move |info| match catalyst_store::busy() {
        // Caught, and told with the file's name.
        Some(_) if cfg!(panic = "unwind") => {}
        Some(busy) => {
            eprintln!("{program}: {}", of_store(&busy));
            if busy.again {
                eprintln!("{program}: cannot start over: {}; start it again", start_over());
            }
            std::process::exit(Exit::Failed as i32);
        }
        None => eprintln!("{program}: {}", of_program(info)),
    }));
}

fn of_store(busy: &Busy) -> String {
    let file = busy.file.display();
    if busy.again {
        format!("{file}: damaged, and the store library gave up on it; trying again")
    } else {
        format!(
            "{file}: damaged while in use; start the node again: it moves the file aside and begins a new one"
        )
    }
}

fn of_program(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("no more is known");
    let place = info.location().map_or_else(String::new, |at| format!(" at {at}"));
    format!("a fault of the program itself{place}: {what}. Please report it with this line")
}
