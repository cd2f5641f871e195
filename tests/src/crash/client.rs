//! A client that writes as fast as it is answered, and remembers all of it.
//!
//! Owns: what a batch looks like, which operations were sent and which acknowledged, and whether each reply was right. Refuses to know: when
//! the server is killed, and what it has kept. Start at [`Client::run`].

use std::io;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use kora_runtime::random::Random;

use super::bank::{ACCOUNTS, BankKind, Transfer};
use super::brief::brief;
use super::object::{Kind, Object, Operation};
use super::progress::Progress;
use super::write::{Argv, Write, number_of};
use crate::resp::{self, Client as Connection, Value};

/// Commands of the longest pipelines, roughly.
const BATCH_MAX: u64 = 32;

/// What an operation is about.
#[derive(Debug, Clone)]
pub enum Target {
    /// One of the client's own objects.
    Object(usize, Operation),
    /// A transfer between accounts.
    Transfer(Transfer),
    /// A transfer that did not happen, for another client was faster.
    Nothing,
}

/// One operation that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What it is about.
    pub target: Target,
    /// When, in ms of Unix time.
    pub at_ms: u64,
}

/// When an operation was acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// By a clock that nobody sets.
    pub at: Instant,
    /// In ms of Unix time.
    pub at_ms: u64,
}

/// A client, and its history since the server was started.
#[derive(Debug)]
pub struct Client {
    /// Which one.
    pub number: usize,
    /// What only it writes to.
    pub objects: Vec<Object>,
    /// All operations that were sent, in order.
    pub sent: Vec<Sent>,
    /// Those that were acknowledged: always the first ones of `sent`.
    pub acknowledged: Vec<Acknowledged>,
    /// A reply that was wrong.
    pub failure: Option<String>,
    transfers: u64,
    random: Random,
}

/// Why a client stops.
enum End {
    /// The server has gone.
    Closed,
    /// It is there, and wrong.
    Failed(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Failed("no reply".to_owned()),
            io::ErrorKind::Other => Self::Failed(error.to_string()),
            _ => Self::Closed,
        }
    }
}

/// Now, in ms of Unix time.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

impl Client {
    /// A client that has sent nothing yet.
    pub fn new(number: usize, random: Random) -> Self {
        let objects = Kind::ALL.iter().enumerate().map(|(index, kind)| Object::new(number, index, *kind)).collect();
        Self { number, objects, sent: vec![], acknowledged: vec![], failure: None, transfers: 0, random }
    }

    /// Writes until the server has gone, has given a wrong reply, or the cycle is over.
    pub fn run(mut self, address: SocketAddr, progress: &Progress) -> Self {
        if let Err(End::Failed(why)) = self.converse(address, progress) {
            self.failure = Some(format!("client {}: {why}", self.number));
        }
        progress.end();
        self
    }

    fn converse(&mut self, address: SocketAddr, progress: &Progress) -> Result<(), End> {
        let mut connection = Connection::connect(address)?;
        while progress.pass() {
            match self.random.below(6) {
                0 => self.transfer(&mut connection, progress)?,
                _ => self.batch(&mut connection, progress)?,
            }
        }
        Ok(())
    }

    /// A transfer in a transaction. Most watch both accounts, and set them to what follows from what was read.
    fn transfer(&mut self, connection: &mut Connection, progress: &Progress) -> Result<(), End> {
        let transfer = self.next_transfer(BankKind::Counter);
        let read = if self.random.below(3) > 0 {
            let replies = exchange(connection, &transfer.watch())?;
            let number = |reply: &Value| reply.bytes().and_then(number_of);
            match (number(&replies[1]), number(&replies[2])) {
                (Some(from), Some(to)) => Some((from, to)),
                _ => return Err(End::Failed(format!("WATCH, GET, GET of {transfer:?}: {replies:?}"))),
            }
        } else {
            None
        };
        let commands = transfer.transaction(self.number, read);
        self.sent.push(Sent { target: Target::Transfer(transfer), at_ms: now_ms() });
        let replies = exchange(connection, &commands)?;
        match (replies.last(), read) {
            (Some(Value::Array(items)), _) if !items.iter().any(Value::is_error) => {}
            (Some(Value::NullArray | Value::Null), Some(_)) => {
                self.sent.last_mut().expect("it was pushed above").target = Target::Nothing;
            }
            _ => return Err(End::Failed(format!("transaction of {transfer:?}: {replies:?}"))),
        }
        self.acknowledge(progress);
        Ok(())
    }

    /// A pipeline of operations on own objects, perhaps with a transfer by script among them.
    fn batch(&mut self, connection: &mut Connection, progress: &Progress) -> Result<(), End> {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        let mut busy = vec![false; self.objects.len()];
        let transfer_at = self.random.below(BATCH_MAX);
        let longest = 1 + self.random.below(BATCH_MAX);
        for index in 0..=self.random.below(longest) {
            let number = self.random.below(self.objects.len() as u64) as usize;
            let commands = if index == transfer_at {
                let transfer = self.next_transfer(BankKind::Book);
                self.sent.push(Sent { target: Target::Transfer(transfer), at_ms: now_ms() });
                vec![transfer.script(self.number)]
            } else if busy[number] {
                continue;
            } else {
                let object = &mut self.objects[number];
                busy[number] = object.kind.is_one_at_a_time();
                let operation = object.next(&mut self.random);
                let replies = operation.writes.iter().map(|write| object.latest.apply(write, (0, 0))).collect();
                let commands = operation.commands(replies);
                self.sent.push(Sent { target: Target::Object(number, operation), at_ms: now_ms() });
                commands
            };
            // An expiry makes the replies of later commands a matter of time.
            let is_certain = index == transfer_at || !matches!(self.objects[number].kind, Kind::Fleeting | Kind::Draw);
            let (last, sent) = (commands.len() - 1, self.sent.len() - 1);
            for (position, (argv, reply)) in commands.into_iter().enumerate() {
                bytes.extend_from_slice(&resp::encode(&argv));
                expected.push((argv, is_certain.then_some(reply), (position == last).then_some(sent)));
            }
        }
        connection.send_raw(&bytes)?;
        for (argv, reply, ends) in expected {
            let got = connection.receive()?.ok_or(End::Closed)?;
            if got.is_error() || reply.as_ref().is_some_and(|reply| *reply != got) {
                return Err(End::Failed(format!("{}: got {} instead of {}", brief(&argv), brief(&got), brief(&reply))));
            }
            if let Some(sent) = ends {
                self.learn(sent, &got);
                self.acknowledge(progress);
            }
        }
        Ok(())
    }

    /// What only a reply tells.
    fn learn(&mut self, sent: usize, reply: &Value) {
        let Target::Object(number, operation) = &mut self.sent[sent].target else { return };
        if let [write @ Write::SPop { .. }] = &mut operation.writes[..] {
            if let Write::SPop { member, .. } = write {
                *member = reply.bytes().map(<[u8]>::to_vec);
            }
            self.objects[*number].latest.apply(write, (0, 0));
        }
    }

    fn next_transfer(&mut self, bank: BankKind) -> Transfer {
        self.transfers += 1;
        let from = self.random.below(ACCOUNTS as u64) as usize;
        let to = (from + 1 + self.random.below(ACCOUNTS as u64 - 1) as usize) % ACCOUNTS;
        Transfer { bank, number: self.transfers, from, to, amount: 1 + self.random.below(500) as i64 }
    }

    fn acknowledge(&mut self, progress: &Progress) {
        self.acknowledged.push(Acknowledged { at: Instant::now(), at_ms: now_ms() });
        progress.acknowledge();
    }
}

/// Sends commands together and reads their replies.
pub fn exchange_all(connection: &mut Connection, commands: &[Argv]) -> Result<Vec<Value>, String> {
    exchange(connection, commands).map_err(|end| match end {
        End::Closed => "the server has gone".to_owned(),
        End::Failed(why) => why,
    })
}

fn exchange(connection: &mut Connection, commands: &[Argv]) -> Result<Vec<Value>, End> {
    let bytes: Vec<u8> = commands.iter().flat_map(|argv| resp::encode(argv)).collect();
    connection.send_raw(&bytes)?;
    let mut replies = Vec::new();
    for argv in commands {
        let reply = connection.receive()?.ok_or(End::Closed)?;
        if reply.is_error() {
            return Err(End::Failed(format!("{}: {}", brief(argv), brief(&reply))));
        }
        replies.push(reply);
    }
    Ok(replies)
}
