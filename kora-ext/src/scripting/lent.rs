//! The shard, lent to a script for its time.
//!
//! Owns: how what a script asks for reaches the shard it runs on. Refuses to know: the language (`script`), which commands there are.
//! Start at [`Lent`].
//!
//! The functions of an interpreter live as long as the interpreter and cannot borrow a shard. So the shard's core is put into a box that they find, for the
//! time of one script, in exchange for an empty one.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kora_runtime::argv::ArgvBuf;
use kora_runtime::error::CommandError;
use kora_runtime::reply::{Protocol, ReplyBuf};
use kora_runtime::shard::busy::step_aside;
use kora_runtime::shard::core::Core;
use kora_runtime::shard::cx::ShardCx;
use kora_runtime::shard::nested::NestedCall;
use kora_runtime::table::{self, Resolved};

use crate::script::{Caller, Interrupt, LogLevel, Propagation};

/// A shard's core and what the script's commands run under.
pub(super) struct Lent(Box<Loan>);

struct Loan {
    core: Core,
    nested: NestedCall,
    words: ArgvBuf,
    warned: bool,
}

impl Lent {
    /// A box for a shard's core; holds an empty one until it is lent.
    pub(super) fn new(cx: &ShardCx<'_>) -> Self {
        let nested = cx.nested_call(false);
        Self(Box::new(Loan { core: cx.empty_core(), nested, words: ArgvBuf::new(), warned: false }))
    }

    /// Takes the shard's core for a script that runs under `nested`.
    pub(super) fn take(&mut self, cx: &mut ShardCx<'_>, nested: NestedCall) {
        self.0.nested = nested;
        self.0.warned = false;
        cx.exchange_core(&mut self.0.core);
    }

    /// Gives the shard its core back.
    pub(super) fn give_back(&mut self, cx: &mut ShardCx<'_>) {
        cx.exchange_core(&mut self.0.core);
    }

    fn words(&mut self, words: &[&[u8]]) {
        self.0.words.clear();
        for word in words {
            self.0.words.push(word);
        }
    }
}

impl Caller for Lent {
    fn call(&mut self, words: &[&[u8]], resp3: bool, reply: &mut Vec<u8>) {
        self.words(words);
        let Loan { core, nested, words, .. } = &mut *self.0;
        nested.call.protocol = if resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        let mark = reply.len();
        let mut out = ReplyBuf::with_bytes(std::mem::take(reply), nested.call.protocol);
        // A panic must not unwind through the interpreter, which would lose the core with it.
        let run = || ShardCx::new(core, nested.call).run_nested(nested, words.as_argv(), &mut out);
        let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(CommandError::Internal));
        if let Err(error) = outcome {
            out.truncate(mark);
            out.error(&error);
        }
        *reply = out.into_bytes();
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match level {
            LogLevel::Debug => tracing::debug!("{text}"),
            LogLevel::Verbose => tracing::debug!("{text}"),
            LogLevel::Notice => tracing::info!("{text}"),
            LogLevel::Warning => tracing::warn!("{text}"),
        }
    }

    fn acl_check(&mut self, words: &[&[u8]]) -> Option<bool> {
        self.words(words);
        // There is one user, who may do everything.
        matches!(table::resolve(self.0.words.as_argv()), Resolved::Command { .. }).then_some(true)
    }

    fn set_propagation(&mut self, _: Propagation) {
        // There is neither a log nor a replica that something could be kept from.
    }

    fn now_ns(&self) -> u64 {
        self.0.core.host.monotonic_ns()
    }

    fn interrupt(&mut self) -> Interrupt {
        let core = &mut self.0.core;
        let threshold_ns = u64::from(core.config.busy_reply_threshold) * 1_000_000;
        let state = ShardCx::new(core, self.0.nested.call).script_state().clone();
        let late = threshold_ns > 0 && core.host.monotonic_ns().saturating_sub(state.started_ns.get()) >= threshold_ns;
        if late && !state.killed.get() {
            if !std::mem::replace(&mut self.0.warned, true) {
                tracing::warn!("a script still runs after {} ms", core.config.busy_reply_threshold);
            }
            // Where it cannot step aside nobody could end it, so it ends by itself as long as nothing would be left half done.
            if !step_aside(core) && !state.wrote.get() {
                state.killed.set(true);
            }
        }
        if state.killed.get() { Interrupt::Kill } else { Interrupt::Continue }
    }
}
