//! Payloads of RESTORE: no bytes make the reader panic, and a value is refused or taken whatever the slices are that it is read in.
//!
//! The input is a payload without its frame: the first byte is the type, the rest the value.

#![no_main]

use kora_runtime::config::Config;
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::rdb::{DecodeOptions, ValueDecoder, load_payload};
use kora_storage::rdb::{Reader, payload};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (config, seeds) = (Config::default(), random_state([1, 2, 3, 4]));
    let options = DecodeOptions { config: &config, seeds: &seeds, now_ms: 1_700_000_000_000 };
    // The bytes as they are hardly ever have the right checksum.
    let _ = load_payload(data, options);
    let Some((&kind, body)) = data.split_first() else { return };
    let whole = load_payload(&payload::close(kind, body), options);
    let mut reader = Reader::of_bytes("payload", body);
    let sliced = ValueDecoder::begin(kind, &mut reader, options).and_then(|mut decoder| {
        while decoder.advance(&mut reader, 1)? {}
        decoder.finish(&mut reader)
    });
    assert!(whole.is_err() || sliced.is_ok());
});
