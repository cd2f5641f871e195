//! How words of the table become Rust names.
//!
//! Owns: the one mapping from row and argument names to types, methods and fields. Refuses to know: what is emitted with them.

use proc_macro2::{Ident, Span};

use crate::model::{Arg, Row};

/// `CLIENT|NO-EVICT` and `no-evict` to `ClientNoEvict` and `NoEvict`.
pub fn camel(name: &str) -> String {
    name.split(|char: char| !char.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        })
        .collect()
}

/// `CLIENT|NO-EVICT` to `client_no_evict`.
pub fn snake(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '_' }).collect()
}

/// An identifier, raw where the word is a keyword (`r#type`).
pub fn ident(name: &str) -> Ident {
    match syn::parse_str::<Ident>(name) {
        Ok(ident) => ident,
        Err(_) => Ident::new_raw(name, Span::call_site()),
    }
}

/// The variant of `CommandId` and the argument struct of a row.
pub fn row_type(row: &Row) -> Ident {
    ident(&camel(&row.name))
}

/// The trait method of a row.
pub fn row_method(row: &Row) -> Ident {
    ident(&snake(&row.name))
}

/// The trait of a group.
pub fn group_trait(group: &str) -> Ident {
    ident(&format!("{}Commands", camel(group)))
}

/// The field of an argument.
pub fn field(arg: &Arg) -> Ident {
    ident(&snake(&arg.name))
}

/// The enum or struct of an argument, given the name of the one around it.
pub fn arg_type(parent: &str, arg: &Arg) -> String {
    format!("{parent}{}", camel(&arg.name))
}

/// The variant of an argument inside a choice.
pub fn variant(arg: &Arg) -> Ident {
    ident(&camel(&arg.name))
}

/// True when `name` is lower-case words joined by `-`, each beginning with a letter or digit.
pub fn is_kebab(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .split('-')
            .all(|word| !word.is_empty() && word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit()))
}
