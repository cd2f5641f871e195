//! Compiles the command table into `OUT_DIR/table.rs`, which `src/table.rs` includes.
//!
//! Owns: where the table and its output are. Refuses to know: what is in either; that is the `codegen` crate's.

use std::path::Path;
use std::{env, fs, process};

fn main() {
    let root = Path::new("..");
    let (table, numbers) = (root.join("commands.toml"), root.join("docs/command-numbers.txt"));
    println!("cargo::rerun-if-changed={}", table.display());
    println!("cargo::rerun-if-changed={}", numbers.display());
    let read = |path: &Path| {
        fs::read_to_string(path).unwrap_or_else(|error| {
            println!("cargo::error={}: {error}", path.display());
            process::exit(1);
        })
    };
    let options = codegen::Options::runtime();
    match codegen::generate(&read(&table), "commands.toml", &read(&numbers), &options) {
        Ok(generated) => {
            let directory = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
            fs::write(Path::new(&directory).join("table.rs"), generated.rust).expect("OUT_DIR can be written");
        }
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                println!("cargo::error={diagnostic}");
            }
            process::exit(1);
        }
    }
}
