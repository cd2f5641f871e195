//! The account of what went through queues: every element was pushed by someone, and is in one place or was given to one client.
//!
//! Owns: what clients were told of pushes and pops, and which contents of the lists agree with it, also after a crash. Refuses to know: what was sent, and how waiting works.
//! Start at [`Account::check`].
//!
//! After a crash the account begins anew ([`Account::begin_life`]): what is there is on disk, and all else is gone for ever.

use std::collections::{BTreeMap, BTreeSet};

/// What lies in lists and sorted sets, by database and key.
pub type Contents = BTreeMap<(u64, String), Vec<usize>>;

/// One element on its way in.
#[derive(Debug, Clone)]
struct Push {
    /// The first element of the command or transaction that pushed this one too.
    first: usize,
    /// The list to whose end it was appended, when it was appended directly.
    key: Option<String>,
    /// It is a member of a sorted set.
    sorted: bool,
    invoked: u64,
    /// When it was acknowledged, or was seen after a crash.
    replied: Option<u64>,
    /// A crash has left it: it is on disk.
    durable: bool,
    /// A crash has taken it, or it was taken before a crash.
    over: bool,
}

/// A client got an element.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    /// At this time, or before it when the connection ended then.
    time: u64,
    exact: bool,
}

/// A pop whose reply never came. It may have taken elements.
#[derive(Debug, Clone)]
pub struct OpenPop {
    /// What it waited for.
    pub keys: Vec<String>,
    /// Elements that it takes at most.
    pub count: usize,
}

/// All elements of a run.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Elements come in at one end and go out at the other, by direct pushes and pops only.
    orderly: bool,
    pushes: Vec<Push>,
    delivered: BTreeMap<usize, Delivery>,
    /// Those of this life.
    open: Vec<OpenPop>,
}

impl Account {
    /// Of queues of which nobody has heard.
    pub fn new(orderly: bool) -> Self {
        Self { orderly, ..Self::default() }
    }

    /// A new element, which is pushed together with those from `first` on. Its number.
    pub fn push(&mut self, first: Option<usize>, key: Option<&str>, sorted: bool, invoked: u64) -> usize {
        let number = self.pushes.len();
        let (first, key) = (first.unwrap_or(number), key.map(str::to_owned));
        self.pushes.push(Push { first, key, sorted, invoked, replied: None, durable: false, over: false });
        number
    }

    /// Somebody was told that an element is in.
    pub fn acknowledged(&mut self, number: usize, time: u64) {
        self.pushes[number].replied = Some(time);
    }

    /// A client got an element, at that time or, if not `exact`, before it.
    ///
    /// # Errors
    /// When it cannot have been there.
    pub fn delivered(&mut self, number: usize, time: u64, exact: bool) -> Result<(), String> {
        let Some(push) = self.pushes.get(number) else { return Err(format!("nobody pushed e{number}")) };
        if push.over {
            return Err(format!("e{number} was delivered at {time} after a crash had left nothing of it: {push:?}"));
        }
        match self.delivered.insert(number, Delivery { time, exact }) {
            None => Ok(()),
            Some(before) => Err(format!("e{number} was delivered at {before:?} and at {time}")),
        }
    }

    /// A client goes while its pop is under way.
    pub fn leave_open(&mut self, pop: OpenPop) {
        self.open.push(pop);
    }

    /// What is there now is what a new life begins with.
    pub fn begin_life(&mut self, contents: &Contents, time: u64) {
        let there: BTreeSet<usize> = contents.values().flatten().copied().collect();
        for (number, push) in self.pushes.iter_mut().enumerate() {
            push.durable = there.contains(&number);
            push.over = !push.durable;
            if push.durable {
                push.replied.get_or_insert(time);
                self.delivered.remove(&number);
            }
        }
        self.open.clear();
    }

    /// Compares what is there when nobody does anything with what clients were told: before `covered` they could rely on it.
    ///
    /// # Errors
    /// Which element is lost, doubled, back again or out of order.
    pub fn check(&self, contents: &Contents, covered: u64) -> Result<(), String> {
        let mut there = BTreeSet::new();
        for &number in contents.values().flatten() {
            if !there.insert(number) {
                return Err(format!("e{number} is there twice: {contents:?}"));
            }
            if self.pushes.get(number).is_none_or(|push| push.over) {
                return Err(format!("e{number} is there, which nobody pushed or a crash had taken: {contents:?}"));
            }
            if let Some(delivery) = self.delivered.get(&number).filter(|delivery| delivery.time < covered) {
                return Err(format!("e{number} was delivered and is still there: {delivery:?}"));
            }
        }
        let survived = self.survivors(&there, covered);
        let missing = survived.iter().copied().filter(|number| !there.contains(number));
        let missing: Vec<usize> = missing.filter(|number| !self.delivered.contains_key(number)).collect();
        if let Some(number) = self.unexplained(&missing) {
            return Err(format!("e{number} is lost: {:?}\nwithout a reply: {:?}", self.pushes[number], self.open));
        }
        if self.orderly { self.check_ends(contents, &survived) } else { Ok(()) }
    }

    /// The elements of this life whose push cannot have been lost.
    fn survivors(&self, there: &BTreeSet<usize>, covered: u64) -> BTreeSet<usize> {
        let taken = |number| self.delivered.get(&number).is_some_and(|delivery| delivery.time < covered);
        let certain = |number: usize| there.contains(&number) || taken(number);
        // Those that were pushed together are there together.
        let together: BTreeSet<usize> =
            (0..self.pushes.len()).filter(|&number| certain(number)).map(|number| self.pushes[number].first).collect();
        let survived = |number: &usize| {
            let push = &self.pushes[*number];
            let follows = |later: &usize| self.orderly && push.comes_before(&self.pushes[*later]);
            !push.over
                && (push.durable
                    || push.replied.is_some_and(|replied| replied < covered)
                    || together.contains(&push.first)
                    || there.iter().any(follows))
        };
        (0..self.pushes.len()).filter(survived).collect()
    }

    /// An element that is missing though no pop without a reply can have taken it.
    fn unexplained(&self, missing: &[usize]) -> Option<usize> {
        let places: Vec<&OpenPop> = self.open.iter().flat_map(|pop| std::iter::repeat_n(pop, pop.count)).collect();
        let mut taken: Vec<Option<usize>> = vec![None; places.len()];
        missing
            .iter()
            .copied()
            .find(|&number| !self.assign(number, &places, &mut taken, &mut vec![false; places.len()]))
    }

    /// Finds a place for an element, and others for those that have to make room.
    fn assign(&self, number: usize, places: &[&OpenPop], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        let push = &self.pushes[number];
        for at in 0..places.len() {
            let sorted = places[at].keys.iter().any(|key| key.starts_with('z'));
            let elsewhere = push.key.as_ref().is_some_and(|key| self.orderly && !places[at].keys.contains(key));
            if tried[at] || sorted != push.sorted || elsewhere {
                continue;
            }
            tried[at] = true;
            if taken[at].is_none_or(|other| self.assign(other, places, taken, tried)) {
                taken[at] = Some(number);
                return true;
            }
        }
        false
    }

    /// In each list lies what was pushed last, in order.
    fn check_ends(&self, contents: &Contents, survived: &BTreeSet<usize>) -> Result<(), String> {
        for ((_, key), list) in contents {
            for (place, &number) in list.iter().enumerate() {
                let push = &self.pushes[number];
                if push.key.as_ref() != Some(key) {
                    continue;
                }
                if let Some(later) = list[..place].iter().find(|&&later| push.comes_before(&self.pushes[later])) {
                    return Err(format!("e{later} is before e{number}, which was pushed first, in {key}: {list:?}"));
                }
                let jumped = |later: &&usize| push.comes_before(&self.pushes[**later]) && !list.contains(later);
                if let Some(later) = survived.iter().find(jumped) {
                    return Err(format!(
                        "e{later} was taken from {key} before e{number}, which was pushed first: {list:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether what was pushed earlier to a list was delivered earlier, in an orderly world where replies come when elements are taken.
    ///
    /// # Errors
    /// What came out of turn.
    pub fn check_order(&self) -> Result<(), String> {
        for (later, &Delivery { time, exact }) in &self.delivered {
            let later_push = &self.pushes[*later];
            for (earlier, push) in self.pushes.iter().enumerate() {
                let together = push.first == later_push.first && earlier < *later && push.replied.is_some();
                if push.key != later_push.key || push.key.is_none() || !(push.comes_before(later_push) || together) {
                    continue;
                }
                let late = |before: &Delivery| exact && before.exact && before.time > time;
                if self.delivered.get(&earlier).is_none_or(late) {
                    let key = &push.key;
                    return Err(format!("e{later} was delivered before e{earlier}, pushed to {key:?} before it"));
                }
            }
        }
        Ok(())
    }
}

impl Push {
    /// True when both were appended to one list, this one first, as everybody could see.
    fn comes_before(&self, later: &Self) -> bool {
        self.key.is_some() && self.key == later.key && self.replied.is_some_and(|replied| replied < later.invoked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: u64 = u64::MAX;

    /// Three elements that were appended to q0 one after another, the last two together, each acknowledged at ten times its number and five.
    fn three() -> Account {
        let mut account = Account::new(true);
        for number in 0..3 {
            let first = (number == 2).then_some(1);
            assert_eq!(account.push(first, Some("q0"), false, [1, 10, 10][number]), number);
        }
        [5, 15, 15].into_iter().enumerate().for_each(|(number, time)| account.acknowledged(number, time));
        account
    }

    fn q0(numbers: &[usize]) -> Contents {
        Contents::from([((0, "q0".to_owned()), numbers.to_vec())])
    }

    fn wrong(account: &Account, numbers: &[usize], covered: u64) -> String {
        account.check(&q0(numbers), covered).expect_err("the account does not allow this")
    }

    #[test]
    fn what_was_acknowledged_is_there_once_and_in_order() {
        let account = three();
        assert_eq!(account.check(&q0(&[0, 1, 2]), STRICT), Ok(()));
        assert!(wrong(&account, &[0, 1], STRICT).starts_with("e2 is lost"));
        assert!(wrong(&account, &[0, 1, 2, 1], STRICT).starts_with("e1 is there twice"));
        assert!(wrong(&account, &[0, 1, 2, 3], STRICT).contains("which nobody pushed"));
        assert!(wrong(&account, &[1, 2, 0], STRICT).starts_with("e1 is before e0"));
    }

    #[test]
    fn an_element_that_was_delivered_is_nowhere() {
        let mut account = three();
        assert_eq!(account.delivered(0, 20, true), Ok(()));
        assert_eq!(account.check(&q0(&[1, 2]), STRICT), Ok(()));
        assert!(wrong(&account, &[0, 1, 2], STRICT).contains("is still there"));
        assert!(account.delivered(0, 21, true).expect_err("once").contains("delivered at"));
        assert!(account.delivered(9, 21, true).expect_err("never").contains("nobody pushed"));
        // Nobody relied on it yet when the power failed; but then what came after it is there, too.
        assert_eq!(account.check(&q0(&[0, 1, 2]), 20), Ok(()));
        assert_eq!(account.delivered(1, 22, true), Ok(()));
        assert!(wrong(&account, &[0, 2], 20).starts_with("e1 was taken from q0 before e0"));
    }

    #[test]
    fn what_is_lost_is_a_suffix_of_what_nobody_could_rely_on() {
        let account = three();
        assert_eq!(account.check(&q0(&[0]), 10), Ok(()));
        assert_eq!(account.check(&q0(&[]), 5), Ok(()));
        assert!(wrong(&account, &[], 6).starts_with("e0 is lost"));
        assert!(wrong(&account, &[1, 2], 0).starts_with("e0 is lost"));
        assert!(wrong(&account, &[0, 1], 0).starts_with("e2 is lost"));
    }

    #[test]
    fn pops_without_a_reply_explain_what_they_may_have_taken() {
        let mut account = three();
        let pop = |keys: &[&str], count| OpenPop { keys: keys.iter().map(|&key| key.to_owned()).collect(), count };
        account.leave_open(pop(&["q1"], 2));
        account.leave_open(pop(&["z0"], 1));
        account.leave_open(pop(&["q0"], 0));
        assert!(wrong(&account, &[1, 2], STRICT).starts_with("e0 is lost"));
        account.leave_open(pop(&["q1", "q0"], 1));
        assert_eq!(account.check(&q0(&[1, 2]), STRICT), Ok(()));
        assert!(wrong(&account, &[2], STRICT).starts_with("e1 is lost"));
        assert!(wrong(&account, &[0, 2], STRICT).starts_with("e1 was taken from q0 before e0"));
    }

    #[test]
    fn what_a_crash_has_left_is_on_disk_and_the_rest_never_comes_again() {
        let mut account = three();
        assert_eq!(account.delivered(0, 20, true), Ok(()));
        account.begin_life(&q0(&[0]), 30);
        assert!(wrong(&account, &[], 0).starts_with("e0 is lost"));
        assert!(wrong(&account, &[0, 1, 2], 0).contains("a crash had taken"));
        assert!(account.delivered(1, 40, true).expect_err("it is gone").contains("nothing of it"));
        assert_eq!(account.delivered(0, 40, true), Ok(()));
    }
}
