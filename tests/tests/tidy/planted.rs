//! Each rule of the house, shown violations that it must find and text that it must let through.
//!
//! Owns: the violations. Refuses to know: the repository, but for the names of its crates.

use std::collections::BTreeMap;

use crate::documentation::{command_problem, links, shell_lines};
use crate::tree::Tree;
use crate::{LINES_MAX, MARKER, arrows, forbidden, header, machine, size, transcripts};

#[test]
fn headers_and_sizes() {
    assert!(header("a.rs", "//! One line.\n\nuse x;\n").is_some());
    assert!(header("a.rs", "// Not a header.\n//! Late.\n").is_some());
    assert!(header("a.rs", "//! Owns this.\n//!\n//! Refuses that.\n").is_none());
    assert!(header("a_tests.rs", "//! Tests of `a`.\n").is_none());
    assert!(
        header(
            "a_tests.rs",
            "use std::collections::BTreeMap;

use crate::documentation::{command_problem, links, shell_lines};
use crate::tree::Tree;
use crate::{LINES_MAX, MARKER, arrows, forbidden, header, machine, size, transcripts};\n"
        )
        .is_some()
    );
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
    assert_eq!(check("kora-runtime", "[dependencies]\nkora-ext.workspace = true\nkora-server = { path = \"x\" }"), 2);
    assert_eq!(check("kora-runtime", "[dependencies]\ncodegen.workspace = true"), 1);
    assert_eq!(check("kora-runtime", "[build-dependencies]\ncodegen = \"1\"\n[dependencies]\nkora-storage = \"1\""), 0);
    assert_eq!(check("kora-server", "[dependencies]\nharness = { package = \"kora-tests\", path = \"../tests\" }"), 1);
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
    assert_eq!(machine("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"").len(), 0);
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
        assert_eq!(command_problem(&tree, good), None);
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
        assert!(command_problem(&tree, bad).is_some(), "{bad}");
    }
}
