//! INFO persistence: what is on disk.
//!
//! Owns: where its facts come from and how they are shown, under Redis's names and some of our own. Refuses to know: how anything gets there.
//! Start at [`part`], then [`write()`].
//!
//! A snapshot is what Redis calls a save, and, where there is a log, also what it calls a rewrite of the append only file: the log before it is removed.
//! Nothing is ever forked or copied on write, so what Redis says of that is 0 here.

use super::facts::Facts;
use super::sections::Text;
use crate::host::PersistenceFacts;
use crate::shard::core::Core;

/// What one shard knows. The first one speaks for the process as well.
pub(super) fn part(core: &Core, facts: &mut Facts) {
    if core.id == 0 {
        process(core.now_ms / 1000, &core.host.persistence(), facts);
    }
    let journal = &core.journal;
    if journal.is_on() {
        for (what, number) in [
            ("last_lsn", journal.last_lsn()),
            ("durable_lsn", journal.durable_lsn()),
            ("pending_bytes", journal.pending_bytes() as u64),
        ] {
            facts.add(format!("log.{}.{what}", core.id), number);
        }
    }
}

fn process(now_unix_seconds: u64, host: &PersistenceFacts, facts: &mut Facts) {
    let flags = [
        ("loading", host.loading),
        ("log_on", host.log_on),
        ("snapshot_running", host.snapshot_running_seconds.is_some()),
        ("snapshot_scheduled", host.snapshot_scheduled),
        // Before the first one there was none to fail.
        (
            "snapshot_failed",
            !host.last_snapshot_ok && (host.last_snapshot_seconds.is_some() || host.snapshot_failures > 0),
        ),
        ("log_in_trouble", host.log_trouble.is_some()),
    ];
    for (name, holds) in flags {
        facts.add(name, u64::from(holds));
    }
    let (loading_total, loading_done) = host.loading_bytes;
    let (keys_loaded, keys_expired) = host.loaded_keys;
    let (keys_saved, keys_to_save) = host.snapshot_keys;
    let (snapshot_keys, snapshot_bytes) = host.last_snapshot_size;
    for (name, number) in [
        ("loading_since", host.loading_since_unix_seconds),
        ("loading_total_bytes", loading_total),
        ("loading_loaded_bytes", loading_done),
        ("keys_loaded", keys_loaded),
        ("keys_expired", keys_expired),
        ("keys_saved", keys_saved),
        ("keys_to_save", keys_to_save),
        ("last_snapshot_keys", snapshot_keys),
        ("last_snapshot_bytes", snapshot_bytes),
        ("last_snapshot_at", host.last_snapshot_unix_seconds),
        ("snapshots", host.snapshots),
        ("snapshot_failures", host.snapshot_failures),
        ("log_bytes", host.log_bytes),
        ("log_pending_bytes", host.log_pending_bytes),
        ("log_syncs_running", host.log_syncs_running),
        ("log_syncs_delayed", host.log_syncs_delayed),
        ("now", now_unix_seconds),
    ] {
        facts.add(name, number);
    }
    let seconds = |seconds: Option<u64>| seconds.map_or(-1, |seconds| seconds as i64);
    facts.tell("last_snapshot_seconds", seconds(host.last_snapshot_seconds));
    facts.tell("snapshot_running_seconds", seconds(host.snapshot_running_seconds));
    facts.tell("data_directory", host.directory.as_deref().unwrap_or_default());
    facts.tell("log_trouble", host.log_trouble.as_deref().unwrap_or_default());
    facts.add("recovery_reports", host.recovery_reports.len() as u64);
    for (at, report) in host.recovery_reports.iter().enumerate() {
        facts.tell(format!("recovery_report.{at}"), report);
    }
}

/// The section.
pub(super) fn write(facts: &Facts, text: &mut Text) {
    let status = |failed: &str| if facts.number(failed) > 0 { "err" } else { "ok" };
    let with_log = facts.number("log_on") > 0;
    // With a log, a snapshot is a rewrite of it as well.
    let (running, last) = (facts.text("snapshot_running_seconds"), facts.text("last_snapshot_seconds"));
    text.numbers(facts, &["loading"]);
    if facts.number("loading") > 0 {
        loading(facts, text);
    }
    text.zeros(&["async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"]);
    text.line("current_fork_perc", "0.00");
    text.line("current_save_keys_processed", facts.number("keys_saved"));
    text.line("current_save_keys_total", facts.number("keys_to_save"));
    let changes = facts.number("dirty").saturating_sub(facts.number("dirty_at_snapshot"));
    text.line("rdb_changes_since_last_save", changes);
    text.line("rdb_bgsave_in_progress", facts.number("snapshot_running"));
    text.line("rdb_last_save_time", facts.number("last_snapshot_at"));
    text.line("rdb_last_bgsave_status", status("snapshot_failed"));
    text.line("rdb_last_bgsave_time_sec", last);
    text.line("rdb_current_bgsave_time_sec", running);
    text.line("rdb_saves", facts.number("snapshots"));
    text.zeros(&["rdb_last_cow_size"]);
    text.line("rdb_last_load_keys_expired", facts.number("keys_expired"));
    text.line("rdb_last_load_keys_loaded", facts.number("keys_loaded"));
    text.line("aof_enabled", facts.number("log_on"));
    text.line("aof_rewrite_in_progress", if with_log { facts.number("snapshot_running") } else { 0 });
    text.line("aof_rewrite_scheduled", facts.number("snapshot_scheduled"));
    text.line("aof_last_rewrite_time_sec", if with_log { last } else { "-1" });
    text.line("aof_current_rewrite_time_sec", if with_log { running } else { "-1" });
    text.line("aof_last_bgrewrite_status", if with_log { status("snapshot_failed") } else { "ok" });
    text.line("aof_rewrites", if with_log { facts.number("snapshots") } else { 0 });
    text.line("aof_rewrites_consecutive_failures", if with_log { facts.number("snapshot_failures") } else { 0 });
    text.line("aof_last_write_status", status("log_in_trouble"));
    text.zeros(&["aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"]);
    if with_log {
        log(facts, text);
    }
    text.texts(facts, &["data_directory"]);
    text.numbers(facts, &["last_snapshot_keys", "last_snapshot_bytes", "recovery_reports"]);
    for at in 0..facts.number("recovery_reports") {
        text.line(format_args!("recovery_report_{at}"), facts.text(&format!("recovery_report.{at}")));
    }
}

/// While what is on disk is being loaded.
fn loading(facts: &Facts, text: &mut Text) {
    let (total, done) = (facts.number("loading_total_bytes"), facts.number("loading_loaded_bytes"));
    let elapsed_seconds = facts.number("now").saturating_sub(facts.number("loading_since"));
    // As much time for as many bytes.
    let left_seconds = (total.saturating_sub(done)).saturating_mul(elapsed_seconds).checked_div(done).unwrap_or(1);
    text.line("loading_start_time", facts.number("loading_since"));
    text.line("loading_total_bytes", total);
    text.line("loading_rdb_used_mem", 0);
    text.line("loading_loaded_bytes", done);
    let percent = if total == 0 { 0.0 } else { 100.0 * done as f64 / total as f64 };
    text.line("loading_loaded_perc", format_args!("{percent:.2}"));
    text.line("loading_eta_seconds", left_seconds);
}

/// Where there is a log. What Redis counts as the file is the snapshot and the log behind it.
fn log(facts: &Facts, text: &mut Text) {
    let snapshot_bytes = facts.number("last_snapshot_bytes");
    let of_shards: Vec<_> = (0..)
        .map_while(|shard: usize| {
            let number = |what: &str| facts.sum(&format!("log.{shard}.{what}"));
            Some((shard, number("last_lsn")?, number("durable_lsn")?, number("pending_bytes")?))
        })
        .collect();
    let buffered: u64 = of_shards.iter().map(|(.., pending)| pending).sum();
    text.line("aof_current_size", snapshot_bytes + facts.number("log_bytes"));
    text.line("aof_base_size", snapshot_bytes);
    text.line("aof_pending_rewrite", facts.number("snapshot_scheduled"));
    text.line("aof_buffer_length", buffered + facts.number("log_pending_bytes"));
    text.line("aof_pending_bio_fsync", facts.number("log_syncs_running"));
    text.line("aof_delayed_fsync", facts.number("log_syncs_delayed"));
    text.numbers(facts, &["log_bytes"]);
    text.texts(facts, &["log_trouble"]);
    for (shard, last_lsn, durable_lsn, pending_bytes) in of_shards {
        text.line(
            format_args!("log_shard_{shard}"),
            format_args!("last_lsn={last_lsn},durable_lsn={durable_lsn},pending_bytes={pending_bytes}"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::info::sections::{Section, Sections};

    /// Lines of the section that two shards make of what the host says; those that begin with `wanted`.
    fn check(host: &PersistenceFacts, shards: &[(u64, u64)], wanted: &[&str], expected: &[&str]) {
        let mut facts = Facts::default();
        process(1_000, host, &mut facts);
        for (at, (dirty, at_snapshot)) in shards.iter().enumerate() {
            facts.add("dirty", *dirty);
            facts.add("dirty_at_snapshot", *at_snapshot);
            for (what, number) in [("last_lsn", *dirty), ("durable_lsn", *at_snapshot), ("pending_bytes", 1)] {
                facts.add(format!("log.{at}.{what}"), number);
            }
        }
        let all = crate::handlers::info::sections::write(Sections::of(&[Section::Persistence]), &facts);
        let shown: Vec<&str> =
            all.lines().filter(|line| wanted.iter().any(|wanted| line.starts_with(wanted))).collect();
        assert_eq!(shown, expected, "{host:?}");
    }

    #[test]
    fn changes_since_the_last_snapshot_are_those_of_all_shards() {
        check(&PersistenceFacts::default(), &[(10, 4), (5, 5)], &["rdb_changes"], &["rdb_changes_since_last_save:6"]);
    }

    #[test]
    fn without_a_log_a_snapshot_is_no_rewrite() {
        let host = PersistenceFacts {
            snapshot_running_seconds: Some(7),
            last_snapshot_seconds: Some(3),
            snapshots: 2,
            snapshot_failures: 1,
            last_snapshot_unix_seconds: 99,
            ..PersistenceFacts::default()
        };
        check(
            &host,
            &[],
            &["rdb_bgsave", "rdb_last_save", "rdb_last_bgsave", "rdb_cur", "rdb_saves", "aof_", "log_"],
            &[
                "rdb_bgsave_in_progress:1",
                "rdb_last_save_time:99",
                "rdb_last_bgsave_status:err",
                "rdb_last_bgsave_time_sec:3",
                "rdb_current_bgsave_time_sec:7",
                "rdb_saves:2",
                "aof_enabled:0",
                "aof_rewrite_in_progress:0",
                "aof_rewrite_scheduled:0",
                "aof_last_rewrite_time_sec:-1",
                "aof_current_rewrite_time_sec:-1",
                "aof_last_bgrewrite_status:ok",
                "aof_rewrites:0",
                "aof_rewrites_consecutive_failures:0",
                "aof_last_write_status:ok",
                "aof_last_cow_size:0",
            ],
        );
    }

    #[test]
    fn with_a_log_its_state_is_shown() {
        let host = PersistenceFacts {
            directory: Some("/data".to_owned()),
            log_on: true,
            last_snapshot_ok: true,
            last_snapshot_size: (3, 1000),
            log_bytes: 50,
            log_pending_bytes: 5,
            log_syncs_delayed: 4,
            log_trouble: Some("No space left on device".to_owned()),
            recovery_reports: vec!["log-0000 was cut".to_owned()],
            ..PersistenceFacts::default()
        };
        check(
            &host,
            &[(9, 8), (7, 7)],
            &[
                "aof_enabled",
                "aof_last_write",
                "aof_current_size",
                "aof_base",
                "aof_buf",
                "aof_del",
                "log_",
                "data_",
                "recovery",
            ],
            &[
                "aof_enabled:1",
                "aof_last_write_status:err",
                "aof_current_size:1050",
                "aof_base_size:1000",
                "aof_buffer_length:7",
                "aof_delayed_fsync:4",
                "log_bytes:50",
                "log_trouble:No space left on device",
                "log_shard_0:last_lsn=9,durable_lsn=8,pending_bytes=1",
                "log_shard_1:last_lsn=7,durable_lsn=7,pending_bytes=1",
                "data_directory:/data",
                "recovery_reports:1",
                "recovery_report_0:log-0000 was cut",
            ],
        );
    }

    #[test]
    fn while_loading_the_rest_is_estimated() {
        let host = PersistenceFacts {
            loading: true,
            loading_since_unix_seconds: 990,
            loading_bytes: (400, 100),
            ..PersistenceFacts::default()
        };
        check(
            &host,
            &[],
            &["loading"],
            &[
                "loading:1",
                "loading_start_time:990",
                "loading_total_bytes:400",
                "loading_rdb_used_mem:0",
                "loading_loaded_bytes:100",
                "loading_loaded_perc:25.00",
                "loading_eta_seconds:30",
            ],
        );
        check(&PersistenceFacts::default(), &[], &["loading"], &["loading:0"]);
    }
}
