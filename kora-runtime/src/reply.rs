//! Replies: one buffer in the protocol of the connection, and typed writers for aggregates.
//!
//! Owns: RESP2 and RESP3 encoding. Refuses to know: which command is replying.
//! Start at [`ReplyBuf`]. Handlers of scalar rows return a value; those of aggregate rows get an [`ArrayReply`], [`SetReply`] or
//! [`MapReply`] whose element types come from the row, so that a wrong shape does not compile.

use std::marker::PhantomData;

use crate::error::CommandError;
use crate::resp::number::write_f64;
use crate::types::Element;

/// The protocol a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// RESP2, where every connection starts.
    #[default]
    Resp2,
    /// RESP3, after `HELLO 3`.
    Resp3,
}

/// A binary string in a reply: borrowed from the keyspace or made for this reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bulk<'r> {
    /// Bytes that live somewhere else.
    Borrowed(&'r [u8]),
    /// Bytes made for this reply.
    Owned(Vec<u8>),
    /// An integer, written in decimal.
    Integer(i64),
}

impl<'r> From<&'r [u8]> for Bulk<'r> {
    fn from(bytes: &'r [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Vec<u8>> for Bulk<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl<'r> From<Element<'r>> for Bulk<'r> {
    #[inline]
    fn from(element: Element<'r>) -> Self {
        match element {
            Element::Bytes(bytes) => Self::Borrowed(bytes),
            Element::Int(number) => Self::Integer(number),
        }
    }
}

/// Encoded replies, one after another.
#[derive(Debug, Default)]
pub struct ReplyBuf {
    bytes: Vec<u8>,
    protocol: Protocol,
}

/// A place in a [`ReplyBuf`] where an aggregate's header will be put once its length is known.
#[derive(Debug)]
#[must_use = "a deferred aggregate must be closed"]
pub struct Deferred {
    at: usize,
    kind: u8,
}

impl ReplyBuf {
    /// An empty buffer.
    pub fn new(protocol: Protocol) -> Self {
        Self { bytes: Vec::new(), protocol }
    }

    /// A buffer that goes on behind `bytes`.
    pub fn with_bytes(bytes: Vec<u8>, protocol: Protocol) -> Self {
        Self { bytes, protocol }
    }

    /// The protocol of what is written next.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Changes the protocol of what is written next.
    #[inline]
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// What has been written.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer itself, for the layers that move replies about.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Gives the bytes up.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes written so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing is written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Drops what was written after `len`.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    #[inline]
    fn header(&mut self, kind: u8, number: i64) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string; must hold no CR or LF.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// An error. CR and LF in the text become spaces, as in Redis.
    pub fn error(&mut self, error: &CommandError) {
        use std::io::Write;
        self.bytes.push(b'-');
        let start = self.bytes.len();
        write!(self.bytes, "{error}").expect("writing to a Vec cannot fail");
        for byte in &mut self.bytes[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, number: i64) {
        self.header(b':', number);
    }

    /// A binary string.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.bytes.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A binary string that holds a decimal integer.
    #[inline]
    pub fn bulk_integer(&mut self, number: i64) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number);
        self.bulk(digits.as_bytes());
    }

    /// A [`Bulk`].
    #[inline]
    pub fn put_bulk(&mut self, bulk: &Bulk<'_>) {
        match bulk {
            Bulk::Borrowed(bytes) => self.bulk(bytes),
            Bulk::Owned(bytes) => self.bulk(bytes),
            Bulk::Integer(number) => self.bulk_integer(*number),
        }
    }

    /// An element of a collection, as it is stored.
    #[inline]
    pub fn element(&mut self, element: Element<'_>) {
        match element {
            Element::Bytes(bytes) => self.bulk(bytes),
            Element::Int(number) => self.bulk_integer(number),
        }
    }

    /// A [`Bulk`] of plain text: a verbatim string in RESP3.
    pub fn put_verbatim(&mut self, text: &Bulk<'_>) {
        match text {
            Bulk::Borrowed(bytes) => self.verbatim(bytes),
            Bulk::Owned(bytes) => self.verbatim(bytes),
            Bulk::Integer(number) => self.verbatim(itoa::Buffer::new().format(*number).as_bytes()),
        }
    }

    /// A double: a bulk string in RESP2.
    pub fn double(&mut self, number: f64) {
        match self.protocol {
            Protocol::Resp2 => self.bulk_double(number),
            Protocol::Resp3 => {
                self.bytes.push(b',');
                write_f64(&mut self.bytes, number);
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A binary string that holds a double, in either protocol (ZSCAN).
    pub fn bulk_double(&mut self, number: f64) {
        let start = self.bytes.len();
        write_f64(&mut self.bytes, number);
        let len = self.bytes.len() - start;
        // The length is known once the text is there: the header is written behind it and changes places with it.
        self.header(b'$', len as i64);
        self.bytes[start..].rotate_left(len);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A boolean: an integer in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => self.bytes.extend_from_slice(if value { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// Null; in RESP2 the null bulk string.
    #[inline]
    pub fn null(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n".as_slice(),
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// Null where an array could have stood; in RESP2 the null array.
    pub fn null_array(&mut self) {
        self.bytes.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n".as_slice(),
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// A verbatim string of plain text: a bulk string in RESP2.
    pub fn verbatim(&mut self, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.bytes.extend_from_slice(b"txt:");
                self.bytes.extend_from_slice(text);
                self.bytes.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Opens an array of `len` elements.
    #[inline]
    pub fn array(&mut self, len: usize) {
        self.header(b'*', len as i64);
    }

    /// Opens a map of `len` pairs: a flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * len as i64),
            Protocol::Resp3 => self.header(b'%', len as i64),
        }
    }

    /// Opens a set of `len` elements: an array in RESP2.
    pub fn set(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'~', len as i64),
        }
    }

    /// Opens a push message of `len` elements: an array in RESP2.
    pub fn push(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', len as i64),
            Protocol::Resp3 => self.header(b'>', len as i64),
        }
    }

    /// Opens an array whose length is known only when [`ReplyBuf::close`] is called.
    pub fn deferred_array(&mut self) -> Deferred {
        Deferred { at: self.bytes.len(), kind: b'*' }
    }

    /// Opens a set whose length is known only when [`ReplyBuf::close`] is called.
    pub fn deferred_set(&mut self) -> Deferred {
        let kind = if self.protocol == Protocol::Resp3 { b'~' } else { b'*' };
        Deferred { at: self.bytes.len(), kind }
    }

    /// Puts the header of a deferred aggregate of `len` elements in place.
    pub fn close(&mut self, deferred: Deferred, len: usize) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(len).as_bytes();
        let header = [&[deferred.kind], digits, b"\r\n"].concat();
        self.bytes.splice(deferred.at..deferred.at, header);
    }
}

/// A value that can stand where a row declares an element of type `T`.
///
/// The types a row can declare are `()` (ok), `i64`, `f64`, `bool`, [`Simple`], [`Verbatim`], `Bulk<'static>` and `Option` of
/// these. What a handler has at hand fits where it means the same: any kind of bytes fits a `Bulk<'static>`.
pub trait WriteAs<T> {
    /// Appends the value.
    fn write_as(&self, reply: &mut ReplyBuf);
}

/// A status word such as `PONG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simple(pub &'static str);

/// Text that RESP3 shows as a verbatim string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verbatim(pub Vec<u8>);

macro_rules! write_as {
    ($($value:ty => $declared:ty, |$this:ident, $reply:ident| $write:expr;)*) => {$(
        impl WriteAs<$declared> for $value {
            #[inline]
            fn write_as(&self, $reply: &mut ReplyBuf) {
                let $this = self;
                $write;
            }
        }
    )*};
}

write_as! {
    () => (), |_value, reply| reply.ok();
    i64 => i64, |value, reply| reply.integer(*value);
    f64 => f64, |value, reply| reply.double(*value);
    bool => bool, |value, reply| reply.boolean(*value);
    Simple => Simple, |value, reply| reply.simple(value.0);
    String => Simple, |value, reply| reply.simple(value);
    Verbatim => Verbatim, |value, reply| reply.verbatim(&value.0);
    Bulk<'_> => Bulk<'static>, |value, reply| reply.put_bulk(value);
    Element<'_> => Bulk<'static>, |value, reply| reply.element(*value);
    &[u8] => Bulk<'static>, |value, reply| reply.bulk(value);
    &Vec<u8> => Bulk<'static>, |value, reply| reply.bulk(value);
    &&[u8] => Bulk<'static>, |value, reply| reply.bulk(value);
    Vec<u8> => Bulk<'static>, |value, reply| reply.bulk(value);
    Box<[u8]> => Bulk<'static>, |value, reply| reply.bulk(value);
    &Box<[u8]> => Bulk<'static>, |value, reply| reply.bulk(value);
    &str => Bulk<'static>, |value, reply| reply.bulk(value.as_bytes());
    String => Bulk<'static>, |value, reply| reply.bulk(value.as_bytes());
    i64 => Bulk<'static>, |value, reply| reply.bulk_integer(*value);
}

impl<const N: usize> WriteAs<Bulk<'static>> for &[u8; N] {
    #[inline]
    fn write_as(&self, reply: &mut ReplyBuf) {
        reply.bulk(self.as_slice());
    }
}

impl<T, V: WriteAs<T>> WriteAs<Option<T>> for Option<V> {
    #[inline]
    fn write_as(&self, reply: &mut ReplyBuf) {
        match self {
            Some(value) => value.write_as(reply),
            None => reply.null(),
        }
    }
}

macro_rules! aggregate_reply {
    ($name:ident, $open:ident, $what:literal) => {
        #[doc = concat!("Writes the ", $what, " that a row declares. The length comes first, then exactly that many elements.")]
        #[derive(Debug)]
        pub struct $name<'w, T> {
            reply: &'w mut ReplyBuf,
            element: PhantomData<fn(T)>,
        }

        impl<'w, T> $name<'w, T> {
            /// A writer onto `reply`.
            #[inline]
            pub fn new(reply: &'w mut ReplyBuf) -> Self {
                Self { reply, element: PhantomData }
            }

            /// Opens it with `len` elements.
            #[inline]
            pub fn open(self, len: usize) -> Items<'w, T> {
                self.reply.$open(len);
                Items { reply: self.reply, left: len, element: PhantomData }
            }

            /// Writes all of `items`.
            pub fn all(self, items: impl ExactSizeIterator<Item: WriteAs<T>>) {
                let mut writer = self.open(items.len());
                for item in items {
                    writer.push(item);
                }
            }

            /// An empty one.
            pub fn empty(self) {
                self.reply.$open(0);
            }
        }
    };
}

aggregate_reply!(ArrayReply, array, "array");
aggregate_reply!(SetReply, set, "set");

/// The elements of an open aggregate.
#[derive(Debug)]
pub struct Items<'w, T> {
    reply: &'w mut ReplyBuf,
    left: usize,
    element: PhantomData<fn(T)>,
}

impl<T> Items<'_, T> {
    /// Writes the next element.
    #[inline]
    pub fn push(&mut self, item: impl WriteAs<T>) {
        debug_assert!(self.left > 0, "more elements than announced");
        self.left -= 1;
        item.write_as(self.reply);
    }

    /// Bytes written so far, what stood in the buffer before included: for a command that bounds its reply.
    #[inline]
    pub fn bytes_len(&self) -> usize {
        self.reply.len()
    }

    /// Gives the aggregate up unfinished: the command fails, and its error takes the place of the whole reply.
    pub fn abandon(mut self) {
        self.left = 0;
    }
}

impl<T> Drop for Items<'_, T> {
    fn drop(&mut self) {
        debug_assert!(
            self.left == 0 || std::thread::panicking(),
            "{} elements were announced but not written",
            self.left
        );
    }
}

/// Writes the map that a row declares.
#[derive(Debug)]
pub struct MapReply<'w, K, V> {
    reply: &'w mut ReplyBuf,
    pair: PhantomData<fn(K, V)>,
}

impl<'w, K, V> MapReply<'w, K, V> {
    /// A writer onto `reply`.
    pub fn new(reply: &'w mut ReplyBuf) -> Self {
        Self { reply, pair: PhantomData }
    }

    /// Opens it with `len` pairs.
    pub fn open(self, len: usize) -> Pairs<'w, K, V> {
        self.reply.map(len);
        Pairs { reply: self.reply, left: len, pair: PhantomData }
    }
}

/// The pairs of an open map.
#[derive(Debug)]
pub struct Pairs<'w, K, V> {
    reply: &'w mut ReplyBuf,
    left: usize,
    pair: PhantomData<fn(K, V)>,
}

impl<K, V> Pairs<'_, K, V> {
    /// Writes the next pair.
    pub fn push(&mut self, key: impl WriteAs<K>, value: impl WriteAs<V>) {
        debug_assert!(self.left > 0, "more pairs than announced");
        self.left -= 1;
        key.write_as(self.reply);
        value.write_as(self.reply);
    }
}

impl<K, V> Drop for Pairs<'_, K, V> {
    fn drop(&mut self) {
        debug_assert!(self.left == 0 || std::thread::panicking(), "{} pairs were announced but not written", self.left);
    }
}
