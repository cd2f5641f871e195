//! Tests of the request decoder: every case whole and cut at every byte.

use super::*;

/// What a decoder made of some bytes: the words of each request, then the error if one ended it.
type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Decodes `input`, of which the decoder sees only so much at a time as `ends` says (offsets at which a read ends).
fn decode(input: &[u8], ends: impl Iterator<Item = usize>, limits: &DecodeLimits) -> Outcome {
    let mut decoder = Decoder::new();
    let (mut start, mut requests) = (0, Vec::new());
    for end in ends {
        loop {
            let buf = &input[start..end];
            match decoder.next(buf, limits) {
                Ok(Decoded::Command { consumed }) => {
                    requests.push(decoder.words(buf).iter().map(<[u8]>::to_vec).collect());
                    start += consumed;
                }
                Ok(Decoded::Empty { consumed }) => start += consumed,
                Ok(Decoded::Incomplete { at_least }) => {
                    assert!(at_least > 0);
                    break;
                }
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

/// Checks `input` whole, in two pieces cut anywhere, and byte by byte.
fn check_with(input: &[u8], limits: &DecodeLimits, requests: &[&[&[u8]]], error: Option<ProtocolError>) {
    let expected: Outcome =
        (requests.iter().map(|words| words.iter().map(|word| word.to_vec()).collect()).collect(), error);
    let whole = input.len();
    let shown = input.escape_ascii();
    assert_eq!(decode(input, std::iter::once(whole), limits), expected, "{shown}");
    assert_eq!(decode(input, 0..=whole, limits), expected, "{shown} byte by byte");
    for cut in 0..whole {
        assert_eq!(decode(input, [cut, whole].into_iter(), limits), expected, "{shown} cut at {cut}");
    }
}

fn check(input: &[u8], requests: &[&[&[u8]]]) {
    check_with(input, &DecodeLimits::default(), requests, None);
}

fn refuse(input: &[u8], error: ProtocolError) {
    check_with(input, &DecodeLimits::default(), &[], Some(error));
}

#[test]
fn requests_are_decoded_however_they_are_cut() {
    check(b"*1\r\n$4\r\nPING\r\n", &[&[b"PING"]]);
    check(
        b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\0\xff\r\n",
        &[&[b"GET", b"k"], &[b"SET", b"", b"\r\n\0\xff"]],
    );
    check(
        b"PING\r\n*1\r\n$4\r\nPING\r\nECHO 'a b'\nPING\r\r\n",
        &[&[b"PING"], &[b"PING"], &[b"ECHO", b"a b"], &[b"PING"]],
    );
    let twelve = [b"*12\r\n".as_slice(), &b"$12\r\nabcdefghijkl\r\n".repeat(12)].concat();
    check(&twelve, &[&[b"abcdefghijkl".as_slice(); 12]]);
}

#[test]
fn a_request_leaves_no_mark_on_the_next() {
    check(b"*1\r\n$1\r\na\r\n\nb\n*0\r\n\nc\n", &[&[b"a"], &[b"b"], &[b"c"]]);
    let error = Some(ProtocolError::InvalidMultibulkLength);
    check_with(b"*1\r\n$2\r\nab\r\n*\r\n", &DecodeLimits::default(), &[&[b"ab"]], error);
}

#[test]
fn requests_without_words_are_skipped() {
    check(b"*0\r\n*-1\r\n*-77\r\n\r\n\n  \t\r\nPING\r\n*-9223372036854775808\r\n", &[&[b"PING"]]);
}

#[test]
fn line_ends_are_skipped_unseen() {
    check(b"*1\rX$4\rYPINGZZ*1\r\n$4\r\nPING\r\n", &[&[b"PING"], &[b"PING"]]);
}

#[test]
fn what_is_cut_off_stays_incomplete() {
    for input in [
        "*",
        "*1",
        "*1\r",
        "*1\r\n",
        "*1\r\n$",
        "*1\r\n$4",
        "*1\r\n$4\r\nPING",
        "*1\r\n$4\r\nPING\r",
        "PING",
        "PING \"",
        "",
    ] {
        check(input.as_bytes(), &[]);
    }
}

#[test]
fn errors_are_those_of_redis() {
    use ProtocolError::*;
    for count in
        ["01", "abc", "", "+1", "-0", "1 ", " 1", "2147483648", "1048577", "99999999999999999999", "1\0", "-01"]
    {
        refuse(format!("*{count}\r\n").as_bytes(), InvalidMultibulkLength);
    }
    for length in ["-1", "x", "", "04", "536870913", "9999999999", "99999999999999999999", "-9223372036854775808"] {
        refuse(format!("*1\r\n${length}\r\n").as_bytes(), InvalidBulkLength);
    }
    refuse(b"*1\r\n:4\r\nPING\r\n", ExpectedDollar(b':'));
    refuse(b"*1\r\n\r\nPING", ExpectedDollar(b'\r'));
    refuse(b"*1\r\n\xff\r\n", ExpectedDollar(0xff));
    for line in ["PING \"a", "PING \"a\"b", "PING 'a'b", "\"\\\""] {
        refuse(format!("{line}\r\n").as_bytes(), UnbalancedQuotes);
    }
    let good_then_bad = b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nPING\r\n*1\r\n$4\r\n";
    check_with(good_then_bad, &DecodeLimits::default(), &[&[b"PING"]], Some(ExpectedDollar(b'*')));
}

#[test]
fn errors_are_written_as_redis_writes_them() {
    let check = |error: ProtocolError, text: &[u8]| {
        let mut out = Vec::new();
        error.write(&mut out);
        assert_eq!(out, text);
    };
    check(ProtocolError::InvalidBulkLength, b"-ERR Protocol error: invalid bulk length\r\n");
    check(ProtocolError::ExpectedDollar(b':'), b"-ERR Protocol error: expected '$', got ':'\r\n");
    check(ProtocolError::ExpectedDollar(b'\n'), b"-ERR Protocol error: expected '$', got ' '\r\n");
    check(ProtocolError::ExpectedDollar(0xff), b"-ERR Protocol error: expected '$', got '\xff'\r\n");
}

#[test]
fn before_authentication_little_is_allowed() {
    let limits = DecodeLimits::new(false);
    let ten = [b"*10\r\n".as_slice(), &b"$1\r\na\r\n".repeat(10)].concat();
    check_with(&ten, &limits, &[&[b"a".as_slice(); 10]], None);
    check_with(b"*11\r\n", &limits, &[], Some(ProtocolError::UnauthenticatedMultibulkLength));
    check_with(b"*1048577\r\n", &limits, &[], Some(ProtocolError::InvalidMultibulkLength));
    check_with(b"*1\r\n$16385\r\n", &limits, &[], Some(ProtocolError::UnauthenticatedBulkLength));
    check_with(b"*1\r\n$536870913\r\n", &limits, &[], Some(ProtocolError::InvalidBulkLength));
    check_with(b"*1\r\n$16384\r\n", &limits, &[], None);
}

#[test]
fn limits_hold_to_the_byte() {
    let limits = DecodeLimits {
        multibulk_max: 3,
        bulk_bytes_max: 5,
        inline_bytes_max: 8,
        request_bytes_max: 29,
        authenticated: true,
    };
    check_with(b"*3\r\n$5\r\nabcde\r\n$1\r\na\r\n$1\r\nb\r\n", &limits, &[&[b"abcde", b"a", b"b"]], None);
    check_with(b"*3\r\n$5\r\nabcde\r\n$1\r\na\r\n$2\r\nbc\r\n", &limits, &[], Some(ProtocolError::TooBigRequest));
    check_with(b"*4\r\n", &limits, &[], Some(ProtocolError::InvalidMultibulkLength));
    check_with(b"*1\r\n$6\r\n", &limits, &[], Some(ProtocolError::InvalidBulkLength));
    check_with(b"12345678\n", &limits, &[&[b"12345678"]], None);
    check_with(b"1234567\r\n", &limits, &[&[b"1234567"]], None);
    check_with(b"12345678\r\n", &limits, &[], Some(ProtocolError::TooBigInline));
    check_with(b"123456789", &limits, &[], Some(ProtocolError::TooBigInline));
    check_with(b"12345678", &limits, &[], None);
    check_with(b"*1234567", &limits, &[], None);
    check_with(b"*1234567\r\n", &limits, &[], Some(ProtocolError::InvalidMultibulkLength));
    check_with(b"*12345678", &limits, &[], Some(ProtocolError::TooBigMultibulkCount));
    check_with(b"*1\r\n$1234567", &limits, &[], None);
    check_with(b"*1\r\n$12345678", &limits, &[], Some(ProtocolError::TooBigBulkCount));
    check_with(b"*1\r\nabcdefghi", &limits, &[], Some(ProtocolError::TooBigBulkCount));
}

#[test]
fn a_big_word_says_how_much_is_missing() {
    let mut decoder = Decoder::new();
    let limits = DecodeLimits::default();
    let mut buf = b"*2\r\n$3\r\nSET\r\n$1000000\r\n".to_vec();
    assert_eq!(decoder.next(&buf, &limits), Ok(Decoded::Incomplete { at_least: 1_000_002 }));
    buf.resize(buf.len() + 400_000, b'x');
    assert_eq!(decoder.next(&buf, &limits), Ok(Decoded::Incomplete { at_least: 600_002 }));
    assert!(decoder.is_mid_request());
    buf.resize(buf.len() + 600_002, b'x');
    assert_eq!(decoder.next(&buf, &limits), Ok(Decoded::Command { consumed: buf.len() }));
    assert_eq!(decoder.words(&buf).get(1).unwrap().len(), 1_000_000);
    assert!(!decoder.is_mid_request());
}

#[test]
fn what_was_parsed_is_not_parsed_again() {
    // 100,000 words in as many pieces: quadratic work would take minutes.
    let words = 100_000;
    let mut input = format!("*{words}\r\n").into_bytes();
    input.extend_from_slice(&b"$1\r\na\r\n".repeat(words));
    let mut decoder = Decoder::new();
    let limits = DecodeLimits::default();
    for end in (9..input.len()).step_by(7) {
        assert!(matches!(decoder.next(&input[..end], &limits), Ok(Decoded::Incomplete { .. })));
    }
    assert_eq!(decoder.next(&input, &limits), Ok(Decoded::Command { consumed: input.len() }));
    assert_eq!(decoder.words(&input).len(), words);
    // The memory of an unusual request is given back with the next one.
    assert!(matches!(decoder.next(b"*1\r\n$1\r\na\r\n", &limits), Ok(Decoded::Command { .. })));
    assert!(decoder.spans.capacity() <= SPANS_KEPT_MAX);
}
