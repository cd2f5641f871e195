//! The manifest against its golden file, its drawing in docs/formats.md, and every way in which few bytes can be wrong.

use super::*;

/// Written once, when version 1 was made, and never again: files like it are out there.
const GOLDEN_V1: &[u8] = include_bytes!("../../tests/golden/manifest-v1.bin");

const SAMPLE: Manifest = Manifest {
    shards: 8,
    routing_seeds: [0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303, 0x0404_0404_0404_0404],
    fingerprint: 0x1122_3344_5566_7788,
};

#[test]
fn version_1_is_the_golden_file() {
    assert_eq!(SAMPLE.encode().as_slice(), GOLDEN_V1);
    assert_eq!(Manifest::decode(GOLDEN_V1), Ok(SAMPLE));
}

#[test]
fn the_drawing_in_the_documentation_is_the_golden_file() {
    let page = include_str!("../../../docs/formats.md");
    let (_, after) = page.split_once("<!-- manifest-v1.bin -->").expect("the example is marked");
    let example = after.split("```").nth(1).expect("the example is a block of code");
    let mut bytes = Vec::new();
    for line in example.lines().skip(1) {
        let (_, digits) = line.split_once(": ").expect("an offset, then bytes");
        let numbers = digits.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).expect("a byte"));
        bytes.extend(numbers);
    }
    assert_eq!(bytes, GOLDEN_V1);
}

#[test]
fn a_manifest_is_read_back_and_replaced() {
    let place = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(Manifest::read(place.path()).expect("an empty directory"), None);
    SAMPLE.write(place.path()).expect("a writable directory");
    assert_eq!(Manifest::read(place.path()).expect("it was written"), Some(SAMPLE));

    // What a crash before the rename leaves is no manifest, and does not stop the next one.
    fs::write(place.path().join(TEMPORARY_FILE_NAME), b"KORA").expect("a writable directory");
    assert_eq!(Manifest::read(place.path()).expect("the old one is whole"), Some(SAMPLE));
    let other = Manifest { shards: 3, ..SAMPLE };
    other.write(place.path()).expect("a writable directory");
    assert_eq!(Manifest::read(place.path()).expect("it was written"), Some(other));
    assert!(!place.path().join(TEMPORARY_FILE_NAME).exists());
}

#[test]
fn every_flipped_bit_is_found() {
    for bit in 0..LENGTH * 8 {
        let mut bytes = SAMPLE.encode();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Manifest::decode(&bytes).is_err(), "bit {bit}");
    }
}

#[test]
fn every_missing_end_is_found() {
    for length in 0..LENGTH {
        assert_eq!(Manifest::decode(&SAMPLE.encode()[..length]), Err((length, Damage::Short)));
    }
}

/// Changes bytes of a good manifest, puts the checksum right, and says what is wrong then.
fn check(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut bytes = SAMPLE.encode().to_vec();
    change(&mut bytes);
    let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
    bytes[CHECKSUM_AT..LENGTH].copy_from_slice(&checksum.to_le_bytes());
    let place = tempfile::tempdir().expect("a temporary directory");
    fs::write(place.path().join(FILE_NAME), bytes).expect("a writable directory");
    let error = Manifest::read(place.path()).expect_err("it is damaged").to_string();
    assert_eq!(error, format!("{}{expected}", place.path().join(FILE_NAME).display()));
}

#[test]
fn errors_name_file_and_offset() {
    check(|bytes| bytes[0] = b'k', " at offset 0: not a manifest of Kora");
    check(|bytes| bytes[VERSION_AT] = 2, " at offset 8: version 2 is unknown; this Kora reads version 1");
    check(|bytes| bytes[11] = 1, " at offset 9: reserved bytes are not zero");
    check(|bytes| bytes[SHARDS_AT] = 0, " at offset 12: a manifest of 0 shards");
    check(|bytes| bytes.push(0), " at offset 60: bytes follow the end of the manifest");

    let mut bytes = SAMPLE.encode();
    bytes[SEEDS_AT] ^= 0xff;
    let (stored, computed) = (number(&bytes, CHECKSUM_AT), crc32c::crc32c(&bytes[..CHECKSUM_AT]));
    assert_eq!(Manifest::decode(&bytes), Err((CHECKSUM_AT, Damage::Checksum { stored, computed })));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let missing = place.path().join("missing");
    let error = SAMPLE.write(&missing).expect_err("there is no such directory").to_string();
    let temporary = missing.join(TEMPORARY_FILE_NAME);
    assert!(error.starts_with(&format!("cannot create {}: ", temporary.display())), "{error}");
}
