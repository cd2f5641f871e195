//! `kora-server check DIR`: what is in a data directory, and whether all of it is whole.
//!
//! Owns: what is looked at and how it is told. Refuses to know: what the values of keys mean. Start at [`run`].

use std::io::Write;
use std::path::Path;

use kora_storage::dir::{Dir, RealDir, uninterrupted};
use kora_storage::log::{SegmentSummary, inspect};
use kora_storage::manifest::{Manifest, snapshot_name};
use kora_storage::rdb::{Item, RdbFile};
use kora_storage::recovery::{Mode, recover};

use super::{ToolError, open};
use crate::exit::Exit;

/// Prints what is there. [`Exit::DataDirectory`] when a start would be refused.
pub(super) fn run(directory: &Path, out: &mut dyn Write) -> Result<Exit, ToolError> {
    let (dir, manifest) = open(directory)?;
    let Manifest { shards, incarnation, generation, has_log, .. } = &manifest;
    writeln!(out, "{}: {shards} shards, opened {incarnation} times", directory.display())?;
    let mut wrong = Vec::new();
    if *generation > 0 {
        for shard in 0..*shards as u16 {
            let name = snapshot_name(*generation, shard);
            match read_snapshot(directory, &name) {
                Ok((keys, bytes)) => writeln!(out, "shard {shard}: snapshot {name}, {bytes} bytes, {keys} keys")?,
                Err(error) => wrong.push(error),
            }
        }
    } else {
        writeln!(out, "there is no snapshot")?;
    }
    if *has_log {
        logs(&dir, &manifest, out, &mut wrong)?;
    } else {
        writeln!(out, "there is no log")?;
    }
    for problem in &wrong {
        writeln!(out, "wrong: {problem}")?;
    }
    writeln!(out, "{}", if wrong.is_empty() { "a server can start with this" } else { "a server would refuse this" })?;
    Ok(if wrong.is_empty() { Exit::Clean } else { Exit::DataDirectory })
}

fn logs(dir: &RealDir, manifest: &Manifest, out: &mut dyn Write, wrong: &mut Vec<String>) -> Result<(), ToolError> {
    let segments = uninterrupted(|| inspect(dir))
        .map_err(|source| ToolError::Directory { directory: dir.path().to_owned(), source })?;
    for (shard, first_lsn) in (0_u16..).zip(&manifest.first_lsns) {
        let of_shard = || segments.iter().filter(|segment| segment.shard == shard);
        let sum = |count: fn(&SegmentSummary) -> u64| of_shard().map(count).sum::<u64>();
        writeln!(
            out,
            "shard {shard}: log from record {first_lsn}, {} files, {} bytes, {} records, {} of them of transactions over several shards",
            of_shard().count(),
            sum(|segment| segment.bytes),
            sum(|segment| segment.records),
            sum(|segment| segment.transactions),
        )?;
        for SegmentSummary { name, first_lsn, end_lsn, incarnation, bytes, problem, .. } in of_shard() {
            write!(out, "  {name}: records {first_lsn} to before {end_lsn}, {bytes} bytes, incarnation {incarnation}")?;
            // What is wrong with one file alone need not be: a torn end behind which another file takes over is none.
            writeln!(out, "{}", problem.as_ref().map(|problem| format!("; {problem}")).unwrap_or_default())?;
        }
    }
    match recover(dir, manifest, Mode::Inspect) {
        Ok(recovered) => {
            for report in &recovered.reports {
                writeln!(out, "a start would say: {report}")?;
            }
            if recovered.cut_records + recovered.skipped_records > 0 {
                let (cut, skipped) = (recovered.cut_records, recovered.skipped_records);
                writeln!(out, "a start would leave out {cut} records at the ends of logs and {skipped} before them")?;
            }
        }
        Err(error) => wrong.push(error.to_string()),
    }
    Ok(())
}

/// Keys and bytes of a snapshot's file, whose checksum is right.
fn read_snapshot(directory: &Path, name: &str) -> Result<(u64, u64), String> {
    let path = directory.join(name);
    let shown = path.display().to_string();
    let file = std::fs::File::open(&path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let mut file = RdbFile::open(&shown, Box::new(file)).map_err(|error| error.to_string())?;
    let mut keys = 0;
    loop {
        let kind = match file.next_item().map_err(|error| error.to_string())? {
            Item::Key(head) => head.kind,
            Item::End => return Ok((keys, file.offset())),
            _ => continue,
        };
        keys += 1;
        file.skip_value(kind).map_err(|error| error.to_string())?;
    }
}
