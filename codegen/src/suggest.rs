//! "Did you mean": the nearest known word.
//!
//! Owns: the distance between two words and how much of it is forgiven. Refuses to know: whose words they are.

/// The known word that `word` was probably meant to be.
pub fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let forgiven = match word.len() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, candidate)| distance <= forgiven && distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// How the mistake is explained: the nearest word, or else all of them.
pub fn help(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(candidate) => format!("did you mean \"{candidate}\"?"),
        None => format!("known: {}", known.join(", ")),
    }
}

/// Edits between two words: insert, delete, replace, swap two neighbours (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_ascii_lowercase().chars().collect();
    let right: Vec<char> = right.to_ascii_lowercase().chars().collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let replace = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let known = ["name", "type", "token", "optional", "one-of"];
        assert_eq!(nearest("tpye", known), Some("type"));
        assert_eq!(nearest("optoinal", known), Some("optional"));
        assert_eq!(nearest("oneof", known), Some("one-of"));
        assert_eq!(nearest("zzzzz", known), None);
        assert_eq!(nearest("", known), None);
    }
}
