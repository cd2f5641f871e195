//! Short histories of all commands that the model knows, with transactions, watching and waiting among them.
//!
//! Owns: what clients send, and the history that comes of it. Refuses to know: what commands mean ([`model`]), and how a history is
//! explained ([`check`](super::check)).
//! Start at [`Mixed::draw`].

use kora_runtime::random::Random;

use super::Shape;
use super::check::Call;
use super::drive::{Words, Workload, words};
use super::model;
use super::rebirth::Crash;
use super::world::World;

/// The clients and their history.
#[derive(Debug)]
pub struct Mixed {
    left: Vec<usize>,
    /// Which connection a client is on now.
    connections: Vec<usize>,
    connected: usize,
    watching: Vec<bool>,
    /// Database 1 is used by some clients.
    two_databases: bool,
    /// Where in the history the call of a client stands that is under way.
    under_way: Vec<Option<usize>>,
    /// All calls so far.
    pub history: Vec<Call>,
}

impl Mixed {
    /// Clients that have not begun.
    pub fn new(seed: u64, shape: Shape) -> Self {
        Self {
            left: vec![shape.commands; shape.clients],
            connections: (0..shape.clients).collect(),
            connected: shape.clients,
            watching: vec![false; shape.clients],
            two_databases: seed.is_multiple_of(3),
            under_way: vec![None; shape.clients],
            history: Vec::new(),
        }
    }

    /// Forgets the calls of clients that still wait: they have done nothing.
    pub fn forget(&mut self, waiting: &[usize]) {
        let mut places: Vec<usize> = waiting.iter().filter_map(|&client| self.under_way[client].take()).collect();
        places.sort_unstable();
        for place in places.into_iter().rev() {
            self.history.remove(place);
        }
    }

    /// Has the world's last client look at all keys while nobody else does anything: a transaction that reads them all could tell no more.
    pub fn look(&mut self, time: u64, world: &mut World) {
        let admin = self.left.len();
        let mut lines = vec!["MGET s0 s1 s2 s3".to_owned()];
        lines.extend((0..4).flat_map(|at| [format!("LRANGE l{at} 0 -1"), format!("SMEMBERS t{at}")]));
        lines.extend((0..12).map(|at| format!("ZSCORE z{} m{}", at / 3, at % 3)));
        for db in 0..2 {
            world.ask(admin, &words(&format!("SELECT {db}")));
            let body: Vec<Words> = lines.iter().map(|line| words(line)).collect();
            let mut reply = format!("*{}\r\n", body.len()).into_bytes();
            body.iter().for_each(|words| reply.extend_from_slice(&world.ask(admin, words)));
            let (words, connection, replied) = (words("EXEC"), self.connected, Some(time));
            self.connected += 1;
            self.history.push(Call { words, body, connection, db, invoked: time, replied, reply });
        }
    }

    /// What to send, and the call that this is.
    fn draw(&mut self, client: usize, random: &mut Random, world: &World) -> (Vec<Words>, Words, Vec<Words>) {
        let choice = if self.watching[client] { random.below(50) } else { random.below(100) };
        let one = |command: Words| (vec![command.clone()], command, Vec::new());
        match choice {
            0..25 => {
                let count = 1 + random.below(3);
                let body: Vec<Words> = (0..count)
                    .map(|_| match random.below(5) {
                        0 => model::random_wait(random),
                        1 => model::random_push(random),
                        _ => model::random_command(random),
                    })
                    .collect();
                self.watching[client] = false;
                let ends = random.below(8) == 0;
                let last = words(if ends { "DISCARD" } else { "EXEC" });
                let lines = [words("MULTI")].into_iter().chain(body.clone()).chain([last.clone()]).collect();
                (lines, last, if ends { Vec::new() } else { body })
            }
            25..28 => {
                self.watching[client] = false;
                one(words("UNWATCH"))
            }
            28..45 => {
                self.watching[client] = true;
                let kind = ['s', 'l', 't'][random.below(3) as usize];
                one(words(&format!("WATCH {kind}{} s{}", random.below(4), random.below(4))))
            }
            45..65 => one(model::random_wait(random)),
            65..75 => one(model::random_push(random)),
            75..80 => {
                let victim = random.below(self.connections.len() as u64) as usize;
                match world.client_id(victim).filter(|_| victim != client) {
                    Some(id) if choice < 77 => one(words(&format!("CLIENT KILL ID {id}"))),
                    Some(id) if choice < 78 => one(words(&format!("CLIENT UNBLOCK {id} ERROR"))),
                    Some(id) => one(words(&format!("CLIENT UNBLOCK {id}"))),
                    None => one(model::random_command(random)),
                }
            }
            _ => one(model::random_command(random)),
        }
    }
}

impl Workload for Mixed {
    fn next(&mut self, client: usize, time: u64, random: &mut Random, world: &World) -> Option<Vec<Words>> {
        self.left[client] = self.left[client].checked_sub(1)?;
        let db = usize::from(self.two_databases && client % 4 == 3);
        let (mut lines, words, body) = self.draw(client, random, world);
        if db > 0 {
            lines.insert(0, super::drive::words(&format!("SELECT {db}")));
        }
        self.under_way[client] = Some(self.history.len());
        let connection = self.connections[client];
        self.history.push(Call { words, body, connection, db, invoked: time, ..Call::default() });
        Some(lines)
    }

    fn answered(&mut self, client: usize, time: u64, replies: &[Vec<u8>], _: &World) -> Result<(), String> {
        let call = self.under_way[client].take().and_then(|at| self.history.get_mut(at));
        let call = call.ok_or_else(|| format!("client {client} got a reply to nothing"))?;
        call.replied = Some(time);
        call.reply = replies.last().cloned().unwrap_or_default();
        Ok(())
    }

    fn reborn(&mut self, time: u64, _: Crash, world: &mut World) -> Result<(), String> {
        self.look(time, world);
        Ok(())
    }

    fn gone(&mut self, client: usize, _: u64, _: &[Vec<u8>]) -> Result<(), String> {
        self.under_way[client] = None;
        self.watching[client] = false;
        self.connections[client] = self.connected;
        self.connected += 1;
        Ok(())
    }
}
