//! The configuration file: TOML, one key for each parameter.
//!
//! ```toml
//! port = 6379
//! bind = ["127.0.0.1", "::1"]
//! protected-mode = true
//! proto-max-bulk-len = "512mb"
//! ```
//!
//! Owns: how TOML values become the texts that parameters take, and errors that name file, line and key. Refuses to
//! know: whether a value is good; `settings.rs` finds out. Start at [`read`].

use std::fs::File;
use std::io::Read;
use std::path::Path;

use kora_runtime::config::{Kind, PARAMETERS, Parameter};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::settings::{Given, LOG_FORMAT, Origin, SettingsErrors};
use crate::suggest::nearest;

/// A longer file is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the file at `path` gives, in the order of its lines; or everything that is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Given>, SettingsErrors> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text));
    let shown = path.display();
    if let Err(error) = read {
        return Err(SettingsErrors::one(format!("cannot read {shown}: {error}")));
    }
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(SettingsErrors::one(format!("{shown}: a configuration file has at most {FILE_BYTES_MAX} bytes")));
    }
    match String::from_utf8(text) {
        Ok(text) => parse(&text, &shown.to_string()),
        Err(error) => {
            let line = line_of(error.as_bytes(), error.utf8_error().valid_up_to());
            Err(SettingsErrors::one(format!("{shown}:{line}: not UTF-8 text")))
        }
    }
}

/// [`read`] of a text; `path` is how messages name it.
fn parse(text: &str, path: &str) -> Result<Vec<Given>, SettingsErrors> {
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let line = line_of(text.as_bytes(), error.span().map_or(0, |span| span.start));
            return Err(SettingsErrors::one(format!("{path}:{line}: {}", error.message())));
        }
    };
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);

    let (mut given, mut errors) = (Vec::new(), Vec::new());
    for (key, value) in entries {
        let line = line_of(text.as_bytes(), key.span().start);
        let name = key.get_ref().as_ref();
        match entry(name, value) {
            Ok(value) => given.push(Given::new(name, value, Origin::File(format!("{path}:{line}: {name}")))),
            Err(error) => errors.push(format!("{path}:{line}: {error}")),
        }
    }
    if errors.is_empty() { Ok(given) } else { Err(SettingsErrors::new(errors)) }
}

/// The text that one key gives its parameter.
fn entry(name: &str, value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    let kind = match Parameter::named(name.as_bytes()) {
        Some(parameter) => parameter.kind,
        None if name == LOG_FORMAT => Kind::Text,
        None => {
            let names = PARAMETERS.iter().map(|parameter| parameter.name).chain([LOG_FORMAT]);
            return Err(match nearest(name, names) {
                Some(nearest) => format!("unknown key `{name}`; did you mean `{nearest}`?"),
                None => format!("unknown key `{name}`; `kora-server --parameters` lists them all"),
            });
        }
    };
    let type_error = |found: &str| {
        Err(format!("{name}: a text, a number, true, false or a list of texts was expected, not {found}"))
    };
    match value.get_ref() {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) => integer(number, kind).ok_or_else(|| format!("{name}: the number is too large")),
        DeValue::Boolean(true) => Ok("yes".to_owned()),
        DeValue::Boolean(false) => Ok("no".to_owned()),
        DeValue::Array(items) => {
            let words = items.iter().map(|item| match item.get_ref() {
                DeValue::String(word) => Ok(word.to_string()),
                DeValue::Integer(number) if kind == Kind::Databases => {
                    integer(number, kind).ok_or_else(|| format!("{name}: the number is too large"))
                }
                _ if kind == Kind::Databases => Err(format!("{name}: a list of numbers was expected")),
                _ => Err(format!("{name}: a list of texts was expected")),
            });
            Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
        }
        DeValue::Table(_) => type_error("a table"),
        DeValue::Float(_) => type_error("a fraction"),
        DeValue::Datetime(_) => type_error("a date"),
    }
}

/// An integer in the digits that its parameter reads: octal for permissions (`0o770`, and `770` as in Redis), else
/// decimal.
fn integer(number: &DeInteger<'_>, kind: Kind) -> Option<String> {
    match (kind, number.radix()) {
        (Kind::Octal(_), 8 | 10) | (_, 10) => Some(number.as_str().trim_start_matches('+').to_owned()),
        (_, radix) => i64::from_str_radix(number.as_str(), radix).ok().map(|number| number.to_string()),
    }
}

/// The number of the line, from 1, in which the byte at `offset` stands.
fn line_of(text: &[u8], offset: usize) -> usize {
    1 + text[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&[&str], &[&str]>) {
        let outcome = parse(text, "kora.toml").map(|given| {
            let show = |given: &Given| format!("{} = {}", given.origin, String::from_utf8_lossy(&given.value));
            given.iter().map(show).collect::<Vec<_>>()
        });
        let outcome = outcome.map_err(|errors| errors.to_string().lines().map(str::to_owned).collect::<Vec<_>>());
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        assert_eq!(outcome, expected.map(owned).map_err(owned), "{text}");
    }

    #[test]
    fn values_become_the_texts_of_parameters() {
        check(
            "# a comment\nport = 6_379\nbind = [\"127.0.0.1\", \"-::1\"]\n\nprotected-mode = false\nunixsocketperm = 0o770\n\
             proto-max-bulk-len = \"512mb\"\nlist-max-listpack-size = -2\ntimeout = 0x10\nlog-format = \"json\"\nhash-max-ziplist-value = 1\n\
             locality = [\"bull:*:\", \"*.\"]\npinned-databases = [3, 0x5, \"7\"]\n",
            Ok(&[
                "kora.toml:2: port = 6379",
                "kora.toml:3: bind = 127.0.0.1 -::1",
                "kora.toml:5: protected-mode = no",
                "kora.toml:6: unixsocketperm = 770",
                "kora.toml:7: proto-max-bulk-len = 512mb",
                "kora.toml:8: list-max-listpack-size = -2",
                "kora.toml:9: timeout = 16",
                "kora.toml:10: log-format = json",
                "kora.toml:11: hash-max-ziplist-value = 1",
                "kora.toml:12: locality = bull:*: *.",
                "kora.toml:13: pinned-databases = 3 5 7",
            ]),
        );
        check("", Ok(&[]));
    }

    #[test]
    fn all_mistakes_are_reported_with_file_line_and_key() {
        check(
            "prot = 1\ncluster-enabled = true\ntcp_keepalive = 5\n\ndir = { a = 1 }\ntimeout = 1.5\nsave = 1979-05-27\nbind = [1]\n\
             pinned-databases = [1.5]\n",
            Err(&[
                "kora.toml:1: unknown key `prot`; did you mean `port`?",
                "kora.toml:2: unknown key `cluster-enabled`; `kora-server --parameters` lists them all",
                "kora.toml:3: unknown key `tcp_keepalive`; did you mean `tcp-keepalive`?",
                "kora.toml:5: dir: a text, a number, true, false or a list of texts was expected, not a table",
                "kora.toml:6: timeout: a text, a number, true, false or a list of texts was expected, not a fraction",
                "kora.toml:7: save: a text, a number, true, false or a list of texts was expected, not a date",
                "kora.toml:8: bind: a list of texts was expected",
                "kora.toml:9: pinned-databases: a list of numbers was expected",
            ]),
        );
        check(
            "[server]\nport = 1\n",
            Err(&["kora.toml:1: unknown key `server`; `kora-server --parameters` lists them all"]),
        );
    }

    #[test]
    fn what_is_not_toml_is_reported_with_its_line() {
        let line = |text: &str| parse(text, "f").expect_err("not TOML").to_string();
        assert!(line("port = 1\nbind = [\n").starts_with("f:"), "{}", line("port = 1\nbind = [\n"));
        assert!(line("port = 1\nport = 2\n").starts_with("f:2: duplicate key"), "{}", line("port = 1\nport = 2\n"));
        assert!(line("port 6379\n").starts_with("f:1: "), "{}", line("port 6379\n"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let path = place.path().join("kora.toml");
        let error = |path: &Path| read(path).expect_err("it cannot be read").to_string();
        assert!(error(&path).starts_with(&format!("cannot read {}: ", path.display())));
        std::fs::write(&path, b"port = 1\n# \xff\n").expect("a writable directory");
        assert_eq!(error(&path), format!("{}:2: not UTF-8 text", path.display()));
        std::fs::write(&path, vec![b'#'; FILE_BYTES_MAX as usize + 1]).expect("a writable directory");
        assert_eq!(error(&path), format!("{}: a configuration file has at most 1048576 bytes", path.display()));
    }
}
