//! Emits `INFO`: what the table says about each command, for routing, checks and introspection.
//!
//! Owns: ACL categories, tips and flags that follow from other facts. Refuses to know: how they are shown.
//! Start at [`table`].

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use crate::keys::{self, Begin, Find, KeyGroup, Summary};
use crate::model::{Access, Arg, Flag, Merge, Route, Row, Shape, Table, Type};
use crate::names;

/// `INFO`, and the enums of hand-written routes and merges with the functions that call them.
pub fn table(table: &Table) -> TokenStream {
    let rows = table.rows.iter().map(command_info);
    let count = Literal::usize_unsuffixed(table.rows.len());
    let custom = custom(table);
    let containers = table.containers().into_iter().map(|(name, bare)| container_info(table, name, bare));
    let container_count = Literal::usize_unsuffixed(table.containers().len());
    quote! {
        /// What the table says about every command, in table order.
        pub static INFO: [CommandInfo; #count] = [#(#rows),*];

        /// The commands that have subcommands, in the order of their first row.
        pub static CONTAINERS: [ContainerInfo; #container_count] = [#(#containers),*];

        #custom
    }
}

/// `Access::Read` and so on.
pub fn access(access: Access) -> TokenStream {
    let variant = names::ident(access.variant());
    quote!(Access::#variant)
}

/// The entry of one row.
pub fn command_info(row: &Row) -> TokenStream {
    let id = names::row_type(row);
    let (name, upper) = (row.lower(), &row.name.value);
    let container = match row.words() {
        (container, Some(_)) => {
            let lower = container.to_ascii_lowercase();
            quote!(Some(#lower))
        }
        _ => quote!(None),
    };
    let (group, since, summary, complexity) =
        (&row.group.value, &row.since.value, &row.summary.value, &row.complexity.value);
    let arity = Literal::i32_unsuffixed(row.arity());
    let access = access(row.access.value);
    let groups = keys::groups(row);
    let flags = flags(row, &groups);
    let acl = acl_categories(row);
    let tips = tips(row);
    let keys = key_spec(row, &groups);
    let key_groups = groups.iter().map(|group| key_group(group, row));
    let route = route(&row.route);
    let wal = names::ident(row.wal.variant());
    let reply = &row.reply.text;
    let mut key_places = groups.iter().enumerate().flat_map(|(index, group)| vec![index; group.keys]);
    let args: Vec<_> = row.args.iter().flat_map(|arg| arg_infos(arg, &mut key_places)).collect();
    let line = Literal::u32_unsuffixed(row.line());
    let is_container = row.is_container;
    let syntax = crate::syntax::row(row);
    quote! {
        CommandInfo {
            id: CommandId::#id,
            name: #name,
            upper: #upper,
            container: #container,
            is_container: #is_container,
            group: #group,
            since: #since,
            summary: #summary,
            complexity: #complexity,
            syntax: #syntax,
            arity: #arity,
            access: #access,
            flags: #flags,
            acl: &[#(#acl),*],
            tips: &[#(#tips),*],
            keys: #keys,
            key_groups: &[#(#key_groups),*],
            route: #route,
            wal: Wal::#wal,
            reply: #reply,
            args: &[#(#args),*],
            line: #line,
        }
    }
}

fn container_info(table: &Table, name: &str, bare: Option<&Row>) -> TokenStream {
    let rows: Vec<&Row> = table
        .rows
        .iter()
        .filter(|row| {
            row.words().0 == name && (row.words().1.is_some() || bare.is_some_and(|bare| bare.name == row.name))
        })
        .collect();
    let subcommands = rows.iter().filter(|row| row.words().1.is_some()).map(|row| names::row_type(row));
    let bare_id = match bare {
        Some(row) => {
            let ident = names::row_type(row);
            quote!(Some(CommandId::#ident))
        }
        None => quote!(None),
    };
    let version = |text: &str| -> Vec<u32> { text.split(['.', ' ']).filter_map(|part| part.parse().ok()).collect() };
    let from_redis = rows.iter().filter(|row| !row.since.starts_with("kora"));
    let since = from_redis.min_by_key(|row| version(&row.since)).or(rows.first()).map_or("", |row| &row.since.value);
    let group = rows.first().map_or("", |row| &row.group.value);
    let lower = name.to_ascii_lowercase();
    let summary = format!("The {name} commands.");
    let summary = bare.map_or(summary.as_str(), |row| &row.summary.value);
    quote! {
        ContainerInfo {
            name: #lower,
            upper: #name,
            group: #group,
            since: #since,
            summary: #summary,
            bare: #bare_id,
            subcommands: &[#(CommandId::#subcommands),*],
        }
    }
}

/// The names of the constants of `Flags`, derived ones included.
fn flags(row: &Row, groups: &[KeyGroup]) -> TokenStream {
    let mut words = match row.access.value {
        Access::Read => vec!["READONLY".to_owned()],
        Access::Write => vec!["WRITE".to_owned()],
        Access::None => Vec::new(),
    };
    words.extend(row.flags.iter().map(|flag| flag.word().to_ascii_uppercase().replace('-', "_")));
    if keys::are_movable(groups) {
        words.push("MOVABLEKEYS".to_owned());
    }
    let idents = words.iter().map(|word| names::ident(word));
    let mut flags = quote!(Flags::EMPTY);
    for ident in idents {
        flags = quote!(#flags.with(Flags::#ident));
    }
    flags
}

/// Redis's categories in the order in which it lists them.
pub const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// The category of a group's commands.
fn group_category(group: &str) -> Option<&str> {
    Some(match group {
        "generic" => "keyspace",
        "sorted-set" => "sortedset",
        "transactions" => "transaction",
        "server" => return None,
        other => other,
    })
}

/// The categories that follow from group, access and flags.
pub fn derived_categories(row: &Row) -> Vec<String> {
    let mut names: Vec<String> = group_category(&row.group).map(str::to_owned).into_iter().collect();
    let fast = row.has(Flag::Fast);
    names.push(if fast { "fast" } else { "slow" }.to_owned());
    match row.access.value {
        // Redis keeps scripts out of @read, those that write nothing too.
        Access::Read if &*row.group == "scripting" => {}
        Access::Read => names.push("read".to_owned()),
        Access::Write => names.push("write".to_owned()),
        Access::None => {}
    }
    if row.has(Flag::Admin) {
        names.extend(["admin".to_owned(), "dangerous".to_owned()]);
    }
    if row.has(Flag::Blocking) {
        names.push("blocking".to_owned());
    }
    if row.has(Flag::Pubsub) {
        names.push("pubsub".to_owned());
    }
    names
}

/// All categories, each with its `@`, in Redis's order.
pub fn acl_categories(row: &Row) -> Vec<String> {
    let mut names = derived_categories(row);
    for word in &row.acl {
        let word = word.value.as_str();
        match word.strip_prefix('-') {
            Some(gone) => names.retain(|name| name != gone),
            None => names.push(word.to_owned()),
        }
    }
    names.sort_by_key(|name| (CATEGORIES.iter().position(|known| known == name), name.clone()));
    names.dedup();
    names.into_iter().map(|name| format!("@{name}")).collect()
}

fn tips(row: &Row) -> Vec<String> {
    // A written policy replaces the derived one; `-request_policy` takes it away.
    let written = |policy: &str| row.tips.iter().any(|tip| tip.strip_prefix('-').unwrap_or(tip).starts_with(policy));
    let (request, merge) = match &row.route.value {
        Route::Split(merge) => (Some("request_policy:multi_shard"), Some(merge)),
        Route::AllShards(merge) => (Some("request_policy:all_shards"), Some(merge)),
        _ => (None, None),
    };
    let response = merge.and_then(|merge| match merge {
        Merge::Sum => Some("response_policy:agg_sum"),
        Merge::AllOk => Some("response_policy:all_succeeded"),
        Merge::Min => Some("response_policy:agg_min"),
        Merge::Max => Some("response_policy:agg_max"),
        Merge::Custom(_) => Some("response_policy:special"),
        Merge::InOrder | Merge::Concat => None,
    });
    let shown = row.tips.iter().filter(|tip| !tip.starts_with('-'));
    let mut tips: Vec<String> = shown.map(|tip| tip.value.clone()).collect();
    tips.extend(request.filter(|_| !written("request_policy")).map(str::to_owned));
    tips.extend(response.filter(|_| !written("response_policy")).map(str::to_owned));
    tips
}

/// What routing uses; an argument that is a key only when it is not empty leaves that to the parser.
pub fn summary(row: &Row, groups: &[KeyGroup]) -> Summary {
    let conditional = row.args.iter().flat_map(keys::all_keys).any(|key| key.empty_is_none);
    if conditional { Summary::Parser } else { keys::summary(groups) }
}

fn key_spec(row: &Row, groups: &[KeyGroup]) -> TokenStream {
    match summary(row, groups) {
        Summary::None => quote!(KeySpec::None),
        Summary::One(position) => {
            let position = Literal::usize_unsuffixed(position);
            quote!(KeySpec::One(#position))
        }
        Summary::Range { first, last, step } => {
            let (first, step) = (Literal::usize_unsuffixed(first), Literal::usize_unsuffixed(step));
            let last = Literal::i32_unsuffixed(last);
            quote!(KeySpec::Range { first: #first, last: #last, step: #step })
        }
        Summary::Counted { at, before } => {
            let at = Literal::usize_unsuffixed(at);
            let before = before.into_iter().map(Literal::usize_unsuffixed);
            quote!(KeySpec::Counted { at: #at, before: &[#(#before),*] })
        }
        Summary::Parser => quote!(KeySpec::Parser),
    }
}

fn key_group(group: &KeyGroup, row: &Row) -> TokenStream {
    let access = access(group.access);
    let flags = &group.flags;
    // Redis counts positions with the name's words.
    let words = row.name_words();
    let begin = match &group.begin {
        Begin::Index(position) => {
            let position = Literal::usize_unsuffixed(position + words);
            quote!(KeyBegin::Index(#position))
        }
        Begin::Keyword { word, start_from } => {
            let start_from = if *start_from < 0 { *start_from } else { start_from + words as i32 };
            let start_from = Literal::i32_unsuffixed(start_from);
            quote!(KeyBegin::Keyword { word: #word, start_from: #start_from })
        }
        Begin::Unknown => quote!(KeyBegin::Unknown),
    };
    let find = match &group.find {
        Find::Range { last, step, limit } => {
            let (last, limit) = (Literal::i32_unsuffixed(*last), Literal::u32_unsuffixed(*limit));
            let step = Literal::usize_unsuffixed(*step);
            quote!(KeyFind::Range { last: #last, step: #step, limit: #limit })
        }
        Find::Counted { step } => {
            let step = Literal::usize_unsuffixed(*step);
            quote!(KeyFind::Counted { step: #step })
        }
        Find::Unknown => quote!(KeyFind::Unknown),
    };
    quote!(KeyGroup { access: #access, flags: &[#(#flags),*], begin: #begin, find: #find })
}

fn merge(merge: &Merge) -> TokenStream {
    match merge {
        Merge::Sum => quote!(Merge::Sum),
        Merge::InOrder => quote!(Merge::InOrder),
        Merge::AllOk => quote!(Merge::AllOk),
        Merge::Min => quote!(Merge::Min),
        Merge::Max => quote!(Merge::Max),
        Merge::Concat => quote!(Merge::Concat),
        Merge::Custom(name) => {
            let variant = names::ident(&names::camel(name));
            quote!(Merge::Custom(CustomMerge::#variant))
        }
    }
}

fn route(route: &Route) -> TokenStream {
    match route {
        Route::Key => quote!(Route::Key),
        Route::Split(how) => {
            let how = merge(how);
            quote!(Route::Split(#how))
        }
        Route::Gather => quote!(Route::Gather),
        Route::AllShards(how) => {
            let how = merge(how);
            quote!(Route::AllShards(#how))
        }
        Route::Scatter(how) => {
            let how = merge(how);
            quote!(Route::Scatter(#how))
        }
        Route::Any => quote!(Route::Any),
        Route::Connection => quote!(Route::Connection),
        Route::Custom(name) => {
            let variant = names::ident(&names::camel(name));
            quote!(Route::Custom(CustomRoute::#variant))
        }
    }
}

/// Redis's word for the type of an argument.
fn kind_word(arg: &Arg) -> &'static str {
    match &arg.shape {
        Shape::OneOf(_) => "oneof",
        Shape::Block(_) | Shape::RestSplit(_) => "block",
        Shape::Scalar(scalar) => match scalar {
            Type::Key => "key",
            Type::String | Type::LexBound | Type::StreamId => "string",
            Type::Pattern => "pattern",
            Type::Integer | Type::Unsigned | Type::Seconds | Type::Milliseconds | Type::Cursor => "integer",
            Type::Double | Type::Decimal | Type::ScoreBound => "double",
            Type::UnixSeconds | Type::UnixMilliseconds => "unix-time",
            Type::Flag => "pure-token",
        },
    }
}

/// What COMMAND DOCS shows of an argument: one entry, or two where a count comes first.
fn arg_infos(arg: &Arg, key_places: &mut dyn Iterator<Item = usize>) -> Vec<TokenStream> {
    let mut infos = Vec::new();
    let display = arg.doc.as_ref().unwrap_or(&arg.name.value);
    let (mut token, mut optional) = (option(arg.token.as_ref().map(|token| token.value.as_str())), arg.optional);
    if arg.counted {
        let name = &arg.count_name;
        infos.push(quote! {
            ArgInfo {
                name: #name, display: #name, kind: "integer", token: #token, optional: #optional, multiple: false,
                multiple_token: false, key_group: None, children: &[],
            }
        });
        token = quote!(None);
        optional = arg.count_min == 0 || arg.optional;
    }
    let name = &arg.name.value;
    let kind = kind_word(arg);
    let (multiple, multiple_token) = (arg.multiple, arg.token_each);
    let key_group = if arg.is_key() {
        match key_places.next() {
            Some(index) => {
                let index = Literal::usize_unsuffixed(index);
                quote!(Some(#index))
            }
            None => quote!(None),
        }
    } else {
        quote!(None)
    };
    let in_choice = matches!(arg.shape, Shape::OneOf(_));
    let split = matches!(arg.shape, Shape::RestSplit(_));
    let children: Vec<_> = arg
        .children()
        .iter()
        .map(|child| {
            // Members of a choice are not optional by themselves; halves of a split are repeated.
            Arg { optional: child.optional && !in_choice, multiple: child.multiple || split, ..child.clone() }
        })
        .flat_map(|child| arg_infos(&child, key_places))
        .collect();
    infos.push(quote! {
        ArgInfo {
            name: #name, display: #display, kind: #kind, token: #token, optional: #optional, multiple: #multiple,
            multiple_token: #multiple_token, key_group: #key_group, children: &[#(#children),*],
        }
    });
    infos
}

fn option(text: Option<&str>) -> TokenStream {
    match text {
        Some(text) => quote!(Some(#text)),
        None => quote!(None),
    }
}

/// The escape hatches: what is written by hand in `route.rs` and `merge.rs`, under the names that the table uses.
fn custom(table: &Table) -> TokenStream {
    let mut routes: Vec<&str> = Vec::new();
    let mut merges: Vec<&str> = Vec::new();
    for row in &table.rows {
        match &row.route.value {
            Route::Custom(name) => routes.push(name),
            Route::Split(Merge::Custom(name))
            | Route::AllShards(Merge::Custom(name))
            | Route::Scatter(Merge::Custom(name)) => merges.push(name),
            _ => {}
        }
    }
    for names in [&mut routes, &mut merges] {
        names.sort_unstable();
        names.dedup();
    }
    let enumeration = |name: &str, doc: &str, module: &str, words: &[&str]| {
        let ident = names::ident(name);
        let variants = words.iter().map(|word| {
            let (variant, doc) = (names::ident(&names::camel(word)), format!(" `{module}::{word}`."));
            quote!(#[doc = #doc] #variant,)
        });
        quote! {
            #[doc = #doc]
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum #ident { #(#variants)* }
        }
    };
    let route_enum = enumeration("CustomRoute", " Routes that are written by hand.", "shard::route", &routes);
    let merge_enum = enumeration("CustomMerge", " Merges that are written by hand.", "shard::merge", &merges);
    let route_arms = routes.iter().map(|word| {
        let (variant, function) = (names::ident(&names::camel(word)), names::ident(word));
        quote!(CustomRoute::#variant => crate::shard::route::#function(argv, shards),)
    });
    let merge_arms = merges.iter().map(|word| {
        let (variant, function) = (names::ident(&names::camel(word)), names::ident(word));
        quote!(CustomMerge::#variant => crate::shard::merge::#function(argv, parts, reply),)
    });
    let route_arguments =
        if routes.is_empty() { quote!(_argv: Argv<'_>, _shards: usize) } else { quote!(argv: Argv<'_>, shards: usize) };
    let merge_arguments = if merges.is_empty() {
        quote!(_argv: Argv<'_>, _parts: &[&[u8]], _reply: &mut ReplyBuf)
    } else {
        quote!(argv: Argv<'_>, parts: &[&[u8]], reply: &mut ReplyBuf)
    };
    quote! {
        #route_enum

        #merge_enum

        /// Asks a hand-written route for the shard.
        pub fn custom_route(which: CustomRoute, #route_arguments) -> usize {
            match which { #(#route_arms)* }
        }

        /// Calls a hand-written merge.
        pub fn custom_merge(which: CustomMerge, #merge_arguments) {
            match which { #(#merge_arms)* }
        }
    }
}
