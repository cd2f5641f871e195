//! Emits the statements that read words: sequences, runs of options in any order, choices, repetitions.
//!
//! Owns: the grammar's meaning, as docs/command-table.md words it. Refuses to know: which types hold the values (`args`).
//! Start at [`sequence`]. Emitted statements read from a variable `reader` and bind one variable per argument.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::args::{is_required, value_type};
use super::texts;
use crate::model::{Arg, Row, Shape, Table, Type};
use crate::{keys, names};

/// Where in a row the emitted statements stand.
#[derive(Debug, Clone)]
pub struct Context<'t> {
    /// The table.
    pub table: &'t Table,
    /// The row.
    pub row: &'t Row,
    /// The name of the type around the sequence.
    pub parent: String,
    /// The fewest words that must be left for what follows the sequence.
    pub tail: usize,
    /// Tokens that may follow the sequence.
    pub stops: Vec<String>,
    /// Also report where keys stand, to a variable `visit`.
    pub visit: bool,
}

impl<'t> Context<'t> {
    /// At the top of a row.
    pub fn of_row(table: &'t Table, row: &'t Row, name: &str) -> Self {
        Self { table, row, parent: name.to_owned(), tail: 0, stops: Vec::new(), visit: false }
    }

    /// The same place, reporting keys.
    pub fn visiting(self) -> Self {
        Self { visit: true, ..self }
    }

    /// Inside one of the arguments of this context's sequence (or of a choice).
    pub fn inside(&self, arg: &Arg, name: &str) -> Self {
        let place = self.after(self.siblings(arg), arg);
        Self { parent: name.to_owned(), ..place }
    }

    fn siblings(&self, arg: &Arg) -> &'t [Arg] {
        find_siblings(&self.row.args, arg).unwrap_or(&[])
    }

    /// What follows `arg` in its sequence.
    fn after(&self, sequence: &[Arg], arg: &Arg) -> Self {
        let mut place = self.clone();
        let Some(index) = sequence.iter().position(|candidate| std::ptr::eq(candidate, arg)) else { return place };
        let following = &sequence[index + 1..];
        place.tail += following.iter().map(Arg::min_words).sum::<usize>();
        let mut stops: Vec<String> = Vec::new();
        for next in following {
            stops.extend(next.first_tokens().into_iter().map(str::to_owned));
            if !next.optional && !next.any_order {
                place.stops = stops;
                return place;
            }
        }
        stops.append(&mut place.stops);
        place.stops = stops;
        place
    }
}

fn find_siblings<'t>(args: &'t [Arg], wanted: &Arg) -> Option<&'t [Arg]> {
    if args.iter().any(|arg| std::ptr::eq(arg, wanted)) {
        return Some(args);
    }
    args.iter().find_map(|arg| match &arg.shape {
        // Members of a choice do not follow each other.
        Shape::OneOf(variants) => variants.iter().find_map(|variant| {
            if std::ptr::eq(variant, wanted) {
                Some(std::slice::from_ref(variant))
            } else {
                find_siblings(std::slice::from_ref(variant), wanted)
            }
        }),
        _ => find_siblings(arg.children(), wanted),
    })
}

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

/// An expression that reads the value or values of an argument, its token being taken already.
fn value(arg: &Arg, place: &Context<'_>) -> TokenStream {
    let reports_keys = place.visit && !keys::all_keys(arg).is_empty();
    if reports_keys {
        return visiting_value(arg, place);
    }
    if arg.multiple && !arg.token_each { many(arg, place) } else { one(arg, place) }
}

/// An expression that reads one value.
fn one(arg: &Arg, place: &Context<'_>) -> TokenStream {
    let read = match &arg.shape {
        Shape::Scalar(scalar) => match scalar {
            Type::Key | Type::String | Type::Pattern | Type::Decimal => return quote!(reader.next_bytes()?),
            Type::Integer | Type::Seconds | Type::Milliseconds | Type::UnixSeconds | Type::UnixMilliseconds => {
                quote!(reader.next_i64())
            }
            Type::Double => quote!(reader.next_f64()),
            Type::Flag => return quote!(true),
            Type::Unsigned => quote!(<u64 as Parse>::parse(reader)),
            Type::Cursor => quote!(Cursor::parse(reader)),
            Type::ScoreBound => quote!(ScoreBound::parse(reader)),
            Type::LexBound => quote!(LexBound::parse(reader)),
            Type::StreamId => quote!(StreamIdArg::parse(reader)),
        },
        _ => {
            let ty = names::ident(&names::arg_type(&place.parent, arg));
            return quote!(#ty::parse(reader)?);
        }
    };
    let mut read = if arg.late {
        let reading = match &arg.shape {
            Shape::Scalar(Type::Unsigned) => quote!(<u64 as Parse>::parse),
            Shape::Scalar(Type::Double) => quote!(ArgReader::next_f64),
            Shape::Scalar(Type::Cursor) => quote!(Cursor::parse),
            Shape::Scalar(Type::ScoreBound) => quote!(ScoreBound::parse),
            Shape::Scalar(Type::LexBound) => quote!(LexBound::parse),
            _ => quote!(ArgReader::next_i64),
        };
        let error = late_error(arg, place.row);
        quote!(reader.late(#reading, || #error))
    } else {
        or_text(read, arg, place.row)
    };
    if let Some(min) = arg.min {
        let min = Literal::i64_unsuffixed(min);
        let below = match arg.errors.min.as_ref().or(arg.error.as_ref()) {
            Some(text) => texts::error(text, place.row, &quote!(reader.last_word())),
            None => quote!(CommandError::NotPositive),
        };
        read = quote!(#read.and_then(|number| if number < #min { Err(#below) } else { Ok(number) }));
    }
    quote!(#read?)
}

/// Replaces the error of a value that is there but wrong.
fn or_text(read: TokenStream, arg: &Arg, row: &Row) -> TokenStream {
    let text = arg.error.as_ref().map(|text| texts::or_text(text, row));
    quote!(#read #text)
}

/// The error of a value that is judged late.
fn late_error(arg: &Arg, row: &Row) -> TokenStream {
    if let Some(text) = &arg.error {
        return texts::error(text, row, &quote!(b""));
    }
    let variant = names::ident(match &arg.shape {
        Shape::Scalar(Type::Unsigned) => "NotPositive",
        Shape::Scalar(Type::Double) => "NotAFloat",
        Shape::Scalar(Type::Cursor) => "InvalidCursor",
        Shape::Scalar(Type::ScoreBound) => "MinMaxNotAFloat",
        Shape::Scalar(Type::LexBound) => "MinMaxNotALexBound",
        _ => "NotAnInteger",
    });
    quote!(CommandError::#variant)
}

/// An expression that reads all values of a repeated argument.
fn many(arg: &Arg, place: &Context<'_>) -> TokenStream {
    let lifetime = quote!('_);
    let ty = value_type(&place.parent, arg, &lifetime);
    let tail = Literal::usize_unsuffixed(place.tail);
    let token = usize::from(arg.token.is_some());
    let width = arg.fixed_value_words().map(|words| words - token);
    if arg.counted {
        let rules = count_rules(arg, place.row, place.tail, width.unwrap_or(1));
        let read = or_text(quote!(Many::<#ty>::parse_count(reader, count)), arg, place.row);
        return quote!({
            let count = reader.next_count(&#rules)?;
            #read?
        });
    }
    if let Some(other) = &arg.as_many_as {
        let other = names::ident(&names::snake(&other.value));
        let read = or_text(quote!(Many::<#ty>::parse_count(reader, #other.len())), arg, place.row);
        return quote!(#read?);
    }
    let stops = &place.stops;
    let first = if arg.token.is_some() { Vec::new() } else { arg.first_tokens() };
    if let (true, Some(width), true) = (stops.is_empty(), width, first.is_empty()) {
        let count = if width == 1 {
            if place.tail == 0 { quote!(reader.remaining()) } else { quote!(reader.remaining().saturating_sub(#tail)) }
        } else {
            let odd = odd_error(arg, place.row);
            let width = Literal::usize_unsuffixed(width);
            quote!(reader.groups_of(#width, #tail).ok_or(#odd)?)
        };
        let read = or_text(quote!(Many::<#ty>::parse_count(reader, count)), arg, place.row);
        let at_least_one = (!arg.optional || token == 1).then(|| {
            quote! {
                if count == 0 {
                    return Err(CommandError::Syntax);
                }
            }
        });
        return quote!({
            let count = #count;
            #at_least_one
            #read?
        });
    }
    let more = if !first.is_empty() {
        quote!(reader.at_any(&[#(#first),*]))
    } else if stops.is_empty() {
        quote!(reader.remaining() > #tail)
    } else {
        quote!(reader.remaining() > #tail && !reader.at_any(&[#(#stops),*]))
    };
    let read = or_text(quote!(Many::<#ty>::parse_while(reader, |reader| #more)), arg, place.row);
    if arg.optional && token == 0 {
        return quote!(#read?);
    }
    quote!({
        let values = #read?;
        if values.is_empty() {
            return Err(CommandError::Syntax);
        }
        values
    })
}

fn odd_error(arg: &Arg, row: &Row) -> TokenStream {
    match arg.errors.odd.as_deref() {
        None => quote!(CommandError::Syntax),
        Some("arity") => {
            let lower = row.lower();
            quote!(CommandError::WrongArity(#lower))
        }
        Some(text) => texts::error(text, row, &quote!(reader.last_word())),
    }
}

fn count_rules(arg: &Arg, row: &Row, tail: usize, width: usize) -> TokenStream {
    let min = Literal::i64_unsuffixed(i64::from(arg.count_min));
    let (tail, width) = (Literal::usize_unsuffixed(tail), Literal::usize_unsuffixed(width));
    let option = |text: &Option<String>| match text {
        Some(text) => {
            let text = texts::filled(text, row);
            quote!(Some(#text))
        }
        None => quote!(None),
    };
    let zero = texts::filled(arg.errors.zero.as_deref().unwrap_or("ERR numkeys should be greater than 0"), row);
    let (many, integer) = (option(&arg.errors.many), option(&arg.errors.integer));
    quote!(argv::CountRules { min: #min, width: #width, tail: #tail, zero: #zero, many: #many, integer: #integer })
}

/// The body of `parse` of a split: two halves of what is left.
pub fn split(arg: &Arg, halves: &[Arg], context: &Context<'_>) -> TokenStream {
    let odd = odd_error(arg, context.row);
    let fields: Vec<_> = halves.iter().map(names::field).collect();
    quote! {
        let half = reader.half().ok_or(#odd)?;
        #(let #fields = Many::parse_count(reader, half)?;)*
        Ok(Self { #(#fields),* })
    }
}

/// True when the choice stands among options, where it may be made twice by mistake.
fn has_agrees(arg: &Arg) -> bool {
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

/// As [`value`], reporting keys to `visit` on the way.
fn visiting_value(arg: &Arg, place: &Context<'_>) -> TokenStream {
    if arg.is_key() {
        let access = super::info::access(keys::access(place.row, arg));
        if arg.multiple && !arg.token_each {
            let values = many(arg, place);
            return quote!({
                let values = #values;
                for index in reader.position() - values.len()..reader.position() {
                    visit(index, #access);
                }
                values
            });
        }
        let mut report = quote!(visit(index, #access););
        if arg.empty_is_none {
            report = quote!(if !word.is_empty() { #report });
        }
        return quote!({
            let index = reader.position();
            let word = reader.next_bytes()?;
            #report
            word
        });
    }
    if let Shape::RestSplit(halves) = &arg.shape {
        let accesses: Vec<_> = halves
            .iter()
            .enumerate()
            .filter(|(_, half)| half.is_key())
            .map(|(index, half)| (index, super::info::access(keys::access(place.row, half))))
            .map(|(index, access)| {
                quote! {
                    for index in start + #index * half..start + (#index + 1) * half {
                        visit(index, #access);
                    }
                }
            })
            .collect();
        let plain = one(arg, place);
        return quote!({
            let start = reader.position();
            let half = reader.remaining() / 2;
            let value = #plain;
            #(#accesses)*
            value
        });
    }
    // A block or choice with keys inside: read where it stands, its parts bound in a scope of their own.
    let inside = place.inside(arg, &names::arg_type(&place.parent, arg)).visiting();
    let body = match &arg.shape {
        Shape::OneOf(variants) => {
            let arms = variants.iter().map(|variant| {
                let tokens = variant.first_tokens();
                let condition = if tokens.is_empty() { quote!(true) } else { quote!(reader.at_any(&[#(#tokens),*])) };
                let part = sequence(std::slice::from_ref(variant), &inside);
                quote!(if #condition { #part })
            });
            quote!(#(#arms)else* else { return Err(CommandError::Syntax); })
        }
        _ => sequence(arg.children(), &inside),
    };
    if !arg.multiple {
        return quote!({ #body });
    }
    let plain = many(arg, place);
    quote!({
        let start = reader.position();
        let values = #plain;
        let end = reader.position();
        reader.seek(start);
        while reader.position() < end {
            #body
        }
        values
    })
}
