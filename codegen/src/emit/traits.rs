//! Emits one trait per group: the methods that handlers implement.
//!
//! Owns: what a method takes and returns, which follows from `reply`. Refuses to know: who calls it (`dispatch`).
//! Start at [`traits`].

use proc_macro2::TokenStream;
use quote::quote;

use super::args;
use crate::model::{Owner, ReplyKind, ReplyType, Route, Row, Table};
use crate::names;

/// What a handler gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A scalar is returned.
    Returned(ReplyType),
    /// A collection is written through a typed writer.
    Written(ReplyType),
    /// Anything is written to the buffer.
    Free,
}

/// What the handler of a row gives back.
pub fn output(row: &Row) -> Output {
    match row.reply.single() {
        Some(only) if only.kind == ReplyKind::Any => Output::Free,
        Some(only) if !only.kind.is_aggregate() => Output::Returned(only.clone()),
        Some(only) if !only.nullable && element_types(only).is_some() => Output::Written(only.clone()),
        _ => Output::Free,
    }
}

/// The Rust types of a collection's elements, when all are scalars.
pub fn element_types(reply: &ReplyType) -> Option<Vec<TokenStream>> {
    match &reply.kind {
        ReplyKind::Array(item) | ReplyKind::Set(item) => Some(vec![element_type(item)?]),
        ReplyKind::Map(key, value) => Some(vec![element_type(key)?, element_type(value)?]),
        _ => None,
    }
}

fn element_type(reply: &ReplyType) -> Option<TokenStream> {
    let scalar = match reply.kind {
        ReplyKind::Ok => quote!(()),
        ReplyKind::Integer => quote!(i64),
        ReplyKind::Simple => quote!(Simple),
        ReplyKind::Bulk => quote!(Bulk<'static>),
        ReplyKind::Double => quote!(f64),
        ReplyKind::Bool => quote!(bool),
        ReplyKind::Verbatim => quote!(Verbatim),
        _ => return None,
    };
    Some(if reply.nullable { quote!(Option<#scalar>) } else { scalar })
}

/// The writer of a collection, as a path with its element types.
pub fn writer(reply: &ReplyType) -> TokenStream {
    let name = match reply.kind {
        ReplyKind::Set(_) => quote!(SetReply),
        ReplyKind::Map(..) => quote!(MapReply),
        _ => quote!(ArrayReply),
    };
    let elements = element_types(reply).unwrap_or_default();
    quote!(#name<'_, #(#elements),*>)
}

/// The type of `args` of a row, if it has any.
pub fn args_type(row: &Row, lifetime: &TokenStream) -> Option<TokenStream> {
    if row.args.is_empty() {
        return None;
    }
    let ident = names::row_type(row);
    Some(if row.args.iter().any(args::borrows) { quote!(args::#ident<#lifetime>) } else { quote!(args::#ident) })
}

/// The trait that a row's method stands in.
pub fn trait_of(row: &Row) -> String {
    if row.route.value == Route::Connection {
        "SessionCommands".to_owned()
    } else {
        names::group_trait(&row.group).to_string()
    }
}

/// Every trait, and the bounds that put them together.
pub fn traits(table: &Table) -> TokenStream {
    let groups = table.groups_in_order();
    let mut items = Vec::new();
    let (mut core, mut extension) = (Vec::new(), Vec::new());
    for (group, owner) in &groups {
        let rows: Vec<_> =
            table.rows.iter().filter(|row| row.group.value == *group && row.route.value != Route::Connection).collect();
        if rows.is_empty() {
            continue;
        }
        let ident = names::group_trait(group);
        let doc = format!(" Handlers of the `{group}` group.");
        items.push(one_trait(table, &doc, &ident.to_string(), &rows));
        match owner {
            Owner::Runtime => core.push(ident),
            Owner::Ext => extension.push(ident),
        }
    }
    let session: Vec<_> = table.rows.iter().filter(|row| row.route.value == Route::Connection).collect();
    let doc = " Handlers of the commands that are about the connection itself: rows with `route = \"connection\"`.";
    items.push(one_trait(table, doc, "SessionCommands", &session));
    let (reach, bound) = if extension.is_empty() {
        (quote!(), quote!())
    } else {
        let reach = quote! {
            /// Handlers of all groups that kora-ext owns.
            pub trait ExtensionCommands: #(#extension)+* {}

            impl<H: #(#extension)+*> ExtensionCommands for H {}

            /// Reaches the extension, where there is one.
            pub trait HasExtension {
                /// The extension of this shard.
                fn extension(&mut self) -> Option<&mut dyn ExtensionCommands>;
            }
        };
        (reach, quote!(HasExtension+))
    };
    let bounds = if core.is_empty() { quote!(#bound Sized) } else { quote!(#bound #(#core)+*) };
    quote! {
        #(#items)*

        #reach

        /// Everything that [`dispatch`] may call.
        pub trait Handlers: #bounds {}

        impl<H: #bounds> Handlers for H {}
    }
}

fn one_trait(table: &Table, doc: &str, name: &str, rows: &[&Row]) -> TokenStream {
    let ident = names::ident(name);
    let methods = rows.iter().map(|row| method(table, row));
    quote! {
        #[doc = #doc]
        pub trait #ident {
            #(#methods)*
        }
    }
}

/// The signature of a row's method.
pub fn method(table: &Table, row: &Row) -> TokenStream {
    let name = names::row_method(row);
    let doc = format!(" {}", row.summary.value);
    let place = format!(" `{}` → `{}`. `{}:{}`.", crate::syntax::row(row), row.reply.text, table.file, row.line());
    let borrowing =
        matches!(output(row), Output::Returned(ReplyType { kind: ReplyKind::Bulk | ReplyKind::Verbatim, .. }));
    let (generics, receiver, lifetime) = if borrowing {
        (quote!(<'r>), quote!(&'r mut self), quote!('r))
    } else {
        (quote!(), quote!(&mut self), quote!('_))
    };
    let arguments = args_type(row, &lifetime).map(|ty| quote!(args: #ty,));
    let (reply, returned) = match output(row) {
        Output::Returned(reply) => (quote!(), returned_type(&reply)),
        Output::Written(reply) => {
            let writer = writer(&reply);
            (quote!(reply: #writer,), quote!(()))
        }
        Output::Free => (quote!(reply: &mut ReplyBuf,), quote!(())),
    };
    quote! {
        #[doc = #doc]
        ///
        #[doc = #place]
        fn #name #generics(#receiver, #arguments #reply) -> Result<#returned, CommandError>;
    }
}

fn returned_type(reply: &ReplyType) -> TokenStream {
    let ty = match reply.kind {
        ReplyKind::Ok => quote!(()),
        ReplyKind::Integer => quote!(i64),
        ReplyKind::Simple => quote!(&'static str),
        ReplyKind::Double => quote!(f64),
        ReplyKind::Bool => quote!(bool),
        _ => quote!(Bulk<'r>),
    };
    if reply.nullable { quote!(Option<#ty>) } else { ty }
}
