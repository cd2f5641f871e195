//! Each primitive, byte for byte.

use super::*;

fn made(make: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    make(&mut out);
    out
}

fn string(bytes: &[u8], compress: bool) -> Vec<u8> {
    made(|out| StringWriter::new(compress).write(out, bytes))
}

#[test]
fn lengths_take_the_fewest_bytes() {
    let cases: [(u64, &[u8]); 9] = [
        (0, &[0]),
        (63, &[63]),
        (64, &[0x40, 64]),
        (16_383, &[0x7f, 0xff]),
        (16_384, &[0x80, 0, 0, 0x40, 0]),
        (0xffff_fffe, &[0x80, 0xff, 0xff, 0xff, 0xfe]),
        (0xffff_ffff, &[0x80, 0xff, 0xff, 0xff, 0xff]),
        (0x1_0000_0000, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]),
        (u64::MAX, &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (len, bytes) in cases {
        assert_eq!(made(|out| write_length(out, len)), bytes, "{len}");
    }
}

#[test]
fn texts_of_integers_are_integers() {
    let cases: [(&str, &[u8]); 10] = [
        ("0", &[0xc0, 0]),
        ("-128", &[0xc0, 0x80]),
        ("127", &[0xc0, 0x7f]),
        ("128", &[0xc1, 0x80, 0]),
        ("-129", &[0xc1, 0x7f, 0xff]),
        ("32767", &[0xc1, 0xff, 0x7f]),
        ("32768", &[0xc2, 0, 0x80, 0, 0]),
        ("-32769", &[0xc2, 0xff, 0x7f, 0xff, 0xff]),
        ("2147483647", &[0xc2, 0xff, 0xff, 0xff, 0x7f]),
        ("-2147483648", &[0xc2, 0, 0, 0, 0x80]),
    ];
    for (text, bytes) in cases {
        assert_eq!(string(text.as_bytes(), true), bytes, "{text}");
        let int = text.parse().expect("a number");
        assert_eq!(made(|out| write_integer(out, int)), bytes, "{text}");
    }
    let odd = ["", "-", "-0", "00", "01", "+1", " 1", "1 ", "1a", "2147483648", "-2147483649", "99999999999", "-01"];
    for text in odd {
        let plain = [&[text.len() as u8], text.as_bytes()].concat();
        assert_eq!(string(text.as_bytes(), true), plain, "{text}");
    }
    let wide = i64::MIN.to_string();
    assert_eq!(made(|out| write_integer(out, i64::MIN)), string(wide.as_bytes(), true));
}

#[test]
fn strings_are_compressed_when_that_saves_four_bytes() {
    let alike = vec![b'a'; 1000];
    assert_eq!(string(&alike, false), [&[0x43, 0xe8], &alike[..]].concat());
    let short = string(&alike, true);
    assert_eq!((&short[..1], &short[2..4]), (&[0xc3][..], &[0x43, 0xe8][..]));
    assert_eq!(usize::from(short[1]) + 4, short.len());
    assert_eq!(string(&alike[..20], true)[0], 20);
    assert_eq!(string(&alike[..21], true)[0], 0xc3);
    // 24 different bytes and four that repeat: 29 bytes with the head, and nothing is saved.
    let mut odd: Vec<u8> = (0..24).collect();
    odd.extend([0, 1, 2, 3]);
    assert_eq!(string(&odd, true)[0], 28);
}

#[test]
fn records_around_keys() {
    assert_eq!(made(header), b"REDIS0010");
    assert_eq!(made(|out| select_db(out, 15)), [254, 15]);
    assert_eq!(made(|out| resize_db(out, 100, 3)), [251, 0x40, 100, 3]);
    assert_eq!(made(|out| expire_time_ms(out, 0x0102)), [252, 2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(made(|out| idle(out, 70)), [248, 0x40, 70]);
    assert_eq!(made(|out| freq(out, 255)), [249, 255]);
    assert_eq!(made(|out| StringWriter::new(true).aux(out, b"redis-bits", b"64")), b"\xfa\x0aredis-bits\xc0\x40");
    assert_eq!(made(|out| StringWriter::new(true).function(out, b"#!lua")), b"\xf5\x05#!lua");
    assert_eq!(made(|out| write_double(out, 1.5)), 1.5_f64.to_le_bytes());
}

#[test]
fn the_checksum_is_that_of_redis_however_it_is_fed() {
    assert_eq!(Checksum::of(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    let mut checksum = Checksum::default();
    for piece in [&b"1234"[..], b"", b"56789"] {
        checksum.update(piece);
    }
    assert_eq!(checksum.value(), 0xe9c6_d914_c4b8_d9ca);
    // An empty file as redis-server 7.0 writes one, without its aux fields.
    let mut file = made(header);
    let mut checksum = Checksum::default();
    checksum.update(&file);
    end(&mut file, Some(checksum));
    let all = file.len() - 8;
    assert_eq!(file[all..], Checksum::of(&file[..all]).to_le_bytes());
    assert_eq!(file[all - 1], 255);
    assert_eq!(made(|out| end(out, None)), [255, 0, 0, 0, 0, 0, 0, 0, 0]);
}
