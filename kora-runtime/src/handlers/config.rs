//! CONFIG: settings read and changed while running, and counters set back.
//!
//! Owns: which names a pattern of CONFIG GET picks, what else changes with a setting. Refuses to know: the settings; see `config`.
//! Start at [`matching`].

use crate::argv::Many;
use crate::config::{Config, PARAMETERS, Parameter};
use crate::error::CommandError;
use crate::glob;
use crate::shard::core::Core;
use crate::table::args;

/// Names and values that CONFIG GET answers. A name without a wildcard is shown as it was asked for; each parameter comes once.
pub fn matching(config: &Config, patterns: Many<'_, &[u8]>) -> Vec<(Vec<u8>, String)> {
    let mut found: Vec<(Vec<u8>, &'static Parameter)> = Vec::new();
    let mut add = |name: &[u8], parameter: &'static Parameter| {
        if !found.iter().any(|(_, earlier)| earlier.name == parameter.name) {
            found.push((name.to_vec(), parameter));
        }
    };
    for pattern in patterns {
        if !pattern.iter().any(|byte| b"[*?".contains(byte)) {
            if let Some(parameter) = Parameter::named(pattern) {
                add(pattern, parameter);
            }
            continue;
        }
        for parameter in PARAMETERS.iter().filter(|parameter| glob::matches(pattern, parameter.name.as_bytes(), true)) {
            add(parameter.name.as_bytes(), parameter);
        }
    }
    found.into_iter().map(|(name, parameter)| (name, parameter.text(config))).collect()
}

/// CONFIG SET on one shard; every shard does the same with the same words. The first tells the process.
pub fn set(core: &mut Core, pairs: Many<'_, args::ConfigSetPairs<'_>>) -> Result<(), CommandError> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|pair| (pair.parameter, pair.value)).collect();
    let changed = core.config.set(pairs.iter().copied())?;
    if changed.needs_directory() != core.config.needs_directory() && core.host.persistence().directory.is_none() {
        // Whoever turns on what needs a directory is told, and not left to believe that anything is kept.
        if let Some(error) = changed.needs_directory() {
            return Err(error);
        }
    }
    let opened = changed.requirepass.is_empty() && !core.config.requirepass.is_empty();
    core.config = changed;
    core.follow_settings();
    if opened {
        // Without a password nobody has to give one, those included that were connected before.
        core.clients.authenticate_all();
    }
    if core.id == 0 {
        core.host.config_changed(&core.config);
    }
    Ok(())
}

/// CONFIG RESETSTAT on one shard. The count of changes is no statistic: it says what is not saved, and stays.
pub fn reset_statistics(core: &mut Core) {
    let (dirty, dirty_at_snapshot) = (core.stats.dirty, core.stats.dirty_at_snapshot);
    core.stats.reset();
    (core.stats.dirty, core.stats.dirty_at_snapshot) = (dirty, dirty_at_snapshot);
    core.command_stats.reset();
    core.meter.reset();
    let facts = core.host.facts();
    core.connections_before_reset = (facts.accepted_connections, facts.rejected_connections);
}
