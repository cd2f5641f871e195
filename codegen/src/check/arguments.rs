//! Arguments one by one and side by side: shapes, tokens, keys, choices, and who may follow whom.
//!
//! Owns: that every command line has at most one reading. Refuses to know: options (`options`), repetition (`repetition`).

use super::Place;
use crate::diagnostic::Report;
use crate::model::{Arg, Row, Shape, Type};

/// Blocks, choices and splits have parts; a flag has a token and is not repeated.
pub(super) fn shape(_row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    let (name, at) = (&arg.name.value, arg.name.at);
    match &arg.shape {
        Shape::Scalar(Type::Flag) => {
            if arg.token.is_none() {
                report.error(at, format!("flag `{name}` needs a token"));
            }
            if arg.multiple {
                report.error(at, format!("flag `{name}` cannot be repeated"));
            }
        }
        Shape::Scalar(_) => {}
        Shape::Block(parts) if parts.is_empty() => report.error(at, format!("block `{name}` is empty")),
        Shape::Block(parts) if parts.len() == 1 && !arg.optional && !arg.multiple => {
            report.error_with_help(at, format!("block `{name}` has one part"), "write the part itself");
        }
        Shape::OneOf(variants) if variants.len() < 2 => {
            report.error(at, format!("choice `{name}` needs at least two members"));
        }
        Shape::RestSplit(halves) => {
            let plain = |half: &Arg| {
                matches!(half.shape, Shape::Scalar(_)) && !half.is_flag() && half.token.is_none() && !half.optional
            };
            if halves.len() != 2 || !halves.iter().all(plain) {
                report.error(at, format!("split `{name}` has two halves of plain values"));
            }
        }
        _ => {}
    }
}

/// Tokens are upper-case and one word.
pub(super) fn tokens(_row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    if let Some(token) = &arg.token
        && (token.is_empty() || token.chars().any(|char| char.is_ascii_lowercase() || !char.is_ascii_graphic()))
    {
        report.error(token.at, format!("token \"{}\" must be one word in upper case", token.value));
    }
}

/// What only keys have stands only on keys, and says something new.
pub(super) fn key_words(row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    let (name, at) = (&arg.name.value, arg.name.at);
    if let Some(access) = &arg.access {
        if !arg.is_key() {
            report.error(access.at, format!("`access` is for keys, and `{name}` is none"));
        } else if access.value == row.access.value {
            report.error(access.at, format!("`{name}` has the row's access anyway; leave it out"));
        }
    }
    if (arg.key_flags.is_some() || arg.empty_is_none) && !arg.is_key() {
        report.error(at, format!("`key-flags` and `empty-is-none` are for keys, and `{name}` is none"));
    }
    const FLAGS: &[&str] =
        &["RO", "RW", "OW", "RM", "ACCESS", "UPDATE", "INSERT", "DELETE", "NOT_KEY", "INCOMPLETE", "VARIABLE_FLAGS"];
    for flag in arg.key_flags.iter().flatten() {
        if !FLAGS.contains(&flag.as_str()) {
            report.error_with_help(at, format!("unknown key flag \"{flag}\""), crate::suggest::help(flag, FLAGS));
        }
    }
}

/// The members of a choice are told by their tokens; at most the last has none, and none is optional.
pub(super) fn choice(_row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    let Shape::OneOf(variants) = &arg.shape else { return };
    for (index, variant) in variants.iter().enumerate() {
        let at = variant.name.at;
        if variant.optional || variant.any_order {
            report.error(at, format!("member `{}` of a choice is neither optional nor an option", variant.name.value));
        }
        if !variant.starts_with_token() && index + 1 < variants.len() {
            report.error_with_help(
                at,
                format!("member `{}` takes any word, so those after it are never reached", variant.name.value),
                "give it a token, or move it to the end",
            );
        }
        for token in variant.first_tokens() {
            if variants[..index].iter().any(|earlier| earlier.first_tokens().contains(&token)) {
                report.error(at, format!("token {token} begins two members of `{}`", arg.name.value));
            }
        }
    }
}

/// Limits and late judgement fit the value's type.
pub(super) fn values(_row: &Row, arg: &Arg, _place: Place, report: &mut Report) {
    let (name, at) = (&arg.name.value, arg.name.at);
    let integer = matches!(
        arg.shape,
        Shape::Scalar(
            Type::Integer
                | Type::Unsigned
                | Type::Seconds
                | Type::Milliseconds
                | Type::UnixSeconds
                | Type::UnixMilliseconds
        )
    );
    if let Some(min) = arg.min {
        if !integer {
            report.error(at, format!("`min` is for integers, and `{name}` is none"));
        } else if arg.shape == Shape::Scalar(Type::Unsigned) && min <= 0 {
            report.error(at, format!("`{name}` is unsigned, so `min` says nothing"));
        }
    }
    let judged =
        integer || matches!(arg.shape, Shape::Scalar(Type::Double | Type::Cursor | Type::ScoreBound | Type::LexBound));
    if arg.late && !judged {
        report.error(at, format!("any word will do for `{name}`, so there is nothing to judge late"));
    }
    if arg.late && arg.min.is_some() {
        report.error(at, format!("`{name}` is judged late, so its stand-in could be below `min`"));
    }
}

/// An optional argument without a token is told from what follows only by how many words are left.
pub(super) fn positional_before_variable(args: &[Arg], report: &mut Report) {
    for (index, arg) in args.iter().enumerate() {
        if !arg.optional || arg.starts_with_token() {
            continue;
        }
        let following = &args[index + 1..];
        let required = following.iter().find(|next| !next.optional);
        if let Some(required) = required
            && following.iter().any(|next| next.fixed_words().is_none())
        {
            report.error(
                arg.name.at,
                format!(
                    "optional `{}` stands before `{}`, and how many words follow is not fixed",
                    arg.name.value, required.name.value
                ),
            );
        }
    }
}

/// After a repeated argument without a count, only fixed words and options can be told apart.
pub(super) fn after_repeated(args: &[Arg], report: &mut Report) {
    for (index, arg) in args.iter().enumerate() {
        let bounded = arg.counted || arg.as_many_as.is_some() || arg.token_each || arg.starts_with_token();
        if !arg.multiple || bounded {
            continue;
        }
        for next in &args[index + 1..] {
            let told = next.starts_with_token() || next.fixed_words().is_some();
            if !told {
                report.error_with_help(
                    next.name.at,
                    format!("`{}` cannot be told from one more `{}`", next.name.value, arg.name.value),
                    "give it a token, or count the values before it",
                );
                break;
            }
        }
    }
}

/// A split takes all that is left.
pub(super) fn rest_is_last(args: &[Arg], report: &mut Report) {
    for (index, arg) in args.iter().enumerate() {
        if matches!(arg.shape, Shape::RestSplit(_)) && index + 1 < args.len() {
            report.error(
                args[index + 1].name.at,
                format!("nothing can follow `{}`, which takes all that is left", arg.name.value),
            );
        }
    }
}
