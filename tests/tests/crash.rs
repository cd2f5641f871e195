//! Servers as processes, killed at random moments: a few cycles of each kind. `.ci/run crash` runs many.
//!
//! `KORA_CRASH_SEED=n` repeats a run, as far as time allows. Those of redis-server are tests of the tests; they want `KORA_ORACLE=1`.

use kora_tests::crash::{Plan, Policy, Summary, run, seed};
use kora_tests::oracle::{Oracle, VARIABLE};

const KORA: &str = concat!(
    env!("CARGO_BIN_EXE_kora-under-test"),
    " --port {port} --bind 127.0.0.1 --dir {dir} --shards {shards} --appendonly yes --appendfsync {policy} --log-segment-bytes 65536"
);
const REDIS: &str =
    r#"redis-server --port {port} --bind 127.0.0.1 --dir {dir} --save "" --appendonly yes --appendfsync {policy}"#;

/// Keeps what a clean end saves, and nothing else.
const REDIS_THAT_SAVES_AT_THE_END: &str = r#"redis-server --port {port} --bind 127.0.0.1 --dir {dir} --save "86400 1""#;

/// Loses the last bytes of its log at each start but the first ones.
const REDIS_THAT_TEARS: &str = r#"sh -c 'echo >> {dir}/starts
if [ $(wc -l < {dir}/starts) -gt 3 ]; then
    for log in {dir}/appendonlydir/*.incr.aof; do truncate --size=-60 $log; done
fi
exec redis-server --port {port} --bind 127.0.0.1 --dir {dir} --save "" --appendonly yes --appendfsync {policy}'"#;

fn plan(template: &str, policy: Policy, cycles: usize) -> Plan {
    Plan::new(template, policy, cycles, seed())
}

fn keeps(plan: &Plan) -> Summary {
    run(plan).unwrap_or_else(|why| panic!("{why}\nagain: KORA_CRASH_SEED={}", plan.seed))
}

/// The run must fail, by a loss, and say so.
fn loses(plan: &Plan, says: &str) {
    let why = run(plan).expect_err("nothing was noticed");
    std::fs::remove_dir_all(&plan.folder).expect("the folder of a failure is kept");
    assert!(why.contains(says) && !why.contains("before it was"), "{why}");
}

fn is_redis_wanted() -> bool {
    if !Oracle::is_wanted() {
        eprintln!("not tried on redis-server: {VARIABLE} is not set");
    }
    Oracle::is_wanted()
}

#[test]
fn kora_keeps_what_it_promises() {
    let summary = keeps(&plan(KORA, Policy::Always, 5));
    assert_eq!(summary.seen.lost, 0);
    keeps(&plan(KORA, Policy::EverySec, 5));
    keeps(&plan(KORA, Policy::No, 3));
}

#[test]
fn redis_server_keeps_what_it_promises() {
    if !is_redis_wanted() {
        return;
    }
    let summary = keeps(&plan(REDIS, Policy::Always, 20));
    assert!(summary.kills > 0 && summary.seen.acknowledged > 1_000 && summary.seen.under_way > 0, "{summary:?}");
    assert_eq!(summary.seen.lost, 0);
    let summary = keeps(&Plan { pause_every: 2, ..plan(REDIS, Policy::EverySec, 4) });
    assert_eq!(summary.pauses, 2);
    keeps(&plan(REDIS, Policy::No, 5));
}

#[test]
fn a_redis_server_that_loses_data_is_noticed() {
    if !is_redis_wanted() {
        return;
    }
    let nothing = r#"redis-server --port {port} --bind 127.0.0.1 --dir {dir} --save "" --appendonly no"#;
    for policy in [Policy::Always, Policy::EverySec, Policy::No] {
        loses(&plan(nothing, policy, 5), "bank:account:0: no number");
    }
    let torn = Plan { snapshot_commands: vec![], ..plan(REDIS_THAT_TEARS, Policy::Always, 40) };
    loses(&torn, "redis-server --port"); // what it was matters little: some sixty bytes are gone
    let snapshots = |policy| Plan { snapshot_commands: vec![], ..plan(REDIS_THAT_SAVES_AT_THE_END, policy, 40) };
    loses(&snapshots(Policy::Always), "are lost");
    loses(&Plan { pause_every: 1, ..snapshots(Policy::EverySec) }, "old, not 2s");
    // All that it loses are the last operations: that is no less than `no` promises.
    assert!(keeps(&snapshots(Policy::No)).seen.lost > 0);
}
