//! Every row has a transcript: `tests/transcripts/GROUP/NAME.resp`.
//!
//! Owns: where a row's transcript is. Refuses to know: what is in it.

use std::path::{Path, PathBuf};

use crate::diagnostic::Report;
use crate::model::{Row, Table};

/// Where the transcript of a row is, from the root of the repository.
pub fn path_of(row: &Row) -> PathBuf {
    let file = format!("{}.resp", row.lower().replace('|', "-"));
    Path::new("tests/transcripts").join(&row.group.value).join(file)
}

/// Rows without a transcript below `root` are mistakes.
pub fn check(table: &Table, root: &Path, report: &mut Report) {
    for row in &table.rows {
        let path = path_of(row);
        if !root.join(&path).is_file() {
            report.error_with_help(
                row.name.at,
                format!("{} has no transcript", row.name.value),
                format!("write {}", path.display()),
            );
        }
    }
}
