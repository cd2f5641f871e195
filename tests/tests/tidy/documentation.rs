//! Links that lead nowhere and command lines that cannot work, in the pages that people read first.
//!
//! Owns: what a shell block and a relative link are. Refuses to know: whether a command does what its page says; the client
//! tests run the session of the README.

use std::path::Path;

use crate::tree::Tree;

/// Programs that the documentation may call besides what is in the repository.
const TOOLS: [&str; 10] =
    ["cargo", "cd", "curl", "git", "node", "python3", "redis-benchmark", "redis-cli", "redis-server", "rustup"];

/// Relative links that lead nowhere, outside code blocks.
pub(crate) fn links(path: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
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
pub(crate) fn shell_lines(text: &str) -> Vec<String> {
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

/// Why a command line of the documentation cannot work.
pub(crate) fn command_problem(tree: &Tree, line: &str) -> Option<String> {
    let mut words = line.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-'));
    let program = words.next()?;
    let rest: Vec<&str> = words.collect();
    if program == "cargo"
        && let Some(problem) = cargo_problem(tree, &rest)
    {
        return Some(format!("`{line}`: {problem}"));
    }
    if !TOOLS.contains(&program) && !program.contains('/') {
        return Some(format!("`{line}`: {program} is neither in the repository nor among TOOLS"));
    }
    let paths = [program].into_iter().chain(rest).map(|word| word.trim_matches(['\'', '"']));
    let missing =
        paths.filter(|word| word.contains('/') && !word.contains("://")).find(|word| !reachable(tree, word))?;
    Some(format!("`{line}`: there is no {missing}"))
}

fn cargo_problem(tree: &Tree, words: &[&str]) -> Option<String> {
    let known = ["bench", "build", "clippy", "doc", "fmt", "install", "nextest", "run", "test"];
    let subcommand = words.iter().find(|word| !word.starts_with('+'))?;
    let is_alias = |line: &str| line.split(" =").next() == Some(subcommand);
    if !known.contains(subcommand) && !tree.text(".cargo/config.toml").lines().any(is_alias) {
        return Some(format!("cargo has no {subcommand}"));
    }
    let exists = |flag: &str, value: &str| match flag {
        "-p" | "--package" => tree.manifests().contains_key(value),
        "--example" => tree.members().iter().any(|member| tree.has(&format!("{member}/examples/{value}.rs"))),
        "--test" => tree
            .members()
            .iter()
            .any(|member| ["", "/main"].iter().any(|main| tree.has(&format!("{member}/tests/{value}{main}.rs")))),
        _ => true,
    };
    let missing = words.windows(2).find(|pair| !exists(pair[0], pair[1]))?;
    Some(format!("there is no {} {}", missing[0], missing[1]))
}

/// A path of the repository, a binary that its build makes, or a place outside.
fn reachable(tree: &Tree, path: &str) -> bool {
    let path = path.trim_start_matches("./");
    let built = path.strip_prefix("target/release/").or_else(|| path.strip_prefix("target/debug/"));
    match built {
        Some(binary) => tree.manifests().contains_key(binary),
        None => path.starts_with('/') || path.contains('{') || tree.has(path),
    }
}
