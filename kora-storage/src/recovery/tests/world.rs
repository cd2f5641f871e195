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
    pub(super) participants: Vec<u16>,
    /// It depends on the transactions of its shard with records up to here: their keys had been let go when it was made.
    pub(super) after: u64,
    /// What its batch said is settled.
    pub(super) said: u64,
}

/// One shard's log as it should be.
#[derive(Debug, Clone, Default)]
pub(super) struct Shard {
    pub(super) written: BTreeMap<u64, Written>,
    pub(super) pending: Vec<Written>,
    /// Records up to here must survive, unless they may depend on half a transaction.
    pub(super) synced: u64,
    /// Transactions with records up to here have let their keys go.
    pub(super) settled: u64,
}

pub(super) struct World {
    pub(super) dir: Arc<dyn Dir>,
    pub(super) manifest: Manifest,
    pub(super) shards: Vec<Shard>,
    pub(super) writers: Vec<LogWriter>,
    /// A transaction is settled when its records are on disk, and not as soon as they are written.
    pub(super) settles_when_synced: bool,
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
        let shards = vec![Shard::default(); shards as usize];
        Self { dir, manifest, shards, writers, settles_when_synced: false, made: 0 }
    }

    pub(super) fn plain(&mut self, shard: usize) {
        self.record(shard, &[]);
    }

    fn record(&mut self, shard: usize, participants: &[u16]) {
        let payload = self.payload();
        let of = &mut self.shards[shard];
        let (after, participants) = (of.settled, participants.to_vec());
        of.pending.push(Written { payload, txn: None, participants, after, said: 0 });
    }

    pub(super) fn txn(&mut self, participants: &[u16]) {
        for shard in participants {
            self.record(usize::from(*shard), participants);
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
                Some((_, id)) => write_txn(&mut bytes, id, &record.participants, &record.payload),
            }
        }
        if of.pending.is_empty() {
            return Ok(());
        }
        let first = writer.next_lsn();
        let said = of.settled;
        writer.append(&bytes, of.pending.len() as u32, said)?;
        of.pending.iter_mut().for_each(|record| record.said = said);
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

    /// Lets the keys of the transactions go that are settled, in the order of their records.
    pub(super) fn settle(&mut self, shard: usize) {
        let of = &self.shards[shard];
        let is_settled = |record: &Written| {
            record.txn.is_none_or(|txn| {
                record.participants.iter().all(|other| {
                    let other = &self.shards[usize::from(*other)];
                    let part = other.written.iter().rev().find(|(_, record)| record.txn == Some(txn));
                    part.is_some_and(|(lsn, _)| !self.settles_when_synced || *lsn <= other.synced)
                })
            })
        };
        let settled = of.written.range(of.settled + 1..).take_while(|(_, record)| is_settled(record)).last();
        self.shards[shard].settled = settled.map_or(of.settled, |(lsn, _)| *lsn);
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
            (shard.synced, shard.settled) = (log.next_lsn - 1, log.next_lsn - 1);
        }
        (self.dir, self.manifest, self.writers) = (dir, manifest, writers);
    }

    /// What was found is what was written, in order; what was synced is there; transactions are whole or absent, and
    /// with one that is absent everything that depends on it.
    pub(super) fn check(&self, dir: &dyn Dir, manifest: &Manifest, recovered: &Recovered) {
        let found = records(dir, recovered);
        let ends: Vec<u64> = recovered.logs.iter().map(|log| log.next_lsn).collect();
        let is_half = |record: &Written| {
            let is_missing = |other: &u16| {
                let mut written = self.shards[usize::from(*other)].written.iter().rev();
                let part = written.find(|(_, of)| of.txn == record.txn);
                part.is_none_or(|(lsn, _)| *lsn >= ends[usize::from(*other)])
            };
            record.txn.is_some() && record.participants.iter().any(is_missing)
        };
        let mut whole: BTreeMap<(u64, u64), Vec<u16>> = BTreeMap::new();
        for (number, (shard, records)) in self.shards.iter().zip(&found).enumerate() {
            let (first, end) = (manifest.first_lsns[number], ends[number]);
            let mut must = shard.written.range(first..).take_while(|(lsn, _)| **lsn < end).peekable();
            // What a failed append left whole may be there, too: pending records right behind.
            let next = shard.written.last_key_value().map_or(first, |(lsn, _)| lsn + 1).max(first);
            let pending: BTreeMap<u64, &Written> = (next..).zip(&shard.pending).collect();
            let mut first_skipped = u64::MAX;
            let mut skip = |lsn: u64, record: &Written| {
                assert!(is_half(record), "record {lsn} of shard {number} is missing, and there are others behind it");
                first_skipped = first_skipped.min(lsn);
            };
            for (lsn, payload) in records {
                while let Some((skipped, record)) = must.next_if(|(at, _)| *at < lsn) {
                    skip(*skipped, record);
                }
                let record = must.next().map(|(_, record)| record).or_else(|| pending.get(lsn).copied());
                let record = record.unwrap_or_else(|| panic!("nobody wrote record {lsn} of shard {number}"));
                assert_eq!(&record.payload, payload, "record {lsn} of shard {number}");
                if let Some(txn) = record.txn {
                    whole.entry(txn).or_default().push(number as u16);
                }
            }
            must.for_each(|(lsn, record)| skip(*lsn, record));
            for (lsn, record) in shard.written.range(first..end) {
                assert!(record.after < first_skipped, "record {lsn} of shard {number} depends on {first_skipped}");
            }
            let lost = shard.written.range(end..).next().filter(|(lsn, _)| **lsn <= shard.synced);
            if let Some((lost, record)) = lost {
                assert!(!self.settles_when_synced, "record {lost} of shard {number} was synced");
                // A batch that may depend on half a transaction, and the first that may.
                let said = |record: Option<(&u64, &Written)>| record.map_or(0, |(_, record)| record.said);
                let before = said(shard.written.range(..end).next_back());
                let mut settled = shard.written.range(..=record.said).filter(|(lsn, _)| **lsn > before);
                let is_due = *lost == end && settled.any(|(_, record)| is_half(record));
                assert!(is_due, "record {lost} of shard {number} was synced");
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
