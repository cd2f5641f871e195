//! Subscribers outside the shards: a program that subscribes to channels of its own database, a client that is slow to read its socket.
//!
//! Owns: what `Database::subscribe` promises, and that nothing is lost on the way to a socket. Refuses to know: the commands; the transcripts have them.

use std::time::Duration;

use kora_ext::embedded::{Error, Message, TimedOut};
use kora_ext::{Clock, Database, Options};
use kora_runtime::client::Value;
use kora_runtime::table::Client;
use kora_tests::kora::{connect, start_server};
use kora_tests::resp;

const LONG: Duration = Duration::from_secs(60);
const NOTHING: &[&str] = &[];

fn open(shards: usize) -> Database {
    Database::open(Options { shards, ..Options::default() }).expect("an engine starts")
}

fn message(pattern: Option<&str>, channel: &str, payload: &str) -> Message {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Message { pattern: pattern.map(bytes), channel: bytes(channel), payload: bytes(payload) }
}

#[test]
fn what_is_published_later_is_received() {
    let database = open(4);
    let connection = database.connect().expect("a running engine");
    let mut subscriptions: Vec<_> =
        (0..4).map(|_| database.subscribe(&["news"], &["n*", "other.*"]).expect("a running engine")).collect();
    assert_eq!(Client::publish(&connection, "news", "1"), Ok(8));
    assert_eq!(Client::publish(&connection, "none", "2"), Ok(4));
    for subscription in &mut subscriptions {
        assert_eq!(subscription.next(), Some(message(None, "news", "1")));
        assert_eq!(subscription.next_within(LONG), Ok(Some(message(Some("n*"), "news", "1"))));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(runtime.block_on(subscription.next_async()), Some(message(Some("n*"), "none", "2")));
        assert_eq!(subscription.next_within(Duration::ZERO), Err(TimedOut));
    }
}

#[test]
fn a_subscription_ends_when_it_is_dropped() {
    let database = open(1);
    let connection = database.connect().expect("a running engine");
    let subscription = database.subscribe(&["a", "b"], NOTHING).expect("a running engine");
    assert_eq!(Client::publish(&connection, "a", "x"), Ok(1));
    drop(subscription);
    assert_eq!(Client::publish(&connection, "a", "x"), Ok(0));
    assert_eq!(connection.execute(&["PUBSUB", "CHANNELS"]), Ok(Value::Array(Vec::new())));
}

#[test]
fn a_program_that_reads_late_misses_nothing_that_has_room() {
    let database = open(2);
    let connection = database.connect().expect("a running engine");
    let mut subscription = database.subscribe(&["a"], NOTHING).expect("a running engine");
    // More messages and more bytes than may wait outside the session, and some that come in several pieces.
    let payload = |turn: usize| turn.to_string().repeat(if turn.is_multiple_of(500) { 200_000 } else { 3 });
    for turn in 0..5000 {
        assert_eq!(Client::publish(&connection, "a", payload(turn).as_str()), Ok(1));
    }
    for turn in 0..5000 {
        let got = subscription.next_within(LONG).expect("in time").expect("an open subscription");
        assert!(got.payload == payload(turn).as_bytes(), "message {turn}");
    }
    assert_eq!(subscription.next_within(Duration::ZERO), Err(TimedOut));
}

#[test]
fn a_program_that_does_not_read_is_closed() {
    let database = open(1);
    let connection = database.connect().expect("a running engine");
    let limit = "pubsub 1000000 0 0";
    connection.execute(&["CONFIG", "SET", "client-output-buffer-limit", limit]).expect("a known parameter");
    let subscription = database.subscribe(&["a"], NOTHING).expect("a running engine");
    let payload = "x".repeat(1_000_000);
    let mut published = 0;
    while Client::publish(&connection, "a", payload.as_str()) == Ok(1) {
        published += 1;
        assert!(published < 20, "some may wait for the program, and some in the session");
    }
    assert!(subscription.count() < published, "what was let in comes, then the end");
}

#[test]
fn a_connection_survives_pushes_and_does_not_subscribe() {
    let database = open(1);
    let connection = database.connect().expect("a running engine");
    for words in [&["SUBSCRIBE", "a"][..], &["punsubscribe"], &["SSUBSCRIBE", "a"]] {
        let Err(Error::Refused(text)) = connection.execute(words) else { panic!("{words:?} is refused") };
        let name = words[0].to_lowercase();
        assert_eq!(text, format!("ERR a connection cannot run '{name}'; use Database::subscribe"));
    }
    assert!(matches!(Client::subscribe(&connection, &["a"]), Err(Error::Refused(_))));
    assert_eq!(connection.execute(&["ECHO", "x"]), Ok(Value::Bulk(b"x".to_vec())));
    assert!(matches!(database.subscribe(NOTHING, NOTHING), Err(Error::Refused(_))));
    let many: Vec<String> = (0..5000).map(|number| format!("p{number}")).collect();
    let Err(Error::Refused(text)) = database.subscribe(NOTHING, &many) else { panic!("too many patterns") };
    assert!(text.contains("at most 4096 patterns"), "{text}");
}

#[test]
fn a_subscriber_on_a_socket_gets_all_that_waited_for_it() {
    let (_server, address) = start_server(2, Clock::manual()).expect("a server starts");
    let mut subscriber = connect(address);
    subscriber.call(&["SUBSCRIBE", "a"]).expect("a confirmation");
    let mut publisher = connect(address);
    // More than any socket takes, and less than the limit of a subscriber.
    let payload = |turn: u8| vec![b'a' + turn; 500_000 + usize::from(turn)];
    for turn in 0..25 {
        let reply = publisher.call(&[&b"PUBLISH"[..], b"a", &payload(turn)]).expect("a reply");
        assert_eq!(reply, resp::Value::Integer(1));
        assert_eq!(publisher.call(&["PUBLISH", "a", "small"]).expect("a reply"), resp::Value::Integer(1));
    }
    for turn in 0..25 {
        for expected in [payload(turn), b"small".to_vec()] {
            let got = subscriber.receive().expect("a message").expect("an open connection");
            let resp::Value::Array(items) = got else { panic!("{got:?} is no message") };
            assert!(items[2].bytes() == Some(&expected), "message {turn}");
        }
    }
}
