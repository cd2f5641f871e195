//! From the checked table to Rust source.
//!
//! Owns: the order of what is emitted and its formatting. Refuses to know: TOML, files.
//! Start at [`source`].

use proc_macro2::TokenStream;
use quote::quote;

use crate::keys::{self, Summary};
use crate::model::{Route, Row, Table};
use crate::names;
use crate::{Lanes, Options};

pub mod args;
pub mod choice;
pub mod client;
pub mod context;
pub mod dispatch;
pub mod ids;
pub mod info;
pub mod parse;
pub mod texts;
pub mod traits;
pub mod value;

/// All that the options ask for, formatted.
pub fn source(table: &Table, options: &Options) -> String {
    let root: TokenStream = options.root.parse().expect("the root of generated paths is a path");
    let args = args::module(table, &root);
    let items = match options.lanes {
        Lanes::Parsers => {
            let visitors = table
                .rows
                .iter()
                .filter(|row| row.args.iter().any(|arg| !keys::all_keys(arg).is_empty()))
                .map(|row| dispatch::key_visitor(table, row, &root));
            quote! {
                #args

                #[allow(unused_imports)]
                use #root::{argv::Argv, error::CommandError, table::Access};

                #(#visitors)*
            }
        }
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

/// All that one row emits, each piece in the item it is part of.
pub fn row(table: &Table, row: &Row) -> String {
    let id = names::row_type(row);
    let number = proc_macro2::Literal::u16_unsuffixed(row.number);
    let info = info::command_info(row);
    let args = (!row.args.is_empty()).then(|| {
        let items = args::row_items(table, row);
        quote!(pub mod args { #items })
    });
    let trait_ident = names::ident(&traits::trait_of(row));
    let method = traits::method(table, row);
    let arm = dispatch::arm(table, row);
    let dispatcher = if row.route.value == Route::Connection { quote!(dispatch_session) } else { quote!(dispatch) };
    let parsed = info::summary(row, &keys::groups(row)) == Summary::Parser;
    let visitor = parsed.then(|| dispatch::key_visitor(table, row, &quote!(crate)));
    let client = (row.route.value != Route::Connection).then(|| {
        let methods = client::methods(table, row, false);
        quote!(pub trait Client { #methods })
    });
    format(&quote! {
        pub enum CommandId {
            #id = #number,
        }

        pub static INFO: [CommandInfo; 1] = [#info];

        #args

        pub trait #trait_ident {
            #method
        }

        pub fn #dispatcher() {
            match id {
                #arm
            }
        }

        #visitor

        #client
    })
}

/// Formats emitted items.
pub fn format(items: &TokenStream) -> String {
    match syn::parse2::<syn::File>(items.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(error) => panic!("the generator emitted what is not Rust: {error}\n{items}"),
    }
}
