//! What the imagined directories promise to the tests that rest on them.

use std::collections::BTreeSet;

use super::*;

fn content(dir: &dyn Dir, name: &str) -> Option<Vec<u8>> {
    let file = dir.open(name).ok()?;
    let mut bytes = vec![0; file.len().expect("nothing fails") as usize];
    read_exact_at(&*file, &mut bytes, 0).expect("nothing fails");
    Some(bytes)
}

/// Does the same in any directory, and says what is there then.
fn exercise(dir: &dyn Dir) -> Vec<(String, Vec<u8>)> {
    let file = dir.create("a").expect("nothing fails");
    write_all_at(&*file, b"hello", 3).expect("nothing fails");
    file.set_len(6).expect("nothing fails");
    file.sync_data().expect("nothing fails");
    file.set_len(7).expect("nothing fails");
    let mut buffer = [9; 9];
    assert_eq!(read_at_most(&*file, &mut buffer, 2).expect("nothing fails"), 5);
    assert_eq!(buffer, *b"\0hel\0\x09\x09\x09\x09");
    assert_eq!(file.read_at(&mut buffer, 100).expect("nothing fails"), 0);
    let error = read_exact_at(&*file, &mut buffer, 2).expect_err("it is shorter");
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    dir.rename("a", "b").expect("nothing fails");
    assert_eq!(dir.open("a").expect_err("it has another name").kind(), ErrorKind::NotFound);
    assert_eq!(dir.remove("a").expect_err("it has another name").kind(), ErrorKind::NotFound);
    write_all_at(&*dir.create("c").expect("nothing fails"), b"gone", 0).expect("nothing fails");
    dir.create("c").expect("nothing fails");
    write_all_at(&*dir.create("d").expect("nothing fails"), b"d", 0).expect("nothing fails");
    dir.rename("b", "d").expect("nothing fails");
    write_all_at(&*dir.create("e").expect("nothing fails"), b"e", 0).expect("nothing fails");
    dir.remove("e").expect("nothing fails");
    dir.sync().expect("nothing fails");
    let mut names = dir.list().expect("nothing fails");
    names.sort();
    names.into_iter().map(|name| (name.clone(), content(dir, &name).expect("it is there"))).collect()
}

#[test]
fn all_directories_do_the_same() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let real = exercise(&RealDir::open(place.path()).expect("it was made"));
    assert_eq!(real, [("c".to_owned(), vec![]), ("d".to_owned(), b"\0\0\0hel\0".to_vec())]);
    assert_eq!(exercise(&MemoryDir::new()), real);
    assert_eq!(exercise(&FailingDir::new(Arc::new(MemoryDir::new()))), real);
    assert!(RealDir::open(&place.path().join("missing")).is_err());
}

/// A file with a durable sector of `a`, and three sectors of `b` written over it, not synced.
fn unsynced() -> MemoryDir {
    let dir = MemoryDir::new();
    dir.put("file", &[b'a'; 512]);
    let file = dir.open("file").expect("nothing fails");
    write_all_at(&*file, &[b'b'; 1536], 0).expect("nothing fails");
    dir
}

#[test]
fn a_power_loss_leaves_every_mixture_of_sectors_and_names() {
    let mut contents = BTreeSet::new();
    for seed in 0..300 {
        let dir = unsynced();
        dir.crash(&mut xorshift(seed));
        let left = content(&dir, "file").expect("it is there");
        assert!(left.len() == 512 || left.len() == 1536);
        contents.insert(left.chunks(512).map(|sector| sector[0]).collect::<Vec<u8>>());
    }
    let expected: BTreeSet<Vec<u8>> =
        [&b"a"[..], b"b", b"a\0\0", b"b\0\0", b"ab\0", b"bb\0", b"a\0b", b"b\0b", b"abb", b"bbb"]
            .map(<[u8]>::to_vec)
            .into();
    assert_eq!(contents, expected);

    let mut names = BTreeSet::new();
    for seed in 0..100 {
        let dir = MemoryDir::new();
        dir.put("old", b"old");
        dir.put("dead", b"dead");
        dir.rename("old", "new").expect("nothing fails");
        dir.remove("dead").expect("nothing fails");
        dir.create("made").expect("nothing fails");
        dir.crash(&mut xorshift(seed));
        names.insert(dir.list().expect("nothing fails").join(" "));
    }
    assert_eq!(names.len(), 8, "{names:?}");
}

#[test]
fn what_was_synced_survives_and_what_was_not_goes_with_the_power() {
    let dir = unsynced();
    dir.kill();
    assert_eq!(content(&dir, "file").map(|bytes| bytes.len()), Some(1536), "only the process died");
    dir.crash_losing_all();
    assert_eq!(content(&dir, "file"), Some(vec![b'a'; 512]));

    let dir = unsynced();
    let file = dir.open("file").expect("nothing fails");
    file.sync_data().expect("nothing fails");
    let made = dir.create("made").expect("nothing fails");
    made.sync_all().expect("nothing fails");
    let named = dir.create("named").expect("nothing fails");
    write_all_at(&*named, b"x", 0).expect("nothing fails");
    dir.sync().expect("nothing fails");
    dir.rename("made", "renamed").expect("nothing fails");
    dir.crash_losing_all();
    assert_eq!(dir.list().expect("nothing fails"), ["file", "made", "named"]);
    assert_eq!((content(&dir, "file"), content(&dir, "named")), (Some(vec![b'b'; 1536]), Some(Vec::new())));
    assert!(file.len().is_err(), "whoever had it open is gone");
    assert_eq!((dir.calls(Call::Rename), dir.calls(Call::SyncAll)), (1, 1));
}

#[test]
fn calls_fail_as_they_are_told() {
    let memory = MemoryDir::new();
    let dir = FailingDir::new(Arc::new(memory.clone()));
    let file = dir.create("file").expect("nothing fails");
    dir.fail_nth(Some(Call::WriteAt), 1, Fault::Short);
    assert_eq!(file.write_at(b"abcd", 0).expect("the first works"), 4);
    assert_eq!(file.write_at(b"ABCD", 0).expect("the second is short"), 2);
    assert_eq!(content(&memory, "file"), Some(b"ABcd".to_vec()));

    dir.fail_nth(None, 0, Fault::Interrupted);
    assert_eq!(file.len().expect_err("a signal").kind(), ErrorKind::Interrupted);
    assert_eq!(file.len().expect("once"), 4);
    dir.fail_from(Some(Call::SyncData), 1, Fault::Device);
    file.sync_data().expect("the first works");
    for _ in 0..2 {
        assert_eq!(file.sync_data().expect_err("from then on").raw_os_error(), Some(5));
    }
    dir.fail_nth(Some(Call::WriteAt), 0, Fault::Full);
    assert_eq!(file.write_at(b"wxyz", 0).expect_err("no room").kind(), ErrorKind::StorageFull);
    assert_eq!(content(&memory, "file"), Some(b"wxcd".to_vec()));

    dir.leave_room(3);
    assert_eq!(file.write_at(b"12345678", 2).expect("some of it"), 5);
    assert_eq!(file.write_at(b"9", 7).expect_err("no room").kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(b"0", 6).expect("no room is needed"), 1);
    dir.lift();
    file.write_at(b"9", 7).expect("there is room again");
    assert_eq!(content(&memory, "file"), Some(b"wx123409".to_vec()));

    dir.stop_at(1);
    assert_eq!((dir.list().is_ok(), dir.sync().is_ok(), file.len().is_ok(), dir.calls()), (true, false, false, 3));
}
