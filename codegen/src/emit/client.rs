//! Emits the typed client: one method per command on `Client` and `AsyncClient`.
//!
//! Owns: what a caller passes and gets. Refuses to know: how a command travels; implementors of `call` do.
//! Start at [`traits`].

use proc_macro2::TokenStream;
use quote::quote;

use super::args::{is_required, value_type};
use crate::model::{Arg, ReplyKind, ReplyType, Route, Row, Shape, Table, Type};
use crate::names;

/// Both traits.
pub fn traits(table: &Table) -> TokenStream {
    let rows: Vec<_> = table.rows.iter().filter(|row| row.route.value != Route::Connection).collect();
    let blocking = rows.iter().map(|row| methods(table, row, false));
    let waiting = rows.iter().map(|row| methods(table, row, true));
    quote! {
        /// A typed client: every command that is not about a connection as a method.
        #[allow(clippy::type_complexity)]
        pub trait Client {
            /// Why a call failed.
            type Error;

            /// Sends one command; `encode` writes the words after its name.
            fn call<T: FromReply>(
                &self,
                id: CommandId,
                encode: impl FnOnce(&mut ArgvBuf),
            ) -> Result<T, Self::Error>;

            #(#blocking)*
        }

        /// As [`Client`], without waiting in place.
        #[allow(clippy::type_complexity)]
        pub trait AsyncClient {
            /// Why a call failed.
            type Error;

            /// Sends one command with the words after its name.
            fn call<T: FromReply>(
                &self,
                id: CommandId,
                words: ArgvBuf,
            ) -> impl Future<Output = Result<T, Self::Error>>;

            #(#waiting)*
        }
    }
}

/// The methods of a row.
pub fn methods(table: &Table, row: &Row, waiting: bool) -> TokenStream {
    let id = names::row_type(row);
    let method = names::row_method(row);
    let value = owned_type(row);
    let returned = if waiting {
        quote!(impl Future<Output = Result<#value, Self::Error>>)
    } else {
        quote!(Result<#value, Self::Error>)
    };
    let doc = format!(" {} `{}`. `{}:{}`.", row.summary.value, crate::syntax::row(row), table.file, row.line());
    if row.args.is_empty() {
        let words = if waiting { quote!(ArgvBuf::new()) } else { quote!(|_| {}) };
        return quote! {
            #[doc = #doc]
            fn #method(&self) -> #returned {
                self.call(CommandId::#id, #words)
            }
        };
    }
    let call = |value: TokenStream| {
        if waiting {
            quote! {
                let mut words = ArgvBuf::new();
                #value.encode(&mut words);
                self.call(CommandId::#id, words)
            }
        } else {
            quote!(self.call(CommandId::#id, |out| #value.encode(out)))
        }
    };
    let name = names::camel(&row.name);
    let required: Vec<_> = row.args.iter().filter(|arg| is_required(arg)).map(|arg| parameter(&name, arg)).collect();
    let (parameters, prepare, pass) = required.iter().fold(
        (Vec::new(), Vec::new(), Vec::new()),
        |(mut parameters, mut prepare, mut pass), parameter| {
            parameters.push(&parameter.declared);
            prepare.push(&parameter.prepare);
            pass.push(&parameter.pass);
            (parameters, prepare, pass)
        },
    );
    let allow = (parameters.len() > 6).then(|| quote!(#[allow(clippy::too_many_arguments)]));
    let call_new = call(quote!(args::#id::new(#(#pass),*)));
    let plain = quote! {
        #[doc = #doc]
        #allow
        fn #method(&self, #(#parameters),*) -> #returned {
            #(#prepare)*
            #call_new
        }
    };
    if row.args.iter().all(is_required) {
        return plain;
    }
    let with = names::ident(&format!("{}_with", names::snake(&row.name)));
    let with_doc = format!(" {} With its options. `{}:{}`.", row.summary.value, table.file, row.line());
    let ty = super::traits::args_type(row, &quote!('_)).unwrap_or_default();
    let call_with = call(quote!(args));
    quote! {
        #plain

        #[doc = #with_doc]
        fn #with(&self, args: #ty) -> #returned {
            #call_with
        }
    }
}

struct Parameter {
    declared: TokenStream,
    prepare: TokenStream,
    pass: TokenStream,
}

fn is_bytes(arg: &Arg) -> bool {
    matches!(arg.shape, Shape::Scalar(Type::Key | Type::String | Type::Pattern | Type::Decimal))
}

fn parameter(parent: &str, arg: &Arg) -> Parameter {
    let field = names::field(arg);
    let anonymous = quote!('_);
    match (is_bytes(arg), arg.multiple) {
        (true, false) => {
            Parameter { declared: quote!(#field: impl AsRef<[u8]>), prepare: quote!(), pass: quote!(#field.as_ref()) }
        }
        (true, true) => Parameter {
            declared: quote!(#field: &[impl AsRef<[u8]>]),
            prepare: quote!(let #field: Vec<&[u8]> = #field.iter().map(AsRef::as_ref).collect();),
            pass: quote!(Many::Given(&#field)),
        },
        (false, true) => {
            let ty = qualified(&value_type(parent, arg, &anonymous), arg);
            Parameter { declared: quote!(#field: &[#ty]), prepare: quote!(), pass: quote!(Many::Given(#field)) }
        }
        (false, false) => {
            let ty = match &arg.shape {
                Shape::Scalar(_) => value_type(parent, arg, &anonymous),
                _ => qualified(&value_type(parent, arg, &anonymous), arg),
            };
            Parameter { declared: quote!(#field: #ty), prepare: quote!(), pass: quote!(#field) }
        }
    }
}

/// Generated types stand in `args`; those of argv.rs are imported.
fn qualified(ty: &TokenStream, arg: &Arg) -> TokenStream {
    if matches!(arg.shape, Shape::Scalar(_)) { ty.clone() } else { quote!(args::#ty) }
}

fn owned_type(row: &Row) -> TokenStream {
    row.reply.single().and_then(owned).unwrap_or_else(|| quote!(Value))
}

fn owned(reply: &ReplyType) -> Option<TokenStream> {
    let ty = match &reply.kind {
        ReplyKind::Ok => quote!(()),
        ReplyKind::Integer => quote!(i64),
        ReplyKind::Double => quote!(f64),
        ReplyKind::Bool => quote!(bool),
        ReplyKind::Bulk => quote!(Vec<u8>),
        ReplyKind::Simple | ReplyKind::Verbatim => quote!(String),
        ReplyKind::Array(item) | ReplyKind::Set(item) => {
            let item = owned(item)?;
            quote!(Vec<#item>)
        }
        ReplyKind::Map(key, value) => {
            let (key, value) = (owned(key)?, owned(value)?);
            quote!(Vec<(#key, #value)>)
        }
        ReplyKind::Any => return None,
    };
    Some(if reply.nullable { quote!(Option<#ty>) } else { ty })
}
