//! Makes parsers of `grammar/hard.toml` for `tests/grammar.rs`.
//!
//! Owns: where the table and its parsers are. Refuses to know: what is in either.

use std::path::Path;
use std::{env, fs, process};

const TABLE: &str = "grammar/hard.toml";

fn main() {
    println!("cargo::rerun-if-changed={TABLE}");
    let text = fs::read_to_string(TABLE).expect("the table is there");
    match codegen::generate(&text, TABLE, "", &codegen::Options::parsers()) {
        Ok(generated) => {
            let directory = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
            fs::write(Path::new(&directory).join("hard.rs"), generated.rust).expect("OUT_DIR can be written");
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                println!("cargo::error={diagnostic}");
            }
            process::exit(1);
        }
    }
}
