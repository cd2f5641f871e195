//! Handlers of the `list` group.
//!
//! Owns: what each list command means. Refuses to know: how a list is stored, other shards, the log's format.
//! Start at `lpush` and `lpop`, whose work is done by `ShardCx::push` and `ShardCx::pop`; positions are found in `list/position.rs`.
//!
//! Invariant: whoever takes the last element of a list removes its key and tells so, after the event of the command itself.

mod blocking;
mod position;

use std::ops::ControlFlow;

use self::position::{index_in, range_in};
use crate::argv::Many;
use crate::error::CommandError;
use crate::keyspace::Event;
use crate::keyspace::typed::List;
use crate::reply::{ArrayReply, Bulk, ReplyBuf};
use crate::shard::cx::ShardCx;
use crate::table::{CommandId, ListCommands, args};
use crate::types::{Direction, End, Fetched, ListLimits, ListMut};

/// LPOS with a rank that no match can have.
const RANK_ZERO: CommandError = CommandError::Text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
);

fn push_event(end: End) -> Event {
    match end {
        End::Front => Event::Lpush,
        End::Back => Event::Rpush,
    }
}

fn pop_event(end: End) -> Event {
    match end {
        End::Front => Event::Lpop,
        End::Back => Event::Rpop,
    }
}

fn push_command(end: End) -> CommandId {
    match end {
        End::Front => CommandId::Lpush,
        End::Back => CommandId::Rpush,
    }
}

fn pop_command(end: End) -> CommandId {
    match end {
        End::Front => CommandId::Lpop,
        End::Back => CommandId::Rpop,
    }
}

/// Takes `count` elements from one end of a list that has more, into the reply.
fn take_some(list: &mut ListMut<'_>, end: End, count: usize, reply: &mut ReplyBuf) {
    for _ in 0..count {
        list.pop(end, |element| reply.element(element)).expect("the list has more elements than are taken");
    }
}

impl ShardCx<'_> {
    /// How lists are to be kept, by the settings.
    #[inline]
    fn list_limits(&self) -> ListLimits {
        self.config().list_limits()
    }

    /// LPUSH and RPUSH.
    #[inline]
    fn push_elements<'e>(
        &mut self,
        key: &[u8],
        elements: impl IntoIterator<Item = &'e [u8]>,
        end: End,
    ) -> Result<i64, CommandError> {
        let limits = self.list_limits();
        let mut list = self.write_or_create::<List>(key)?;
        for element in elements {
            list.push(end, element, &limits);
        }
        let len = list.len();
        self.changed(push_event(end), key);
        Ok(len as i64)
    }

    /// LPUSHX and RPUSHX.
    fn push_elements_if_exists<'e>(
        &mut self,
        key: &[u8],
        elements: impl IntoIterator<Item = &'e [u8]>,
        end: End,
    ) -> Result<i64, CommandError> {
        let limits = self.list_limits();
        let Some(mut list) = self.write::<List>(key)? else { return Ok(0) };
        for element in elements {
            list.push(end, element, &limits);
        }
        let len = list.len();
        self.changed(push_event(end), key);
        Ok(len as i64)
    }

    /// LPOP and RPOP.
    #[inline]
    fn pop_elements(
        &mut self,
        key: &[u8],
        count: Option<u64>,
        end: End,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let Some(count) = count else { return self.pop_element(key, end, reply) };
        if !self.pop_array(key, count, end, reply)? {
            reply.null_array();
        }
        Ok(())
    }

    #[inline]
    fn pop_element(&mut self, key: &[u8], end: End, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        let Some(mut list) = self.write::<List>(key)? else {
            reply.null();
            return Ok(());
        };
        list.pop(end, |element| reply.element(element)).expect("a list that is stored has an element");
        let emptied = list.is_empty();
        self.elements_popped(key, end, 1, emptied);
        Ok(())
    }

    /// Takes up to `count` elements from one end and replies with an array of them; false, and no reply, without the key.
    fn pop_array(&mut self, key: &[u8], count: u64, end: End, reply: &mut ReplyBuf) -> Result<bool, CommandError> {
        let Some(mut list) = self.write::<List>(key)? else { return Ok(false) };
        let len = list.len();
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(len);
        reply.array(count);
        if count == 0 {
            return Ok(true);
        }
        let emptied = count == len;
        if emptied {
            // The list goes as a whole, and a long one in slices.
            let direction = if end == End::Front { Direction::Forward } else { Direction::Backward };
            list.as_ref().visit(0..len, direction, |element| reply.element(element));
        } else {
            take_some(&mut list, end, count, reply);
        }
        self.elements_popped(key, end, count, emptied);
        Ok(true)
    }

    /// Replies with the first of the keys that has elements and up to `count` of them; false, and no reply, when none has.
    fn pop_first_array(
        &mut self,
        keys: Many<'_, &[u8]>,
        count: u64,
        end: End,
        reply: &mut ReplyBuf,
    ) -> Result<bool, CommandError> {
        let mark = reply.len();
        for key in keys {
            reply.array(2);
            reply.bulk(key);
            if self.pop_array(key, count, end, reply)? {
                return Ok(true);
            }
            reply.truncate(mark);
        }
        Ok(false)
    }

    /// Tells of elements taken from one end.
    #[inline]
    fn elements_popped(&mut self, key: &[u8], end: End, count: usize, emptied: bool) {
        self.changed(pop_event(end), key);
        if emptied {
            self.remove_emptied(key);
        }
        if self.logs_keys_apart() {
            self.log(pop_command(end), &[key, itoa::Buffer::new().format(count).as_bytes()]);
        }
    }

    /// Tells of an element that was moved to one end; before the source is told of.
    fn element_moved(&mut self, destination: &[u8], to: End, element: &[u8]) {
        self.changed(push_event(to), destination);
        if self.logs_keys_apart() {
            self.log(push_command(to), &[destination, element]);
        }
    }

    /// LMOVE and RPOPLPUSH. The destination is told of first, as in Redis.
    fn move_list_element(
        &mut self,
        source: &[u8],
        destination: &[u8],
        from: End,
        to: End,
    ) -> Result<Option<Bulk<'static>>, CommandError> {
        let Some(list) = self.read::<List>(source)? else { return Ok(None) };
        let index = match from {
            End::Front => 0,
            End::Back => list.len() - 1,
        };
        let element = list.get(index).expect("a list that is stored has an element").into_cow().into_owned();
        let limits = self.list_limits();
        if source == destination {
            let mut list = self.write::<List>(source)?.expect("it was just read");
            list.pop(from, |_| ());
            list.push(to, &element, &limits);
            self.element_moved(source, to, &element);
            self.elements_popped(source, from, 1, false);
            return Ok(Some(Bulk::Owned(element)));
        }
        self.write_or_create::<List>(destination)?.push(to, &element, &limits);
        self.element_moved(destination, to, &element);
        let mut list = self.write::<List>(source)?.expect("it was just read");
        list.pop(from, |_| ());
        let emptied = list.is_empty();
        self.elements_popped(source, from, 1, emptied);
        Ok(Some(Bulk::Owned(element)))
    }
}

impl ListCommands for ShardCx<'_> {
    fn blmove<'r>(
        &'r mut self,
        args::Blmove { source, destination, from, to, timeout }: args::Blmove<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        let from = match from {
            args::BlmoveFrom::Left => End::Front,
            args::BlmoveFrom::Right => End::Back,
        };
        let to = match to {
            args::BlmoveTo::Left => End::Front,
            args::BlmoveTo::Right => End::Back,
        };
        self.move_or_wait(source, destination, (from, to), timeout)
    }

    fn blmpop(
        &mut self,
        args::Blmpop { timeout, keys, side, count }: args::Blmpop<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let end = match side {
            args::BlmpopSide::Left => End::Front,
            args::BlmpopSide::Right => End::Back,
        };
        self.pop_many_or_wait(keys, count.unwrap_or(1), end, timeout, reply)
    }

    fn blpop(
        &mut self,
        args::Blpop { keys, timeout }: args::Blpop<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.pop_or_wait(keys, timeout, End::Front, reply)
    }

    fn brpop(
        &mut self,
        args::Brpop { keys, timeout }: args::Brpop<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        self.pop_or_wait(keys, timeout, End::Back, reply)
    }

    fn brpoplpush<'r>(
        &'r mut self,
        args::Brpoplpush { source, destination, timeout }: args::Brpoplpush<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        self.move_or_wait(source, destination, (End::Back, End::Front), timeout)
    }

    fn lindex<'r>(
        &'r mut self,
        args::Lindex { key, index }: args::Lindex<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        let Some(list) = self.read::<List>(key)? else { return Ok(None) };
        let found = index_in(index, list.len()).and_then(|index| list.get(index));
        Ok(found.map(|element| match element {
            Fetched::Stored(element) => element.into(),
            Fetched::Copied(bytes) => bytes.into(),
        }))
    }

    fn linsert(
        &mut self,
        args::Linsert { key, position, pivot, element }: args::Linsert<'_>,
    ) -> Result<i64, CommandError> {
        let limits = self.list_limits();
        let Some(mut list) = self.write::<List>(key)? else { return Ok(0) };
        let Some(at) = list.as_ref().position(pivot) else { return Ok(-1) };
        let at = match position {
            args::LinsertPosition::Before => at,
            args::LinsertPosition::After => at + 1,
        };
        list.insert(at, element, &limits);
        let len = list.len();
        self.changed(Event::Linsert, key);
        Ok(len as i64)
    }

    fn llen(&mut self, args::Llen { key }: args::Llen<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<List>(key)?.map_or(0, |list| list.len() as i64))
    }

    fn lmove<'r>(
        &'r mut self,
        args::Lmove { source, destination, from, to }: args::Lmove<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        let from = match from {
            args::LmoveFrom::Left => End::Front,
            args::LmoveFrom::Right => End::Back,
        };
        let to = match to {
            args::LmoveTo::Left => End::Front,
            args::LmoveTo::Right => End::Back,
        };
        self.move_list_element(source, destination, from, to)
    }

    fn lmpop(
        &mut self,
        args::Lmpop { keys, side, count }: args::Lmpop<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let count = count.unwrap_or(1);
        if count == 0 {
            return Err(CommandError::Text("ERR count should be greater than 0"));
        }
        let end = match side {
            args::LmpopSide::Left => End::Front,
            args::LmpopSide::Right => End::Back,
        };
        if !self.pop_first_array(keys, count, end, reply)? {
            reply.null_array();
        }
        Ok(())
    }

    fn lpop(&mut self, args::Lpop { key, count }: args::Lpop<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        self.pop_elements(key, count, End::Front, reply)
    }

    fn lpos(
        &mut self,
        args::Lpos { key, element, rank, count, max_len }: args::Lpos<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let rank = rank.unwrap_or(1);
        if rank == 0 {
            return Err(RANK_ZERO);
        }
        // Without COUNT the reply is one position; COUNT 0 and MAXLEN 0 mean all.
        let unbounded_if_zero = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        let mut wanted = count.map_or(1, unbounded_if_zero);
        let looked_at = max_len.map_or(u64::MAX, unbounded_if_zero);
        let mut skipped = rank.unsigned_abs() - 1;

        let list = self.read::<List>(key)?;
        let len = list.map_or(0, |list| list.len());
        let looked_at = usize::try_from(looked_at).unwrap_or(usize::MAX).min(len);
        let (indices, direction) =
            if rank > 0 { (0..looked_at, Direction::Forward) } else { (len - looked_at..len, Direction::Backward) };
        let positions = count.is_some().then(|| reply.deferred_array());
        let mut found = 0;
        if let Some(list) = list {
            list.search(indices, direction, element, |index| {
                if skipped > 0 {
                    skipped -= 1;
                    return ControlFlow::Continue(());
                }
                reply.integer(index as i64);
                found += 1;
                wanted -= 1;
                if wanted == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
        }
        match positions {
            Some(positions) => reply.close(positions, found),
            None if found == 0 => reply.null(),
            None => {}
        }
        Ok(())
    }

    fn lpush(&mut self, args::Lpush { key, elements }: args::Lpush<'_>) -> Result<i64, CommandError> {
        self.push_elements(key, elements, End::Front)
    }

    fn lpushx(&mut self, args::Lpushx { key, elements }: args::Lpushx<'_>) -> Result<i64, CommandError> {
        self.push_elements_if_exists(key, elements, End::Front)
    }

    fn lrange(
        &mut self,
        args::Lrange { key, start, stop }: args::Lrange<'_>,
        reply: ArrayReply<'_, Bulk<'static>>,
    ) -> Result<(), CommandError> {
        let Some(list) = self.read::<List>(key)? else {
            reply.empty();
            return Ok(());
        };
        let indices = range_in(start, stop, list.len());
        let mut items = reply.open(indices.len());
        list.visit(indices, Direction::Forward, |element| items.push(element));
        Ok(())
    }

    fn lrem(&mut self, args::Lrem { key, count, element }: args::Lrem<'_>) -> Result<i64, CommandError> {
        let Some(mut list) = self.write::<List>(key)? else { return Ok(0) };
        let direction = if count < 0 { Direction::Backward } else { Direction::Forward };
        let most = match count {
            0 => usize::MAX,
            _ => usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        };
        let removed = list.remove(element, most, direction);
        let emptied = list.is_empty();
        if removed > 0 {
            self.changed(Event::Lrem, key);
        }
        if emptied {
            self.remove_emptied(key);
        }
        Ok(removed as i64)
    }

    fn lset(&mut self, args::Lset { key, index, element }: args::Lset<'_>) -> Result<(), CommandError> {
        let limits = self.list_limits();
        let mut list = self.write::<List>(key)?.ok_or(CommandError::NoSuchKey)?;
        let index = index_in(index, list.len()).ok_or(CommandError::IndexOutOfRange)?;
        list.set(index, element, &limits);
        self.changed(Event::Lset, key);
        Ok(())
    }

    fn ltrim(&mut self, args::Ltrim { key, start, stop }: args::Ltrim<'_>) -> Result<(), CommandError> {
        let Some(mut list) = self.write::<List>(key)? else { return Ok(()) };
        let len = list.len();
        let kept = range_in(start, stop, len);
        if kept.len() == len {
            return Ok(());
        }
        let emptied = kept.is_empty();
        if !emptied {
            list.keep(kept);
        }
        self.changed(Event::Ltrim, key);
        if emptied {
            self.remove_emptied(key);
        }
        Ok(())
    }

    fn rpop(&mut self, args::Rpop { key, count }: args::Rpop<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        self.pop_elements(key, count, End::Back, reply)
    }

    fn rpoplpush<'r>(
        &'r mut self,
        args::Rpoplpush { source, destination }: args::Rpoplpush<'r>,
    ) -> Result<Option<Bulk<'r>>, CommandError> {
        self.move_list_element(source, destination, End::Back, End::Front)
    }

    fn rpush(&mut self, args::Rpush { key, elements }: args::Rpush<'_>) -> Result<i64, CommandError> {
        self.push_elements(key, elements, End::Back)
    }

    fn rpushx(&mut self, args::Rpushx { key, elements }: args::Rpushx<'_>) -> Result<i64, CommandError> {
        self.push_elements_if_exists(key, elements, End::Back)
    }
}

#[cfg(test)]
mod tests;
