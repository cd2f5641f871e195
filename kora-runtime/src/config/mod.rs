//! Configuration: the values of all parameters, and how CONFIG GET and CONFIG SET see them.
//!
//! Owns: lookup by name, changes that happen whole or not at all, the errors of CONFIG SET. Refuses to know: flags,
//! files and the environment, which kora-server reads; what a parameter means, which its reader knows.
//! Start at [`Config::set`]; the parameters are listed in `parameters.rs`.

mod notified;
mod parameters;
mod placement;
mod save_rules;
mod shapes;
mod value;

pub use notified::NotifiedEvents;
pub use parameters::{Change, Config, PARAMETERS, Parameter};
pub use placement::{Locality, PinnedDatabases};
pub use save_rules::SaveRules;
pub use value::{
    AppendFsync, ClientClass, Kind, LogLevel, MaxmemoryPolicy, OutputLimit, OutputLimits, PipelineOrder, RecoverMode,
    Refusal, parse_bytes,
};

use crate::error::CommandError;
use crate::glob::matches;

impl Parameter {
    /// The parameter of this name, older names included, in any case.
    pub fn named(name: &[u8]) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| parameter.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// The value as CONFIG GET shows it.
    pub fn text(&self, config: &Config) -> String {
        (self.text)(config)
    }

    /// True when the value must not be logged.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Replaces the value, whoever may: a [`Change::Never`] takes no other than it has. On error nothing has changed.
    fn assign(&self, config: &mut Config, text: &[u8]) -> Result<(), Refusal> {
        let mut changed = config.clone();
        (self.assign)(&mut changed, text)?;
        match self.change {
            Change::Never(why) if changed != *config => Err(Refusal::Fixed(why)),
            Change::Never(_) | Change::AtStart | Change::AtRunTime => {
                *config = changed;
                Ok(())
            }
        }
    }
}

impl Config {
    /// Names and values of the parameters that any of `patterns` matches, in any case, for CONFIG GET. Each name comes
    /// once, in the order of the list.
    pub fn matching<'a>(
        &self,
        patterns: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
    ) -> Vec<(&'static str, String)> {
        let patterns = patterns.into_iter();
        let is_asked_for =
            |row: &&Parameter| patterns.clone().any(|pattern| matches(pattern, row.name.as_bytes(), true));
        PARAMETERS.iter().filter(is_asked_for).map(|row| (row.name, row.text(self))).collect()
    }

    /// The configuration after CONFIG SET of these names and values: all of them, or the error of one.
    ///
    /// As in Redis, names are looked at before any value: the first that is unknown, immutable or repeated decides.
    pub fn set<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8]), IntoIter: Clone>,
    ) -> Result<Self, CommandError> {
        let pairs = pairs.into_iter();
        let mut chosen: Vec<&'static Parameter> = Vec::new();
        for (name, _) in pairs.clone() {
            let Some(parameter) = Parameter::named(name) else {
                return Err(CommandError::message(format!(
                    "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                    String::from_utf8_lossy(name)
                )));
            };
            if parameter.change == Change::AtStart {
                return Err(set_failed(name, &Refusal::Immutable));
            }
            if chosen.iter().any(|earlier| std::ptr::eq(*earlier, parameter)) {
                return Err(set_failed(name, &Refusal::Duplicate));
            }
            chosen.push(parameter);
        }
        let mut changed = self.clone();
        for (parameter, (name, text)) in chosen.into_iter().zip(pairs) {
            parameter.assign(&mut changed, text).map_err(|refusal| set_failed(name, &refusal))?;
        }
        Ok(changed)
    }

    /// Why these settings cannot hold without a data directory, as CONFIG SET says it of the parameter; `None` when they can.
    pub fn needs_directory(&self) -> Option<CommandError> {
        let needing = [("appendonly", self.appendonly), ("save", !self.save.is_empty())];
        let (name, _) = needing.into_iter().find(|(_, needs)| *needs)?;
        Some(set_failed(name.as_bytes(), &Refusal::NoDirectory))
    }

    /// True when a connection's commands never overlap.
    pub fn pipeline_order_strict(&self) -> bool {
        self.pipeline_order == PipelineOrder::Strict
    }

    /// Bytes of unsent replies at which a connection of a class is closed, the engine's own bound included.
    pub fn output_hard_limit_bytes(&self, class: ClientClass) -> usize {
        let limit = self.client_output_buffer_limit.of(class);
        usize::try_from(limit.hard_bytes_or_max()).unwrap_or(usize::MAX)
    }

    /// Sets one parameter while the server starts, when those of [`Change::AtStart`] may still change. `None` when
    /// there is no parameter of that name. On error nothing has changed.
    pub fn set_at_start(&mut self, name: &[u8], text: &[u8]) -> Option<Result<(), Refusal>> {
        Parameter::named(name).map(|parameter| parameter.assign(self, text))
    }
}

/// The error of CONFIG SET about one of its pairs; the name is as the client wrote it.
fn set_failed(name: &[u8], refusal: &Refusal) -> CommandError {
    let name = String::from_utf8_lossy(name);
    CommandError::message(format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {refusal}"))
}

#[cfg(test)]
mod tests;
