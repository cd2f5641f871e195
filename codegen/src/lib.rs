//! Compiles `commands.toml` into Rust and documentation.
//!
//! Owns: the schema (docs/command-table.md), its checks, everything that is emitted. Refuses to know: every other crate.
//! Start at [`generate`]: text in, formatted Rust out, or all mistakes at once. The binary (`cargo gen`) is for people.

pub mod check;
pub mod diagnostic;
pub mod docs;
pub mod emit;
pub mod keys;
pub mod model;
pub mod names;
pub mod numbers;
pub mod spec;
pub mod suggest;
pub mod syntax;
pub mod vocabulary;

pub use diagnostic::Diagnostic;
use diagnostic::Report;
use model::Table;
use numbers::Numbers;

/// Which parts are emitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    /// Everything.
    All,
    /// Only `mod args`, typed arguments and their parsers, and for every row with keys the function that finds them by parsing.
    Parsers,
}

/// How the output refers to its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The path of kora-runtime, as the output sees it: `crate` or `kora_runtime`.
    pub root: String,
    /// Which parts are emitted.
    pub lanes: Lanes,
    /// The name of the list of numbers in diagnostics.
    pub numbers_file: String,
}

impl Options {
    /// For kora-runtime itself.
    pub fn runtime() -> Self {
        Self { root: "crate".to_owned(), lanes: Lanes::All, numbers_file: "docs/command-numbers.txt".to_owned() }
    }

    /// For a crate that wants parsers from a table of its own, which needs no numbers.
    pub fn parsers() -> Self {
        Self { root: "kora_runtime".to_owned(), lanes: Lanes::Parsers, ..Self::runtime() }
    }
}

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Formatted Rust.
    pub rust: String,
}

/// Reads and checks a table; `numbers_text` is the frozen list, or `None` where numbers do not matter.
pub fn read_table(toml_text: &str, file_name: &str, numbers: Option<(&str, &str)>) -> Result<Table, Vec<Diagnostic>> {
    let mut report = Report::new(file_name);
    let mut table = spec::read(toml_text, &mut report, file_name);
    check::run(&table, &mut report);
    let mut mistakes = Vec::new();
    if let Some((numbers_text, numbers_file)) = numbers {
        let mut numbers_report = Report::new(numbers_file);
        Numbers::read(numbers_text, &mut numbers_report).assign(&mut table, &mut report, &mut numbers_report);
        mistakes = numbers_report.into_sorted();
    }
    let mut all = report.into_sorted();
    all.append(&mut mistakes);
    if all.is_empty() { Ok(table) } else { Err(all) }
}

/// Compiles a table. All mistakes are returned together, in the order of the file.
pub fn generate(
    toml_text: &str,
    file_name: &str,
    numbers_text: &str,
    options: &Options,
) -> Result<Generated, Vec<Diagnostic>> {
    let numbers = match options.lanes {
        Lanes::All => Some((numbers_text, options.numbers_file.as_str())),
        Lanes::Parsers => None,
    };
    let table = read_table(toml_text, file_name, numbers)?;
    Ok(Generated { rust: emit::source(&table, options) })
}
