//! Money that moves between accounts on different shards: whoever reads all accounts sees the same sum.
//!
//! Owns: the transfers, optimistic ones with WATCH, blind ones and those by scripts, and the check of what readers see. Refuses to know: how transactions run.
//! Start at [`run_bank`]. Database 1 holds a second bank with the same sum, so that SWAPDB may come at any time.

use kora_runtime::random::Random;
use kora_runtime::resp::value::array_elements;

use super::drive::{Chaos, Words, Workload, drive, words};
use super::rebirth::Crash;
use super::world::World;
use super::{Shape, number_of};

const ACCOUNTS: u64 = 6;
const SUM: i64 = 600;

/// Scripts are single words, as all else that clients send here.
const TRANSFER: &str =
    "redis.call('DECRBY',KEYS[1],ARGV[1])redis.call('INCRBY',KEYS[2],ARGV[1])return(redis.call('GET',KEYS[1]))";
const READ_ALL: &str = "return(redis.call('MGET',unpack(KEYS)))";

/// Where a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Asked for the balances of two accounts that it watches.
    Asked(u64, u64),
    /// Knows them.
    Knows([(u64, i64); 2]),
    /// Sent a transfer, or asked for all balances.
    Sent {
        reads: bool,
    },
}

struct Bank {
    stages: Vec<Stage>,
    left: Vec<usize>,
    aborted: usize,
    committed: usize,
}

fn all_accounts() -> String {
    (0..ACCOUNTS).map(|at| format!(" a{at}")).collect()
}

fn sum_of(array: &[u8]) -> Option<i64> {
    array_elements(array)?.map(number_of).sum()
}

impl Bank {
    fn begin(&mut self, client: usize, random: &mut Random) -> Vec<Words> {
        let one = random.below(ACCOUNTS);
        let other = (one + 1 + random.below(ACCOUNTS - 1)) % ACCOUNTS;
        let amount = 1 + random.below(30);
        let (stage, lines) = match random.below(15) {
            0..=4 => {
                let watch = match random.below(3) {
                    0 => vec![format!("WATCH a{one}"), format!("WATCH a{other}")],
                    1 => vec![format!("WATCH a{other} a{one}")],
                    // What was watched before does not count any more.
                    _ => {
                        vec![format!("WATCH{}", all_accounts()), "UNWATCH".to_owned(), format!("WATCH a{one} a{other}")]
                    }
                };
                let gets = [format!("GET a{one}"), format!("GET a{other}")];
                (Stage::Asked(one, other), watch.into_iter().chain(gets).collect())
            }
            5..=7 => {
                let lines = [
                    "MULTI".into(),
                    format!("DECRBY a{one} {amount}"),
                    format!("INCRBY a{other} {amount}"),
                    "EXEC".into(),
                ];
                (Stage::Sent { reads: false }, lines.to_vec())
            }
            8..=9 => (Stage::Sent { reads: true }, vec![format!("MGET{}", all_accounts())]),
            10 => {
                let gets = (0..ACCOUNTS).map(|at| format!("GET a{at}"));
                let lines: Vec<String> =
                    std::iter::once("MULTI".to_owned()).chain(gets).chain(["EXEC".to_owned()]).collect();
                (Stage::Sent { reads: true }, lines)
            }
            11..=12 => (Stage::Sent { reads: false }, vec![format!("EVAL {TRANSFER} 2 a{one} a{other} {amount}")]),
            13 => (Stage::Sent { reads: true }, vec![format!("EVAL {READ_ALL} {ACCOUNTS}{}", all_accounts())]),
            _ => match random.below(3) {
                0 => (Stage::Sent { reads: false }, vec!["SWAPDB 0 1".to_owned()]),
                1 => (Stage::Sent { reads: false }, vec!["MULTI".into(), format!("SET a{one} 0"), "DISCARD".into()]),
                _ => (
                    Stage::Sent { reads: false },
                    vec!["MULTI".into(), format!("SET a{one} 0"), "SET a".into(), "EXEC".into()],
                ),
            },
        };
        self.stages[client] = stage;
        lines.iter().map(|line| words(line)).collect()
    }
}

impl Workload for Bank {
    fn next(&mut self, client: usize, _: u64, random: &mut Random, _: &World) -> Option<Vec<Words>> {
        if let Stage::Knows([(one, here), (other, there)]) = self.stages[client] {
            let amount = 1 + random.below(30) as i64;
            let (less, more) = (here - amount, there + amount);
            self.stages[client] = Stage::Sent { reads: false };
            let changes = match random.below(3) {
                0 => vec![format!("SET a{one} {less}"), format!("SET a{other} {more}")],
                1 => vec![format!("MSET a{one} {less} a{other} {more}")],
                _ => vec![
                    format!("SET a{one} {less}"),
                    format!("MGET{}", all_accounts()),
                    format!("INCRBY a{other} {amount}"),
                ],
            };
            let lines = std::iter::once("MULTI".to_owned()).chain(changes).chain(["EXEC".to_owned()]);
            return Some(lines.map(|line| words(&line)).collect());
        }
        self.left[client] = self.left[client].checked_sub(1)?;
        Some(self.begin(client, random))
    }

    fn answered(&mut self, client: usize, _: u64, replies: &[Vec<u8>], _: &World) -> Result<(), String> {
        let last = replies.last().map_or(&b""[..], Vec::as_slice);
        match std::mem::replace(&mut self.stages[client], Stage::Idle) {
            Stage::Asked(one, other) => {
                let balances: Vec<Option<i64>> =
                    replies[replies.len() - 2..].iter().map(|reply| number_of(reply)).collect();
                let [Some(here), Some(there)] = balances[..] else {
                    return Err(format!("an account is gone: {balances:?}"));
                };
                self.stages[client] = Stage::Knows([(one, here), (other, there)]);
            }
            Stage::Sent { reads: true } => {
                let sum = sum_of(last);
                if sum != Some(SUM) {
                    return Err(format!("client {client} saw {sum:?}: {}", last.escape_ascii()));
                }
            }
            Stage::Sent { reads: false } => {
                if last.starts_with(b"-") && !last.starts_with(b"-EXECABORT") {
                    return Err(format!("client {client} was refused: {}", last.escape_ascii()));
                }
                self.aborted += usize::from(last == b"*-1\r\n");
                self.committed += usize::from(last.starts_with(b"*") && last != b"*-1\r\n");
            }
            Stage::Idle | Stage::Knows(_) => return Err("a reply to nothing".to_owned()),
        }
        Ok(())
    }

    fn gone(&mut self, client: usize, _: u64, _: &[Vec<u8>]) -> Result<(), String> {
        self.stages[client] = Stage::Idle;
        Ok(())
    }

    fn reborn(&mut self, _: u64, _: Crash, world: &mut World) -> Result<(), String> {
        audit(world, self.stages.len())
    }
}

/// Looks at all accounts of both banks.
fn audit(world: &mut World, admin: usize) -> Result<(), String> {
    for db in 0..2 {
        world.ask(admin, &words(&format!("SELECT {db}")));
        let sum = sum_of(&world.ask(admin, &words(&format!("MGET{}", all_accounts()))));
        if sum != Some(SUM) {
            return Err(format!("{sum:?} is left in database {db}"));
        }
    }
    Ok(())
}

/// Runs one seed. Returns how many transactions were committed and how many found what they watched changed.
///
/// # Errors
/// What a reader saw that no sequence of transfers leads to.
pub fn run_bank(seed: u64, shape: Shape) -> Result<(usize, usize), String> {
    let mut random = Random::new(seed);
    let mut world = World::with_lives(seed, Shape { clients: shape.clients + 1, ..shape })?;
    let admin = shape.clients;
    for db in 0..2 {
        let balance = SUM / ACCOUNTS as i64;
        world.ask(admin, &words(&format!("SELECT {db}")));
        let pairs: String = (0..ACCOUNTS).map(|at| format!(" a{at} {balance}")).collect();
        world.ask(admin, &words(&format!("MSET{pairs}")));
    }
    world.sync_all();
    let mut bank = Bank {
        stages: vec![Stage::Idle; shape.clients],
        left: vec![shape.commands; shape.clients],
        aborted: 0,
        committed: 0,
    };
    let chaos = Chaos { disconnects: if seed.is_multiple_of(3) { 8 } else { 0 }, time: 5, lives: shape.lives };
    let waiting = drive(&mut world, shape.clients, &mut random, chaos, &mut bank)?;
    if !waiting.is_empty() {
        return Err(format!("{waiting:?} were never answered"));
    }
    audit(&mut world, admin)?;
    super::end(&mut world, shape.clients)?;
    Ok((bank.committed, bank.aborted))
}
