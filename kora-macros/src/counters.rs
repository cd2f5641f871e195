//! `#[derive(Counters)]`.
//!
//! Owns: the items that sum, clear, list and rebuild a struct of `u64`s. Start at [`expand`].

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Type};

/// The derive's output, or an error that points at the item to change.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream, Error> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Counters stands on structs only"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(&input.ident, "Counters needs named fields"));
    };
    let mut names = Vec::with_capacity(fields.named.len());
    for field in &fields.named {
        let is_u64 = matches!(&field.ty, Type::Path(path) if path.path.is_ident("u64"));
        if !is_u64 {
            return Err(Error::new_spanned(&field.ty, "a counter is a u64"));
        }
        names.extend(&field.ident);
    }
    let name = &input.ident;
    let visibility = &input.vis;
    let count = names.len();
    let texts: Vec<_> = names.iter().map(|name| name.to_string().trim_start_matches("r#").to_owned()).collect();
    Ok(quote! {
        #[allow(dead_code)]
        impl #name {
            /// The name of every counter, in order.
            #visibility const NAMES: &'static [&'static str] = &[#(#texts),*];

            /// Adds every counter of `other` to ours.
            #visibility fn add(&mut self, other: &Self) {
                #(self.#names = self.#names.saturating_add(other.#names);)*
            }

            /// Sets every counter to zero.
            #visibility fn reset(&mut self) {
                #(self.#names = 0;)*
            }

            /// Every counter with its name, in order.
            #visibility fn fields(&self) -> [(&'static str, u64); #count] {
                [#((#texts, self.#names)),*]
            }

            /// The counters of a list of names and values: repeated names are summed, absent ones zero, unknown ones
            /// ignored.
            #visibility fn from_fields(
                fields: impl ::core::iter::IntoIterator<Item = (impl ::core::convert::AsRef<str>, u64)>,
            ) -> Self {
                let mut counters = Self { #(#names: 0),* };
                for (name, value) in fields {
                    match name.as_ref() {
                        #(#texts => counters.#names = counters.#names.saturating_add(value),)*
                        _ => {}
                    }
                }
                counters
            }
        }
    })
}
