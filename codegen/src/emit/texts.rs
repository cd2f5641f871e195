//! Emits the errors whose texts the table gives.
//!
//! Owns: the two blanks of such a text, `{command}` (the row's name, filled in here) and `{}` (the word as it was sent).
//! Refuses to know: when an error occurs.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Row;

/// The blank for the word as it was sent.
pub const WORD: &str = "{}";
/// The blank for the row's name in lower case.
pub const COMMAND: &str = "{command}";

/// The text with the row's name filled in.
pub fn filled(text: &str, row: &Row) -> String {
    text.replace(COMMAND, &row.lower())
}

/// An expression of the error; `word` is one of the word it is about.
pub fn error(text: &str, row: &Row, word: &TokenStream) -> TokenStream {
    let text = filled(text, row);
    match text.split_once(WORD) {
        Some((before, after)) => quote!(CommandError::with_word(#before, #word, #after)),
        None => quote!(CommandError::Text(#text)),
    }
}

/// An adapter for a `Result`: an error of a value that is there becomes this text, a missing word stays a syntax error.
pub fn or_text(text: &str, row: &Row) -> TokenStream {
    if text.contains(WORD) {
        let error = error(text, row, &quote!(reader.last_word()));
        quote!(.map_err(|error| error.or_else(|| #error)))
    } else {
        let text = filled(text, row);
        quote!(.map_err(|error| error.or_text(#text)))
    }
}
