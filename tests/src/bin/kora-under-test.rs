//! `kora-server` again, so that tests of this package find a binary that was built with them.
//!
//! Owns: nothing. Refuses to know: everything; the library is the server.

use std::process::ExitCode;

fn main() -> ExitCode {
    kora_server::run(std::env::args_os(), std::env::vars_os()).into()
}
