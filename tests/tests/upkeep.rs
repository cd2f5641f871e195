//! Background work: expired keys go without being asked for, large values are dropped in slices, idle clients are closed.
//!
//! Owns: what `Shard::maintain` and `Shard::close_idle` promise. Refuses to know: the timer that calls them.

use kora_runtime::limits::DROP_SLICE_ELEMENTS;
use kora_runtime::shard::Shard;
use kora_tests::simulation::Shape;
use kora_tests::simulation::world::World;

const START_MS: u64 = 1_000_000;

fn world() -> World {
    World::new(1, Shape { shards: 1, clients: 1, ..Shape::default() })
}

fn say(world: &mut World, line: &str) -> String {
    world.send(0, &line.split(' ').collect::<Vec<_>>());
    while world.moves() > 0 {
        world.make_move(0);
    }
    world.take_replies().into_iter().map(|(_, reply)| String::from_utf8_lossy(&reply).replace("\r\n", " ")).collect()
}

fn shard(world: &World) -> &Shard {
    world.shards().first().expect("a world has a shard")
}

#[test]
fn expired_keys_are_swept_a_slice_at_a_time() {
    let mut world = world();
    for key in 0..5000 {
        say(&mut world, &format!("SET key:{key} v PX {}", 100 + key % 2 * 1_000_000));
    }
    say(&mut world, "SET stays v");
    world.set_clock(START_MS + 101);
    assert_eq!(say(&mut world, "DBSIZE"), ":5001 ", "nobody has looked at them yet");
    let mut slices = 0;
    while shard(&world).core().keyspace.len() > 2501 {
        world.maintain_once();
        slices += 1;
        assert!(slices < 1000, "{} keys are left", shard(&world).core().keyspace.len());
    }
    assert!(slices >= 4, "2500 keys in {slices} slices");
    assert_eq!(shard(&world).core().stats.expired_keys, 2500);
    assert_eq!(say(&mut world, "EXISTS stays key:1 key:2"), ":2 ");
}

#[test]
fn the_sweep_can_be_turned_off() {
    let mut world = world();
    say(&mut world, "DEBUG SET-ACTIVE-EXPIRE 0");
    say(&mut world, "SET k v PX 5");
    world.set_clock(START_MS + 6);
    for _ in 0..100 {
        world.maintain_once();
    }
    assert_eq!(shard(&world).core().keyspace.len(), 1);
    say(&mut world, "DEBUG SET-ACTIVE-EXPIRE 1");
    for _ in 0..100 {
        world.maintain_once();
    }
    assert_eq!(shard(&world).core().keyspace.len(), 0);
}

#[test]
fn large_values_and_flushed_databases_are_dropped_in_slices() {
    let mut world = world();
    for at in 0..20 {
        let members: Vec<String> = (0..500).map(|member| format!("m{}", at * 500 + member)).collect();
        say(&mut world, &format!("SADD big {}", members.join(" ")));
    }
    for key in 0..2000 {
        say(&mut world, &format!("SET key:{key} v"));
    }
    assert_eq!(say(&mut world, "DEL big"), ":1 ");
    assert_eq!(shard(&world).core().graveyard.len(), 1, "the key is gone, its members are not yet");
    assert_eq!(say(&mut world, "FLUSHALL"), "+OK ");
    assert_eq!(say(&mut world, "DBSIZE"), ":0 ");
    let mut slices = 0;
    while !shard(&world).core().graveyard.is_empty() {
        world.maintain_once();
        slices += 1;
        assert!(slices < 1000);
    }
    assert!(slices >= 10_000 / DROP_SLICE_ELEMENTS, "12,000 elements in {slices} slices");
}

#[test]
fn idle_clients_are_closed_after_the_timeout() {
    let mut world = world();
    say(&mut world, "CONFIG SET timeout 10");
    world.set_clock(START_MS + 9_000);
    say(&mut world, "PING");
    world.set_clock(START_MS + 19_000);
    world.close_idle();
    assert!(!world.is_over(0), "it spoke ten seconds ago");
    world.set_clock(START_MS + 19_001);
    world.close_idle();
    assert!(world.is_over(0));
}

/// Fills a client's output beyond the point at which its commands are no longer run. Nothing is collected: the client does not read.
fn fill_output(world: &mut World) {
    say(world, &format!("SET big {}", "v".repeat(600_000)));
    world.send_bytes(0, &kora_tests::resp::encode(&["GET", "big"]).repeat(10));
}

#[test]
fn a_client_that_does_not_read_is_closed_in_the_end() {
    let mut world = world();
    fill_output(&mut world);
    world.close_idle();
    world.set_clock(START_MS + 9_999);
    world.close_idle();
    assert!(!world.is_over(0), "it may be slow");
    world.set_clock(START_MS + 10_000);
    world.close_idle();
    assert!(world.is_over(0));
    assert_eq!(shard(&world).core().stats.output_limit_disconnections, 1);
}

#[test]
fn a_client_above_its_soft_limit_has_its_seconds() {
    let mut world = world();
    world.send(0, &["CONFIG", "SET", "client-output-buffer-limit", "normal 0 500000 3"]);
    fill_output(&mut world);
    world.close_idle();
    world.set_clock(START_MS + 2_999);
    world.close_idle();
    assert!(!world.is_over(0));
    world.set_clock(START_MS + 3_000);
    world.close_idle();
    assert!(world.is_over(0));
}

#[test]
fn a_client_that_was_killed_leaves_its_session_to_another() {
    let mut world = World::new(1, Shape { shards: 1, clients: 2, ..Shape::default() });
    let id = world.client_id(0).expect("it is connected");
    world.send(1, &["CLIENT", "KILL", "ID", &id.to_string()]);
    // It goes, and another comes and waits, before the shard looks at whom to close.
    world.disconnect(0);
    world.connect(0, 0);
    world.send(0, &["BLPOP", "k", "0"]);
    while world.moves() > 0 {
        world.make_move(0);
    }
    assert_eq!(world.take_replies(), [(1, b":1\r\n".to_vec())]);
    assert!(world.is_waiting(0), "the newcomer was not killed");
    world.send(1, &["RPUSH", "k", "v"]);
    while world.moves() > 0 {
        world.make_move(0);
    }
    let mut replies = world.take_replies();
    replies.sort();
    assert_eq!(replies, [(0, b"*2\r\n$1\r\nk\r\n$1\r\nv\r\n".to_vec()), (1, b":1\r\n".to_vec())]);
}
