//! What a shard may ask of the process it runs in.
//!
//! Owns: the one trait through which time beyond the tick's clock, the operating system and the other shards' existence are seen.
//! Refuses to know: how any of it is found out. A simulation gives its own.

use std::time::Duration;

/// Facts about the process, read when INFO asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostFacts {
    /// Process id.
    pub process_id: u32,
    /// Forty hexadecimal digits, drawn at start.
    pub run_id: String,
    /// Port of the TCP listener, 0 without one.
    pub tcp_port: u16,
    /// Seconds since the engine started.
    pub uptime_seconds: u64,
    /// Path of the program.
    pub executable: String,
    /// Path of the configuration file, empty without one.
    pub config_file: String,
    /// Operating system, as `uname` says it.
    pub os: String,
    /// Resident bytes of the process.
    pub resident_bytes: u64,
    /// Seconds of processor time in user mode.
    pub cpu_user_seconds: f64,
    /// Seconds of processor time in the kernel.
    pub cpu_system_seconds: f64,
    /// Seconds of processor time in user mode of the calling thread.
    pub cpu_user_thread_seconds: f64,
    /// Seconds of processor time in the kernel of the calling thread.
    pub cpu_system_thread_seconds: f64,
    /// Bytes of memory in the machine.
    pub system_memory_bytes: u64,
    /// Connections that were refused at the door.
    pub rejected_connections: u64,
    /// Connections accepted.
    pub accepted_connections: u64,
    /// Bytes the allocator has handed out.
    pub allocated_bytes: u64,
    /// Most bytes the allocator ever had handed out.
    pub peak_allocated_bytes: u64,
}

/// The process around the shards.
pub trait Host: Send + Sync {
    /// Nanoseconds of a clock that never goes back; read for sampled command times only.
    fn monotonic_ns(&self) -> u64;
    /// Facts for INFO.
    fn facts(&self) -> HostFacts;
    /// Blocks the calling shard (DEBUG SLEEP).
    fn sleep(&self, duration: Duration);
    /// Asks the process to stop cleanly (SHUTDOWN).
    fn shutdown(&self);
    /// Gives freed memory back to the operating system (MEMORY PURGE).
    fn purge(&self);
    /// Tells what went wrong inside; one line.
    fn report(&self, message: &str);
    /// A parameter changed that something outside the shards has to know about (maxclients, loglevel…).
    fn config_changed(&self, config: &crate::config::Config);
}
