//! A few shards that log what they make up, and remember what must survive.
//!
//! Owns: the model. Refuses to know: how logs look on disk. Start at [`World::check`].

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::dir::{Dir, MemoryDir};
use crate::log::record::{write_plain, write_txn};
use crate::log::{LogError, LogOptions, LogWriter};
use crate::manifest::{Manifest, sweep};
use crate::recovery::{Mode, Recovered, RecoveryError, recover};

pub(super) const OPTIONS: LogOptions = LogOptions { segment_bytes: 700, zero_ahead_bytes: 256 };

/// A record that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) payload: Vec<u8>,
    pub(super) txn: Option<(u64, u64)>,
    pub(super) held: bool,
    pub(super) participants: Vec<u16>,
}

/// One shard's log as it should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Shard {
    pub(super) written: BTreeMap<u64, Written>,
    pub(super) pending: Vec<Written>,
    /// Records up to here must survive, unless they follow half a transaction.
    pub(super) synced: u64,
}

pub(super) struct World {
    pub(super) dir: Arc<dyn Dir>,
    pub(super) manifest: Manifest,
    pub(super) shards: Vec<Shard>,
    pub(super) writers: Vec<LogWriter>,
    made: u64,
}

pub(super) fn manifest(shards: u32) -> Manifest {
    Manifest {
        shards,
        routing_seeds: [1, 2, 3, 4],
        fingerprint: 9,
        locality: String::new(),
        pinned_databases: 0,
        incarnation: 0,
        generation: 0,
        has_log: false,
        first_lsns: vec![1; shards as usize],
    }
}

/// Everything that counts, as lsn and payload.
pub(super) fn records(dir: &dyn Dir, recovered: &Recovered) -> Vec<Vec<(u64, Vec<u8>)>> {
    let of = |log: &crate::recovery::ShardLog| {
        let mut found = Vec::new();
        let each = &mut |record: crate::log::record::Record<'_>| {
            found.push((record.lsn, record.payload.to_vec()));
            ControlFlow::Continue(())
        };
        log.read(dir, each).expect("it was read before");
        found
    };
    recovered.logs.iter().map(of).collect()
}

/// Opens a directory as a server does.
pub(super) fn open(dir: &Arc<dyn Dir>) -> Result<(Manifest, Recovered, Vec<LogWriter>), Box<dyn std::error::Error>> {
    let mut manifest = Manifest::read(&**dir)?.ok_or("a manifest is there")?;
    let recovered = recover(&**dir, &manifest, Mode::Normal)?;
    manifest.incarnation += 1;
    manifest.write(&**dir)?;
    if !manifest.has_log {
        sweep(&**dir, &manifest, 0)?;
    }
    let create =
        |log: &crate::recovery::ShardLog| LogWriter::create(dir.clone(), &manifest, log.shard, log.next_lsn, OPTIONS);
    let writers = recovered.logs.iter().map(create).collect::<Result<Vec<_>, LogError>>()?;
    if !manifest.has_log {
        manifest.has_log = true;
        manifest.write(&**dir)?;
    }
    sweep(&**dir, &manifest, 0)?;
    Ok((manifest, recovered, writers))
}

impl World {
    /// A new directory.
    pub(super) fn new(dir: Arc<dyn Dir>, shards: u32) -> Self {
        manifest(shards).write(&*dir).expect("nothing fails yet");
        let (manifest, _, writers) = open(&dir).expect("nothing fails yet");
        Self { dir, manifest, shards: vec![Shard::default(); shards as usize], writers, made: 0 }
    }

    pub(super) fn plain(&mut self, shard: usize) {
        let payload = self.payload();
        let record = Written { payload, txn: None, held: false, participants: Vec::new() };
        self.shards[shard].pending.push(record);
    }

    pub(super) fn txn(&mut self, participants: &[u16], held: bool) {
        for shard in participants {
            let payload = self.payload();
            let record = Written { payload, txn: None, held, participants: participants.to_vec() };
            self.shards[usize::from(*shard)].pending.push(record);
        }
        // All parts have the same number: the last one's.
        let number = self.made;
        for shard in participants {
            let last = self.shards[usize::from(*shard)].pending.last_mut().expect("just pushed");
            last.txn = Some((self.manifest.incarnation, number));
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        self.made += 1;
        let mut payload = format!("{}:", self.made).into_bytes();
        payload.resize(payload.len() + (self.made * 7 % 60) as usize, b'x');
        payload
    }

    /// Writes what is pending as one batch. After an error it is pending still.
    pub(super) fn append(&mut self, shard: usize) -> Result<(), LogError> {
        let (of, writer) = (&mut self.shards[shard], &mut self.writers[shard]);
        let mut bytes = Vec::new();
        for record in &of.pending {
            match record.txn {
                None => write_plain(&mut bytes, &record.payload),
                Some((_, id)) => write_txn(&mut bytes, id, record.held, &record.participants, &record.payload),
            }
        }
        if of.pending.is_empty() {
            return Ok(());
        }
        let first = writer.next_lsn();
        writer.append(&bytes, of.pending.len() as u32)?;
        of.written.extend((first..).zip(of.pending.drain(..)));
        Ok(())
    }

    pub(super) fn sync(&mut self, shard: usize) -> std::io::Result<()> {
        if let Some(job) = self.writers[shard].sync_job() {
            let lsn = job.run()?;
            self.writers[shard].synced(lsn);
            self.shards[shard].synced = lsn;
        }
        Ok(())
    }

    pub(super) fn prepare(&mut self, shard: usize) {
        if let Some(job) = self.writers[shard].prepare_job() {
            let _ = job.run();
            self.writers[shard].prepared(job);
        }
    }

    /// A snapshot of everything: all is written, none of it need be read again.
    pub(super) fn snapshot(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        for shard in 0..self.shards.len() {
            self.append(shard)?;
            self.writers[shard].rotate()?;
        }
        let first_lsns: Vec<u64> = self.writers.iter().map(LogWriter::next_lsn).collect();
        let manifest = Manifest { first_lsns, generation: self.manifest.generation + 1, ..self.manifest.clone() };
        manifest.write(&*self.dir)?;
        self.manifest = manifest;
        for (writer, first_lsn) in self.writers.iter_mut().zip(&self.manifest.first_lsns) {
            writer.retire(*first_lsn)?;
        }
        Ok(())
    }

    /// The process is gone; `memory` is what it left. Opens that again, holds it against the model, and goes on.
    pub(super) fn reopen(&mut self, memory: &MemoryDir) {
        let dir: Arc<dyn Dir> = Arc::new(memory.clone());
        let (manifest, recovered, writers) = open(&dir).unwrap_or_else(|error| panic!("{error}"));
        self.check(&*dir, &manifest, &recovered);
        for ((shard, log), records) in self.shards.iter_mut().zip(&recovered.logs).zip(records(&*dir, &recovered)) {
            shard.pending.clear();
            let kept: Vec<u64> = records.iter().map(|(lsn, _)| *lsn).collect();
            shard.written.retain(|lsn, _| kept.contains(lsn));
            shard.synced = log.next_lsn - 1;
        }
        (self.dir, self.manifest, self.writers) = (dir, manifest, writers);
    }

    /// What was found is what was written, in order; what was synced is there; transactions are whole or absent.
    pub(super) fn check(&self, dir: &dyn Dir, manifest: &Manifest, recovered: &Recovered) {
        let found = records(dir, recovered);
        let ends: Vec<u64> = recovered.logs.iter().map(|log| log.next_lsn).collect();
        let mut whole: BTreeMap<(u64, u64), Vec<u16>> = BTreeMap::new();
        for (number, (shard, records)) in self.shards.iter().zip(&found).enumerate() {
            let first = manifest.first_lsns[number];
            let mut must = shard.written.range(first..).take_while(|(lsn, _)| **lsn < ends[number]).peekable();
            // What a failed append left whole may be there, too: pending records right behind.
            let next = shard.written.last_key_value().map_or(first, |(lsn, _)| lsn + 1).max(first);
            let pending: BTreeMap<u64, &Written> = (next..).zip(&shard.pending).collect();
            for (lsn, payload) in records {
                while let Some((skipped, record)) = must.next_if(|(at, _)| *at < lsn) {
                    assert!(record.held, "record {skipped} of shard {number} is missing, and {lsn} is there");
                }
                let record = must.next().map(|(_, record)| record).or_else(|| pending.get(lsn).copied());
                let record = record.unwrap_or_else(|| panic!("nobody wrote record {lsn} of shard {number}"));
                assert_eq!(&record.payload, payload, "record {lsn} of shard {number}");
                if let Some(txn) = record.txn {
                    whole.entry(txn).or_default().push(number as u16);
                }
            }
            for (skipped, record) in must {
                assert!(record.held, "record {skipped} of shard {number} is missing");
            }
            if let Some((end, record)) =
                shard.written.range(ends[number]..).next().filter(|(lsn, _)| **lsn <= shard.synced)
            {
                assert!(*end == ends[number] && record.txn.is_some() && !record.held, "record {end} was synced");
                let is_missing = |other: &u16| {
                    let other = usize::from(*other);
                    let mut written = self.shards[other].written.iter().filter(|(_, of)| of.txn == record.txn);
                    written.next().is_none_or(|(lsn, _)| *lsn >= ends[other])
                };
                assert!(record.participants.iter().any(|other| usize::from(*other) != number && is_missing(other)));
            }
        }
        for (txn, shards) in whole {
            let of = |shard: &Shard| {
                let all = shard.written.values().chain(&shard.pending);
                all.filter(|record| record.txn == Some(txn)).map(|record| record.participants.clone()).next()
            };
            let participants = self.shards.iter().find_map(of).expect("it was written");
            // Those whose part is in the snapshot have it all there.
            assert_eq!(shards, participants, "half of {txn:?}");
        }
    }
}

/// What recovery says of a directory without touching it.
pub(super) fn look(dir: &dyn Dir, mode: Mode) -> Result<Recovered, RecoveryError> {
    let manifest = Manifest::read(dir).expect("it is whole").expect("it is there");
    recover(dir, &manifest, mode)
}
