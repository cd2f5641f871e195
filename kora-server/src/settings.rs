//! Settings: what flags, environment and configuration file say together.
//!
//! Owns: which source wins, and messages that name it. Refuses to know: how each source is written (`cli.rs`,
//! `config_file.rs`), and which values are good (kora-runtime's parameters). Start at [`Settings::resolve`].

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use kora_runtime::config::{Config, PARAMETERS, Parameter, SaveRules};

use crate::cli::Flags;
use crate::config_file;
use crate::logging::LogFormat;
use crate::suggest::nearest;

/// The setting that names the configuration file. It is no parameter, and cannot stand in a file.
pub(crate) const CONFIG: &str = "config";
/// The setting that says how lines of the log look. It is no parameter: clients have no use for it.
pub(crate) const LOG_FORMAT: &str = "log-format";
/// What the names of our variables begin with.
const VARIABLE_PREFIX: &str = "KORA_";

/// Everything a server needs to know to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The parameters. `shards` is a number of shards by now, and `dir` an absolute path.
    pub config: Config,
    /// The data directory; `None` when none was given, and nothing is kept on disk.
    pub data_directory: Option<PathBuf>,
    /// How lines of the log look.
    pub log_format: LogFormat,
    /// What looks like a mistake but need not be one; to be logged.
    pub warnings: Vec<String>,
}

/// Where a value was given; what messages about it begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// File, line and key.
    File(String),
    /// The variable's name.
    Environment(String),
    /// The flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::File(text) | Self::Environment(text) | Self::Flag(text)) = self;
        formatter.write_str(text)
    }
}

/// One value from one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// A parameter, or one of the few settings that are none. Any name at all when it comes from `--set`.
    pub name: String,
    /// The text, as CONFIG SET would take it.
    pub value: Vec<u8>,
    /// Where it was given.
    pub origin: Origin,
}

impl Given {
    pub(crate) fn new(name: impl Into<String>, value: impl Into<Vec<u8>>, origin: Origin) -> Self {
        Self { name: name.into(), value: value.into(), origin }
    }
}

/// Everything that is wrong with the settings: a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct SettingsErrors(Vec<String>);

impl SettingsErrors {
    pub(crate) fn new(lines: Vec<String>) -> Self {
        Self(lines)
    }

    pub(crate) fn one(line: String) -> Self {
        Self(vec![line])
    }
}

/// How many shards there are when nobody says: one for each core that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

impl Settings {
    /// Defaults for a server inside another program: a free port on the loopback interface, one shard, nothing on disk.
    pub fn for_embedding() -> Self {
        let config = Config { port: 0, bind: vec!["127.0.0.1".to_owned()], shards: 1, ..Config::default() };
        Self { config, data_directory: None, log_format: LogFormat::default(), warnings: Vec::new() }
    }

    /// The settings that these sources give. A flag wins over the environment, that over the file, that over the
    /// default; a wrong value is an error in each of them, even where another wins. `cores` is the number of shards
    /// when none is given.
    pub fn resolve(
        flags: Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        cores: usize,
    ) -> Result<Self, SettingsErrors> {
        let Environment { config: file_of_environment, given: mut sources, warnings } = Environment::read(environment);
        if let Some(path) = flags.config.or(file_of_environment) {
            sources.splice(..0, config_file::read(&path)?);
        }
        sources.extend(flags.given);

        let mut settings =
            Self { config: Config::default(), data_directory: None, log_format: LogFormat::default(), warnings };
        let mut errors = Vec::new();
        let mut flags_seen: Vec<&'static str> = Vec::new();
        for given in &sources {
            if let Err(error) = settings.take(given, &mut flags_seen) {
                errors.push(format!("{}: {error}", given.origin));
            }
        }
        if errors.is_empty() && settings.config.shards == 0 {
            settings.config.shards = cores.clamp(1, kora_runtime::limits::SHARDS_MAX);
        }
        if let Err(error) = settings.make_directory_absolute() {
            errors.push(error);
        }
        settings.decide_what_is_kept(&sources, &mut errors);
        if errors.is_empty() { Ok(settings) } else { Err(SettingsErrors(errors)) }
    }

    /// Applies one value on top of those before it.
    fn take(&mut self, given: &Given, flags_seen: &mut Vec<&'static str>) -> Result<(), String> {
        if given.name == LOG_FORMAT {
            let format = LogFormat::parse(&given.value);
            self.log_format = format.ok_or_else(|| format!("one of {} was expected", LogFormat::NAMES.join(", ")))?;
            return Ok(());
        }
        let Some(parameter) = Parameter::named(given.name.as_bytes()) else {
            return Err(match nearest(&given.name, PARAMETERS.iter().map(|parameter| parameter.name)) {
                Some(nearest) => format!("unknown parameter; did you mean `{nearest}`?"),
                None => "unknown parameter; `kora-server --parameters` lists them all".to_owned(),
            });
        };
        if matches!(given.origin, Origin::Flag(_)) {
            let name = parameter.alias_of.unwrap_or(parameter.name);
            if flags_seen.contains(&name) {
                return Err(format!("`{name}` is given twice"));
            }
            flags_seen.push(name);
        }
        if let Some(outcome) = self.config.set_at_start(given.name.as_bytes(), &given.value) {
            outcome.map_err(|refusal| refusal.to_string())?;
        }
        if parameter.name == "dir" {
            self.data_directory = (!self.config.dir.is_empty()).then(|| PathBuf::from(&self.config.dir));
        }
        Ok(())
    }

    /// Whoever names a data directory wants to keep data: without a word about it there is a log, and without a log there are rules for snapshots. Whoever
    /// wants to keep data has to name a directory.
    fn decide_what_is_kept(&mut self, sources: &[Given], errors: &mut Vec<String>) {
        let given = |name: &str| sources.iter().rfind(|given| given.name.eq_ignore_ascii_case(name));
        if self.data_directory.is_some() {
            self.config.appendonly |= given("appendonly").is_none();
            if !self.config.appendonly && given("save").is_none() {
                self.config.save = SaveRules::of_redis();
            }
            return;
        }
        for (name, wanted) in [("appendonly", self.config.appendonly), ("save", !self.config.save.is_empty())] {
            if let Some(given) = given(name).filter(|_| wanted) {
                errors
                    .push(format!("{}: there is no data directory to keep data in; give one with --dir", given.origin));
            }
        }
    }

    /// What clients read as `dir` does not depend on where they are.
    fn make_directory_absolute(&mut self) -> Result<(), String> {
        let named = if self.config.dir.is_empty() { "." } else { &self.config.dir };
        let absolute =
            std::path::absolute(named).map_err(|error| format!("cannot find the directory {named}: {error}"))?;
        // Without its final `.`, which `absolute` keeps on some systems.
        let absolute: PathBuf = absolute.components().collect();
        self.config.dir = absolute.to_string_lossy().into_owned();
        if let Some(directory) = &mut self.data_directory {
            *directory = absolute;
        }
        Ok(())
    }
}

/// What our variables say.
#[derive(Default)]
struct Environment {
    config: Option<PathBuf>,
    given: Vec<Given>,
    warnings: Vec<String>,
}

impl Environment {
    /// Variables that name nothing of ours are not refused: others may use the prefix, as container platforms do for a
    /// service called kora. One that nearly names a parameter is worth a warning.
    fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut environment = Self::default();
        // Sorted, so that messages do not depend on the order in which a shell happened to set them.
        let mut ours: Vec<_> = variables
            .into_iter()
            .filter_map(|(variable, value)| Some((variable.to_str()?.strip_prefix(VARIABLE_PREFIX)?.to_owned(), value)))
            .collect();
        ours.sort();
        for (suffix, value) in ours {
            let name = suffix.to_ascii_lowercase().replace('_', "-");
            let variable = format!("{VARIABLE_PREFIX}{suffix}");
            if name == CONFIG {
                environment.config = Some(value.into());
            } else if name == LOG_FORMAT || Parameter::named(name.as_bytes()).is_some() {
                environment.given.push(Given::new(name, value.as_encoded_bytes(), Origin::Environment(variable)));
            } else if let Some(nearest) = nearest(&name, PARAMETERS.iter().map(|parameter| parameter.name)) {
                let nearest = nearest.to_ascii_uppercase().replace('-', "_");
                environment.warnings.push(format!("{variable} is not read; did you mean {VARIABLE_PREFIX}{nearest}?"));
            }
        }
        environment
    }
}

#[cfg(test)]
mod tests;
