//! Values in messages to people.
//!
//! Owns: how long and how readable they are. Refuses to know: what they are.

use std::fmt::Debug;

use crate::words;

/// Longest byte string that is shown whole, and longest text.
const BYTES_MAX: usize = 24;
const CHARACTERS_MAX: usize = 1_500;

/// For people: byte strings as text, cut short.
pub fn brief(value: &dyn Debug) -> String {
    let text = format!("{value:?}");
    // Bytes print as lists of numbers: read them back.
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(open) = rest.find('[') {
        let (before, list) = rest.split_at(open);
        out.push_str(before);
        let Some(close) = list.find(']') else { break };
        let numbers: Option<Vec<u8>> = list[1..close].split(", ").map(|number| number.parse().ok()).collect();
        match numbers {
            Some(bytes) => {
                let cut = &bytes[..bytes.len().min(BYTES_MAX)];
                out.push_str(&words::quote(cut));
                if bytes.len() > cut.len() {
                    out.push_str(&format!("…{} bytes", bytes.len()));
                }
                rest = &list[close + 1..];
            }
            None => {
                out.push('[');
                rest = &list[1..];
            }
        }
    }
    out.push_str(rest);
    out.chars().take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn bytes_are_shown_as_text() {
        let value = vec![(b"a\r".to_vec(), Some(vec![b'x'; 30]))];
        assert_eq!(brief(&value), r#"[("a\r", Some("xxxxxxxxxxxxxxxxxxxxxxxx"…30 bytes))]"#);
        assert_eq!(brief(&vec![300]), "[300]");
    }
}
