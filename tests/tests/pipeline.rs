//! The order of a pipeline: replies, effects, and how much of it is under way at once.
//!
//! Owns: the rule of ARCHITECTURE.md, "The life of a request", as tests. Refuses to know: sockets; shards are driven by hand.

use kora_runtime::random::Random;
use kora_tests::resp::encode;
use kora_tests::simulation::Shape;
use kora_tests::simulation::world::World;

/// Lets everything happen, in an order drawn from `random`, and returns what the one client read.
fn run_to_rest(world: &mut World, random: &mut Random) -> Vec<u8> {
    let mut read = Vec::new();
    while world.moves() > 0 {
        let moves = world.moves() as u64;
        world.make_move(random.below(moves) as usize);
        for (_, reply) in world.take_replies() {
            read.extend_from_slice(&reply);
        }
    }
    read
}

fn random_pipeline(random: &mut Random, commands: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in 0..commands {
        let mut key = || format!("k{}", random.below(30));
        let (one, two, three) = (key(), key(), key());
        let line = match random.below(14) {
            0..=3 => format!("SET {one} {step}"),
            4..=6 => format!("GET {one}"),
            7 => format!("APPEND {one} x"),
            8 => format!("MSET {one} {step} {two} {step} {three} {step}"),
            9 => format!("MGET {one} {two} {three}"),
            10 => format!("RENAME {one} {two}"),
            11 => "PING".to_owned(),
            12 => format!("SELECT {}", random.below(2)),
            _ => "DBSIZE".to_owned(),
        };
        bytes.extend_from_slice(&encode(&line.split(' ').collect::<Vec<_>>()));
    }
    bytes
}

/// One client alone sees the same whether its pipeline runs on one shard or on many, in whatever order mailboxes are served, and however its bytes
/// are cut into pieces.
#[test]
fn a_lone_pipeline_reads_as_if_it_ran_in_order() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let pipeline = random_pipeline(&mut random, 120);
        let mut reference = World::new(seed, Shape { shards: 1, clients: 1, ..Shape::default() });
        reference.send_bytes(0, &pipeline);
        let expected = run_to_rest(&mut reference, &mut random);

        let mut world = World::new(seed, Shape { shards: 4, clients: 1, ..Shape::default() });
        let mut read = Vec::new();
        let mut rest = pipeline.as_slice();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((1 + random.below(400) as usize).min(rest.len()));
            world.send_bytes(0, piece);
            for _ in 0..random.below(4) {
                if world.moves() > 0 {
                    let moves = world.moves() as u64;
                    world.make_move(random.below(moves) as usize);
                }
            }
            rest = later;
        }
        for (_, reply) in world.take_replies() {
            read.extend_from_slice(&reply);
        }
        read.extend(run_to_rest(&mut world, &mut random));
        assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected), "seed {seed}");
    }
}

fn forwarded(world: &World) -> u64 {
    world.shards().iter().map(|shard| shard.core().stats.forwarded_commands).sum()
}

fn twenty_gets() -> Vec<u8> {
    (0..20).flat_map(|key| encode(&["GET".to_owned(), format!("key:{key}")])).collect()
}

#[test]
fn single_key_commands_overlap_unless_the_order_is_strict() {
    let mut random = Random::new(1);
    let mut world = World::new(1, Shape { shards: 4, clients: 1, ..Shape::default() });
    world.send_bytes(0, &twenty_gets());
    assert!(forwarded(&world) > 5, "most are on their way before the first is answered");
    run_to_rest(&mut world, &mut random);

    world.send(0, &["CONFIG", "SET", "pipeline-order", "strict"]);
    assert_eq!(run_to_rest(&mut world, &mut random), b"+OK\r\n");
    let before = forwarded(&world);
    world.send_bytes(0, &twenty_gets());
    assert_eq!(forwarded(&world), before + 1, "the second waits for the first");
    assert_eq!(run_to_rest(&mut world, &mut random), b"$-1\r\n".repeat(20));
    assert!(forwarded(&world) > before + 5);
}

#[test]
fn nothing_of_a_connection_starts_while_its_command_over_several_shards_runs() {
    let mut random = Random::new(2);
    let mut world = World::new(2, Shape { shards: 4, clients: 1, ..Shape::default() });
    let mut pipeline = encode(&["MSET", "a", "1", "b", "1", "c", "1", "d", "1"]);
    pipeline.extend(twenty_gets());
    world.send_bytes(0, &pipeline);
    assert_eq!(forwarded(&world), 0);
    let read = run_to_rest(&mut world, &mut random);
    assert_eq!(read, [&b"+OK\r\n"[..], &b"$-1\r\n".repeat(20)].concat());
}

#[test]
fn a_client_with_too_much_outstanding_is_not_read_on() {
    let mut world = World::new(3, Shape { shards: 4, clients: 1, ..Shape::default() });
    let value = vec![b'v'; 100_000];
    for key in 0..100 {
        world.send(0, &[b"SET".to_vec(), format!("key:{key}").into_bytes(), value.clone()]);
    }
    let on_the_way = forwarded(&world) as usize * value.len();
    assert!(on_the_way <= 2 * kora_runtime::limits::FORWARDED_BYTES_MAX, "{on_the_way} bytes are on their way");
    let read = run_to_rest(&mut world, &mut Random::new(3));
    assert_eq!(read, b"+OK\r\n".repeat(100), "and all of them arrive in the end");
}
