//! The order of rows: by group, then by name.
//!
//! Owns: the list of groups that need no declaration. Refuses to know: what is in a row besides its name and group.

use crate::diagnostic::Report;
use crate::model::{Row, Table};
use crate::suggest;

/// The groups of Redis, in the order of the file. Others are declared as `[group.NAME]` and follow.
pub(crate) const GROUPS: &[&str] = &[
    "connection",
    "generic",
    "string",
    "list",
    "hash",
    "set",
    "sorted-set",
    "server",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "transactions",
    "scripting",
];

/// Every row's group is one of Redis's or declared.
pub(super) fn groups(table: &Table, report: &mut Report) {
    let declared: Vec<&str> = table.groups.iter().map(|group| group.name.value.as_str()).collect();
    for row in &table.rows {
        let group = row.group.value.as_str();
        if !GROUPS.contains(&group) && !declared.contains(&group) {
            let known = [GROUPS, &declared].concat();
            let help = match suggest::nearest(group, known) {
                Some(candidate) => format!("did you mean \"{candidate}\"?"),
                None => format!("declare it as [group.{group}]"),
            };
            report.error_with_help(row.group.at, format!("unknown group \"{group}\""), help);
        }
    }
}

/// Rows stand by group and name.
pub(super) fn rows(table: &Table, report: &mut Report) {
    let declared: Vec<&str> = table.groups.iter().map(|group| group.name.value.as_str()).collect();
    let place = |row: &Row| {
        let all = GROUPS.iter().chain(&declared);
        let group = all.clone().position(|group| *group == row.group.value).unwrap_or(usize::MAX);
        (group, row.name.value.clone())
    };
    let mut sorted: Vec<&Row> = Vec::new();
    for row in &table.rows {
        // The rows so far are in order, so the first that should come later is where this one belongs.
        match sorted.iter().position(|earlier| place(earlier) > place(row)) {
            None => sorted.push(row),
            Some(index) => report.error_with_help(
                row.name.at,
                format!("{} is out of order", row.name.value),
                format!("it belongs before {}, line {}", sorted[index].name.value, sorted[index].line()),
            ),
        }
    }
}
