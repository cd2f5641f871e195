//! Clients that append unique elements to lists and read lists, several in one transaction.
//!
//! Owns: what they send and what their replies say about it. Refuses to know: what follows from that, which is for [`cycles`](super::cycles).
//! Start at [`run_append`].

use std::collections::HashSet;

use kora_runtime::config::AppendFsync;
use kora_runtime::random::Random;
use kora_runtime::resp::value::array_elements;

use super::cycles::{Action, Deed, check};
use super::drive::{Chaos, Words, Workload, drive, words};
use super::rebirth::Crash;
use super::world::World;
use super::{Shape, number_of, text_of};

/// What a client has under way.
#[derive(Debug, Clone, Default)]
struct Sent {
    invoked: u64,
    /// Appends and reads; what they read is not known yet.
    actions: Vec<Action>,
    /// They are in MULTI and EXEC.
    in_exec: bool,
}

struct Appends {
    keys: u64,
    elements: u64,
    left: Vec<usize>,
    sent: Vec<Sent>,
    deeds: Vec<Deed>,
    refused: Vec<String>,
    /// Nothing that was acknowledged may be lost, not even when power fails.
    strict: bool,
}

impl Appends {
    fn action(&mut self, random: &mut Random) -> Action {
        let key = format!("l{}", random.below(self.keys));
        if random.below(2) == 0 {
            self.elements += 1;
            Action::Append { key, element: format!("e{}", self.elements), len: None }
        } else {
            Action::Read { key, elements: Vec::new() }
        }
    }
}

impl Workload for Appends {
    fn next(&mut self, client: usize, time: u64, random: &mut Random, _: &World) -> Option<Vec<Words>> {
        self.left[client] = self.left[client].checked_sub(1)?;
        let in_exec = random.below(5) > 0;
        let count = if in_exec { 1 + random.below(4) } else { 1 };
        let actions: Vec<Action> = (0..count).map(|_| self.action(random)).collect();
        let mut lines = Vec::new();
        if in_exec {
            if random.below(4) == 0 {
                lines.push(format!("WATCH l{} l{}", random.below(self.keys), random.below(self.keys)));
            }
            lines.push("MULTI".to_owned());
        }
        lines.extend(actions.iter().map(|action| match action {
            Action::Append { key, element, .. } => format!("RPUSH {key} {element}"),
            Action::Read { key, .. } => format!("LRANGE {key} 0 -1"),
        }));
        if in_exec {
            lines.push("EXEC".to_owned());
        }
        self.sent[client] = Sent { invoked: time, actions, in_exec };
        Some(lines.iter().map(|line| words(line)).collect())
    }

    fn answered(&mut self, client: usize, time: u64, replies: &[Vec<u8>], _: &World) -> Result<(), String> {
        let Sent { invoked, mut actions, in_exec } = std::mem::take(&mut self.sent[client]);
        let last = replies.last().map_or(&b""[..], Vec::as_slice);
        let told: Vec<&[u8]> = if in_exec {
            match array_elements(last) {
                Some(elements) => elements.collect(),
                None if last == b"*-1\r\n" => {
                    self.refused.extend(actions.into_iter().filter_map(|action| match action {
                        Action::Append { element, .. } => Some(element),
                        Action::Read { .. } => None,
                    }));
                    return Ok(());
                }
                None => return Err(format!("EXEC replied {}", last.escape_ascii())),
            }
        } else {
            vec![last]
        };
        if told.len() != actions.len() {
            return Err(format!("{} replies to {actions:?}", told.len()));
        }
        for (action, reply) in actions.iter_mut().zip(told) {
            match action {
                Action::Append { len, .. } => *len = number_of(reply).and_then(|len| usize::try_from(len).ok()),
                Action::Read { elements, .. } => {
                    let read = array_elements(reply).ok_or_else(|| format!("LRANGE: {}", reply.escape_ascii()))?;
                    *elements = read.map(text_of).collect();
                }
            }
        }
        self.deeds.push(Deed { invoked, replied: Some(time), actions });
        Ok(())
    }

    fn gone(&mut self, client: usize, _: u64, _: &[Vec<u8>]) -> Result<(), String> {
        let Sent { invoked, mut actions, .. } = std::mem::take(&mut self.sent[client]);
        actions.retain(|action| matches!(action, Action::Append { .. }));
        if !actions.is_empty() {
            self.deeds.push(Deed { invoked, replied: None, actions });
        }
        Ok(())
    }

    fn reborn(&mut self, time: u64, crash: Crash, world: &mut World) -> Result<(), String> {
        let reads = read_all(world, self.left.len(), self.keys);
        let lost = losses(&self.deeds, &reads)?;
        if self.strict || !crash.power {
            // What nobody was told and is not there never comes; the rest is for the search for circles.
            for at in lost.iter().rev().copied() {
                if self.deeds[at].replied.is_some() {
                    return Err(format!("{:?} was acknowledged and is lost after {crash:?}", self.deeds[at]));
                }
                let gone = self.deeds.remove(at);
                self.refused.extend(gone.actions.iter().filter_map(element_of).map(|(_, element)| element.to_owned()));
            }
            self.deeds.push(Deed { invoked: time, replied: Some(time), actions: reads });
            return Ok(());
        }
        if let Some(deed) = lost.iter().map(|&at| &self.deeds[at]).find(|deed| deed.replied < Some(crash.covered))
            && deed.replied.is_some()
        {
            return Err(format!("{deed:?} was on every disk and is lost after {crash:?}"));
        }
        in_order(&self.deeds, &reads)?;
        // What is there now is where a new history begins.
        let lost = lost.iter().flat_map(|&at| &self.deeds[at].actions).filter_map(element_of);
        self.refused.extend(lost.map(|(_, element)| element.to_owned()));
        let appended = reads.into_iter().flat_map(|read| match read {
            Action::Read { key, elements } => elements
                .into_iter()
                .map(move |element| Action::Append { key: key.clone(), element, len: None })
                .collect(),
            Action::Append { .. } => Vec::new(),
        });
        self.deeds = vec![Deed { invoked: time, replied: Some(time), actions: appended.collect() }];
        Ok(())
    }
}

/// What an action appends, and where.
fn element_of(action: &Action) -> Option<(&str, &str)> {
    match action {
        Action::Append { key, element, .. } => Some((key, element)),
        Action::Read { .. } => None,
    }
}

/// The deeds of which nothing is left. None may be there by halves.
fn losses(deeds: &[Deed], reads: &[Action]) -> Result<Vec<usize>, String> {
    let left: HashSet<&str> = reads
        .iter()
        .flat_map(|read| match read {
            Action::Read { elements, .. } => elements.as_slice(),
            Action::Append { .. } => &[],
        })
        .map(String::as_str)
        .collect();
    let mut lost = Vec::new();
    for (at, deed) in deeds.iter().enumerate() {
        let all = deed.actions.iter().filter_map(element_of).count();
        let there = deed.actions.iter().filter_map(element_of).filter(|(_, element)| left.contains(element)).count();
        match there {
            0 if all > 0 => lost.push(at),
            _ if there == all => {}
            _ => return Err(format!("{there} of {all} elements are left of {deed:?}")),
        }
    }
    Ok(lost)
}

/// What is left of each list has to be a beginning of it, as far as anybody knows it.
fn in_order(deeds: &[Deed], reads: &[Action]) -> Result<(), String> {
    let all = || deeds.iter().flat_map(|deed| &deed.actions);
    for read in reads {
        let Action::Read { key, elements: left } = read else { continue };
        for action in all() {
            match action {
                Action::Read { key: of, elements }
                    if of == key && !elements.starts_with(left) && !left.starts_with(elements) =>
                {
                    return Err(format!("{key} was {elements:?} and {left:?} is left of it"));
                }
                Action::Append { key: to, element, len: Some(len) } if to == key => {
                    let place = left.iter().position(|other| other == element);
                    if place.is_some_and(|place| place + 1 != *len) {
                        return Err(format!("{element} was number {len} of {key}, of which {left:?} is left"));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Reads all lists while nobody else does anything.
fn read_all(world: &mut World, admin: usize, keys: u64) -> Vec<Action> {
    let read = |key: String| {
        let reply = world.ask(admin, &words(&format!("LRANGE {key} 0 -1")));
        let elements = array_elements(&reply).into_iter().flatten().map(text_of).collect();
        Action::Read { key, elements }
    };
    (0..keys).map(|key| format!("l{key}")).map(read).collect()
}

/// Runs one seed.
///
/// # Errors
/// The circle of transactions that cannot have run one after another.
pub fn run_append(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut world = World::with_lives(seed, Shape { clients: shape.clients + 1, ..shape })?;
    let mut appends = Appends {
        keys: 2 + random.below(5),
        elements: 0,
        left: vec![shape.commands; shape.clients],
        sent: vec![Sent::default(); shape.clients],
        deeds: Vec::new(),
        refused: Vec::new(),
        strict: shape.log == Some(AppendFsync::Always),
    };
    let chaos = Chaos { disconnects: if seed.is_multiple_of(3) { 5 } else { 0 }, time: 5, lives: shape.lives };
    let waiting = drive(&mut world, shape.clients, &mut random, chaos, &mut appends)?;
    if !waiting.is_empty() {
        return Err(format!("{waiting:?} were never answered"));
    }
    let actions = read_all(&mut world, shape.clients, appends.keys);
    appends.deeds.push(Deed { invoked: u64::MAX - 1, replied: Some(u64::MAX), actions });
    check(&appends.deeds, &appends.refused)?;
    super::end(&mut world, shape.clients)
}
