//! Clients that do what a workload tells them, while connections end and time passes.
//!
//! Owns: the order in which clients, shards and mailboxes take their turns; who is asked what to do next; chance. Refuses to know: what is sent and what
//! the replies mean, which is the [`Workload`]'s.
//! Start at [`drive`].

use std::collections::VecDeque;

use kora_runtime::random::Random;

use super::rebirth::{Crash, crash, set_fuse};
use super::world::World;

/// One command.
pub type Words = Vec<String>;

/// A command's words, from a line of them.
pub fn words(line: &str) -> Words {
    line.split(' ').map(str::to_owned).collect()
}

/// What clients do.
pub trait Workload {
    /// What an idle client sends next, at least one command; `None` when it is done for good.
    fn next(&mut self, client: usize, time: u64, random: &mut Random, world: &World) -> Option<Vec<Words>>;
    /// All replies to what a client sent are in.
    fn answered(&mut self, client: usize, time: u64, replies: &[Vec<u8>], world: &World) -> Result<(), String>;
    /// A client's connection ended: after the replies that are given here, which may be fewer than what it sent.
    fn gone(&mut self, client: usize, time: u64, replies: &[Vec<u8>]) -> Result<(), String>;
    /// The process died, or the power failed, and it lives again; every connection has ended.
    fn reborn(&mut self, _time: u64, _crash: Crash, _world: &mut World) -> Result<(), String> {
        Ok(())
    }
    /// Looks at the world after each move.
    fn observe(&mut self, _time: u64, _world: &World) {}
}

/// How often something happens that nobody asked for, in a thousand moves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chaos {
    /// A client's connection ends.
    pub disconnects: u64,
    /// Time passes.
    pub time: u64,
    /// How often at most the process dies or the power fails, in all; for worlds on a disk.
    pub lives: u64,
}

/// Deaths, while there are to be some, and what else happens to worlds on a disk: snapshots, and the end of a second; in a thousand moves.
const DEATHS: u64 = 4;
const SNAPSHOTS: u64 = 6;
const SECONDS: u64 = 15;

/// Moves after which a run is taken for one that never ends.
const MOVES_MAX: u64 = 100_000;

#[derive(Debug, Default)]
struct Talk {
    to_send: VecDeque<Words>,
    sent: usize,
    replies: Vec<Vec<u8>>,
    done: bool,
}

impl Talk {
    fn is_idle(&self) -> bool {
        self.to_send.is_empty() && self.replies.len() == self.sent
    }
}

/// Runs clients until all are done, or wait for what nobody will bring. Returns those that wait.
///
/// # Errors
/// What the workload says, and a run that does not end.
pub fn drive(
    world: &mut World,
    clients: usize,
    random: &mut Random,
    chaos: Chaos,
    workload: &mut impl Workload,
) -> Result<Vec<usize>, String> {
    let mut talks: Vec<Talk> = (0..clients).map(|_| Talk::default()).collect();
    let mut lives = chaos.lives;
    if lives > 0 {
        set_fuse(world, random);
    }
    for time in 1..MOVES_MAX {
        if chaos.lives > 0 {
            if lives > 0 && (world.is_dead() || random.below(1000) < DEATHS) {
                lives -= 1;
                let ended: Vec<usize> = (0..clients).filter(|&client| world.is_connected(client)).collect();
                let crash = crash(world, random)?;
                world.connect(clients, 0);
                settle(world, &mut talks, time, workload, &ended)?;
                workload.reborn(time, crash, world)?;
                if lives > 0 {
                    set_fuse(world, random);
                }
            }
            world.disk().time = time;
            if random.below(1000) < SECONDS {
                world.disk().second();
            }
            if random.below(1000) < SNAPSHOTS {
                world.send(clients, &["BGSAVE"]);
            }
        }
        if random.below(1000) < chaos.disconnects {
            let client = random.below(clients as u64) as usize;
            if world.is_connected(client) {
                world.disconnect(client);
                settle(world, &mut talks, time, workload, &[client])?;
            }
        }
        if random.below(1000) < chaos.time {
            world.pass(1 + random.below(15));
        }
        let able: Vec<usize> = (0..clients)
            .filter(|&at| if talks[at].is_idle() { !talks[at].done } else { !talks[at].to_send.is_empty() })
            .collect();
        let moves = world.moves();
        if able.is_empty() && moves == 0 {
            let Some(wait_ms) = world.next_wake_in_ms() else {
                return Ok((0..clients).filter(|&at| !talks[at].is_idle()).collect());
            };
            world.pass(wait_ms);
            continue;
        }
        let pick = random.below((able.len() + moves) as u64) as usize;
        match able.get(pick) {
            None => world.make_move(pick - able.len()),
            Some(&client) if !world.is_connected(client) => {
                world.connect(client, random.below(world.shards().len() as u64) as usize);
            }
            Some(&client) => {
                let talk = &mut talks[client];
                if talk.is_idle() {
                    match workload.next(client, time, random, world) {
                        None => talk.done = true,
                        Some(commands) => {
                            (talk.to_send, talk.sent, talk.replies) = (commands.into(), 0, Vec::new());
                        }
                    }
                }
                // A part of what it has to say, so that batches come whole and in pieces.
                let count = random.below(talk.to_send.len() as u64 + 1) as usize;
                for words in talk.to_send.drain(..count) {
                    talk.sent += 1;
                    world.send(client, &words);
                }
            }
        }
        settle(world, &mut talks, time, workload, &[])?;
        workload.observe(time, world);
    }
    Err(format!("{MOVES_MAX} moves did not bring it to rest"))
}

/// Hands replies, and the news of connections that ended, to the workload.
fn settle(
    world: &mut World,
    talks: &mut [Talk],
    time: u64,
    workload: &mut impl Workload,
    ended: &[usize],
) -> Result<(), String> {
    let mut ended = ended.to_vec();
    ended.extend(world.close_over());
    let mut whole = Vec::new();
    for (client, reply) in world.take_replies() {
        // What takes snapshots is no client of the workload.
        let Some(talk) = talks.get_mut(client) else { continue };
        talk.replies.push(reply);
        if talk.replies.len() > talk.sent {
            return Err(format!("client {client} got a reply to nothing: {:?}", talk.replies));
        }
        if talk.is_idle() {
            whole.push(client);
        }
    }
    for client in whole {
        workload.answered(client, time, &std::mem::take(&mut talks[client].replies), world)?;
        talks[client].sent = 0;
    }
    for client in ended {
        let Talk { replies, done, .. } = std::mem::take(&mut talks[client]);
        talks[client].done = done;
        workload.gone(client, time, &replies)?;
    }
    Ok(())
}
