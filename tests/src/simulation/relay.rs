//! A relay: producers push elements to the first of some lists, and clients that wait hand them on from list to list.
//!
//! Owns: what both send, and which lists their replies allow, also after a crash. Refuses to know: how waiting works, how a life ends.
//! Start at [`run_relay`].
//!
//! Nothing is taken out, and everything comes in at one end of a list and goes out at the other. So the lists, the last one first, are one *line*: the elements in
//! the order in which they were pushed. Whatever a crash takes away, what is left of the line is a beginning of it, each element once and no farther back than
//! somebody was told who may rely on it.

use std::collections::BTreeSet;

use kora_runtime::config::AppendFsync;
use kora_runtime::random::Random;
use kora_runtime::resp::value::{array_elements, is_null};

use super::drive::{Chaos, Words, Workload, drive, words};
use super::rebirth::Crash;
use super::world::World;
use super::{Shape, number_of, number_of_element, text_of};

/// Lists, and ways from one to the next.
const STAGES: usize = 3;
const WAYS: usize = STAGES - 1;

#[derive(Debug, Clone)]
struct Element {
    /// The first element that was pushed together with it.
    first: usize,
    invoked: u64,
    /// When its push was acknowledged, or when it was seen after a crash.
    replied: Option<u64>,
    /// When it was told of each way that the element had gone it.
    handed: [Option<u64>; WAYS],
    /// As far as a crash has shown it, it is on disk.
    durable_stage: Option<usize>,
    /// A crash took it.
    lost: bool,
}

/// What one command of a client does.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Push,
    Hand { way: usize },
}

/// What a client has under way.
#[derive(Debug, Clone, Default)]
struct Sent {
    deeds: Vec<Deed>,
    in_exec: bool,
    /// The elements that it pushes.
    pushed: Vec<usize>,
}

struct Relay {
    /// Elements come in at the left and go out at the right.
    leftward: bool,
    producers: usize,
    left: Vec<usize>,
    sent: Vec<Sent>,
    elements: Vec<Element>,
    /// The line as the last crash has left it.
    line: Vec<usize>,
    /// For each way: how many commands that hand something on got no answer in this life.
    open: [usize; WAYS],
    /// Nothing that was acknowledged may be lost, not even when power fails.
    strict: bool,
}

/// Each element and the list in which it lies.
fn places(lists: &[Vec<usize>; STAGES]) -> impl Iterator<Item = (usize, usize)> {
    lists.iter().enumerate().flat_map(|(stage, list)| list.iter().map(move |&number| (stage, number)))
}

impl Relay {
    fn new(seed: u64, shape: Shape) -> Self {
        Self {
            leftward: seed.is_multiple_of(2),
            // With few of them, most clients wait.
            producers: shape.clients * (2 + seed as usize % 3) / 8,
            left: vec![shape.commands; shape.clients],
            sent: vec![Sent::default(); shape.clients],
            elements: Vec::new(),
            line: Vec::new(),
            open: [0; WAYS],
            strict: shape.log == Some(AppendFsync::Always),
        }
    }

    fn hand(&self, way: usize) -> String {
        let ends = if self.leftward { "RIGHT LEFT" } else { "LEFT RIGHT" };
        format!("LMOVE r{way} r{} {ends}", way + 1)
    }

    fn push(&mut self, count: usize, time: u64, sent: &mut Sent) -> String {
        let first = sent.pushed.first().copied().unwrap_or(self.elements.len());
        let mut line = format!("{} r0", if self.leftward { "LPUSH" } else { "RPUSH" });
        for _ in 0..count {
            let number = self.elements.len();
            line.push_str(&format!(" e{number}"));
            sent.pushed.push(number);
            let handed = [None; WAYS];
            self.elements.push(Element {
                first,
                invoked: time,
                replied: None,
                handed,
                durable_stage: None,
                lost: false,
            });
        }
        sent.deeds.push(Deed::Push);
        line
    }

    fn produce(&mut self, client: usize, time: u64, random: &mut Random, world: &World) -> (Vec<String>, Sent) {
        let mut sent = Sent::default();
        let way = random.below(WAYS as u64) as usize;
        let lines = match random.below(12) {
            0..=3 => vec![self.push(1, time, &mut sent)],
            4 => vec![self.push(2, time, &mut sent)],
            5..=8 => {
                sent.in_exec = true;
                let mut lines = vec!["MULTI".to_owned(), self.push(1, time, &mut sent), self.hand(way)];
                sent.deeds.push(Deed::Hand { way });
                if random.below(2) == 0 {
                    lines.push(self.push(1, time, &mut sent));
                }
                lines.push("EXEC".to_owned());
                lines
            }
            9 | 10 => {
                sent.deeds.push(Deed::Hand { way });
                vec![self.hand(way)]
            }
            _ => vec![world.disturbance(client, self.sent.len(), random)],
        };
        (lines, sent)
    }

    fn consume(&self, random: &mut Random) -> (Vec<String>, Sent) {
        let way = random.below(WAYS as u64) as usize;
        let timeout = ["0", "0", "0.003", "0.02"][random.below(4) as usize];
        let line = match random.below(2) {
            0 if self.leftward => format!("BRPOPLPUSH r{way} r{} {timeout}", way + 1),
            _ => format!("B{} {timeout}", self.hand(way)),
        };
        (vec![line], Sent { deeds: vec![Deed::Hand { way }], ..Sent::default() })
    }

    /// A client was told that an element went a way.
    fn was_handed(&mut self, reply: &[u8], way: usize, time: u64) -> Result<(), String> {
        if is_null(reply) || reply.starts_with(b"-UNBLOCKED ") {
            return Ok(());
        }
        if !reply.starts_with(b"$") {
            return Err(format!("handing on replied {}", reply.escape_ascii()));
        }
        let number = number_of_element(&text_of(reply))?;
        match self.elements.get_mut(number) {
            Some(element) if element.lost => Err(format!("e{number} was lost and is handed on: {element:?}")),
            Some(element) => match element.handed[way].replace(time) {
                None => Ok(()),
                Some(before) => Err(format!("e{number} went from r{way} at {before} and at {time}")),
            },
            None => Err(format!("e{number} was handed on and never pushed")),
        }
    }

    /// The elements of each list in the order in which they came, when nobody does anything.
    fn at_rest(&self, world: &mut World) -> Result<[Vec<usize>; STAGES], String> {
        let mut lists: [Vec<usize>; STAGES] = Default::default();
        for (stage, list) in lists.iter_mut().enumerate() {
            let reply = world.ask(self.left.len(), &words(&format!("LRANGE r{stage} 0 -1")));
            for element in array_elements(&reply).into_iter().flatten() {
                list.push(number_of_element(&text_of(element))?);
            }
            if self.leftward {
                list.reverse();
            }
        }
        Ok(lists)
    }

    /// Compares what lies in the lists with what clients were told: before `covered` they could rely on it.
    fn check(&self, lists: &[Vec<usize>; STAGES], covered: u64) -> Result<(), String> {
        let line: Vec<usize> = lists.iter().rev().flatten().copied().collect();
        let left: BTreeSet<usize> = line.iter().copied().collect();
        if left.len() < line.len() {
            return Err(format!("some element is there twice: {lists:?}"));
        }
        if let Some(number) = line.iter().find(|&&number| self.elements.get(number).is_none_or(|element| element.lost))
        {
            return Err(format!("e{number} was never pushed, or it was lost: {lists:?}"));
        }
        if !line.starts_with(&self.line) {
            return Err(format!("the line was {:?} after the last crash and is {line:?}", self.line));
        }
        for (place, &number) in line.iter().enumerate() {
            let element = &self.elements[number];
            if let Some(later) = line[place..].iter().find(|&&later| {
                self.elements[later].replied < Some(element.invoked) && self.elements[later].replied.is_some()
            }) {
                return Err(format!("e{later} was pushed before e{number}, and the line is {line:?}"));
            }
            if element.first < number && (place == 0 || line[place - 1] + 1 != number) {
                return Err(format!("e{number} was pushed together with e{}, and the line is {line:?}", number - 1));
            }
        }
        let last_invoked = line.iter().map(|&number| self.elements[number].invoked).max().unwrap_or(0);
        let missing = |(number, element): &(usize, &Element)| !element.lost && !left.contains(number);
        for (number, element) in self.elements.iter().enumerate().filter(missing) {
            let told = [element.replied].into_iter().chain(element.handed).flatten().min();
            if told.is_some_and(|told| told < covered) || element.durable_stage.is_some() {
                return Err(format!("e{number} is lost: {element:?}"));
            }
            if element.replied.is_some_and(|replied| replied < last_invoked) {
                return Err(format!("e{number} is lost, and what was pushed after it is there: {element:?}, {line:?}"));
            }
            if left.contains(&element.first) {
                return Err(format!("e{number} is lost, and e{} is there", element.first));
            }
        }
        self.check_stages(lists, covered)
    }

    /// Whether each element is where it was handed to, or so far ahead of it as those who got no answer may have brought it.
    fn check_stages(&self, lists: &[Vec<usize>; STAGES], covered: u64) -> Result<(), String> {
        for way in 0..WAYS {
            let mut untold = 0;
            for (stage, number) in places(lists) {
                let element = &self.elements[number];
                let was_there = element.durable_stage > Some(way);
                if stage <= way && (was_there || element.handed[way].is_some_and(|told| told < covered)) {
                    return Err(format!("e{number} lies in r{stage} again: {element:?}"));
                }
                untold += usize::from(stage > way && !was_there && element.handed[way].is_none());
            }
            if untold > self.open[way] {
                let open = self.open[way];
                return Err(format!("{untold} elements went from r{way} unasked, {open} were asked for: {lists:?}"));
            }
        }
        Ok(())
    }

    /// What lies in the lists is what a new life begins with.
    fn begin_life(&mut self, lists: &[Vec<usize>; STAGES], time: u64) {
        self.elements.iter_mut().for_each(|element| element.durable_stage = None);
        for (stage, number) in places(lists) {
            let element = &mut self.elements[number];
            element.durable_stage = Some(stage);
            element.replied.get_or_insert(time);
            for (way, handed) in element.handed.iter_mut().enumerate() {
                *handed = (way < stage).then(|| handed.unwrap_or(time));
            }
        }
        self.elements.iter_mut().for_each(|element| element.lost = element.durable_stage.is_none());
        self.line = lists.iter().rev().flatten().copied().collect();
        self.open = [0; WAYS];
    }
}

impl Workload for Relay {
    fn next(&mut self, client: usize, time: u64, random: &mut Random, world: &World) -> Option<Vec<Words>> {
        self.left[client] = self.left[client].checked_sub(1)?;
        let (lines, sent) =
            if client < self.producers { self.produce(client, time, random, world) } else { self.consume(random) };
        self.sent[client] = sent;
        Some(lines.iter().map(|line| words(line)).collect())
    }

    fn answered(&mut self, client: usize, time: u64, replies: &[Vec<u8>], _: &World) -> Result<(), String> {
        let sent = std::mem::take(&mut self.sent[client]);
        let last = replies.last().map_or(&b""[..], Vec::as_slice);
        let told: Vec<&[u8]> = match sent.in_exec {
            true => array_elements(last).ok_or_else(|| format!("EXEC replied {}", last.escape_ascii()))?.collect(),
            false => vec![last],
        };
        for (deed, reply) in sent.deeds.iter().zip(told) {
            match deed {
                Deed::Push if number_of(reply).is_some() => {}
                Deed::Push => return Err(format!("a push replied {}", reply.escape_ascii())),
                Deed::Hand { way } => self.was_handed(reply, *way, time)?,
            }
        }
        for number in sent.pushed {
            self.elements[number].replied = Some(time);
        }
        Ok(())
    }

    fn gone(&mut self, client: usize, _: u64, _: &[Vec<u8>]) -> Result<(), String> {
        for deed in std::mem::take(&mut self.sent[client]).deeds {
            if let Deed::Hand { way } = deed {
                self.open[way] += 1;
            }
        }
        Ok(())
    }

    fn reborn(&mut self, time: u64, crash: Crash, world: &mut World) -> Result<(), String> {
        let lists = self.at_rest(world)?;
        let covered = if self.strict || !crash.power { u64::MAX } else { crash.covered };
        self.check(&lists, covered).map_err(|why| format!("{why}\nafter {crash:?}"))?;
        self.begin_life(&lists, time);
        Ok(())
    }
}

/// Runs one seed.
///
/// # Errors
/// Which element was lost, doubled, out of turn or where it had left, or who was forgotten.
pub fn run_relay(seed: u64, shape: Shape) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut world = World::with_lives(seed, Shape { clients: shape.clients + 1, ..shape })?;
    let mut relay = Relay::new(seed, shape);
    let chaos = Chaos { disconnects: if seed % 4 < 2 { 8 } else { 0 }, time: 20, lives: shape.lives };
    let waiting = drive(&mut world, shape.clients, &mut random, chaos, &mut relay)?;
    let lists = relay.at_rest(&mut world)?;
    relay.check(&lists, u64::MAX)?;
    for client in waiting {
        match relay.sent[client].deeds[..] {
            [Deed::Hand { way }] if !relay.sent[client].in_exec && lists[way].is_empty() => {}
            _ => return Err(format!("client {client} was not answered: {:?}, {lists:?}", relay.sent[client])),
        }
    }
    super::end(&mut world, shape.clients)?;
    if relay.at_rest(&mut world)? != lists {
        return Err("clients that went while they waited took something with them".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: u64 = u64::MAX;

    /// Elements that were pushed one after another, the last two together, the last but one handed on once.
    fn three() -> Relay {
        let mut relay = Relay::new(1, Shape { clients: 1, ..Shape::default() });
        relay.push(1, 1, &mut Sent::default());
        relay.push(2, 10, &mut Sent::default());
        for (number, time) in [5, 15, 15].into_iter().enumerate() {
            relay.elements[number].replied = Some(time);
        }
        for (number, time) in [(0, 20), (1, 25)] {
            relay.was_handed(format!("$2\r\ne{number}\r\n").as_bytes(), 0, time).expect("each goes once");
        }
        relay
    }

    fn lists(r2: &[usize], r1: &[usize], r0: &[usize]) -> [Vec<usize>; STAGES] {
        [r0.to_vec(), r1.to_vec(), r2.to_vec()]
    }

    #[test]
    fn lists_that_no_crash_explains_are_found() {
        let wrong = |lists: [Vec<usize>; STAGES], covered| three().check(&lists, covered).expect_err("it is wrong");
        assert_eq!(three().check(&lists(&[], &[0, 1], &[2]), STRICT), Ok(()));
        assert!(wrong(lists(&[], &[0, 1], &[1, 2]), STRICT).contains("there twice"));
        assert!(wrong(lists(&[], &[0, 1], &[2, 3]), STRICT).contains("never pushed"));
        assert!(wrong(lists(&[], &[1, 0], &[2]), STRICT).starts_with("e0 was pushed before e1"));
        assert!(wrong(lists(&[], &[0, 2], &[1]), STRICT).contains("pushed together with"));
        assert!(wrong(lists(&[], &[0, 1], &[]), STRICT).starts_with("e2 is lost"));
        assert!(wrong(lists(&[], &[0, 1], &[]), 0).starts_with("e2 is lost, and e1 is there"));
        assert!(wrong(lists(&[], &[1], &[2]), 0).starts_with("e0 is lost, and what was pushed after"));
        assert!(wrong(lists(&[], &[0], &[1, 2]), STRICT).starts_with("e1 lies in r0 again"));
        assert!(wrong(lists(&[0], &[1], &[2]), STRICT).contains("1 elements went from r1 unasked"));
    }

    #[test]
    fn what_nobody_could_rely_on_may_go_back() {
        let relay = three();
        for left in [lists(&[], &[0], &[1, 2]), lists(&[], &[], &[0, 1, 2]), lists(&[], &[], &[0])] {
            assert_eq!(relay.check(&left, 15), Ok(()), "{left:?}");
        }
        assert!(relay.check(&lists(&[], &[], &[0, 1, 2]), 21).expect_err("told at 20").starts_with("e0 lies in r0"));
    }

    #[test]
    fn what_a_crash_has_left_stays() {
        let mut relay = three();
        relay.begin_life(&lists(&[], &[0], &[1, 2]), 30);
        assert!(relay.was_handed(b"$2\r\ne0\r\n", 0, 40).expect_err("it went before").contains("went from r0"));
        assert!(relay.check(&lists(&[], &[], &[0, 1, 2]), 0).expect_err("it is on disk").starts_with("e0 lies in r0"));
        relay.begin_life(&lists(&[], &[0], &[]), 50);
        assert!(relay.check(&lists(&[], &[0], &[1, 2]), 0).expect_err("they are lost").contains("it was lost"));
        assert!(relay.check(&lists(&[], &[], &[]), 0).expect_err("it is on disk").contains("after the last crash"));
    }
}
