//! Derives for hand-written types that the command table cannot see.
//!
//! Owns: `Keyword` (an enum that is a word on the wire) and `Counters` (a struct of `u64`s summed over shards).
//! Refuses to know: commands and their arguments; those come from `commands.toml` through `codegen`.
//!
//! Both derives emit inherent items only, with the visibility of the type they stand on, and borrow nothing but `core`.
//! Start at `keyword.rs`; `counters.rs` has the same shape.

mod counters;
mod keyword;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a fieldless enum a word on the wire.
///
/// A variant's word is its name in kebab-case (`AllKeysLru` is `all-keys-lru`) unless `#[keyword("…")]` says otherwise.
/// Emits:
///
/// - `const ALL: &'static [Self]`, the variants in order;
/// - `const NAMES: &'static [&'static str]`, their words in the same order;
/// - `const fn as_str(&self) -> &'static str`;
/// - `fn parse(word: &[u8]) -> Option<Self>`, which ignores ASCII case.
///
/// Two variants with the same word, and a variant with fields, do not compile.
#[proc_macro_derive(Keyword, attributes(keyword))]
pub fn derive_keyword(input: TokenStream) -> TokenStream {
    keyword::expand(&parse_macro_input!(input as DeriveInput)).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a struct of named `u64` fields a set of counters that each shard keeps and that readers sum.
///
/// Emits:
///
/// - `const NAMES: &'static [&'static str]`, the field names in order;
/// - `fn add(&mut self, other: &Self)`, field by field, saturating;
/// - `fn reset(&mut self)`, which sets every field to zero;
/// - `fn fields(&self) -> [(&'static str, u64); N]`;
/// - `fn from_fields(fields: impl IntoIterator<Item = (impl AsRef<str>, u64)>) -> Self`, the inverse: a name that is
///   given twice is summed, an absent one is zero, an unknown one is ignored (a peer of another version may count more
///   than we do).
///
/// A field of another type, and a struct without named fields, do not compile.
#[proc_macro_derive(Counters)]
pub fn derive_counters(input: TokenStream) -> TokenStream {
    counters::expand(&parse_macro_input!(input as DeriveInput)).unwrap_or_else(syn::Error::into_compile_error).into()
}
