//! Facts of a row that are plain words: versions, sentences, categories, tips, and how they fit its access.
//!
//! Owns: their spelling and agreement. Refuses to know: arguments, but for the types of times.

use crate::diagnostic::Report;
use crate::emit::info::CATEGORIES;
use crate::model::{Access, Arg, Flag, Row, Shape, Surplus, Type, Wal};
use crate::suggest;

/// `since` is a version, of Redis or `kora …`.
pub(super) fn since(row: &Row, report: &mut Report) {
    let version = row.since.strip_prefix("kora ").unwrap_or(&row.since);
    let parts: Vec<&str> = version.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.parse::<u16>().is_err()) {
        report.error_with_help(
            row.since.at,
            format!("\"{}\" is not a version", row.since.value),
            "write \"6.2.0\", or \"kora 0.3.0\" for what Redis does not have",
        );
    }
}

/// `summary` is one short sentence.
pub(super) fn summary(row: &Row, report: &mut Report) {
    let text = row.summary.value.as_str();
    let capital = text.starts_with(|first: char| first.is_uppercase());
    if !capital || !text.ends_with('.') || text.contains('\n') || text.chars().count() > 100 {
        report.error(
            row.summary.at,
            "a summary is one sentence of at most 100 characters, with a capital and a full stop",
        );
    }
}

/// `complexity` begins with an order of growth.
pub(super) fn complexity(row: &Row, report: &mut Report) {
    if !row.complexity.contains("O(") {
        report.error(row.complexity.at, "a complexity names an order, as in \"O(log(N))\"");
    }
}

/// Written ACL categories exist and are not derived already.
pub(super) fn categories(row: &Row, report: &mut Report) {
    for word in &row.acl {
        let name = word.strip_prefix('-').unwrap_or(word);
        if !CATEGORIES.contains(&name) {
            let help = suggest::help(name, CATEGORIES);
            report.error_with_help(word.at, format!("unknown ACL category \"{name}\""), help);
            continue;
        }
        let derived = crate::emit::info::derived_categories(row);
        let is_derived = derived.iter().any(|known| known == name);
        match (word.starts_with('-'), is_derived) {
            (false, true) => {
                report.error(word.at, format!("\"{name}\" follows from the row's other facts; leave it out"))
            }
            (true, false) => report.error(word.at, format!("\"{name}\" is not derived, so it cannot be taken away")),
            _ => {}
        }
    }
}

/// No flag, category or tip stands twice.
pub(super) fn repeated_words(row: &Row, report: &mut Report) {
    let flags = row.flags.iter().map(|flag| (flag.word().to_owned(), flag.at));
    let words = row.acl.iter().chain(&row.tips).map(|word| (word.value.clone(), word.at));
    let all: Vec<_> = flags.chain(words).collect();
    for (index, (word, at)) in all.iter().enumerate() {
        if all[..index].iter().any(|(earlier, _)| earlier == word) {
            report.error(*at, format!("\"{word}\" stands twice"));
        }
    }
}

/// The words of command tips, up to the colon.
const TIPS: &[&str] = &[
    "nondeterministic_output",
    "nondeterministic_output_order",
    "request_policy:all_nodes",
    "request_policy:all_shards",
    "request_policy:multi_shard",
    "request_policy:special",
    "response_policy:one_succeeded",
    "response_policy:all_succeeded",
    "response_policy:agg_logical_and",
    "response_policy:agg_logical_or",
    "response_policy:agg_min",
    "response_policy:agg_max",
    "response_policy:agg_sum",
    "response_policy:special",
    "-request_policy",
    "-response_policy",
];

/// Tips are known words.
pub(super) fn tips(row: &Row, report: &mut Report) {
    for tip in &row.tips {
        if !TIPS.contains(&tip.value.as_str()) {
            report.error_with_help(tip.at, format!("unknown tip \"{}\"", tip.value), suggest::help(tip, TIPS));
        }
    }
}

/// What writes is logged, and nothing else is.
pub(super) fn wal_of_reads(row: &Row, report: &mut Report) {
    match (row.access.value, row.wal.value) {
        (Access::Write, Wal::None) => report.error_with_help(
            row.wal.at,
            format!("{} writes, but nothing of it is logged", row.name.value),
            "`wal` is \"command\" or \"effects\"",
        ),
        // A script's commands write, whatever its own row says.
        (Access::None, Wal::Effects) if row.flags.iter().any(|flag| flag.value == Flag::RunsScripts) => {}
        (Access::Read | Access::None, Wal::Command | Wal::Effects) => report.error_with_help(
            row.wal.at,
            format!("{} does not write, so there is nothing to log", row.name.value),
            "`wal` is \"none\", or `access` is \"write\"",
        ),
        _ => {}
    }
}

/// What is logged as it was sent must mean the same when it is read again, later.
pub(super) fn relative_times(row: &Row, report: &mut Report) {
    fn relative(args: &[Arg]) -> Option<&Arg> {
        args.iter().find_map(|arg| match arg.shape {
            Shape::Scalar(Type::Seconds | Type::Milliseconds) => Some(arg),
            _ => relative(arg.children()),
        })
    }
    if let (Wal::Command, Some(arg)) = (row.wal.value, relative(&row.args)) {
        report.error_with_help(
            row.wal.at,
            format!("`{}` is a relative time, which means something else when the log is replayed", arg.name.value),
            "`wal` is \"effects\"",
        );
    }
}

/// `surplus` is for rows that can have words left over.
pub(super) fn surplus(row: &Row, report: &mut Report) {
    if row.surplus == Surplus::Arity && row.fixed_words().is_some() {
        report.error(row.name.at, format!("{} has a fixed number of words, so `surplus` says nothing", row.name.value));
    }
}
