//! The process from outside: exit codes, messages, signals, what it leaves behind.
//! Ports are chosen by the system and read from the line that says that the server is ready.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use kora_server::{Server, Settings};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kora-server"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command line that ends by itself: exit code and standard error.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = command(arguments).output().expect("the binary is there");
    let code = output.status.code().expect("it exits by itself");
    (code, String::from_utf8(output.stderr).expect("messages are text"))
}

/// A server process, killed when dropped.
struct Running {
    child: Child,
    log: BufReader<ChildStderr>,
    ready: String,
}

impl Running {
    /// Starts one and waits for the line that says that it is ready.
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().expect("the binary is there");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut running = Self { child, log, ready: String::new() };
        let mut earlier = String::new();
        while !running.ready.contains("ready to accept connections") {
            earlier.push_str(&std::mem::take(&mut running.ready));
            let length = running.log.read_line(&mut running.ready).expect("the log is text");
            assert_ne!(length, 0, "it ended before it was ready: {earlier}");
        }
        running
    }

    /// The value of a field of the ready line.
    fn field(&self, name: &str) -> &str {
        let field = self.ready.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        field.expect("the ready line has the field").trim_matches('"')
    }

    fn port(&self) -> u16 {
        self.field("port").parse().expect("a number")
    }

    /// Sends a signal and waits for the end: exit code and the rest of the log.
    fn signal(mut self, name: &str) -> (Option<i32>, String) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("the log is text");
        (self.child.wait().expect("it is our child").code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn signals_end_the_process_cleanly() {
    for name in ["TERM", "INT"] {
        let place = tempfile::tempdir().expect("a temporary directory");
        let socket = place.path().join("kora.sock");
        let data = place.path().join("data");
        let running = Running::start(&[
            "--port",
            "0",
            "--bind",
            "127.0.0.1",
            "--shards",
            "2",
            "--dir",
            text(&data),
            "--unixsocket",
            text(&socket),
        ]);
        assert_eq!((running.field("shards"), running.field("unixsocket")), ("2", text(&socket)));
        TcpStream::connect(("127.0.0.1", running.port())).expect("it listens");
        UnixStream::connect(&socket).expect("it listens");
        let port = running.port();
        let (code, log) = running.signal(name);
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains(&format!("SIG{name}")) && log.contains("stopped"), "{log}");
        assert!(!socket.exists(), "the socket's file goes with the server");
        TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        assert!(data.join("kora.manifest").exists());
    }
}

#[test]
fn a_taken_port_or_socket_is_exit_code_3() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let (code, log) = run(&["--port", &port, "--bind", "127.0.0.1"]);
    assert_eq!(code, 3, "{log}");
    assert!(
        log.contains(&format!("cannot listen on 127.0.0.1:{port}: the port is in use by another process")),
        "{log}"
    );

    let place = tempfile::tempdir().expect("a temporary directory");
    let socket = place.path().join("kora.sock");
    let _running = Running::start(&["--bind", "", "--unixsocket", text(&socket)]);
    let (code, log) = run(&["--bind", "", "--unixsocket", text(&socket)]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("it is in use by another process"), "{log}");
}

#[test]
fn a_socket_that_cannot_be_made_is_exit_code_1() {
    let (code, log) = run(&["--port", "0", "--bind", "127.0.0.1", "--unixsocket", "/proc/kora.sock"]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("cannot listen on the Unix socket /proc/kora.sock: creating it: "), "{log}");
}

#[test]
fn a_data_directory_in_use_or_damaged_is_exit_code_4() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let arguments = ["--port", "0", "--bind", "127.0.0.1", "--dir", text(place.path())];
    let running = Running::start(&arguments);
    let (code, log) = run(&arguments);
    assert_eq!(code, 4, "{log}");
    assert!(log.contains(&format!("is in use by process {}", running.child.id())), "{log}");
    drop(running);

    std::fs::write(place.path().join("kora.manifest"), "KORAMANI\x04").expect("a writable directory");
    let (code, log) = run(&arguments);
    assert_eq!(code, 4, "{log}");
    assert!(log.contains("kora.manifest at offset 8: version 4 is unknown; this Kora reads versions 1 to 3"), "{log}");
}

#[test]
fn a_killed_server_leaves_nothing_that_stops_the_next() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let socket = place.path().join("kora.sock");
    let data = place.path().join("data");
    let arguments = ["--port", "0", "--bind", "127.0.0.1", "--dir", text(&data), "--unixsocket", text(&socket)];
    let (code, _) = Running::start(&arguments).signal("KILL");
    assert_eq!(code, None, "it was killed");
    assert!(socket.exists());
    assert_eq!(Running::start(&arguments).signal("TERM").0, Some(0));
}

#[test]
fn mistakes_of_usage_are_exit_code_2() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("kora.toml");
    std::fs::write(&file, "port = 0\nprot = 1\n").expect("a writable directory");
    let (code, message) = run(&["--config", text(&file)]);
    assert_eq!(code, 2);
    assert_eq!(message, format!("kora-server: {}:2: unknown key `prot`; did you mean `port`?\n", text(&file)));

    let (code, message) = run(&["--maxclients", "0"]);
    assert_eq!(code, 2);
    assert_eq!(message, "kora-server: --maxclients: argument must be between 1 and 4294967295 inclusive\n");

    assert_eq!(run(&["--prot", "1"]).0, 2);
    assert_eq!(run(&["--config", "/no/such/file"]).0, 2);
}

#[test]
fn help_version_and_parameters_go_to_standard_output() {
    for (flag, expected) in
        [("--help", "Exit codes:"), ("--version", "kora-server 0."), ("--parameters", "maxclients (CONFIG SET)")]
    {
        let output = command(&[flag]).output().expect("the binary is there");
        assert_eq!(output.status.code(), Some(0), "{flag}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(text.contains(expected), "{flag}: {text}");
        assert!(output.stderr.is_empty(), "{flag}");
    }
}

#[test]
fn a_json_log_is_one_object_a_line() {
    let running = Running::start(&["--port", "0", "--bind", "127.0.0.1", "--shards", "1", "--log-format", "json"]);
    assert!(running.ready.starts_with('{') && running.ready.trim_end().ends_with('}'), "{}", running.ready);
    assert!(running.ready.contains("\"shards\":1"), "{}", running.ready);
}

#[test]
fn several_servers_live_in_one_process() {
    let first = Server::start(Settings::for_embedding()).expect("a free port");
    let second = Server::start(Settings::for_embedding()).expect("a free port");
    assert_ne!(first.port(), second.port());
    let address = first.addresses()[0];
    TcpStream::connect(address).expect("it listens");
    first.stop();
    assert!(TcpStream::connect(address).is_err(), "it was stopped");
    TcpStream::connect(second.addresses()[0]).expect("the other goes on");
}
