//! Files and the parts of values, whole, in pieces, and damaged.

use std::io;

use super::codes::{VERSION_MAX, types};
use super::*;

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/redis-7.0.15.rdb");

/// Gives a few bytes at a time, and sometimes is interrupted.
struct Stingy<'b> {
    bytes: &'b [u8],
    turn: usize,
}

impl Source for Stingy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = (self.turn % 4 + 1).min(buffer.len()).min(self.bytes.len());
        buffer[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes = &self.bytes[len..];
        Ok(len)
    }
}

fn stingy(bytes: &[u8]) -> Box<dyn Source + '_> {
    Box::new(Stingy { bytes, turn: 0 })
}

/// All items of a file as text; the values of keys are skipped.
fn items(file: Result<RdbFile<'_>, RdbError>) -> Result<Vec<String>, RdbError> {
    let (mut file, mut found) = (file?, Vec::new());
    loop {
        let item = file.next_item()?;
        let text = match item {
            Item::Aux { name, value } => format!("{}={value:?}", String::from_utf8_lossy(name)),
            Item::Function(source) => format!("function {}", String::from_utf8_lossy(source)),
            other => format!("{other:?}"),
        };
        if let Item::Key(head) = item {
            found.push(format!("{} {} {:?}", String::from_utf8_lossy(file.key()), head.kind, head.expiry_ms));
            if let Some(module) = file.skip_value(head.kind)? {
                found.push(format!("of module {module}"));
            }
            continue;
        }
        found.push(text);
        if found.last().is_some_and(|item| item == "End") {
            assert!(file.is_at_end()?);
            return Ok(found);
        }
    }
}

/// What is wrong, without where.
fn error(bytes: &[u8]) -> String {
    items(RdbFile::of_bytes("a.rdb", bytes)).expect_err("it is damaged").to_string()
}

/// A file of this version with these items and a right checksum.
fn file(version: u16, items: &[u8]) -> Vec<u8> {
    let mut bytes = format!("REDIS{version:04}").into_bytes();
    bytes.extend(items);
    bytes.push(codes::opcodes::EOF);
    let mut checksum = Checksum::new();
    checksum.update(&bytes);
    bytes.extend(checksum.value().to_le_bytes());
    bytes
}

#[test]
fn a_file_of_redis_is_walked_to_its_end() {
    let found = items(RdbFile::of_bytes("golden", GOLDEN)).expect("redis-server wrote it");
    for expected in [
        "redis-bits=Int(64)",
        "function #!lua name=lib\nredis.register_function('f', function() return 1 end)",
        "Database(0)",
        "Sizes { keys: 13, expiring: 2 }",
        "int 0 Some(4102444800000)",
        "stream 19 None",
        "groups 19 None",
        "Database(3)",
        "End",
    ] {
        assert!(found.iter().any(|item| item == expected), "{expected}: {found:#?}");
    }
    assert_eq!(items(RdbFile::open("golden", stingy(GOLDEN))).expect("the same in pieces"), found);
}

#[test]
fn no_part_of_a_file_can_be_lost_or_changed() {
    for len in 0..GOLDEN.len() {
        assert!(items(RdbFile::of_bytes("golden", &GOLDEN[..len])).is_err(), "cut at {len}");
    }
    for at in 0..GOLDEN.len() {
        let mut bytes = GOLDEN.to_vec();
        bytes[at] ^= 0x10;
        assert!(items(RdbFile::of_bytes("golden", &bytes)).is_err(), "changed at {at}");
    }
    let mut unchecked = GOLDEN.to_vec();
    let end = unchecked.len() - 8;
    unchecked[end..].fill(0);
    assert!(items(RdbFile::of_bytes("golden", &unchecked)).is_ok(), "0 is no checksum");
}

#[test]
fn errors_name_the_file_the_place_and_what_is_wrong() {
    let flipped = |at: usize| {
        let mut bytes = file(10, b"\xfe\x00\x00\x01k\x01v");
        bytes[at] ^= 1;
        error(&bytes)
    };
    assert_eq!(flipped(0), "a.rdb at offset 0: not an RDB file");
    assert_eq!(error(b"RED"), "a.rdb at offset 0: not an RDB file");
    assert!(flipped(15).starts_with("a.rdb at offset 17: the checksum is 0x"), "{}", flipped(15));
    assert_eq!(
        error(&file(12, b"")),
        format!("a.rdb at offset 5: RDB version 12 is not known; versions 1 to {VERSION_MAX} are")
    );
    assert_eq!(error(&file(10, b"\xf0")), "a.rdb at offset 9: 240 is no type of values");
    assert_eq!(error(&file(10, b"\x08\x01k")), "a.rdb at offset 9: 8 is no type of values");
    let stray = error(&file(10, b"\xf9\x01\xfe\x00"));
    assert_eq!(stray, "a.rdb at offset 11: an expiry or an access time stands before something that is no key");
    let old = error(&file(10, b"\xf6\x01a"));
    assert!(old.contains("a function of a release candidate of Redis 7.0"), "{old}");
    let long = error(&file(10, b"\x00\x01k\x81\x00\x00\x01\x00\x00\x00\x00\x00v"));
    assert!(long.contains("a string of 1099511627776 bytes"), "{long}");
}

#[test]
fn what_modules_wrote_is_skipped_by_its_marks() {
    // "ReJSON-RL" version 3, as its nine characters of six bits say.
    let id = b"ReJSON-RL".iter().fold(0_u64, |id, character| {
        let characters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        id << 6 | characters.iter().position(|known| known == character).expect("it is one of them") as u64
    }) << 10
        | 3;
    let id = [&[0x81][..], &id.to_be_bytes()].concat();
    let parts = b"\x02\x07\x01\x05\x03abcd\x04abcdefgh\x05\x03xyz\x00";
    let aux = [&[247][..], &id, b"\x02\x01", parts].concat();
    let value = [&[types::MODULE_2, 1, b'k'][..], &id, parts].concat();
    let found = items(RdbFile::of_bytes("modules", &file(9, &[&aux[..], &value].concat()))).expect("it can be walked");
    assert_eq!(found, ["Module(\"ReJSON-RL\")", "k 7 None", "of module ReJSON-RL", "End"]);
    let unknown = [&[types::MODULE_2, 1, b'k'][..], &id, b"\x06\x00"].concat();
    assert!(error(&file(9, &unknown)).contains("a part of unknown kind 6"));
    assert!(error(&file(9, b"\x06\x01k\x00")).contains("unreadable"));
}

#[test]
fn strings_are_read_in_every_form_from_bytes_and_from_pieces() {
    let long = vec![b'y'; 300_000];
    let huge = vec![b'z'; 3_000_000];
    let mut bytes = b"\x03abc\x41\x00".to_vec();
    bytes.extend([b'x'; 256]);
    bytes.extend(b"\x80\x00\x04\x93\xe0");
    bytes.extend(&long);
    bytes.extend(b"\x81\x00\x00\x00\x00\x00\x2d\xc6\xc0");
    bytes.extend(&huge);
    bytes.extend(b"\xc0\x80\xc1\x00\x80\xc2\xff\xff\xff\x7f\xc3\x06\x09\x02abc\x80\x02\x00");
    let readers = [
        Reader::of_bytes("bytes", &bytes),
        Reader::of_source("pieces", stingy(&bytes)),
        Reader::of_source("source", Box::new(&bytes[..])),
    ];
    let mut sums = Vec::new();
    for mut reader in readers {
        for expected in [&b"abc"[..], &[b'x'; 256], &long, &huge] {
            assert!(matches!(reader.string(), Ok(Element::Bytes(bytes)) if bytes == expected));
        }
        for expected in [-128, -32_768, i64::from(i32::MAX)] {
            assert!(matches!(reader.string(), Ok(Element::Int(integer)) if integer == expected));
        }
        assert!(matches!(reader.text(), Ok(b"abcabcabc")));
        assert!(matches!(reader.text_or_owned(0), Ok(Text::Shown(Element::Bytes(b"")))));
        assert_eq!(reader.offset(), bytes.len() as u64);
        assert!(reader.is_at_end().expect("it can be read"));
        sums.push(reader.checksum());
    }
    let mut whole = Checksum::new();
    whole.update(&bytes);
    assert_eq!(sums, [whole.value(); 3]);
}

#[test]
fn the_checksum_is_that_of_redis() {
    let mut checksum = Checksum::new();
    checksum.update(b"1234");
    checksum.update(b"");
    checksum.update(b"56789");
    assert_eq!(checksum.value(), 0xe9c6_d914_c4b8_d9ca);
}

#[test]
fn a_payload_is_framed_by_version_and_checksum() {
    let payload = payload::close(types::STRING, b"\x01v");
    assert_eq!(payload::open(&payload), Some((types::STRING, &b"\x01v"[..])));
    for at in 0..payload.len() {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        assert_eq!(payload::open(&changed), None, "changed at {at}");
        assert_eq!(payload::open(&payload[..at]), None);
    }
}
