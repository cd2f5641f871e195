//! Which source wins, and what is said of mistakes.

use super::*;
use crate::cli;

/// Settings of a command line, variables and a configuration file's content.
fn resolve(words: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> Result<Settings, String> {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("kora.toml");
    let mut words: Vec<OsString> = ["kora-server"].iter().chain(words).map(OsString::from).collect();
    if let Some(content) = file {
        std::fs::write(&path, content).expect("a writable directory");
        words.extend(["--config".into(), path.clone().into_os_string()]);
    }
    let flags = cli::parse(words).expect("a good command line");
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let directory = format!("{}/", place.path().display());
    Settings::resolve(flags, variables, 3).map_err(|errors| errors.to_string().replace(&directory, ""))
}

fn errors(words: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> String {
    resolve(words, variables, file).expect_err("a mistake")
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = Some("port = 1\nmaxclients = 1\ntimeout = 1\n");
    let variables = [("KORA_PORT", "2"), ("KORA_MAXCLIENTS", "2"), ("OTHER_TIMEOUT", "2")];
    let settings = resolve(&["--port", "3"], &variables, file).expect("good settings");
    let config = &settings.config;
    assert_eq!((config.port, config.maxclients, config.timeout, config.tcp_backlog), (3, 2, 1, 511));

    let settings = resolve(&["--set", "port=3"], &variables, file).expect("good settings");
    assert_eq!(settings.config.port, 3);
}

#[test]
fn without_any_source_the_defaults_hold() {
    let settings = resolve(&[], &[], None).expect("good settings");
    let here = std::env::current_dir().expect("a current directory").to_string_lossy().into_owned();
    assert_eq!(settings.config, Config { shards: 3, dir: here, ..Config::default() });
    assert_eq!((settings.data_directory, settings.log_format), (None, LogFormat::Text));
    assert!(settings.warnings.is_empty());
}

#[test]
fn settings_that_are_no_parameters_have_the_same_sources() {
    let format = |words: &[&str], variables: &[(&str, &str)], file: &str| {
        resolve(words, variables, Some(file)).map(|settings| settings.log_format)
    };
    assert_eq!(format(&[], &[], "log-format = \"json\""), Ok(LogFormat::Json));
    assert_eq!(format(&[], &[("KORA_LOG_FORMAT", "TEXT")], "log-format = \"json\""), Ok(LogFormat::Text));
    assert_eq!(format(&["--log-format", "json"], &[("KORA_LOG_FORMAT", "text")], ""), Ok(LogFormat::Json));
    assert_eq!(
        format(&[], &[("KORA_LOG_FORMAT", "xml")], ""),
        Err("KORA_LOG_FORMAT: one of text, json was expected".into())
    );
}

#[test]
fn the_environment_may_name_the_file_and_a_flag_another() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("other.toml");
    std::fs::write(&path, "timeout = 9\n").expect("a writable directory");
    let path = path.to_str().expect("a path in UTF-8");
    let timeout = |file| resolve(&[], &[("KORA_CONFIG", path)], file).map(|settings| settings.config.timeout);
    assert_eq!(timeout(None), Ok(9));
    assert_eq!(timeout(Some("timeout = 1\n")), Ok(1));
}

#[test]
fn a_directory_is_used_only_when_it_is_given() {
    let settings = resolve(&["--dir", "/var/../var/kora"], &[], None).expect("good settings");
    assert_eq!(settings.data_directory, Some(PathBuf::from("/var/../var/kora")));
    assert_eq!(settings.config.dir, "/var/../var/kora");
    let settings = resolve(&[], &[("KORA_DIR", "data")], None).expect("good settings");
    let expected = std::env::current_dir().expect("a current directory").join("data");
    assert_eq!(settings.data_directory, Some(expected.clone()));
    assert_eq!(settings.config.dir, expected.to_string_lossy());
    assert_eq!(
        resolve(&["--dir", "."], &[], None).expect("good settings").data_directory,
        std::env::current_dir().ok()
    );
}

#[test]
fn shards_are_as_many_as_asked_for_or_as_cores() {
    let shards = |words: &[&str]| resolve(words, &[], None).map(|settings| settings.config.shards);
    assert_eq!(shards(&[]), Ok(3));
    assert_eq!(shards(&["--shards", "0"]), Ok(3));
    assert_eq!(shards(&["--workers", "8"]), Ok(8));
    assert_eq!(shards(&["--shards", "1025"]), Err("--shards: argument must be between 0 and 1024 inclusive".into()));
}

#[test]
fn a_mistake_names_its_source_even_when_another_wins() {
    let file = Some("timeout = 1\nport = 70000\nloglevel = \"loud\"\nmaxmemory = \"1gb\"\n");
    assert_eq!(
        errors(&["--port", "3"], &[("KORA_MAXCLIENTS", "many"), ("KORA_PORT", "tcp://10.0.0.1:6379")], file),
        "kora.toml:2: port: argument must be between 0 and 65535 inclusive\n\
         kora.toml:3: loglevel: argument(s) must be one of the following: debug, verbose, notice, warning\n\
         kora.toml:4: maxmemory: a memory limit is not supported yet\n\
         KORA_MAXCLIENTS: argument couldn't be parsed into an integer\n\
         KORA_PORT: argument couldn't be parsed into an integer"
    );
    assert_eq!(errors(&[], &[], Some("prot = 1\n")), "kora.toml:1: unknown key `prot`; did you mean `port`?");
}

#[test]
fn rules_about_where_keys_live_are_read_from_every_source() {
    let rules = |words: &[&str], variables: &[(&str, &str)], file: Option<&str>| {
        resolve(words, variables, file)
            .map(|settings| format!("{} | {}", settings.config.locality, settings.config.pinned_databases))
    };
    assert_eq!(rules(&[], &[], None), Ok(" | ".into()));
    let file = Some("locality = [\"a*:\"]\npinned-databases = [1, 0]\n");
    assert_eq!(rules(&[], &[], file), Ok("a*: | 0 1".into()));
    assert_eq!(
        rules(&[], &[("KORA_LOCALITY", "b*: c*:"), ("KORA_PINNED_DATABASES", "7")], file),
        Ok("b*: c*: | 7".into())
    );
    assert_eq!(rules(&["--locality", "d*:", "e*:", "--pinned-databases", "9"], &[], file), Ok("d*: e*: | 9".into()));
    for (words, expected) in [
        (
            ["--locality", "bull:*"],
            "--locality: argument must be patterns such as bull:*: (one '*' and text behind it) or rq: (the beginning of names), without braces",
        ),
        (["--locality", &"a*: ".repeat(17)], "--locality: argument must have at most 16 words"),
        (["--locality", &format!("{}*:", "a".repeat(63))], "--locality: argument must have words of at most 64 bytes"),
        (["--pinned-databases", "16"], "--pinned-databases: argument must be between 0 and 15 inclusive"),
        (["--pinned-databases", "three"], "--pinned-databases: argument couldn't be parsed into an integer"),
    ] {
        assert_eq!(errors(&words, &[], None), expected);
    }
}

#[test]
fn flags_that_are_mistyped_or_doubled_are_refused() {
    assert_eq!(errors(&["--set", "prot=1"], &[], None), "--set prot: unknown parameter; did you mean `port`?");
    assert_eq!(
        errors(&["--set", "cluster-enabled=yes"], &[], None),
        "--set cluster-enabled: unknown parameter; `kora-server --parameters` lists them all"
    );
    assert_eq!(errors(&["--port", "1", "--set", "port=2"], &[], None), "--set port: `port` is given twice");
    assert_eq!(
        errors(&["--hash-max-listpack-value", "1", "--set", "hash-max-ziplist-value=2"], &[], None),
        "--set hash-max-ziplist-value: `hash-max-listpack-value` is given twice"
    );
}

#[test]
fn a_variable_that_is_nearly_ours_is_worth_a_warning() {
    let variables = [("KORA_MAXCLIENT", "1"), ("KORA_SERVICE_HOST", "10.0.0.1"), ("PATH", "/bin")];
    let settings = resolve(&[], &variables, None).expect("good settings");
    assert_eq!(settings.warnings, ["KORA_MAXCLIENT is not read; did you mean KORA_MAXCLIENTS?"]);
}

#[test]
fn a_message_never_quotes_a_secret() {
    let text = errors(&["--set", "requirepass=hunter2", "--set", "requirepass=hunter2"], &[], None);
    assert_eq!(text, "--set requirepass: `requirepass` is given twice");
}

/// What is kept when these flags are given: `appendonly` and `save`.
fn check_kept(flags: &[&str], appendonly: bool, save: &str) {
    let config = resolve(flags, &[], None).expect("good settings").config;
    let shown = Parameter::named(b"save").expect("a parameter").text(&config);
    assert_eq!((config.appendonly, shown.as_str()), (appendonly, save), "{flags:?}");
}

#[test]
fn whoever_names_a_directory_keeps_data() {
    check_kept(&[], false, "");
    check_kept(&["--dir", "d"], true, "");
    check_kept(&["--dir", "d", "--appendonly", "no"], false, "3600 1 300 100 60 10000");
    check_kept(&["--dir", "d", "--appendonly", "no", "--save", ""], false, "");
    check_kept(&["--dir", "d", "--save", "60", "1"], true, "60 1");
    check_kept(&["--dir", "d", "--appendonly", "no", "--save", "60 1"], false, "60 1");
    check_kept(&["--set", "dir=d", "--set", "APPENDONLY=no"], false, "3600 1 300 100 60 10000");
    check_kept(&["--appendonly", "no", "--save", ""], false, "");
    let config = resolve(&["--dir", "d"], &[("KORA_APPENDONLY", "no")], Some("save = [\"900 1\", \"300 10\"]\n"));
    let config = config.expect("good settings").config;
    assert_eq!(
        (config.appendonly, Parameter::named(b"save").map(|save| save.text(&config))),
        (false, Some("900 1 300 10".to_owned()))
    );
}

#[test]
fn without_a_directory_nothing_can_be_kept() {
    let error =
        |flags: &[&str], variables: &[(&str, &str)]| resolve(flags, variables, None).expect_err("nowhere to keep it");
    let text = "there is no data directory to keep data in; give one with --dir";
    assert_eq!(error(&["--appendonly", "yes"], &[]), format!("--appendonly: {text}"));
    assert_eq!(error(&["--save", "1 1"], &[]), format!("--save: {text}"));
    assert_eq!(
        error(&["--save", "1 1"], &[("KORA_APPENDONLY", "yes")]),
        format!("KORA_APPENDONLY: {text}\n--save: {text}")
    );
}
