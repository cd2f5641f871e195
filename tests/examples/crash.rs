//! Crash cycles from the command line, as many as there is time for.
//!
//! Owns: the arguments. Refuses to know: what a cycle is. For example, with a server built before:
//! `cargo run -p kora-tests --example crash -- --cycles 1000 --server 'redis-server --port {port} --dir {dir} --appendonly yes --appendfsync {policy} --save ""'`

use std::process::ExitCode;

use kora_tests::crash::{Plan, Policy, run};

const USAGE: &str = "usage: crash --server TEMPLATE [--policy always|everysec|no] [--cycles N] [--seed N] [--clients N] [--operations N]
             [--pause-every N] [--snapshots 'BGSAVE,BGREWRITEAOF'] [--folder PATH]
TEMPLATE is a command line with {port}, {dir}, {shards} and {policy}";

fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    println!("seed {}, policy {}, `{}`", plan.seed, plan.policy.name(), plan.template.0);
    let begun = std::time::Instant::now();
    match run(&plan) {
        Ok(summary) => {
            println!("{} cycles in {:?}: {summary:?}", plan.cycles, begun.elapsed());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn plan(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan { is_talkative: true, ..Plan::new("", Policy::Always, 100, kora_tests::crash::seed()) };
    let mut folder = None;
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{flag} takes a number, not {value}"));
        match flag.as_str() {
            "--server" => plan.template.0.clone_from(&value),
            "--policy" => plan.policy = Policy::named(&value).ok_or_else(|| format!("no policy {value}"))?,
            "--cycles" => plan.cycles = number()? as usize,
            "--seed" => plan.seed = number()?,
            "--clients" => plan.clients = number()? as usize,
            "--operations" => plan.operations_max = number()?.max(1),
            "--pause-every" => plan.pause_every = number()? as usize,
            "--snapshots" => {
                plan.snapshot_commands = value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
            }
            "--folder" => folder = Some(value.into()),
            _ => return Err(format!("no flag {flag}")),
        }
    }
    if plan.template.0.is_empty() {
        return Err("--server is missing".to_owned());
    }
    plan.folder = folder.unwrap_or_else(|| Plan::new("", plan.policy, 0, plan.seed).folder);
    Ok(plan)
}
