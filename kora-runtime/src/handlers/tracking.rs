//! Handlers of CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO.
//!
//! Owns: what their words ask for, and how a mode is shown. Refuses to know: which modes exclude each other (`shard/tracking/mode.rs`), what a mode leads to.
//! Start at [`change`]; `handlers/session.rs` calls them.

use crate::error::CommandError;
use crate::reply::ReplyBuf;
use crate::shard::clients::Client;
use crate::shard::tracking::mode::{Caching, Change, Choice, Wanted};
use crate::table::args;

/// What a CLIENT TRACKING asks for. As in Redis, OFF takes every option and heeds only the redirection, whose target must be there.
pub fn change(args: args::ClientTracking<'_>) -> Change {
    let args::ClientTracking { status, redirect, prefix, bcast, optin, optout, noloop } = args;
    let wanted = Wanted { bcast, optin, optout, noloop, prefixes: prefix.iter().map(Box::from).collect() };
    let on = status == args::ClientTrackingStatus::On;
    Change { redirect, to: on.then_some(wanted) }
}

/// CLIENT CACHING; `nested` inside EXEC, where it is about that alone.
///
/// # Errors
/// In a mode in which it says nothing, with Redis's text.
pub fn cache_next(client: &mut Client, said: args::ClientCachingMode, nested: bool) -> Result<(), CommandError> {
    let refuse = |text| Err(CommandError::Text(text));
    let Some(mode) = &mut client.tracking else {
        return refuse(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        );
    };
    match (said, mode.choice) {
        (args::ClientCachingMode::Yes, Choice::OptIn) | (args::ClientCachingMode::No, Choice::OptOut) => {
            mode.caching = if nested { Caching::ForThis } else { Caching::ForNext };
            Ok(())
        }
        (args::ClientCachingMode::Yes, _) => {
            refuse("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        }
        (args::ClientCachingMode::No, _) => {
            refuse("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        }
    }
}

/// The id of the client that is told in this one's place, 0 for none, -1 while it does not track.
pub fn redirection(client: &Client) -> i64 {
    client.tracking.as_ref().map_or(-1, |mode| mode.redirect as i64)
}

/// CLIENT TRACKINGINFO.
pub fn info(client: &Client, reply: &mut ReplyBuf) {
    let mut flags = Vec::new();
    let mode = client.tracking.as_deref();
    flags.push(if mode.is_some() { "on" } else { "off" });
    if let Some(mode) = mode {
        let said = mode.caching == Caching::ForNext;
        let mut note = |holds: bool, flag| {
            if holds {
                flags.push(flag);
            }
        };
        note(mode.bcast, "bcast");
        note(mode.choice == Choice::OptIn, "optin");
        note(mode.choice == Choice::OptIn && said, "caching-yes");
        note(mode.choice == Choice::OptOut, "optout");
        note(mode.choice == Choice::OptOut && said, "caching-no");
        note(mode.noloop, "noloop");
        note(mode.broken, "broken_redirect");
    }
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.integer(redirection(client));
    reply.bulk(b"prefixes");
    let prefixes = mode.map(|mode| &mode.prefixes);
    reply.array(prefixes.map_or(0, |prefixes| prefixes.len()));
    prefixes.into_iter().flatten().for_each(|prefix| reply.bulk(prefix));
}
