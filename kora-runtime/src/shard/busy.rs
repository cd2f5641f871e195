//! A script that runs for too long steps aside, so that its shard can say BUSY and take SCRIPT KILL.
//!
//! Owns: the stack on which work with scripts runs, and what the shard does while it waits to be resumed. Refuses to know: the script's language.
//! Start at [`Shard::run_unit`], then [`step_aside`], which a script's interpreter calls from time to time once it has passed `busy-reply-threshold`.
//!
//! Everything that may run a script (EVAL, FCALL, an EXEC with one inside) is a *unit* that owns the shard's [`Core`] while it runs, on a stack of its own.
//! When it steps aside, the stack stays as it is and the shard goes on with a stand-in for its core: no keys, but the clients and the counters, which the
//! unit hands over and gets back when it is resumed. No command can touch a key meanwhile, so the unit stays atomic.
//!
//! Invariant: on one thread at most one unit is aside at a time. A thread drives one shard, whose gate is closed then; the simulation, which drives several
//! on one thread, has a clock by which no script is ever late.

use std::rc::Rc;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::clients::Clients;
use super::core::Core;
use super::cx::ShardCx;
use super::journal::Logged;
use super::message::{Call, Envelope, Finish, ShardId, TxnMessage, begin_reply, read_frame, read_request, seal};
use super::stats::{CommandStats, Stats};
use super::tracking::exchange::TrackingMessage;
use super::{Shard, gate, keep_spare};
use crate::config::Config;
use crate::error::CommandError;
use crate::limits;
use crate::reply::ReplyBuf;
use crate::table::{CommandId, Extensions, Flags};

scoped_tls::scoped_thread_local!(static YIELDER: Yielder<Resumed, Box<Front>>);

/// What a unit gets with a slice of its time; nothing with the first one, when the core has all of it.
type Resumed = Option<Box<Front>>;

/// What commands that are allowed while a script is stuck work on.
#[derive(Debug)]
pub struct Front {
    /// The settings of now, for a core that has those of an earlier time.
    config: Option<Config>,
    clients: Clients,
    stats: Stats,
    command_stats: CommandStats,
    logged: Logged,
    trouble: gate::Trouble,
}

/// What a unit comes to.
#[derive(Debug)]
pub(super) struct Product {
    /// The encoded reply.
    pub reply: Vec<u8>,
    /// The buffer that the request came in, for whoever needs one next.
    pub spent: Vec<u8>,
    /// For a command on values from several shards: what each of them is to store.
    pub finishes: Vec<Finish>,
}

type Unit = Coroutine<Resumed, Box<Front>, (Box<Core>, Product)>;

/// What becomes of a unit's product when it had to step aside.
pub(super) type Then = Box<dyn FnOnce(&mut Shard, Product)>;

/// A unit that has stepped aside.
pub(super) struct Aside {
    unit: Option<Unit>,
    then: Option<Then>,
    /// What came for the shard meanwhile.
    deferred: Vec<(ShardId, TxnMessage)>,
    notes: Vec<(ShardId, Vec<u8>)>,
    tracking: Vec<(ShardId, Vec<TrackingMessage>)>,
    closed: Vec<u32>,
    /// Clients that started afresh.
    gone: Vec<u32>,
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Its stack cannot be unwound through the interpreter; the process is about to end.
        std::mem::forget(self.unit.take());
    }
}

/// What a script lets the rest of its shard know, and the other way round.
#[derive(Debug, Default)]
pub struct ScriptState {
    /// A script runs.
    pub running: std::cell::Cell<bool>,
    /// It is a function of a library (FCALL), not EVAL's.
    pub is_function: std::cell::Cell<bool>,
    /// It has run a command that writes.
    pub wrote: std::cell::Cell<bool>,
    /// It is to end: SCRIPT KILL or FUNCTION KILL.
    pub killed: std::cell::Cell<bool>,
    /// When it began, nanoseconds of the host's clock.
    pub started_ns: std::cell::Cell<u64>,
    /// What runs, for FUNCTION STATS: the function's name and the words of the command.
    pub subject: std::cell::RefCell<(String, Vec<Vec<u8>>)>,
    /// Bytes of the interpreters' heaps.
    pub heap_bytes: std::cell::Cell<usize>,
    /// Scripts that are cached.
    pub scripts: std::cell::Cell<usize>,
    /// Bytes of their texts.
    pub script_bytes: std::cell::Cell<usize>,
    /// Function libraries.
    pub libraries: std::cell::Cell<usize>,
    /// Their functions.
    pub functions: std::cell::Cell<usize>,
}

/// Lets the shard answer its clients until the unit is resumed. False, at once, where a script has no stack of its own and cannot step aside.
pub fn step_aside(core: &mut Core) -> bool {
    if !YIELDER.is_set() {
        return false;
    }
    let mut front = core.take_front();
    front.config = Some(core.config.clone());
    if let Some(front) = YIELDER.with(|yielder| yielder.suspend(front)) {
        core.put_front(front);
    }
    true
}

impl Core {
    fn take_front(&mut self) -> Box<Front> {
        Box::new(Front {
            config: None,
            clients: std::mem::take(&mut self.clients),
            stats: std::mem::take(&mut self.stats),
            command_stats: std::mem::take(&mut self.command_stats),
            logged: self.journal.lend(),
            trouble: std::mem::take(&mut self.trouble),
        })
    }

    fn put_front(&mut self, front: Box<Front>) {
        let Front { config, clients, stats, command_stats, logged, trouble } = *front;
        self.journal.accept(logged);
        self.trouble = trouble;
        self.follow_trouble();
        if let Some(config) = config {
            self.config = config;
        }
        (self.clients, self.stats, self.command_stats) = (clients, stats, command_stats);
    }
}

impl Shard {
    /// Runs a unit. `None` when it has stepped aside: the caller then says with [`Shard::when_done`] what becomes of its product.
    pub(super) fn run_unit(&mut self, body: impl FnOnce(&mut Core) -> Product + 'static) -> Option<Product> {
        assert!(self.aside.is_none(), "the gate is closed while a unit is aside");
        let busy_extensions = &mut self.busy_extensions;
        let stand_in = self.stand_in.take();
        let mut core =
            stand_in.unwrap_or_else(|| Box::new(self.core.stand_in(busy_extensions.take().unwrap_or_default())));
        core.now_ms = self.core.now_ms;
        core.access_ms = self.core.access_ms;
        std::mem::swap(&mut self.core, &mut core);
        let stack = match self.script_stack.take() {
            Some(stack) => stack,
            None => DefaultStack::new(limits::SCRIPT_STACK_BYTES).expect("the system has memory for one more stack"),
        };
        let mut unit: Unit = Coroutine::with_stack(stack, move |yielder, _: Resumed| {
            let product = YIELDER.set(yielder, || body(&mut core));
            (core, product)
        });
        match unit.resume(None) {
            CoroutineResult::Return((core, product)) => {
                self.script_stack = Some(unit.into_stack());
                self.stand_in = Some(std::mem::replace(&mut self.core, core));
                Some(product)
            }
            CoroutineResult::Yield(front) => {
                self.core.put_front(front);
                self.core.gate = gate::BUSY;
                self.aside = Some(Aside {
                    unit: Some(unit),
                    then: None,
                    deferred: Vec::new(),
                    notes: Vec::new(),
                    tracking: Vec::new(),
                    closed: Vec::new(),
                    gone: Vec::new(),
                });
                None
            }
        }
    }

    /// What becomes of the product of the unit that has stepped aside.
    pub(super) fn when_done(&mut self, then: impl FnOnce(&mut Shard, Product) + 'static) {
        if let Some(aside) = &mut self.aside {
            aside.then = Some(Box::new(then));
        }
    }

    /// True while a unit is aside: the driver resumes it between other work.
    pub fn is_busy(&self) -> bool {
        self.aside.is_some()
    }

    /// Lets the unit that is aside go on for a slice of its time.
    pub fn resume_busy(&mut self) {
        let Some(mut aside) = self.aside.take() else { return };
        let Some(mut unit) = aside.unit.take() else { return };
        match unit.resume(Some(self.core.take_front())) {
            CoroutineResult::Yield(front) => {
                self.core.put_front(front);
                aside.unit = Some(unit);
                self.aside = Some(aside);
            }
            CoroutineResult::Return((mut core, product)) => {
                self.script_stack = Some(unit.into_stack());
                self.core.gate = gate::OPEN;
                // The unit got clients and counters with its last slice, and the stand-in has nothing of them.
                core.adopt(&mut self.core);
                self.stand_in = Some(std::mem::replace(&mut self.core, core));
                self.end_busy(aside, product);
            }
        }
    }

    fn end_busy(&mut self, mut aside: Aside, product: Product) {
        if let Some(then) = aside.then.take() {
            then(self, product);
        }
        for session in std::mem::take(&mut aside.gone) {
            self.client_gone(session);
        }
        for session in std::mem::take(&mut aside.closed) {
            self.close(session);
        }
        for (from, messages) in std::mem::take(&mut aside.tracking) {
            self.receive_tracking(from, messages);
        }
        for (from, notes) in std::mem::take(&mut aside.notes) {
            self.receive_notes(from, &notes);
        }
        for (_, message) in std::mem::take(&mut aside.deferred) {
            self.to_self.push_back(message);
        }
        self.resume_stalled();
        self.settle();
    }

    /// Handles what another shard sent while a unit is aside: replies go to their sessions, what touches no key goes through, the rest waits.
    pub(super) fn receive_busy(&mut self, from: ShardId, envelope: Envelope) {
        let Envelope { requests, replies, messages, notes, tracking } = envelope;
        self.deliver_all(&replies);
        for message in messages {
            self.admit_or_defer(from, message);
        }
        if !tracking.is_empty()
            && let Some(aside) = &mut self.aside
        {
            aside.tracking.push((from, tracking));
        }
        if !notes.is_empty()
            && let Some(aside) = &mut self.aside
        {
            aside.notes.push((from, notes));
        }
        self.refuse_requests(from, &requests);
        keep_spare(&mut self.spare, requests);
        keep_spare(&mut self.spare, replies);
        self.settle();
    }

    /// Answers forwarded commands with BUSY.
    pub(super) fn refuse_requests(&mut self, from: ShardId, requests: &[u8]) {
        let mut rest = requests;
        let error = self.core.busy_error();
        let out = &mut self.outboxes[from].replies;
        while let Some((to, call, _, next)) = read_request(rest) {
            rest = next;
            let start = begin_reply(out, to);
            let mut reply = ReplyBuf::with_bytes(std::mem::take(out), call.protocol);
            reply.error(&error);
            *out = reply.into_bytes();
            seal(out, start);
        }
    }

    /// Lets a message through that touches no key; keeps any other until the unit is done.
    pub(super) fn admit_or_defer(&mut self, from: ShardId, message: TxnMessage) {
        let passes = match &message {
            TxnMessage::Sequence { .. } | TxnMessage::Sync { .. } | TxnMessage::Synced { .. } => true,
            TxnMessage::Scatter { frame, .. } => {
                let id = read_frame(frame, &mut self.spans);
                id.info().flags.contains(Flags::ALLOW_BUSY)
            }
            // Merging replies touches no key, and a client of this shard may have asked for the script's end.
            TxnMessage::Done { txn, .. } => self.transactions.is_scattered(*txn),
            _ => false,
        };
        if passes {
            self.transactions.receive(&mut self.core, message, &mut self.steps);
        } else if let Some(aside) = &mut self.aside {
            aside.deferred.push((from, message));
        }
    }

    /// Closes a session once the unit is done. False when none is aside.
    pub(super) fn close_when_done(&mut self, session: u32) -> bool {
        let Some(aside) = &mut self.aside else { return false };
        aside.closed.push(session);
        if let Some(open) = &mut self.sessions[session as usize] {
            open.closing = true;
        }
        true
    }

    /// Lets extensions forget a client once the unit is done, which has them. False when none is aside.
    pub(super) fn forget_when_done(&mut self, session: u32) -> bool {
        let aside = self.aside.as_mut();
        aside.map(|aside| aside.gone.push(session)).is_some()
    }

    /// Refuses a command while a unit is aside, except those for that case.
    pub(super) fn refusal_while_busy(&self, id: CommandId, words: crate::argv::Argv<'_>) -> Option<CommandError> {
        let kills_all = id == CommandId::Shutdown
            && words.len() == 1
            && words.get(0).is_some_and(|word| word.eq_ignore_ascii_case(b"nosave"));
        let allowed = match id {
            CommandId::Shutdown => kills_all,
            _ => id.info().flags.contains(Flags::ALLOW_BUSY),
        };
        (!allowed).then(|| self.core.busy_error())
    }
}

impl Core {
    /// What a client reads while a script is stuck.
    fn busy_error(&self) -> CommandError {
        CommandError::Text(if self.script.is_function.get() { BUSY_FUNCTION } else { BUSY_SCRIPT })
    }

    fn kill_script(&self, function: bool) -> Killed {
        let script = &self.script;
        if !script.running.get() {
            return Killed::NotBusy;
        }
        match (script.is_function.get(), function) {
            (true, false) => return Killed::IsFunction,
            (false, true) => return Killed::IsScript,
            _ => {}
        }
        if script.wrote.get() {
            return Killed::Wrote;
        }
        script.killed.set(true);
        Killed::Yes
    }
}

/// What came of SCRIPT KILL or FUNCTION KILL on a shard; the number travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Killed {
    /// Nothing runs there.
    NotBusy = 0,
    /// What runs is a function, and a script was meant.
    IsFunction = 1,
    /// What runs is a script, and a function was meant.
    IsScript = 2,
    /// It has written and cannot be ended.
    Wrote = 3,
    /// It ends.
    Yes = 4,
}

impl Killed {
    /// What to tell a client of what came of it on all shards.
    pub(super) fn of_all(outcomes: &[i64]) -> Self {
        match outcomes.iter().max() {
            Some(4) => Self::Yes,
            Some(3) => Self::Wrote,
            Some(2) => Self::IsScript,
            Some(1) => Self::IsFunction,
            _ => Self::NotBusy,
        }
    }

    /// Writes the reply.
    pub(super) fn write(self, reply: &mut ReplyBuf) {
        let text = match self {
            Self::Yes => return reply.ok(),
            Self::NotBusy => "NOTBUSY No scripts in execution right now.",
            Self::IsFunction => BUSY_FUNCTION,
            Self::IsScript => BUSY_SCRIPT,
            Self::Wrote => {
                "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill \
                 the server in a hard way using the SHUTDOWN NOSAVE command."
            }
        };
        reply.error(&CommandError::Text(text));
    }
}

/// What every command but a few is answered while a script is stuck.
pub const BUSY_SCRIPT: &str = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
const BUSY_FUNCTION: &str = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";

impl ShardCx<'_> {
    /// What the script that runs on this shard lets others know, and they it.
    pub fn script_state(&self) -> &Rc<ScriptState> {
        &self.core.script
    }

    /// SCRIPT KILL and FUNCTION KILL on this shard.
    pub fn kill_script(&self, function: bool) -> Killed {
        self.core.kill_script(function)
    }

    /// Nanoseconds of a clock that never goes back: how long a script has run.
    pub fn monotonic_ns(&self) -> u64 {
        self.core.host.monotonic_ns()
    }

    /// Exchanges this shard's core with another one. An interpreter whose functions cannot borrow puts the core where they find it, for the time of a
    /// script, and must put it back.
    pub fn exchange_core(&mut self, other: &mut Core) {
        std::mem::swap(self.core, other);
    }

    /// A core without keys, to be exchanged for the real one.
    pub fn empty_core(&self) -> Core {
        self.core.stand_in(Extensions::default())
    }
}

/// The product of a unit that only replies, in an empty buffer.
pub(super) fn replied(call: Call, buffer: Vec<u8>, write: impl FnOnce(&mut ReplyBuf)) -> Product {
    let mut reply = ReplyBuf::with_bytes(buffer, call.protocol);
    write(&mut reply);
    Product { reply: reply.into_bytes(), spent: Vec::new(), finishes: Vec::new() }
}
