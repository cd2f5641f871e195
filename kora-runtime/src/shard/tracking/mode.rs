//! How one client tracks keys: what CLIENT TRACKING and CLIENT CACHING have set.
//!
//! Owns: the modes, which of them exclude each other, for which commands a client's reads are remembered. Refuses to know: keys, other clients.
//! Start at [`Mode`]; [`Wanted::check`] has Redis's rules and texts.

use std::collections::BTreeSet;

use crate::error::CommandError;
use crate::limits::{TRACKING_PREFIX_BYTES_MAX, TRACKING_PREFIXES_MAX};
use crate::shard::clients::Client;
use crate::table::CommandId;

/// Whose reads are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Those of every command.
    #[default]
    All,
    /// Those of a command after CLIENT CACHING YES.
    OptIn,
    /// Those of all but a command after CLIENT CACHING NO.
    OptOut,
}

/// What CLIENT CACHING has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caching {
    /// Nothing that still counts.
    #[default]
    Unsaid,
    /// It holds for the next command that is no CLIENT command.
    ForNext,
    /// It holds for the command that was just let through.
    ForThis,
}

/// CLIENT TRACKING of one client, while it is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mode {
    /// It hears of all keys with its prefixes, read or not.
    pub bcast: bool,
    /// Whose reads are remembered, without `bcast`.
    pub choice: Choice,
    /// It does not hear of what it changed itself.
    pub noloop: bool,
    /// The id of the client that is told in its place, 0 for none.
    pub redirect: u64,
    /// That client was not there when it was to be told.
    pub broken: bool,
    /// The prefixes of `bcast`.
    pub prefixes: BTreeSet<Box<[u8]>>,
    /// What CLIENT CACHING has said.
    pub caching: Caching,
}

impl Mode {
    /// Whether what the command at hand reads is remembered.
    fn remembers(&self) -> bool {
        match self.choice {
            Choice::All => true,
            Choice::OptIn => self.caching == Caching::ForThis,
            Choice::OptOut => self.caching != Caching::ForThis,
        }
    }
}

impl Client {
    /// Whether what a command reads is to be remembered for this client, which tracks; CLIENT CACHING holds for one command that is not CLIENT itself.
    #[cold]
    pub(crate) fn remembers_reads_of(&mut self, id: CommandId) -> bool {
        let Some(mode) = &mut self.tracking else { return false };
        if id == CommandId::Exec
            && let Some(multi) = &self.multi
            && multi.commands().any(|(queued, _)| queued == CommandId::ClientCaching)
        {
            // Redis counts from there on. All of the transaction is more than that, which costs a message and no truth.
            mode.caching = Caching::Unsaid;
            return true;
        }
        let queues =
            id == CommandId::Multi || self.multi.is_some() && !matches!(id, CommandId::Exec | CommandId::Discard);
        if !queues && id.info().container.is_none_or(|container| !container.eq_ignore_ascii_case("client")) {
            mode.caching = if mode.caching == Caching::ForNext { Caching::ForThis } else { Caching::Unsaid };
        }
        mode.remembers()
    }

    /// A command that was let through has to wait and comes again: what CLIENT CACHING said still holds for it.
    #[cold]
    pub(crate) fn keep_caching(&mut self) {
        if let Some(mode) = &mut self.tracking
            && mode.caching == Caching::ForThis
        {
            mode.caching = Caching::ForNext;
        }
    }

    /// A command was refused: it was the one that CLIENT CACHING was about.
    pub(crate) fn drop_caching(&mut self) {
        if let Some(mode) = &mut self.tracking {
            mode.caching = Caching::Unsaid;
        }
    }
}

/// What a CLIENT TRACKING asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The client to be told in the caller's place, as it was given.
    pub redirect: Option<i64>,
    /// The mode to switch to, `None` for off.
    pub to: Option<Wanted>,
}

/// The mode that a CLIENT TRACKING ON asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// BCAST.
    pub bcast: bool,
    /// OPTIN.
    pub optin: bool,
    /// OPTOUT.
    pub optout: bool,
    /// NOLOOP.
    pub noloop: bool,
    /// PREFIX.
    pub prefixes: Vec<Box<[u8]>>,
}

/// The id of REDIRECT names nobody.
pub const NO_SUCH_TARGET: CommandError = CommandError::Text("ERR The client ID you want redirect to does not exist");

impl Wanted {
    /// Checks the options against each other and against the mode that the client is in, in Redis's order.
    ///
    /// # Errors
    /// With Redis's text; nothing has changed.
    pub fn check(&self, now: Option<&Mode>) -> Result<(), CommandError> {
        let refuse = |text| Err(CommandError::Text(text));
        if !self.bcast && !self.prefixes.is_empty() {
            return refuse("ERR PREFIX option requires BCAST mode to be enabled");
        }
        if now.is_some_and(|now| now.bcast != self.bcast) {
            return refuse(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            );
        }
        if self.bcast && (self.optin || self.optout) {
            return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
        }
        if self.optin && self.optout {
            return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
        }
        let switches = now.is_some_and(|now| {
            self.optin && now.choice == Choice::OptOut || self.optout && now.choice == Choice::OptIn
        });
        if switches {
            return refuse(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            );
        }
        self.check_prefixes(now)
    }

    fn check_prefixes(&self, now: Option<&Mode>) -> Result<(), CommandError> {
        let overlap = |one: &[u8], what: &str, other: &[u8]| {
            CommandError::message(format!(
                "ERR Prefix '{}' overlaps with {what} prefix '{}'. Prefixes for a single client must not overlap.",
                String::from_utf8_lossy(one),
                String::from_utf8_lossy(other),
            ))
        };
        let old = || now.into_iter().flat_map(|now| &now.prefixes);
        let count = self.prefixes.len() + old().count();
        let bytes: usize = self.prefixes.iter().chain(old()).map(|prefix| prefix.len()).sum();
        // Kora's own bounds: Redis has none, and compares each prefix with each other.
        if count > TRACKING_PREFIXES_MAX {
            return Err(CommandError::message(format!(
                "ERR a client may have at most {TRACKING_PREFIXES_MAX} prefixes"
            )));
        }
        if bytes > TRACKING_PREFIX_BYTES_MAX {
            return Err(CommandError::TooLarge("total length of the prefixes", TRACKING_PREFIX_BYTES_MAX));
        }
        let overlaps = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
        for (index, prefix) in self.prefixes.iter().enumerate() {
            if let Some(other) = old().find(|other| overlaps(prefix, other)) {
                return Err(overlap(prefix, "an existing", other));
            }
            if let Some(other) = self.prefixes[index + 1..].iter().find(|other| overlaps(prefix, other)) {
                return Err(overlap(prefix, "another provided", other));
            }
        }
        Ok(())
    }

    /// The mode, after [`Wanted::check`]; `now` is the one it takes the place of. What was said by CLIENT CACHING stays said.
    pub fn into_mode(self, redirect: u64, now: Option<&Mode>) -> Mode {
        let mut prefixes = now.map(|now| now.prefixes.clone()).unwrap_or_default();
        if self.bcast && self.prefixes.is_empty() {
            // Without a prefix it hears of all keys, even beside others that it asked for before.
            prefixes.insert(Box::default());
        }
        prefixes.extend(self.prefixes);
        Mode {
            bcast: self.bcast,
            choice: match (self.optin, self.optout) {
                (true, _) => Choice::OptIn,
                (_, true) => Choice::OptOut,
                _ => Choice::All,
            },
            noloop: self.noloop,
            redirect,
            broken: false,
            prefixes,
            caching: now.map(|now| now.caching).unwrap_or_default(),
        }
    }
}
