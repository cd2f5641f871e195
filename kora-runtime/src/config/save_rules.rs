//! `save`: after how long and how many changes a snapshot is taken by itself.
//!
//! Owns: the rules, their text, when one is due. Refuses to know: who counts the changes, and how a snapshot is taken. Start at [`SaveRules::due`].

use super::value::{Kind, Refusal, Value, utf8};
use crate::limits;
use crate::resp::number::parse_i64;

/// Pairs of seconds and changes: a snapshot is due when, for any pair, the last one is older than the seconds and at least so many keys have changed since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveRules(Vec<(u64, u64)>);

impl SaveRules {
    /// Redis's rules: an hour and 1 change, 5 minutes and 100, 1 minute and 10,000.
    pub fn of_redis() -> Self {
        Self(vec![(3600, 1), (300, 100), (60, 10_000)])
    }

    /// True when no snapshot is ever due.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True when a snapshot is due, `elapsed_seconds` after the last one and with so many changes since. Without a change none is.
    pub fn due(&self, elapsed_seconds: u64, changes: u64) -> bool {
        changes > 0 && self.0.iter().any(|(seconds, least)| elapsed_seconds > *seconds && changes >= *least)
    }
}

impl Value for SaveRules {
    /// Numbers separated by one blank, as Redis wants them in CONFIG SET; an empty text is no rule.
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        if text.is_empty() {
            self.0.clear();
            return Ok(());
        }
        let words: Vec<&str> = utf8(text)?.split(' ').collect();
        if words.len() > 2 * limits::SAVE_RULES_MAX {
            return Err(Refusal::TooManyWords(2 * limits::SAVE_RULES_MAX));
        }
        let number = |word: &str| parse_i64(word.as_bytes()).and_then(|number| u64::try_from(number).ok());
        let rule = |pair: &[&str]| match pair {
            [seconds, changes] => Some((number(seconds).filter(|seconds| *seconds > 0)?, number(changes)?)),
            _ => None,
        };
        self.0 = words.chunks(2).map(rule).collect::<Option<_>>().ok_or(Refusal::SaveRules)?;
        Ok(())
    }

    fn text(&self, _: Kind) -> String {
        let rules: Vec<String> = self.0.iter().map(|(seconds, changes)| format!("{seconds} {changes}")).collect();
        rules.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Result<SaveRules, Refusal> {
        let mut rules = SaveRules::of_redis();
        rules.assign(text.as_bytes(), Kind::SaveRules).map(|()| rules)
    }

    #[test]
    fn texts_are_read_and_shown_as_redis_does() {
        let check = |text: &str, expected: Result<&str, Refusal>| {
            let shown = rules(text).map(|rules| rules.text(Kind::SaveRules));
            assert_eq!(shown, expected.map(str::to_owned), "{text}");
        };
        check("", Ok(""));
        check("900 1", Ok("900 1"));
        check("900 1 300 10", Ok("900 1 300 10"));
        check("1 0", Ok("1 0"));
        for wrong in ["900", "900 1 300", "900  1", " 1 1 ", " ", "a 1", "0 1", "1 -1", "99999999999999999999 1"] {
            check(wrong, Err(Refusal::SaveRules));
        }
        check(&"1 1 ".repeat(limits::SAVE_RULES_MAX + 1), Err(Refusal::TooManyWords(2 * limits::SAVE_RULES_MAX)));
        assert_eq!(SaveRules::of_redis().text(Kind::SaveRules), "3600 1 300 100 60 10000");
    }

    #[test]
    fn a_snapshot_is_due_when_any_rule_says_so() {
        let rules = SaveRules::of_redis();
        for (elapsed_seconds, changes, due) in [
            (61, 10_000, true),
            (60, 10_000, false),
            (61, 9_999, false),
            (301, 100, true),
            (3600, 99, false),
            (3601, 1, true),
            (1_000_000, 0, false),
        ] {
            assert_eq!(rules.due(elapsed_seconds, changes), due, "{elapsed_seconds} {changes}");
        }
        assert!(!SaveRules::default().due(u64::MAX, u64::MAX) && SaveRules::default().is_empty());
    }
}
