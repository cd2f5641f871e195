//! Whether a history is strictly serialisable.
//!
//! Owns: the search for a sequential order that explains every reply and puts no command before one that had been answered when it was sent
//! (J. M. Wing and C. Gong, "Testing and verifying concurrent objects", 1993; with the states seen remembered, as G. Lowe, "Testing for
//! linearizability", 2017). Refuses to know: what commands mean; [`Model`] does.

use std::collections::HashSet;
use std::fmt;

use super::drive::Words;
use super::model::Model;

/// One command of a history, or one transaction.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// The command; EXEC for a transaction.
    pub words: Words,
    /// The commands of a transaction.
    pub body: Vec<Words>,
    /// Which connection sent it: what one watches is its own.
    pub connection: usize,
    /// The database that the connection has selected.
    pub db: usize,
    /// When it was sent.
    pub invoked: u64,
    /// When its reply came. One whose connection ended before may have taken effect, or not.
    pub replied: Option<u64>,
    /// The reply as it came, RESP2.
    pub reply: Vec<u8>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reply = String::from_utf8_lossy(&self.reply).replace("\r\n", " ");
        let body: String = self.body.iter().map(|words| format!(" [{}]", words.join(" "))).collect();
        let replied = self.replied.map_or(String::new(), |replied| replied.to_string());
        let (from, to, connection, db) = (self.invoked, replied, self.connection, self.db);
        write!(f, "{from:>4} – {to:<4} connection {connection}, db {db}: {:<40} {reply}", self.words.join(" ") + &body)
    }
}

/// True when some order of the calls explains all replies.
pub fn strictly_serialisable(history: &[Call]) -> bool {
    assert!(history.len() <= 64, "a set of calls is 64 bits");
    let mut seen = HashSet::new();
    let answered = history.iter().enumerate().filter(|(_, call)| call.replied.is_some());
    let wanted = answered.fold(0, |wanted, (at, _)| wanted | 1 << at);
    search(history, wanted, 0, &Model::default(), &mut seen)
}

fn search(history: &[Call], wanted: u64, done: u64, model: &Model, seen: &mut HashSet<(u64, Model)>) -> bool {
    if done & wanted == wanted {
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
        next.explains(call) && search(history, wanted, done | (1 << at), &next, seen)
    })
}
