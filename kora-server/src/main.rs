//! The `kora-server` binary: hands the process's arguments and environment to the library.
//! Everything that can be tested is there; here is only what belongs to a process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use kora_server::Exit;

fn main() -> ExitCode {
    // A panic has been reported on standard error by then; what is left is to exit with a code of its own.
    let ended = catch_unwind(AssertUnwindSafe(|| kora_server::run(std::env::args_os(), std::env::vars_os())));
    ended.unwrap_or(Exit::Internal).into()
}
