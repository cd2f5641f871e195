//! Whether a history is strictly serialisable.
//!
//! Owns: the search for a sequential order that explains every reply and puts no command before one that had been answered when it was sent
//! (J. M. Wing and C. Gong, "Testing and verifying concurrent objects", 1993; with the states seen remembered, as G. Lowe, "Testing for
//! linearizability", 2017). Refuses to know: what commands mean; [`Model`] does.

use std::collections::HashSet;
use std::fmt;

use super::model::Model;

/// One command of a history.
#[derive(Debug, Clone)]
pub struct Call {
    /// The command.
    pub words: Vec<String>,
    /// When it was sent.
    pub invoked: u64,
    /// When its reply came.
    pub replied: Option<u64>,
    /// The reply as it came, RESP2.
    pub reply: Vec<u8>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply = String::from_utf8_lossy(&self.reply).replace("\r\n", " ");
        write!(f, "{:>4} – {:<4} {:<40} {reply}", self.invoked, self.replied.unwrap_or(0), self.words.join(" "))
    }
}

/// True when some order of the calls explains all replies.
pub fn strictly_serialisable(history: &[Call]) -> bool {
    assert!(history.len() <= 64, "a set of calls is 64 bits");
    let mut seen = HashSet::new();
    search(history, 0, &Model::default(), &mut seen)
}

fn search(history: &[Call], done: u64, model: &Model, seen: &mut HashSet<(u64, Model)>) -> bool {
    if done.count_ones() as usize == history.len() {
        return true;
    }
    if !seen.insert((done, model.clone())) {
        return false;
    }
    let open = || history.iter().enumerate().filter(|(at, _)| done & (1 << at) == 0);
    // Nothing that was sent after another one was answered may come before it.
    let first_answer = open().filter_map(|(_, call)| call.replied).min().unwrap_or(u64::MAX);
    open().filter(|(_, call)| call.invoked <= first_answer).any(|(at, call)| {
        let mut next = model.clone();
        next.explains(&call.words, &call.reply) && search(history, done | (1 << at), &next, seen)
    })
}
