//! What waits for one client's socket: bytes to write next, and shared messages behind them.
//!
//! Owns: the order of replies and messages, and how little of a shared message is copied at a time. Refuses to know: who shares it, what limits there are.
//! Start at [`Output::push`].
//!
//! ```text
//! next ─► [ shared message │ replies behind it ] ─► [ shared message │ replies behind it ] ─► …
//! ```
//! A small message is copied, because a reference to it would cost more. Of a big one every subscriber keeps a reference, and a piece of it is copied
//! when the socket has taken what came before. So a message of a mebibyte for a thousand slow subscribers lies in memory once.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::limits;
use crate::reply::ReplyBuf;

/// A message that is shared, and what comes behind it.
#[derive(Debug)]
struct Chunk {
    shared: Rc<[u8]>,
    /// Bytes of it that have gone on.
    taken: usize,
    behind: ReplyBuf,
}

/// The output of one session.
#[derive(Debug, Default)]
pub(super) struct Output {
    next: ReplyBuf,
    chunks: VecDeque<Chunk>,
    /// Bytes in the chunks, but for those behind the last one.
    chunk_bytes: usize,
}

impl Output {
    /// Where the next reply is appended.
    #[inline]
    pub(super) fn tail(&mut self) -> &mut ReplyBuf {
        match self.chunks.back_mut() {
            None => &mut self.next,
            Some(last) => &mut last.behind,
        }
    }

    /// Appends a message.
    pub(super) fn push(&mut self, bytes: &Rc<[u8]>) {
        if bytes.len() < limits::PUSH_SHARED_BYTES_MIN {
            self.tail().bytes_mut().extend_from_slice(bytes);
            return;
        }
        self.chunk_bytes += self.chunks.back().map_or(0, |last| last.behind.len()) + bytes.len();
        self.chunks.push_back(Chunk { shared: Rc::clone(bytes), taken: 0, behind: ReplyBuf::default() });
    }

    /// Bytes that wait.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.next.len() + self.chunk_bytes + self.chunks.back().map_or(0, |last| last.behind.len())
    }

    /// True when nothing waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.chunks.is_empty()
    }

    /// The bytes to write next. They are empty only when nothing waits.
    #[inline]
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if self.next.is_empty() && !self.chunks.is_empty() {
            self.refill();
        }
        self.next.bytes_mut()
    }

    /// The buffer of the bytes to write next, to be lent or given back while there are none.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.next.bytes_mut()
    }

    /// Copies the next piece.
    #[cold]
    fn refill(&mut self) {
        let Some(first) = self.chunks.front_mut() else { return };
        let left = &first.shared[first.taken..];
        let piece = &left[..left.len().min(limits::PUSH_PIECE_BYTES)];
        self.next.bytes_mut().extend_from_slice(piece);
        first.taken += piece.len();
        self.chunk_bytes -= piece.len();
        if first.taken < first.shared.len() {
            return;
        }
        let Some(Chunk { behind, .. }) = self.chunks.pop_front() else { return };
        // What is behind the last chunk was never counted as the chunks'.
        if !self.chunks.is_empty() {
            self.chunk_bytes -= behind.len();
        }
        if !behind.is_empty() {
            self.next.bytes_mut().extend_from_slice(behind.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_and_messages_keep_their_order_and_big_ones_are_shared() {
        let mut output = Output::default();
        let big: Rc<[u8]> = vec![b'b'; 3 * limits::PUSH_PIECE_BYTES + 5].into();
        let small: Rc<[u8]> = b"small".as_slice().into();
        let mut expected = Vec::new();
        let mut largest = 0;
        for turn in 0..3_i64 {
            output.tail().integer(turn);
            expected.extend_from_slice(format!(":{turn}\r\n").as_bytes());
            for message in [&big, &small, &big, &big] {
                output.push(message);
                expected.extend_from_slice(message);
            }
            assert_eq!(output.len(), expected.len());
        }
        assert_eq!(Rc::strong_count(&big), 10);
        assert_eq!(Rc::strong_count(&small), 1, "a small message is copied");
        let mut got = Vec::new();
        while !output.is_empty() {
            assert_eq!(output.len(), expected.len() - got.len());
            let next = output.next();
            assert!(!next.is_empty());
            largest = largest.max(next.len());
            // A socket that takes half.
            let taken = next.len().div_ceil(2);
            got.extend(next.drain(..taken));
        }
        assert!(got == expected, "in order, and nothing is lost");
        assert!(largest <= limits::PUSH_PIECE_BYTES + 16, "{largest}");
        assert_eq!((output.len(), Rc::strong_count(&big)), (0, 1));
    }
}
