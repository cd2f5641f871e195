//! Flags.
//!
//! Owns: the command line and its help. Every parameter has a flag of its name, made from its row in kora-runtime's
//! list. Refuses to know: what a value means, and which source wins (`settings.rs`). Start at [`parse`].

use std::ffi::OsString;
use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kora_runtime::config::{Change, Config, Kind, PARAMETERS, Parameter};

use crate::exit::Exit;
use crate::logging::LogFormat;
use crate::settings::{CONFIG, Given, LOG_FORMAT, Origin};
use crate::tools::Tool;
use crate::tools::exchange::Import;
use crate::tools::log::Selection;

/// Parameters that `--help` shows, under their headings and in this order. The others have flags too, which
/// `--parameters` lists.
const SHOWN: &[(&str, &[&str])] = &[
    ("Listening", &["port", "bind", "unixsocket", "unixsocketperm", "tcp-backlog"]),
    ("Connections", &["requirepass", "protected-mode", "maxclients", "timeout", "tcp-keepalive"]),
    ("Where keys live", &["locality", "pinned-databases"]),
    ("What is kept", &["dir", "appendonly", "appendfsync", "save", "auto-aof-rewrite-percentage", "snapshot-retain"]),
    // The last heading is also that of --log-format.
    ("Process", &["shards", "pipeline-order", "loglevel"]),
];

const SET: &str = "set";
const LIST_PARAMETERS: &str = "parameters";

/// What the command line says.
#[derive(Debug, Default)]
pub struct Flags {
    /// The configuration file to read.
    pub config: Option<PathBuf>,
    /// Parameters and settings with their values.
    pub given: Vec<Given>,
    /// Print the parameters instead of serving.
    pub list_parameters: bool,
    /// Look at a data directory instead of serving.
    pub tool: Option<Tool>,
}

/// Reads a command line, the program's name first. The error may also be the answer to `--help` or `--version`.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Flags, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let mut flags = Flags {
        config: matches.get_one::<PathBuf>(CONFIG).cloned(),
        given: Vec::new(),
        list_parameters: matches.get_flag(LIST_PARAMETERS),
        tool: matches.subcommand().map(|(name, matches)| tool(name, matches)),
    };
    for name in PARAMETERS.iter().filter(|row| row.alias_of.is_none()).map(|row| row.name).chain([LOG_FORMAT]) {
        if let Some(value) = value_of(&matches, name) {
            flags.given.push(Given::new(name, value, Origin::Flag(format!("--{name}"))));
        }
    }
    for pair in matches.get_many::<String>(SET).into_iter().flatten() {
        let Some((name, value)) = pair.split_once('=') else {
            let text = format!("`--{SET} {pair}`: a name, `=` and a value were expected");
            return Err(command.error(clap::error::ErrorKind::ValueValidation, text));
        };
        flags.given.push(Given::new(name, value, Origin::Flag(format!("--{SET} {name}"))));
    }
    Ok(flags)
}

/// The value of a flag; words of a list may come in one or several.
fn value_of(matches: &ArgMatches, name: &str) -> Option<Vec<u8>> {
    let words = matches.get_raw(name)?.map(|word| word.as_encoded_bytes());
    Some(words.collect::<Vec<_>>().join(&b' '))
}

/// What a subcommand asks for.
fn tool(name: &str, matches: &ArgMatches) -> Tool {
    let path = |name: &str| matches.get_one::<PathBuf>(name).cloned().unwrap_or_default();
    let directory = path("directory");
    match name {
        "check" => return Tool::Check(directory),
        "export" => return Tool::Export { file: path("file"), directory },
        "import" => {
            let shards = matches.get_one::<u16>("shards").map(|shards| usize::from(*shards));
            return Tool::Import(Import { file: path("file"), directory, shards, force: matches.get_flag("force") });
        }
        _ => {}
    }
    let number = |name: &str| matches.get_one::<u64>(name).copied();
    let key = matches.get_one::<OsString>("key").map(|key| key.as_encoded_bytes().to_vec());
    let records = number("from").unwrap_or(0)..=number("to").unwrap_or(u64::MAX);
    Tool::Log(directory, Selection { records, key, shard: matches.get_one::<u16>("shard").copied() })
}

/// The definitions of the subcommands.
fn tools() -> [Command; 4] {
    let path = |name: &'static str, shown: &'static str| {
        Arg::new(name).value_name(shown).required(true).value_parser(value_parser!(PathBuf))
    };
    let command = |name: &'static str, about: &'static str| {
        Command::new(name)
            .about(about)
            .arg(Arg::new("help").long("help").short('h').action(ArgAction::Help).help("Print this, and exit"))
    };
    let tool = |name, about| command(name, about).arg(path("directory", "DIR"));
    let exchange = |name, about, help: &'static str| {
        command(name, about).arg(path("file", "FILE")).arg(path("directory", "DIR").long("dir").help(help))
    };
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64)).help(help)
    };
    [
        tool("check", "Say what is in a data directory, and whether a server can start with it"),
        tool("log", "Print the log of a data directory, a line for each command that a start would run again")
            .arg(number("from", "Records from this number on"))
            .arg(number("to", "Records up to this number"))
            .arg(
                Arg::new("key")
                    .long("key")
                    .value_name("KEY")
                    .value_parser(value_parser!(OsString))
                    .help("Only what is about this key, or about all keys"),
            )
            .arg(
                Arg::new("shard")
                    .long("shard")
                    .value_name("N")
                    .value_parser(value_parser!(u16))
                    .help("Only this shard's"),
            ),
        exchange(
            "import",
            "Fill a data directory with what is in a file of RDB, such as the dump.rdb of a Redis server",
            "The directory, which is made if it is not there",
        )
        .arg(
            Arg::new("shards")
                .long("shards")
                .value_name("N")
                .value_parser(value_parser!(u16).range(1..=kora_runtime::limits::SHARDS_MAX as i64))
                .help("For this many shards [default: one for each core]; a server may start with another number"),
        )
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Replace what is in the directory; what it says about where keys live stays"),
        ),
        exchange(
            "export",
            "Write everything in a data directory to a new file of RDB, which Redis and Kora can read",
            "The directory, which no server may be using; nothing in it changes",
        ),
    ]
}

/// The definition of the command line.
fn command() -> Command {
    let mut command = Command::new("kora-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Kora: a Redis-compatible store in which every thread owns a part of the keys.")
        .override_usage(
            "kora-server [--config FILE] [--PARAMETER VALUE]... [--set PARAMETER=VALUE]...\n       \
             kora-server check DIR\n       \
             kora-server log DIR [--from N] [--to N] [--key KEY] [--shard N]\n       \
             kora-server import FILE --dir DIR [--shards N] [--force]\n       \
             kora-server export FILE --dir DIR",
        )
        .subcommands(tools())
        .subcommand_help_heading("Instead of serving")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .after_help(after_help())
        .args_override_self(false)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .next_help_heading("General")
        .arg(
            Arg::new(CONFIG)
                .long(CONFIG)
                .short('c')
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Read parameters from this TOML file"),
        )
        .arg(
            Arg::new(SET)
                .long(SET)
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help("Set any parameter, by its present or an older name"),
        )
        .arg(
            Arg::new(LIST_PARAMETERS)
                .long(LIST_PARAMETERS)
                .action(ArgAction::SetTrue)
                .help("List every parameter with its default, and exit"),
        )
        .arg(Arg::new("help").long("help").short('h').action(ArgAction::Help).help("Print this, and exit"))
        .arg(
            Arg::new("version")
                .long("version")
                .short('V')
                .action(ArgAction::Version)
                .help("Print the version, and exit"),
        );
    for (heading, names) in SHOWN {
        command = command.next_help_heading(*heading);
        for name in *names {
            command = command.args(Parameter::named(name.as_bytes()).map(flag));
        }
    }
    command = command.arg(
        Arg::new(LOG_FORMAT)
            .long(LOG_FORMAT)
            .value_name("WORD")
            .value_parser(PossibleValuesParser::new(LogFormat::NAMES))
            .ignore_case(true)
            .help("How a line of the log looks; it goes to standard error [default: text]"),
    );
    let is_shown = |row: &&Parameter| SHOWN.iter().any(|(_, names)| names.contains(&row.name));
    let hidden = PARAMETERS.iter().filter(|row| row.alias_of.is_none() && !is_shown(row));
    command.args(hidden.map(|row| flag(row).hide(true)))
}

/// The flag of a parameter.
fn flag(parameter: &'static Parameter) -> Arg {
    let older = PARAMETERS.iter().filter(|other| other.alias_of == Some(parameter.name)).map(|other| other.name);
    let other_name = (parameter.name == "shards").then_some("workers");
    let flag = Arg::new(parameter.name)
        .long(parameter.name)
        .aliases(older.chain(other_name))
        .help(describe(parameter))
        .value_parser(value_parser!(OsString));
    match parameter.kind {
        Kind::Integer(..) => flag.value_name("N").allow_negative_numbers(true),
        Kind::Bytes(..) => flag.value_name("BYTES"),
        Kind::Octal(_) => flag.value_name("MODE"),
        Kind::YesNo => flag
            .value_name("yes|no")
            .value_parser(PossibleValuesParser::new(["yes", "no"]))
            .hide_possible_values(true)
            .ignore_case(true),
        Kind::OneOf(words) => flag.value_name("WORD").value_parser(PossibleValuesParser::new(words)).ignore_case(true),
        Kind::Secret => flag.value_name("PASSWORD"),
        // An optional address needs `--bind=-::1` or `--bind '* -::*'`, so that a flag after the list is seen as one.
        Kind::Words(_) => flag.value_name("ADDRESS").num_args(1..),
        Kind::Locality => flag.value_name("PATTERN").num_args(1..),
        Kind::Databases => flag.value_name("N").num_args(1..),
        Kind::Text if matches!(parameter.name, "dir" | "unixsocket") => flag.value_name("PATH"),
        // As in Redis, rules given one by one add up: `--save 900 1 --save 300 10`.
        Kind::SaveRules => flag.value_name("SECONDS CHANGES").num_args(1..).action(ArgAction::Append),
        Kind::Text | Kind::OutputLimits | Kind::EventClasses => flag.value_name("TEXT"),
    }
}

/// A parameter's help with its default.
fn describe(parameter: &Parameter) -> String {
    let help = parameter.help.trim_end_matches('.');
    if matches!(parameter.name, "appendonly" | "save") {
        // The default depends on other settings; the help says how.
        return help.to_owned();
    }
    match parameter.text(&Config::default()) {
        default if default.is_empty() => help.to_owned(),
        default => format!("{help} [default: {default}]"),
    }
}

/// What stands below the flags: the other sources, and the exit codes.
fn after_help() -> String {
    let mut text = "The first of these sources wins: a flag; a variable (KORA_PORT for --port, KORA_LOG_FORMAT for \
        --log-format); the file that --config or KORA_CONFIG names (port = 6379); the default. Other users of the \
        machine can read flags: give passwords by a variable or the file.\n\n\
        Exit codes:\n"
        .to_owned();
    for (exit, meaning) in Exit::ALL {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:>2}  {meaning}", exit.code());
    }
    text
}

/// Every parameter with its default, and who may change it when.
pub fn parameter_list() -> String {
    let mut text = String::new();
    for parameter in PARAMETERS {
        let when = match (parameter.alias_of, parameter.change) {
            (Some(newer), _) => format!("older name of {newer}"),
            (None, Change::AtRunTime) => "CONFIG SET".to_owned(),
            (None, Change::AtStart) => "at start only".to_owned(),
            (None, Change::Never(why)) => format!("fixed: {why}"),
        };
        let _ = writeln!(text, "{} ({when})", parameter.name);
        if parameter.alias_of.is_none() {
            let _ = writeln!(text, "    {}", describe(parameter));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Flags, clap::Error> {
        parse(["kora-server"].iter().chain(words).map(OsString::from))
    }

    /// The flags as `name=value` in the order in which they were found.
    fn check(words: &[&str], expected: &[&str]) {
        let flags = parse_words(words).expect("a good command line");
        let given: Vec<_> = flags
            .given
            .iter()
            .map(|given| format!("{}={}", given.name, String::from_utf8_lossy(&given.value)))
            .collect();
        assert_eq!(given, expected, "{words:?}");
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
        for (_, names) in SHOWN {
            for name in *names {
                assert!(Parameter::named(name.as_bytes()).is_some(), "{name} is not a parameter");
            }
        }
    }

    #[test]
    fn every_parameter_has_a_flag() {
        for parameter in PARAMETERS {
            let name = format!("--{}", parameter.name);
            let value = match parameter.text(&Config::default()) {
                empty if empty.is_empty() => "x".to_owned(),
                default => default,
            };
            let flags = parse_words(&[&name, &value]).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(flags.given.len(), 1, "{name}");
            assert_eq!(flags.given[0].name, parameter.alias_of.unwrap_or(parameter.name));
        }
    }

    #[test]
    fn values_of_every_shape_are_read() {
        check(&[], &[]);
        check(&["--port", "7000"], &["port=7000"]);
        check(&["--port=7000", "--workers", "2"], &["port=7000", "shards=2"]);
        check(&["--bind", "127.0.0.1", "::1", "--port", "1"], &["port=1", "bind=127.0.0.1 ::1"]);
        check(&["--locality", "bull:*:", "q*/", "--port", "1"], &["port=1", "locality=bull:*: q*/"]);
        check(&["--pinned-databases", "3", "5"], &["pinned-databases=3 5"]);
        check(&["--pinned-databases", "3 5"], &["pinned-databases=3 5"]);
        check(&["--bind=-::1"], &["bind=-::1"]);
        check(&["--bind", "* -::*"], &["bind=* -::*"]);
        check(&["--list-max-listpack-size", "-2"], &["list-max-listpack-size=-2"]);
        check(&["--save", "", "--appendonly", "no"], &["appendonly=no", "save="]);
        check(&["--save", "900 1", "--port", "1", "--save", "300", "10"], &["port=1", "save=900 1 300 10"]);
        check(&["--log-format", "json", "--set", "timeout=5"], &["log-format=json", "timeout=5"]);
        check(&["--set", "requirepass=a=b", "--set", "save="], &["requirepass=a=b", "save="]);
        assert_eq!(parse_words(&["-c", "x.toml"]).expect("good").config, Some(PathBuf::from("x.toml")));
    }

    #[test]
    fn mistakes_are_usage_errors_that_help() {
        let text = |words: &[&str]| parse_words(words).expect_err("a mistake").to_string();
        assert!(text(&["--prot", "1"]).contains("--port"));
        assert!(text(&["--protected-mode", "maybe"]).contains("'maybe'"));
        assert!(text(&["--set", "port"]).contains("`--set port`: a name, `=` and a value were expected"));
        assert!(text(&["--port", "1", "--port", "2"]).contains("cannot be used multiple times"));
        assert!(text(&["redis.conf"]).contains("unrecognized subcommand 'redis.conf'"));
        assert!(text(&["check"]).contains("<DIR>"));
        assert!(text(&["--port", "1", "check", "d"]).contains("cannot be used with"));
        assert!(text(&["log", "d", "--shard", "x"]).contains("'x'"));
        assert!(text(&["import", "f"]).contains("--dir <DIR>"));
        assert!(text(&["import", "f", "--dir", "d", "--shards", "0"]).contains("'0'"));
        assert!(text(&["export", "--dir", "d"]).contains("<FILE>"));
    }

    #[test]
    fn tools_are_asked_for_by_their_names() {
        let tool = |words: &[&str]| parse_words(words).expect("a good command line").tool;
        assert_eq!(tool(&["--port", "1"]), None);
        assert_eq!(tool(&["check", "d"]), Some(Tool::Check("d".into())));
        let export = Tool::Export { file: "f".into(), directory: "d".into() };
        assert_eq!(tool(&["export", "f", "--dir", "d"]), Some(export));
        let import = Import { file: "f".into(), directory: "d".into(), shards: None, force: false };
        assert_eq!(tool(&["import", "--dir", "d", "f"]), Some(Tool::Import(import.clone())));
        let import = Import { shards: Some(3), force: true, ..import };
        assert_eq!(tool(&["import", "f", "--dir", "d", "--force", "--shards", "3"]), Some(Tool::Import(import)));
        let all = Selection { records: 0..=u64::MAX, key: None, shard: None };
        assert_eq!(tool(&["log", "d"]), Some(Tool::Log("d".into(), all)));
        let some = Selection { records: 3..=9, key: Some(b"k".to_vec()), shard: Some(1) };
        let words = ["log", "d", "--from", "3", "--to", "9", "--key", "k", "--shard", "1"];
        assert_eq!(tool(&words), Some(Tool::Log("d".into(), some)));
    }

    #[test]
    fn help_is_grouped_and_complete() {
        let help = command().render_help().to_string();
        for heading in
            ["General:", "Listening:", "Connections:", "Process:", "What is kept:", "Where keys live:", "Exit codes:"]
        {
            assert!(help.contains(heading), "{heading}\n{help}");
        }
        assert!(help.contains("--requirepass <PASSWORD>") && !help.contains("--lfu-log-factor"), "{help}");
        let list = parameter_list();
        for parameter in PARAMETERS {
            assert!(list.contains(&format!("{} (", parameter.name)), "{}", parameter.name);
        }
    }
}
