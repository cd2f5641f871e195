//! The generator against files: tables in, Rust or diagnostics out.
//!
//! `golden/accept/NAME.toml` compiles to `NAME.rs`; `golden/reject/NAME.toml` is refused with exactly `NAME.txt`. A table may
//! bring its own list of numbers as `NAME.numbers`; otherwise every row gets one. `UPDATE_EXPECT=1` rewrites what is expected
//! (read the diff); under `CI` it only compares.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use codegen::diagnostic::Report;
use codegen::numbers::Numbers;
use codegen::{Options, generate, spec};

fn tables(kind: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .expect("the golden files are there")
        .map(|entry| entry.expect("the directory can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn numbers_for(path: &Path, text: &str, name: &str) -> String {
    let own = path.with_extension("numbers");
    if own.exists() {
        return fs::read_to_string(own).expect("the numbers can be read");
    }
    let table = spec::read(text, &mut Report::new(name), name);
    Numbers::default().extended(&table)
}

/// What the generator says of one file: Rust, or diagnostics a line each.
fn outcome(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).expect("the table can be read");
    let name = path.file_name().and_then(|name| name.to_str()).expect("golden names are ASCII");
    let options = Options { numbers_file: name.replace(".toml", ".numbers"), ..Options::runtime() };
    match generate(&text, name, &numbers_for(path, &text, name), &options) {
        Ok(generated) => Ok(generated.rust),
        Err(diagnostics) => Err(diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()),
    }
}

fn compare(path: &Path, got: &str) {
    if env::var_os("UPDATE_EXPECT").is_some() && env::var_os("CI").is_none() {
        fs::write(path, got).expect("the golden file can be written");
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected == got {
        return;
    }
    let at = expected.lines().zip(got.lines()).take_while(|(expected, got)| expected == got).count();
    let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
    panic!(
        "{} differs at line {} (UPDATE_EXPECT=1 rewrites it)\nexpected: {}\n     got: {}",
        path.display(),
        at + 1,
        line(&expected),
        line(got)
    );
}

#[test]
fn tables_compile_to_the_expected_rust() {
    for path in tables("accept") {
        match outcome(&path) {
            Ok(rust) => compare(&path.with_extension("rs"), &rust),
            Err(diagnostics) => panic!("{} is refused:\n{diagnostics}", path.display()),
        }
    }
}

#[test]
fn tables_are_refused_with_the_expected_diagnostics() {
    for path in tables("reject") {
        match outcome(&path) {
            Ok(_) => panic!("{} is accepted", path.display()),
            Err(diagnostics) => compare(&path.with_extension("txt"), &diagnostics),
        }
    }
}

#[test]
fn every_check_has_a_table_that_it_refuses() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check/mod.rs");
    let source = fs::read_to_string(source).expect("the source is there");
    let checks: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once("::"))
        .filter(|(module, check)| {
            format!("{module}{check}").chars().all(|char| char.is_ascii_lowercase() || char == '_')
        })
        .map(|(module, check)| format!("{module}-{}", check.replace('_', "-")))
        .collect();
    assert!(checks.len() > 20, "the list of checks was not found: {checks:?}");
    let files: BTreeSet<String> =
        tables("reject").iter().filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    let missing: Vec<_> = checks.difference(&files).collect();
    assert!(missing.is_empty(), "no golden/reject file for {missing:?}");
}

#[test]
fn the_output_depends_on_nothing_but_the_table() {
    let path = &tables("accept")[0];
    assert_eq!(outcome(path), outcome(path));
    let text = fs::read_to_string(path).expect("the table can be read");
    let unix = generate(&text, "t", &numbers_for(path, &text, "t"), &Options::runtime()).expect("it compiles");
    let windows = text.replace('\n', "\r\n");
    let windows = generate(&windows, "t", &numbers_for(path, &text, "t"), &Options::runtime()).expect("it compiles");
    assert_eq!(unix, windows, "line ends do not matter");
}
