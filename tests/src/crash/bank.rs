//! Two banks whose accounts lie on all shards: money moves between accounts, none appears or disappears.
//!
//! Owns: how a transfer is said, and what balances follow from which transfers. Refuses to know: who transfers when.
//! Start at [`Transfer`], then [`Bank::explain`].
//!
//! Every client numbers its transfers, and a transfer leaves its number behind in the same transaction. So it can be told after a crash which of
//! them are there: besides the sum, each balance is checked.
//!
//! | bank | accounts | a transfer's number stands in |
//! |---|---|---|
//! | [`Counter`](BankKind::Counter) | strings; DECRBY and INCRBY, or MSET of what was read under WATCH | a key of the client |
//! | [`Book`](BankKind::Book) | hashes; a script or a function with two keys | a field of both accounts |

use std::collections::BTreeMap;

use super::write::{Argv, Bytes, number_of};
use crate::resp::Value;

/// Accounts of each bank.
pub const ACCOUNTS: usize = 8;
/// What is in each account at first.
const BALANCE: i64 = 1_000;

/// One of the banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BankKind {
    /// Accounts are numbers.
    Counter,
    /// Accounts are hashes.
    Book,
}

/// Some money from one account to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Where.
    pub bank: BankKind,
    /// Grows with each of a client's transfers, never comes twice.
    pub number: u64,
    /// Whose account gets less.
    pub from: usize,
    /// Whose account gets more.
    pub to: usize,
    /// How much.
    pub amount: i64,
}

/// Moves an amount, and notes in both accounts that a client has done its transfer of a number.
const SCRIPT: &str = "redis.call('HINCRBY', KEYS[1], 'balance', '-' .. ARGV[1])
redis.call('HINCRBY', KEYS[2], 'balance', ARGV[1])
for _, key in ipairs(KEYS) do redis.call('HSET', key, ARGV[2], ARGV[3]) end
return ARGV[3]";

/// The same as a function, which is data too.
const LIBRARY: &str = "#!lua name=bank
redis.register_function('transfer', function(keys, args)
  redis.call('HINCRBY', keys[1], 'balance', '-' .. args[1])
  redis.call('HINCRBY', keys[2], 'balance', args[1])
  for _, key in ipairs(keys) do redis.call('HSET', key, args[2], args[3]) end
  return args[3]
end)";

fn words(words: &[&str]) -> Argv {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn account(bank: BankKind, number: usize) -> String {
    match bank {
        BankKind::Counter => format!("bank:account:{number}"),
        BankKind::Book => format!("bank:book:{number}"),
    }
}

fn tally(client: usize) -> String {
    format!("bank:tally:{client}")
}

impl Transfer {
    /// The commands before MULTI: they tell both balances.
    pub fn watch(&self) -> Vec<Argv> {
        let (from, to) = (account(self.bank, self.from), account(self.bank, self.to));
        vec![words(&["WATCH", &from, &to]), words(&["GET", &from]), words(&["GET", &to])]
    }

    /// The transaction; with the balances that were read, both accounts are set by one MSET.
    pub fn transaction(&self, client: usize, read: Option<(i64, i64)>) -> Vec<Argv> {
        let (from, to) = (account(self.bank, self.from), account(self.bank, self.to));
        let (amount, tally, number) = (self.amount.to_string(), tally(client), self.number.to_string());
        let mut commands = vec![words(&["MULTI"])];
        match read {
            None => commands.extend([words(&["DECRBY", &from, &amount]), words(&["INCRBY", &to, &amount])]),
            Some((less, more)) => {
                let (less, more) = ((less - self.amount).to_string(), (more + self.amount).to_string());
                commands.push(words(&["MSET", &from, &less, &to, &more]));
            }
        }
        commands.extend([words(&["SET", &tally, &number]), words(&["EXEC"])]);
        commands
    }

    /// The transfer by two keys, as a script or a call of the library's function, and its reply.
    pub fn script(&self, client: usize) -> (Argv, Value) {
        let (from, to) = (account(self.bank, self.from), account(self.bank, self.to));
        let (amount, client, number) = (self.amount.to_string(), client.to_string(), self.number.to_string());
        let (command, script) = if self.number.is_multiple_of(2) { ("EVAL", SCRIPT) } else { ("FCALL", "transfer") };
        let argv = words(&[command, script, "2", &from, &to, &amount, &client, &number]);
        (argv, Value::Bulk(number.into_bytes()))
    }
}

/// A bank as the last verified crash left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bank {
    kind: BankKind,
    balances: Vec<i64>,
    /// The number of each client's last transfer: one place in the bank of counters, one for each account in the other.
    last: Vec<Vec<u64>>,
}

impl Bank {
    /// A bank at its start.
    pub fn new(kind: BankKind, clients: usize) -> Self {
        let places = if kind == BankKind::Counter { 1 } else { ACCOUNTS };
        Self { kind, balances: vec![BALANCE; ACCOUNTS], last: vec![vec![0; places]; clients] }
    }

    /// Which one.
    pub fn kind(&self) -> BankKind {
        self.kind
    }

    /// The commands that open it.
    pub fn open(&self) -> Vec<Argv> {
        let balance = BALANCE.to_string();
        match self.kind {
            BankKind::Counter => {
                let mut argv = words(&["MSET"]);
                argv.extend((0..ACCOUNTS).flat_map(|number| words(&[&account(self.kind, number), &balance])));
                argv.extend((0..self.last.len()).flat_map(|client| words(&[&tally(client), "0"])));
                vec![argv]
            }
            BankKind::Book => std::iter::once(words(&["FUNCTION", "LOAD", LIBRARY]))
                .chain((0..ACCOUNTS).map(|number| {
                    let mut argv = words(&["HSET", &account(self.kind, number), "balance", &balance]);
                    argv.extend((0..self.last.len()).flat_map(|client| words(&[&client.to_string(), "0"])));
                    argv
                }))
                .collect(),
        }
    }

    /// Its keys.
    pub fn keys(&self) -> Vec<Bytes> {
        let accounts = (0..ACCOUNTS).map(|number| account(self.kind, number).into_bytes());
        let tallies = (0..self.last.len()).map(|client| tally(client).into_bytes());
        accounts.chain(tallies.filter(|_| self.kind == BankKind::Counter)).collect()
    }

    /// The commands that read it, one for each key.
    pub fn read(&self) -> Vec<Argv> {
        let name = if self.kind == BankKind::Counter { "GET" } else { "HGETALL" };
        self.keys().into_iter().map(|key| vec![name.as_bytes().to_vec(), key]).collect()
    }

    /// What the replies to [`Self::read`] say.
    fn parse(&self, replies: &[Value]) -> Result<Self, String> {
        let number = |value: &Value| value.bytes().and_then(number_of).ok_or_else(|| format!("no number: {value:?}"));
        let mut found = self.clone();
        for (index, (key, reply)) in self.keys().iter().zip(replies).enumerate() {
            let at = |error: String| format!("{}: {error}", String::from_utf8_lossy(key));
            match (self.kind, reply) {
                (BankKind::Counter, _) if index < ACCOUNTS => found.balances[index] = number(reply).map_err(at)?,
                (BankKind::Counter, _) => found.last[index - ACCOUNTS][0] = number(reply).map_err(at)? as u64,
                (BankKind::Book, Value::Array(items)) => {
                    let pairs = items.chunks_exact(2).map(|pair| (pair[0].bytes().unwrap_or_default(), &pair[1]));
                    let fields: BTreeMap<&[u8], &Value> = pairs.collect();
                    let field = |name: String| match fields.get(name.as_bytes()) {
                        Some(value) => number(value),
                        None => Err(format!("has no field {name}")),
                    };
                    found.balances[index] = field("balance".to_owned()).map_err(at)?;
                    for client in 0..found.last.len() {
                        found.last[client][index] = field(client.to_string()).map_err(at)? as u64;
                    }
                }
                (BankKind::Book, other) => return Err(at(format!("no hash: {other:?}"))),
            }
        }
        Ok(found)
    }

    /// What the replies to [`Self::read`] say, when it follows from some of the transfers that each client sent, in its order: the
    /// bank, and how many transfers of each client are in it.
    pub fn explain(&self, replies: &[Value], sent: &[Vec<Transfer>]) -> Result<(Self, Vec<usize>), String> {
        let found = self.parse(replies)?;
        let (sum, held) = (BALANCE * ACCOUNTS as i64, found.balances.iter().sum::<i64>());
        if held != sum {
            return Err(format!("{:?} bank: the sum is {held} and ought to be {sum}: {:?}", self.kind, found.balances));
        }
        let mut expected = self.clone();
        let mut counts = Vec::new();
        for (client, transfers) in sent.iter().enumerate() {
            let last = found.last[client].iter().max().copied().unwrap_or_default();
            let count = match transfers.iter().position(|transfer| transfer.number == last) {
                Some(position) => position + 1,
                None if self.last[client].iter().max() == Some(&last) => 0,
                None => return Err(format!("{:?} bank: client {client} has sent no transfer {last}", self.kind)),
            };
            for transfer in &transfers[..count] {
                expected.balances[transfer.from] -= transfer.amount;
                expected.balances[transfer.to] += transfer.amount;
                let places = &mut expected.last[client];
                match self.kind {
                    BankKind::Counter => places[0] = transfer.number,
                    BankKind::Book => (places[transfer.from], places[transfer.to]) = (transfer.number, transfer.number),
                }
            }
            counts.push(count);
        }
        if found != expected {
            return Err(format!(
                "{:?} bank: its own notes do not explain\n{found:?}\nand ought to give\n{expected:?}",
                self.kind
            ));
        }
        Ok((found, counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replies(bank: &Bank) -> Vec<Value> {
        let bulk = |number: i64| Value::Bulk(number.to_string().into_bytes());
        let tallies = bank.last.iter().map(|last| bulk(last[0] as i64));
        bank.balances.iter().map(|balance| bulk(*balance)).chain(tallies).collect()
    }

    #[test]
    fn balances_follow_from_the_transfers_that_are_noted() {
        let bank = Bank::new(BankKind::Counter, 2);
        let transfer =
            |number, from, to| Transfer { bank: BankKind::Counter, number, from, to, amount: 10 * number as i64 };
        let sent = [vec![transfer(1, 0, 1), transfer(2, 1, 2)], vec![transfer(1, 2, 0)]];
        let explained = |balances: [i64; 3], last: [u64; 2]| {
            let mut found = bank.clone();
            found.balances[..3].copy_from_slice(&balances);
            found.last = last.iter().map(|last| vec![*last]).collect();
            bank.explain(&replies(&found), &sent).map(|(_, counts)| counts)
        };
        assert_eq!(explained([1000, 1000, 1000], [0, 0]), Ok(vec![0, 0]));
        assert_eq!(explained([990, 990, 1020], [2, 0]), Ok(vec![2, 0]));
        assert_eq!(explained([1000, 990, 1010], [2, 1]), Ok(vec![2, 1]));
        assert!(explained([990, 1000, 1000], [0, 0]).is_err_and(|error| error.contains("the sum")));
        assert!(explained([990, 1010, 1000], [0, 0]).is_err_and(|error| error.contains("do not explain")));
        assert!(explained([1000, 1000, 1000], [1, 0]).is_err_and(|error| error.contains("do not explain")));
        assert!(explained([1000, 1000, 1000], [3, 0]).is_err_and(|error| error.contains("no transfer 3")));
    }
}
