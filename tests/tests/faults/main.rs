//! Faults of disks, files and clocks: what clients hear, what the process says, and that nothing acknowledged is lost.
//!
//! Owns: the table of faults, each with its expected message. Refuses to know: how files look, where kora-storage can be asked.
//! Start at [`stage`]; then a part:
//!
//! | part | what goes wrong |
//! |---|---|
//! | [`full`] | there is no room |
//! | [`syncs`] | a sync fails, or takes long |
//! | [`damage`] | files are missing, damaged, of others or lie |
//! | [`interrupted`] | the process ends at every call to storage |
//! | [`clocks`] | the clock jumps |
//! | [`restarts`] | nothing: all that has to survive, on other numbers of shards |
//! | [`processes`] | what a process says and how it exits |

mod clocks;
mod damage;
mod full;
mod gate;
mod interrupted;
mod processes;
mod restarts;
mod stage;
mod syncs;
