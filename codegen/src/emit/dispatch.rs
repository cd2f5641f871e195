//! Emits `dispatch`, `dispatch_session`, `keys` and `reencode`: from an id and words to the handler, to the keys, and to words again.
//!
//! Owns: the calls between parser, handler and reply. Refuses to know: what a method's signature is (`traits`).
//! Start at [`functions`].

use proc_macro2::TokenStream;
use quote::quote;

use super::context::Context;
use super::traits::{self, Output};
use super::{args, info, parse};
use crate::keys::{self, Summary};
use crate::model::{ReplyKind, ReplyType, Route, Row, Table};
use crate::names;

/// Both dispatchers, the key visitor and the way from words to words.
pub fn functions(table: &Table) -> TokenStream {
    let (session, shard): (Vec<&Row>, Vec<&Row>) =
        table.rows.iter().partition(|row| row.route.value == Route::Connection);
    let shard_arms = shard.iter().map(|row| arm(table, row));
    let session_arms = session.iter().map(|row| arm(table, row));
    let keys = keys_function(table);
    let reencode = reencode_function(table);
    quote! {
        /// Parses the words after the name and runs the command on a shard.
        ///
        /// On an error, what `reply` holds beyond its former length is unfinished and must be dropped.
        #[allow(unreachable_patterns, clippy::match_single_binding)]
        pub fn dispatch<H: Handlers>(
            handlers: &mut H,
            id: CommandId,
            argv: Argv<'_>,
            reply: &mut ReplyBuf,
        ) -> Result<(), CommandError> {
            match id {
                #(#shard_arms)*
                _ => return Err(CommandError::Internal),
            }
            Ok(())
        }

        /// As [`dispatch`], for commands about the connection itself.
        #[allow(unreachable_patterns, clippy::match_single_binding)]
        pub fn dispatch_session<H: SessionCommands>(
            handlers: &mut H,
            id: CommandId,
            argv: Argv<'_>,
            reply: &mut ReplyBuf,
        ) -> Result<(), CommandError> {
            match id {
                #(#session_arms)*
                _ => return Err(CommandError::Internal),
            }
            Ok(())
        }

        #keys

        #reencode
    }
}

/// One arm of a dispatcher.
pub fn arm(table: &Table, row: &Row) -> TokenStream {
    let id = names::row_type(row);
    let trait_ident = names::ident(&traits::trait_of(row));
    let method = names::row_method(row);
    let (check, arguments) = if row.args.is_empty() {
        (args::arity_check(row), quote!())
    } else {
        (quote!(), quote!(args::#id::parse(argv)?,))
    };
    // The arguments are parsed before the extension is taken from its place.
    let call = |writer: TokenStream| {
        if !traits::is_extension(table, row) {
            return quote!(#trait_ident::#method(handlers, #arguments #writer)?);
        }
        let slot = names::ident(&names::snake(&row.group.value));
        let run = |method: TokenStream| quote!(handlers.extended(|extensions| &mut extensions.#slot, #method)?);
        match (row.args.is_empty(), writer.is_empty()) {
            (true, true) => run(quote!(#trait_ident::#method)),
            (true, false) => run(quote!(|extension, cx| #trait_ident::#method(extension, cx, #writer))),
            (false, _) => {
                let run = run(quote!(|extension, cx| #trait_ident::#method(extension, cx, words, #writer)));
                quote!({
                    let words = args::#id::parse(argv)?;
                    #run
                })
            }
        }
    };
    let run = match traits::output(row) {
        Output::Returned(reply) => write_returned(&reply, &call(quote!())),
        Output::Written(reply) => {
            let name = match reply.kind {
                ReplyKind::Set(_) => quote!(SetReply),
                ReplyKind::Map(..) => quote!(MapReply),
                _ => quote!(ArrayReply),
            };
            let call = call(quote!(#name::new(reply)));
            quote!(#call;)
        }
        Output::Free => {
            let call = call(quote!(reply));
            quote!(#call;)
        }
    };
    quote! {
        CommandId::#id => {
            #check
            #run
        }
    }
}

fn write_returned(reply: &ReplyType, call: &TokenStream) -> TokenStream {
    if reply.kind == ReplyKind::Ok && !reply.nullable {
        return quote! {
            #call;
            reply.ok();
        };
    }
    let write = match reply.kind {
        ReplyKind::Ok => quote!(reply.ok()),
        ReplyKind::Integer => quote!(reply.integer(value)),
        ReplyKind::Simple => quote!(reply.simple(value)),
        ReplyKind::Double => quote!(reply.double(value)),
        ReplyKind::Bool => quote!(reply.boolean(value)),
        ReplyKind::Verbatim => quote!(reply.put_verbatim(&value)),
        _ => quote!(reply.put_bulk(&value)),
    };
    if !reply.nullable {
        return quote! {
            let value = #call;
            #write;
        };
    }
    let pattern = if reply.kind == ReplyKind::Ok { quote!(Some(())) } else { quote!(Some(value)) };
    quote! {
        match #call {
            #pattern => #write,
            None => reply.null(),
        }
    }
}

fn keys_function(table: &Table) -> TokenStream {
    let parsed: Vec<&Row> =
        table.rows.iter().filter(|row| info::summary(row, &keys::groups(row)) == Summary::Parser).collect();
    let arms = parsed.iter().map(|row| {
        let (id, function) = (names::row_type(row), names::ident(&format!("{}_keys", names::snake(&row.name))));
        quote!(CommandId::#id => #function(argv, visit),)
    });
    let functions = parsed.iter().map(|row| key_visitor(table, row, &quote!(crate)));
    let found = if parsed.is_empty() {
        quote!(id.info().visit_keys(argv, visit))
    } else {
        quote! {
            match id {
                #(#arms)*
                _ => id.info().visit_keys(argv, visit),
            }
        }
    };
    quote! {
        /// Calls `visit` with the position in `argv` of every key, and what the command does to it.
        pub fn keys(id: CommandId, argv: Argv<'_>, visit: &mut dyn FnMut(usize, Access)) -> Result<(), CommandError> {
            #found
        }

        #(#functions)*
    }
}

fn reencode_function(table: &Table) -> TokenStream {
    let arms = table.rows.iter().filter(|row| !row.args.is_empty()).map(|row| {
        let id = names::row_type(row);
        quote!(CommandId::#id => args::#id::parse(argv)?.encode(out),)
    });
    quote! {
        /// Parses the words after the name and appends what they were understood as: the words that `parse` reads as the same.
        ///
        /// A command without arguments appends nothing, whatever the words.
        #[allow(unreachable_patterns, unused_variables, clippy::match_single_binding)]
        pub fn reencode(id: CommandId, argv: Argv<'_>, out: &mut ArgvBuf) -> Result<(), CommandError> {
            match id {
                #(#arms)*
                _ => {}
            }
            Ok(())
        }
    }
}

/// The function that finds the keys of a row by its parser.
pub fn key_visitor(table: &Table, row: &Row, root: &TokenStream) -> TokenStream {
    let function = names::ident(&format!("{}_keys", names::snake(&row.name)));
    let context = Context::of_row(table, row, &names::camel(&row.name)).visiting();
    let body = parse::sequence(&row.args, &context);
    let check = args::arity_check(row);
    let doc = format!(" The keys of {}, found by its parser. `{}:{}`.", row.name.value, table.file, row.line());
    quote! {
        #[doc = #doc]
        #[allow(unused, clippy::all)]
        pub fn #function(argv: Argv<'_>, visit: &mut dyn FnMut(usize, Access)) -> Result<(), CommandError> {
            use #root::argv::{self, *};
            use args::*;

            #check
            let reader = &mut ArgReader::new(argv);
            #body
            reader.finish()
        }
    }
}
