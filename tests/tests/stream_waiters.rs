//! Clients on several shards that wait for the same streams, in every order in which their messages may arrive.
//!
//! Owns: that each gets exactly what came after it asked, wherever the streams live. Refuses to know: one shard alone, which kora-runtime tests.
//! Start at [`everyone_hears_of_what_came_after_they_asked`].

use kora_runtime::random::Random;
use kora_tests::simulation::Shape;
use kora_tests::simulation::world::World;

const SEEDS: u64 = 300;
const READERS: usize = 4;
const WRITER: usize = READERS;

/// Lets everything happen that can, in an order of the seed's; what each client has got by then.
fn settle(world: &mut World, random: &mut Random) -> Vec<String> {
    while world.moves() > 0 {
        let moves = world.moves() as u64;
        world.make_move(random.below(moves) as usize);
    }
    let mut got = vec![String::new(); READERS + 1];
    for (client, reply) in world.take_replies() {
        got[client] += &String::from_utf8_lossy(&reply).replace("\r\n", " ");
    }
    got
}

fn send(world: &mut World, client: usize, line: &str) {
    world.send(client, &line.split(' ').collect::<Vec<_>>());
}

fn entry(key: &str, value: u64) -> String {
    format!("*1 *2 ${} {key} *1 *2 $3 {value}-0 *2 $1 a $1 {value} ", key.len())
}

#[test]
fn everyone_hears_of_what_came_after_they_asked() {
    for seed in 1..=SEEDS {
        let mut random = Random::new(seed);
        let mut world = World::new(seed, Shape { shards: 4, clients: READERS + 1, ..Shape::default() });
        for line in ["XADD one 5 a old", "XADD two 5 a old"] {
            send(&mut world, WRITER, line);
        }
        settle(&mut world, &mut random);
        (0..READERS).for_each(|reader| send(&mut world, reader, "XREAD BLOCK 0 STREAMS one two $ $"));
        assert_eq!(settle(&mut world, &mut random), vec![""; READERS + 1], "seed {seed}: all wait");
        send(&mut world, WRITER, "XADD one MAXLEN 0 6 a gone");
        settle(&mut world, &mut random);

        let key = if random.below(2) == 0 { "one" } else { "two" };
        send(&mut world, WRITER, &format!("XADD {key} 7 a 7"));
        let got = settle(&mut world, &mut random);
        assert_eq!(got[..READERS], vec![entry(key, 7); READERS], "seed {seed}");

        // Some ask for what is there already, some for more.
        for reader in 0..READERS {
            let after = if reader % 2 == 0 { "6" } else { "$" };
            send(&mut world, reader, &format!("XREAD BLOCK 0 STREAMS {key} {after}"));
        }
        let got = settle(&mut world, &mut random);
        send(&mut world, WRITER, &format!("XADD {key} 8 a 8"));
        let later = settle(&mut world, &mut random);
        for reader in 0..READERS {
            let expected =
                if reader % 2 == 0 { [entry(key, 7), String::new()] } else { [String::new(), entry(key, 8)] };
            assert_eq!([&got[reader], &later[reader]], expected.each_ref(), "seed {seed}, reader {reader}");
        }
        assert!(world.is_quiet(), "seed {seed}: somebody is left waiting");
    }
}
