//! Tests of sums; `tests/oracle.rs` compares many more with answers of Redis.

use super::*;

#[track_caller]
fn check(current: &str, increment: &str, sum: &str) {
    let text = add_decimal(current.as_bytes(), increment.as_bytes()).map(|text| String::from_utf8(text).unwrap());
    assert_eq!(text.as_deref(), Ok(sum), "{current} + {increment}");
}

#[test]
fn sums_are_those_of_redis() {
    check("0.1", "0.2", "0.3");
    check("10.50", "0.1", "10.6");
    check("5.0e3", "0", "5000");
    check("5.0e3", "2.0e2", "5200");
    check("3.0e3", "1.5", "3001.5");
    check("-0", "-0", "0");
    check("0", "-1e-30", "0");
    check("-0.5", "0.5", "0");
    check("3", "-5.25", "-2.25");
    check("1234567.1", "0.2", "1234567.30000000000006821");
    check("9223372036854775807", "1", "9223372036854775808");
    check("-9223372036854775808", "-1", "-9223372036854775809");
    check("18446744073709551615", "1", "18446744073709551616");
    check("18446744073709551616", "1.5", "18446744073709551618");
    check("1e17", "0.1", "100000000000000000.1015625");
    check("3.14159265358979323846", "0", "3.14159265358979324");
    check("0.00000000000000001", "0", "0.00000000000000001");
    check("0.000000000000000005", "0", "0");
    check("0x10", "0x1p-2", "16.25");
    check("1e-400", "0", "0");
    check("1e25", "0", "10000000000000000000000000");
    check("1e-4950", "1e-4950", "0");
}

#[test]
fn large_sums_are_written_in_full() {
    let text = add_decimal(b"0x1p16383", b"0").unwrap();
    assert_eq!(text.len(), 4932);
    assert!(text.starts_with(b"594865747678615882542879"), "{}", text[..30].escape_ascii());
    // Reading it back loses nothing.
    assert_eq!(Extended::parse(&text), Extended::parse(b"0x1p16383"));
    assert_eq!(add_decimal(&text, b"0"), Ok(text.clone()));
    assert_eq!(add_decimal(&text, &text), Err(SumError::NanOrInfinity));
}

#[test]
fn what_is_no_float_is_refused() {
    for text in [
        "",
        " 1",
        "1 ",
        "nan",
        "abc",
        "1e",
        "1e5000",
        "1e-5000",
        "0x1p20000",
        "0x1p-20000",
        "1..2",
        ".",
        "1\0",
        "\"1\"",
    ] {
        assert_eq!(add_decimal(text.as_bytes(), b"1"), Err(SumError::CurrentNotAFloat), "{text}");
        assert_eq!(add_decimal(b"1", text.as_bytes()), Err(SumError::IncrementNotAFloat), "{text}");
    }
    for (current, increment) in [("inf", "1"), ("1", "-inf"), ("inf", "-inf"), ("1.1e4932", "1.1e4932")] {
        assert_eq!(add_decimal(current.as_bytes(), increment.as_bytes()), Err(SumError::NanOrInfinity));
    }
    assert!(Extended::parse(&[b'1'; 4000]).is_some());
    assert!(Extended::parse(&[b'0'; TEXT_BYTES_MAX]).is_some());
    assert!(Extended::parse(&[b'0'; TEXT_BYTES_MAX + 1]).is_none());
}

#[test]
fn doubles_are_written_in_plain_decimals() {
    for (number, text) in [
        (0.1, "0.10000000000000001"),
        (0.0, "0"),
        (-0.0, "0"),
        (1e22, "10000000000000000000000"),
        (13.361389338970184, "13.36138933897018433"),
        (-5e-324, "0"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        let mut out = Vec::new();
        write_f64_plain(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
