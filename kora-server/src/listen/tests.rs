//! Listening on real sockets: ports are chosen by the system, paths are in temporary directories.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::*;

fn on(bind: &[&str], port: u16) -> Config {
    Config { bind: bind.iter().map(|word| (*word).to_owned()).collect(), port, ..Config::default() }
}

fn at(path: &Path) -> Config {
    Config { unixsocket: path.to_str().expect("a path in UTF-8").to_owned(), ..on(&[], 0) }
}

fn error_of(config: &Config) -> ListenError {
    Listeners::bind(config, 2).expect_err("there is nothing to listen on")
}

#[test]
fn every_shard_gets_a_share_of_the_connections() {
    let listeners = Listeners::bind(&on(&["127.0.0.1"], 0), 4).expect("a free port");
    let port = listeners.port().expect("a TCP port");
    assert_ne!(port, 0);
    assert_eq!(listeners.addresses, [SocketAddr::from(([127, 0, 0, 1], port))]);
    assert_eq!(listeners.tcp.len(), 4);

    const CONNECTIONS: usize = 400;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(TcpStream::connect(listeners.addresses[0]).expect("it listens"));
    }
    // A connection is in a listener's queue once the client's connect has returned.
    let accepted: Vec<usize> =
        listeners.tcp.iter().map(|shard| std::iter::from_fn(|| shard[0].accept().ok()).count()).collect();
    assert_eq!(accepted.iter().sum::<usize>(), CONNECTIONS);
    // The kernel spreads by a hash of the ports: 100 each, give or take far less than 90.
    assert!(accepted.iter().all(|count| *count > 10), "{accepted:?}");
}

#[test]
fn a_taken_port_is_refused_whoever_has_it_and_however() {
    for shards in [1, 3] {
        let first = Listeners::bind(&on(&["127.0.0.1"], 0), shards).expect("a free port");
        let config = on(&["127.0.0.1"], first.port().expect("a TCP port"));
        let error = error_of(&config);
        assert!(error.is_taken());
        let expected = format!("cannot listen on 127.0.0.1:{}: the port is in use by another process", config.port);
        assert_eq!(error.to_string(), expected);
        drop(first);
        Listeners::bind(&config, shards).expect("the port is free again");
    }
    let foreign = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = foreign.local_addr().expect("it is bound").port();
    assert!(error_of(&on(&["127.0.0.1"], port)).is_taken());
    // Someone on one address is in the way of all addresses.
    assert!(error_of(&on(&["*"], port)).is_taken());
}

#[test]
fn a_port_can_be_had_again_while_its_old_connections_linger() {
    let first = Listeners::bind(&on(&["127.0.0.1"], 0), 2).expect("a free port");
    let config = on(&["127.0.0.1"], first.port().expect("a TCP port"));
    let client = TcpStream::connect(first.addresses[0]).expect("it listens");
    let accepted = first.tcp.iter().find_map(|shard| shard[0].accept().ok()).expect("one shard has it");
    drop(accepted); // The side that closes first keeps the connection in TIME_WAIT.
    drop(client);
    drop(first);
    Listeners::bind(&config, 2).expect("the port is free");
}

#[test]
fn all_addresses_have_the_one_port_that_was_chosen() {
    let listeners = Listeners::bind(&on(&["127.0.0.1", "127.0.0.2", "127.0.0.1"], 0), 2).expect("a free port");
    let port = listeners.port().expect("a TCP port");
    let expected = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|address| SocketAddr::from((address, port)));
    assert_eq!(listeners.addresses, expected);
    assert!(listeners.tcp.iter().all(|shard| shard.len() == 2));
}

#[test]
fn the_default_addresses_stand_side_by_side() {
    let listeners = Listeners::bind(&Config { port: 0, ..Config::default() }, 2).expect("a free port");
    let port = listeners.port().expect("a TCP port");
    // IPv6 is optional: machines without it have the first only.
    assert_eq!(listeners.addresses[0], SocketAddr::from(([0, 0, 0, 0], port)));
    TcpStream::connect(("127.0.0.1", port)).expect("it listens");
}

#[test]
fn only_an_address_after_a_dash_may_be_missing() {
    // An address of a network that is reserved for documentation.
    let missing = "192.0.2.1";
    let text = error_of(&on(&[missing], 0)).to_string();
    assert!(text.starts_with("cannot listen on 192.0.2.1:0: "), "{text}");
    let text = error_of(&on(&["-192.0.2.1"], 0)).to_string();
    assert_eq!(text, "cannot listen: this machine has none of the addresses `-192.0.2.1`");
    let listeners = Listeners::bind(&on(&["-192.0.2.1", "127.0.0.1"], 0), 1).expect("the second is there");
    assert_eq!(listeners.addresses.len(), 1);
    let text = error_of(&on(&["not an address"], 0)).to_string();
    assert!(text.starts_with("cannot listen on `not an address`: "), "{text}");
    assert_eq!(error_of(&on(&[], 0)).to_string(), "nothing to listen on: `bind` is empty and there is no `unixsocket`");
}

#[test]
fn a_unix_socket_is_there_with_its_permissions_until_it_is_dropped() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("kora.sock");
    for mode in [0o700, 0o777, 0o600] {
        let listeners =
            Listeners::bind(&Config { unixsocketperm: mode, ..at(&path) }, 2).expect("a writable directory");
        assert_eq!(listeners.port(), None);
        let permissions = fs::metadata(&path).expect("the socket is there").permissions();
        assert_eq!(permissions.mode() & 0o777, mode);
        UnixStream::connect(&path).expect("it listens");
        let (_, file) =
            (listeners.unix.expect("it was asked for").accept().expect("a connection"), listeners.socket_file);
        assert!(path.exists());
        drop(file);
        assert_eq!(fs::read_dir(place.path()).expect("the directory is there").count(), 0, "nothing is left behind");
    }
}

#[test]
fn a_unix_socket_that_is_in_use_is_refused_and_left_alone() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("kora.sock");
    let _first = Listeners::bind(&at(&path), 1).expect("a writable directory");
    let error = error_of(&at(&path));
    assert!(error.is_taken());
    let expected = format!("cannot listen on the Unix socket {}: it is in use by another process", path.display());
    assert_eq!(error.to_string(), expected);
    UnixStream::connect(&path).expect("the first still listens");
}

#[test]
fn a_unix_socket_that_nobody_listens_on_is_replaced() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("kora.sock");
    drop(UnixListener::bind(&path).expect("a writable directory"));
    assert!(path.exists(), "a process that ends leaves its socket");
    let _listeners = Listeners::bind(&at(&path), 1).expect("nobody uses it");
    UnixStream::connect(&path).expect("it listens");
}

#[test]
fn only_our_own_socket_is_removed() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("kora.sock");
    let listeners = Listeners::bind(&at(&path), 1).expect("a writable directory");
    fs::remove_file(&path).expect("it is there");
    let _successor = UnixListener::bind(&path).expect("the name is free");
    drop(listeners);
    UnixStream::connect(&path).expect("the successor's socket is still there");
}

#[test]
fn a_path_that_cannot_be_a_socket_is_refused_with_the_reason() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("file");
    fs::write(&file, "precious").expect("a writable directory");
    let check = |path: &Path, expected: &str| {
        let text = error_of(&at(path)).to_string();
        let expected = format!("cannot listen on the Unix socket {}: {expected}", path.display());
        assert!(text.starts_with(&expected), "{text}\n{expected}");
    };
    check(&file, "a file that is no socket has this name");
    assert_eq!(fs::read(&file).expect("it is there"), b"precious");
    check(&place.path().join("missing/kora.sock"), "creating it: ");
    check(&file.join("kora.sock"), "looking at it: ");
    check(Path::new("/proc/kora.sock"), "creating it: ");
    check(&place.path().join("x".repeat(200)), "the path has more than ");
}
