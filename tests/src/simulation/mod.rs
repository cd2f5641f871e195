//! Many shards on one thread, driven by a seed.
//!
//! Owns: a world of shards whose envelopes travel in any order that real mailboxes allow, clients that run random programs against it, and the
//! check that what they saw is strictly serialisable. Refuses to know: Tokio, sockets, real time.
//! Start at [`run_seed`].

pub mod check;
pub mod model;
pub mod world;

use kora_runtime::random::Random;

use self::check::{Call, strictly_serialisable};
use self::world::World;

/// How one seed's world looks.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Shards.
    pub shards: usize,
    /// Clients, each with one command under way at a time.
    pub clients: usize,
    /// Commands of each client.
    pub commands: usize,
    /// Break the intents on purpose.
    pub planted_early_release: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self { shards: 4, clients: 4, commands: 7, planted_early_release: false }
    }
}

/// Runs one seed to its end and says what was wrong, if anything.
///
/// # Errors
/// A description of the history that no sequential order explains.
pub fn run_seed(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut world = World::new(seed, shape);
    let mut programs: Vec<Vec<Vec<String>>> =
        (0..shape.clients).map(|_| (0..shape.commands).map(|_| model::random_command(&mut random)).collect()).collect();
    let mut history: Vec<Call> = Vec::new();
    let mut under_way: Vec<Option<usize>> = vec![None; shape.clients];
    let mut time = 0;
    loop {
        time += 1;
        let able: Vec<usize> =
            (0..shape.clients).filter(|&at| under_way[at].is_none() && !programs[at].is_empty()).collect();
        let moves = world.moves();
        if able.is_empty() && moves == 0 {
            break;
        }
        let pick = random.below((able.len() + moves) as u64) as usize;
        if let Some(&client) = able.get(pick) {
            let words = programs[client].remove(0);
            under_way[client] = Some(history.len());
            world.send(client, &words);
            history.push(Call { words, invoked: time, replied: None, reply: Vec::new() });
        } else {
            world.make_move(pick - able.len());
        }
        for (client, reply) in world.take_replies() {
            let at = under_way[client].take().expect("a reply answers a command");
            history[at].replied = Some(time);
            history[at].reply = reply;
        }
    }
    if let Some(call) = history.iter().find(|call| call.replied.is_none()) {
        return Err(format!("seed {seed}: {:?} was never answered", call.words));
    }
    if !world.has_whole_replies() {
        return Err(format!("seed {seed}: half a reply was left"));
    }
    if !world.is_quiet() {
        return Err(format!("seed {seed}: an intent was left behind"));
    }
    if strictly_serialisable(&history) {
        Ok(())
    } else {
        let lines: Vec<String> = history.iter().map(ToString::to_string).collect();
        Err(format!("seed {seed}: no sequential order explains\n{}", lines.join("\n")))
    }
}
