//! Values and files that were damaged on purpose: none makes the reader panic or take more memory than it has reason to.
//!
//! The good ones are the payloads of the transcript of RESTORE: every type, in every form that Redis ever wrote. Each is cut short at every
//! byte, and each of its bits is turned round; no checksum stands in the way. Start at [`outcome`].

use std::io;

use kora_runtime::config::Config;
use kora_runtime::keyspace::Database;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::rdb::{DecodeOptions, Decoded, Loaded, decode_value, load_key};
use kora_server as _; // its allocator counts
use kora_storage::rdb::codes::{opcodes, types};
use kora_storage::rdb::{Checksum, Item, RdbError, RdbFile, Reader, Source, payload};
use kora_tests::transcript::{Action, Transcript, folder};

/// What reading may allocate for a value of so many bytes.
fn allowed_bytes(input: usize) -> u64 {
    (64 << 20) + 16 * input as u64
}

/// Bytes that this thread has ever allocated.
fn allocated() -> u64 {
    tikv_jemalloc_ctl::thread::allocatedp::read().expect("jemalloc is the allocator").get()
}

/// Runs `read`, which may allocate what an input of `len` bytes gives reason for.
fn measured<R>(len: usize, what: &str, read: impl FnOnce() -> R) -> R {
    let before = allocated();
    let result = read();
    let taken = allocated() - before;
    assert!(taken <= allowed_bytes(len), "{what}: {taken} bytes were allocated for {len}");
    result
}

/// Gives its bytes in pieces of a few.
struct Pieces<'b>(&'b [u8], usize);

impl Source for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        let len = (1 + self.1 % 7).min(self.0.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

/// Type and body of every payload of the transcript, and whether it is a good one.
fn payloads() -> Vec<(u8, Vec<u8>)> {
    let path = folder().join("generic/restore.resp");
    let (transcript, _) = Transcript::load(&path).expect("the transcript of RESTORE");
    let words = transcript.steps.into_iter().filter_map(|step| match step.action {
        Action::Send(words) if words[0] == b"RESTORE" => words.into_iter().nth(3),
        _ => None,
    });
    let mut found: Vec<(u8, Vec<u8>)> =
        words.filter_map(|word| payload::open(&word).map(|(kind, body)| (kind, body.to_vec()))).collect();
    found.sort();
    found.dedup();
    found
}

/// The value as text, or what is wrong with it.
fn outcome(kind: u8, reader: &mut Reader<'_>) -> Result<String, String> {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: 1_700_000_000_000 };
    match decode_value(kind, reader, options) {
        Ok(Decoded::Value(value)) => Ok(format!("{:?} {:?}", value.kind, value.inline.len())),
        Ok(Decoded::Skipped(why)) => Ok(why.to_string()),
        Err(error) => Err(error.damage().to_string()),
    }
}

#[test]
fn the_corpus_has_every_type() {
    let found = payloads();
    let missing: Vec<u8> = (0..types::END)
        .filter(|kind| ![types::MODULE, types::MODULE_2, 8].contains(kind))
        .filter(|kind| found.iter().all(|(known, _)| known != kind))
        .collect();
    assert!(missing.is_empty(), "no payload of the types {missing:?}");
}

#[test]
fn damaged_values_are_errors_or_values() {
    for (kind, body) in payloads().into_iter().filter(|(_, body)| body.len() < 1500) {
        let mut reader = Reader::of_bytes("value", &body);
        let whole = outcome(kind, &mut reader);
        let good = whole.is_ok() && reader.offset() == body.len() as u64;
        let pieces = outcome(kind, &mut Reader::of_source("value", Box::new(Pieces(&body, 0))));
        assert_eq!(whole, pieces, "{kind}");
        for len in 0..body.len() {
            let cut = measured(len, "cut", || outcome(kind, &mut Reader::of_bytes("value", &body[..len])));
            assert!(cut.is_err() || !good, "type {kind} cut at {len}: {cut:?}");
        }
        for bit in 0..8 * body.len() {
            let mut bad = body.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let what = format!("type {kind}, bit {bit} turned");
            let _ = measured(bad.len(), &what, || outcome(kind, &mut Reader::of_bytes("value", &bad)));
        }
        // Of another type it is damaged, too.
        for other in 0..=types::END {
            let _ = measured(body.len(), "another type", || outcome(other, &mut Reader::of_bytes("value", &body)));
        }
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let huge = [&[0x81][..], &(1_u64 << 40).to_be_bytes()].concat();
    let large = [&[0x80][..], &0x7000_0000_u32.to_be_bytes()].concat();
    for kind in 0..types::END {
        for length in [&huge, &large] {
            let bodies = [
                length.clone(),
                [&[1], &length[..]].concat(),
                [length, &b"\x01a\x01b"[..]].concat(),
                [&b"\x01\x02"[..], length, b"abc"].concat(),
                [&b"\xc3"[..], length, length, b"abc"].concat(),
                [&b"\xc3\x03"[..], length, b"\x00a\x00"].concat(),
                [&b"\x01\xc3\x03"[..], length, b"\x00a\x00"].concat(),
            ];
            for body in &bodies {
                // A value that ends before the lie is none of it.
                let read = |mut reader: Reader<'_>| {
                    let outcome = outcome(kind, &mut reader);
                    let before = reader.offset() < body.len() as u64;
                    assert!(outcome.is_err() || before, "type {kind}: {body:?} {outcome:?}");
                };
                measured(body.len(), "a lie", || read(Reader::of_bytes("value", body)));
                measured(body.len(), "a lie", || read(Reader::of_source("value", Box::new(&body[..]))));
            }
        }
    }
}

/// Keys that were loaded, and those that were skipped.
fn load(bytes: &[u8]) -> Result<(usize, usize), RdbError> {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: 1_700_000_000_000 };
    let mut database = Database::default();
    let mut file = RdbFile::of_bytes("a.rdb", bytes)?;
    let mut skipped = 0;
    loop {
        match file.next_item()? {
            Item::Key(head) => {
                skipped +=
                    usize::from(load_key(&mut file, &head, &mut database, &options, options.now_ms)? != Loaded::Key);
            }
            Item::End => break,
            _ => {}
        }
    }
    Ok((database.len(), skipped))
}

#[test]
fn damaged_files_are_errors_or_files() {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: 0 };
    let good = payloads().into_iter().filter(|(kind, body)| {
        let mut reader = Reader::of_bytes("value", body);
        let decoded = decode_value(*kind, &mut reader, options).is_ok();
        decoded && body.len() < 60 && reader.offset() == body.len() as u64
    });
    let mut bytes = b"REDIS0011\xfa\x04name\xc0\x07\xfe\x00\xfb\x20\x02".to_vec();
    let mut keys = 0;
    for (kind, body) in good {
        bytes.extend(b"\xfc\0\0\0\0\0\0\x7f\0\xf8\x05");
        bytes.extend([kind, 2, b'k', keys]);
        bytes.extend(body);
        keys += 1;
    }
    bytes.push(opcodes::EOF);
    let mut checksum = Checksum::new();
    checksum.update(&bytes);
    let end = bytes.len();
    bytes.extend(checksum.value().to_le_bytes());
    let (loaded, skipped) = load(&bytes).expect("the file is right");
    assert!(loaded > 25 && loaded + skipped == usize::from(keys), "{loaded} {skipped} of {keys}");
    bytes[end..].fill(0);
    for len in 0..bytes.len() {
        assert!(measured(len, "cut", || load(&bytes[..len])).is_err(), "cut at {len}");
    }
    for at in 0..bytes.len() {
        for mask in [1, 0x40, 0x80, 0xff] {
            let mut bad = bytes.clone();
            bad[at] ^= mask;
            let _ = measured(bad.len(), "changed", || load(&bad));
        }
    }
}
