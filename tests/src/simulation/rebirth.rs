//! From a world's disk to shards that go on, and what ends a life.
//!
//! Owns: the order in which a directory is read and a new incarnation begun, by the same number of shards or another; the kinds of crashes. Refuses to
//! know: bytes of files, what clients do.
//! Start at [`crash`]. The stages are those of the real process; it may die in the middle of each.

use std::sync::Arc;
use std::time::Duration;

use kora_runtime::config::Config;
use kora_runtime::error::CommandError;
use kora_runtime::host::{Host, HostFacts, SaveAtEnd, SnapshotRefusal, SnapshotSink};
use kora_runtime::keyspace::typed::random_state;
use kora_runtime::random::Random;
use kora_runtime::shard::loading::{Expired, Progress};
use kora_runtime::shard::{Shard, routing};
use kora_storage::dir::{Dir, read_exact_at};
use kora_storage::manifest::{Manifest, snapshot_name, sweep};
use kora_storage::rdb::RdbFile;
use kora_storage::recovery::{Mode, Recovered, recover};

use super::Shape;
use super::disk::{Disk, Snapshots, Trouble};
use super::world::{World, new_shard, seeds_of};

/// How a life ended.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    /// Power was lost, perhaps only while what a dead process had left was read.
    pub power: bool,
    /// What was acknowledged before this was on disk in any case.
    pub covered: u64,
    /// How many shards there were.
    pub shards: usize,
}

/// Deaths in one recovery.
const DEATHS_MAX: u64 = 3;
/// Calls to the disk in a recovery within which it may die.
const RECOVERY_CALLS: u64 = 150;
/// Calls to the disk in a life within which it may die at one.
const LIFE_CALLS: u64 = 400;

/// A process that can save.
struct DiskHost(Snapshots);

impl Host for DiskHost {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn facts(&self) -> HostFacts {
        HostFacts::default()
    }
    fn sleep(&self, _: Duration) {}
    fn shutdown(&self, _: SaveAtEnd, _: bool) -> Result<(), CommandError> {
        Ok(())
    }
    fn begin_snapshot(
        &self,
        shard: usize,
        token: u64,
        first_lsn: u64,
    ) -> Result<Box<dyn SnapshotSink>, SnapshotRefusal> {
        self.0.begin(shard, token, first_lsn)
    }
    fn purge(&self) {}
    fn report(&self, message: &str) {
        panic!("{message}");
    }
    fn config_changed(&self, _: &Config) {}
}

/// Ends a world's process, or its machine's power, and goes on with what is on its disk.
///
/// # Errors
/// When what is on the disk cannot be loaded.
pub fn crash(world: &mut World, random: &mut Random) -> Result<Crash, String> {
    let (mut disk, shape, now_ms) = world.die();
    let mut crash = Crash { power: false, covered: disk.covered(), shards: shape.shards };
    let seed = world.seed();
    for death in 0.. {
        if random.below(2) == 0 || disk.always_powered {
            disk.memory.kill();
        } else {
            crash.power = true;
            disk.memory.crash(&mut |below| random.below(below.max(1)));
        }
        let shards = if random.below(2) == 0 { shape.shards } else { 1 + random.below(8) as usize };
        let dies = death < DEATHS_MAX && random.below(3) == 0;
        disk.begin_life(shards, dies.then(|| random.below(RECOVERY_CALLS)));
        let shape = Shape { shards, ..shape };
        match begin(seed, shape, &mut disk, now_ms) {
            Ok(shards) => {
                disk.set_fuse(None);
                world.be_born(shape, shards, disk);
                return Ok(crash);
            }
            Err(Trouble::Died) => {}
            Err(Trouble::Wrong(why)) => return Err(format!("what was on disk cannot be loaded: {why}")),
        }
    }
    unreachable!("recoveries die a few times only")
}

/// Lets this life end at some call to the disk, perhaps.
pub fn set_fuse(world: &mut World, random: &mut Random) {
    let fuse = (random.below(2) == 0).then(|| random.below(LIFE_CALLS));
    world.disk().set_fuse(fuse);
}

/// The shards of a disk, which log from now on.
///
/// # Errors
/// When the process dies, or what is on disk cannot be loaded.
pub fn begin(seed: u64, shape: Shape, disk: &mut Disk, now_ms: u64) -> Result<Vec<Shard>, Trouble> {
    let found = match Manifest::read(&disk.dir).map_err(|error| disk.trouble(error))? {
        Some(found) => found,
        None => {
            let routing_seeds = seeds_of(seed);
            let manifest = Manifest {
                shards: shape.shards as u32,
                routing_seeds,
                fingerprint: routing::fingerprint(&random_state(routing_seeds)),
                locality: String::new(),
                pinned_databases: 0,
                incarnation: 0,
                generation: 0,
                has_log: false,
                first_lsns: vec![1; shape.shards],
            };
            disk.write_manifest(manifest.clone())?;
            manifest
        }
    };
    disk.set_manifest(found.clone());
    sweep(&disk.dir, &found, u64::MAX).map_err(|error| disk.trouble(error))?;
    let recovered = match found.has_log {
        true => Some(recover(&disk.dir, &found, Mode::Normal).map_err(|error| disk.trouble(error))?),
        false => None,
    };
    let host: Arc<dyn Host> = Arc::new(DiskHost(disk.snapshots.clone()));
    let mut shards: Vec<Shard> = (0..shape.shards).map(|id| new_shard(seed, shape, id, &host, now_ms)).collect();
    let rerouted = found.shards as usize != shape.shards;
    for old in 0..found.shards as usize {
        if !rerouted {
            load(&mut shards[old], disk, &found, recovered.as_ref(), old)?;
            continue;
        }
        let mut shard = new_shard(seed, Shape { shards: found.shards as usize, ..shape }, old, &host, now_ms);
        load(&mut shard, disk, &found, recovered.as_ref(), old)?;
        let mut more = true;
        while more {
            more = shard.hand_over_some(100, &mut |db, key, value| {
                let owner = shards[0].owner(db, key);
                shards[owner].take_over(db, key, value);
            });
        }
    }
    // Larger than the number of any record in a file.
    let logged = recovered.iter().flat_map(|recovered| recovered.logs.iter().map(|log| log.next_lsn));
    let first_lsn = logged.chain(found.first_lsns.iter().copied()).max().unwrap_or(1);
    let mut next_lsns = vec![first_lsn; shape.shards];
    if rerouted {
        for shard in &mut shards {
            shard.save_now(1).map_err(|error| disk.trouble(format!("{error:?}")))?;
        }
        disk.adopt_rerouted(shape.shards, first_lsn)?;
    } else if let Some(recovered) = &recovered {
        next_lsns = recovered.logs.iter().map(|log| log.next_lsn).collect();
    } else {
        next_lsns.clone_from(&found.first_lsns);
    }
    let manifest = disk.manifest().clone();
    let manifest = Manifest { incarnation: manifest.incarnation + 1, ..manifest };
    disk.write_manifest(manifest.clone())?;
    sweep(&disk.dir, &manifest, 0).map_err(|error| disk.trouble(error))?;
    for (shard, next_lsn) in shards.iter_mut().zip(next_lsns) {
        disk.open_log(next_lsn)?;
        shard.end_loading();
        shard.start_log(next_lsn);
        if let Some(fault) = shape.fault {
            shard.plant(fault);
        }
    }
    if !manifest.has_log {
        disk.write_manifest(Manifest { has_log: true, ..manifest })?;
    }
    Ok(shards)
}

/// Fills a shard from its snapshot and its log.
fn load(
    shard: &mut Shard,
    disk: &Disk,
    found: &Manifest,
    recovered: Option<&Recovered>,
    old: usize,
) -> Result<(), Trouble> {
    if found.generation > 0 {
        let name = snapshot_name(found.generation, old as u16);
        let read = disk.dir.open(&name).and_then(|file| {
            let mut bytes = vec![0; file.len()? as usize];
            read_exact_at(&*file, &mut bytes, 0)?;
            Ok(bytes)
        });
        let bytes = read.map_err(|error| disk.trouble(format!("{name}: {error}")))?;
        let wrong = |error: &dyn ToString| Trouble::Wrong(format!("{name}: {}", error.to_string()));
        let mut file = RdbFile::of_bytes(&name, &bytes).map_err(|error| wrong(&error))?;
        let mut progress = Progress::default();
        while shard.load_some(&mut file, &mut progress, Expired::Kept, 100).map_err(|error| wrong(&error))? {}
    }
    let Some(recovered) = recovered else { return Ok(()) };
    let mut reader = recovered.logs[old].reader(&disk.dir);
    while let Some(batch) = reader.next_batch().map_err(|error| disk.trouble(error))? {
        for record in batch.records() {
            let replayed = shard.replay(record.payload);
            replayed.map_err(|error| Trouble::Wrong(format!("record {} of shard {old}: {error}", record.lsn)))?;
        }
    }
    Ok(())
}
