//! `notify-keyspace-events`: which events are published, and on which channels.
//!
//! Owns: Redis's letters and the order in which CONFIG GET shows them. Refuses to know: who publishes. Start at [`NotifiedEvents::wants`].

use super::value::{Kind, Refusal, Value};
use crate::keyspace::EventClass;

/// Classes of events and the two kinds of channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotifiedEvents(u16);

const KEYSPACE: u16 = 1 << 14;
const KEYEVENT: u16 = 1 << 15;

/// The letters of classes, in the order in which they are shown.
const LETTERS: &[(u8, EventClass)] = &[
    (b'g', EventClass::Generic),
    (b'$', EventClass::String),
    (b'l', EventClass::List),
    (b's', EventClass::Set),
    (b'h', EventClass::Hash),
    (b'z', EventClass::SortedSet),
    (b'x', EventClass::Expired),
    (b'e', EventClass::Evicted),
    (b't', EventClass::Stream),
    (b'd', EventClass::Module),
    (b'n', EventClass::New),
];

const fn bit(class: EventClass) -> u16 {
    1 << class as u16
}

/// What `A` stands for: every class but missed and new keys.
const ALL: u16 = {
    let mut bits = 0;
    let mut index = 0;
    while index < LETTERS.len() - 1 {
        bits |= bit(LETTERS[index].1);
        index += 1;
    }
    bits
};

impl NotifiedEvents {
    /// True when events of this class are published somewhere.
    #[inline]
    pub fn wants(self, class: EventClass) -> bool {
        self.any() && self.0 & bit(class) != 0
    }

    /// True when anything may be published: without a kind of channel nothing is.
    #[inline]
    pub fn any(self) -> bool {
        self.0 & (KEYSPACE | KEYEVENT) != 0
    }

    /// Publish on `__keyspace@DB__:KEY`.
    pub fn on_keyspace(self) -> bool {
        self.0 & KEYSPACE != 0
    }

    /// Publish on `__keyevent@DB__:EVENT`.
    pub fn on_keyevent(self) -> bool {
        self.0 & KEYEVENT != 0
    }
}

impl Value for NotifiedEvents {
    fn assign(&mut self, text: &[u8], _: Kind) -> Result<(), Refusal> {
        let mut bits = 0;
        for letter in text {
            bits |= match letter {
                b'A' => ALL,
                b'K' => KEYSPACE,
                b'E' => KEYEVENT,
                b'm' => bit(EventClass::Missed),
                letter => {
                    let class = LETTERS.iter().find(|(known, _)| known == letter);
                    bit(class.ok_or(Refusal::EventClass)?.1)
                }
            };
        }
        self.0 = bits;
        Ok(())
    }

    /// As Redis shows it; with all of `A`, it does not show `n`.
    fn text(&self, _: Kind) -> String {
        let mut text = String::new();
        if self.0 & ALL == ALL {
            text.push('A');
        } else {
            text.extend(
                LETTERS.iter().filter(|(_, class)| self.0 & bit(*class) != 0).map(|(letter, _)| *letter as char),
            );
        }
        for (letter, bits) in [('K', KEYSPACE), ('E', KEYEVENT), ('m', bit(EventClass::Missed))] {
            if self.0 & bits != 0 {
                text.push(letter);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_shown_in_the_order_of_redis() {
        let check = |text: &str, expected: Result<&str, Refusal>| {
            let mut events = NotifiedEvents::default();
            let outcome = events.assign(text.as_bytes(), Kind::EventClasses).map(|()| events.text(Kind::EventClasses));
            assert_eq!(outcome, expected.map(str::to_owned), "{text}");
        };
        check("", Ok(""));
        check("EKxg", Ok("gxKE"));
        check("AKEmn", Ok("AKEm"));
        check("g$lshzxetdmnK", Ok("AKm"));
        check("ng$lK", Ok("g$lnK"));
        check("Kq", Err(Refusal::EventClass));
    }

    #[test]
    fn nothing_is_wanted_without_a_kind_of_channel() {
        let of = |text: &str| {
            let mut events = NotifiedEvents::default();
            events.assign(text.as_bytes(), Kind::EventClasses).map(|()| events)
        };
        assert_eq!(of("A").map(|events| (events.any(), events.wants(EventClass::Generic))), Ok((false, false)));
        assert_eq!(
            of("KA").map(|events| (events.wants(EventClass::Stream), events.wants(EventClass::New))),
            Ok((true, false))
        );
        assert_eq!(of("Em").map(|events| (events.wants(EventClass::Missed), events.on_keyspace())), Ok((true, false)));
    }
}
