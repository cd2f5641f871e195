//! Rewrites the replies of a transcript from what a target said.
//!
//! Owns: which lines change. Refuses to know: files; text goes in and comes out.
//! Start at [`update`].

use crate::expected::Expected;
use crate::resp::Protocol;
use crate::run::{Report, Target, run};
use crate::transcript::{Action, Expect, Transcript};

/// The text of a transcript with the replies that `target` gives. Replies that are right as they stand keep their lines, and so
/// do those that are Kora's alone.
pub fn update(target: &mut dyn Target, name: &str, text: &str) -> Result<String, String> {
    let transcript = Transcript::parse_draft(name, text).map_err(|error| error.to_string())?;
    let reports: Vec<Report> = Protocol::ALL
        .into_iter()
        .filter(|protocol| transcript.protocol.is_none_or(|only| only == *protocol))
        .map(|protocol| run(target, &transcript, protocol))
        .collect();
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
