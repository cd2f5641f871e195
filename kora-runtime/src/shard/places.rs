//! The keys of a command, each with the database it is meant in.
//!
//! Owns: which commands name a second database, and which of their keys is meant there. Refuses to know: where keys live.
//! Start at [`places`].
//!
//! Every other command means all its keys in the selected database, so its row says enough.

use crate::argv::Argv;
use crate::error::CommandError;
use crate::keyspace::DATABASES;
use crate::table::{self, Access, CommandId, args};

/// A key of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The database it is meant in.
    pub db: u8,
    /// Which of the command's words it is.
    pub index: usize,
    /// What is done to it.
    pub access: Access,
}

/// Visits the keys of a command that runs with `db` selected.
///
/// # Errors
/// When the arguments do not parse or name a database that there is not; the handler then has the same to say before it looks at a key.
pub fn places(id: CommandId, argv: Argv<'_>, db: u8, visit: &mut dyn FnMut(Place)) -> Result<(), CommandError> {
    let other = match id {
        CommandId::Copy => args::Copy::parse(argv)?.database.map_or(Ok(db), database_number)?,
        CommandId::Move => {
            let to = database_number(args::Move::parse(argv)?.database)?;
            // Its one key is taken from one place and put into the other.
            visit(Place { db: to, index: 0, access: Access::Write });
            db
        }
        _ => db,
    };
    table::keys(id, argv, &mut |index, access| {
        // COPY only reads its source, and changes nothing but its destination.
        let db = if access == Access::Write { other } else { db };
        visit(Place { db, index, access });
    })
}

/// A database that a client named.
pub fn database_number(number: i64) -> Result<u8, CommandError> {
    u8::try_from(number).ok().filter(|db| usize::from(*db) < DATABASES).ok_or(CommandError::DbIndexOutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argv::ArgvBuf;
    use crate::table::{Resolved, resolve};

    /// The places as `db word access`, with database 1 selected.
    fn check(command: &str, expected: Result<&[&str], CommandError>) {
        let mut words = ArgvBuf::new();
        command.split(' ').for_each(|word| words.push(word.as_bytes()));
        let Resolved::Command { id, words: name_words } = resolve(words.as_argv()) else { panic!("{command}") };
        let argv = words.as_argv().range(name_words, words.as_argv().len());
        let mut found = Vec::new();
        let outcome = places(id, argv, 1, &mut |place| {
            let word = String::from_utf8_lossy(argv.get(place.index).expect("a word of the command"));
            found.push(format!("{} {word} {:?}", place.db, place.access));
        });
        assert_eq!(
            outcome.map(|()| found),
            expected.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect())
        );
    }

    #[test]
    fn only_copy_and_move_mean_a_second_database() {
        check("MSETNX a 1 b 2", Ok(&["1 a Write", "1 b Write"]));
        check("COPY a b", Ok(&["1 a Read", "1 b Write"]));
        check("COPY a b DB 3 REPLACE", Ok(&["1 a Read", "3 b Write"]));
        check("COPY a b DB 16", Err(CommandError::DbIndexOutOfRange));
        check("MOVE a 3", Ok(&["3 a Write", "1 a Write"]));
        check("MOVE a -1", Err(CommandError::DbIndexOutOfRange));
        check("MOVE a x", Err(CommandError::NotAnInteger));
    }
}
