//! Transactions in the logs of their shards, and what leaves a shard before they are on disk.
//!
//! Owns: which shards write a record and whom it names, and what waits for which disk. Refuses to know: what single rows log (`replay.rs`).

use kora_runtime::config::AppendFsync;
use kora_tests::replay::entries_of;
use kora_tests::simulation::Shape;
use kora_tests::simulation::log::{Record, records};
use kora_tests::simulation::world::World;

fn world(log: AppendFsync) -> World {
    World::new(1, Shape { clients: 3, log: Some(log), ..Shape::default() })
}

/// A key on each of the four shards.
fn keys(world: &World) -> Vec<String> {
    let routing = &world.shards()[0].core().routing;
    let on = |shard| (0..).map(|at| format!("k{at}")).find(|key| routing.owner(0, key.as_bytes()) == shard);
    (0..world.shards().len()).filter_map(on).collect()
}

fn say(world: &mut World, line: &str) -> Vec<u8> {
    world.ask(0, &line.split(' ').collect::<Vec<_>>())
}

fn say_all(world: &mut World, lines: &[String]) {
    lines.iter().for_each(|line| drop(say(world, line)));
}

/// Each shard's records from its `from`th on.
fn logged(world: &World, from: &[usize]) -> Vec<Vec<Record>> {
    world.logs().iter().zip(from).map(|(log, from)| records(log.image()).split_off(*from)).collect()
}

fn counts(world: &World) -> Vec<usize> {
    world.logs().iter().map(|log| records(log.image()).len()).collect()
}

#[test]
fn a_transaction_leaves_one_record_at_each_shard_that_it_changed() {
    for log in [AppendFsync::EverySec, AppendFsync::Always] {
        let mut world = world(log);
        let keys = keys(&world);
        let before = counts(&world);
        say_all(
            &mut world,
            &[
                "MULTI".to_owned(),
                format!("SET {} 1", keys[1]),
                format!("MSET {} 2 {} 3", keys[1], keys[3]),
                format!("GET {}", keys[0]),
                format!("RPUSH {} a b", keys[2]),
                format!("LMOVE {} {} LEFT RIGHT", keys[2], keys[0]),
                "EXEC".to_owned(),
            ],
        );
        let logged = logged(&world, &before);
        let expected = [
            vec![format!("RPUSH {} a", keys[0])],
            vec![format!("SET {} 1", keys[1]), format!("MSET {} 2", keys[1])],
            vec![format!("RPUSH {} a b", keys[2]), format!("LPOP {} 1", keys[2])],
            vec![format!("MSET {} 3", keys[3])],
        ];
        for (records, expected) in logged.iter().zip(expected) {
            assert_eq!(records.len(), 1, "{logged:?}");
            assert_eq!(entries_of(&records[0].payload), expected);
            let (id, mut participants) = records[0].transaction.clone().expect("it is a part of a transaction");
            participants.sort_unstable();
            assert_eq!(participants, [0, 1, 2, 3]);
            assert_eq!(Some(id), logged[0][0].transaction.as_ref().map(|(id, _)| *id));
        }
    }
}

#[test]
fn only_shards_that_have_changed_are_named() {
    for log in [AppendFsync::EverySec, AppendFsync::Always] {
        let mut world = world(log);
        let keys = keys(&world);
        say(&mut world, &format!("SET {} v", keys[0]));
        let before = counts(&world);
        // Both are asked, and one has something to remove.
        say(&mut world, &format!("DEL {} {} {}", keys[0], keys[1], keys[2]));
        let alone = logged(&world, &before);
        assert_eq!(alone.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 0, 0]);
        assert_eq!(alone[0][0].transaction, None, "a change of one shard is nobody else's business");
        let before = counts(&world);
        say(&mut world, &format!("DEL {} {}", keys[0], keys[1]));
        say_all(&mut world, &["MULTI".into(), format!("GET {}", keys[0]), format!("DEL {}", keys[1]), "EXEC".into()]);
        assert_eq!(counts(&world), before, "nothing has changed");
        say(&mut world, &format!("MSET {} 1 {} 1", keys[1], keys[3]));
        let two = logged(&world, &before);
        assert_eq!(two.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0, 1]);
        let mut participants = two[3][0].transaction.clone().expect("it is a part of a transaction").1;
        participants.sort_unstable();
        assert_eq!(participants, [1, 3]);
    }
}

#[test]
fn a_script_is_one_record_at_each_shard() {
    let mut world = world(AppendFsync::EverySec);
    let keys = keys(&world);
    let before = counts(&world);
    let script = "redis.call('SET',KEYS[1],1)redis.call('APPEND',KEYS[1],2)redis.call('RPUSH',KEYS[2],'x')";
    world.ask(0, &["EVAL", script, "2", &keys[2], &keys[3]]);
    let logged = logged(&world, &before);
    let texts = |shard: usize| logged[shard].iter().map(|record| entries_of(&record.payload)).collect::<Vec<_>>();
    assert_eq!(texts(2), [[format!("SET {} 1", keys[2]), format!("APPEND {} 2", keys[2])]]);
    assert_eq!(texts(3), [[format!("RPUSH {} x", keys[3])]]);
    assert!(logged[2][0].transaction.is_some() && logged[2][0].transaction == logged[3][0].transaction);
}

/// Lets everything happen but syncs: these are the last of what may happen.
fn run_without_disks(world: &mut World) {
    loop {
        let syncs = world.logs().iter().filter(|log| log.may_sync()).count();
        if world.moves() == syncs {
            return;
        }
        world.make_move(0);
    }
}

/// Brings the log of one shard to the disk.
fn sync(world: &mut World, shard: usize) {
    for _ in 0..2 {
        let behind = world.logs()[shard..].iter().filter(|log| log.may_sync()).count();
        let moves = world.moves();
        world.make_move(moves - behind);
        run_without_disks(world);
    }
}

fn replies(world: &mut World) -> Vec<(usize, String)> {
    let replies = world.take_replies().into_iter();
    replies.map(|(client, reply)| (client, String::from_utf8_lossy(&reply).trim().to_owned())).collect()
}

#[test]
fn a_reply_waits_for_the_disk_and_so_do_those_who_read_what_is_not_on_it() {
    for (log, waits) in [(AppendFsync::Always, true), (AppendFsync::EverySec, false), (AppendFsync::No, false)] {
        let mut world = world(log);
        let keys = keys(&world);
        // Client 0 is on shard 0, client 1 on shard 1.
        for (client, owner) in [(0, 0), (1, 0)] {
            world.send(client, &["SET", &keys[owner], "v"]);
            run_without_disks(&mut world);
            assert_eq!(replies(&mut world).is_empty(), waits, "{log:?}: a change is told");
            world.send(2, &["GET", &keys[owner]]);
            run_without_disks(&mut world);
            assert_eq!(replies(&mut world).is_empty(), waits, "{log:?}: what was read is told");
            assert!(world.logs()[owner].may_sync());
            sync(&mut world, owner);
            let mut told = replies(&mut world);
            told.sort();
            let expected = [(client, "+OK".to_owned()), (2, "$1\r\nv".to_owned())];
            assert_eq!(told, if waits { expected.to_vec() } else { Vec::new() }, "{log:?}");
        }
    }
}

#[test]
fn the_keys_of_a_transaction_are_held_until_all_its_records_are_on_disk() {
    let mut world = world(AppendFsync::Always);
    let keys = keys(&world);
    world.send(0, &["MSET", &keys[1], "1", &keys[2], "1", &keys[3], "1"]);
    run_without_disks(&mut world);
    let written = counts(&world);
    assert_eq!(written, [0, 1, 1, 1]);
    world.send(1, &["INCR", &keys[1]]);
    world.send(2, &["GET", &keys[3]]);
    for shard in [1, 3, 2] {
        run_without_disks(&mut world);
        assert_eq!((replies(&mut world), counts(&world)), (Vec::new(), written.clone()), "before shard {shard}");
        assert!(!world.is_quiet());
        sync(&mut world, shard);
    }
    // Both come in turn now, and the first waits for the disk again.
    assert_eq!(counts(&world), [0, 2, 1, 1]);
    let mut told = replies(&mut world);
    told.sort();
    assert_eq!(told, [(0, "+OK".to_owned()), (2, "$1\r\n1".to_owned())]);
    sync(&mut world, 1);
    assert_eq!(replies(&mut world), [(1, ":2".to_owned())]);
    assert!(world.is_quiet());
}
