//! Tests of `verify`: a server in this process that nothing happened to, then one that was tampered with.

use kora_ext::Clock;
use kora_runtime::random::Random;

use super::*;
use crate::crash::bank::BankKind;
use crate::crash::progress::Progress;
use crate::kora::{connect, start_server};
use crate::words;

const CLIENTS: usize = 2;

/// A server after some writes of `seed`, its clients and banks.
struct Written {
    _server: kora_server::Server,
    connection: Connection,
    clients: Vec<Client>,
    banks: Vec<Bank>,
}

impl Written {
    fn new(seed: u64, operations: u64) -> Self {
        // Real time, for the deadlines are judged by it.
        let (server, address) = start_server(4, Clock::System).expect("a server");
        let mut connection = connect(address);
        let banks = [BankKind::Counter, BankKind::Book].map(|kind| Bank::new(kind, CLIENTS)).to_vec();
        for bank in &banks {
            exchange_all(&mut connection, &bank.open()).expect("banks are opened");
        }
        let progress = Progress::default();
        let clients = std::thread::scope(|scope| {
            let clients = (0..CLIENTS as u64).map(|number| Client::new(number as usize, Random::new(seed + number)));
            let run = |client: Client| scope.spawn(|| client.run(address, &progress));
            let threads: Vec<_> = clients.map(run).collect();
            progress.wait_for(operations);
            progress.finish();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        assert_eq!(clients.iter().find_map(|client| client.failure.as_ref()), None);
        Self { _server: server, connection, clients, banks }
    }

    fn verify(&mut self, promise: Promise) -> Result<Seen, String> {
        verify(&mut self.connection, &mut self.clients, &mut self.banks, promise, Ended::now())
    }

    fn tamper(&mut self, line: &str) {
        let argv = words::split(line).expect("words");
        let reply = self.connection.call(&argv).expect("a reply");
        assert!(!reply.is_error(), "{line}: {reply:?}");
    }

    /// The first key of a kind that is there, behind a command's name.
    fn of(&self, name: &str, kind: Kind) -> Option<String> {
        let of_kind = self.clients.iter().flat_map(|client| &client.objects).filter(|object| object.kind == kind);
        let key = of_kind.flat_map(|object| object.latest.0.keys()).next();
        Some(format!("{name} {}", words::quote(key?)))
    }
}

#[test]
fn what_a_server_holds_is_what_was_written() {
    let mut written = Written::new(1, 400);
    for _ in 0..2 {
        let seen = written.verify(Promise::Everything).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((seen.lost, seen.under_way), (0, 0));
    }
}

/// Each of these is something that a store may do wrong, and what is said then.
#[test]
fn damage_is_noticed() {
    use Kind::{Counter, Draw, Group, Hash, Journal, List, Lists, Set, Sets, Stream, Text, Zset};
    let mut seed = 10;
    let mut check = |name: &str, kind: Kind, rest: &str, promises: &[Promise], says: &str| {
        // Few writes may leave no key of a kind.
        let mut tries = (0..20).map(|_| {
            seed += 10;
            let written = Written::new(seed, 400);
            let line = written.of(name, kind)?;
            Some((written, format!("{line} {rest}")))
        });
        let (mut written, line) = tries.find_map(|tried| tried).unwrap_or_else(|| panic!("no {kind:?}"));
        written.tamper(&line);
        for promise in promises {
            let error = written.verify(*promise).expect_err(&line);
            assert!(error.contains(says), "{line}: {error}");
        }
    };
    for kind in [Counter, Draw, Group, Hash, Journal, List, Lists, Set, Sets, Stream, Text, Zset] {
        // With luck nothing but the writes to this key is lost.
        check("DEL", kind, "", &[Promise::Everything], "acknowledged operations");
    }
    let both = &[Promise::Everything, Promise::Order];
    check("INCRBY", Counter, "1000000", both, "never was");
    check("SET", Group, "x", both, "never was");
    check("RPUSH", List, "x", both, "never was");
    check("HSET", Hash, "new x", both, "never was");
    check("SADD", Set, "new", both, "never was");
    check("SADD", Draw, "new", both, "never was");
    check("ZADD", Zset, "1.5 new", both, "no Zset");
    check("XADD", Stream, "999999-1 f x", both, "never was");
    check("PEXPIRE", List, "1000000", both, "never was");
    check("PEXPIRE", Text, "100000000", both, "never was");

    let mut written = Written::new(1, 400);
    for (does, says, undoes) in [
        ("SET other x", r#"a key that nobody wrote: "other""#, "DEL other"),
        ("INCR bank:account:3", "the sum is 8001 and ought to be 8000", "DECR bank:account:3"),
        ("HINCRBY bank:book:3 balance -1", "the sum is 7999", "HINCRBY bank:book:3 balance 1"),
        ("HINCRBY bank:book:3 0 1000000", "has sent no transfer", "HINCRBY bank:book:3 0 -1000000"),
        ("INCRBY bank:tally:1 1000000", "has sent no transfer", "DECRBY bank:tally:1 1000000"),
        (
            "COPY bank:account:3 other DB 2",
            r#"a key that nobody wrote: "other""#,
            "EVAL \"redis.call('SELECT', 2) return redis.call('DEL', KEYS[1])\" 1 other",
        ),
        ("RENAME bank:account:0 bank:tally:9", "a key that nobody wrote", "RENAME bank:tally:9 bank:account:0"),
    ] {
        written.tamper(does);
        let error = written.verify(Promise::Order).expect_err(does);
        assert!(error.contains(says), "{does}: {error}");
        written.tamper(undoes);
    }
    // Both accounts of a transfer that one note does not know.
    written.tamper("SET bank:tally:1 0");
    written.verify(Promise::Order).expect_err("a transfer without its note");
}

#[test]
fn a_loss_is_judged_by_what_was_promised() {
    let mut client = Client::new(0, Random::new(1));
    let ended = Ended::now();
    let second = Duration::from_secs(1);
    // Five operations, acknowledged 5, 4, … 1 seconds before the end.
    for seconds in (1..=5).rev() {
        let at = ended.at.checked_sub(second * seconds).expect("the machine runs for longer");
        client.acknowledged.push(super::super::client::Acknowledged { at, at_ms: 0 });
        client.sent.push(super::super::client::Sent { target: Target::Nothing, at_ms: 0 });
    }
    let judged = |promise, ranges: &[&[RangeInclusive<usize>]]| {
        let shown = ranges.iter().map(|ranges| Shown { what: "it".to_owned(), ranges: ranges.to_vec() });
        let mut seen = Seen::default();
        judge(&client, &shown.collect::<Vec<_>>(), promise, ended, &mut seen).map(|()| seen.lost)
    };
    let everything: &[&[_]] = &[&[0..=1, 4..=5], &[5..=5]];
    assert_eq!(judged(Promise::Everything, everything), Ok(0));
    let last_two: &[&[_]] = &[&[0..=3], &[3..=5], &[1..=1, 3..=3]];
    assert!(judged(Promise::Everything, last_two).is_err_and(|error| error.contains("the last 2 are lost")));
    assert!(judged(Promise::Older(second), last_two).is_err_and(|error| error.contains("2s old, not 1s")));
    assert_eq!(judged(Promise::Older(second * 2), last_two), Ok(2));
    assert_eq!(judged(Promise::Order, last_two), Ok(2));
    let middle: &[&[_]] = &[&[0..=3], &[4..=5]];
    assert!(judged(Promise::Order, middle).is_err_and(|error| error.contains("middle")));
    let never: &[&[_]] = &[&[0..=5], &[]];
    assert!(judged(Promise::Order, never).is_err_and(|error| error.contains("never was")));
}
