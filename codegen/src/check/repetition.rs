//! Repeated arguments: counts, splits, values behind each token.
//!
//! Owns: that the number of values can be told. Refuses to know: what the values are.

use super::Place;
use crate::diagnostic::Report;
use crate::model::{Arg, Row, Shape};

/// `as-many-as` names a counted argument before it.
pub(super) fn as_many_as(args: &[Arg], report: &mut Report) {
    for (index, arg) in args.iter().enumerate() {
        let Some(other) = &arg.as_many_as else { continue };
        match args[..index].iter().find(|earlier| earlier.name.value == other.value) {
            Some(earlier) if earlier.multiple && !earlier.in_run() => {}
            Some(_) => report.error(other.at, format!("`{}` is not a repeated argument in a fixed place", other.value)),
            None => {
                let known: Vec<&str> = args[..index].iter().map(|earlier| earlier.name.value.as_str()).collect();
                let help = crate::suggest::help(other, &known);
                report.error_with_help(other.at, format!("no argument `{}` stands before", other.value), help);
            }
        }
        if let Some(again) = args.iter().find(|again| again.token_each) {
            report.error(
                other.at,
                format!(
                    "`{}` among options repeats its token, so all others must be told without counts",
                    again.name.value
                ),
            );
        }
        if arg.counted {
            report.error(other.at, format!("`{}` has a count of its own", arg.name.value));
        }
    }
}

/// What stands inside a repeated block is told by fixed places and tokens, or one turn runs into the next.
pub(super) fn repeated_parts(_row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    if !arg.multiple {
        return;
    }
    if let Shape::Block(parts) = &arg.shape {
        for part in parts {
            let variable = part.multiple && !part.counted && part.as_many_as.is_none();
            let positional = part.optional && !part.starts_with_token();
            if variable || positional {
                report.error(
                    part.name.at,
                    format!("where `{}` ends cannot be told when `{}` is repeated", part.name.value, arg.name.value),
                );
            }
        }
    }
    if arg.token_each {
        if arg.token.is_none() {
            report.error(arg.name.at, format!("`{}` repeats its token, so it needs one", arg.name.value));
        } else if !arg.in_run() {
            report
                .error(arg.name.at, format!("`{}` repeats its token among options, so it is optional", arg.name.value));
        }
        if arg.counted || arg.as_many_as.is_some() {
            report.error(arg.name.at, format!("`{}` is counted by its tokens", arg.name.value));
        }
    }
}

/// What is said of a count is said of counted arguments.
pub(super) fn counts(_row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    let (name, at) = (&arg.name.value, arg.name.at);
    if !arg.counted && (arg.count_min != 1 || arg.count_name != "numkeys") {
        report.error(at, format!("`count-min` and `count-name` are for counted arguments, and `{name}` is not"));
    }
}
