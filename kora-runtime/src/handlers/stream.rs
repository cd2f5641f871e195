//! Handlers of the `stream` group.
//!
//! Owns: what each stream command means. Refuses to know: how a stream is stored, other shards, the log's format.
//! Start at `xadd`; XREAD is in `stream/reading.rs`, the texts of ids in `stream/ids.rs`, the words of trimming in `stream/trim.rs`, replies in
//! `stream/show.rs`.
//!
//! A stream stays when its last entry goes: it remembers the last id, which no later entry may have again.

mod ids;
mod reading;
mod show;
#[cfg(test)]
mod tests;
mod trim;

use self::ids::NewId;
use self::trim::Trim;
use crate::argv::StreamIdArg;
use crate::error::CommandError;
use crate::keyspace::Event;
use crate::keyspace::typed::Stream;
use crate::reply::{ArrayReply, Bulk, ReplyBuf, Simple};

use crate::shard::cx::ShardCx;
use crate::table::{CommandId, StreamCommands, args};
use crate::types::{Direction, Excess, StreamId, StreamLimits};

/// Bytes of all fields and values of one entry, as many as Redis takes.
const ENTRY_BYTES_MAX: usize = crate::limits::GIB;

impl ShardCx<'_> {
    /// When blocks of streams are full, by the settings.
    fn stream_limits(&self) -> StreamLimits {
        self.config().stream_limits()
    }

    /// Logs what a trim came to: how far an approximate one goes depends on blocks and settings, which are not in the log.
    fn log_length(&mut self, key: &[u8], len: u64) {
        if self.logs() {
            self.log(CommandId::Xtrim, &[key, b"MAXLEN", b"=", itoa::Buffer::new().format(len).as_bytes()]);
        }
    }

    /// XRANGE and XREVRANGE.
    fn stream_range(
        &mut self,
        key: &[u8],
        start: StreamIdArg<'_>,
        end: StreamIdArg<'_>,
        direction: Direction,
        count: Option<i64>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let range = ids::interval(start.0, end.0)?;
        let most = count.map_or(u64::MAX, |count| u64::try_from(count).unwrap_or(0));
        match self.read::<Stream>(key)? {
            None => reply.array(0),
            Some(_) if most == 0 => reply.null_array(),
            Some(stream) => show::range(stream, range, direction, most, reply)?,
        }
        Ok(())
    }
}

impl StreamCommands for ShardCx<'_> {
    fn xadd<'r>(&'r mut self, args: args::Xadd<'r>) -> Result<Option<Bulk<'r>>, CommandError> {
        use args::{XaddTrim, XaddTrimMaxLenOperator, XaddTrimMinIdOperator};
        let args::Xadd { key, no_mk_stream, trim, limit, id, fields } = args;
        let strategy = match trim {
            None => None,
            Some(XaddTrim::MaxLen(trim)) => {
                Some(above(trim.threshold, trim.operator == Some(XaddTrimMaxLenOperator::Approximately)))
            }
            Some(XaddTrim::MinId(trim)) => {
                Some(before(trim.threshold, trim.operator == Some(XaddTrimMinIdOperator::Approximately))?)
            }
        };
        let id = NewId::parse(id.0)?;
        let trim = Trim::new(strategy, limit, self.config().stream_node_max_entries)?;
        if id == NewId::Given(StreamId::MIN) {
            return Err(CommandError::Text("ERR The ID specified in XADD must be greater than 0-0"));
        }
        let fields = fields.iter().map(|pair| (pair.field, pair.value));
        if fields.clone().map(|(field, value)| field.len() + value.len()).sum::<usize>() > ENTRY_BYTES_MAX {
            return Err(CommandError::Text("ERR Elements are too large to be stored"));
        }
        if no_mk_stream && self.write::<Stream>(key)?.is_none() {
            return Ok(None);
        }
        let (limits, now_ms) = (self.stream_limits(), self.now_ms());
        let stream = self.write_or_create::<Stream>(key)?;
        // A stream that was just made takes any id but the one refused above, so none is left behind by an error.
        let id = id.after(stream.last_id(), now_ms)?;
        stream.append(id, fields.clone(), &limits);
        let trimmed = trim.map_or(0, |trim| trim.apply(stream));
        let len = stream.len();
        self.changed(Event::Xadd, key);
        if trimmed > 0 {
            self.changed(Event::Xtrim, key);
        }
        let id = id.text();
        if self.logs() {
            let mut words = vec![key, &id[..]];
            words.extend(fields.flat_map(|(field, value)| [field, value]));
            self.log_together(|cx| {
                cx.log(CommandId::Xadd, &words);
                if trimmed > 0 {
                    cx.log_length(key, len);
                }
            });
        }
        Ok(Some(id.into()))
    }

    fn xdel(&mut self, args::Xdel { key, ids }: args::Xdel<'_>) -> Result<i64, CommandError> {
        let Some(stream) = self.write::<Stream>(key)? else { return Ok(0) };
        // All or nothing: an id that is none is found before anything is removed.
        let ids = ids.iter().map(|id| ids::parse(id.0, 0)).collect::<Result<Vec<StreamId>, _>>()?;
        let removed = ids.into_iter().filter(|id| stream.remove(*id)).count();
        if removed > 0 {
            self.changed(Event::Xdel, key);
        }
        Ok(removed as i64)
    }

    fn xinfo_help(&mut self, reply: ArrayReply<'_, Simple>) -> Result<(), CommandError> {
        super::help("XINFO", reply);
        Ok(())
    }

    fn xinfo_stream(
        &mut self,
        args::XinfoStream { key, full }: args::XinfoStream<'_>,
        reply: &mut ReplyBuf,
    ) -> Result<(), CommandError> {
        let stream = self.read::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
        show::info(stream, full.map(|full| full.count), reply)
    }

    fn xlen(&mut self, args::Xlen { key }: args::Xlen<'_>) -> Result<i64, CommandError> {
        Ok(self.read::<Stream>(key)?.map_or(0, |stream| stream.len() as i64))
    }

    fn xrange(&mut self, args: args::Xrange<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        let args::Xrange { key, start, end, count } = args;
        self.stream_range(key, start, end, Direction::Forward, count, reply)
    }

    fn xread(&mut self, args: args::Xread<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        reading::read_or_wait(self, args, reply)
    }

    fn xrevrange(&mut self, args: args::Xrevrange<'_>, reply: &mut ReplyBuf) -> Result<(), CommandError> {
        let args::Xrevrange { key, end, start, count } = args;
        self.stream_range(key, start, end, Direction::Backward, count, reply)
    }

    fn xsetid(&mut self, args: args::Xsetid<'_>) -> Result<(), CommandError> {
        let args::Xsetid { key, last_id, entries_added, max_deleted_id } = args;
        let last_id = ids::parse(last_id.0, 0)?;
        let max_deleted_id = max_deleted_id.map(|id| ids::parse(id.0, 0)).transpose()?;
        if max_deleted_id.is_some_and(|deleted| last_id < deleted) {
            return Err(CommandError::Text(
                "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
            ));
        }
        let entries_added = entries_added.map(|entries| u64::try_from(entries).unwrap_or(0));
        let stream = self.write::<Stream>(key)?.ok_or(CommandError::NoSuchKey)?;
        if stream.last().is_some_and(|top| last_id < top.id) {
            return Err(CommandError::Text(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if entries_added.is_some_and(|added| added < stream.len()) {
            return Err(CommandError::Text(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
        stream.set_last_id(last_id);
        if let Some(entries) = entries_added {
            stream.set_entries_added(entries);
        }
        // Redis takes 0-0 for one that was not given.
        if let Some(id) = max_deleted_id.filter(|id| *id != StreamId::MIN) {
            stream.set_max_deleted_id(id);
        }
        self.changed(Event::Xsetid, key);
        Ok(())
    }

    fn xtrim(&mut self, args::Xtrim { key, trim, limit }: args::Xtrim<'_>) -> Result<i64, CommandError> {
        use args::{XtrimTrim, XtrimTrimMaxLenOperator, XtrimTrimMinIdOperator};
        let strategy = match trim {
            XtrimTrim::MaxLen(trim) => {
                above(trim.threshold, trim.operator == Some(XtrimTrimMaxLenOperator::Approximately))
            }
            XtrimTrim::MinId(trim) => {
                before(trim.threshold, trim.operator == Some(XtrimTrimMinIdOperator::Approximately))?
            }
        };
        let trim = Trim::new(Some(strategy), limit, self.config().stream_node_max_entries)?;
        let Some(stream) = self.write::<Stream>(key)? else { return Ok(0) };
        let removed = trim.map_or(0, |trim| trim.apply(stream));
        let len = stream.len();
        if removed > 0 {
            self.changed(Event::Xtrim, key);
            self.log_length(key, len);
        }
        Ok(removed as i64)
    }
}

/// MAXLEN, which is not negative.
fn above(threshold: i64, approximate: bool) -> (Excess, bool) {
    (Excess::Above(u64::try_from(threshold).unwrap_or(0)), approximate)
}

/// MINID.
fn before(threshold: StreamIdArg<'_>, approximate: bool) -> Result<(Excess, bool), CommandError> {
    Ok((Excess::Before(ids::parse(threshold.0, 0)?), approximate))
}
