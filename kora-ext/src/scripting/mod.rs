//! EVAL, FCALL and their kin on the shards.
//!
//! Owns: one engine of scripts on each shard, and what shards tell each other of scripts. Refuses to know: Lua (`script`), where a script's keys are
//! (kora-runtime brings them together).
//! Start at [`Scripting`]; `commands.rs` has the handlers, `lent.rs` how a script reaches its shard.
//!
//! Scripts and libraries are the same on all shards: SCRIPT LOAD and FUNCTION LOAD run on every one of them, in one order. A script that came by EVAL is
//! compiled where it ran; the other shards are told its text, in case that EVALSHA comes to them.

mod commands;
mod known;
mod lent;

use std::cell::RefCell;
use std::rc::Rc;

use kora_runtime::extension::Extension;
use kora_runtime::shard::cx::ShardCx;
use kora_runtime::shard::message::ShardId;
use kora_storage::rdb::write::StringWriter;

use self::known::KnownTexts;
use self::lent::Lent;
use crate::script::{Libraries, Scripts};

/// The engine of one shard.
#[derive(Default)]
struct Engine {
    scripts: Scripts<Lent>,
    libraries: Libraries<Lent>,
    /// Texts of scripts that ran on other shards.
    known: KnownTexts,
    /// What the core is lent in; made for the first script.
    lent: Option<Lent>,
}

/// The extension of one shard. Its twin answers while a script is stuck and has the engine.
pub struct Scripting {
    engine: Rc<RefCell<Engine>>,
}

impl Scripting {
    /// The extension and its twin.
    pub fn pair() -> (Self, Self) {
        let engine = Rc::default();
        (Self { engine: Rc::clone(&engine) }, Self { engine })
    }
}

impl Extension for Scripting {
    fn receive(&mut self, _: &mut ShardCx<'_>, _: ShardId, note: &[u8]) {
        self.engine.borrow_mut().known.add(note);
    }

    fn save(&self, out: &mut Vec<u8>) {
        let mut strings = StringWriter::new(false);
        for code in self.engine.borrow().libraries.codes() {
            strings.function(out, code);
        }
    }
}
