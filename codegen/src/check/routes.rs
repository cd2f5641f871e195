//! Routes, merges and replies: whether they fit the keys and each other.
//!
//! Owns: those three facts of a row. Refuses to know: how routing works.

use crate::diagnostic::Report;
use crate::keys::{self, Summary};
use crate::model::{Merge, ReplyKind, ReplyType, Route, Row};

/// Routes by key need keys, one key for `key`; the others have none. What only stands where a key would, such as a shard channel, routes nothing.
pub(super) fn keys_of_route(row: &Row, report: &mut Report) {
    let groups = keys::groups(row);
    let (name, at) = (&row.name.value, row.route.at);
    match &row.route.value {
        Route::Key if groups.is_empty() => report.error(at, format!("{name} has no key to be routed by")),
        Route::Key => {
            let single = matches!(keys::summary(&groups), Summary::One(_)) || keys_are_one_or_none(row);
            if !single {
                report.error_with_help(
                    at,
                    format!("{name} has several keys, which may be on several shards"),
                    "`route` is \"gather\" or { split = … }",
                );
            }
        }
        Route::Gather if groups.is_empty() => report.error(at, format!("{name} has no keys to gather")),
        Route::Scatter(_) if groups.iter().all(|group| group.flags.iter().any(|flag| *flag == "NOT_KEY")) => {}
        Route::AllShards(_) | Route::Scatter(_) | Route::Any | Route::Connection if !groups.is_empty() => {
            report.error(at, format!("{name} has keys, so it runs where they are"));
        }
        _ => {}
    }
}

/// One key argument that is not repeated, wherever it stands.
fn keys_are_one_or_none(row: &Row) -> bool {
    let all: Vec<_> = row.args.iter().flat_map(keys::all_keys).collect();
    all.len() == 1 && !all[0].multiple
}

/// A split needs exactly one repeated key argument, so that each shard gets its part of the words.
pub(super) fn split_keys(row: &Row, report: &mut Report) {
    if matches!(row.route.value, Route::Split(_)) {
        let groups = keys::groups(row);
        let range = matches!(keys::summary(&groups), Summary::Range { last: -1, .. });
        let repeated = groups.len() == 1 && groups[0].keys == 1;
        if !range || !repeated {
            report.error(row.route.at, "a split needs exactly one repeated key argument, at the end");
        }
    }
}

/// A merge makes the reply that the row declares.
pub(super) fn merge(row: &Row, report: &mut Report) {
    let (Route::Split(merge) | Route::AllShards(merge) | Route::Scatter(merge)) = &row.route.value else { return };
    let split = matches!(row.route.value, Route::Split(_));
    let fits = |reply: &ReplyType| match merge {
        Merge::Sum | Merge::Min | Merge::Max => reply.kind == ReplyKind::Integer && !reply.nullable,
        Merge::AllOk => reply.kind == ReplyKind::Ok,
        Merge::InOrder => matches!(reply.kind, ReplyKind::Array(_)) && !reply.nullable && split,
        Merge::Concat => matches!(reply.kind, ReplyKind::Array(_) | ReplyKind::Set(_)) && !reply.nullable,
        Merge::Custom(_) => true,
    };
    if !row.reply.alternatives.iter().all(fits) {
        let wanted = match merge {
            Merge::Sum | Merge::Min | Merge::Max => "an integer",
            Merge::AllOk => "ok",
            Merge::InOrder if !split => "the keys of a split, whose order it restores",
            Merge::InOrder => "an array",
            Merge::Concat => "an array or a set",
            Merge::Custom(_) => return,
        };
        report.error(
            row.route.at,
            format!("merge \"{}\" needs {wanted}, but the reply is \"{}\"", merge.word(), row.reply.text),
        );
    }
}

/// The alternatives of a union differ.
pub(super) fn alternatives(row: &Row, report: &mut Report) {
    let all = &row.reply.alternatives;
    for (index, reply) in all.iter().enumerate() {
        if all[..index].contains(reply) {
            report.error(row.reply.at, format!("\"{}\" names one reply twice", row.reply.text));
            return;
        }
        if reply.kind == ReplyKind::Any && all.len() > 1 {
            report.error(row.reply.at, "\"any\" is everything already; it has no alternatives");
            return;
        }
    }
}
