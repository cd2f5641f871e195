//! Rewrites the replies of a transcript from what a target said.
//!
//! Owns: which lines change. Refuses to know: files; text goes in and comes out.
//! Start at [`update`].

use crate::expected::Expected;
use crate::resp::Protocol;
use crate::run::{Report, Target, run};
use crate::transcript::{Action, Expect, Transcript};

/// The text of a transcript with the replies that `target` gives. Replies that are right as they stand keep their lines, and so
/// do those that are Kora's alone. A run that breaks off changes nothing.
pub fn update(target: &mut dyn Target, name: &str, text: &str) -> Result<String, String> {
    let transcript = Transcript::parse_draft(name, text).map_err(|error| error.to_string())?;
    let reports: Vec<Report> = Protocol::ALL
        .into_iter()
        .filter(|protocol| transcript.protocol.is_none_or(|only| only == *protocol))
        .map(|protocol| run(target, &transcript, protocol))
        .collect();
    if let Some(broken) = reports.iter().find_map(|report| report.broken.clone()) {
        return Err(broken);
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (index, step) in transcript.steps.iter().enumerate().rev() {
        let Action::Expect(expect) = &step.action else { continue };
        let seen: Vec<_> = reports.iter().flat_map(|report| &report.seen).filter(|seen| seen.step == index).collect();
        if expect.differs.is_some() && !expect.is_draft() || seen.iter().all(|seen| seen.right) {
            continue;
        }
        let of = |protocol| seen.iter().find(|seen| seen.protocol == protocol).and_then(|seen| seen.got.as_ref());
        let written = write(expect, of(Protocol::Resp2), of(Protocol::Resp3));
        lines.splice(expect.lines.clone(), written);
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn write(expect: &Expect, resp2: Option<&Expected>, resp3: Option<&Expected>) -> Vec<String> {
    let mark = |mark: &str, expected: &Expected| {
        let mut lines = expected.sorted().lines();
        lines[0] = format!("{mark} {}", lines[0]);
        lines
    };
    match (resp2, resp3) {
        (None, None) => Vec::new(),
        (Some(only), None) | (None, Some(only)) => mark("<", only),
        (Some(resp2), Some(resp3)) => match Expected::merged(resp2, resp3, expect.leniency) {
            Some(merged) => mark("<", &merged),
            None => [mark("<2", resp2), mark("<3", resp3)].concat(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Received, Target};

    /// Has one reply for each command, in the way of each protocol.
    #[derive(Default)]
    struct Fixed {
        protocol: Option<Protocol>,
        reply: &'static str,
    }

    impl Target for Fixed {
        fn name(&self) -> String {
            "fixed".into()
        }
        fn is_oracle(&self) -> bool {
            true
        }
        fn reset(&mut self) -> Result<(), String> {
            Ok(())
        }
        fn connect(&mut self) -> Result<usize, String> {
            Ok(0)
        }
        fn set_protocol(&mut self, _: usize, protocol: Protocol) -> Result<bool, String> {
            self.protocol = Some(protocol);
            Ok(true)
        }
        fn send(&mut self, _: usize, argv: &[Vec<u8>]) -> Result<(), String> {
            self.reply = match (&argv[0][..], self.protocol) {
                (b"MAP", Some(Protocol::Resp3)) => "%1\r\n$1\r\na\r\n,1.5\r\n",
                (b"MAP", _) => "*2\r\n$1\r\na\r\n$3\r\n1.5\r\n",
                (b"PAIRS", Some(Protocol::Resp3)) => "*1\r\n*2\r\n$1\r\na\r\n,1\r\n",
                (b"PAIRS", _) => "*2\r\n$1\r\na\r\n$1\r\n1\r\n",
                (b"SET", _) => "~2\r\n$1\r\nb\r\n$1\r\na\r\n",
                _ => "+OK\r\n",
            };
            Ok(())
        }
        fn send_raw(&mut self, _: usize, _: &[u8]) -> Result<(), String> {
            Ok(())
        }
        fn receive(&mut self, _: usize) -> Result<Received, String> {
            let decoded = crate::resp::decode(self.reply.as_bytes()).map_err(|error| error.to_string())?;
            decoded.map(|(value, _)| Received::Value(value)).ok_or_else(|| "half a reply".into())
        }
        fn advance(&mut self, _: u64) -> Result<(), String> {
            Ok(())
        }
    }

    fn check(old: &str, new: &str) {
        let text = update(&mut Fixed::default(), "t", old).expect(old);
        assert_eq!(text, new);
        assert_eq!(
            update(&mut Fixed::default(), "t", new).expect(new),
            new,
            "an update of what is right changes nothing"
        );
    }

    #[test]
    fn missing_and_wrong_replies_are_written() {
        check("> OK\n# c\n> OK\n< +NO\n", "> OK\n< +OK\n# c\n> OK\n< +OK\n");
        check("> MAP\n< *1\n  $old\n> OK\n", "> MAP\n< %1\n  $a\n  ,1.5\n> OK\n< +OK\n");
    }

    #[test]
    fn a_reply_that_differs_by_protocol_gets_two_forms() {
        check("> PAIRS\n", "> PAIRS\n<2 *2\n  $a\n  $1\n<3 *1\n  *2\n    $a\n    ,1\n");
        check("@ resp 3\n> PAIRS\n", "@ resp 3\n> PAIRS\n< *1\n  *2\n    $a\n    ,1\n");
    }

    #[test]
    fn sets_are_written_in_byte_order() {
        check("@ resp 3\n> SET\n", "@ resp 3\n> SET\n< ~2\n  $a\n  $b\n");
    }

    #[test]
    fn what_is_koras_own_stays() {
        for text in ["@ differs why\n> OK\n< +KORA\n", "@ kora-only\n> OK\n< +KORA\n", "@ any\n> OK\n< +X\n"] {
            check(text, text);
        }
        check("@ match\n> OK\n< +O*\n", "@ match\n> OK\n< +O*\n");
    }
}
