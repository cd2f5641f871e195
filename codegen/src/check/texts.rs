//! Error texts that rows give: each in a place where it can be reached, each with its code word.
//!
//! Owns: which texts fit which arguments. Refuses to know: Redis's own texts.

use super::Place;
use crate::diagnostic::{At, Report};
use crate::emit::texts::{COMMAND, WORD};
use crate::model::{Arg, Row, Shape, Type};

/// A text begins with its code word and has no blanks but the known two.
fn text(text: &str, quotes: bool, at: At, report: &mut Report) {
    let code = text.split(' ').next().unwrap_or_default();
    if code.is_empty() || !code.chars().all(|char| char.is_ascii_uppercase()) {
        report.error_with_help(
            at,
            format!("\"{text}\" lacks its code word"),
            "it begins with one, as in \"ERR syntax error\"",
        );
    }
    let rest = text.replace(COMMAND, "").replacen(WORD, "", 1);
    if rest.contains(['{', '}']) {
        report.error(at, format!("\"{text}\": the blanks of a text are {WORD}, once, and {COMMAND}"));
    }
    if text.contains(WORD) && !quotes {
        report.error(at, format!("\"{text}\": there is no one word that {WORD} could stand for"));
    }
}

/// The row's own text for what is no option.
pub(super) fn option_error(row: &Row, report: &mut Report) {
    if let Some(own) = &row.option_error {
        text(own, true, own.at, report);
        if row.fixed_words().is_some() {
            report.error(own.at, format!("{} has no options", row.name.value));
        }
        if row.surplus == crate::model::Surplus::Arity {
            report.error(own.at, "`surplus` and `option-error` both say what words left over are called");
        }
    }
}

/// The texts of an argument.
pub(super) fn texts(_row: &Row, arg: &Arg, place: Place, report: &mut Report) {
    let at = arg.name.at;
    let name = &arg.name.value;
    let errors = &arg.errors;
    if let Some(own) = &arg.error {
        text(own, !arg.late && !arg.multiple, at, report);
        let any_word = matches!(
            arg.shape,
            Shape::Scalar(Type::Key | Type::String | Type::Pattern | Type::Decimal | Type::StreamId | Type::Flag)
        );
        let open = matches!(&arg.shape, Shape::OneOf(variants) if variants.last().is_some_and(|last| !last.starts_with_token()));
        if any_word || open || matches!(arg.shape, Shape::Block(_) | Shape::RestSplit(_)) {
            report.error(at, format!("no value of `{name}` can be wrong, so `error` is never said"));
        }
    }
    let repeated_block = arg.multiple && !arg.counted && arg.fixed_value_words().is_some_and(|words| words > 1);
    let split = matches!(arg.shape, Shape::RestSplit(_));
    let again = place == Place::Sequence && arg.in_run() && arg.repeatable != Some(true) && !arg.last_wins;
    let rules = [
        (&errors.zero, "zero", arg.counted, false, "counted arguments"),
        (&errors.many, "many", arg.counted, false, "counted arguments"),
        (&errors.integer, "integer", arg.counted, false, "counted arguments"),
        (&errors.odd, "odd", repeated_block || split, false, "splits and repeated blocks of a fixed length"),
        (
            &errors.conflict,
            "conflict",
            again || matches!(arg.shape, Shape::OneOf(_)) && arg.in_run(),
            true,
            "options that may not be given again",
        ),
        (
            &errors.missing,
            "missing",
            !arg.optional && (arg.any_order || arg.token.is_some()) && place == Place::Sequence,
            true,
            "required arguments with a token",
        ),
        (&errors.min, "min", arg.min.is_some(), true, "arguments with `min`"),
    ];
    for (own, key, fits, quotes, wanted) in rules {
        let Some(own) = own else { continue };
        if !(key == "odd" && own == "arity") {
            text(own, quotes, at, report);
        }
        if !fits {
            report.error(at, format!("`errors.{key}` is for {wanted}, and `{name}` is not one"));
        }
    }
}
