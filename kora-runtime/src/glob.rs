//! Patterns of names: KEYS, SCAN, PSUBSCRIBE, CONFIG GET, ACL.
//!
//! Owns: what `* ? [abc] [^a-z] \x` match. Refuses to know: what is matched. Start at [`matches()`].
//!
//! This is Redis's `stringmatchlen`, oddities included: an empty string is matched by the empty pattern alone, not by `*`
//! (its callers take `*` for "all" before they match); `[` without `]` ends with the pattern; in `[a-]` the `]` is the end of a
//! range; ranges compare signed bytes; an escaped byte in a class is matched in its own case only.

/// True when `pattern` matches all of `text`; letters of ASCII in any case when `any_case`.
///
/// Only the last `*` is ever tried again, so the time is at most the product of both lengths.
pub fn matches(pattern: &[u8], text: &[u8], any_case: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern_at, mut text_at) = (0, 0);
    // Where to go on after a mismatch: behind the last `*`, and the text that it has not swallowed.
    let mut retry: Option<(usize, usize)> = None;
    while text_at < text.len() {
        if pattern.get(pattern_at) == Some(&b'*') {
            while pattern.get(pattern_at) == Some(&b'*') {
                pattern_at += 1;
            }
            if pattern_at == pattern.len() {
                return true;
            }
            retry = Some((pattern_at, text_at));
        }
        match one_byte(&pattern[pattern_at..], text[text_at], any_case) {
            Some(taken) => {
                pattern_at += taken;
                text_at += 1;
            }
            None => {
                let Some((behind_star, swallowed)) = &mut retry else {
                    return false;
                };
                *swallowed += 1;
                (pattern_at, text_at) = (*behind_star, *swallowed);
            }
        }
    }
    pattern[pattern_at..].iter().all(|byte| *byte == b'*')
}

/// The length of the first element of `pattern`, which is no `*`, when it matches `byte`.
#[inline]
fn one_byte(pattern: &[u8], byte: u8, any_case: bool) -> Option<usize> {
    let (expected, taken) = match pattern {
        [] => return None,
        [b'?', ..] => return Some(1),
        [b'[', class @ ..] => {
            let (matched, taken) = in_class(class, byte, any_case);
            return matched.then_some(1 + taken);
        }
        [b'\\', escaped, ..] => (*escaped, 2),
        [literal, ..] => (*literal, 1),
    };
    let matched = expected == byte || (any_case && expected.eq_ignore_ascii_case(&byte));
    matched.then_some(taken)
}

/// Whether a class (what follows its `[`) holds `byte`, and its length with the `]`.
fn in_class(class: &[u8], byte: u8, any_case: bool) -> (bool, usize) {
    let fold = |byte: u8| if any_case { byte.to_ascii_lowercase() } else { byte };
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &class[at..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [first, b'-', last, ..] => {
                let (first, last) = if (*first as i8) <= *last as i8 { (*first, *last) } else { (*last, *first) };
                let range = fold(first) as i8..=fold(last) as i8;
                found |= range.contains(&(fold(byte) as i8));
                at += 3;
            }
            [member, ..] => {
                found |= fold(*member) == fold(byte);
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &[u8], matched: &[&[u8]], unmatched: &[&[u8]]) {
        for (texts, expected) in [(matched, true), (unmatched, false)] {
            for text in texts {
                assert_eq!(
                    matches(pattern, text, false),
                    expected,
                    "{} {}",
                    pattern.escape_ascii(),
                    text.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn elements() {
        check(b"", &[b""], &[b"a"]);
        check(b"abc", &[b"abc"], &[b"", b"ab", b"abcd", b"ABC"]);
        check(b"a?c", &[b"abc", b"a?c", b"a\0c"], &[b"ac", b"abbc"]);
        check(b"[abc]x", &[b"ax", b"cx"], &[b"dx", b"x", b"[abc]x"]);
        check(b"[^abc]", &[b"d", b"^"], &[b"a", b""]);
        check(b"[a-c]", &[b"a", b"b", b"c"], &[b"d", b"-"]);
        check(b"[c-a]", &[b"b"], &[b"d"]);
        check(b"\\*\\?\\[\\\\", &[b"*?[\\"], &[b"a?[\\"]);
        check(b"[\\]a]", &[b"]", b"a"], &[b"\\"]);
        check(b"h[a-]llo", &[], &[b"hallo", b"h-llo"]);
    }

    #[test]
    fn stars() {
        check(b"*", &[b"a", b"abc"], &[b""]);
        check(b"a*", &[b"a", b"abc"], &[b"b", b""]);
        check(b"*c", &[b"c", b"abc", b"cc"], &[b"cb"]);
        check(b"a*b*c", &[b"abc", b"axxbyyc", b"abcbc"], &[b"acb", b"ab"]);
        check(b"***a***", &[b"a", b"bab"], &[b"b"]);
        check(b"*a?", &[b"ab", b"aaa"], &[b"a", b"ba"]);
    }

    #[test]
    fn oddities() {
        check(b"[abc", &[b"a", b"c"], &[b"[", b"d"]);
        check(b"[", &[], &[b"[", b"a"]);
        check(b"[^", &[b"a", b"^"], &[]);
        check(b"[]", &[], &[b"]", b"a"]);
        check(b"[^]a", &[b"xa"], &[b"a"]);
        check(b"a\\", &[b"a\\"], &[b"a"]);
        check(b"[a\\", &[b"\\", b"a"], &[]);
        check(b"[\x80-\x7f]", &[b"\x00", b"\xff", b"a"], &[]);
        check(b"[a-\x80]", &[b"\xff", b"A", b"a"], &[b"b"]);
    }

    #[test]
    fn any_case() {
        assert!(matches(b"HeLLo*", b"hello world", true));
        assert!(matches(b"[A-C]", b"b", true) && matches(b"[abc]", b"B", true));
        assert!(!matches(b"[\\A]", b"a", true), "an escaped byte keeps its case, as in Redis");
        assert!(matches(b"\\A", b"a", true));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = [b"a*".repeat(2_000), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &[b'a'; 50_000], false));
    }
}
