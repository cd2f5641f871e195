//! Emits the expressions that read values: one, many, counted, two halves; with or without telling where keys stand.
//!
//! Owns: the error of each value. Refuses to know: how its place was found (`parse`), choices (`choice`).
//! Start at [`value`].

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::args::value_type;
use super::context::Context;
use super::{info, parse, texts};
use crate::model::{Arg, Row, Shape, Type};
use crate::{keys, names};

/// An expression that reads the value or values of an argument, its token being taken already.
pub fn value(arg: &Arg, place: &Context<'_>) -> TokenStream {
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
            // Where an incomplete group is the wrong number of arguments, none at all is no less so.
            let none = if arg.errors.odd.as_deref() == Some("arity") {
                odd_error(arg, place.row)
            } else {
                quote!(CommandError::Syntax)
            };
            quote! {
                if count == 0 {
                    return Err(#none);
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
        // A token with nothing behind it is an option without its value, not a list that does not come out even.
        if reader.remaining() == 0 {
            return Err(CommandError::Syntax);
        }
        let half = reader.half().ok_or(#odd)?;
        #(let #fields = Many::parse_count(reader, half)?;)*
        Ok(Self { #(#fields),* })
    }
}

/// As [`value`], reporting keys to `visit` on the way.
fn visiting_value(arg: &Arg, place: &Context<'_>) -> TokenStream {
    if arg.is_key() {
        let access = info::access(keys::access(place.row, arg));
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
            .map(|(index, half)| (index, info::access(keys::access(place.row, half))))
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
                let part = parse::sequence(std::slice::from_ref(variant), &inside);
                quote!(if #condition { #part })
            });
            quote!(#(#arms)else* else { return Err(CommandError::Syntax); })
        }
        _ => parse::sequence(arg.children(), &inside),
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
