//! Tests of numbers; `tests/oracle.rs` compares many more with answers of Redis.

use super::*;

#[test]
fn integers_are_read_when_canonical() {
    for number in [0, 1, -1, 9, 10, -10, 123_456_789_012_345_678, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
        assert_eq!(parse_i64(number.to_string().as_bytes()), Some(number));
    }
    for text in [
        "",
        "-",
        "+1",
        "01",
        "-0",
        "-01",
        " 1",
        "1 ",
        "1.0",
        "1e1",
        "a",
        "1a",
        "--1",
        "0x1",
        "00",
        "9223372036854775808",
        "-9223372036854775809",
        "9999999999999999999",
        "18446744073709551616",
        "99999999999999999999",
        "1\0",
        ":",
        "/",
    ] {
        assert_eq!(parse_i64(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn doubles_are_read_as_strtod_reads_them() {
    for (text, number) in [
        ("0", 0.0),
        ("1", 1.0),
        ("-3", -3.0),
        ("+5", 5.0),
        ("00012", 12.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e5", 1e5),
        ("1E+5", 1e5),
        ("1e0005", 1e5),
        ("-1.5e-3", -1.5e-3),
        ("inf", f64::INFINITY),
        ("+INF", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
        ("0x10", 16.0),
        ("0x1p-2", 0.25),
        ("0X1P+3", 8.0),
        ("0x.8", 0.5),
        ("0x1.", 1.0),
        ("-0x1.8", -1.5),
        ("0e-400", 0.0),
        ("0x0p-9999", 0.0),
        ("1e-320", 1e-320),
        ("0x1p-1074", 5e-324),
        ("0x1.8p-1074", 1e-323),
        ("123456789012345678", 123456789012345678.0),
        ("999999999999999", 999999999999999.0),
        ("0x1fffffffffffff8", 144115188075855864.0),
        ("0x1.fffffffffffff7fp0", 1.9999999999999998),
        ("0x1.fffffffffffff8p0", 2.0),
        ("0x3fffffffffffffffffffffffffffffffffffffff", 3.6537540933272573e47),
    ] {
        assert_eq!(parse_f64(text.as_bytes()), Some(number), "{text}");
    }
    assert!(parse_f64(b"-0").unwrap().is_sign_negative());
    for text in [
        "",
        " 1",
        "1 ",
        "+",
        "-",
        ".",
        "e5",
        "1e",
        "1e+",
        "--5",
        "+-5",
        "1_0",
        "1f",
        "nan",
        "-nan",
        "nan(1)",
        "infi",
        "in",
        "0x",
        "0x.",
        "0x1p",
        "0x1p+",
        "0xg",
        "0x1g",
        "1e400",
        "-1e400",
        "1e-400",
        "0x1p2000",
        "0x1p-2000",
        "0x1p-1075",
        "0b1",
        "1,5",
        "1\0",
        "\u{661}",
    ] {
        assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn bounds_are_read_more_leniently() {
    for (text, number) in [
        ("", 0.0),
        ("  5", 5.0),
        ("\t-1.5", -1.5),
        ("1e400", f64::INFINITY),
        ("-1e400", f64::NEG_INFINITY),
        ("1e-400", 0.0),
        ("0x1p2000", f64::INFINITY),
        ("0x1p-2000", 0.0),
        ("+inf", f64::INFINITY),
        ("3", 3.0),
    ] {
        assert_eq!(parse_f64_bound(text.as_bytes()), Some(number), "{text:?}");
    }
    for text in [" ", "1 ", "nan", "(1", "x", "  x", "- 1"] {
        assert_eq!(parse_f64_bound(text.as_bytes()), None, "{text:?}");
    }
}

#[track_caller]
fn check_write(number: f64, text: &str) {
    let mut out = Vec::new();
    write_f64(&mut out, number);
    assert_eq!(String::from_utf8(out).unwrap(), text);
}

#[test]
fn doubles_are_written_as_printf_writes_them() {
    for (number, text) in [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (-1.0, "-1"),
        (3.5, "3.5"),
        (0.1, "0.10000000000000001"),
        (0.5, "0.5"),
        (1e16, "10000000000000000"),
        (1e17, "1e+17"),
        (-1e17, "-1e+17"),
        (99999999999999984.0, "99999999999999984"),
        (1e20, "1e+20"),
        (123456789012345680000.0, "1.2345678901234568e+20"),
        (1e100, "1e+100"),
        (1e-4, "0.0001"),
        (1e-5, "1.0000000000000001e-05"),
        (-1.5e-7, "-1.4999999999999999e-07"),
        (5e-324, "4.9406564584124654e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
        (1e-10, "1e-10"),
        (std::f64::consts::PI, "3.1415926535897931"),
        (1.0 / 3.0, "0.33333333333333331"),
        (100.25, "100.25"),
        (1e15 + 0.5, "1000000000000000.5"),
        (0.00012, "0.00012"),
    ] {
        check_write(number, text);
    }
}

#[test]
fn ties_round_to_even() {
    // Odd multiples of 2^-20 above 10^4 have exactly 18 significant digits, the last of them a 5.
    check_write(10_001.0 / 1_048_576.0, "0.0095376968383789062");
    check_write(10_003.0 / 1_048_576.0, "0.0095396041870117188");
}

#[test]
fn what_is_written_is_read_back() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for round in 0..20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let number = if round % 2 == 0 { f64::from_bits(state) } else { state as i64 as f64 / 1e6 };
        if number.is_nan() {
            continue;
        }
        let mut text = Vec::new();
        write_f64(&mut text, number);
        assert_eq!(parse_f64(&text).map(f64::to_bits), Some(number.to_bits()), "{}", text.escape_ascii());
    }
}
