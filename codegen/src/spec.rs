//! From TOML to rows: every key and word is looked up, every mistake noted with its place.
//!
//! Owns: the shape of `commands.toml`. Refuses to know: whether facts agree with each other (`check`), Rust source.
//! Start at [`read`]; [`Fields`] is how a TOML table is taken apart.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{At, Lines, Report, Spanned};
use crate::model::*;
use crate::suggest;

/// The keys of a row, in the order they must stand in.
pub const ROW_KEYS: &[&str] = &[
    "name",
    "group",
    "since",
    "summary",
    "complexity",
    "access",
    "flags",
    "acl",
    "tips",
    "route",
    "wal",
    "reply",
    "surplus",
    "option-error",
    "args",
];

const ARG_KEYS: &[&str] = &[
    "name",
    "type",
    "one-of",
    "block",
    "rest-split",
    "token",
    "optional",
    "multiple",
    "token-each",
    "counted",
    "count-min",
    "count-name",
    "as-many-as",
    "repeatable",
    "last-wins",
    "late",
    "min",
    "any-order",
    "empty-is-none",
    "access",
    "key-flags",
    "error",
    "errors",
    "doc",
];

/// Words of COMMAND INFO that follow from other facts.
const DERIVED_FLAGS: &[&str] = &["readonly", "write", "movablekeys"];
const DERIVED_HELP: &str = "it follows from `access` and the keys, and is never written";

/// Reads a table; what cannot be read is reported and left out.
pub fn read(text: &str, report: &mut Report, file: &str) -> Table {
    let lines = Lines::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(START, |span| lines.at(span.start));
        report.error(at, error.message().to_owned());
    }
    let mut table = Table { file: file.to_owned(), groups: Vec::new(), rows: Vec::new() };
    let mut reader = Reader { lines: &lines, report };
    let mut top = Fields::new(&mut reader, document.get_ref(), START, "the file", &["group", "command"]);
    let groups = top.table("group");
    let commands = top.array("command");
    for (name, value) in groups {
        if let Some(group) = reader.group(name, value) {
            table.groups.push(group);
        }
    }
    for (at, value) in commands {
        if let Some(row) = reader.row(value, at) {
            table.rows.push(row);
        }
    }
    let containers: Vec<String> = table.containers().iter().map(|(name, _)| (*name).to_owned()).collect();
    for row in &mut table.rows {
        row.is_container = containers.contains(&row.name.value);
    }
    table
}

struct Reader<'r, 't> {
    lines: &'r Lines<'t>,
    report: &'r mut Report,
}

impl Reader<'_, '_> {
    fn at(&self, span: Range<usize>) -> At {
        self.lines.at(span.start)
    }

    fn group(&mut self, name: Spanned<String>, value: &DeValue<'_>) -> Option<Group> {
        let Some(table) = value.as_table() else {
            self.report.error(name.at, format!("[group.{}] must be a table", name.value));
            return None;
        };
        let mut fields = Fields::new(self, table, name.at, "a group", &["owner"]);
        let owner = fields.word("owner", Owner::WORDS, Owner::from_word).map_or(Owner::Runtime, |owner| owner.value);
        Some(Group { name, owner })
    }

    fn row(&mut self, value: &DeValue<'_>, at: At) -> Option<Row> {
        let Some(table) = value.as_table() else {
            self.report.error(at, "a command must be a table");
            return None;
        };
        let mut fields = Fields::new(self, table, at, "a command", ROW_KEYS);
        fields.check_order(ROW_KEYS);
        let name = fields.required_string("name");
        let group = fields.required_string("group");
        let since = fields.required_string("since");
        let summary = fields.required_string("summary");
        let complexity = fields.required_string("complexity");
        let access = fields.required_word("access", Access::WORDS, Access::from_word);
        let flags = fields.words("flags", Flag::WORDS, Flag::from_word);
        let acl = fields.strings("acl");
        let tips = fields.strings("tips");
        let route = fields.route();
        let wal = fields.required_word("wal", Wal::WORDS, Wal::from_word);
        let reply = fields.reply();
        let surplus = fields.word("surplus", Surplus::WORDS, Surplus::from_word);
        let option_error = fields.string("option-error");
        let args = fields.array("args");
        let args = self.args(&args, false);
        Some(Row {
            name: name?,
            group: group?,
            since: since?,
            summary: summary?,
            complexity: complexity?,
            access: access?,
            flags,
            acl,
            tips,
            route: route?,
            wal: wal?,
            reply: reply?,
            surplus: surplus.map_or(Surplus::Syntax, |surplus| surplus.value),
            option_error,
            args,
            number: 0,
            is_container: false,
        })
    }

    fn args(&mut self, values: &[(At, &DeValue<'_>)], in_choice: bool) -> Vec<Arg> {
        let mut args: Vec<Arg> = values.iter().filter_map(|(at, value)| self.arg(value, *at)).collect();
        if !in_choice {
            // A word alone can only be there or not.
            args.iter_mut().filter(|arg| arg.is_flag()).for_each(|flag| flag.optional = true);
        }
        args
    }

    fn arg(&mut self, value: &DeValue<'_>, at: At) -> Option<Arg> {
        let Some(table) = value.as_table() else {
            self.report.error(at, "an argument must be a table { name = …, type = … }");
            return None;
        };
        let mut fields = Fields::new(self, table, at, "an argument", ARG_KEYS);
        let name = fields.required_string("name");
        let scalar = fields.word("type", Type::WORDS, Type::from_word);
        let has = |key: &str| table.contains_key(key);
        let shapes = ["type", "one-of", "block", "rest-split"].into_iter().filter(|key| has(key)).count();
        let (one_of, block, rest_split) = (fields.array("one-of"), fields.array("block"), fields.array("rest-split"));
        let token = fields.string("token");
        let optional = fields.flag("optional");
        let multiple = fields.flag("multiple");
        let token_each = fields.flag("token-each");
        let counted = fields.flag("counted");
        let count_min = fields.count("count-min").unwrap_or(1);
        let count_name = fields.string("count-name").map_or_else(|| "numkeys".to_owned(), |name| name.value);
        let as_many_as = fields.string("as-many-as");
        let repeatable = has("repeatable").then(|| fields.flag("repeatable"));
        let last_wins = fields.flag("last-wins");
        let late = fields.flag("late");
        let min = fields.integer("min");
        let any_order = fields.flag("any-order");
        let empty_is_none = fields.flag("empty-is-none");
        let access = fields.word("access", Access::WORDS, Access::from_word);
        let key_flags = has("key-flags").then(|| fields.strings("key-flags"));
        let error = fields.string("error").map(|text| text.value);
        let errors = fields.errors();
        let doc = fields.string("doc").map(|text| text.value);
        let token_only = shapes == 0 && token.is_some();
        if shapes > 1 {
            self.report.error(at, "an argument has one of `type`, `one-of`, `block` and `rest-split`, not several");
        }
        let shape = if has("one-of") {
            Shape::OneOf(self.args(&one_of, true))
        } else if has("block") {
            Shape::Block(self.args(&block, false))
        } else if has("rest-split") {
            Shape::RestSplit(self.args(&rest_split, false))
        } else if let Some(scalar) = scalar {
            Shape::Scalar(scalar.value)
        } else if token_only {
            Shape::Scalar(Type::Flag)
        } else {
            if shapes == 0 {
                self.report.error(at, "an argument needs `type`, `one-of`, `block` or `rest-split`");
            }
            return None;
        };
        Some(Arg {
            name: name?,
            shape,
            token,
            optional,
            multiple: multiple || counted || token_each || as_many_as.is_some(),
            token_each,
            counted,
            count_min,
            count_name,
            as_many_as,
            repeatable,
            last_wins,
            late,
            min,
            any_order,
            empty_is_none,
            access,
            key_flags: key_flags.map(|flags| flags.into_iter().map(|flag| flag.value).collect()),
            error,
            errors,
            doc,
        })
    }
}

/// A TOML table that is being taken apart. Unknown keys are reported when it is opened.
struct Fields<'f, 'r, 't, 'd> {
    reader: &'f mut Reader<'r, 't>,
    table: &'d DeTable<'d>,
    at: At,
    what: &'static str,
}

impl<'f, 'r, 't, 'd> Fields<'f, 'r, 't, 'd> {
    fn new(
        reader: &'f mut Reader<'r, 't>,
        table: &'d DeTable<'d>,
        at: At,
        what: &'static str,
        known: &'static [&'static str],
    ) -> Self {
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let at = reader.at(key.span());
                let help = suggest::help(key.get_ref(), known);
                reader.report.error_with_help(at, format!("unknown key \"{}\" in {what}", key.get_ref()), help);
            }
        }
        Self { reader, table, at, what }
    }

    /// Reports the first key that stands before one that should precede it.
    fn check_order(&mut self, order: &[&'static str]) {
        let mut keys: Vec<_> = self
            .table
            .keys()
            .filter_map(|key| Some((key.span().start, order.iter().position(|known| known == key.get_ref())?)))
            .collect();
        keys.sort_unstable();
        for pair in keys.windows(2) {
            let [(_, before), (start, after)] = pair else { continue };
            if after < before {
                let at = self.reader.lines.at(*start);
                let message = format!("`{}` stands before `{}` in a row", order[*after], order[*before]);
                self.reader.report.error(at, message);
                return;
            }
        }
    }

    fn get(&mut self, key: &str) -> Option<(&'d DeValue<'d>, At)> {
        let value = self.table.get(key)?;
        Some((value.get_ref(), self.reader.at(value.span())))
    }

    fn mismatch(&mut self, key: &str, wanted: &str, value: &DeValue<'_>, at: At) {
        self.reader.report.error(at, format!("`{key}` must be {wanted}, not {}", value.type_str()));
    }

    fn missing(&mut self, key: &str) {
        self.reader.report.error(self.at, format!("{} needs `{key}`", self.what));
    }

    fn string(&mut self, key: &str) -> Option<Spanned<String>> {
        let (value, at) = self.get(key)?;
        match value.as_str() {
            Some(text) => Some(Spanned::new(text.to_owned(), at)),
            None => {
                self.mismatch(key, "a string", value, at);
                None
            }
        }
    }

    fn required_string(&mut self, key: &str) -> Option<Spanned<String>> {
        if !self.table.contains_key(key) {
            self.missing(key);
        }
        self.string(key)
    }

    fn flag(&mut self, key: &str) -> bool {
        let Some((value, at)) = self.get(key) else { return false };
        match value.as_bool() {
            Some(flag) => flag,
            None => {
                self.mismatch(key, "true or false", value, at);
                false
            }
        }
    }

    fn integer(&mut self, key: &str) -> Option<i64> {
        let (value, at) = self.get(key)?;
        let number = value.as_integer().and_then(|digits| i64::from_str_radix(digits.as_str(), digits.radix()).ok());
        if number.is_none() {
            self.mismatch(key, "an integer", value, at);
        }
        number
    }

    fn count(&mut self, key: &str) -> Option<u32> {
        let number = self.integer(key)?;
        let count = u32::try_from(number).ok();
        if count.is_none() {
            self.reader.report.error(self.at, format!("`{key}` must not be negative"));
        }
        count
    }

    fn strings(&mut self, key: &str) -> Vec<Spanned<String>> {
        let mut strings = Vec::new();
        for (at, value) in self.array(key) {
            match value.as_str() {
                Some(text) => strings.push(Spanned::new(text.to_owned(), at)),
                None => self.mismatch(key, "an array of strings", value, at),
            }
        }
        strings
    }

    fn known<T>(
        &mut self,
        key: &str,
        word: &str,
        at: At,
        known: &[&'static str],
        read: fn(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let value = read(word);
        if value.is_none() {
            let derived = key == "flags" && DERIVED_FLAGS.contains(&word);
            let help = if derived { DERIVED_HELP.to_owned() } else { suggest::help(word, known) };
            let what = if key == "flags" { "flag" } else { key };
            self.reader.report.error_with_help(at, format!("unknown {what} \"{word}\""), help);
        }
        Some(Spanned::new(value?, at))
    }

    fn word<T>(&mut self, key: &str, known: &[&'static str], read: fn(&str) -> Option<T>) -> Option<Spanned<T>> {
        let word = self.string(key)?;
        self.known(key, &word.value, word.at, known, read)
    }

    fn required_word<T>(
        &mut self,
        key: &str,
        known: &[&'static str],
        read: fn(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        if !self.table.contains_key(key) {
            self.missing(key);
        }
        self.word(key, known, read)
    }

    fn words<T>(&mut self, key: &str, known: &[&'static str], read: fn(&str) -> Option<T>) -> Vec<Spanned<T>> {
        let words = self.strings(key);
        words.iter().filter_map(|word| self.known(key, &word.value, word.at, known, read)).collect()
    }

    fn array(&mut self, key: &str) -> Vec<(At, &'d DeValue<'d>)> {
        let Some((value, at)) = self.get(key) else { return Vec::new() };
        match value.as_array() {
            Some(array) => array.iter().map(|item| (self.reader.at(item.span()), item.get_ref())).collect(),
            None => {
                self.mismatch(key, "an array", value, at);
                Vec::new()
            }
        }
    }

    fn table(&mut self, key: &str) -> Vec<(Spanned<String>, &'d DeValue<'d>)> {
        let Some((value, at)) = self.get(key) else { return Vec::new() };
        let Some(table) = value.as_table() else {
            self.mismatch(key, "a table", value, at);
            return Vec::new();
        };
        let mut entries: Vec<_> = table
            .iter()
            .map(|(name, value)| {
                (Spanned::new(name.get_ref().to_string(), self.reader.at(name.span())), value.get_ref())
            })
            .collect();
        entries.sort_by_key(|(name, _)| name.at);
        entries
    }

    fn errors(&mut self) -> Errors {
        let mut errors = Errors::default();
        for (key, value) in self.table("errors") {
            let Some(text) = value.as_str() else {
                self.mismatch("errors", "a table of strings", value, key.at);
                continue;
            };
            let slot = match key.value.as_str() {
                "zero" => &mut errors.zero,
                "many" => &mut errors.many,
                "integer" => &mut errors.integer,
                "odd" => &mut errors.odd,
                "conflict" => &mut errors.conflict,
                "missing" => &mut errors.missing,
                "min" => &mut errors.min,
                other => {
                    let help = suggest::help(other, Errors::WORDS);
                    self.reader.report.error_with_help(key.at, format!("unknown key \"{other}\" in `errors`"), help);
                    continue;
                }
            };
            *slot = Some(text.to_owned());
        }
        errors
    }

    fn route(&mut self) -> Option<Spanned<Route>> {
        let Some((value, at)) = self.get("route") else {
            self.missing("route");
            return None;
        };
        if let Some(word) = value.as_str() {
            return self.known("route", word, at, Route::WORDS, |word| {
                Some(match word {
                    "key" => Route::Key,
                    "gather" => Route::Gather,
                    "any" => Route::Any,
                    "connection" => Route::Connection,
                    _ => return None,
                })
            });
        }
        let entries = self.table("route");
        let [(key, inner)] = &entries[..] else {
            self.reader.report.error(at, "`route` is a word or a table with one key");
            return None;
        };
        let route = match key.value.as_str() {
            "split" => Route::Split(self.merge(inner, key.at)?),
            "all-shards" => Route::AllShards(self.merge(inner, key.at)?),
            "scatter" => Route::Scatter(self.merge(inner, key.at)?),
            "custom" => Route::Custom(self.custom(inner, key.at)?),
            other => {
                let help = suggest::help(other, Route::TABLE_WORDS);
                self.reader.report.error_with_help(key.at, format!("unknown route \"{other}\""), help);
                return None;
            }
        };
        Some(Spanned::new(route, at))
    }

    fn merge(&mut self, value: &DeValue<'_>, at: At) -> Option<Merge> {
        if let Some(word) = value.as_str() {
            return Some(self.known("merge", word, at, Merge::WORDS, Merge::from_word)?.value);
        }
        let custom = value.as_table().and_then(|table| table.get("custom").filter(|_| table.len() == 1));
        match custom {
            Some(name) => Some(Merge::Custom(self.custom(name.get_ref(), at)?)),
            None => {
                self.reader.report.error(at, "a merge is a word or { custom = \"…\" }");
                None
            }
        }
    }

    fn custom(&mut self, value: &DeValue<'_>, at: At) -> Option<String> {
        let name = value.as_str().filter(|name| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
        });
        if name.is_none() {
            self.reader.report.error(at, "`custom` names a function, as in \"client_list\"");
        }
        name.map(str::to_owned)
    }

    fn reply(&mut self) -> Option<Spanned<Reply>> {
        if !self.table.contains_key("reply") {
            self.missing("reply");
        }
        let text = self.string("reply")?;
        match read_reply(&text.value) {
            Ok(alternatives) => Some(Spanned::new(Reply { text: text.value, alternatives }, text.at)),
            Err((message, help)) => {
                match help {
                    Some(help) => self.reader.report.error_with_help(text.at, message, help),
                    None => self.reader.report.error(text.at, message),
                }
                None
            }
        }
    }
}

type ReplyMistake = (String, Option<String>);

/// Reads `ok|bulk?`, `array<bulk?>`, `map<bulk,double>?`.
pub fn read_reply(text: &str) -> Result<Vec<ReplyType>, ReplyMistake> {
    split_outside(text, '|').into_iter().map(read_reply_type).collect()
}

fn read_reply_type(text: &str) -> Result<ReplyType, ReplyMistake> {
    let text = text.trim();
    let (body, nullable) = match text.strip_suffix('?') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let kind = match body.split_once('<') {
        None => match body {
            "ok" => ReplyKind::Ok,
            "integer" => ReplyKind::Integer,
            "simple" => ReplyKind::Simple,
            "bulk" => ReplyKind::Bulk,
            "double" => ReplyKind::Double,
            "bool" => ReplyKind::Bool,
            "verbatim" => ReplyKind::Verbatim,
            "any" => ReplyKind::Any,
            word if ReplyKind::AGGREGATES.contains(&word) => {
                return Err((format!("reply \"{word}\" needs its elements, as in \"{word}<bulk>\""), None));
            }
            word => {
                let known = [ReplyKind::SCALARS, ReplyKind::AGGREGATES].concat();
                return Err((format!("unknown reply \"{word}\""), Some(suggest::help(word, &known))));
            }
        },
        Some((word, rest)) => {
            let Some(inner) = rest.strip_suffix('>') else {
                return Err((format!("reply \"{text}\" lacks a `>`"), None));
            };
            let parts = split_outside(inner, ',').into_iter().map(read_reply_type).collect::<Result<Vec<_>, _>>()?;
            match (word, &parts[..]) {
                ("array", [item]) => ReplyKind::Array(Box::new(item.clone())),
                ("set", [item]) => ReplyKind::Set(Box::new(item.clone())),
                ("map", [key, value]) => ReplyKind::Map(Box::new(key.clone()), Box::new(value.clone())),
                ("array" | "set", _) => return Err((format!("`{word}` has one element type"), None)),
                ("map", _) => return Err(("`map` has a key and a value type".to_owned(), None)),
                _ => {
                    let help = suggest::help(word, ReplyKind::AGGREGATES);
                    return Err((format!("unknown collection \"{word}\""), Some(help)));
                }
            }
        }
    };
    Ok(ReplyType { kind, nullable })
}

/// Splits at `separator` where no `<` is open.
fn split_outside(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (at, char) in text.char_indices() {
        match char {
            '<' => depth += 1,
            '>' => depth -= 1,
            _ if char == separator && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + char.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}
