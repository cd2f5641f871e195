//! What a tracking client is told, as bytes.
//!
//! Owns: the forms of an invalidation. Refuses to know: who gets it. Start at [`News`].

use std::rc::Rc;
use std::sync::Arc;

use crate::reply::{Protocol, ReplyBuf};

/// The channel under which RESP2 clients hear of invalidations.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What has become invalid. Both protocols write an array of keys alike, so it is encoded once, by the keys' owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// These keys: an encoded array.
    Keys(Arc<[u8]>),
    /// All keys.
    Everything,
}

impl News {
    /// These keys.
    pub fn of_keys<'k>(keys: impl ExactSizeIterator<Item = &'k [u8]>) -> Self {
        let mut array = ReplyBuf::new(Protocol::Resp3);
        array.array(keys.len());
        keys.for_each(|key| array.bulk(key));
        Self::Keys(array.as_bytes().into())
    }

    fn append_to(&self, reply: &mut ReplyBuf) {
        match self {
            Self::Keys(array) => reply.bytes_mut().extend_from_slice(array),
            Self::Everything => reply.null(),
        }
    }

    /// For a RESP3 client.
    pub fn as_push(&self) -> Rc<[u8]> {
        let mut reply = ReplyBuf::new(Protocol::Resp3);
        reply.push(2);
        reply.bulk(b"invalidate");
        self.append_to(&mut reply);
        reply.as_bytes().into()
    }

    /// For a RESP2 client in subscribe mode, to whom another one redirects.
    pub fn as_message(&self) -> Rc<[u8]> {
        let mut reply = ReplyBuf::new(Protocol::Resp2);
        reply.array(3);
        reply.bulk(b"message");
        reply.bulk(CHANNEL);
        self.append_to(&mut reply);
        reply.as_bytes().into()
    }
}

/// What a RESP3 client hears when the one that was to be told in its place, `target`, has gone.
pub fn redirection_broken(target: u64) -> Rc<[u8]> {
    let mut reply = ReplyBuf::new(Protocol::Resp3);
    reply.push(2);
    reply.bulk(b"tracking-redir-broken");
    reply.integer(target as i64);
    reply.as_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_have_redis_forms() {
        let check = |bytes: Rc<[u8]>, expected: &str| {
            assert_eq!(String::from_utf8_lossy(&bytes).replace("\r\n", " "), format!("{expected} "));
        };
        let keys = News::of_keys([&b"a"[..], b"bc"].into_iter());
        check(keys.as_push(), ">2 $10 invalidate *2 $1 a $2 bc");
        check(keys.as_message(), "*3 $7 message $20 __redis__:invalidate *2 $1 a $2 bc");
        check(News::Everything.as_push(), ">2 $10 invalidate _");
        check(News::Everything.as_message(), "*3 $7 message $20 __redis__:invalidate $-1");
        check(redirection_broken(12), ">2 $21 tracking-redir-broken :12");
    }
}
