//! Where emitted statements stand in their row: what must follow, and which tokens may.
//!
//! Owns: the tail and the stops of a place. Refuses to know: the statements (`parse`, `value`, `choice`).

use crate::model::{Arg, Row, Shape, Table};

/// Where in a row the emitted statements stand.
#[derive(Debug, Clone)]
pub struct Context<'t> {
    /// The table.
    pub table: &'t Table,
    /// The row.
    pub row: &'t Row,
    /// The name of the type around the sequence.
    pub parent: String,
    /// The fewest words that must be left for what follows the sequence.
    pub tail: usize,
    /// Tokens that may follow the sequence.
    pub stops: Vec<String>,
    /// Also report where keys stand, to a variable `visit`.
    pub visit: bool,
}

impl<'t> Context<'t> {
    /// At the top of a row.
    pub fn of_row(table: &'t Table, row: &'t Row, name: &str) -> Self {
        Self { table, row, parent: name.to_owned(), tail: 0, stops: Vec::new(), visit: false }
    }

    /// The same place, reporting keys.
    pub fn visiting(self) -> Self {
        Self { visit: true, ..self }
    }

    /// Inside one of the arguments of this context's sequence (or of a choice).
    pub fn inside(&self, arg: &Arg, name: &str) -> Self {
        let place = self.after(self.siblings(arg), arg);
        Self { parent: name.to_owned(), ..place }
    }

    fn siblings(&self, arg: &Arg) -> &'t [Arg] {
        find_siblings(&self.row.args, arg).unwrap_or(&[])
    }

    /// What follows `arg` in its sequence.
    pub fn after(&self, sequence: &[Arg], arg: &Arg) -> Self {
        let mut place = self.clone();
        let Some(index) = sequence.iter().position(|candidate| std::ptr::eq(candidate, arg)) else { return place };
        let following = &sequence[index + 1..];
        place.tail += following.iter().map(Arg::min_words).sum::<usize>();
        let mut stops: Vec<String> = Vec::new();
        for next in following {
            stops.extend(next.first_tokens().into_iter().map(str::to_owned));
            if !next.optional && !next.any_order {
                place.stops = stops;
                return place;
            }
        }
        stops.append(&mut place.stops);
        place.stops = stops;
        place
    }
}

fn find_siblings<'t>(args: &'t [Arg], wanted: &Arg) -> Option<&'t [Arg]> {
    if args.iter().any(|arg| std::ptr::eq(arg, wanted)) {
        return Some(args);
    }
    args.iter().find_map(|arg| match &arg.shape {
        // Members of a choice do not follow each other.
        Shape::OneOf(variants) => variants.iter().find_map(|variant| {
            if std::ptr::eq(variant, wanted) {
                Some(std::slice::from_ref(variant))
            } else {
                find_siblings(std::slice::from_ref(variant), wanted)
            }
        }),
        _ => find_siblings(arg.children(), wanted),
    })
}
