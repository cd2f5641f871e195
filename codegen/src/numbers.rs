//! The frozen numbers of commands, as they stand in frames and logs.
//!
//! Owns: `docs/command-numbers.txt`, a list that only grows: `17 GET`, or `17 GET retired` once a row is gone.
//! Refuses to know: what a command does.

use crate::diagnostic::{At, Report};
use crate::model::Table;

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number.
    pub number: u16,
    /// The name in upper case.
    pub name: String,
    /// The row is gone; the number stays.
    pub retired: bool,
    /// The line it stands on.
    pub line: u32,
}

/// The list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// In the order of the file, which is the order of the numbers.
    pub entries: Vec<Entry>,
}

impl Numbers {
    /// Reads the list; mistakes go to `report`.
    pub fn read(text: &str, report: &mut Report) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let at = At { line: index as u32 + 1, column: 1 };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            let (number, name, retired) = match words[..] {
                [number, name] => (number, name, false),
                [number, name, "retired"] => (number, name, true),
                _ => {
                    report.error(at, "a line is `NUMBER NAME` or `NUMBER NAME retired`");
                    continue;
                }
            };
            let next = entries.last().map_or(1, |last| last.number + 1);
            let Ok(number) = number.parse::<u16>() else {
                report.error(at, format!("\"{number}\" is not a command number"));
                continue;
            };
            if number != next {
                report.error_with_help(
                    at,
                    format!("{name} has number {number}, but the next free one is {next}"),
                    "numbers are given in order and never used again",
                );
            }
            if let Some(earlier) = entries.iter().find(|entry| entry.name == name) {
                report.error(at, format!("{name} already has number {}, line {}", earlier.number, earlier.line));
            }
            entries.push(Entry { number, name: name.to_owned(), retired, line: at.line });
        }
        Self { entries }
    }

    /// Gives every row of `table` its number; rows without one, and numbers without a row, are mistakes.
    pub fn assign(&self, table: &mut Table, report: &mut Report, numbers_report: &mut Report) {
        for row in &mut table.rows {
            match self.entries.iter().find(|entry| entry.name == row.name.value) {
                Some(entry) if !entry.retired => row.number = entry.number,
                Some(entry) => report.error(
                    row.name.at,
                    format!("number {} of {} is retired; a new command needs a new name", entry.number, entry.name),
                ),
                None => report.error_with_help(
                    row.name.at,
                    format!("{} has no number", row.name.value),
                    "run `cargo gen docs`, which appends the next free one to docs/command-numbers.txt",
                ),
            }
        }
        for entry in &self.entries {
            if !entry.retired && !table.rows.iter().any(|row| row.name.value == entry.name) {
                numbers_report.error_with_help(
                    At { line: entry.line, column: 1 },
                    format!("{} is not in the table", entry.name),
                    format!("if the row is gone for good, write `{} {} retired`", entry.number, entry.name),
                );
            }
        }
    }

    /// The list with the next free numbers for rows that have none.
    pub fn extended(&self, table: &Table) -> String {
        let mut text = String::from(
            "# Frozen: numbers stand in frames and logs. Lines are only ever appended, by `cargo gen docs`.\n",
        );
        let mut next = self.entries.last().map_or(1, |last| last.number + 1);
        for entry in &self.entries {
            let retired = if entry.retired { " retired" } else { "" };
            text += &format!("{} {}{retired}\n", entry.number, entry.name);
        }
        for row in &table.rows {
            if !self.entries.iter().any(|entry| entry.name == row.name.value) {
                text += &format!("{next} {}\n", row.name.value);
                next += 1;
            }
        }
        text
    }
}
