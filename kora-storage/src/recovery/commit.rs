//! Which transactions are whole.
//!
//! Owns: the rule that a transaction counts when every participant has its record, and what follows from one that does
//! not. Refuses to know: files. Start at [`Transactions::resolve`].

use crate::log::record::Record;

/// Records of transactions over several shards, from all logs.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    parts: Vec<Part>,
    /// The participants of all parts, one list behind the other.
    participants: Vec<u16>,
}

/// One record.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Incarnation and number.
    txn: (u64, u64),
    shard: u16,
    held: bool,
    lsn: u64,
    /// Where its participants are.
    participants: (usize, usize),
}

impl Transactions {
    /// Notes a record if it is part of a transaction; false when that names shards that cannot be.
    pub(super) fn add(&mut self, shard: u16, record: &Record<'_>, shards: usize) -> bool {
        let Some(txn) = record.txn else { return true };
        if txn.participants.iter().any(|participant| usize::from(participant) >= shards) {
            return false;
        }
        let start = self.participants.len();
        self.participants.extend(txn.participants.iter());
        let participants = (start, self.participants.len());
        self.parts.push(Part {
            txn: (record.incarnation, txn.id),
            shard,
            held: txn.held,
            lsn: record.lsn,
            participants,
        });
        true
    }

    /// Lowers the ends of the logs until no transaction before them is half there, but for records that are held.
    /// Returns each log's end and the held records before it that do not count.
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
            for part in groups[suspect].iter().filter(|part| !part.held) {
                let shard = usize::from(part.shard);
                ends[shard] = ends[shard].min(part.lsn);
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

    /// Records as `shard lsn txn participants`, held when the number of the transaction has an `h` behind it.
    fn check(ends: &[u64], records: &[&str], expected: &[(u64, &[u64])]) {
        let mut txns = Transactions::default();
        for line in records {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |word: &str| word.trim_end_matches('h').parse::<u64>().expect("a number");
            let participants: Vec<u16> = words[3].split(',').map(|word| number(word) as u16).collect();
            let mut bytes = Vec::new();
            write_txn(&mut bytes, number(words[2]), words[2].ends_with('h'), &participants, b"");
            let record = split_first(&mut &bytes[..], number(words[1]), 1).expect("a record");
            assert!(txns.add(number(words[0]) as u16, &record, ends.len()));
        }
        let outcome = txns.resolve(ends.to_vec());
        let expected: Vec<(u64, Vec<u64>)> = expected.iter().map(|(end, skipped)| (*end, skipped.to_vec())).collect();
        assert_eq!(outcome, expected, "{records:?}");
    }

    #[test]
    fn a_whole_transaction_counts() {
        check(&[10, 10], &["0 3 7 0,1", "1 9 7 0,1"], &[(10, &[]), (10, &[])]);
        check(&[10, 10], &["0 3 7 0"], &[(10, &[]), (10, &[])]);
    }

    #[test]
    fn half_a_transaction_cuts_its_log() {
        check(&[10, 10], &["0 3 7 0,1"], &[(3, &[]), (10, &[])]);
        check(&[10, 9], &["0 3 7 0,1", "1 9 7 0,1"], &[(3, &[]), (9, &[])]);
        // Only the part that may be left out alone is.
        check(&[10, 10, 10], &["0 3 7h 0,1,2", "2 4 7 0,1,2"], &[(10, &[3]), (10, &[]), (4, &[])]);
    }

    #[test]
    fn a_cut_takes_other_transactions_with_it() {
        // 7 lacks shard 1; cutting shard 0 at 3 halves 8, cutting shard 2 at 2 halves 9.
        let records = ["0 3 7 0,1", "0 5 8 0,2", "2 2 8 0,2", "2 6 9 1,2", "1 4 9 1,2", "1 1 6 1,2", "2 1 6 1,2"];
        check(&[10, 10, 10], &records, &[(3, &[]), (4, &[]), (2, &[])]);
        // What is held stops the fall.
        let records = ["0 3 7h 0,1", "0 5 8 0,2", "2 2 8 0,2"];
        check(&[10, 10, 10], &records, &[(10, &[3]), (10, &[]), (10, &[])]);
        // A held part before the cut is left out, one behind it is gone anyway.
        let records = ["0 3 7 0,1", "0 2 8h 0,2", "2 2 8h 0,2", "0 5 9h 0,2", "2 4 9h 0,2"];
        check(&[10, 10, 10], &records, &[(3, &[]), (10, &[]), (10, &[4])]);
    }

    #[test]
    fn shards_that_cannot_be_are_refused() {
        let mut bytes = Vec::new();
        write_txn(&mut bytes, 1, false, &[0, 2], b"");
        let record = split_first(&mut &bytes[..], 1, 1).expect("a record");
        assert!(!Transactions::default().add(0, &record, 2));
    }
}
