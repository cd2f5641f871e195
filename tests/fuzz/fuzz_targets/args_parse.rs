//! The argument parsers: no words make them panic, and what they understand they understand again when it is written anew.
//!
//! The first byte picks the row. Then come the words: a byte below 128 is a length, with the word behind it; any other picks a
//! word from the row's own tokens and from numbers at the ends of their ranges, so that the fuzzer need not guess them.

#![no_main]

use kora_runtime::argv::ArgvBuf;
use kora_runtime::table::{ArgInfo, CommandId, Resolved, keys, reencode, resolve};
use libfuzzer_sys::fuzz_target;

/// Words that many parsers look twice at.
const WORDS: [&str; 16] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "1e400",
    "inf",
    "nan",
    "(1",
    "[a",
    "+",
    "-",
    "",
];

fn tokens_of(args: &'static [ArgInfo], tokens: &mut Vec<&'static str>) {
    for arg in args {
        tokens.extend(arg.token);
        tokens_of(arg.children, tokens);
    }
}

/// The words that `bytes` stand for.
fn words_of<'b>(id: CommandId, mut bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let mut dictionary = Vec::from(WORDS);
    tokens_of(id.info().args, &mut dictionary);
    let mut words = Vec::new();
    while let Some((&head, rest)) = bytes.split_first() {
        let len = if head < 128 { usize::from(head).min(rest.len()) } else { 0 };
        let (word, rest) = rest.split_at(len);
        words.push(if head < 128 { word } else { dictionary[usize::from(head - 128) % dictionary.len()].as_bytes() });
        bytes = rest;
    }
    words
}

fn list(argv: &ArgvBuf) -> Vec<&[u8]> {
    argv.as_argv().iter().collect()
}

/// The keys of a command that was understood.
fn keys_of<'a>(id: CommandId, argv: &'a ArgvBuf) -> Vec<&'a [u8]> {
    let mut found = Vec::new();
    keys(id, argv.as_argv(), &mut |at, _| found.push(at)).expect("the keys of words that are understood are found");
    found.into_iter().map(|at| argv.as_argv().get(at).expect("a key is a word")).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((&row, bytes)) = data.split_first() else {
        return;
    };
    let id = CommandId::ALL[usize::from(row) % CommandId::ALL.len()];
    let mut argv = ArgvBuf::new();
    words_of(id, bytes).into_iter().for_each(|word| argv.push(word));
    // The words may also be a whole request.
    if let Resolved::Command { words, .. } = resolve(argv.as_argv()) {
        assert!((1..=2).contains(&words) && words <= argv.as_argv().len());
    }
    // Keys are looked for before anything is parsed.
    let _ = keys(id, argv.as_argv(), &mut |at, _| assert!(at < argv.as_argv().len()));
    let mut once = ArgvBuf::new();
    if reencode(id, argv.as_argv(), &mut once).is_err() || id.info().args.is_empty() {
        return;
    }
    let mut twice = ArgvBuf::new();
    reencode(id, once.as_argv(), &mut twice).expect("what was understood is understood again");
    assert_eq!(list(&once), list(&twice));
    assert_eq!(keys_of(id, &argv), keys_of(id, &once));
});
