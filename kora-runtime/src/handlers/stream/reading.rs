//! XREAD: what is new in several streams, at once or when there is something.
//!
//! Owns: what it does each time it is tried. Refuses to know: waiting itself, which [`ShardCx::wait`] asks for.
//! Start at [`read_or_wait`].

use super::{ids, show};
use crate::argv::{ArgvBuf, Many, StreamIdArg};
use crate::error::CommandError;
use crate::handlers::timeout;
use crate::keyspace::typed::Stream;
use crate::reply::{Protocol, ReplyBuf};
use crate::shard::cx::ShardCx;
use crate::table::{CommandId, args};
use crate::types::{Direction, StreamId};

const AWAITED: &str = "stream";

/// XREAD.
pub(super) fn read_or_wait(
    cx: &mut ShardCx<'_>,
    args: args::Xread<'_>,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let args::Xread { count, block, streams } = args;
    if block.is_some() && cx.script_state().running.get() {
        return Err(CommandError::Text("ERR XREAD command is not allowed with BLOCK option from scripts"));
    }
    let deadline_ms = block.map(|timeout_ms| timeout::milliseconds(timeout_ms, cx.now_ms())).transpose()?;
    // All keys are judged before any is shown, each before its own id.
    let mut after: Vec<StreamId> = Vec::new();
    let mut wanted: Vec<(&[u8], StreamId)> = Vec::new();
    for (key, word) in streams.keys.iter().zip(streams.ids.iter()) {
        let stream = cx.read::<Stream>(key)?;
        let id = match word.0 {
            b"$" => stream.map_or(StreamId::MIN, |stream| stream.last_id()),
            b">" => {
                return Err(CommandError::Text(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            word => ids::parse(word, 0)?,
        };
        let has_more = stream.and_then(|stream| stream.last()).is_some_and(|last| last.id > id);
        if let (true, Some(from)) = (has_more, id.next()) {
            wanted.push((key, from));
        }
        after.push(id);
    }
    if !wanted.is_empty() {
        return show_all(cx, &wanted, show::count_or_all(count.unwrap_or(0)), reply);
    }
    if let Some(deadline_ms) = deadline_ms {
        cx.wait(streams.keys, AWAITED, deadline_ms);
        wait_from_now(cx, &args, &after);
    }
    reply.null_array();
    Ok(())
}

/// Has the command tried again with the ids that its words mean now.
fn wait_from_now(cx: &mut ShardCx<'_>, args: &args::Xread<'_>, after: &[StreamId]) {
    let texts: Vec<Vec<u8>> = after.iter().map(|id| id.text()).collect();
    let ids: Vec<StreamIdArg<'_>> = texts.iter().map(|text| StreamIdArg(text)).collect();
    let streams = args::XreadStreams { keys: args.streams.keys, ids: Many::Given(&ids) };
    let mut argv = ArgvBuf::new();
    args::Xread { streams, ..*args }.encode(&mut argv);
    cx.retry_as(CommandId::Xread, argv.as_argv());
}

/// The entries of each stream from an id on. The streams were read.
fn show_all(
    cx: &ShardCx<'_>,
    wanted: &[(&[u8], StreamId)],
    most: u64,
    reply: &mut ReplyBuf,
) -> Result<(), CommandError> {
    let is_map = reply.protocol() == Protocol::Resp3;
    if is_map {
        reply.map(wanted.len());
    } else {
        reply.array(wanted.len());
    }
    for &(key, from) in wanted {
        let Some(stream) = cx.view::<Stream>(key) else { unreachable!("it was read before") };
        if !is_map {
            reply.array(2);
        }
        reply.bulk(key);
        show::range(stream, (from, StreamId::MAX), Direction::Forward, most, reply)?;
    }
    Ok(())
}
