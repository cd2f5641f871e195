//! One shard on one thread.
//!
//! Owns: the mailbox, the tick, who gets which replies. Refuses to know: sockets (connections give it an [`Outlet`]), what commands mean.
//! Start at [`Driver::flush`].
//!
//! Connection tasks that have input run it; the first of them asks for a flush, and the flush task comes after all of them because it was
//! woken behind them. It sends one envelope to each shard that something waits for, and one write to each connection that has replies.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use kora_runtime::shard::clients::Peer;
use kora_runtime::shard::message::{Envelope, ShardId};
use kora_runtime::shard::{Shard, ShardOptions};
use tokio::sync::{Notify, mpsc};

use crate::clock::Clock;
use crate::host::ProcessHost;
use crate::persistence::Store;
use crate::persistence::log::ShardLog;

/// Something to do on a shard's thread.
pub type Task = Box<dyn FnOnce(&Rc<Driver>) + Send>;

/// What a shard's mailbox takes.
pub enum Mail {
    /// From another shard.
    Envelope(ShardId, Envelope),
    /// Something to do on the shard's thread.
    Task(Task),
    /// Stop the thread.
    Stop,
}

/// Where a session's replies go.
pub trait Outlet {
    /// Writes what it can of `output` and returns how many bytes from the front are done with.
    fn write(&self, output: &[u8]) -> usize;
    /// The session may take input again, or its output has room.
    fn wake(&self);
    /// The session is over: let the peer know.
    fn shut(&self);
}

/// A shard, its mailbox and its connections; lives on one thread.
pub struct Driver {
    shard: RefCell<Shard>,
    peers: Vec<mpsc::UnboundedSender<Mail>>,
    outlets: RefCell<Vec<Option<Rc<dyn Outlet>>>>,
    flush_wanted: Notify,
    /// The time for which the alarm is set, Unix milliseconds.
    alarm_ms: Cell<Option<u64>>,
    alarm_changed: Notify,
    /// A script has stepped aside and is to be resumed.
    busy: Notify,
    in_tick: Cell<bool>,
    dirty: RefCell<Vec<u32>>,
    clock: Clock,
    host: Arc<ProcessHost>,
    id: ShardId,
    store: Option<Arc<Store>>,
    pub(crate) log: RefCell<Option<ShardLog>>,
    /// A snapshot is to be gone on with.
    pub(crate) saving: Notify,
    /// Something logged waits for a sync that is to begin soon.
    pub(crate) gathering: Notify,
    /// Old shards' shares of the keys that have arrived while they are routed anew.
    shares: Cell<usize>,
}

impl Driver {
    /// A driver for a new shard.
    pub fn new(
        options: ShardOptions,
        peers: Vec<mpsc::UnboundedSender<Mail>>,
        clock: Clock,
        host: Arc<ProcessHost>,
        store: Option<Arc<Store>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            store,
            log: RefCell::new(None),
            saving: Notify::new(),
            gathering: Notify::new(),
            shares: Cell::new(0),
            id: options.id,
            shard: RefCell::new(Shard::new(options)),
            peers,
            outlets: RefCell::default(),
            flush_wanted: Notify::new(),
            alarm_ms: Cell::new(None),
            alarm_changed: Notify::new(),
            busy: Notify::new(),
            in_tick: Cell::new(false),
            dirty: RefCell::default(),
            clock,
            host,
        })
    }

    /// This shard's number.
    pub fn id(&self) -> ShardId {
        self.id
    }

    /// The process around.
    pub fn host(&self) -> &Arc<ProcessHost> {
        &self.host
    }

    /// The data directory, when there is one.
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref()
    }

    /// Runs `task` on the thread of another shard, or, later, of this one.
    pub(crate) fn on_shard(&self, shard: ShardId, task: impl FnOnce(&Rc<Driver>) + Send + 'static) {
        // One that has stopped takes no mail; the process is about to end.
        let _ = self.peers[shard].send(Mail::Task(Box::new(task)));
    }

    /// The mailbox of this shard.
    pub(crate) fn mailbox(&self) -> mpsc::UnboundedSender<Mail> {
        self.peers[self.id].clone()
    }

    /// Counts a shard that has handed over what it loaded; true when it was the last one.
    pub(crate) fn share_arrived(&self) -> bool {
        self.shares.set(self.shares.get() + 1);
        self.shares.get() == self.peers.len()
    }

    /// Runs `act` on the shard inside a tick, and has the tick flushed.
    #[inline]
    pub fn tick<T>(&self, act: impl FnOnce(&mut Shard) -> T) -> T {
        let mut shard = self.shard.borrow_mut();
        if !self.in_tick.replace(true) {
            shard.begin_tick(self.clock.now_ms());
            self.flush_wanted.notify_one();
        }
        act(&mut shard)
    }

    /// Ends the tick now, if one is under way.
    pub(crate) fn end_tick(&self) {
        if self.in_tick.get() {
            self.flush();
        }
    }

    /// The shard, outside of any tick.
    pub(crate) fn shard_mut(&self) -> RefMut<'_, Shard> {
        self.shard.borrow_mut()
    }

    /// Looks at the shard.
    pub fn look<T>(&self, look: impl FnOnce(&Shard) -> T) -> T {
        look(&self.shard.borrow())
    }

    /// Opens a session whose replies go to `outlet`.
    pub fn open(&self, peer: Peer, outlet: Rc<dyn Outlet>) -> u32 {
        let session = self.tick(|shard| shard.open(peer));
        let mut outlets = self.outlets.borrow_mut();
        let index = session as usize;
        if outlets.len() <= index {
            outlets.resize_with(index + 1, || None);
        }
        outlets[index] = Some(outlet);
        session
    }

    /// Closes a session.
    pub fn close(&self, session: u32) {
        self.outlets.borrow_mut()[session as usize] = None;
        self.tick(|shard| shard.close(session));
    }

    /// Reads input for a session with `read`, which appends to the buffer it is given or says that nothing is there, and runs the commands in it.
    ///
    /// # Errors
    /// What `read` returns.
    #[inline]
    pub fn poll_read<E>(
        &self,
        session: u32,
        read: impl FnOnce(&mut Vec<u8>) -> Poll<Result<usize, E>>,
    ) -> Poll<Result<usize, E>> {
        let outcome = self.shard.borrow_mut().read_with(session, read);
        if let Poll::Ready(Ok(count @ 1..)) = outcome {
            self.tick(|shard| {
                shard.count_input(count);
                shard.run(session);
            });
        }
        outcome
    }

    /// True when a session may take more input.
    #[inline]
    pub fn wants_input(&self, session: u32) -> bool {
        self.shard.borrow().wants_input(session)
    }

    /// True when a session has nothing more to do.
    pub fn is_over(&self, session: u32) -> bool {
        self.shard.borrow_mut().is_over(session)
    }

    /// Writes a session's waiting output again, after its outlet had no room.
    pub fn flush_session(&self, session: u32) -> bool {
        let outlet = self.outlets.borrow().get(session as usize).cloned().flatten();
        let Some(outlet) = outlet else { return false };
        self.in_tick.set(true);
        let more = self.write_out(&mut self.shard.borrow_mut(), session, &outlet);
        self.flush_wanted.notify_one();
        more
    }

    /// Writes what a session has; true when something is left.
    fn write_out(&self, shard: &mut Shard, session: u32, outlet: &Rc<dyn Outlet>) -> bool {
        let sendable = shard.sendable_bytes(session);
        let output = shard.output(session);
        let sendable = sendable.min(output.len());
        let written = if sendable == 0 { 0 } else { outlet.write(&output[..sendable]) };
        if written < output.len() {
            output.drain(..written);
        } else {
            output.clear();
        }
        let left = written < sendable;
        if written > 0 {
            shard.wrote(session, written);
        }
        if shard.is_over(session) {
            outlet.shut();
        } else if shard.wants_input(session) {
            outlet.wake();
        }
        left
    }

    /// Ends the tick: envelopes to other shards, replies to connections, until nothing moves.
    pub fn flush(&self) {
        let mut shard = self.shard.borrow_mut();
        let mut dirty = self.dirty.borrow_mut();
        loop {
            shard.catch_up();
            self.write_log(&mut shard);
            shard.end_tick(&mut |peer, envelope| {
                // A peer that has stopped takes no mail; the process is about to end.
                let _ = self.peers[peer].send(Mail::Envelope(self.id, envelope));
            });
            self.write_log(&mut shard);
            shard.take_dirty(&mut dirty);
            if dirty.is_empty() && !shard.has_outgoing() {
                break;
            }
            for &session in dirty.iter() {
                let outlet = self.outlets.borrow().get(session as usize).cloned().flatten();
                if let Some(outlet) = outlet {
                    self.write_out(&mut shard, session, &outlet);
                }
            }
        }
        self.in_tick.set(false);
        if shard.is_busy() {
            self.busy.notify_one();
        }
        if shard.is_saving() {
            self.saving.notify_one();
        }
        let alarm_ms = shard.next_deadline_ms();
        if self.alarm_ms.replace(alarm_ms) != alarm_ms {
            self.alarm_changed.notify_one();
        }
        let takes_sync = shard.takes_sync();
        drop(shard);
        drop(dirty);
        if takes_sync {
            self.sync_log();
        }
        self.make_way_for_sync();
    }

    /// Flushes whenever a tick asks for it.
    pub async fn flush_forever(self: Rc<Self>) {
        loop {
            self.flush_wanted.notified().await;
            self.flush();
        }
    }

    /// Does the background work in slices, ten times a second and again at once while there is much.
    pub async fn maintain_forever(self: Rc<Self>) {
        let mut rhythm = tokio::time::interval(std::time::Duration::from_millis(100));
        rhythm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            rhythm.tick().await;
            self.tick(Shard::close_idle);
            // The clock may have been set, or is moved by hand.
            self.tick(Shard::wake_due);
            self.keep_up();
            while self.tick(Shard::maintain) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Wakes the shard when a client has waited long enough or a pause is over. Without any, nothing here wakes.
    pub async fn wake_forever(self: Rc<Self>) {
        loop {
            let changed = self.alarm_changed.notified();
            match self.alarm_ms.get() {
                None => changed.await,
                Some(at_ms) => {
                    let rest = Duration::from_millis(at_ms.saturating_sub(self.clock.now_ms()));
                    let over = tokio::time::timeout(rest, changed).await.is_err();
                    if over {
                        // A clock that stands still is not over yet: the upkeep looks again when it has been moved.
                        self.tick(Shard::wake_due);
                        if self.alarm_ms.get() == Some(at_ms) && self.clock.now_ms() < at_ms {
                            self.alarm_changed.notified().await;
                        }
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// Resumes a script that takes long, a slice at a time between other work.
    pub async fn resume_forever(self: Rc<Self>) {
        loop {
            self.busy.notified().await;
            while self.look(Shard::is_busy) {
                self.tick(Shard::resume_busy);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Handles mail until told to stop.
    pub async fn receive_forever(self: Rc<Self>, mut mailbox: mpsc::UnboundedReceiver<Mail>) {
        while let Some(mail) = mailbox.recv().await {
            match mail {
                Mail::Envelope(from, envelope) => self.tick(|shard| shard.receive(from, envelope)),
                Mail::Task(task) => task(&self),
                Mail::Stop => return self.end(),
            }
        }
    }
}
