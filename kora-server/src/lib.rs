//! The server process around the engine.
//!
//! Owns: flags, environment and configuration file ([`settings`]), sockets ([`listen`]), the data directory, signals,
//! the log, exit codes, tools beside the server ([`tools`]). Refuses to know: how any command works.
//!
//! Start at [`run`] for the process and at [`server::Server::start`] for a server inside another process, as tests
//! have it.

pub mod allocator;
pub mod cli;
pub mod config_file;
pub mod connection;
pub mod engine;
pub mod exit;
pub mod listen;
pub mod logging;
pub mod protection;
pub mod server;
pub mod settings;
mod suggest;
pub mod tools;
mod unix_socket;

use std::ffi::OsString;

pub use exit::Exit;
pub use server::{Server, StartError};
pub use settings::Settings;

/// The whole life of the process: reads `arguments` (the program's name first) and `environment`, serves until SIGTERM
/// or SIGINT, and says how it went. Messages about the start go to standard error, what was asked for (`--help`) to
/// standard output.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Exit {
    let flags = match cli::parse(arguments) {
        Ok(flags) => flags,
        // Help and version come this way too, and are no failure. Nobody is left to tell when printing fails.
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Clean };
        }
    };
    if flags.list_parameters {
        print!("{}", cli::parameter_list());
        return Exit::Clean;
    }
    if let Some(tool) = &flags.tool {
        return tool.run(&mut std::io::BufWriter::new(std::io::stdout().lock()));
    }
    let settings = match Settings::resolve(flags, environment, settings::cores()) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("kora-server: {errors}");
            return Exit::Usage;
        }
    };
    logging::start(settings.config.loglevel, settings.log_format);
    match server::serve_until_signal(settings) {
        Ok(()) => Exit::Clean,
        Err(error) => {
            tracing::error!("{error}");
            error.exit()
        }
    }
}
