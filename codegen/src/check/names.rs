//! Names: of rows, of arguments, and of what they become in Rust.
//!
//! Owns: spelling, uniqueness, containers and their subcommands. Refuses to know: the order of rows (`order`).

use std::collections::HashMap;

use crate::diagnostic::{At, Report};
use crate::model::{Arg, Shape, Table};
use crate::names;

/// A row's name is upper-case words joined by `-` or `.`, with at most one `|`.
pub(super) fn row_names(table: &Table, report: &mut Report) {
    for row in &table.rows {
        let parts: Vec<&str> = row.name.split('|').collect();
        let word = |part: &&str| {
            part.starts_with(|first: char| first.is_ascii_uppercase())
                && part.chars().all(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || "-._".contains(char))
        };
        if parts.len() > 2 || !parts.iter().all(word) {
            report.error_with_help(
                row.name.at,
                format!("\"{}\" is not a command name", row.name.value),
                "names are upper-case, as in \"GETEX\", \"CLIENT|NO-EVICT\" or \"DOC.FIND\"",
            );
        }
    }
}

/// No two rows have one name.
pub(super) fn duplicates(table: &Table, report: &mut Report) {
    let mut seen = HashMap::new();
    for row in &table.rows {
        if let Some(line) = seen.insert(row.name.value.as_str(), row.line()) {
            report.error(row.name.at, format!("{} is already declared, line {line}", row.name.value));
        }
    }
}

/// No two rows or arguments become one Rust name.
pub(super) fn rust_names(table: &Table, report: &mut Report) {
    let mut types: HashMap<String, (String, u32)> = HashMap::new();
    let mut methods: HashMap<String, String> = HashMap::new();
    for row in &table.rows {
        let name = names::camel(&row.name);
        let what = row.name.value.clone();
        if let Some(other) = methods.insert(names::snake(&row.name), what.clone())
            && other != what
        {
            report.error(row.name.at, format!("{what} and {other} become the same Rust name"));
        }
        let mut declare = |name: String, what: String, at: At| {
            if let Some((other, line)) = types.get(&name)
                && *other != what
            {
                report.error(at, format!("{what} and {other} (line {line}) both become `{name}`"));
            }
            types.insert(name, (what, at.line));
        };
        declare(name.clone(), what.clone(), row.name.at);
        nested_types(&row.args, &name, &what, &mut declare);
    }
}

fn nested_types(args: &[Arg], parent: &str, what: &str, declare: &mut dyn FnMut(String, String, At)) {
    for arg in args {
        if !matches!(arg.shape, Shape::Scalar(_)) {
            let name = names::arg_type(parent, arg);
            let what = format!("`{}` of {what}", arg.name.value);
            declare(name.clone(), what.clone(), arg.name.at);
            nested_types(arg.children(), &name, &what, declare);
        }
    }
}

/// A container that is a row itself has no arguments: its words are subcommands. Subcommands share one group.
pub(super) fn containers(table: &Table, report: &mut Report) {
    for (container, bare) in table.containers() {
        if let Some(bare) = bare
            && let Some(arg) = bare.args.first()
        {
            report
                .error(arg.name.at, format!("{container} has subcommands, so the word after it cannot be an argument"));
        }
        let members = table.rows.iter().filter(|row| row.words().0 == container);
        let mut first: Option<&str> = None;
        for row in members {
            match first {
                None => first = Some(&row.group),
                Some(group) if group != row.group.value => report.error(
                    row.group.at,
                    format!("{} is in group {}, its siblings are in {group}", row.name.value, row.group.value),
                ),
                Some(_) => {}
            }
        }
    }
}

/// Words that emitted code uses itself, or that Rust does not allow as identifiers.
const RESERVED: &[&str] = &["reader", "visit", "half", "self", "super", "crate"];

/// Argument names are kebab-case, unique in their scope, and free for Rust to use.
pub(super) fn argument_names(args: &[Arg], report: &mut Report) {
    for (index, arg) in args.iter().enumerate() {
        let (name, at) = (&arg.name.value, arg.name.at);
        if !names::is_kebab(name) {
            report.error(at, format!("\"{name}\" is not kebab-case"));
        }
        if RESERVED.contains(&name.as_str()) {
            report.error(at, format!("\"{name}\" is a word that emitted code needs itself"));
        }
        if let Some(earlier) = args[..index].iter().find(|earlier| earlier.name.value == *name) {
            report.error(at, format!("\"{name}\" is already in this scope, line {}", earlier.name.at.line));
        }
    }
}
