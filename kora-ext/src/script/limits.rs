//! Bounds of the scripting engine, with their units in their names.
//!
//! Owns: the numbers and why each has its size. Refuses to know: who enforces them; each says who should.

use kora_runtime::limits::{KIB, MIB};

/// Instructions between two questions whether a script goes on. Redis asks as often.
pub const INTERRUPT_INSTRUCTIONS: u32 = 100_000;

/// Bytes that one Lua state may hold, garbage that is not collected yet included; there are two for each shard, one for scripts and one for
/// function libraries. Lua waits until its heap has doubled before it collects, so about half can be alive.
pub const LUA_HEAP_BYTES_MAX: usize = 64 * MIB;

/// Bytes that an empty state needs and a smaller limit would break.
pub const LUA_HEAP_BYTES_MIN: usize = 512 * KIB;

/// Scripts in one cache.
pub const SCRIPTS_MAX: usize = 10_000;

/// Bytes of the texts of all scripts in one cache. Their compiled form takes several times as much of the state's heap.
pub const SCRIPT_BYTES_MAX: usize = 4 * MIB;

/// Function libraries of a server.
pub const LIBRARIES_MAX: usize = 1_000;

/// Bytes of the texts of all function libraries.
pub const LIBRARY_BYTES_MAX: usize = 4 * MIB;

/// Nanoseconds that the text of a library may run while it registers its functions.
pub const LIBRARY_LOAD_NS_MAX: u64 = 500_000_000;

/// Levels of tables within tables that a script may return. Redis ends where its Lua stack does, at 7,994.
pub const REPLY_DEPTH_MAX: usize = 7_000;

/// Levels of aggregates within a reply to `redis.call`; no command comes near.
pub const CALL_REPLY_DEPTH_MAX: usize = 128;

/// Levels that `cmsgpack.pack` goes down; whatever lies deeper is packed as nil.
pub const MSGPACK_PACK_DEPTH_MAX: usize = 16;

/// Levels that `cmsgpack.unpack` goes down.
pub const MSGPACK_UNPACK_DEPTH_MAX: usize = 1_000;

/// Bytes that `cjson.encode`, `cmsgpack.pack` and `struct.pack` may make at once.
pub const ENCODED_BYTES_MAX: usize = LUA_HEAP_BYTES_MAX;

const _: () = {
    assert!(LUA_HEAP_BYTES_MIN < LUA_HEAP_BYTES_MAX);
    assert!(8 * SCRIPT_BYTES_MAX <= LUA_HEAP_BYTES_MAX);
    assert!(8 * LIBRARY_BYTES_MAX <= LUA_HEAP_BYTES_MAX);
};
