//! Many shards on one thread, driven by a seed.
//!
//! Owns: a world of shards whose envelopes travel in any order that real mailboxes allow, clients that run random programs against it, and the
//! checks of what they saw. Refuses to know: Tokio, sockets, real time.
//! Start at [`drive::drive`], then at a workload:
//!
//! | workload | what it checks |
//! |---|---|
//! | [`mixed`] | short histories of all commands: strictly serialisable, by search |
//! | [`append`] | long histories of transactions: no circle among them |
//! | [`bank`] | transfers with and without WATCH: every reader sees the same sum |
//! | [`queue`] | clients that wait: no element lost, doubled or out of turn |
//! | [`relay`] | clients that wait hand elements on from list to list: all are there, in order, and none goes back |
//!
//! With [`Shape::log`] the shards log, and the beginning and the end of each sync are moves like others ([`log`]).

pub mod account;
pub mod append;
pub mod bank;
pub mod check;
pub mod cycles;
pub mod disk;
pub mod drive;
pub mod log;
pub mod mixed;
pub mod model;
pub mod queue;
pub mod rebirth;
pub mod relay;
pub mod seeds;
pub mod world;

use kora_runtime::config::AppendFsync;
use kora_runtime::random::Random;
use kora_runtime::resp::number::parse_i64;
use kora_runtime::shard::fault::{Fault, Remains};

use self::check::strictly_serialisable;
use self::disk::StoreFault;
use self::drive::{Chaos, drive};
use self::mixed::Mixed;
use self::world::World;

/// How one seed's world looks.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Shards.
    pub shards: usize,
    /// Clients, each with one command under way at a time, or one batch of them.
    pub clients: usize,
    /// Commands or batches of each client.
    pub commands: usize,
    /// What is broken on purpose.
    pub fault: Option<Fault>,
    /// Whether the shards log, and by which setting of `appendfsync`.
    pub log: Option<AppendFsync>,
    /// How often the process may die and live again from its disk; without it there is no disk.
    pub lives: u64,
    /// What is broken on purpose in the store.
    pub store_fault: Option<StoreFault>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { shards: 4, clients: 4, commands: 7, fault: None, log: None, lives: 0, store_fault: None }
    }
}

/// Runs one seed of [`mixed`] to its end and says what was wrong, if anything.
///
/// # Errors
/// A description of the history that no sequential order explains.
pub fn run_seed(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random::new(seed);
    // The last client is nobody of the workload: it looks at what a crash has left, and takes snapshots.
    let mut world = World::with_lives(seed, Shape { clients: shape.clients + usize::from(shape.lives > 0), ..shape })?;
    if shape.lives > 0 {
        // Where something acknowledged may be lost, no history explains what is left.
        world.disk().always_powered = shape.log != Some(AppendFsync::Always);
    }
    let mut mixed = Mixed::new(seed, shape);
    let chaos = Chaos { disconnects: if seed % 4 < 2 { 5 } else { 0 }, time: 20, lives: shape.lives };
    let waiting = drive(&mut world, shape.clients, &mut random, chaos, &mut mixed)?;
    if let Some(client) = waiting.iter().find(|client| !world.is_waiting(**client)) {
        return Err(format!("client {client} was never answered"));
    }
    mixed.forget(&waiting);
    if shape.lives > 0 {
        mixed.look(u64::MAX - 1, &mut world);
    }
    end(&mut world, shape.clients)?;
    if strictly_serialisable(&mixed.history) {
        Ok(())
    } else {
        let lines: Vec<String> = mixed.history.iter().map(ToString::to_string).collect();
        Err(format!("no sequential order explains\n{}", lines.join("\n")))
    }
}

/// Ends the connections of the first `clients` clients. Nothing may be left behind of them.
fn end(world: &mut World, clients: usize) -> Result<(), String> {
    for client in (0..clients).filter(|&client| world.is_connected(client)).collect::<Vec<_>>() {
        world.disconnect(client);
    }
    while world.moves() > 0 {
        world.make_move(0);
    }
    world.take_replies();
    if !world.is_quiet() {
        return Err("an intent was left behind".to_owned());
    }
    let remains = world.remains();
    if remains.iter().any(|remains| *remains != Remains::default()) {
        return Err(format!("something is held for clients that have gone: {remains:?}"));
    }
    Ok(())
}

/// The number in an integer or bulk reply.
fn number_of(reply: &[u8]) -> Option<i64> {
    parse_i64(text_of(reply).as_bytes())
}

/// The text of an integer, simple or bulk reply.
fn text_of(reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    if first.starts_with('$') { lines.next().unwrap_or_default() } else { first.get(1..).unwrap_or_default() }
        .to_owned()
}

/// The number of an element, which is pushed as an `e` and its number.
fn number_of_element(text: &str) -> Result<usize, String> {
    text.strip_prefix('e').and_then(|digits| digits.parse().ok()).ok_or_else(|| format!("{text} is no element"))
}
