//! The world in which lines are said: clients of both protocols, keys of all types, a process of the test's.
//!
//! Owns: sending lines, letting everything happen, ending what waits, and the checks of what is left behind. Refuses to know: which lines, and in which order.
//! Start at [`Rig::exchange`]; [`Rig::pipeline`] and [`Rig::transactions`] send more at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kora_runtime::host::Host;
use kora_runtime::random::Random;
use kora_runtime::table::CommandId;

use super::judge::{
    Exchange, check_parsers, is_failure, judge, judge_transaction, leaves_its_connection_as_it_was, named, said_before,
};
use super::words::{FUNCTIONS, KEYS, Line, SCRIPT};
use super::{Options, Recorder};
use crate::resp::{Protocol, Value, encode};
use crate::simulation::Shape;
use crate::simulation::world::World;

/// The clients' protocols; the client's number is the index.
pub(super) const CLIENTS: [Protocol; 3] = [Protocol::Resp2, Protocol::Resp3, Protocol::Resp2];

/// The client behind them, who says nothing but what lets others go.
const ATTENDANT: usize = CLIENTS.len();

/// Unix milliseconds at which every run begins.
const START_MS: u64 = 1_000_000;

/// Steps of a world after which a command without a reply is given up.
const MOVES_MAX: usize = 100_000;

/// What is due within this time is waited for; what is due later is ended from outside.
const NEAR_MS: u64 = 200_000;

/// How often somebody is let go before it is said that there is no end to it.
const WAITS_MAX: usize = 100;

/// Elements of the values that hold more than their packed form may, which is [`PACKED_ELEMENTS`].
const BIG_VALUE_ELEMENTS: usize = 150;
const PACKED_ELEMENTS: usize = 100;

/// What was said, as far as it is known, and what is wrong.
type Wrong = (Vec<Vec<u8>>, String);

fn plain(what: String) -> Wrong {
    (Vec::new(), what)
}

/// A world with clients of both protocols and keys of all types.
pub(super) struct Rig {
    world: World,
    host: Arc<Recorder>,
    random: Random,
    now_ms: u64,
    seed: u64,
    options: Options,
}

impl Rig {
    /// A world in which everything follows from the seed.
    pub(super) fn new(seed: u64, options: Options) -> Self {
        let host = Arc::new(Recorder { planted_panic: options.planted_panic, ..Recorder::default() });
        let shape = Shape { shards: options.shards, clients: ATTENDANT + 1, ..Shape::default() };
        let world = World::in_process(seed, shape, Arc::clone(&host) as Arc<dyn Host>);
        let mut rig = Self { world, host, random: Random::new(seed), now_ms: START_MS, seed, options };
        rig.world.set_clock(rig.now_ms);
        (0..CLIENTS.len()).for_each(|client| rig.greet(client));
        rig.fill(seed);
        rig
    }

    /// Makes a new connection speak its protocol.
    fn greet(&mut self, client: usize) {
        if CLIENTS.get(client) == Some(&Protocol::Resp3) {
            self.world.send(client, &["HELLO", "3"]);
            self.settle().expect("a greeting is answered");
        }
    }

    /// Keys of all types, small and big ones, some with an expiry.
    fn fill(&mut self, seed: u64) {
        let many = |command: &str, element: &dyn Fn(usize) -> String, count: usize| {
            let mut words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            words.extend((0..count).flat_map(|at| element(at).split(' ').map(str::to_owned).collect::<Vec<_>>()));
            words
        };
        let packed = format!("hash-max-listpack-entries {PACKED_ELEMENTS} set-max-intset-entries {PACKED_ELEMENTS}");
        let mut lines: Vec<Vec<String>> = vec![
            many(&format!("CONFIG SET {packed}"), &|_| String::new(), 0),
            many("MSET s0 m0m1m2 s1 m3 i0 7 f0 2.5", &|_| String::new(), 0),
            vec!["SET".into(), "s2".into(), "m1 hello ".repeat(100)],
            many("PEXPIRE s1 5000", &|_| String::new(), 0),
        ];
        for (at, count) in [3, 8, BIG_VALUE_ELEMENTS].into_iter().enumerate() {
            lines.push(many(&format!("RPUSH l{at}"), &|element| format!("m{element}"), count));
            lines.push(many(&format!("HSET h{at}"), &|element| format!("m{element} {element}"), count));
            // One of the sets holds integers only.
            lines.push(many(
                &format!("SADD t{at}"),
                &|element| if at == 1 { element.to_string() } else { format!("m{element}") },
                count,
            ));
            lines.push(many(&format!("ZADD z{at}"), &|element| format!("{element} m{element}"), count));
            lines.extend(
                (1..=count).map(|ms| many(&format!("XADD x{at} {ms}"), &|element| format!("m{element} {ms}"), 2)),
            );
        }
        lines.push(vec!["SCRIPT".into(), "LOAD".into(), SCRIPT.into()]);
        lines.push(vec!["FUNCTION".into(), "LOAD".into(), FUNCTIONS.into()]);
        lines.retain(|words| {
            let words: Vec<Vec<u8>> = words.iter().map(|word| word.clone().into_bytes()).collect();
            named(&words).is_some()
        });
        if seed.is_multiple_of(2) {
            lines.push(many("CONFIG SET maxmemory-policy allkeys-lfu", &|_| String::new(), 0));
        }
        for words in lines {
            self.world.send(0, &words);
            let replies = self.settle().expect("a key is set");
            assert!(replies.iter().all(|(_, reply)| reply[0] != b'-'), "{words:?}: {replies:?}");
        }
    }

    /// Lets everything happen that can, in an order of the seed's, and returns all replies.
    fn settle(&mut self) -> Result<Vec<(usize, Vec<u8>)>, String> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..MOVES_MAX {
                match self.world.moves() {
                    0 => return true,
                    moves => self.world.make_move(self.random.below(moves as u64) as usize),
                }
            }
            false
        }));
        match outcome {
            Ok(true) => {}
            Ok(false) => return Err(format!("does not come to rest within {MOVES_MAX} moves")),
            Err(panic) => return Err(unwound(panic.as_ref())),
        }
        Ok(self.world.take_replies())
    }

    /// Ends all waiting, for keys, for time and for the end of a pause: by time where it is near, else from outside. False when that cannot be, because
    /// all clients are paused for too long.
    fn end_waits(&mut self, replies: &mut Vec<(usize, Vec<u8>)>) -> Result<bool, String> {
        for _ in 0..WAITS_MAX {
            let waiting: Vec<usize> = (0..CLIENTS.len()).filter(|client| self.world.is_waiting(*client)).collect();
            let mut asked = 0;
            match self.world.next_wake_in_ms() {
                Some(ms) if ms <= NEAR_MS => {
                    self.now_ms += ms;
                    self.world.pass(ms);
                }
                None if waiting.is_empty() => return Ok(true),
                _ if waiting.is_empty() => {
                    self.world.send(ATTENDANT, &["CLIENT", "UNPAUSE"]);
                    asked = 1;
                }
                _ => {
                    let ids: Vec<u64> = waiting.iter().filter_map(|client| self.world.client_id(*client)).collect();
                    for id in ids {
                        let how = if self.random.below(2) == 0 { "TIMEOUT" } else { "ERROR" };
                        self.world.send(ATTENDANT, &["CLIENT", "UNBLOCK", &id.to_string(), how]);
                        asked += 1;
                    }
                }
            }
            let (answers, others): (Vec<_>, Vec<_>) =
                self.settle()?.into_iter().partition(|(client, _)| *client == ATTENDANT);
            replies.extend(others);
            if let Some((_, answer)) = answers.iter().find(|(_, answer)| !matches!(answer[..], [b':' | b'+', ..])) {
                return Err(format!("nobody is let go: {}", answer.escape_ascii()));
            }
            if answers.len() < asked {
                return Ok(false);
            }
        }
        Err(format!("clients still wait after {WAITS_MAX} endings"))
    }

    /// Sends one command, takes its replies and checks everything. What it waits for is made to end.
    pub(super) fn exchange(&mut self, client: usize, line: &Line, whole: bool) -> Result<Option<Value>, String> {
        check_parsers(&line.words)?;
        self.pass_time();
        let info = named(&line.words).map(|(info, _)| info);
        let before = info.map_or(&[][..], |info| said_before(info.id));
        if whole && !before.is_empty() && self.random.below(2) == 0 {
            self.world.send(client, before);
            self.settle()?;
        }
        let sent = catch_unwind(AssertUnwindSafe(|| self.world.send(client, &line.words)));
        sent.map_err(|panic| unwound(panic.as_ref()))?;
        let mut all = self.settle()?;
        let waited = self.world.is_waiting(client);
        let goes_on = self.end_waits(&mut all)?;
        let replies: Vec<Vec<u8>> =
            all.iter().filter(|(to, _)| *to == client).map(|(_, reply)| reply.clone()).collect();
        if replies.len() < all.len() {
            return Err("others were answered as well".to_owned());
        }
        let over = self.world.is_over(client);
        let exchange =
            Exchange { words: &line.words, protocol: CLIENTS[client], whole, replies: &replies, waited, over };
        let value = judge(&exchange, &self.options.bounds)?;
        if value.as_ref().is_some_and(|value| value.is_error() && value.bytes().is_some_and(is_failure)) {
            // It was asked for. Keys are fenced now, which would only make the commands to come fail.
            if self.host.take_reports().len() != 1 {
                return Err("failed inside without a report".to_owned());
            }
            *self = Self::new(self.seed, self.options);
            return Ok(None);
        }
        self.check_health()?;
        if !goes_on {
            *self = Self::new(self.seed, self.options);
            return Ok(value);
        }
        // Whatever the command made of the connection, the next one is as it was, and needs no password.
        if info.is_some_and(|info| info.id == CommandId::ConfigSet) {
            self.world.send(client, &["CONFIG", "SET", "requirepass", ""]);
            self.settle()?;
        }
        if info.is_some_and(|info| !leaves_its_connection_as_it_was(info)) {
            self.world.reconnect(client);
            self.greet(client);
        }
        self.reopen();
        Ok(value)
    }

    /// Sends bytes of each client at once and returns each client's replies, without pushes, and whether the world can be used further.
    fn send_together(&mut self, bytes: &[Vec<u8>]) -> Result<(Vec<Vec<Vec<u8>>>, bool), String> {
        self.pass_time();
        for (client, bytes) in bytes.iter().enumerate() {
            let sent = catch_unwind(AssertUnwindSafe(|| self.world.send_bytes(client, bytes)));
            sent.map_err(|panic| unwound(panic.as_ref()))?;
        }
        let mut all = self.settle()?;
        let goes_on = self.end_waits(&mut all)?;
        let mut replies = vec![Vec::new(); bytes.len()];
        for (client, reply) in all {
            if reply.starts_with(b">") {
                if CLIENTS[client] == Protocol::Resp2 || !reply.starts_with(b">2\r\n$10\r\ninvalidate\r\n") {
                    return Err(format!("client {client} is told {}", reply.escape_ascii()));
                }
            } else {
                replies[client].push(reply);
            }
        }
        Ok((replies, goes_on))
    }

    /// Sends several commands of each client at once, takes their replies and checks everything.
    pub(super) fn pipeline(&mut self, lines: &[Vec<Line>]) -> Result<(), Wrong> {
        let bytes: Vec<Vec<u8>> =
            lines.iter().map(|lines| lines.iter().flat_map(|line| encode(&line.words)).collect()).collect();
        let (replies, goes_on) = self.send_together(&bytes).map_err(plain)?;
        for (client, (lines, replies)) in lines.iter().zip(&replies).enumerate() {
            if replies.len() > lines.len() || replies.len() < lines.len() && goes_on {
                return Err(plain(format!("{} commands got {} replies", lines.len(), replies.len())));
            }
            for (line, reply) in lines.iter().zip(replies) {
                let (protocol, replies) = (CLIENTS[client], std::slice::from_ref(reply));
                let exchange =
                    Exchange { words: &line.words, protocol, whole: false, replies, waited: false, over: false };
                judge(&exchange, &self.options.bounds).map_err(|what| (line.words.clone(), what))?;
            }
        }
        self.check_health().map_err(plain)?;
        if goes_on {
            self.reopen();
        } else {
            *self = Self::new(self.seed, self.options);
        }
        Ok(())
    }

    /// Sends a transaction of each client at once, takes the replies and checks everything. Returns how many commands ran.
    pub(super) fn transactions(&mut self, watched: &[Vec<&str>], lines: &[Vec<Line>]) -> Result<usize, Wrong> {
        let transaction = |(watched, lines): (&Vec<&str>, &Vec<Line>)| {
            let watch = if watched.is_empty() { Vec::new() } else { encode(&[&["WATCH"], &watched[..]].concat()) };
            let queued = lines.iter().flat_map(|line| encode(&line.words));
            watch.into_iter().chain(encode(&["MULTI"])).chain(queued).chain(encode(&["EXEC"])).collect()
        };
        let bytes: Vec<Vec<u8>> = watched.iter().zip(lines).map(transaction).collect();
        let (replies, goes_on) = self.send_together(&bytes).map_err(plain)?;
        if !goes_on {
            *self = Self::new(self.seed, self.options);
            return Ok(0);
        }
        let mut run = 0;
        for (client, (watched, lines)) in watched.iter().zip(lines).enumerate() {
            let has_watched = !watched.is_empty();
            let replies: Vec<&Vec<u8>> = replies[client].iter().skip(usize::from(has_watched)).collect();
            let lines: Vec<&[Vec<u8>]> = lines.iter().map(|line| &line.words[..]).collect();
            run += judge_transaction(&lines, CLIENTS[client], has_watched, &replies, &self.options.bounds)?;
        }
        self.check_health().map_err(plain)?;
        // Databases were chosen, names set, keys tracked.
        for client in 0..CLIENTS.len() {
            self.world.reconnect(client);
            self.greet(client);
        }
        Ok(run)
    }

    /// Time goes on by little or by much, and background work is done.
    fn pass_time(&mut self) {
        self.now_ms += match self.random.below(40) {
            0 => 10_000,
            1..=10 => self.random.below(50),
            _ => 0,
        };
        self.world.set_clock(self.now_ms);
        if self.random.below(10) == 0 {
            self.world.maintain();
        }
    }

    fn check_health(&mut self) -> Result<(), String> {
        if let Some(report) = self.host.take_reports().first() {
            return Err(format!("reported: {report}"));
        }
        let panics: u64 = self.world.shards().iter().map(|shard| shard.core().stats.handler_panics).sum();
        if panics > 0 {
            return Err(format!("{panics} handlers panicked"));
        }
        if !self.world.is_quiet() {
            return Err("an intent was left behind".to_owned());
        }
        Ok(())
    }

    /// Opens the connections again that were closed.
    fn reopen(&mut self) {
        for client in 0..=ATTENDANT {
            if self.world.is_over(client) {
                self.world.reconnect(client);
                self.greet(client);
            }
        }
    }

    /// Looks for keys whose collection is empty: those must not exist.
    pub(super) fn find_empty_values(&mut self) -> Result<(), String> {
        let lengths = [("list", "LLEN"), ("hash", "HLEN"), ("set", "SCARD"), ("zset", "ZCARD")];
        for key in KEYS.iter().flat_map(|(_, keys)| keys) {
            let ask = |rig: &mut Self, command: &str| -> Result<Value, String> {
                let line = Line { words: vec![command.into(), key.as_bytes().to_vec()], values: Vec::new() };
                rig.exchange(0, &line, true).map(|value| value.expect("these are answered"))
            };
            let kind = ask(self, "TYPE")?;
            let known = lengths.iter().find(|(name, _)| kind.bytes() == Some(name.as_bytes()));
            if let Some((name, command)) = known
                && ask(self, command)? == Value::Integer(0)
            {
                return Err(format!("{key} holds an empty {name}"));
            }
        }
        Ok(())
    }
}

fn unwound(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked out of the shard: {}", text.unwrap_or_default())
}
