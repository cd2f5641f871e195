//! Emits the statements that read words: sequences, and runs of options in any order.
//!
//! Owns: with `value` and `choice`, the grammar's meaning as docs/command-table.md words it. Refuses to know: which types hold
//! the values (`args`). Start at [`sequence`]. Emitted statements read from a variable `reader` and bind one variable per argument.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::args::{is_required, value_type};
use super::choice::has_agrees;
use super::context::Context;
use super::texts;
use super::value::value;
use crate::model::{Arg, Shape};
use crate::{keys, names};

/// Statements that bind every argument of a sequence.
pub fn sequence(args: &[Arg], context: &Context<'_>) -> TokenStream {
    let mut statements = TokenStream::new();
    let mut rest = args;
    while let Some((first, others)) = rest.split_first() {
        let run = rest.iter().take_while(|arg| arg.in_run()).count();
        if run > 0 {
            statements.extend(options(&rest[..run], args, context));
            rest = &rest[run..];
        } else {
            statements.extend(single(first, args, context));
            rest = others;
        }
    }
    statements
}

/// One argument in its place.
fn single(arg: &Arg, args: &[Arg], context: &Context<'_>) -> TokenStream {
    let field = names::field(arg);
    let place = context.after(args, arg);
    let token = arg.token.as_ref().map(|token| {
        let token = &token.value;
        match &arg.errors.missing {
            None => quote!(reader.expect_token(#token)?;),
            Some(text) => {
                let error = texts::error(text, context.row, &quote!(reader.peek().unwrap_or_default()));
                quote!(reader.expect_token(#token).map_err(|_| #error)?;)
            }
        }
    });
    let value = value(arg, &place);
    if !arg.optional {
        return quote! {
            #token
            let #field = #value;
        };
    }
    // Optional and not told by a token: it is there when more words are left than what follows needs.
    let tail = Literal::usize_unsuffixed(place.tail);
    let stops = &place.stops;
    let mut there = quote!(reader.remaining() > #tail);
    if !stops.is_empty() {
        there = quote!(#there && !reader.at_any(&[#(#stops),*]));
    }
    if arg.multiple {
        return quote!(let #field = if #there { #value } else { Many::none() };);
    }
    quote!(let #field = if #there { Some(#value) } else { None };)
}

/// A run of options in any order.
fn options(run: &[Arg], args: &[Arg], context: &Context<'_>) -> TokenStream {
    let variables = run.iter().map(|arg| {
        let field = names::field(arg);
        if arg.is_flag() {
            quote!(let mut #field = false;)
        } else if arg.token_each {
            quote!(let mut #field = argv::Scatter::new();)
        } else if arg.multiple {
            quote!(let mut #field = Many::none();)
        } else {
            quote!(let mut #field = None;)
        }
    });
    let arms = run.iter().map(|arg| option_arm(arg, args, context));
    let skips = run.iter().filter(|arg| arg.token_each).map(|arg| skip_function(arg, run, args, context));
    let after = run.iter().map(|arg| {
        let field = names::field(arg);
        if arg.token_each {
            let token = arg.token.as_ref().map_or("", |token| &token.value);
            let skip = names::ident(&format!("skip_to_{}", names::snake(&arg.name)));
            let ty = value_type(&context.parent, arg, &quote!('_));
            quote!(let #field: Many<'_, #ty> = #field.finish(reader, #token, #skip);)
        } else if is_required(arg) && !arg.multiple {
            let missing = match &arg.errors.missing {
                Some(text) => texts::error(text, context.row, &quote!(reader.peek().unwrap_or_default())),
                None => quote!(CommandError::Syntax),
            };
            quote!(let #field = #field.ok_or(#missing)?;)
        } else {
            quote!()
        }
    });
    quote! {
        #(#variables)*
        #(#skips)*
        while reader.remaining() > 0 {
            #(#arms)else* else {
                break;
            }
        }
        #(#after)*
    }
}

/// `if this option is next { take it }`.
fn option_arm(arg: &Arg, args: &[Arg], context: &Context<'_>) -> TokenStream {
    let field = names::field(arg);
    let place = context.after(args, arg);
    let conflict = |call: TokenStream| match &arg.errors.conflict {
        Some(text) => {
            let error = texts::error(text, context.row, &quote!(reader.last_word()));
            quote!(#call.map_err(|_| #error)?;)
        }
        None => quote!(#call?;),
    };
    // Where the row words its own error for what is no option, an option without its value is none.
    let words = Literal::usize_unsuffixed(arg.value_words());
    let enough =
        (context.row.option_error.is_some() && arg.value_words() > 1).then(|| quote!(reader.remaining() >= #words &&));
    let repeatable = arg.repeatable == Some(true) || arg.last_wins;
    let name = if field == "value" { names::ident("found") } else { names::ident("value") };
    if let Some(token) = &arg.token {
        let token = &token.value;
        if arg.is_flag() && arg.repeatable == Some(false) {
            let call = conflict(quote!(argv::set_flag_once(&mut #field)));
            return quote!(if reader.take_token(#token) { #call });
        }
        if arg.is_flag() {
            return quote!(if reader.take_token(#token) { #field = true; });
        }
        let value = value(arg, &place);
        let store = if arg.token_each {
            quote! {
                let start = reader.position() - 1;
                let _ = #value;
                #field.note(start, reader.position());
            }
        } else if arg.multiple && repeatable {
            quote!(#field = #value;)
        } else if arg.multiple {
            let once = (!repeatable).then(|| nothing_yet(arg));
            quote! {
                #once
                #field = #value;
            }
        } else if repeatable {
            quote!(#field = Some(#value);)
        } else {
            conflict(quote!(argv::set_once(&mut #field, #value)))
        };
        return quote!(if #enough reader.take_token(#token) { #store });
    }
    let reports_keys = context.visit && !keys::all_keys(arg).is_empty();
    if matches!(arg.shape, Shape::OneOf(_)) && !arg.multiple && !reports_keys {
        let ty = names::ident(&names::arg_type(&context.parent, arg));
        let store = if has_agrees(arg) {
            conflict(quote!(argv::set_choice(&mut #field, #name, #ty::agrees)))
        } else {
            quote!(#field = Some(#name);)
        };
        return quote!(if let Some(#name) = #ty::take(reader)? { #store });
    }
    let tokens = arg.first_tokens();
    let value = value(arg, &place);
    let store = if arg.multiple {
        let once = (!repeatable).then(|| nothing_yet(arg));
        quote! {
            #once
            #field = #value;
        }
    } else if repeatable {
        quote!(#field = Some(#value);)
    } else {
        conflict(quote!(argv::set_once(&mut #field, #value)))
    };
    quote!(if #enough reader.at_any(&[#(#tokens),*]) { #store })
}

/// A check that a repeated option was not given before.
fn nothing_yet(arg: &Arg) -> TokenStream {
    let field = names::field(arg);
    quote! {
        if !#field.is_empty() {
            return Err(CommandError::Syntax);
        }
    }
}

/// A function that passes over one option of the run that is not `arg`.
fn skip_function(arg: &Arg, run: &[Arg], args: &[Arg], context: &Context<'_>) -> TokenStream {
    let name = names::ident(&format!("skip_to_{}", names::snake(&arg.name)));
    let context = Context { visit: false, ..context.clone() };
    let arms = run.iter().filter(|other| !std::ptr::eq(*other, arg)).map(|other| {
        let place = context.after(args, other);
        let condition = match &other.token {
            Some(token) => {
                let token = &token.value;
                quote!(reader.take_token(#token))
            }
            None => {
                let tokens = other.first_tokens();
                quote!(reader.at_any(&[#(#tokens),*]))
            }
        };
        if other.is_flag() {
            return quote!(if #condition { return Ok(()); });
        }
        let value = value(other, &place);
        quote! {
            if #condition {
                let _ = #value;
                return Ok(());
            }
        }
    });
    quote! {
        fn #name(reader: &mut ArgReader<'_>) -> Result<(), CommandError> {
            #(#arms)*
            Err(CommandError::Syntax)
        }
    }
}
