//! `cargo gen`: the generator for people.
//!
//! Owns: the command line, and which files of the repository are read and written. Refuses to know: what the table says.
//! Start at [`main`]; `cargo gen` without arguments prints what it can do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use codegen::diagnostic::Report;
use codegen::model::Table;
use codegen::numbers::Numbers;
use codegen::{Diagnostic, check, docs, emit, spec, suggest};

const USAGE: &str = "\
cargo gen check        say everything that is wrong with commands.toml and what follows from it
cargo gen docs         write docs/commands/*.md and give new rows their numbers
cargo gen diff         show what `docs` would change
cargo gen show NAME    print all Rust that one row emits
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(root) = root() else {
        eprintln!("commands.toml is neither here nor above");
        return ExitCode::FAILURE;
    };
    let done = match words[..] {
        ["check"] => run_check(&root),
        ["docs"] => run_docs(&root),
        ["diff"] => run_diff(&root),
        ["show", name] => run_show(&root, name),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The directory of commands.toml, here or above.
fn root() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().find(|directory| directory.join("commands.toml").is_file()).map(Path::to_path_buf)
}

fn read(root: &Path, path: &str) -> io::Result<String> {
    fs::read_to_string(root.join(path)).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}

/// The table and the numbers as they are; mistakes are printed. Rows without a number are not mistakes here.
fn load(root: &Path) -> io::Result<Option<(Table, Numbers)>> {
    let text = read(root, "commands.toml")?;
    let mut report = Report::new("commands.toml");
    let table = spec::read(&text, &mut report, "commands.toml");
    check::run(&table, &mut report);
    let mut numbers_report = Report::new(docs::NUMBERS_FILE);
    let numbers_text = read(root, docs::NUMBERS_FILE).unwrap_or_default();
    let numbers = Numbers::read(&numbers_text, &mut numbers_report);
    let mistakes = [report.into_sorted(), numbers_report.into_sorted()].concat();
    print(&mistakes);
    Ok(mistakes.is_empty().then_some((table, numbers)))
}

fn print(mistakes: &[Diagnostic]) {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
}

fn run_check(root: &Path) -> io::Result<bool> {
    let Some((mut table, numbers)) = load(root)? else { return Ok(false) };
    let mut report = Report::new("commands.toml");
    let mut numbers_report = Report::new(docs::NUMBERS_FILE);
    numbers.assign(&mut table, &mut report, &mut numbers_report);
    check::transcripts::check(&table, root, &mut report);
    let mistakes = [report.into_sorted(), numbers_report.into_sorted()].concat();
    print(&mistakes);
    let stale = stale(root, &table, &numbers);
    for (path, _) in &stale {
        eprintln!("{path} is stale; run `cargo gen docs`");
    }
    Ok(mistakes.is_empty() && stale.is_empty())
}

/// The files that `docs` would change, with their new texts.
fn stale(root: &Path, table: &Table, numbers: &Numbers) -> Vec<(String, String)> {
    let mut files = docs::files(table, numbers);
    files.retain(|(path, text)| read(root, path).ok().as_ref() != Some(text));
    files
}

fn run_docs(root: &Path) -> io::Result<bool> {
    let Some((table, numbers)) = load(root)? else { return Ok(false) };
    for (path, text) in stale(root, &table, &numbers) {
        let target = root.join(&path);
        if let Some(directory) = target.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(target, text)?;
        println!("{path}");
    }
    Ok(true)
}

fn run_diff(root: &Path) -> io::Result<bool> {
    let Some((table, numbers)) = load(root)? else { return Ok(false) };
    let stale = stale(root, &table, &numbers);
    for (path, text) in &stale {
        let old = read(root, path).unwrap_or_default();
        println!("--- {path}\n+++ {path}");
        let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), text.lines().collect());
        // What the two share at both ends is left out; the rest is shown whole.
        let front = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
        let shared = |(old, new): &(&&str, &&str)| old == new;
        let back = old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(shared).count();
        println!("@@ line {} @@", front + 1);
        old[front..old.len() - back].iter().for_each(|line| println!("-{line}"));
        new[front..new.len() - back].iter().for_each(|line| println!("+{line}"));
    }
    Ok(stale.is_empty())
}

fn run_show(root: &Path, name: &str) -> io::Result<bool> {
    let Some((mut table, numbers)) = load(root)? else { return Ok(false) };
    let mut unnumbered = Report::new("commands.toml");
    numbers.assign(&mut table, &mut unnumbered, &mut Report::new(docs::NUMBERS_FILE));
    let wanted = name.to_ascii_uppercase().replace(' ', "|");
    match table.rows.iter().find(|row| row.name.value == wanted) {
        Some(row) => {
            print!("{}", emit::row(&table, row));
            Ok(true)
        }
        None => {
            let known: Vec<&str> = table.rows.iter().map(|row| row.name.value.as_str()).collect();
            match suggest::nearest(&wanted, known) {
                Some(candidate) => eprintln!("no row {wanted}; did you mean {candidate}?"),
                None => eprintln!("no row {wanted}"),
            }
            Ok(false)
        }
    }
}
