//! Checks between facts.
//!
//! Owns: what must agree with what. Refuses to know: TOML, Rust source.

use crate::diagnostic::Report;
use crate::model::Table;

/// Runs every check.
pub fn run(table: &Table, report: &mut Report) {
    for (index, row) in table.rows.iter().enumerate() {
        if let Some(earlier) = table.rows[..index].iter().find(|earlier| earlier.name.value == row.name.value) {
            report.error(row.name.at, format!("{} is already declared, line {}", row.name.value, earlier.line()));
        }
    }
}
