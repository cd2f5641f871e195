//! Queues: producers push unique elements, consumers wait for them.
//!
//! Owns: what both send, what their replies say of elements, who waits longer than whom. Refuses to know: how waiting works; which contents follow from
//! what was said, which is for the [`Account`]. Start at [`run_queue`].
//!
//! Every second seed is *orderly*: elements are appended at one end and waited for at the other, so that what is pushed earlier has to be delivered earlier, and
//! of two clients that wait for the same key the one that waits longer has to be served first. The other seeds also push and pop at both ends, move
//! elements between lists and exchange the databases.

use kora_runtime::config::AppendFsync;
use kora_runtime::random::Random;
use kora_runtime::resp::value::{array_elements, is_null};

use super::account::{Account, Contents, OpenPop};
use super::drive::{Chaos, Words, Workload, drive, words};
use super::rebirth::Crash;
use super::world::World;
use super::{Shape, number_of_element, text_of};

const KEYS: u64 = 3;

/// What a client has under way.
#[derive(Debug, Clone, Default)]
enum Sent {
    #[default]
    Other,
    Pushes {
        elements: Vec<usize>,
        /// The reply that acknowledges them.
        reply: usize,
    },
    Pop {
        db: u64,
        keys: Vec<String>,
        /// Elements that it takes out at most.
        count: usize,
    },
}

struct Queue {
    orderly: bool,
    left: Vec<usize>,
    producers: usize,
    sent: Vec<Sent>,
    account: Account,
    /// Since when a client has been seen waiting, until its reply comes.
    waiting_since: Vec<Option<u64>>,
    /// How the shards log.
    log: Option<AppendFsync>,
}

/// The elements in a reply to a pop.
fn popped(command: &str, reply: &[u8]) -> Result<Vec<usize>, String> {
    if is_null(reply) || reply.starts_with(b"-UNBLOCKED ") {
        return Ok(Vec::new());
    }
    let parts: Vec<&[u8]> =
        array_elements(reply).ok_or_else(|| format!("{command} replied {}", reply.escape_ascii()))?.collect();
    let Some(&second) = parts.get(1) else { return Err(format!("{command} replied {}", reply.escape_ascii())) };
    match array_elements(second) {
        Some(several) => several.map(|element| number_of_element(&text_of(element))).collect(),
        None => Ok(vec![number_of_element(&text_of(second))?]),
    }
}

impl Queue {
    fn produce(&mut self, client: usize, time: u64, random: &mut Random, world: &World) -> Vec<String> {
        let mut key = || format!("q{}", random.below(KEYS));
        let (one, other) = (key(), key());
        let mut elements = Vec::new();
        let choice = random.below(if self.orderly { 11 } else { 15 });
        let mut add = |queue: &mut Self, key: Option<&str>| {
            let number = queue.account.push(elements.first().copied(), key, choice == 9, time);
            elements.push(number);
            format!("e{number}")
        };
        let own = format!("p{client}");
        let lines = match choice {
            0..=3 => vec![format!("RPUSH {one} {}", add(self, Some(&one)))],
            4 => vec![format!("RPUSH {one} {} {}", add(self, Some(&one)), add(self, Some(&one)))],
            5 | 6 => {
                let (first, second) = (add(self, Some(&one)), add(self, Some(&other)));
                vec!["MULTI".into(), format!("RPUSH {one} {first}"), format!("RPUSH {other} {second}"), "EXEC".into()]
            }
            7 => vec![format!("RPUSH {own} {}", add(self, None)), format!("LMOVE {own} {one} LEFT RIGHT")],
            8 => vec![format!("RPUSH {own} {} {}", add(self, None), add(self, None)), format!("RENAMENX {own} {one}")],
            9 => vec![format!("ZADD z{} {time} {}", random.below(2), add(self, None))],
            10 => vec![world.disturbance(client, self.sent.len(), random)],
            11 => vec![format!("LPUSH {one} {}", add(self, None))],
            12 => vec![format!("LMOVE {one} {other} RIGHT LEFT")],
            13 => vec![
                "MULTI".into(),
                format!("LMOVE {one} {other} LEFT RIGHT"),
                format!("RENAMENX {other} {own}"),
                "EXEC".into(),
            ],
            _ => vec!["SWAPDB 0 1".to_owned()],
        };
        let reply = usize::from(!self.orderly) + if lines[0] == "MULTI" { lines.len() - 1 } else { 0 };
        self.sent[client] = if elements.is_empty() { Sent::Other } else { Sent::Pushes { elements, reply } };
        lines
    }

    fn consume(&mut self, client: usize, db: u64, random: &mut Random) -> String {
        let one = random.below(KEYS);
        let (one, other) = (format!("q{one}"), format!("q{}", (one + 1 + random.below(KEYS - 1)) % KEYS));
        let timeout = ["0", "0", "0.003", "0.02"][random.below(4) as usize];
        let (keys, line) = match random.below(if self.orderly { 7 } else { 11 }) {
            0..=2 => (vec![one.clone()], format!("BLPOP {one} {timeout}")),
            3..=5 => (vec![one.clone(), other.clone()], format!("BLPOP {one} {other} {timeout}")),
            6 => (vec!["z0".into(), "z1".into()], format!("BZPOPMIN z0 z1 {timeout}")),
            7 => (vec![one.clone(), other.clone()], format!("BRPOP {one} {other} {timeout}")),
            8 => (vec![one.clone(), other.clone()], format!("BLMPOP {timeout} 2 {one} {other} RIGHT COUNT 2")),
            _ => {
                self.sent[client] = Sent::Pop { db, keys: vec![one.clone()], count: 0 };
                return format!("BLMOVE {one} {other} LEFT RIGHT {timeout}");
            }
        };
        self.sent[client] = Sent::Pop { db, keys, count: if line.ends_with("COUNT 2") { 2 } else { 1 } };
        line
    }

    /// A client of an orderly world got an element: nobody may have waited longer for the same key alone.
    fn check_turn(&self, client: usize, world: &World) -> Result<(), String> {
        let Sent::Pop { keys, .. } = &self.sent[client] else { return Ok(()) };
        let Some(since) = self.waiting_since[client].filter(|_| self.orderly && keys.len() == 1) else { return Ok(()) };
        for (other, waits) in self.sent.iter().enumerate() {
            let longer = self.waiting_since[other].is_some_and(|earlier| earlier < since);
            if longer && matches!(waits, Sent::Pop { keys: theirs, .. } if theirs == keys) && world.is_waiting(other) {
                return Err(format!("client {client} was served at {keys:?} before {other}, who waits longer"));
            }
        }
        Ok(())
    }
}

impl Workload for Queue {
    fn next(&mut self, client: usize, time: u64, random: &mut Random, world: &World) -> Option<Vec<Words>> {
        self.left[client] = self.left[client].checked_sub(1)?;
        let db = if self.orderly { 0 } else { random.below(2) };
        let mut lines = if self.orderly { Vec::new() } else { vec![format!("SELECT {db}")] };
        if client < self.producers {
            lines.extend(self.produce(client, time, random, world));
        } else {
            lines.push(self.consume(client, db, random));
        }
        Some(lines.iter().map(|line| words(line)).collect())
    }

    fn answered(&mut self, client: usize, time: u64, replies: &[Vec<u8>], world: &World) -> Result<(), String> {
        let last = replies.last().map_or(&b""[..], Vec::as_slice);
        match &self.sent[client] {
            Sent::Other => {}
            Sent::Pushes { elements, .. } => {
                if last.starts_with(b"-") && !last.starts_with(b"-ERR no such key") {
                    return Err(format!("a push was refused: {}", last.escape_ascii()));
                }
                elements.iter().for_each(|element| self.account.acknowledged(*element, time));
            }
            Sent::Pop { keys, .. } => {
                // What BLMOVE replies still lies in a list.
                let moved = last.starts_with(b"$");
                let elements = if moved { Vec::new() } else { popped(&format!("a pop of {keys:?}"), last)? };
                for element in elements {
                    // What a session still had when its connection ended came at some time before.
                    self.account.delivered(element, time, world.is_connected(client))?;
                    self.check_turn(client, world)?;
                }
            }
        }
        self.sent[client] = Sent::Other;
        self.waiting_since[client] = None;
        Ok(())
    }

    fn gone(&mut self, client: usize, time: u64, replies: &[Vec<u8>]) -> Result<(), String> {
        match std::mem::take(&mut self.sent[client]) {
            // Where replies wait for disks, what a pop took has gone with its client.
            Sent::Pop { keys, count, .. } if self.log.is_some() => self.account.leave_open(OpenPop { keys, count }),
            Sent::Pushes { elements, reply } if reply < replies.len() => {
                elements.iter().for_each(|element| self.account.acknowledged(*element, time));
            }
            _ => {}
        }
        self.waiting_since[client] = None;
        Ok(())
    }

    fn reborn(&mut self, time: u64, crash: Crash, world: &mut World) -> Result<(), String> {
        let rest = at_rest(world, self.left.len())?;
        let strict = self.log == Some(AppendFsync::Always) || !crash.power;
        let covered = if strict { u64::MAX } else { crash.covered };
        self.account.check(&rest, covered).map_err(|why| format!("{why}\nafter {crash:?}"))?;
        self.account.begin_life(&rest, time);
        Ok(())
    }

    fn observe(&mut self, time: u64, world: &World) {
        for (client, since) in self.waiting_since.iter_mut().enumerate().skip(self.producers) {
            if since.is_none() && world.is_waiting(client) {
                *since = Some(time);
            }
        }
    }
}

/// The elements that lie in lists and sorted sets, by database and key.
fn at_rest(world: &mut World, admin: usize) -> Result<Contents, String> {
    let mut found = Contents::new();
    for db in 0..2 {
        world.ask(admin, &words(&format!("SELECT {db}")));
        let keys = world.ask(admin, &words("KEYS *"));
        for key in array_elements(&keys).into_iter().flatten().map(text_of) {
            let command = if key.starts_with('z') { "ZRANGE" } else { "LRANGE" };
            let elements = world.ask(admin, &words(&format!("{command} {key} 0 -1")));
            let elements: Result<Vec<usize>, String> = array_elements(&elements)
                .into_iter()
                .flatten()
                .map(|element| number_of_element(&text_of(element)))
                .collect();
            found.insert((db, key), elements?);
        }
    }
    Ok(found)
}

/// Runs one seed.
///
/// # Errors
/// Which element was lost, doubled or out of order, or who was forgotten.
pub fn run_queue(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random::new(seed);
    let admin = shape.clients;
    let mut world = World::with_lives(seed, Shape { clients: shape.clients + 1, ..shape })?;
    let mut queue = Queue {
        orderly: seed.is_multiple_of(2),
        account: Account::new(seed.is_multiple_of(2)),
        left: vec![shape.commands; shape.clients],
        producers: shape.clients / 2,
        sent: vec![Sent::Other; shape.clients],
        waiting_since: vec![None; shape.clients],
        log: shape.log,
    };
    let chaos = Chaos { disconnects: if seed % 4 < 2 { 8 } else { 0 }, time: 20, lives: shape.lives };
    let waiting = drive(&mut world, shape.clients, &mut random, chaos, &mut queue)?;
    let rest = at_rest(&mut world, admin)?;
    for client in &waiting {
        let Sent::Pop { db, keys, .. } = &queue.sent[*client] else {
            return Err(format!("client {client} was never answered: {:?}", queue.sent[*client]));
        };
        if let Some(key) = keys.iter().find(|key| rest.contains_key(&(*db, (*key).clone()))) {
            return Err(format!("client {client} waits for {key}, which holds {:?}", rest[&(*db, key.clone())]));
        }
    }
    let info = String::from_utf8_lossy(&world.ask(admin, &words("INFO clients"))).into_owned();
    if !info.contains(&format!("blocked_clients:{}\r\n", waiting.len())) {
        return Err(format!("{} clients wait, and INFO says {info}", waiting.len()));
    }
    super::end(&mut world, shape.clients)?;
    if at_rest(&mut world, admin)? != rest {
        return Err("clients that went while they waited took something with them".to_owned());
    }
    queue.account.check(&rest, u64::MAX)?;
    // Where replies wait for disks, they come in another order, too, than that in which elements were taken.
    if queue.orderly && shape.log.is_none() { queue.account.check_order() } else { Ok(()) }
}
