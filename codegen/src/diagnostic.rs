//! What is wrong with a table, and where.
//!
//! Owns: positions, the text of a diagnostic, the list that all checks write to. Refuses to know: what is checked.
//! Start at [`Report`]: nothing stops at the first mistake, so that one build shows them all.

use std::fmt;

/// A place in a file; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it begins.
    pub at: At,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, at: At) -> Self {
        Self { value, at }
    }
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The file, as the caller of the generator named it.
    pub file: String,
    /// Where.
    pub at: At,
    /// What is wrong.
    pub message: String,
    /// How to put it right, where that is known.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: {}", self.file, self.at.line, self.at.column, self.message)?;
        match &self.help {
            Some(help) => write!(out, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Collects the mistakes of one file.
#[derive(Debug)]
pub struct Report {
    file: String,
    found: Vec<Diagnostic>,
}

impl Report {
    /// An empty report on `file`.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    /// Notes a mistake.
    pub fn error(&mut self, at: At, message: impl Into<String>) {
        self.found.push(Diagnostic { file: self.file.clone(), at, message: message.into(), help: None });
    }

    /// Notes a mistake and its remedy.
    pub fn error_with_help(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic { file: self.file.clone(), at, message: message.into(), help: Some(help.into()) });
    }

    /// True when nothing is wrong so far.
    pub fn is_clean(&self) -> bool {
        self.found.is_empty()
    }

    /// The mistakes in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort();
        self.found.dedup();
        self.found
    }
}

/// Turns byte offsets into lines and columns.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    /// The lines of `text`.
    pub fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The place of a byte offset.
    pub fn at(&self, offset: usize) -> At {
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        At { line: line as u32, column: column as u32 + 1 }
    }
}
