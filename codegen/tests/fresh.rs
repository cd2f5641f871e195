//! The checked-in files that follow from commands.toml are what it says today.
//!
//! Locally the files are rewritten, so that a change of the table shows up in the diff; under `CI` they are only compared.

use std::path::Path;
use std::{env, fs};

use codegen::diagnostic::Report;
use codegen::numbers::Numbers;
use codegen::{docs, read_table};

#[test]
fn documentation_follows_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("commands.toml")).expect("the table is there");
    let numbers = fs::read_to_string(root.join(docs::NUMBERS_FILE)).expect("the numbers are there");
    let table = read_table(&text, "commands.toml", None).unwrap_or_else(|diagnostics| {
        panic!("{}", diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect::<String>())
    });
    let numbers = Numbers::read(&numbers, &mut Report::new(docs::NUMBERS_FILE));
    for (path, text) in docs::files(&table, &numbers) {
        if fs::read_to_string(root.join(&path)).ok().as_ref() == Some(&text) {
            continue;
        }
        assert!(env::var_os("CI").is_none(), "{path} is stale; run `cargo gen docs`");
        fs::write(root.join(&path), text).expect("the documentation can be written");
        println!("{path} was stale and has been rewritten");
    }
}
