//! The command reference: one page a group, an index, and the list of numbers.
//!
//! Owns: what people read about commands. Refuses to know: Rust source; whether the pages are checked in.
//! Start at [`files`].

use std::fmt::Write;

use crate::keys;
use crate::model::{Merge, Owner, Route, Row, Surplus, Table};
use crate::numbers::Numbers;
use crate::{emit, names, syntax};

/// The list of numbers, from the root of the repository.
pub const NUMBERS_FILE: &str = "docs/command-numbers.txt";

/// Every checked-in file that follows from the table: its path from the root, and its text.
pub fn files(table: &Table, numbers: &Numbers) -> Vec<(String, String)> {
    let mut files =
        vec![(NUMBERS_FILE.to_owned(), numbers.extended(table)), ("docs/commands/README.md".to_owned(), index(table))];
    for (group, owner) in table.groups_in_order() {
        files.push((format!("docs/commands/{group}.md"), page(table, group, owner)));
    }
    files
}

const MADE: &str = "<!-- Made by `cargo gen docs` from commands.toml. -->\n\n";

fn index(table: &Table) -> String {
    let mut text = format!("{MADE}# Commands\n\nEvery command Kora knows, by group.\n\n");
    for (group, _) in table.groups_in_order() {
        let rows: Vec<&Row> = table.rows.iter().filter(|row| row.group.value == group).collect();
        line(&mut text, format_args!("## [{group}]({group}.md)\n"));
        line(&mut text, format_args!("| command | what it does | since |\n|---|---|---|"));
        for row in rows {
            line(
                &mut text,
                format_args!(
                    "| [`{}`]({group}.md#{}) | {} | {} |",
                    row.name.replace('|', " "),
                    anchor(row),
                    row.summary.value,
                    row.since.value
                ),
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Appends a line. Writing to a `String` cannot fail, so nothing is returned.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
    text.push('\n');
}

/// The heading's anchor as renderers of Markdown make it.
fn anchor(row: &Row) -> String {
    row.lower().replace('|', "-").replace('.', "")
}

fn page(table: &Table, group: &str, owner: Owner) -> String {
    let whose = match owner {
        Owner::Runtime => String::new(),
        Owner::Ext => ", in kora-ext".to_owned(),
    };
    let handlers = names::group_trait(group);
    let mut text = format!("{MADE}# {group}\n\nHandlers: `trait {handlers}`{whose}.\n");
    for row in table.rows.iter().filter(|row| row.group.value == group) {
        text += &section(row);
    }
    text
}

fn section(row: &Row) -> String {
    let mut text = String::new();
    line(&mut text, format_args!("\n## {}\n", row.name.replace('|', " ")));
    line(&mut text, format_args!("{}\n", row.summary.value));
    line(&mut text, format_args!("```text\n{}\n```\n", syntax::row(row)));
    let groups = keys::groups(row);
    let flags: Vec<&str> = row.flags.iter().map(|flag| flag.word()).collect();
    let facts = [
        ("since", row.since.value.clone()),
        ("complexity", row.complexity.value.clone()),
        ("arity", row.arity().to_string()),
        ("access", row.access.word().to_owned()),
        ("flags", flags.join(", ")),
        ("ACL categories", emit::info::acl_categories(row).join(" ")),
        ("keys", keys_in_words(&groups)),
        ("route", route_in_words(&row.route)),
        ("log", row.wal.word().to_owned()),
        ("reply", format!("`{}`", row.reply.text.replace('|', "` or `"))),
    ];
    for (name, fact) in facts {
        if !fact.is_empty() {
            line(&mut text, format_args!("- {name}: {fact}"));
        }
    }
    if row.surplus == Surplus::Arity {
        line(&mut text, format_args!("- too many words are a wrong number of arguments, not a syntax error"));
    }
    text
}

fn keys_in_words(groups: &[keys::KeyGroup]) -> String {
    use keys::{Begin, Find};
    let words: Vec<String> = groups
        .iter()
        .map(|group| {
            let begin = match &group.begin {
                Begin::Index(position) => format!("word {}", position + 1),
                Begin::Keyword { word, .. } => format!("after {word}"),
                Begin::Unknown => "found by the parser".to_owned(),
            };
            let find = match group.find {
                Find::Range { last: 0, .. } | Find::Unknown => String::new(),
                Find::Range { limit: 2, .. } => ", the first half".to_owned(),
                Find::Range { last, step, .. } => {
                    let every = if step == 1 { String::new() } else { format!(", every {step}nd") };
                    let end = match last {
                        -1 => "to the end".to_owned(),
                        last if last < 0 => format!("to the last but {}", -1 - last),
                        last => format!("and the next {last}"),
                    };
                    format!(" {end}{every}")
                }
                Find::Counted { .. } => ", counted".to_owned(),
            };
            format!("{begin}{find} ({})", group.access.word())
        })
        .collect();
    words.join("; ")
}

fn route_in_words(route: &Route) -> String {
    let merge = |merge: &Merge| match merge {
        Merge::Custom(name) => format!("`merge::{name}`"),
        other => other.word().to_owned(),
    };
    match route {
        Route::Key => "the shard of its key".to_owned(),
        Route::Split(how) => format!("the shards of its keys, each its own; merged by {}", merge(how)),
        Route::Gather => "one shard, to which the values of its keys are brought".to_owned(),
        Route::AllShards(how) => format!("every shard; merged by {}", merge(how)),
        Route::Scatter(how) => format!("several shards, each when it gets there; merged by {}", merge(how)),
        Route::Any => "any shard".to_owned(),
        Route::Connection => "the connection itself".to_owned(),
        Route::Custom(name) => format!("the shard that `route::{name}` names"),
    }
}
