//! Emits `mod args`: one struct per row that has arguments, with the enums and blocks inside it.
//!
//! Owns: field types, `new` and `encode`. Refuses to know: how words are read (`parse`), dispatch, replies.
//! Start at [`module`].

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use super::context::Context;
use super::{choice, parse, value};
use crate::model::{Arg, Row, Shape, Surplus, Table, Type};
use crate::names;

/// The whole module.
pub fn module(table: &Table, root: &TokenStream) -> TokenStream {
    let rows = table.rows.iter().filter(|row| !row.args.is_empty()).map(|row| row_items(table, row));
    quote! {
        /// The typed arguments of every command that has any: parsed from words, and written back as the same words.
        pub mod args {
            #[allow(unused_imports)]
            use #root::argv::{
                self, ArgReader, Argv, ArgvBuf, Cursor, LexBound, Many, Parse, ScoreBound, StreamIdArg,
            };
            use #root::error::CommandError;

            #(#rows)*
        }
    }
}

/// True when a value of the argument borrows from the words it was read from.
pub fn borrows(arg: &Arg) -> bool {
    arg.multiple
        || match &arg.shape {
            Shape::Scalar(scalar) => {
                matches!(
                    scalar,
                    Type::Key | Type::String | Type::Pattern | Type::Decimal | Type::LexBound | Type::StreamId
                )
            }
            Shape::RestSplit(_) => true,
            Shape::OneOf(parts) | Shape::Block(parts) => parts.iter().any(borrows),
        }
}

/// The type of one value, without `Option` and `Many`.
pub fn value_type(parent: &str, arg: &Arg, lifetime: &TokenStream) -> TokenStream {
    match &arg.shape {
        Shape::Scalar(scalar) => match scalar {
            Type::Key | Type::String | Type::Pattern | Type::Decimal => quote!(& #lifetime [u8]),
            Type::Integer | Type::Seconds | Type::Milliseconds | Type::UnixSeconds | Type::UnixMilliseconds => {
                quote!(i64)
            }
            Type::Unsigned => quote!(u64),
            Type::Double => quote!(f64),
            Type::Cursor => quote!(Cursor),
            Type::ScoreBound => quote!(ScoreBound),
            Type::LexBound => quote!(LexBound<#lifetime>),
            Type::StreamId => quote!(StreamIdArg<#lifetime>),
            Type::Flag => quote!(bool),
        },
        Shape::OneOf(_) | Shape::Block(_) | Shape::RestSplit(_) => {
            let name = names::ident(&names::arg_type(parent, arg));
            let single = Arg { multiple: false, ..arg.clone() };
            if borrows(&single) { quote!(#name<#lifetime>) } else { quote!(#name) }
        }
    }
}

/// The type of the field of an argument.
pub fn field_type(parent: &str, arg: &Arg) -> TokenStream {
    let lifetime = quote!('a);
    let value = value_type(parent, arg, &lifetime);
    if arg.is_flag() {
        quote!(bool)
    } else if arg.multiple {
        quote!(Many<'a, #value>)
    } else if arg.optional {
        quote!(Option<#value>)
    } else {
        value
    }
}

/// True when `new` takes the argument.
pub fn is_required(arg: &Arg) -> bool {
    !arg.optional
}

/// The struct of a row, with what is inside it.
pub fn row_items(table: &Table, row: &Row) -> TokenStream {
    let name = names::camel(&row.name);
    let context = Context::of_row(table, row, &name);
    let doc = format!(" Arguments of {}. `{}:{}`.", row.name.value, table.file, row.line());
    let definition = struct_definition(&doc, &name, &row.args);
    let ident = names::ident(&name);
    let (generics, applied) = generics(&row.args);
    let input = if generics.is_empty() { quote!(Argv<'_>) } else { quote!(Argv<'a>) };
    let arity = arity_check(row);
    let body = parse::sequence(&row.args, &context);
    let fields = row.args.iter().map(names::field);
    let finish = finish(row);
    let new = new_function(&name, &row.args);
    let encode = row.args.iter().map(|arg| encode_field(arg, &quote!(self)));
    let parse_doc = format!(" Reads the words after {}.", row.name.value.replace('|', " "));
    let nested = row.args.iter().map(|arg| nested_items(arg, &name, &context));
    quote! {
        #definition

        impl #generics #ident #applied {
            #new

            #[doc = #parse_doc]
            #[inline]
            pub fn parse(argv: #input) -> Result<Self, CommandError> {
                #arity
                let reader = &mut ArgReader::new(argv);
                #body
                #finish
                Ok(Self { #(#fields),* })
            }

            /// Appends the words that `parse` would read.
            pub fn encode(&self, out: &mut ArgvBuf) {
                #(#encode)*
            }
        }

        #(#nested)*
    }
}

/// Statements after the last argument: nothing may be left, and late values must have been right.
fn finish(row: &Row) -> TokenStream {
    let late = row.has_late().then(|| quote!(reader.finish_late()?;));
    let nothing_left = match (row.fixed_words(), &row.option_error, row.surplus) {
        (Some(_), ..) => quote!(),
        (None, Some(text), _) => {
            let error = super::texts::error(text, row, &quote!(word));
            let left = match text.contains(super::texts::WORD) {
                true => quote!(let Some(word) = reader.peek()),
                false => quote!(reader.remaining() > 0),
            };
            quote! {
                if #left {
                    return Err(#error);
                }
            }
        }
        (None, None, Surplus::Syntax) => quote!(reader.finish()?;),
        (None, None, Surplus::Arity) => {
            let lower = row.lower();
            quote! {
                if reader.remaining() > 0 {
                    return Err(CommandError::WrongArity(#lower));
                }
            }
        }
    };
    quote!(#nothing_left #late)
}

/// The check that comes before any argument is read.
pub fn arity_check(row: &Row) -> TokenStream {
    let lower = row.lower();
    let min = row.min_words();
    let least = Literal::usize_unsuffixed(min);
    let wrong = match (row.fixed_words(), min) {
        (Some(0), _) => quote!(!argv.is_empty()),
        (Some(_), _) => quote!(argv.len() != #least),
        (None, 0) => return quote!(),
        (None, 1) => quote!(argv.is_empty()),
        (None, _) => quote!(argv.len() < #least),
    };
    quote! {
        if #wrong {
            return Err(CommandError::WrongArity(#lower));
        }
    }
}

fn generics(args: &[Arg]) -> (TokenStream, TokenStream) {
    if args.iter().any(borrows) { (quote!(<'a>), quote!(<'a>)) } else { (quote!(), quote!()) }
}

fn struct_definition(doc: &str, name: &str, args: &[Arg]) -> TokenStream {
    let ident = names::ident(name);
    let (generics, _) = generics(args);
    let derive = if args.iter().any(is_required) {
        quote!(#[derive(Debug, Clone, Copy, PartialEq)])
    } else {
        quote!(#[derive(Debug, Clone, Copy, PartialEq, Default)])
    };
    let fields = args.iter().map(|arg| {
        let (field, doc, ty) = (names::field(arg), field_doc(arg), field_type(name, arg));
        quote! {
            #[doc = #doc]
            pub #field: #ty,
        }
    });
    quote! {
        #[doc = #doc]
        #derive
        pub struct #ident #generics {
            #(#fields)*
        }
    }
}

fn field_doc(arg: &Arg) -> String {
    let syntax = crate::syntax::arg(arg);
    format!(" `{syntax}`")
}

fn new_function(name: &str, args: &[Arg]) -> TokenStream {
    let required = args.iter().filter(|arg| is_required(arg)).map(|arg| {
        let (field, ty) = (names::field(arg), field_type(name, arg));
        quote!(#field: #ty)
    });
    let values = args.iter().map(|arg| {
        let field = names::field(arg);
        if is_required(arg) {
            quote!(#field)
        } else if arg.is_flag() {
            quote!(#field: false)
        } else if arg.multiple {
            quote!(#field: Many::none())
        } else {
            quote!(#field: None)
        }
    });
    let doc =
        if args.iter().all(is_required) { " From its parts." } else { " From what is required; options are off." };
    let allow =
        (args.iter().filter(|arg| is_required(arg)).count() > 7).then(|| quote!(#[allow(clippy::too_many_arguments)]));
    quote! {
        #[doc = #doc]
        #allow
        pub fn new(#(#required),*) -> Self {
            Self { #(#values),* }
        }
    }
}

/// Statements that append the words of one field of `owner`.
fn encode_field(arg: &Arg, owner: &TokenStream) -> TokenStream {
    let field = names::field(arg);
    let token = arg.token.as_ref().map(|token| {
        let bytes = proc_macro2::Literal::byte_string(token.value.as_bytes());
        quote!(out.push(#bytes);)
    });
    if arg.is_flag() {
        return quote! {
            if #owner.#field {
                #token
            }
        };
    }
    if arg.multiple {
        return encode_many(arg, &quote!(#owner.#field), &token.unwrap_or_default());
    }
    if arg.optional {
        return quote! {
            if let Some(value) = &#owner.#field {
                #token
                value.encode(out);
            }
        };
    }
    quote! {
        #token
        #owner.#field.encode(out);
    }
}

fn encode_many(arg: &Arg, values: &TokenStream, token: &TokenStream) -> TokenStream {
    if arg.token_each {
        return quote! {
            for value in #values {
                #token
                value.encode(out);
            }
        };
    }
    let count = arg.counted.then(|| quote!(out.push_integer(#values.len() as i64);));
    let body = quote! {
        #token
        #count
        #values.encode(out);
    };
    if arg.optional && (!token.is_empty() || arg.counted) {
        quote! {
            if !#values.is_empty() {
                #body
            }
        }
    } else {
        body
    }
}

/// The enums and structs inside an argument.
fn nested_items(arg: &Arg, parent: &str, context: &Context<'_>) -> TokenStream {
    let name = names::arg_type(parent, arg);
    match &arg.shape {
        Shape::Scalar(_) => quote!(),
        Shape::OneOf(variants) => enum_items(arg, variants, &name, &context.inside(arg, &name)),
        Shape::Block(parts) => block_items(arg, parts, &name, &context.inside(arg, &name)),
        Shape::RestSplit(halves) => split_items(arg, halves, &name, &context.inside(arg, &name)),
    }
}

fn nested_doc(context: &Context<'_>, arg: &Arg) -> String {
    let (row, file) = (context.row, &context.table.file);
    format!(" The `{}` of {}. `{file}:{}`.", arg.name.value, row.name.value, arg.name.at.line)
}

fn parse_impl(ident: &Ident, borrowing: bool, parse: &TokenStream, encode: &TokenStream) -> TokenStream {
    let applied = if borrowing { quote!(<'a>) } else { quote!() };
    quote! {
        impl<'a> Parse<'a> for #ident #applied {
            fn parse(reader: &mut ArgReader<'a>) -> Result<Self, CommandError> {
                #parse
            }

            fn encode(&self, out: &mut ArgvBuf) {
                #encode
            }
        }
    }
}

fn block_items(arg: &Arg, parts: &[Arg], name: &str, context: &Context<'_>) -> TokenStream {
    let ident = names::ident(name);
    let definition = struct_definition(&nested_doc(context, arg), name, parts);
    let (generics, applied) = generics(parts);
    let new = new_function(name, parts);
    let body = parse::sequence(parts, context);
    let fields = parts.iter().map(names::field);
    let parse = quote! {
        #body
        Ok(Self { #(#fields),* })
    };
    let encode = parts.iter().map(|part| encode_field(part, &quote!(self)));
    let implementation = parse_impl(&ident, !applied.is_empty(), &parse, &quote!(#(#encode)*));
    let nested = parts.iter().map(|part| nested_items(part, name, context));
    quote! {
        #definition

        impl #generics #ident #applied {
            #new
        }

        #implementation
        #(#nested)*
    }
}

fn split_items(arg: &Arg, halves: &[Arg], name: &str, context: &Context<'_>) -> TokenStream {
    let ident = names::ident(name);
    let halves: Vec<Arg> = halves.iter().map(|half| Arg { multiple: true, ..half.clone() }).collect();
    let definition = struct_definition(&nested_doc(context, arg), name, &halves);
    let new = new_function(name, &halves);
    let parse = value::split(arg, &halves, context);
    let encode = halves.iter().map(|half| encode_field(half, &quote!(self)));
    let implementation = parse_impl(&ident, true, &parse, &quote!(#(#encode)*));
    quote! {
        #definition

        impl<'a> #ident<'a> {
            #new
        }

        #implementation
    }
}

fn enum_items(arg: &Arg, variants: &[Arg], name: &str, context: &Context<'_>) -> TokenStream {
    let ident = names::ident(name);
    let borrowing = variants.iter().any(borrows);
    let applied = if borrowing { quote!(<'a>) } else { quote!() };
    let doc = nested_doc(context, arg);
    let lifetime = quote!('a);
    let definitions = variants.iter().map(|variant| {
        let (variant_ident, doc) = (names::variant(variant), field_doc(variant));
        if variant.is_flag() {
            return quote!(#[doc = #doc] #variant_ident,);
        }
        let value = value_type(name, variant, &lifetime);
        let payload = if variant.multiple { quote!(Many<'a, #value>) } else { value };
        quote!(#[doc = #doc] #variant_ident(#payload),)
    });
    let encode_arms = variants.iter().map(|variant| {
        let variant_ident = names::variant(variant);
        let token = variant.token.as_ref().map(|token| {
            let bytes = proc_macro2::Literal::byte_string(token.value.as_bytes());
            quote!(out.push(#bytes);)
        });
        if variant.is_flag() {
            quote!(Self::#variant_ident => { #token })
        } else if variant.multiple {
            let body = encode_many(variant, &quote!(values), &token.unwrap_or_default());
            quote!(Self::#variant_ident(values) => { #body })
        } else {
            quote!(Self::#variant_ident(value) => { #token value.encode(out); })
        }
    });
    let choice = choice::choice(arg, variants, context);
    let (methods, parse) = (choice.methods, choice.parse);
    let encode = quote! {
        match self {
            #(#encode_arms)*
        }
    };
    let implementation = parse_impl(&ident, borrowing, &parse, &encode);
    let nested = variants.iter().map(|variant| nested_items(variant, name, context));
    quote! {
        #[doc = #doc]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum #ident #applied {
            #(#definitions)*
        }

        #methods

        #implementation
        #(#nested)*
    }
}
