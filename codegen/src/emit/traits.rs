//! Emits one trait per group: the methods that handlers implement.
//!
//! Owns: what a method takes and returns, which follows from `reply`. Refuses to know: who calls it (`dispatch`).
//! Start at [`traits`].

use proc_macro2::{Ident, TokenStream};
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

/// True when kora-ext handles the row.
pub fn is_extension(table: &Table, row: &Row) -> bool {
    row.route.value != Route::Connection && table.owner(&row.group) == Owner::Ext
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
        let supertrait = (*owner == Owner::Ext).then(|| quote!(: Extension));
        items.push(one_trait(table, &doc, &ident.to_string(), supertrait.as_ref(), &rows));
        match owner {
            Owner::Runtime => core.push(ident),
            Owner::Ext => extension.push(((*group).to_owned(), ident)),
        }
    }
    let session: Vec<_> = table.rows.iter().filter(|row| row.route.value == Route::Connection).collect();
    let doc = " Handlers of the commands that are about the connection itself: rows with `route = \"connection\"`.";
    items.push(one_trait(table, doc, "SessionCommands", None, &session));
    let reach = extensions(&extension);
    let bound = if extension.is_empty() { quote!() } else { quote!(HasExtensions+) };
    let bounds = if core.is_empty() { quote!(#bound Sized) } else { quote!(#bound #(#core)+*) };
    quote! {
        #(#items)*

        #reach

        /// Everything that [`dispatch`] may call.
        pub trait Handlers: #bounds {}

        impl<H: #bounds> Handlers for H {}
    }
}

/// What holds the extensions of a shard: a place for each group that kora-ext owns.
fn extensions(groups: &[(String, Ident)]) -> TokenStream {
    let fields = groups.iter().map(|(group, ident)| {
        let (field, doc) = (names::ident(&names::snake(group)), format!(" Handlers of the `{group}` group."));
        quote!(#[doc = #doc] pub #field: Option<Box<dyn #ident>>,)
    });
    let visits = groups.iter().enumerate().map(|(slot, (group, _))| {
        let field = names::ident(&names::snake(group));
        let slot = proc_macro2::Literal::u8_unsuffixed(slot as u8);
        quote!(if let Some(extension) = &mut self.#field { visit(#slot, &mut **extension); })
    });
    let slots = groups.iter().enumerate().map(|(slot, (group, _))| {
        let (name, doc) = (names::ident(&names::snake(group).to_uppercase()), format!(" The slot of `{group}`."));
        let slot = proc_macro2::Literal::u8_unsuffixed(slot as u8);
        quote!(#[doc = #doc] pub const #name: u8 = #slot;)
    });
    quote! {
        /// The extensions of one shard: who handles the groups that kora-ext owns.
        #[derive(Default)]
        pub struct Extensions {
            #(#fields)*
        }

        impl Extensions {
            #(#slots)*

            /// Visits those that are there, with the number of their slot.
            #[allow(unused_variables)]
            pub fn each(&mut self, visit: &mut dyn FnMut(u8, &mut dyn Extension)) {
                #(#visits)*
            }
        }
    }
}

fn one_trait(table: &Table, doc: &str, name: &str, supertrait: Option<&TokenStream>, rows: &[&Row]) -> TokenStream {
    let ident = names::ident(name);
    let methods = rows.iter().map(|row| method(table, row));
    quote! {
        #[doc = #doc]
        pub trait #ident #supertrait {
            #(#methods)*
        }
    }
}

/// The signature of a row's method.
pub fn method(table: &Table, row: &Row) -> TokenStream {
    let name = names::row_method(row);
    let doc = format!(" {}", row.summary.value);
    let place = format!(" `{}` → `{}`. `{}:{}`.", crate::syntax::row(row), row.reply.text, table.file, row.line());
    let extension = is_extension(table, row);
    let borrowing = !extension
        && matches!(output(row), Output::Returned(ReplyType { kind: ReplyKind::Bulk | ReplyKind::Verbatim, .. }));
    let context = extension.then(|| quote!(cx: &mut ShardCx<'_>,));
    let (generics, receiver, lifetime) = if borrowing {
        (quote!(<'r>), quote!(&'r mut self), quote!('r))
    } else {
        (quote!(), quote!(&mut self), quote!('_))
    };
    let arguments = args_type(row, &lifetime).map(|ty| quote!(args: #ty,));
    let (reply, returned) = match output(row) {
        Output::Returned(reply) => (quote!(), returned_type(&reply, extension)),
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
        fn #name #generics(#receiver, #context #arguments #reply) -> Result<#returned, CommandError>;
    }
}

fn returned_type(reply: &ReplyType, extension: bool) -> TokenStream {
    let ty = match reply.kind {
        ReplyKind::Ok => quote!(()),
        ReplyKind::Integer => quote!(i64),
        ReplyKind::Simple => quote!(&'static str),
        ReplyKind::Double => quote!(f64),
        ReplyKind::Bool => quote!(bool),
        // An extension's handler is called through the shard that owns it, so nothing it returns can borrow from it.
        _ if extension => quote!(Bulk<'static>),
        _ => quote!(Bulk<'r>),
    };
    if reply.nullable { quote!(Option<#ty>) } else { ty }
}
