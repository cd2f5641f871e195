//! The manifest against its golden file, its drawing in docs/formats.md, and every way in which few bytes can be wrong.

use super::*;

/// Written once, when version 1 was made, and never again: files like it are out there.
const GOLDEN_V1: &[u8] = include_bytes!("../../tests/golden/manifest-v1.bin");
/// The same for version 2.
const GOLDEN_V2: &[u8] = include_bytes!("../../tests/golden/manifest-v2.bin");

fn sample() -> Manifest {
    Manifest { locality: "bull:*: q*/".to_owned(), pinned_databases: 1 << 3 | 1 << 5, ..sample_without_rules() }
}

fn sample_without_rules() -> Manifest {
    Manifest {
        shards: 8,
        routing_seeds: [0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303, 0x0404_0404_0404_0404],
        fingerprint: 0x1122_3344_5566_7788,
        locality: String::new(),
        pinned_databases: 0,
    }
}

#[test]
fn version_1_is_read_as_a_manifest_without_rules() {
    assert_eq!(Manifest::decode(GOLDEN_V1), Ok(sample_without_rules()));
}

#[test]
fn version_2_is_the_golden_file() {
    assert_eq!(sample().encode(), GOLDEN_V2);
    assert_eq!(Manifest::decode(GOLDEN_V2), Ok(sample()));
    assert_eq!(Manifest::decode(&sample_without_rules().encode()), Ok(sample_without_rules()));
}

#[test]
fn the_drawings_in_the_documentation_are_the_golden_files() {
    check_drawing("<!-- manifest-v1.bin -->", GOLDEN_V1);
    check_drawing("<!-- manifest-v2.bin -->", GOLDEN_V2);
}

fn check_drawing(mark: &str, golden: &[u8]) {
    let page = include_str!("../../../docs/formats.md");
    let (_, after) = page.split_once(mark).expect("the example is marked");
    let example = after.split("```").nth(1).expect("the example is a block of code");
    let mut bytes = Vec::new();
    for line in example.lines().skip(1) {
        let (_, digits) = line.split_once(": ").expect("an offset, then bytes");
        let numbers = digits.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).expect("a byte"));
        bytes.extend(numbers);
    }
    assert_eq!(bytes, golden, "{mark}");
}

#[test]
fn a_manifest_is_read_back_and_replaced() {
    let place = tempfile::tempdir().expect("a temporary directory");
    assert_eq!(Manifest::read(place.path()).expect("an empty directory"), None);
    sample().write(place.path()).expect("a writable directory");
    assert_eq!(Manifest::read(place.path()).expect("it was written"), Some(sample()));

    // What a crash before the rename leaves is no manifest, and does not stop the next one.
    fs::write(place.path().join(TEMPORARY_FILE_NAME), b"KORA").expect("a writable directory");
    assert_eq!(Manifest::read(place.path()).expect("the old one is whole"), Some(sample()));
    let other = Manifest { shards: 3, ..sample() };
    other.write(place.path()).expect("a writable directory");
    assert_eq!(Manifest::read(place.path()).expect("it was written"), Some(other));
    assert!(!place.path().join(TEMPORARY_FILE_NAME).exists());
}

#[test]
fn every_flipped_bit_is_found() {
    for golden in [GOLDEN_V1, GOLDEN_V2] {
        for bit in 0..golden.len() * 8 {
            let mut bytes = golden.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Manifest::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn every_missing_end_is_found() {
    for golden in [GOLDEN_V1, GOLDEN_V2] {
        for length in 0..golden.len() {
            let outcome = Manifest::decode(&golden[..length]);
            let Err((at, Damage::Short { expected })) = outcome else { panic!("{length}: {outcome:?}") };
            assert!(at == length && expected > length && expected <= golden.len(), "{length}: {outcome:?}");
        }
    }
}

/// Changes bytes of a good manifest, puts the checksum right, and says what is wrong then.
fn check(change: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut bytes = sample().encode();
    let checksum_at = bytes.len() - CHECKSUM_LENGTH;
    change(&mut bytes);
    let checksum = crc32c::crc32c(&bytes[..checksum_at]);
    bytes[checksum_at..checksum_at + CHECKSUM_LENGTH].copy_from_slice(&checksum.to_le_bytes());
    let place = tempfile::tempdir().expect("a temporary directory");
    fs::write(place.path().join(FILE_NAME), bytes).expect("a writable directory");
    let error = Manifest::read(place.path()).expect_err("it is damaged").to_string();
    assert_eq!(error, format!("{}{expected}", place.path().join(FILE_NAME).display()));
}

#[test]
fn errors_name_file_and_offset() {
    check(|bytes| bytes[0] = b'k', " at offset 0: not a manifest of Kora");
    check(|bytes| bytes[VERSION_AT] = 3, " at offset 8: version 3 is unknown; this Kora reads versions 1 to 2");
    check(|bytes| bytes[11] = 1, " at offset 9: reserved bytes are not zero");
    check(|bytes| bytes[SHARDS_AT] = 0, " at offset 12: a manifest of 0 shards");
    check(|bytes| bytes.push(0), " at offset 77: bytes follow the end of the manifest");
    check(|bytes| bytes[LOCALITY_LENGTH_AT] += 1, " at offset 77: the file ends here, 78 bytes were expected");
    let too_many = " at offset 60: 4097 bytes of locality patterns, at most 4096 were expected";
    check(|bytes| bytes[LOCALITY_LENGTH_AT..LOCALITY_AT].copy_from_slice(&4097_u16.to_le_bytes()), too_many);
    check(|bytes| bytes[LOCALITY_AT + 2] = 0xff, " at offset 64: the locality patterns are not UTF-8 text");

    let mut bytes = sample().encode();
    let checksum_at = bytes.len() - CHECKSUM_LENGTH;
    bytes[SEEDS_AT] ^= 0xff;
    let (stored, computed) = (number(&bytes, checksum_at), crc32c::crc32c(&bytes[..checksum_at]));
    assert_eq!(Manifest::decode(&bytes), Err((checksum_at, Damage::Checksum { stored, computed })));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let missing = place.path().join("missing");
    let error = sample().write(&missing).expect_err("there is no such directory").to_string();
    let temporary = missing.join(TEMPORARY_FILE_NAME);
    assert!(error.starts_with(&format!("cannot create {}: ", temporary.display())), "{error}");
}
