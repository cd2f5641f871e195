//! The rules of the house that a compiler does not check.
//!
//! Owns: file headers and sizes, the dependency arrows of ARCHITECTURE.md, words that the shard must not contain, paths and
//! hosts of one machine, a transcript per command. Refuses to know: what the code does.
//! Start at the tests; each rule is a function over text, and [`planted`] shows each of them failing.
//!
//! A file that needs a forbidden construct says so in its header and names it: `Breaks the rule: sleep, because …`.

mod documentation;
mod planted;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use documentation::{command_problem, links, shell_lines};
use tree::Tree;

const LINES_MAX: usize = 800;
const MARKER: &str = "//! Breaks the rule:";

/// Constructs through which time, randomness, storage and other shards would slip in: by name, and by tell-tale tokens.
const FORBIDDEN_IN_SHARD: [(&str, &str); 13] = [
    ("Mutex", "Mutex"),
    ("RwLock", "RwLock"),
    ("Instant::now", "Instant : : now"),
    ("SystemTime", "SystemTime"),
    ("thread_rng", "thread_rng"),
    ("RandomState::new", "RandomState : : new"),
    ("tokio::spawn", "tokio : : spawn"),
    ("thread::spawn", "thread : : spawn"),
    ("std::fs", "std : : fs"),
    ("std::fs", "fs : :"),
    ("println!", "println !"),
    ("eprintln!", "eprintln !"),
    ("sleep", ": sleep"), // of a module: `host.sleep(…)` goes through an argument
];

const FORBIDDEN_ANYWHERE: [(&str, &str); 3] =
    [("todo!", "todo !"), ("unimplemented!", "unimplemented !"), ("#[ignore]", "# [ ignore")];

/// What each crate may depend on among our own, in any section of its manifest.
const ARROWS: [(&str, &[&str]); 7] = [
    ("codegen", &[]),
    ("kora-macros", &[]),
    ("kora-storage", &[]),
    ("kora-runtime", &["codegen", "kora-macros", "kora-storage"]),
    ("kora-ext", &["kora-macros", "kora-runtime", "kora-storage"]),
    ("kora-server", &["kora-ext", "kora-macros", "kora-runtime", "kora-storage"]),
    ("kora-tests", &["codegen", "kora-ext", "kora-macros", "kora-runtime", "kora-server", "kora-storage"]),
];

#[test]
fn sources_are_headed_short_and_clean() {
    let tree = Tree::read();
    let mut found = Vec::new();
    for (path, text) in tree.rust_sources() {
        found.extend(header(path, text));
        found.extend(size(path, text));
        found.extend(forbidden(path, text));
    }
    report(found);
}

#[test]
fn dependencies_follow_the_arrows() {
    report(arrows(&Tree::read().manifests()));
}

#[test]
fn nothing_names_one_machine() {
    let tree = Tree::read();
    report(tree.texts().flat_map(|(path, text)| machine(path, text)).collect());
}

#[test]
fn every_row_has_a_transcript() {
    let tree = Tree::read();
    report(transcripts(tree.text("commands.toml"), |path| tree.has(path)));
}

#[test]
fn licences_are_there() {
    let tree = Tree::read();
    let missing = ["LICENSE-MIT", "LICENSE-APACHE"].into_iter().filter(|path| tree.text(path).len() < 500);
    report(missing.map(|path| format!("{path}: missing or cut short")).collect());
}

#[test]
fn documentation_names_what_exists() {
    let tree = Tree::read();
    let mut found = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        found.extend(links(path, text, |target| tree.has(target)));
    }
    for path in ["README.md", "CONTRIBUTING.md"] {
        let listed = shell_lines(tree.text(path));
        if listed.is_empty() {
            found.push(format!("{path}: shows no command"));
        }
        found.extend(listed.iter().filter_map(|line| command_problem(&tree, line)).map(|why| format!("{path}: {why}")));
    }
    report(found);
}

fn report(found: Vec<String>) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn header(path: &str, text: &str) -> Option<String> {
    // The tests of one file, in a file beside it, need only say whose they are.
    let lines_min = if path.ends_with("tests.rs") { 1 } else { 2 };
    let headed = text.lines().take_while(|line| line.starts_with("//!")).count() >= lines_min;
    (!headed).then(|| {
        format!("{path}:1: begin with `//!` ({lines_min} lines or more): what the file owns, what it refuses to know")
    })
}

fn size(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| format!("{path}: {lines} lines, split it by subject ({LINES_MAX} at most)"))
}

/// Forbidden constructs in code; comments and strings are free to speak of them.
fn forbidden(path: &str, text: &str) -> Vec<String> {
    let Ok(stream) = text.parse::<TokenStream>() else {
        return vec![format!("{path}: is not Rust")];
    };
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let in_shard = path.starts_with("kora-runtime/src/");
    // Servers and extensions may wait for the world; everything else, tests above all, moves a clock instead.
    let may_wait = path.starts_with("kora-server/src/") || path.starts_with("kora-ext/src/");
    let here = FORBIDDEN_IN_SHARD.iter().filter(|(name, _)| in_shard || (*name == "sleep" && !may_wait));
    let exempt = exemptions(text);
    let mut found = BTreeMap::new();
    for (name, pattern) in here.chain(&FORBIDDEN_ANYWHERE).filter(|(name, _)| !exempt.contains(name)) {
        let pattern: Vec<&str> = pattern.split(' ').collect();
        for window in tokens.windows(pattern.len()) {
            if window.iter().map(|(token, _)| token.as_str()).eq(pattern.iter().copied()) {
                let line = window[0].1;
                let why =
                    format!("{path}:{line}: no `{name}` here, or say in the header: `{MARKER} {name}, because …`");
                found.insert((line, *name), why);
            }
        }
    }
    found.into_values().collect()
}

/// The part of a file's header that stands after the marker.
fn exemptions(text: &str) -> String {
    let header = text.lines().take_while(|line| line.starts_with("//!"));
    header.skip_while(|line| !line.starts_with(MARKER)).collect::<Vec<_>>().join("\n")
}

/// The tokens with their lines, delimiters included, comments gone (a doc comment is an attribute with a string).
fn flatten(stream: TokenStream, tokens: &mut Vec<(String, usize)>) {
    for tree in stream {
        let line = tree.span().start().line;
        let TokenTree::Group(group) = tree else {
            tokens.push((tree.to_string(), line));
            continue;
        };
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::None => ("", ""),
        };
        tokens.push((open.to_owned(), line));
        flatten(group.stream(), tokens);
        tokens.push((close.to_owned(), group.span_close().start().line));
    }
}

/// The manifests by package name, against [`ARROWS`].
fn arrows(manifests: &BTreeMap<String, toml::Table>) -> Vec<String> {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(name, others)| (*name, others.iter().copied().collect())).collect();
    let mut found = Vec::new();
    for (name, manifest) in manifests {
        let Some(allowed_here) = allowed.get(name.as_str()) else {
            found.push(format!("{name}: a crate without an entry in ARROWS"));
            continue;
        };
        for (dependency, in_build) in dependencies(manifest) {
            if allowed.contains_key(dependency.as_str()) && !allowed_here.contains(dependency.as_str()) {
                found.push(format!("{name} depends on {dependency}, against the arrows of ARCHITECTURE.md"));
            } else if name == "kora-runtime" && dependency == "codegen" && !in_build {
                found.push("kora-runtime depends on codegen outside its build script".to_owned());
            }
        }
    }
    found
}

/// Every dependency of a manifest by package name, and whether it stands among the build dependencies.
fn dependencies(manifest: &toml::Table) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (section, body) in manifest {
        let Some(table) = body.as_table() else { continue };
        if section == "target" {
            found.extend(table.values().filter_map(toml::Value::as_table).flat_map(dependencies));
        } else if section.ends_with("dependencies") {
            for (key, value) in table {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                found.push((package.to_owned(), section == "build-dependencies"));
            }
        }
    }
    found
}

/// Absolute paths into somebody's directories, and hosts that only a lock file of another place would know.
fn machine(path: &str, text: &str) -> Vec<String> {
    // In two halves each, so that this file does not find itself.
    let paths = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];
    let hosts = [
        concat!("registry.npm", "js.org"),
        concat!("pythonho", "sted.org"),
        concat!("pypi", ".org"),
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
        concat!("sparse", "+http"),
    ];
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let starts = |at: usize| line[..at].chars().next_back().is_none_or(|before| !is_path_character(before));
        if paths.iter().any(|needle| line.match_indices(needle).any(|(at, _)| starts(at))) {
            found.push(format!("{path}:{number}: a path of one machine: {}", line.trim()));
        }
        if hosts.iter().any(|host| line.contains(host)) {
            found.push(format!("{path}:{number}: a registry's host: {}", line.trim()));
        }
        let source = line.strip_prefix("source = \"").filter(|_| path.ends_with("Cargo.lock"));
        if source.is_some_and(|source| !source.starts_with("registry+https://github.com/rust-lang/crates.io-index")) {
            found.push(format!("{path}:{number}: a source other than crates.io: {line}"));
        }
    }
    found
}

fn is_path_character(character: char) -> bool {
    character.is_alphanumeric() || "._-/~$})".contains(character)
}

/// Rows of the table against `tests/transcripts/<group>/<name>.resp`.
fn transcripts(table: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let table: toml::Table = match table.parse() {
        Ok(table) => table,
        Err(error) => return vec![format!("commands.toml: {error}")],
    };
    let rows = table.get("command").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return vec!["commands.toml: no rows".to_owned()];
    }
    let word = |row: &toml::Value, key| row.get(key).and_then(toml::Value::as_str).unwrap_or("?").to_lowercase();
    let paths = rows.iter().map(|row| {
        let file = word(row, "name").replace('|', "-");
        format!("tests/transcripts/{}/{file}.resp", word(row, "group"))
    });
    paths.filter(|path| !exists(path)).map(|path| format!("{path}: the transcript of a row is missing")).collect()
}
