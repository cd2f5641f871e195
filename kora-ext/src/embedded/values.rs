//! Output cut into values.
//!
//! Owns: what has come of a value that is not whole yet. Refuses to know: what the values mean. Start at [`Values::cut`].

use kora_runtime::resp::value::skip_value;

/// The beginning of a value whose end has not come yet: a session hands a big message over in pieces.
#[derive(Debug, Default)]
pub(super) struct Values {
    begun: Vec<u8>,
}

impl Values {
    /// Calls `take` for every value that is whole now.
    pub(super) fn cut(&mut self, output: &[u8], mut take: impl FnMut(&[u8])) {
        let mut each = |bytes: &[u8]| {
            let mut at = 0;
            while let Some(len) = skip_value(&bytes[at..]) {
                take(&bytes[at..at + len]);
                at += len;
            }
            at
        };
        if self.begun.is_empty() {
            let done = each(output);
            self.begun.extend_from_slice(&output[done..]);
            return;
        }
        self.begun.extend_from_slice(output);
        let done = each(&self.begun);
        if done == self.begun.len() {
            self.begun = Vec::new();
        } else {
            self.begun.drain(..done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_whole_wherever_the_output_is_cut() {
        let output = b">2\r\n$1\r\na\r\n:1\r\n+OK\r\n$5\r\nh\r\nlo\r\n_\r\n";
        for len in 1..=output.len() {
            let mut values = Values::default();
            let mut got = Vec::new();
            for piece in output.chunks(len) {
                values.cut(piece, |value| got.push(value.escape_ascii().to_string()));
            }
            assert_eq!(got, [r">2\r\n$1\r\na\r\n:1\r\n", r"+OK\r\n", r"$5\r\nh\r\nlo\r\n", r"_\r\n"], "{len}");
            assert!(values.begun.is_empty());
        }
    }
}
