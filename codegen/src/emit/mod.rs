//! From the checked table to Rust source.
//!
//! Owns: the order of what is emitted and its formatting. Refuses to know: TOML, files.
//! Start at [`source`].

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Table;
use crate::{Lanes, Options};

pub mod args;
pub mod client;
pub mod dispatch;
pub mod ids;
pub mod info;
pub mod parse;
pub mod traits;

/// All that the options ask for, formatted.
pub fn source(table: &Table, options: &Options) -> String {
    let root: TokenStream = options.root.parse().expect("the root of generated paths is a path");
    let args = args::module(table, &root);
    let items = match options.lanes {
        Lanes::Parsers => args,
        Lanes::All => {
            let parts = [
                ids::enumeration(table),
                ids::resolve(table),
                info::table(table),
                args,
                traits::traits(table),
                dispatch::functions(table),
                client::traits(table),
            ];
            quote!(#(#parts)*)
        }
    };
    format(&items)
}

/// Formats emitted items.
pub fn format(items: &TokenStream) -> String {
    match syn::parse2::<syn::File>(items.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("the generator emitted what is not Rust: {error}\n{items}"),
    }
}
