//! How much a native function may still put into the Lua heap.
//!
//! Owns: the count. Refuses to know: what is built. While a native function runs, the state's own limit is lifted, because with it every value
//! that is made costs a protected call; the function counts instead and gives up with Lua's own text.

use std::cell::Cell;
use std::rc::Rc;

use mlua::{Lua, LuaString, Table};

/// What Lua says when its heap is full.
pub(super) const OUT_OF_MEMORY: &str = "not enough memory";

/// Bytes that a string takes beside its own.
pub(super) const STRING_BYTES: usize = 25;
/// Bytes that a table takes beside its elements, and for each.
const TABLE_BYTES: usize = 64;
const ELEMENT_BYTES: usize = 40;

/// The limit of a state's heap; shared between what runs scripts and what natives see.
#[derive(Debug, Clone)]
pub(super) struct HeapLimit(Rc<Cell<usize>>);

impl HeapLimit {
    /// A limit in bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    /// The limit in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.0.get()
    }

    /// Changes it for what runs next.
    pub(super) fn set_bytes(&self, bytes: usize) {
        self.0.set(bytes);
    }

    /// Runs `act` with the state's own limit in force.
    pub(super) fn enforced<T>(&self, lua: &Lua, act: impl FnOnce() -> T) -> T {
        switch(lua, self.bytes());
        let outcome = act();
        switch(lua, 0);
        outcome
    }

    /// Runs `act` with the state's own limit lifted, as the work of a native function.
    pub(super) fn lifted<T>(&self, lua: &Lua, act: impl FnOnce() -> T) -> T {
        switch(lua, 0);
        let outcome = act();
        switch(lua, self.bytes());
        outcome
    }
}

fn switch(lua: &Lua, bytes: usize) {
    // It fails only where the allocator is not mlua's; ours always is.
    let _previous = lua.set_memory_limit(bytes);
}

/// Counts what one native function makes.
pub(super) struct Budget<'l> {
    /// The state.
    pub(super) lua: &'l Lua,
    left: usize,
    limit: usize,
}

/// Why a value was not made.
#[derive(Debug)]
pub(super) enum Fault {
    /// The heap is full.
    Memory,
    /// Too many levels.
    Depth,
    /// The bytes are not what they should be.
    Malformed,
    /// The interpreter itself refused.
    Lua(mlua::Error),
}

impl From<mlua::Error> for Fault {
    fn from(error: mlua::Error) -> Self {
        Self::Lua(error)
    }
}

impl Fault {
    /// What the script is told.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Memory => OUT_OF_MEMORY.to_owned(),
            Self::Depth => "reached lua stack limit".to_owned(),
            Self::Malformed => "malformed reply".to_owned(),
            Self::Lua(mlua::Error::MemoryError(_)) => OUT_OF_MEMORY.to_owned(),
            Self::Lua(mlua::Error::StackError) => "stack overflow".to_owned(),
            Self::Lua(error) => error.to_string(),
        }
    }
}

impl<'l> Budget<'l> {
    /// What is left below the limit now.
    pub(super) fn new(lua: &'l Lua, limit: &HeapLimit) -> Self {
        let limit = limit.bytes();
        Self { lua, left: limit.saturating_sub(lua.used_memory()), limit }
    }

    /// Takes bytes out; collects garbage before it gives up.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        if bytes > self.left {
            self.lua.gc_collect()?;
            self.left = self.limit.saturating_sub(self.lua.used_memory());
        }
        self.left = self.left.checked_sub(bytes).ok_or(Fault::Memory)?;
        Ok(())
    }

    /// A string.
    pub(super) fn string(&mut self, bytes: &[u8]) -> Result<LuaString, Fault> {
        self.take(bytes.len() + STRING_BYTES)?;
        Ok(self.lua.create_string(bytes)?)
    }

    /// A table with room for so many elements and fields.
    pub(super) fn table(&mut self, elements: usize, fields: usize) -> Result<Table, Fault> {
        self.take(TABLE_BYTES.saturating_add((elements.saturating_add(fields)).saturating_mul(ELEMENT_BYTES)))?;
        Ok(self.lua.create_table_with_capacity(elements, fields)?)
    }
}
