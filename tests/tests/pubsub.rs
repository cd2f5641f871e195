//! Publish and subscribe on several shards: who hears what, when, and what it may cost.
//!
//! Owns: the promises that one client's transcript cannot show: exact counts, order, slow subscribers, nothing left behind.
//! Refuses to know: sockets; the shards are driven by hand, in any order that real mailboxes allow.

use kora_runtime::random::Random;
use kora_tests::simulation::Shape;
use kora_tests::simulation::world::World;

const START_MS: u64 = 1_000_000;

fn world(shards: usize, clients: usize) -> World {
    World::new(1, Shape { shards, clients, ..Shape::default() })
}

fn send(world: &mut World, client: usize, line: &str) {
    world.send(client, &line.split(' ').collect::<Vec<_>>());
}

/// What came to each client since the last look, on one line each.
fn received(world: &mut World, clients: usize) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new(); clients];
    for (client, reply) in world.take_replies() {
        all[client].push(String::from_utf8_lossy(&reply).replace("\r\n", " ").trim_end().to_owned());
    }
    all
}

fn settle(world: &mut World) {
    while world.moves() > 0 {
        world.make_move(0);
    }
}

/// Runs a command alone and returns what its client got.
fn say(world: &mut World, client: usize, line: &str) -> String {
    send(world, client, line);
    settle(world);
    received(world, 64).swap_remove(client).join(" ")
}

#[test]
fn every_subscriber_on_every_shard_gets_every_message_once() {
    for seed in 0..20 {
        let (shards, clients) = (4, 16);
        let mut random = Random::new(seed);
        let mut world = world(shards, clients + 1);
        for client in 0..clients {
            send(&mut world, client, "HELLO 3");
            send(&mut world, client, "SUBSCRIBE news");
            if client % 4 == 1 {
                send(&mut world, client, "PSUBSCRIBE n* other*");
            }
            if client % 8 == 2 {
                send(&mut world, client, "SSUBSCRIBE news");
            }
        }
        while world.moves() > 0 {
            let move_number = random.below(world.moves() as u64) as usize;
            world.make_move(move_number);
        }
        received(&mut world, clients);
        // Everyone publishes, at once, some of them to their own channel.
        for publisher in 0..clients {
            send(&mut world, publisher, &format!("PUBLISH news {publisher}"));
            send(&mut world, publisher, &format!("SPUBLISH news {publisher}"));
        }
        while world.moves() > 0 {
            let move_number = random.below(world.moves() as u64) as usize;
            world.make_move(move_number);
        }
        for (client, got) in received(&mut world, clients).into_iter().enumerate() {
            let count = |begin: &str| got.iter().filter(|line| line.starts_with(begin)).count();
            assert_eq!(count(">3 $7 message $4 news"), clients, "seed {seed}, client {client}: {got:?}");
            let matched = if client % 4 == 1 { clients } else { 0 };
            assert_eq!(count(">4 $8 pmessage $2 n* $4 news"), matched, "seed {seed}, client {client}");
            let sharded = if client % 8 == 2 { clients } else { 0 };
            assert_eq!(count(">3 $8 smessage $4 news"), sharded, "seed {seed}, client {client}");
            assert_eq!((count(":20"), count(":2")), (1, 2), "seed {seed}, client {client}: 16 and 4; 2 shard channels");
        }
        assert_eq!(say(&mut world, clients, "PUBSUB NUMSUB news other"), "*4 $4 news :16 $5 other :0");
    }
}

#[test]
fn whoever_publishes_after_the_reply_of_subscribe_is_heard() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut world = world(4, 4);
        let mut step_until = |world: &mut World, client: usize| loop {
            let got = received(world, 4).swap_remove(client);
            if !got.is_empty() {
                return got.join(" ");
            }
            let move_number = random.below(world.moves() as u64) as usize;
            world.make_move(move_number);
        };
        let (subscriber, publisher) = (seed as usize % 4, (seed as usize / 4) % 4);
        if subscriber == publisher {
            continue;
        }
        for (command, count) in
            [("SUBSCRIBE a", ":1"), ("PSUBSCRIBE a", ":2"), ("UNSUBSCRIBE", ":1"), ("PUNSUBSCRIBE a", ":0")]
        {
            send(&mut world, subscriber, command);
            step_until(&mut world, subscriber);
            send(&mut world, publisher, "PUBLISH a x");
            assert_eq!(step_until(&mut world, publisher), count, "seed {seed}, after {command}");
            settle(&mut world);
            received(&mut world, 4);
        }
    }
}

#[test]
fn the_confirmation_comes_before_the_first_message() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut world = world(4, 4);
        let mut first = None;
        let mut messages = 0;
        send(&mut world, 0, "SUBSCRIBE a");
        for publisher in 1..4 {
            (0..5).for_each(|turn| send(&mut world, publisher, &format!("PUBLISH a {turn}")));
        }
        while world.moves() > 0 {
            let move_number = random.below(world.moves() as u64) as usize;
            world.make_move(move_number);
            for line in received(&mut world, 4).swap_remove(0) {
                messages += usize::from(line.starts_with("*3 $7 message"));
                first.get_or_insert(line);
            }
        }
        assert_eq!(first.as_deref(), Some("*3 $9 subscribe $1 a :1"), "seed {seed}");
        assert!(messages <= 15);
    }
}

#[test]
fn a_pipeline_sees_its_own_subscriptions() {
    for shards in [1, 4] {
        let mut world = world(shards, 2);
        say(&mut world, 1, "HELLO 3");
        for line in ["SUBSCRIBE a", "PUBLISH a x", "UNSUBSCRIBE a", "PUBLISH a y", "PING"] {
            send(&mut world, 1, line);
        }
        settle(&mut world);
        let got = received(&mut world, 2).swap_remove(1).join(" ");
        let expected = ">3 $9 subscribe $1 a :1 :1 >3 $7 message $1 a $1 x >3 $11 unsubscribe $1 a :0 :0 +PONG";
        assert_eq!(got, expected, "{shards} shards");
    }
}

#[test]
fn a_client_that_goes_leaves_nothing_behind() {
    let clients = 8;
    let mut world = world(4, clients);
    let empty = ["*2 $1 a :0", ":0", "*0", "*0"];
    let look = |world: &mut World, client: usize| {
        ["PUBSUB NUMSUB a", "PUBSUB NUMPAT", "PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS"]
            .map(|line| say(world, client, line))
    };
    for client in 0..4 {
        for line in ["SUBSCRIBE a b c", "PSUBSCRIBE a* b*", "SSUBSCRIBE s"] {
            say(&mut world, client, line);
        }
    }
    for watcher in 4..8 {
        assert_eq!(look(&mut world, watcher)[..2], ["*2 $1 a :4", ":2"], "the directory of shard {}", watcher % 4);
    }
    // By the end of its connection, by RESET, by being killed, by its own words.
    world.reconnect(0);
    say(&mut world, 1, "RESET");
    say(&mut world, 2, "QUIT");
    for line in ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"] {
        say(&mut world, 3, line);
    }
    settle(&mut world);
    for watcher in 4..8 {
        assert_eq!(look(&mut world, watcher), empty, "the directory of shard {}", watcher % 4);
        let info = say(&mut world, watcher, "INFO stats");
        assert!(info.contains("pubsub_channels:0 pubsub_patterns:0 pubsubshard_channels:0"), "{info}");
    }
    say(&mut world, 0, "SUBSCRIBE a");
    assert_eq!(say(&mut world, 4, "CLIENT KILL TYPE pubsub"), ":1");
    for watcher in 4..8 {
        assert_eq!(look(&mut world, watcher), empty, "the directory of shard {}", watcher % 4);
    }
}

/// How many clients were closed because of their output.
fn closed_for_output(world: &World) -> u64 {
    world.shards().iter().map(|shard| shard.core().stats.output_limit_disconnections).sum()
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_at_the_hard_limit() {
    let mut world = world(2, 4);
    say(&mut world, 0, "CONFIG SET client-output-buffer-limit pubsub");
    world.send(0, &["CONFIG", "SET", "client-output-buffer-limit", "pubsub 1000000 0 0"]);
    settle(&mut world);
    for client in [1, 2] {
        say(&mut world, client, "SUBSCRIBE a");
    }
    world.set_reading(1, false);
    let message = "m".repeat(100_000);
    for turn in 0..9 {
        assert_eq!(say(&mut world, 0, &format!("PUBLISH a {message}")), ":2", "turn {turn}");
        assert!(!world.is_over(1));
    }
    let shown = say(&mut world, 0, "CLIENT LIST TYPE pubsub");
    let waiting = 9 * ("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$100000\r\n\r\n".len() + message.len());
    assert!(shown.contains(&format!("tot-mem={waiting} ")), "what waits is counted: {shown}");
    assert_eq!(closed_for_output(&world), 0);
    assert_eq!(say(&mut world, 0, &format!("PUBLISH a {message}")), ":2");
    assert!(world.is_over(1), "it is closed, not left out");
    assert_eq!(closed_for_output(&world), 1);
    assert!(!world.is_over(2), "who reads stays");
    assert_eq!(say(&mut world, 0, "PUBSUB NUMSUB a"), "*2 $1 a :1");
    assert_eq!(say(&mut world, 0, &format!("PUBLISH a {message}")), ":1");
    assert_eq!(world.take_replies().len(), 0, "nothing of it is left to be read");
}

#[test]
fn a_subscriber_above_the_soft_limit_is_closed_in_time() {
    let mut world = world(2, 4);
    world.send(0, &["CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 200000 30"]);
    settle(&mut world);
    for client in [1, 2] {
        say(&mut world, client, "SUBSCRIBE a");
        world.set_reading(client, false);
    }
    let message = "m".repeat(150_000);
    // Far above the output at which another client's commands would pause, and for longer than it might.
    for _ in 0..20 {
        say(&mut world, 0, &format!("PUBLISH a {message}"));
    }
    for (seconds, over) in [(0, false), (20, false), (29, false), (30, true)] {
        if seconds == 29 {
            // One that reads in between is forgiven.
            world.set_reading(2, true);
        }
        world.set_clock(START_MS + seconds * 1000);
        world.close_idle();
        assert_eq!((world.is_over(1), world.is_over(2)), (over, false), "after {seconds} seconds");
    }
    assert_eq!(closed_for_output(&world), 1);
}

#[test]
fn big_messages_and_replies_keep_their_order() {
    let mut world = world(4, 6);
    let clients = [1, 2, 3, 5];
    for client in clients {
        say(&mut world, client, "HELLO 3");
        say(&mut world, client, "SUBSCRIBE a");
        world.set_reading(client, false);
    }
    for turn in 0..4 {
        let message = turn.to_string().repeat(70_000 * (turn + 1));
        send(&mut world, 0, &format!("PUBLISH a {message}"));
        settle(&mut world);
        send(&mut world, 0, &format!("PUBLISH a small{turn}"));
        settle(&mut world);
        for client in clients {
            send(&mut world, client, &format!("ECHO {turn}"));
        }
        settle(&mut world);
    }
    for client in clients {
        world.set_reading(client, true);
        settle(&mut world);
        let got: Vec<String> = received(&mut world, 6)
            .swap_remove(client)
            .iter()
            .map(|line| {
                let last = line.rsplit(' ').next().unwrap_or_default();
                format!("{} {}x{}", line.split(' ').next().unwrap_or_default(), &last[..last.len().min(6)], last.len())
            })
            .collect();
        let expected: Vec<String> = (0..4)
            .flat_map(|turn| {
                let big = turn.to_string().repeat(6);
                [format!(">3 {big}x{}", 70_000 * (turn + 1)), format!(">3 small{turn}x6"), format!("$1 {turn}x1")]
            })
            .collect();
        assert_eq!(got, expected, "client {client}");
        assert!(world.has_whole_replies());
    }
}

#[test]
fn changes_on_all_shards_are_notified_once() {
    let mut world = world(4, 3);
    say(&mut world, 0, "CONFIG SET notify-keyspace-events KA");
    say(&mut world, 1, "PSUBSCRIBE __keyspace@0__:*");
    say(&mut world, 2, "SUBSCRIBE __keyspace@0__:key:7 __keyspace@0__:never");
    for key in 0..100 {
        send(&mut world, 0, &format!("SET key:{key} v PX {}", 1000 + key));
    }
    settle(&mut world);
    let count = |world: &mut World| received(world, 3).iter().map(Vec::len).collect::<Vec<_>>()[1..].to_vec();
    assert_eq!(count(&mut world), [200, 2], "set and expire");
    world.set_clock(START_MS + 2000);
    world.maintain();
    settle(&mut world);
    assert_eq!(count(&mut world), [100, 1], "expired, found by the sweep");
    for line in ["SET a v", "RENAME a elsewhere", "FLUSHALL"] {
        send(&mut world, 0, line);
    }
    settle(&mut world);
    assert_eq!(
        count(&mut world),
        [3, 0],
        "set, rename_from and rename_to, each by the owner of its key; FLUSHALL tells nothing"
    );
    say(&mut world, 0, "CONFIG SET notify-keyspace-events K");
    send(&mut world, 0, "SET key:7 v");
    settle(&mut world);
    assert_eq!(count(&mut world), [0, 0]);
}

#[test]
fn a_client_may_not_subscribe_to_everything() {
    let mut world = world(2, 2);
    let words = |range: std::ops::Range<usize>| {
        let mut words = vec!["PSUBSCRIBE".to_owned()];
        words.extend(range.map(|number| format!("p{number}")));
        words
    };
    world.send(1, &words(0..4096));
    settle(&mut world);
    assert_eq!(world.take_replies().len(), 4096);
    world.send(1, &words(4095..4097));
    settle(&mut world);
    let got = received(&mut world, 2).swap_remove(1);
    assert_eq!(got, ["-ERR a client may subscribe to at most 4096 patterns"]);
    // Nothing of the refused command has been done, on any shard.
    assert_eq!(say(&mut world, 0, "PUBSUB NUMPAT"), ":4096");
    assert_eq!(say(&mut world, 0, "PUBLISH p4096 x"), ":0");
    assert_eq!(say(&mut world, 0, "PUBLISH p4095 x"), ":1");
}
