//! `kora-server log DIR`: the log of a data directory, a line for each entry.
//!
//! Owns: which entries are shown, and how. Refuses to know: which records count; recovery decides that, as at a start.
//! Start at [`run`].
//!
//! ```text
//! shard 0 record 17 database 0 "SET" "k" "v"
//! shard 0 record 18 transaction 281474976710656 of shards 0 3 database 0 "DEL" "k\x00"
//! ```

use std::io::{self, Write};
use std::ops::{ControlFlow, RangeInclusive};
use std::path::Path;

use kora_runtime::argv::{Argv, Span};
use kora_runtime::shard::replay::{Entries, Entry};
use kora_runtime::table::{self, CommandId};
use kora_storage::log::record::Record;
use kora_storage::recovery::{Mode, recover};

use super::{ToolError, open};

/// Which entries are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Numbers of records, for each shard.
    pub records: RangeInclusive<u64>,
    /// Only what is about this key, and what is about all keys.
    pub key: Option<Vec<u8>>,
    /// Only this shard.
    pub shard: Option<u16>,
}

impl Selection {
    fn has(&self, id: CommandId, argv: Argv<'_>) -> bool {
        let Some(wanted) = &self.key else { return true };
        let (mut any, mut found) = (false, false);
        // What does not parse names no keys, and is shown.
        let _ = table::keys(id, argv, &mut |index, _| {
            any = true;
            found |= argv.get(index) == Some(wanted);
        });
        found || !any
    }
}

/// Prints what a start would replay.
pub(super) fn run(directory: &Path, selection: &Selection, out: &mut dyn Write) -> Result<(), ToolError> {
    let (dir, manifest) = open(directory)?;
    let recovered = recover(&dir, &manifest, Mode::Inspect)?;
    let mut spans = Vec::new();
    for log in recovered.logs.iter().filter(|log| selection.shard.is_none_or(|shard| shard == log.shard)) {
        let mut printed = Ok(());
        log.read(&dir, &mut |record| {
            if record.lsn > *selection.records.end() {
                return ControlFlow::Break(());
            }
            if selection.records.contains(&record.lsn) {
                printed = print(log.shard, &record, selection, &mut spans, out);
            }
            if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        printed?;
    }
    Ok(())
}

/// Prints the entries of a record.
fn print(
    shard: u16,
    record: &Record<'_>,
    selection: &Selection,
    spans: &mut Vec<Span>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = |out: &mut dyn Write| {
        write!(out, "shard {shard} record {}", record.lsn)?;
        let Some(txn) = record.txn else { return Ok(()) };
        write!(out, " transaction {} of shards", txn.id)?;
        txn.participants.iter().try_for_each(|participant| write!(out, " {participant}"))
    };
    let mut entries = Entries::of(record.payload);
    loop {
        match entries.next(spans) {
            Ok(None) => return Ok(()),
            Ok(Some(Entry { db, id, frame })) => {
                let argv = Argv::new(frame, spans);
                if !selection.has(id, argv) {
                    continue;
                }
                head(out)?;
                write!(out, " database {db} \"{}\"", id.info().name.to_ascii_uppercase().replace('|', "\" \""))?;
                argv.iter().try_for_each(|word| write!(out, " {}", quoted(word)))?;
                writeln!(out)?;
            }
            Err(error) => {
                head(out)?;
                return writeln!(out, " cannot be read: {error}");
            }
        }
    }
}

/// A word as redis-cli shows it.
fn quoted(word: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in word {
        match byte {
            b'\\' | b'"' => text.extend(['\\', byte as char]),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_as_redis_cli_shows_them() {
        assert_eq!(quoted(b"a b"), r#""a b""#);
        assert_eq!(quoted(b"\"\\\n\r\t\x07\x08\x00\xff"), r#""\"\\\n\r\t\a\b\x00\xff""#);
        assert_eq!(quoted(b""), r#""""#);
    }
}
