//! Clients that append unique elements to lists and read lists, several in one transaction.
//!
//! Owns: what they send and what their replies say about it. Refuses to know: what follows from that, which is for [`cycles`](super::cycles).
//! Start at [`run_append`].

use kora_runtime::random::Random;
use kora_runtime::resp::value::array_elements;

use super::cycles::{Action, Deed, check};
use super::drive::{Chaos, Words, Workload, drive, words};
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
}

/// Runs one seed.
///
/// # Errors
/// The circle of transactions that cannot have run one after another.
pub fn run_append(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut world = World::new(seed, Shape { clients: shape.clients + 1, ..shape });
    let mut appends = Appends {
        keys: 2 + random.below(5),
        elements: 0,
        left: vec![shape.commands; shape.clients],
        sent: vec![Sent::default(); shape.clients],
        deeds: Vec::new(),
        refused: Vec::new(),
    };
    let chaos = Chaos { disconnects: if seed.is_multiple_of(3) { 5 } else { 0 }, time: 5 };
    let waiting = drive(&mut world, shape.clients, &mut random, chaos, &mut appends)?;
    if !waiting.is_empty() {
        return Err(format!("{waiting:?} were never answered"));
    }
    let mut actions = Vec::new();
    for key in (0..appends.keys).map(|key| format!("l{key}")) {
        let reply = world.ask(shape.clients, &words(&format!("LRANGE {key} 0 -1")));
        let elements = array_elements(&reply).into_iter().flatten().map(text_of).collect();
        actions.push(Action::Read { key, elements });
    }
    appends.deeds.push(Deed { invoked: u64::MAX - 1, replied: Some(u64::MAX), actions });
    check(&appends.deeds, &appends.refused)?;
    super::end(&mut world, shape.clients)
}
