//! Whether transactions that append to lists and read them could have run one after another.
//!
//! Owns: what reads say about the order of transactions, and the search for a circle in it (after K. Kingsbury and P. Alvaro, "Elle: inferring isolation
//! anomalies from experimental observations", 2020). Refuses to know: Kora, RESP, how the transactions were sent.
//! Start at [`check`].
//!
//! No element is appended twice. So the longest list that was read of a key tells in which order its elements came, and each read of it which append
//! came last before it and which next after it. With the order in real time beside these, the transactions were strictly serialisable exactly when no circle leads
//! from one to itself.

use std::collections::HashMap;

/// One thing that a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It appended an element; the list's length after that, when it was told.
    Append {
        /// To this list.
        key: String,
        /// It, and nobody else.
        element: String,
        /// Elements there were then.
        len: Option<usize>,
    },
    /// It read this list.
    Read {
        /// Which.
        key: String,
        /// What it held.
        elements: Vec<String>,
    },
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When it was sent.
    pub invoked: u64,
    /// When its reply came, if one came. One without counts when something that it appended was seen.
    pub replied: Option<u64>,
    /// What it did, in order; reads only when their reply came.
    pub actions: Vec<Action>,
}

/// Says what is wrong with a history, if anything. `refused` are elements of transactions that said they did nothing.
///
/// # Errors
/// A description of the contradiction, with the transactions that make the circle.
pub fn check(deeds: &[Deed], refused: &[String]) -> Result<(), String> {
    let orders = orders(deeds)?;
    let mut writers: HashMap<(&str, &str), usize> = HashMap::new();
    for (at, deed) in deeds.iter().enumerate() {
        for action in &deed.actions {
            if let Action::Append { key, element, .. } = action {
                writers.insert((key, element), at);
            }
        }
    }
    // Nodes behind the transactions are points in time: replies, in order.
    let mut replies: Vec<(u64, usize)> =
        deeds.iter().enumerate().filter_map(|(at, deed)| Some((deed.replied?, at))).collect();
    replies.sort_unstable();
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); deeds.len() + replies.len()];
    for (place, (_, at)) in replies.iter().enumerate() {
        edges[*at].push(deeds.len() + place);
        if place > 0 {
            edges[deeds.len() + place - 1].push(deeds.len() + place);
        }
    }
    for (at, deed) in deeds.iter().enumerate() {
        let before = replies.partition_point(|(replied, _)| *replied < deed.invoked);
        if before > 0 {
            edges[deeds.len() + before - 1].push(at);
        }
    }
    for (key, order) in &orders {
        let mut last = None;
        for element in *order {
            let Some(&writer) = writers.get(&(*key, element.as_str())) else {
                let why = if refused.contains(element) {
                    "whose transaction said it did nothing"
                } else {
                    "that nobody appended"
                };
                return Err(format!("{key} holds {element}, {why}"));
            };
            if let Some(last) = last.replace(writer).filter(|last| *last != writer) {
                edges[last].push(writer);
            }
        }
    }
    for (at, deed) in deeds.iter().enumerate() {
        for (done, action) in deed.actions.iter().enumerate() {
            match action {
                Action::Read { key, elements } => {
                    let overlooked = deed.actions[..done].iter().any(|earlier| match earlier {
                        Action::Append { key: to, element, .. } => to == key && !elements.contains(element),
                        Action::Read { .. } => false,
                    });
                    if overlooked {
                        return Err(format!("a transaction did not see what it did itself: {deed:?}"));
                    }
                    let order = orders[key.as_str()];
                    let writer = |place: usize| writers[&(key.as_str(), order[place].as_str())];
                    if let Some(last) = elements.len().checked_sub(1).map(writer).filter(|writer| *writer != at) {
                        edges[last].push(at);
                    }
                    if elements.len() < order.len() && writer(elements.len()) != at {
                        edges[at].push(writer(elements.len()));
                    }
                }
                Action::Append { key, element, len } => {
                    let order = orders.get(key.as_str()).copied().unwrap_or_default();
                    let place = order.iter().position(|other| other == element);
                    if deed.replied.is_some() && place.is_none() {
                        return Err(format!("{element} was appended to {key} and is lost"));
                    }
                    if len.is_some() && place.map(|place| place + 1) != *len {
                        return Err(format!("{element} is at {place:?} of {key}, whose length was {len:?} with it"));
                    }
                }
            }
        }
    }
    match circle(&edges) {
        None => Ok(()),
        Some(nodes) => {
            let lines: Vec<String> =
                nodes.into_iter().filter(|at| *at < deeds.len()).map(|at| format!("{:?}", deeds[at])).collect();
            Err(format!("each of these came before the next, and the last before the first:\n{}", lines.join("\n")))
        }
    }
}

/// The order of each key's elements: its longest read. All others have to be beginnings of it.
fn orders(deeds: &[Deed]) -> Result<HashMap<&str, &[String]>, String> {
    let reads = || {
        deeds.iter().flat_map(|deed| &deed.actions).filter_map(|action| match action {
            Action::Read { key, elements } => Some((key.as_str(), elements.as_slice())),
            Action::Append { .. } => None,
        })
    };
    let mut orders: HashMap<&str, &[String]> = HashMap::new();
    for (key, elements) in reads() {
        let longest = orders.entry(key).or_default();
        if elements.len() > longest.len() {
            *longest = elements;
        }
    }
    match reads().find(|(key, elements)| !orders[key].starts_with(elements)) {
        Some((key, elements)) => Err(format!("{key} was read as {elements:?} and as {:?}", orders[key])),
        None => Ok(orders),
    }
}

/// Nodes on a circle, if there is one: depth first, with a stack of our own because histories are long.
fn circle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::Never; edges.len()];
    for start in 0..edges.len() {
        if seen[start] != Seen::Never {
            continue;
        }
        seen[start] = Seen::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let Some(&to) = edges[*node].get(*next) else {
                seen[*node] = Seen::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match seen[to] {
                Seen::Done => {}
                Seen::OnPath => {
                    let from = path.iter().position(|(node, _)| *node == to)?;
                    return Some(path[from..].iter().map(|(node, _)| *node).collect());
                }
                Seen::Never => {
                    seen[to] = Seen::OnPath;
                    path.push((to, 0));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(key: &str, element: &str) -> Action {
        Action::Append { key: key.to_owned(), element: element.to_owned(), len: None }
    }

    fn read(key: &str, elements: &[&str]) -> Action {
        Action::Read { key: key.to_owned(), elements: elements.iter().map(|&element| element.to_owned()).collect() }
    }

    fn deed(invoked: u64, replied: u64, actions: &[Action]) -> Deed {
        Deed { invoked, replied: Some(replied), actions: actions.to_vec() }
    }

    fn wrong(deeds: &[Deed]) -> String {
        check(deeds, &["no".to_owned()]).expect_err("it cannot have run one after another")
    }

    #[test]
    fn what_could_have_run_one_after_another_is_right() {
        let first = deed(1, 9, &[append("x", "1"), append("y", "1")]);
        let second = deed(2, 8, &[append("x", "2"), read("y", &["1"])]);
        let reader = deed(3, 7, &[read("x", &["1", "2"]), read("y", &["1"])]);
        let early = deed(1, 9, &[read("x", &[]), read("y", &[])]);
        let unanswered = Deed { invoked: 1, replied: None, actions: vec![append("x", "3")] };
        assert_eq!(check(&[first, second, reader, early, unanswered], &[]), Ok(()));
    }

    #[test]
    fn circles_are_found() {
        // Half of a transaction was seen.
        let writer = deed(1, 9, &[append("x", "1"), append("y", "1")]);
        let half = deed(1, 9, &[read("x", &["1"]), read("y", &[])]);
        let all = deed(10, 11, &[read("x", &["1"]), read("y", &["1"])]);
        assert!(wrong(&[writer.clone(), half, all.clone()]).starts_with("each of these"));
        // Between two appends of one transaction.
        let twice = deed(1, 9, &[append("x", "1"), append("x", "2")]);
        let between = deed(1, 9, &[read("x", &["1"])]);
        assert!(wrong(&[twice, between, deed(10, 11, &[read("x", &["1", "2"])])]).starts_with("each of these"));
        // Each of two overlooked the other: write skew.
        let one = deed(1, 9, &[read("x", &[]), append("y", "1")]);
        let other = deed(1, 9, &[read("y", &[]), append("x", "1")]);
        assert!(wrong(&[one, other, all]).starts_with("each of these"));
        // The past was read.
        let late = deed(12, 13, &[read("x", &[])]);
        assert!(
            wrong(&[writer, deed(10, 11, &[read("x", &["1"]), read("y", &["1"])]), late]).starts_with("each of these")
        );
    }

    #[test]
    fn lists_that_contradict_each_other_are_found() {
        let one = deed(1, 9, &[append("x", "1")]);
        let other = deed(1, 9, &[append("x", "2")]);
        let reads = [deed(1, 9, &[read("x", &["1", "2"])]), deed(1, 9, &[read("x", &["2", "1"])])];
        assert!(wrong(&[one.clone(), other.clone(), reads[0].clone(), reads[1].clone()]).contains("was read as"));
        assert!(wrong(&[one.clone(), other.clone(), deed(10, 11, &[read("x", &["1"])])]).contains("is lost"));
        assert!(wrong(&[one.clone(), deed(10, 11, &[read("x", &["1", "no"])])]).contains("did nothing"));
        assert!(wrong(&[one, deed(10, 11, &[read("x", &["1", "who"])])]).contains("nobody appended"));
        let blind = deed(1, 9, &[append("x", "1"), read("x", &[])]);
        assert!(wrong(&[blind, deed(10, 11, &[read("x", &["1"])])]).contains("did itself"));
        let told = Action::Append { key: "x".to_owned(), element: "1".to_owned(), len: Some(2) };
        assert!(wrong(&[deed(1, 2, &[told]), deed(3, 4, &[read("x", &["1"])])]).contains("whose length was"));
    }
}
