//! Files: no bytes make the reader panic, and what it takes from memory it takes from pieces, too.
//!
//! The input is a file without its magic and, mostly, without a checksum; it is read into a database once whole and once in small pieces.

#![no_main]

use std::io;

use kora_runtime::config::Config;
use kora_runtime::keyspace::Database;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::rdb::{DecodeOptions, load_key};
use kora_storage::rdb::{Item, RdbError, RdbFile, Source};
use libfuzzer_sys::fuzz_target;

/// Gives a few bytes at a time.
struct Pieces<'b>(&'b [u8]);

impl Source for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = 3.min(self.0.len());
        buffer[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        Ok(len)
    }
}

/// Keys that were found, and the error that ended it.
fn load(file: Result<RdbFile<'_>, RdbError>) -> (usize, Option<String>) {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: 1_700_000_000_000 };
    let mut database = Database::default();
    let read = || {
        let mut file = file?;
        loop {
            match file.next_item()? {
                Item::Key(head) => drop(load_key(&mut file, &head, &mut database, &options, options.now_ms)?),
                Item::End => return Ok(()),
                _ => {}
            }
        }
    };
    let error: Option<RdbError> = read().err();
    (database.len(), error.map(|error| error.damage().to_string()))
}

fuzz_target!(|data: &[u8]| {
    let bytes = [b"REDIS0011", data].concat();
    assert_eq!(load(RdbFile::of_bytes("file", &bytes)), load(RdbFile::open("file", Box::new(Pieces(&bytes)))));
});
