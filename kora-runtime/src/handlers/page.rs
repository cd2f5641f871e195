//! Pages of a scan within one key: SSCAN, ZSCAN.
//!
//! Owns: how much one page visits, what the pattern lets through, and how the reply of any scan begins. Refuses to know: what the collection is.
//! Start at [`Page::new`].

use crate::error::CommandError;
use crate::glob;
use crate::reply::ReplyBuf;
use crate::types::Element;

/// Members that a page visits when the client does not say.
const MEMBERS_DEFAULT: usize = 10;
/// Steps per wanted member, where steps find nothing: what Redis allows.
const STEPS_PER_MEMBER: usize = 10;

/// One page.
#[derive(Debug)]
pub struct Page<'a> {
    pattern: Option<&'a [u8]>,
    members_left: usize,
    steps_left: usize,
}

impl<'a> Page<'a> {
    /// What MATCH and COUNT ask for.
    ///
    /// # Errors
    /// A syntax error for a count below 1, as in Redis.
    pub fn new(pattern: Option<&'a [u8]>, count: Option<i64>) -> Result<Self, CommandError> {
        let members_left = match count {
            None => MEMBERS_DEFAULT,
            Some(..1) => return Err(CommandError::Syntax),
            Some(count) => usize::try_from(count).unwrap_or(usize::MAX),
        };
        let steps_left = members_left.saturating_mul(STEPS_PER_MEMBER);
        // Alone, `*` lets everything through, the empty member included, which the matcher would not.
        Ok(Self { pattern: pattern.filter(|pattern| *pattern != b"*"), members_left, steps_left })
    }

    /// Takes steps from a cursor on until the page is full; `step` visits what is at a position and returns the next. Returns where the next page begins.
    #[inline]
    pub fn walk(&mut self, cursor: u64, mut step: impl FnMut(&mut Self, u64) -> u64) -> u64 {
        let mut position = cursor;
        loop {
            position = step(self, position);
            if !self.goes_on(position) {
                return position;
            }
        }
    }

    /// Counts a member, and says whether it is to be shown.
    #[inline]
    pub fn shows(&mut self, member: Element<'_>) -> bool {
        self.members_left = self.members_left.saturating_sub(1);
        self.pattern.is_none_or(|pattern| glob::matches(pattern, member.bytes(&mut Default::default()), false))
    }

    /// After a step that led to `position`: whether another belongs to this page.
    #[inline]
    fn goes_on(&mut self, position: u64) -> bool {
        self.steps_left = self.steps_left.saturating_sub(1);
        position != 0 && self.members_left > 0 && self.steps_left > 0
    }
}

/// Begins the reply of a scan: the next cursor, then as many elements as follow. A cursor can be above `i64::MAX`, so it is no integer to the reply.
#[inline]
pub fn begin_page(reply: &mut ReplyBuf, cursor: u64, elements: usize) {
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    reply.array(elements);
}
