//! Checks between facts: what must agree with what.
//!
//! Owns: every rule of docs/command-table.md that one word alone cannot break. Refuses to know: TOML, Rust source.
//! Start at [`run`]; each function is one rule, reports every breach of it, and has a file under `tests/golden/reject/`.

use crate::diagnostic::Report;
use crate::model::{Arg, Row, Table};

mod arguments;
mod facts;
mod names;
mod options;
mod order;
mod repetition;
mod routes;
mod texts;
pub mod transcripts;

/// Runs every check that needs nothing but the table.
pub fn run(table: &Table, report: &mut Report) {
    for check in [names::row_names, names::duplicates, names::rust_names, names::containers, order::groups, order::rows]
    {
        check(table, report);
    }
    for row in &table.rows {
        for check in [
            facts::since,
            facts::summary,
            facts::complexity,
            facts::categories,
            facts::repeated_words,
            facts::tips,
            facts::wal_of_reads,
            facts::relative_times,
            facts::surplus,
            routes::keys_of_route,
            routes::split_keys,
            routes::merge,
            routes::alternatives,
            texts::option_error,
        ] {
            check(row, report);
        }
        each_sequence(&row.args, &mut |args| {
            for check in [
                names::argument_names,
                arguments::positional_before_variable,
                arguments::after_repeated,
                arguments::rest_is_last,
                options::token_clash,
                repetition::as_many_as,
            ] {
                check(args, report);
            }
        });
        for (arg, place) in arguments_of(row) {
            for check in [
                arguments::shape,
                arguments::tokens,
                arguments::key_words,
                arguments::choice,
                arguments::values,
                options::modifiers,
                repetition::repeated_parts,
                repetition::counts,
                texts::texts,
            ] {
                check(row, arg, place, report);
            }
        }
    }
}

/// What an argument is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A sequence: the row's arguments, or a block's parts.
    Sequence,
    /// A choice.
    Choice,
    /// A split.
    Split,
}

/// Every argument of a row, the nested ones too, with what it is part of.
fn arguments_of(row: &Row) -> Vec<(&Arg, Place)> {
    fn collect<'t>(args: &'t [Arg], place: Place, found: &mut Vec<(&'t Arg, Place)>) {
        for arg in args {
            found.push((arg, place));
            let inside = match &arg.shape {
                crate::model::Shape::OneOf(_) => Place::Choice,
                crate::model::Shape::RestSplit(_) => Place::Split,
                _ => Place::Sequence,
            };
            collect(arg.children(), inside, found);
        }
    }
    let mut found = Vec::new();
    collect(&row.args, Place::Sequence, &mut found);
    found
}

/// Calls `visit` for every list of arguments that share a scope.
fn each_sequence(args: &[Arg], visit: &mut dyn FnMut(&[Arg])) {
    visit(args);
    for arg in args {
        if !arg.children().is_empty() {
            each_sequence(arg.children(), visit);
        }
    }
}
