//! Which transactions are whole.
//!
//! Owns: the rule that a transaction counts when every participant has its record, and what follows from one that does
//! not. Refuses to know: files. Start at [`Transactions::resolve`].
//!
//! A shard lets a transaction's keys go when it is settled, and those of several in the order of their records. Each batch
//! says up to which record all are settled; so what was written before the first batch that says so of a transaction does
//! not depend on it, and what was written from there on may.

use crate::log::record::Record;

/// Records of transactions over several shards, from all logs.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    parts: Vec<Part>,
    /// The participants of all parts, one list behind the other.
    participants: Vec<u16>,
    /// Shard and incarnation whose log is being read.
    reading: (u16, u64),
    /// The first of their parts that no batch has said to be settled.
    unsettled: usize,
}

/// One record.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Incarnation and number.
    txn: (u64, u64),
    shard: u16,
    lsn: u64,
    /// From this record on its log may depend on the transaction; `u64::MAX` if nothing in it does.
    dependent_lsn: u64,
    /// Where its participants are.
    participants: (usize, usize),
}

impl Transactions {
    /// Notes what a batch says, before its records are added. The logs come one behind the other, each in its order.
    ///
    /// A batch speaks of its own incarnation alone: what earlier ones left, recovery had decided about before it was
    /// written.
    pub(super) fn settle(&mut self, shard: u16, incarnation: u64, first_lsn: u64, settled_lsn: u64) {
        self.read(shard, incarnation);
        for part in &mut self.parts[self.unsettled..] {
            if part.lsn > settled_lsn {
                break;
            }
            part.dependent_lsn = first_lsn;
            self.unsettled += 1;
        }
    }

    /// Notes a record if it is part of a transaction; false when that names shards that cannot be.
    pub(super) fn add(&mut self, shard: u16, record: &Record<'_>, shards: usize) -> bool {
        let Some(txn) = record.txn else { return true };
        if txn.participants.iter().any(|participant| usize::from(participant) >= shards) {
            return false;
        }
        self.read(shard, record.incarnation);
        let start = self.participants.len();
        self.participants.extend(txn.participants.iter());
        self.parts.push(Part {
            txn: (record.incarnation, txn.id),
            shard,
            lsn: record.lsn,
            dependent_lsn: u64::MAX,
            participants: (start, self.participants.len()),
        });
        true
    }

    /// Lowers the ends of the logs until nothing before them depends on a transaction that is not whole there. Returns
    /// each log's end and the records before it that do not count.
    ///
    /// The result is the only one of the greatest ends: a log is cut only where it must be in every outcome.
    pub(super) fn resolve(mut self, mut ends: Vec<u64>) -> Vec<(u64, Vec<u64>)> {
        self.parts.sort_unstable_by_key(|part| (part.txn, part.shard, part.lsn));
        let groups: Vec<&[Part]> = self.parts.chunk_by(|left, right| left.txn == right.txn).collect();
        // The parts of each log, the last on top, so that those which a cut takes can be taken off.
        let mut logs: Vec<Vec<(u64, usize)>> = vec![Vec::new(); ends.len()];
        for (number, group) in groups.iter().enumerate() {
            for part in *group {
                logs[usize::from(part.shard)].push((part.lsn, number));
            }
        }
        logs.iter_mut().for_each(|log| log.sort_unstable());

        let mut suspects: Vec<usize> = (0..groups.len()).collect();
        while let Some(suspect) = suspects.pop() {
            if self.is_whole(groups[suspect], &ends) {
                continue;
            }
            for part in groups[suspect] {
                let shard = usize::from(part.shard);
                ends[shard] = ends[shard].min(part.dependent_lsn);
                while let Some((_, group)) = logs[shard].pop_if(|(lsn, _)| *lsn >= ends[shard]) {
                    suspects.push(group);
                }
            }
        }

        let mut outcome: Vec<(u64, Vec<u64>)> = ends.iter().map(|end| (*end, Vec::new())).collect();
        for group in groups.iter().filter(|group| !self.is_whole(group, &ends)) {
            for part in group.iter().filter(|part| part.lsn < ends[usize::from(part.shard)]) {
                outcome[usize::from(part.shard)].1.push(part.lsn);
            }
        }
        outcome.iter_mut().for_each(|(_, skipped)| skipped.sort_unstable());
        outcome
    }

    fn read(&mut self, shard: u16, incarnation: u64) {
        if self.reading != (shard, incarnation) {
            (self.reading, self.unsettled) = ((shard, incarnation), self.parts.len());
        }
    }

    fn is_whole(&self, group: &[Part], ends: &[u64]) -> bool {
        let is_there = |shard: u16| {
            let of_shard = group.partition_point(|part| part.shard < shard);
            group.get(of_shard).is_some_and(|part| part.shard == shard && part.lsn < ends[usize::from(shard)])
        };
        // Records of one transaction name the same shards; if they did not, none may be missing of any.
        group.iter().all(|part| {
            let (start, end) = part.participants;
            self.participants[start..end].iter().copied().all(is_there)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::record::{split_first, write_txn};

    /// Records as `shard lsn txn participants`, and batches as `shard lsn settles lsn`, in any order; a number behind a
    /// colon is the incarnation, where it is not 1.
    fn check(ends: &[u64], lines: &[&str], expected: &[(u64, &[u64])]) {
        let number = |word: &str| word.parse::<u64>().expect("a number");
        let mut sorted: Vec<(u64, u64, bool, u64, &str, &str)> = Vec::new();
        for line in lines {
            let (line, incarnation) = line.split_once(':').map_or((*line, 1), |(line, of)| (line, number(of)));
            let words: Vec<&str> = line.split(' ').collect();
            sorted.push((number(words[0]), number(words[1]), words[2] != "settles", incarnation, words[2], words[3]));
        }
        sorted.sort_unstable();
        let mut txns = Transactions::default();
        for (shard, lsn, is_record, incarnation, what, of) in sorted {
            if !is_record {
                txns.settle(shard as u16, incarnation, lsn, number(of));
                continue;
            }
            let participants: Vec<u16> = of.split(',').map(|word| number(word) as u16).collect();
            let mut bytes = Vec::new();
            write_txn(&mut bytes, number(what), &participants, b"");
            let record = split_first(&mut &bytes[..], lsn, incarnation).expect("a record");
            assert!(txns.add(shard as u16, &record, ends.len()));
        }
        let outcome = txns.resolve(ends.to_vec());
        let expected: Vec<(u64, Vec<u64>)> = expected.iter().map(|(end, skipped)| (*end, skipped.to_vec())).collect();
        assert_eq!(outcome, expected, "{lines:?}");
    }

    #[test]
    fn a_whole_transaction_counts() {
        check(&[10, 10], &["0 3 7 0,1", "1 9 7 0,1"], &[(10, &[]), (10, &[])]);
        check(&[10, 10], &["0 3 7 0,1", "1 9 7 0,1", "0 5 settles 4"], &[(10, &[]), (10, &[])]);
        check(&[10, 10], &["0 3 7 0"], &[(10, &[]), (10, &[])]);
    }

    #[test]
    fn half_a_transaction_that_nothing_depends_on_is_left_out_alone() {
        check(&[10, 10], &["0 3 7 0,1"], &[(10, &[3]), (10, &[])]);
        check(&[10, 9], &["0 3 7 0,1", "1 9 7 0,1"], &[(10, &[3]), (9, &[])]);
        // Batches that settle what is before it do not settle it.
        check(&[10, 10], &["0 2 6 0", "0 3 7 0,1", "0 5 settles 2"], &[(10, &[3]), (10, &[])]);
        // Neither does one that is not there any more.
        check(&[5, 10], &["0 3 7 0,1", "0 5 settles 3"], &[(5, &[3]), (10, &[])]);
        // Nor one that another shard wrote.
        check(&[10, 10, 10], &["0 3 7 0,1", "2 5 settles 4"], &[(10, &[3]), (10, &[]), (10, &[])]);
    }

    #[test]
    fn a_log_ends_where_it_may_depend_on_half_a_transaction() {
        check(&[10, 10], &["0 3 7 0,1", "0 5 settles 3"], &[(5, &[3]), (10, &[])]);
        // The first batch that says so counts.
        check(&[10, 10], &["0 3 7 0,1", "0 4 settles 2", "0 6 settles 4", "0 8 settles 7"], &[(6, &[3]), (10, &[])]);
        // Each log ends by its own batches.
        let lines = ["0 3 7 0,1,2", "0 6 settles 5", "2 4 7 0,1,2", "2 5 settles 4"];
        check(&[10, 10, 10], &lines, &[(6, &[3]), (10, &[]), (5, &[4])]);
        let lines = ["0 3 7 0,1,2", "2 4 7 0,1,2", "2 5 settles 4"];
        check(&[10, 10, 10], &lines, &[(10, &[3]), (10, &[]), (5, &[4])]);
    }

    #[test]
    fn a_cut_takes_other_transactions_with_it() {
        // 7 lacks shard 1; cutting shard 0 at 4 halves 8, cutting shard 2 at 5 halves 9, cutting shard 1 at 7 nothing.
        let lines = [
            ["0 3 7 0,1", "0 4 settles 3", "0 5 8 0,2"],
            ["2 2 8 0,2", "2 5 settles 2", "2 6 9 1,2"],
            ["1 4 9 1,2", "1 7 settles 4", "1 8 5 1"],
            ["1 1 6 1,2", "2 1 6 1,2", "1 9 4 1"],
        ];
        check(&[10, 10, 10], lines.as_flattened(), &[(4, &[3]), (7, &[4]), (5, &[2])]);
        // Where nothing depends on what is halved, the fall stops.
        let lines = ["0 3 7 0,1", "0 4 settles 3", "0 5 8 0,2", "2 2 8 0,2", "2 6 9 1,2", "1 4 9 1,2"];
        check(&[10, 10, 10], &lines, &[(4, &[3]), (10, &[]), (10, &[2])]);
    }

    #[test]
    fn a_cut_takes_batches_away_that_settled_others() {
        // 8 would end shard 0 at 7, if 7 did not end it at 5 already: then nothing there depends on 8.
        let lines = ["0 3 7 0,1", "0 5 settles 3", "0 4 8 0,1", "0 7 settles 6", "0 6 9 0,2", "2 1 9 0,2"];
        check(&[10, 10, 10], &lines, &[(5, &[3, 4]), (10, &[]), (10, &[1])]);
    }

    #[test]
    fn a_batch_settles_nothing_of_another_incarnation() {
        let lines = ["0 3 7 0,1", "0 5 settles 4:2", "0 6 7 0,1:2", "1 2 7 0,1:2", "0 8 settles 7:2"];
        check(&[10, 10], &lines, &[(10, &[3]), (10, &[])]);
        let lines = ["0 3 7 0,1", "0 5 settles 4:2", "0 6 7 0,1:2", "0 8 settles 7:2"];
        check(&[10, 10], &lines, &[(8, &[3, 6]), (10, &[])]);
    }

    #[test]
    fn what_falls_settles_nothing_anew() {
        let lines = ["0 3 7 0", "0 5 settles 3", "0 6 8 0,1", "0 7 settles 2", "0 8 settles 6"];
        check(&[10, 10], &lines, &[(8, &[6]), (10, &[])]);
    }

    #[test]
    fn shards_that_cannot_be_are_refused() {
        let mut bytes = Vec::new();
        write_txn(&mut bytes, 1, &[0, 2], b"");
        let record = split_first(&mut &bytes[..], 1, 1).expect("a record");
        assert!(!Transactions::default().add(0, &record, 2));
    }
}
