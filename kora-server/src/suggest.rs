//! "Did you mean": the nearest of a list of names.
//! Start at [`nearest`].

/// The candidate that needs the fewest changed, added or left out letters to become `word`, when those are few.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are no typing mistakes, and not worth the time.
    const WORD_BYTES_MAX: usize = 64;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('_', "-");
    let distances = candidates.into_iter().map(|candidate| (distance(&word, candidate), candidate));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + word.len() / 4).then_some(candidate)
}

/// The Levenshtein distance, over bytes, row by row.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn small_mistakes_are_understood_and_large_ones_are_not() {
        let names = ["port", "bind", "maxclients", "tcp-keepalive"];
        for (word, expected) in [
            ("prot", Some("port")),
            ("Ports", Some("port")),
            ("maxclient", Some("maxclients")),
            ("max-clients", Some("maxclients")),
            ("tcp_keepalive", Some("tcp-keepalive")),
            ("tcpkeepalive", Some("tcp-keepalive")),
            ("cluster-enabled", None),
            ("", None),
            ("xxxx", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
        assert_eq!(nearest("port", []), None);
        assert_eq!(nearest(&"p".repeat(65), names), None);
    }
}
