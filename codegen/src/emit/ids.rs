//! Emits `CommandId` and the resolution of names.
//!
//! Owns: the enum, its numbers, and the matches from words to ids. Refuses to know: arguments, replies.
//! Start at [`enumeration`] and [`resolve`].

use std::collections::BTreeMap;

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::model::{Row, Table};
use crate::names;

/// `CommandId` and its ways to and from numbers.
pub fn enumeration(table: &Table) -> TokenStream {
    let variants = table.rows.iter().map(|row| {
        let (ident, number) = (names::row_type(row), Literal::u16_unsuffixed(row.number));
        let doc = format!(" {}: {} `{}:{}`.", row.name.value, row.summary.value, table.file, row.line());
        quote!(#[doc = #doc] #ident = #number,)
    });
    let all: Vec<_> = table.rows.iter().map(names::row_type).collect();
    let count = Literal::usize_unsuffixed(table.rows.len());
    let highest = table.rows.iter().map(|row| row.number).max().unwrap_or(0);
    let mut places = vec![None; usize::from(highest) + 1];
    for (place, row) in table.rows.iter().enumerate() {
        places[usize::from(row.number)] = Some(place);
    }
    // No command has a retired number, so what stands there is never looked at.
    let infos: Vec<_> = places.iter().map(|place| Literal::usize_unsuffixed(place.unwrap_or(0))).collect();
    let places: Vec<_> =
        places.into_iter().map(|place| Literal::u16_unsuffixed(place.map_or(u16::MAX, |place| place as u16))).collect();
    let place_count = Literal::usize_unsuffixed(places.len());
    quote! {
        /// Every command. The number of a variant is frozen in docs/command-numbers.txt: it stands in frames and logs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum CommandId {
            #(#variants)*
        }

        impl CommandId {
            /// Every command, in table order.
            pub const ALL: [Self; #count] = [#(Self::#all),*];

            /// The command with a frozen number, if there is one.
            #[inline]
            pub fn from_number(number: u16) -> Option<Self> {
                let place = *PLACES.get(usize::from(number))?;
                Self::ALL.get(usize::from(place)).copied()
            }

            /// The frozen number.
            #[inline]
            pub fn number(self) -> u16 {
                self as u16
            }

            /// What the table says about the command.
            #[inline]
            pub fn info(self) -> &'static CommandInfo {
                BY_NUMBER[usize::from(self as u16)]
            }
        }

        /// Where a frozen number's command stands in the table; `u16::MAX` where it is retired.
        static PLACES: [u16; #place_count] = [#(#places),*];

        /// The entry of each frozen number.
        static BY_NUMBER: [&CommandInfo; #place_count] = [#(&INFO[#infos]),*];
    }
}

/// `resolve` and the functions it calls.
pub fn resolve(table: &Table) -> TokenStream {
    let containers = table.containers();
    let mut first_words: Vec<(&str, TokenStream)> = Vec::new();
    for row in &table.rows {
        if row.words().1.is_none() && !row.is_container {
            let ident = names::row_type(row);
            first_words.push((&row.name, quote!(Some(FirstWord::Command(CommandId::#ident)))));
        }
    }
    let mut functions = Vec::new();
    for (container, bare) in &containers {
        let function = names::ident(&format!("{}_subcommand", names::snake(container)));
        let lower = container.to_ascii_lowercase();
        let bare = match bare {
            Some(row) => {
                let ident = names::row_type(row);
                quote!(Some(CommandId::#ident))
            }
            None => quote!(None),
        };
        first_words.push((
            container,
            quote!(Some(FirstWord::Container(&Subcommands { container: #lower, bare: #bare, find: #function }))),
        ));
        let subcommands: Vec<_> = table
            .rows
            .iter()
            .filter_map(|row| Some((row, row.words().1?)).filter(|(row, _)| row.words().0 == *container))
            .map(|(row, sub)| (sub, some_id(row)))
            .collect();
        let body = word_match(&subcommands);
        let doc = format!(" The subcommands of {container}.");
        functions.push(quote! {
            #[doc = #doc]
            fn #function(word: &[u8]) -> Option<CommandId> {
                #body
            }
        });
    }
    let body = word_match(&first_words);
    quote! {
        /// Which command the words name. `words` begins with the name.
        #[inline]
        pub fn resolve(words: Argv<'_>) -> Resolved {
            finish_resolving(words, first_word)
        }

        /// What the first word of a request stands for.
        fn first_word(word: &[u8]) -> Option<FirstWord> {
            #body
        }

        #(#functions)*
    }
}

fn some_id(row: &Row) -> TokenStream {
    let ident = names::row_type(row);
    quote!(Some(CommandId::#ident))
}

/// A match on a word in any case: by length, then by the upper-cased bytes folded into one integer.
fn word_match(words: &[(&str, TokenStream)]) -> TokenStream {
    let mut by_length: BTreeMap<usize, Vec<(&str, &TokenStream)>> = BTreeMap::new();
    for (word, value) in words {
        by_length.entry(word.len()).or_default().push((word, value));
    }
    let arms = by_length.into_iter().map(|(length, mut words)| {
        words.sort_by_key(|(word, _)| *word);
        let length_literal = Literal::usize_unsuffixed(length);
        if length <= 16 {
            let fold = if length <= 8 { quote!(fold8) } else { quote!(fold16) };
            let arms = words.iter().map(|(word, value)| {
                let folded =
                    if length <= 8 { hexadecimal(u128::from(fold8(word)), 16) } else { hexadecimal(fold16(word), 32) };
                quote!(#folded => #value,)
            });
            quote! {
                #length_literal => match #fold::<#length_literal>(word) {
                    #(#arms)*
                    _ => None,
                },
            }
        } else {
            let arms = words.iter().map(|(word, value)| {
                let bytes = Literal::byte_string(word.as_bytes());
                quote!(if word.eq_ignore_ascii_case(#bytes) { #value })
            });
            quote! {
                #length_literal => #(#arms)else* else { None },
            }
        }
    });
    quote! {
        match word.len() {
            #(#arms)*
            _ => None,
        }
    }
}

fn hexadecimal(number: u128, digits: usize) -> Literal {
    format!("{number:#0width$x}", width = digits + 2).parse().expect("a hexadecimal number is a literal")
}

fn fold8(word: &str) -> u64 {
    let mut bytes = [0; 8];
    bytes[..word.len()].copy_from_slice(word.as_bytes());
    u64::from_le_bytes(bytes)
}

fn fold16(word: &str) -> u128 {
    let mut bytes = [0; 16];
    bytes[..word.len()].copy_from_slice(word.as_bytes());
    u128::from_le_bytes(bytes)
}
