//! Emits what reads a choice: `take` for the members told by tokens, `agrees` for choices made twice, the body of `parse`.
//!
//! Owns: how members are told apart. Refuses to know: what a member's value is (`value`).
//! Start at [`choice`].

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::context::Context;
use super::texts;
use super::value::value;
use crate::model::Arg;
use crate::names;

/// True when the choice stands among options, where it may be made twice by mistake.
pub fn has_agrees(arg: &Arg) -> bool {
    arg.in_run() && arg.token.is_none() && !arg.last_wins && !arg.multiple
}

/// What a choice consists of in Rust.
#[derive(Debug)]
pub struct Choice {
    /// `take` and `agrees`.
    pub methods: TokenStream,
    /// The body of `parse`.
    pub parse: TokenStream,
}

/// The reading part of a choice.
pub fn choice(arg: &Arg, variants: &[Arg], context: &Context<'_>) -> Choice {
    let ident = names::ident(&context.parent);
    let borrowing = variants.iter().any(super::args::borrows);
    let lifetime = if borrowing { quote!('a) } else { quote!('_) };
    let (fallback, told): (Vec<&Arg>, Vec<&Arg>) = variants.iter().partition(|variant| !variant.starts_with_token());
    // With a fallback, a token counts only when what it needs follows; otherwise the word is the fallback's.
    let look_ahead = !fallback.is_empty() || context.row.option_error.is_some();
    let arms = told.iter().map(|variant| {
        let variant_ident = names::variant(variant);
        let words = variant.min_words();
        let words_literal = Literal::usize_unsuffixed(words);
        let enough = (look_ahead && words > 1).then(|| quote!(reader.remaining() >= #words_literal &&));
        let condition = match &variant.token {
            Some(token) => {
                let token = &token.value;
                quote!(#enough reader.take_token(#token))
            }
            None => {
                let tokens = variant.first_tokens();
                quote!(#enough reader.at_any(&[#(#tokens),*]))
            }
        };
        if variant.is_flag() {
            return quote!(if #condition { Self::#variant_ident });
        }
        let value = value(variant, context);
        quote!(if #condition { Self::#variant_ident(#value) })
    });
    let take = quote! {
        /// Reads it if one of its tokens is next.
        pub fn take(reader: &mut ArgReader<#lifetime>) -> Result<Option<Self>, CommandError> {
            let value = #(#arms)else* else {
                return Ok(None);
            };
            Ok(Some(value))
        }
    };
    let agrees = has_agrees(arg).then(|| {
        let again = |variant: &&Arg| {
            let repeatable = variant.repeatable.or(arg.repeatable);
            repeatable == Some(true) || (variant.is_flag() && repeatable.is_none())
        };
        let pairs = variants.iter().filter(again).map(|variant| {
            let variant_ident = names::variant(variant);
            let rest = if variant.is_flag() { quote!() } else { quote!((_)) };
            quote!((Self::#variant_ident #rest, Self::#variant_ident #rest))
        });
        let pairs: Vec<_> = pairs.collect();
        let body = if pairs.is_empty() { quote!(false) } else { quote!(matches!((earlier, later), #(#pairs)|*)) };
        let (earlier, later) =
            if pairs.is_empty() { (quote!(_earlier), quote!(_later)) } else { (quote!(earlier), quote!(later)) };
        quote! {
            /// True when `later` may stand after `earlier` in one command.
            pub fn agrees(#earlier: &Self, #later: &Self) -> bool {
                #body
            }
        }
    });
    let none = match &arg.error {
        Some(text) => {
            let error = texts::error(text, context.row, &quote!(word));
            let pattern = if text.contains(texts::WORD) { quote!(word) } else { quote!(_) };
            quote!(match reader.peek() {
                Some(#pattern) => Err(#error),
                None => Err(CommandError::Syntax),
            })
        }
        None => quote!(Err(CommandError::Syntax)),
    };
    let parse = match (fallback.first(), told.is_empty()) {
        (None, _) => quote! {
            match Self::take(reader)? {
                Some(value) => Ok(value),
                None => #none,
            }
        },
        (Some(last), false) => {
            let variant_ident = names::variant(last);
            let value = value(last, context);
            quote! {
                match Self::take(reader)? {
                    Some(value) => Ok(value),
                    None => Ok(Self::#variant_ident(#value)),
                }
            }
        }
        (Some(last), true) => {
            let variant_ident = names::variant(last);
            let value = value(last, context);
            quote!(Ok(Self::#variant_ident(#value)))
        }
    };
    let methods = if told.is_empty() { quote!() } else { take };
    let methods = if borrowing {
        quote!(impl<'a> #ident<'a> { #methods #agrees })
    } else {
        quote!(impl #ident { #methods #agrees })
    };
    Choice { methods, parse }
}
