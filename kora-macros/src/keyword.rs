//! `#[derive(Keyword)]`.
//!
//! Owns: the word of a variant and the items that go from word to variant and back. Start at [`expand`].

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Variant};

/// The derive's output, or an error that points at the item to change.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream, Error> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "Keyword stands on enums only"));
    };
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "Keyword needs at least one variant"));
    }
    let mut words = Vec::with_capacity(data.variants.len());
    let mut taken = HashMap::new();
    for variant in &data.variants {
        let word = word_of(variant)?;
        if let Some(earlier) = taken.insert(word.to_ascii_lowercase(), &variant.ident) {
            return Err(Error::new_spanned(&variant.ident, format!("`{word}` is the word of `{earlier}` already")));
        }
        words.push(word);
    }
    let name = &input.ident;
    let visibility = &input.vis;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    Ok(quote! {
        #[allow(dead_code)]
        impl #generics #name #arguments #bounds {
            /// Every variant, in order.
            #visibility const ALL: &'static [Self] = &[#(Self::#variants),*];

            /// The word of every variant, in the order of [`Self::ALL`].
            #visibility const NAMES: &'static [&'static str] = &[#(#words),*];

            /// The word as it is written on the wire.
            #visibility const fn as_str(&self) -> &'static str {
                match self {
                    #(Self::#variants => #words,)*
                }
            }

            /// The variant that `word` names, whatever its case.
            #visibility fn parse(word: &[u8]) -> ::core::option::Option<Self> {
                #(
                    if word.eq_ignore_ascii_case(#words.as_bytes()) {
                        return ::core::option::Option::Some(Self::#variants);
                    }
                )*
                ::core::option::Option::None
            }
        }
    })
}

/// The word that `#[keyword("…")]` gives, or the variant's name in kebab-case.
fn word_of(variant: &Variant) -> Result<String, Error> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new_spanned(variant, "a keyword has no fields"));
    }
    for attribute in &variant.attrs {
        if attribute.path().is_ident("keyword") {
            let word: LitStr = attribute.parse_args()?;
            if word.value().is_empty() {
                return Err(Error::new_spanned(word, "a keyword is not empty"));
            }
            return Ok(word.value());
        }
    }
    Ok(kebab_case(&variant.ident.to_string()))
}

/// `AllKeysLru` as `all-keys-lru`.
fn kebab_case(name: &str) -> String {
    let mut word = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}
