//! The rules of the house that a compiler does not check.
//!
//! Owns: file headers and sizes, the dependency arrows of ARCHITECTURE.md, words that the shard must not contain, paths and hosts
//! of one machine, a transcript per command, commands and links in the documentation. Refuses to know: what the code does.
//! Start at the tests; each rule is a function over text, and `planted` shows each of them failing.
//!
//! A file that needs a forbidden construct says so in its header and names it, in a line like `Breaks the rule: sleep, because …`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

const LINES_MAX: usize = 800;
const MARKER: &str = "//! Breaks the rule:";

/// By name and by the tokens that give them away: constructs through which time, randomness, storage and other shards would slip in.
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

/// Programs that the documentation may call besides what is in the repository.
const TOOLS: [&str; 10] =
    ["cargo", "cd", "curl", "git", "node", "python3", "redis-benchmark", "redis-cli", "redis-server", "rustup"];

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
        found.extend(listed.iter().filter_map(|line| tree.command_problem(line)).map(|why| format!("{path}: {why}")));
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
    (!headed).then(|| format!("{path}:1: begin with two lines of `//!`: what the file owns, what it refuses to know"))
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

/// Relative links that lead nowhere, outside code blocks.
fn links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|_| !in_code) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !target.contains(':') && !exists(&normalised(&folder.join(file))) {
                found.push(format!("{path}: the link to {target} leads nowhere"));
            }
        }
    }
    found
}

/// A relative path without `.` and `..`.
fn normalised(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.to_str().unwrap_or_default().split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The command lines of the shell blocks of a page, continuation lines joined, comments gone.
fn shell_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut in_shell, mut in_other, mut continued) = (false, false, false);
    for line in text.lines().map(str::trim) {
        if let Some(language) = line.strip_prefix("```") {
            let (opens, shell) = (!in_shell && !in_other, ["sh", "bash"].contains(&language));
            (in_shell, in_other) = (opens && shell, opens && !shell);
        } else if in_shell && !line.is_empty() && !line.starts_with('#') {
            let body = line.split(" # ").next().unwrap_or(line).trim();
            let (body, goes_on) = body.strip_suffix('\\').map_or((body, false), |body| (body.trim(), true));
            match lines.last_mut().filter(|_| continued) {
                Some(last) => *last = format!("{last} {body}"),
                None => lines.push(body.to_owned()),
            }
            continued = goes_on;
        }
    }
    lines
}

/// The repository's files, without those that `.gitignore` names.
struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    fn read() -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().expect("the package is inside the repository");
        let ignored = fs::read_to_string(root.join(".gitignore")).expect("the repository has a .gitignore");
        let mut tree = Self { files: BTreeMap::new() };
        tree.add(root, root, &ignored.lines().collect::<Vec<_>>());
        tree
    }

    fn add(&mut self, root: &Path, folder: &Path, ignored: &[&str]) {
        for entry in fs::read_dir(folder).expect("a folder of the repository can be read") {
            let path = entry.expect("an entry of the repository can be read").path();
            let name =
                path.strip_prefix(root).expect("it lies under the root").to_str().expect("names are UTF-8").to_owned();
            let last = name.rsplit('/').next().unwrap_or_default();
            let matches = |rule: &str| match rule.strip_prefix('/') {
                Some(anchored) => anchored.trim_end_matches('/') == name,
                None => rule.trim_end_matches('/') == last,
            };
            if last == ".git" || ignored.iter().any(|rule| matches(rule)) {
                continue;
            }
            if path.is_dir() {
                self.add(root, &path, ignored);
            } else {
                // Files that are not text have nothing that these rules look for.
                let text = String::from_utf8(fs::read(&path).expect("a file of the repository can be read"));
                self.files.insert(name, text.unwrap_or_default());
            }
        }
    }

    fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    /// A file, or a folder that has files.
    fn has(&self, path: &str) -> bool {
        let inside = |file: &String| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
        self.files.contains_key(path) || self.files.keys().any(inside)
    }

    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Rust that people write: golden files are what the generator wrote.
    fn rust_sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs") && !path.contains("/golden/"))
    }

    fn members(&self) -> Vec<String> {
        let root: toml::Table = self.text("Cargo.toml").parse().expect("cargo read it before us");
        let members = root["workspace"]["members"].as_array().expect("the workspace lists its members");
        members.iter().filter_map(|member| member.as_str().map(str::to_owned)).collect()
    }

    fn manifests(&self) -> BTreeMap<String, toml::Table> {
        let mut found = BTreeMap::new();
        for member in self.members() {
            let manifest: toml::Table =
                self.text(&format!("{member}/Cargo.toml")).parse().expect("cargo read it before us");
            let name = manifest["package"]["name"].as_str().expect("a package has a name").to_owned();
            found.insert(name, manifest);
        }
        found
    }

    /// Why a command line of the documentation cannot work.
    fn command_problem(&self, line: &str) -> Option<String> {
        let mut words = line.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-'));
        let program = words.next()?;
        let rest: Vec<&str> = words.collect();
        if program == "cargo"
            && let Some(problem) = self.cargo_problem(&rest)
        {
            return Some(format!("`{line}`: {problem}"));
        }
        if !TOOLS.contains(&program) && !program.contains('/') {
            return Some(format!("`{line}`: {program} is neither in the repository nor among TOOLS"));
        }
        let paths = [program].into_iter().chain(rest).map(|word| word.trim_matches(['\'', '"']));
        let missing =
            paths.filter(|word| word.contains('/') && !word.contains("://")).find(|word| !self.reachable(word))?;
        Some(format!("`{line}`: there is no {missing}"))
    }

    fn cargo_problem(&self, words: &[&str]) -> Option<String> {
        let known = ["bench", "build", "clippy", "doc", "fmt", "install", "nextest", "run", "test"];
        let subcommand = words.iter().find(|word| !word.starts_with('+'))?;
        let is_alias = |line: &str| line.split(" =").next() == Some(subcommand);
        if !known.contains(subcommand) && !self.text(".cargo/config.toml").lines().any(is_alias) {
            return Some(format!("cargo has no {subcommand}"));
        }
        let exists = |flag: &str, value: &str| match flag {
            "-p" | "--package" => self.manifests().contains_key(value),
            "--example" => self.members().iter().any(|member| self.has(&format!("{member}/examples/{value}.rs"))),
            "--test" => self.members().iter().any(|member| self.has(&format!("{member}/tests/{value}.rs"))),
            _ => true,
        };
        let missing = words.windows(2).find(|pair| !exists(pair[0], pair[1]))?;
        Some(format!("there is no {} {}", missing[0], missing[1]))
    }

    /// A path of the repository, a binary that its build makes, or a place outside.
    fn reachable(&self, path: &str) -> bool {
        let path = path.trim_start_matches("./");
        let built = path.strip_prefix("target/release/").or_else(|| path.strip_prefix("target/debug/"));
        match built {
            Some(binary) => self.manifests().contains_key(binary),
            None => path.starts_with('/') || path.contains('{') || self.has(path),
        }
    }
}

/// Each rule, shown a violation.
mod planted {
    use super::*;

    #[test]
    fn headers_and_sizes() {
        assert!(header("a.rs", "//! One line.\n\nuse x;\n").is_some());
        assert!(header("a.rs", "// Not a header.\n//! Late.\n").is_some());
        assert!(header("a.rs", "//! Owns this.\n//!\n//! Refuses that.\n").is_none());
        assert!(header("a_tests.rs", "//! Tests of `a`.\n").is_none());
        assert!(header("a_tests.rs", "use super::*;\n").is_some());
        assert!(size("a.rs", &"x\n".repeat(LINES_MAX + 1)).is_some());
        assert!(size("a.rs", &"x\n".repeat(LINES_MAX)).is_none());
    }

    #[test]
    fn constructs() {
        let in_shard = |code: &str| forbidden("kora-runtime/src/x.rs", code).len();
        for code in [
            "use std::sync::Mutex;",
            "struct S(parking_lot::RwLock<u8>);",
            "fn f() { let t = std::time::Instant::now(); }",
            "fn f() { SystemTime::now(); }",
            "fn f() { rand::thread_rng(); }",
            "fn f() { RandomState::new(); }",
            "fn f() { tokio::spawn(async {}); }",
            "fn f() { std::thread::spawn(|| ()); }",
            "use std::fs;",
            "use std::{fs, io}; fn f() { fs::read(\"x\"); }",
            "fn f() { println!(); }",
            "fn f() { eprintln!(); }",
            "fn f() { tokio::time::sleep(d).await; }",
            "use std::thread::sleep; fn f() { sleep(d); }",
            "fn f() { todo!() }",
            "fn f() { unimplemented!() }",
            "#[test]\n#[ignore]\nfn f() {}",
            "#[ignore = \"slow\"] fn f() {}",
            "fn (",
        ] {
            assert_eq!(in_shard(code), 1, "{code}");
        }
        assert_eq!(in_shard("trait Host { fn sleep(&self); } fn f(host: &H) { host.sleep() }"), 0);
        assert_eq!(in_shard("// No Mutex.\n/// No `RwLock`.\nfn f() { g(\"todo!()\", 'x', r#\"std::fs\"#); }"), 0);
        let elsewhere = |path: &str| forbidden(path, "use std::{fs, sync::Mutex}; fn f() { thread::sleep(d) }").len();
        assert_eq!((elsewhere("kora-server/src/x.rs"), elsewhere("kora-storage/src/x.rs")), (0, 1));
        assert_eq!((elsewhere("tests/tests/x.rs"), elsewhere("kora-server/tests/x.rs")), (1, 1));
        assert_eq!(forbidden("kora-server/src/x.rs", "fn f() { todo!() }").len(), 1);
    }

    #[test]
    fn exemptions_name_what_they_exempt() {
        let code = "fn f() { SystemTime::now(); println!(); }";
        let count = |header: &str| forbidden("kora-runtime/src/x.rs", &format!("{header}\n{code}")).len();
        assert_eq!(count(&format!("//! A clock.\n{MARKER} SystemTime and println!, because this is the edge.")), 0);
        assert_eq!(count(&format!("//! A clock.\n{MARKER} SystemTime, because this is the edge.")), 1);
        assert_eq!(count("//! A clock, SystemTime and println!\n//! without the marker."), 2);
        assert_eq!(count(&format!("//! A clock.\n\n{MARKER} SystemTime, println!, too late.")), 2);
    }

    #[test]
    fn dependency_arrows() {
        let check = |name: &str, manifest: &str| {
            arrows(&BTreeMap::from([(name.to_owned(), manifest.parse().expect("a manifest"))])).len()
        };
        assert_eq!(check("codegen", "[dependencies]\nkora-runtime.workspace = true\nsyn = \"2\""), 1);
        assert_eq!(check("kora-storage", "[dev-dependencies]\nkora-macros.workspace = true"), 1);
        assert_eq!(
            check("kora-runtime", "[dependencies]\nkora-ext.workspace = true\nkora-server = { path = \"x\" }"),
            2
        );
        assert_eq!(check("kora-runtime", "[dependencies]\ncodegen.workspace = true"), 1);
        assert_eq!(
            check("kora-runtime", "[build-dependencies]\ncodegen = \"1\"\n[dependencies]\nkora-storage = \"1\""),
            0
        );
        assert_eq!(
            check("kora-server", "[dependencies]\nharness = { package = \"kora-tests\", path = \"../tests\" }"),
            1
        );
        assert_eq!(check("kora-server", "[target.'cfg(unix)'.dependencies]\ncodegen.workspace = true"), 1);
        assert_eq!(check("kora-new", ""), 1);
    }

    #[test]
    fn machines() {
        for path in [concat!("/ho", "me/me/kora"), concat!("dir = \"/ro", "ot/x\""), concat!("(/wo", "rk/tree)")] {
            assert_eq!(machine("a.md", path).len(), 1, "{path}");
        }
        assert_eq!(machine("a.md", concat!("docs/ho", "me/page and ~/wo", "rk/tree")).len(), 0);
        assert_eq!(machine("package-lock.json", concat!("\"https://registry.npm", "js.org/x\"")).len(), 1);
        assert_eq!(machine("Cargo.lock", "source = \"registry+https://mirror.example/index\"").len(), 1);
        assert_eq!(
            machine("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"").len(),
            0
        );
    }

    #[test]
    fn missing_transcripts() {
        let table = "[[command]]\nname = \"CLIENT|KILL\"\ngroup = \"connection\"\n[[command]]\nname = \"GET\"\ngroup = \"string\"\n";
        let found = transcripts(table, |path| path == "tests/transcripts/connection/client-kill.resp");
        assert_eq!(found, ["tests/transcripts/string/get.resp: the transcript of a row is missing"]);
        assert_eq!(transcripts("", |_| true), ["commands.toml: no rows"]);
        assert_eq!(transcripts("[[command", |_| true).len(), 1, "not a table");
    }

    #[test]
    fn documentation() {
        let page = "[a](there.md) [b](../gone.md#x) [c](https://example.com)\n```text\n[d](code)\n```\n";
        let found = links("docs/page.md", page, |path| path == "docs/there.md");
        assert_eq!(found, ["docs/page.md: the link to ../gone.md#x leads nowhere"]);
        let page = "```sh\ncargo run -p x \\\n  --port 1 # a port\n\n# note\nls\n```\n```text\ncargo no\n```\n";
        assert_eq!(shell_lines(page), ["cargo run -p x --port 1", "ls"]);
        let tree = Tree::read();
        for good in [
            "cargo test --workspace",
            "cargo gen check",
            "CI=1 cargo test -p codegen --test tidy",
            "git clone https://example.com/x",
            "target/release/kora-server --port 1",
        ] {
            assert_eq!(tree.command_problem(good), None);
        }
        for bad in [
            "cargo frobnicate",
            "cargo run -p kora-none",
            "cargo test --test gone",
            "frobnicate x",
            "./gone.sh",
            "python3 tests/gone.py",
            "target/release/kora-none",
        ] {
            assert!(tree.command_problem(bad).is_some(), "{bad}");
        }
    }
}
