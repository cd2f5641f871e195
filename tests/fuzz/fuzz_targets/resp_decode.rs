//! The request decoder: however the input is cut into pieces, it gives what it gives in one piece.
//!
//! The first byte seeds where the cuts are and whether the client has authenticated; the rest is what it sends. Everything that
//! is decoded is walked, and made a reply of, so the readers of replies are run as well.

#![no_main]

use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::resp::decode::{DecodeLimits, Decoded, Decoder, ProtocolError};
use kora_runtime::resp::value::{array_elements, bulk_of, skip_value};
use libfuzzer_sys::fuzz_target;

/// Requests, then the error that ended them or the bytes that were left.
type Outcome = (Vec<Vec<Vec<u8>>>, Result<usize, ProtocolError>);

fn decode(input: &[u8], mut next_end: impl FnMut(usize) -> usize, limits: &DecodeLimits) -> Outcome {
    let mut decoder = Decoder::new();
    let (mut start, mut end, mut requests) = (0, 0, Vec::new());
    loop {
        let buf = &input[start..end];
        match decoder.next(buf, limits) {
            Ok(Decoded::Command { consumed }) => {
                requests.push(decoder.words(buf).iter().map(<[u8]>::to_vec).collect());
                assert!((1..=buf.len()).contains(&consumed));
                start += consumed;
            }
            Ok(Decoded::Empty { consumed }) => {
                assert!((1..=buf.len()).contains(&consumed));
                start += consumed;
            }
            Ok(Decoded::Incomplete { at_least }) => {
                assert!(at_least > 0);
                if end == input.len() {
                    return (requests, Ok(input.len() - start));
                }
                end = next_end(end).clamp(end + 1, input.len());
            }
            Err(error) => return (requests, Err(error)),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&seed, input)) = data.split_first() else {
        return;
    };
    let limits = DecodeLimits {
        multibulk_max: 1000,
        bulk_bytes_max: 2000,
        inline_bytes_max: 100,
        request_bytes_max: 3000,
        authenticated: seed & 1 == 1,
    };
    let whole = decode(input, |_| input.len(), &limits);
    let stride = usize::from(seed >> 1 & 7) + 1;
    assert_eq!(decode(input, |end| end + stride, &limits), whole);
    let mut state = u32::from(seed) << 8 | 1;
    let uneven = |end: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        end + (state >> 28) as usize
    };
    assert_eq!(decode(input, uneven, &limits), whole);
    for words in &whole.0 {
        let mut reply = ReplyBuf::new(Protocol::Resp2);
        reply.array(words.len());
        words.iter().for_each(|word| reply.bulk(word));
        assert_eq!(skip_value(reply.as_bytes()), Some(reply.len()));
        let elements = array_elements(reply.as_bytes()).expect("an array was written");
        assert!(elements.map(bulk_of).eq(words.iter().map(|word| Some(word.as_slice()))));
    }
    // Bytes that are no reply of ours must be refused or walked, nothing else.
    if let Some(len) = skip_value(input) {
        assert!(len <= input.len());
    }
    if let Some(elements) = array_elements(input) {
        assert!(elements.count() <= input.len());
    }
});
