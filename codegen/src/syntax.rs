//! The syntax line of a command: `GETEX key [EX seconds | PERSIST]`.
//!
//! Owns: how an argument is shown to people. Refuses to know: where it is shown.

use crate::model::{Arg, Row, Shape};

/// The whole line.
pub fn row(row: &Row) -> String {
    let mut words = vec![row.name.replace('|', " ")];
    words.extend(row.args.iter().map(arg));
    words.join(" ")
}

/// One argument in its place.
pub fn arg(arg: &Arg) -> String {
    let value = value(arg);
    let token = arg.token.as_ref().map(|token| token.value.clone());
    let once = match (&token, value.is_empty()) {
        (Some(token), true) => token.clone(),
        (Some(token), false) => format!("{token} {value}"),
        (None, _) => value.clone(),
    };
    let counted = if arg.counted { format!("{} ", arg.count_name) } else { String::new() };
    let shown = match (arg.multiple, &token) {
        (false, _) => once,
        (true, Some(_)) if arg.token_each => format!("{once} [{once} …]"),
        (true, Some(token)) => format!("{token} {counted}{value} [{value} …]"),
        (true, None) => format!("{counted}{value} [{value} …]"),
    };
    if arg.optional { format!("[{shown}]") } else { shown }
}

/// One value, without token and brackets.
fn value(arg: &Arg) -> String {
    match &arg.shape {
        Shape::Scalar(_) if arg.is_flag() => String::new(),
        Shape::Scalar(_) => arg.doc.clone().unwrap_or_else(|| arg.name.value.clone()),
        Shape::Block(parts) => parts.iter().map(self::arg).collect::<Vec<_>>().join(" "),
        Shape::RestSplit(halves) => {
            halves.iter().map(|half| format!("{0} [{0} …]", half.name.value)).collect::<Vec<_>>().join(" ")
        }
        Shape::OneOf(variants) => {
            let joined = variants.iter().map(self::arg).collect::<Vec<_>>().join(" | ");
            if arg.optional && !arg.multiple && arg.token.is_none() { joined } else { format!("<{joined}>") }
        }
    }
}
