//! HELP of containers: the syntax and summary of each subcommand, from the table.
//!
//! Owns: how an argument is shown in one line of text. Refuses to know: what any command means. Start at [`help`].

use crate::reply::{ArrayReply, Simple};
use crate::table::{ArgInfo, CommandInfo, INFO};

/// Answers HELP of a container: one line of syntax and one of summary for each of its subcommands.
pub fn help(container: &str, reply: ArrayReply<'_, Simple>) {
    let of_container = |info: &&CommandInfo| info.container.is_some_and(|name| name.eq_ignore_ascii_case(container));
    let rows: Vec<&CommandInfo> = INFO.iter().filter(of_container).collect();
    let mut lines = reply.open(1 + 2 * rows.len());
    lines.push(format!("{container} <subcommand> [argument ...]. The subcommands are:"));
    for info in rows {
        lines.push(syntax(info));
        lines.push(format!("    {}", info.summary));
    }
}

/// A row as it is typed, without the container's name: `KILL <ip:port | …>`.
fn syntax(info: &CommandInfo) -> String {
    let name = info.upper.split_once('|').map_or(info.upper, |(_, subcommand)| subcommand);
    std::iter::once(name.to_owned()).chain(info.args.iter().map(argument)).collect::<Vec<_>>().join(" ")
}

/// One argument in its place: what may be left out stands in brackets, what may be repeated is followed by itself.
fn argument(arg: &ArgInfo) -> String {
    let value = match arg.kind {
        "pure-token" => String::new(),
        "oneof" => {
            let choices = arg.children.iter().map(argument).collect::<Vec<_>>().join(" | ");
            let bracketed = arg.optional && !arg.multiple && arg.token.is_none();
            if bracketed { choices } else { format!("<{choices}>") }
        }
        "block" => arg.children.iter().map(argument).collect::<Vec<_>>().join(" "),
        _ => arg.display.to_owned(),
    };
    let once = match (arg.token, value.is_empty()) {
        (Some(token), true) => token.to_owned(),
        (Some(token), false) => format!("{token} {value}"),
        (None, _) => value.clone(),
    };
    let shown = match (arg.multiple, arg.multiple_token) {
        (false, _) => once,
        (true, true) => format!("{once} [{once} ...]"),
        (true, false) => format!("{once} [{value} ...]"),
    };
    if arg.optional { format!("[{shown}]") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::syntax;
    use crate::table::CommandId;

    #[test]
    fn the_syntax_of_a_row_is_one_line() {
        let check = |id: CommandId, expected: &str| assert_eq!(syntax(id.info()), expected);
        check(CommandId::ConfigGet, "GET parameter [parameter ...]");
        check(CommandId::ConfigSet, "SET parameter value [parameter value ...]");
        check(CommandId::ConfigResetstat, "RESETSTAT");
        check(CommandId::MemoryUsage, "USAGE key [SAMPLES count]");
        check(CommandId::CommandList, "LIST [FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]");
        check(CommandId::ClientReply, "REPLY <ON | OFF | SKIP>");
    }
}
