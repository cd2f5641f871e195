//! What the codec costs: nanoseconds per operation, printed as a table. `cargo bench -p kora-runtime --bench codec [FILTER]`.
//!
//! Owns: the cases. Refuses to know: how they are measured; `harness` does.

mod harness;

use std::hint::black_box;

use kora_runtime::glob;
use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::resp::decode::{DecodeLimits, Decoded, Decoder};
use kora_runtime::resp::extended::add_decimal;
use kora_runtime::resp::number::{parse_f64, parse_i64, write_f64};
use kora_runtime::resp::value::skip_value;

use crate::harness::Bench;

fn command(words: &[&[u8]]) -> Vec<u8> {
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    reply.array(words.len());
    words.iter().for_each(|word| reply.bulk(word));
    reply.into_bytes()
}

/// Decodes every request of `input` and returns how many there were.
fn decode_all(decoder: &mut Decoder, input: &[u8], limits: &DecodeLimits) -> u32 {
    let (mut start, mut requests) = (0, 0);
    loop {
        let buf = &input[start..];
        match decoder.next(buf, limits) {
            Ok(Decoded::Command { consumed }) => {
                black_box(decoder.words(buf));
                requests += 1;
                start += consumed;
            }
            Ok(Decoded::Empty { consumed }) => start += consumed,
            Ok(Decoded::Incomplete { .. }) => return requests,
            Err(error) => panic!("{error}"),
        }
    }
}

fn decoding(bench: &Bench) {
    let limits = DecodeLimits::default();
    let get = command(&[b"GET", b"key:000000012345"]);
    let set = command(&[b"SET", b"key:000000012345", &[b'x'; 64]]);
    let mset: Vec<&[u8]> = std::iter::once(b"MSET".as_slice()).chain([b"key:000000012345".as_slice(); 20]).collect();
    for (name, request) in
        [("GET", get), ("SET 64 B", set), ("MSET 10 pairs", command(&mset)), ("inline GET", b"GET k\r\n".to_vec())]
    {
        for pipeline in [1u32, 16, 64] {
            let input = request.repeat(pipeline as usize);
            let mut decoder = Decoder::new();
            bench.case(&format!("decode {name}, pipeline {pipeline}"), pipeline, || {
                assert_eq!(decode_all(&mut decoder, black_box(&input), &limits), pipeline);
            });
        }
    }
}

fn encoding(bench: &Bench) {
    for pipeline in [1u32, 16, 64] {
        let mut reply = ReplyBuf::new(Protocol::Resp2);
        bench.case(&format!("encode bulk 64 B, pipeline {pipeline}"), pipeline, || {
            reply.truncate(0);
            for _ in 0..pipeline {
                reply.bulk(black_box(&[b'x'; 64]));
            }
            black_box(reply.as_bytes());
        });
        bench.case(&format!("encode integer, pipeline {pipeline}"), pipeline, || {
            reply.truncate(0);
            for number in 0..i64::from(pipeline) {
                reply.integer(black_box(number * 1000));
            }
            black_box(reply.as_bytes());
        });
    }
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    reply.array(100);
    (0..100).for_each(|number| reply.bulk_integer(number * 12_345));
    bench.case("skip an array of 100 bulks", 1, || {
        assert_eq!(skip_value(black_box(reply.as_bytes())), Some(reply.len()))
    });
}

fn numbers(bench: &Bench) {
    bench.case("parse_i64, 6 digits", 1, || assert!(parse_i64(black_box(b"123456")).is_some()));
    bench.case("parse_i64, 19 digits", 1, || assert!(parse_i64(black_box(b"-9223372036854775808")).is_some()));
    bench.case("parse_f64, integer", 1, || assert!(parse_f64(black_box(b"123456")).is_some()));
    bench.case("parse_f64, fraction", 1, || assert!(parse_f64(black_box(b"1234.56789")).is_some()));
    let mut text = Vec::new();
    for (name, number) in [("integer", 123_456.0), ("fraction", 1234.56789), ("tiny", 1.5e-200)] {
        bench.case(&format!("write_f64, {name}"), 1, || {
            text.clear();
            write_f64(&mut text, black_box(number));
        });
    }
    bench.case("add_decimal, 10.5 + 0.1", 1, || assert!(add_decimal(black_box(b"10.5"), black_box(b"0.1")).is_ok()));
    bench.case("glob, key:*", 1, || assert!(glob::matches(black_box(b"key:*"), black_box(b"key:000000012345"), false)));
    bench.case("glob, *1?3[4-5]*", 1, || {
        assert!(glob::matches(black_box(b"*1?3[4-5]*"), black_box(b"key:000000012345"), false));
    });
}

fn main() {
    let bench = Bench::from_arguments();
    decoding(&bench);
    encoding(&bench);
    numbers(&bench);
}
