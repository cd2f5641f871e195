//! Options: runs of arguments that are told by their tokens and may stand in any order.
//!
//! Owns: that a token means one thing in its run. Refuses to know: values.

use super::Place;
use crate::diagnostic::Report;
use crate::model::{Arg, Row, Shape};

/// In one run, a token begins one option; behind the run, the same token would never be reached.
pub(super) fn token_clash(args: &[Arg], report: &mut Report) {
    for (index, arg) in args.iter().enumerate() {
        if !arg.in_run() {
            continue;
        }
        // What follows up to the first argument that must be there.
        for next in &args[index + 1..] {
            if let Some(token) = next.first_tokens().into_iter().find(|token| arg.first_tokens().contains(token)) {
                let at = next.token.as_ref().map_or(next.name.at, |token| token.at);
                report.error(
                    at,
                    format!(
                        "token {token} of `{}` clashes with `{}`, line {}",
                        next.name.value, arg.name.value, arg.name.at.line
                    ),
                );
            }
            if !next.in_run() {
                break;
            }
        }
    }
}

/// Modifiers of options stand only on options.
pub(super) fn modifiers(_row: &Row, arg: &Arg, place: Place, report: &mut Report) {
    let (name, at) = (&arg.name.value, arg.name.at);
    if arg.any_order {
        if arg.optional {
            report.error(at, format!("`{name}` is optional, so it is in any order anyway"));
        }
        if !arg.starts_with_token() {
            report.error(at, format!("`{name}` cannot stand in any order without a token"));
        }
    }
    let option = arg.in_run() || (place == Place::Choice && arg.starts_with_token()) || arg.is_flag();
    if arg.repeatable.is_some() && !option {
        report.error(at, format!("`repeatable` is for options, and `{name}` has its place"));
    }
    if arg.repeatable == Some(true) && arg.is_flag() {
        report.error(at, format!("flag `{name}` may be given again anyway"));
    }
    if arg.last_wins && !matches!(arg.shape, Shape::OneOf(_)) {
        report.error_with_help(
            at,
            format!("`last-wins` is for choices, and `{name}` is none"),
            "did you mean `repeatable`?",
        );
    }
    if arg.last_wins && arg.repeatable.is_some() {
        report.error(at, "`last-wins` says what happens when the choice is made again; `repeatable` does not");
    }
}
