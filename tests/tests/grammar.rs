//! The hardest command lines, parsed into typed arguments: the proof that the table's vocabulary needs no way around it.
//!
//! The rows are in `grammar/hard.toml`, compiled by `build.rs`. Good lines are compared with the arguments they mean, and
//! written back and parsed again; bad ones with the exact error. Start at `good!` and `bad!`.

use kora_runtime::argv::{Argv, ArgvBuf, Many, StreamIdArg};
use kora_runtime::error::CommandError;
use kora_runtime::table::Access;

/// What the table compiles to.
mod hard {
    #![allow(dead_code, unreachable_pub)]
    include!(concat!(env!("OUT_DIR"), "/hard.rs"));
}

use hard::args::*;

/// The words of a line; `''` is the empty word.
fn words(line: &str) -> ArgvBuf {
    let mut argv = ArgvBuf::new();
    for word in line.split_whitespace() {
        argv.push(if word == "''" { b"" } else { word.as_bytes() });
    }
    argv
}

/// The line means these arguments, and these arguments written as words mean themselves.
macro_rules! good {
    ($name:ident, $line:literal, $expected:expr) => {{
        let argv = words($line);
        let parse =
            |argv| $name::parse(argv).unwrap_or_else(|error| panic!("{} {}: {error}", stringify!($name), $line));
        let parsed = parse(argv.as_argv());
        assert_eq!(parsed, $expected, "{} {}", stringify!($name), $line);
        let mut written = ArgvBuf::new();
        parsed.encode(&mut written);
        assert_eq!(parse(written.as_argv()), parsed, "{} {} written back", stringify!($name), $line);
    }};
}

/// The line is refused with this text.
macro_rules! bad {
    ($name:ident, $line:literal, $error:literal) => {
        match $name::parse(words($line).as_argv()) {
            Ok(_) => panic!("{} {} is taken", stringify!($name), $line),
            Err(error) => assert_eq!(error.to_string(), $error, "{} {}", stringify!($name), $line),
        }
    };
}

const SYNTAX: &str = "ERR syntax error";

/// As `bad!`, for syntax errors.
macro_rules! odd {
    ($name:ident, $($line:literal),+) => {
        $(match $name::parse(words($line).as_argv()) {
            Ok(_) => panic!("{} {} is taken", stringify!($name), $line),
            Err(error) => assert_eq!(error.to_string(), SYNTAX, "{} {}", stringify!($name), $line),
        })+
    };
}

/// Repeated words.
fn given<'a>(words: &'a [&'a [u8]]) -> Many<'a, &'a [u8]> {
    Many::Given(words)
}

#[test]
fn set_has_options_that_exclude_each_other() {
    let plain = || Set::new(b"k", b"v");
    good!(Set, "k v", plain());
    good!(Set, "k v nx", Set { condition: Some(SetCondition::Nx), ..plain() });
    good!(Set, "k v NX GET NX get", Set { condition: Some(SetCondition::Nx), get: true, ..plain() });
    good!(
        Set,
        "k v GET PX 1500 XX",
        Set { condition: Some(SetCondition::Xx), get: true, expiry: Some(SetExpiry::Px(1500)), ..plain() }
    );
    good!(Set, "k v EX 5 EX 6", Set { expiry: Some(SetExpiry::Ex(6)), ..plain() });
    good!(Set, "k v EXAT -1", Set { expiry: Some(SetExpiry::Exat(-1)), ..plain() });
    good!(Set, "k v KEEPTTL", Set { expiry: Some(SetExpiry::KeepTtl), ..plain() });
    good!(Set, "'' ''", Set::new(b"", b""));
    bad!(Set, "k", "ERR wrong number of arguments for 'set' command");
    odd!(Set, "k v NX XX", "k v EX", "k v EX 5 PX 5", "k v EX 5 KEEPTTL", "k v FOO", "k v NX FOO", "k v EX abc FOO");
    bad!(Set, "k v EX abc", "ERR value is not an integer or out of range");
    bad!(Set, "k v EX 99999999999999999999", "ERR value is not an integer or out of range");
    bad!(Set, "k v EX +5", "ERR value is not an integer or out of range");
}

#[test]
fn getex_has_one_time_or_none() {
    good!(Getex, "k", Getex::new(b"k"));
    good!(Getex, "k PERSIST", Getex { expiry: Some(GetexExpiry::Persist), ..Getex::new(b"k") });
    good!(Getex, "k pxat 12", Getex { expiry: Some(GetexExpiry::Pxat(12)), ..Getex::new(b"k") });
    odd!(Getex, "k EX 10 PERSIST", "k EX", "k 10");
    bad!(Getex, "k EX 1.5", "ERR value is not an integer or out of range");
}

#[test]
fn zadd_measures_pairs_before_it_judges_them() {
    let pairs = [ZaddData::new(1.5, b"a"), ZaddData::new(f64::NEG_INFINITY, b"b")];
    good!(Zadd, "k 1.5 a -inf b", Zadd::new(b"k", Many::Given(&pairs)));
    good!(
        Zadd,
        "k CH incr XX gt XX 1.5 a",
        Zadd {
            condition: Some(ZaddCondition::Xx),
            comparison: Some(ZaddComparison::Gt),
            changed: true,
            increment: true,
            ..Zadd::new(b"k", Many::Given(&pairs[..1]))
        }
    );
    bad!(Zadd, "k 1", "ERR wrong number of arguments for 'zadd' command");
    odd!(Zadd, "k x a 1", "k NX CH", "k NX CH 1");
    bad!(Zadd, "k NX XX 1 a", "ERR XX and NX options at the same time are not compatible");
    bad!(Zadd, "k 1 a x b", "ERR value is not a valid float");
    bad!(Zadd, "k nan a", "ERR value is not a valid float");
}

#[test]
fn zrange_takes_bounds_as_they_are() {
    good!(Zrange, "k 0 -1", Zrange::new(b"k", b"0", b"-1"));
    good!(
        Zrange,
        "k (1 [x LIMIT 0 1 WITHSCORES BYLEX limit 2 3 REV",
        Zrange {
            by: Some(ZrangeBy::Lex),
            reverse: true,
            limit: Some(ZrangeLimit::new(2, 3)),
            with_scores: true,
            ..Zrange::new(b"k", b"(1", b"[x")
        }
    );
    odd!(Zrange, "k 0 1 BYSCORE BYLEX", "k 0 1 BYLEX BYLEX", "k 0 1 REV REV", "k 0 1 LIMIT 1", "k 0 1 LIMIT");
    bad!(Zrange, "k 0 1 LIMIT a b", "ERR value is not an integer or out of range");
}

#[test]
fn zunionstore_has_as_many_weights_as_keys() {
    let keys: [&[u8]; 2] = [b"a", b"WEIGHTS"];
    good!(Zunionstore, "d 2 a WEIGHTS", Zunionstore::new(b"d", given(&keys)));
    good!(
        Zunionstore,
        "d 2 a WEIGHTS AGGREGATE MAX WEIGHTS 1 -2.5",
        Zunionstore {
            weights: Many::Given(&[1.0, -2.5]),
            aggregate: Some(ZunionstoreAggregate::Max),
            ..Zunionstore::new(b"d", given(&keys))
        }
    );
    bad!(Zunionstore, "d 0 a", "ERR at least 1 input key is needed for 'zunionstore' command");
    bad!(Zunionstore, "d -1 a", "ERR at least 1 input key is needed for 'zunionstore' command");
    bad!(Zunionstore, "d x a", "ERR value is not an integer or out of range");
    odd!(Zunionstore, "d 3 a b", "d 9223372036854775807 a", "d 2 a b WEIGHTS 1", "d 1 a AGGREGATE AVG", "d 1 a b");
    odd!(Zunionstore, "d 1 a WEIGHTS 1 WEIGHTS 1");
    bad!(Zunionstore, "d 2 a b WEIGHTS 1 x", "ERR weight value is not a float");
}

#[test]
fn lmpop_words_its_own_counts() {
    good!(Lmpop, "1 left LEFT", Lmpop::new(given(&[b"left"]), LmpopSide::Left));
    good!(Lmpop, "2 a b RIGHT COUNT 3", Lmpop { count: Some(3), ..Lmpop::new(given(&[b"a", b"b"]), LmpopSide::Right) });
    bad!(Lmpop, "a b", "ERR wrong number of arguments for 'lmpop' command");
    bad!(Lmpop, "x a LEFT", "ERR numkeys should be greater than 0");
    bad!(Lmpop, "0 a LEFT", "ERR numkeys should be greater than 0");
    bad!(Lmpop, "1 a LEFT COUNT 0", "ERR count should be greater than 0");
    bad!(Lmpop, "1 a LEFT COUNT x", "ERR count should be greater than 0");
    odd!(Lmpop, "2 a LEFT", "1 a MIDDLE", "1 a COUNT 1 LEFT", "1 a LEFT COUNT 1 COUNT 2", "1 a LEFT COUNT");
}

#[test]
fn xadd_finds_its_id_behind_options() {
    let fields = [XaddFields::new(b"f", b"v")];
    let plain = || Xadd::new(b"k", XaddId::Auto, Many::Given(&fields));
    good!(Xadd, "k * f v", plain());
    good!(Xadd, "k 1-1 f v", Xadd { id: XaddId::Given(StreamIdArg(b"1-1")), ..plain() });
    good!(
        Xadd,
        "k LIMIT 5 maxlen ~ 10 nomkstream * f v",
        Xadd {
            no_create: true,
            trim: Some(XaddTrim::MaxLen(XaddTrimMaxLen {
                operator: Some(XaddTrimMaxLenOperator::Almost),
                ..XaddTrimMaxLen::new(10)
            })),
            limit: Some(5),
            ..plain()
        }
    );
    good!(
        Xadd,
        "k MINID 5-0 7 f v f v",
        Xadd {
            trim: Some(XaddTrim::MinId(XaddTrimMinId::new(StreamIdArg(b"5-0")))),
            ..Xadd::new(b"k", XaddId::Given(StreamIdArg(b"7")), Many::Given(&[fields[0], fields[0]]))
        }
    );
    bad!(Xadd, "k * f v g", "ERR wrong number of arguments for 'xadd' command");
    bad!(Xadd, "k * f", "ERR wrong number of arguments for 'xadd' command");
    bad!(Xadd, "k MAXLEN -1 * f v", "ERR The MAXLEN argument must be >= 0.");
    bad!(Xadd, "k MAXLEN = * f v", "ERR value is not an integer or out of range");
    bad!(
        Xadd,
        "k MAXLEN 1 MINID 1 * f v",
        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
    );
}

#[test]
fn xreadgroup_splits_what_is_left() {
    let streams = || XreadgroupStreams::new(given(&[b"a", b"b"]), Many::Given(&[StreamIdArg(b">"), StreamIdArg(b"0")]));
    let plain = || Xreadgroup::new(XreadgroupGroup::new(b"g", b"c"), streams());
    good!(Xreadgroup, "GROUP g c STREAMS a b > 0", plain());
    good!(
        Xreadgroup,
        "COUNT 2 NOACK GROUP x y block 0 GROUP g c STREAMS a b > 0",
        Xreadgroup { count: Some(2), block: Some(0), no_ack: true, ..plain() }
    );
    bad!(Xreadgroup, "GROUP g c STREAMS a", "ERR wrong number of arguments for 'xreadgroup' command");
    bad!(Xreadgroup, "COUNT 1 NOACK STREAMS a b > >", "ERR Missing GROUP option for XREADGROUP");
    bad!(
        Xreadgroup,
        "GROUP g c STREAMS a b >",
        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
    );
    bad!(Xreadgroup, "GROUP g c BLOCK -1 STREAMS a >", "ERR timeout is negative");
    bad!(Xreadgroup, "GROUP g c BLOCK x STREAMS a >", "ERR timeout is not an integer or out of range");
    odd!(Xreadgroup, "GROUP g c FOO STREAMS a >", "GROUP g c COUNT 1 NOACK NOACK");
}

#[test]
fn xautoclaim_has_many_places() {
    let plain = || Xautoclaim::new(b"k", b"g", b"c", 10, StreamIdArg(b"0-0"));
    good!(Xautoclaim, "k g c 10 0-0", plain());
    good!(Xautoclaim, "k g c 10 0-0 JUSTID COUNT 5", Xautoclaim { count: Some(5), just_id: true, ..plain() });
    bad!(Xautoclaim, "k g c x 0", "ERR Invalid min-idle-time argument for XAUTOCLAIM");
    bad!(Xautoclaim, "k g c 1 0 COUNT 0", "ERR COUNT must be > 0");
    bad!(Xautoclaim, "k g c 1", "ERR wrong number of arguments for 'xautoclaim' command");
}

#[test]
fn geosearch_needs_two_of_its_options() {
    let from = GeosearchFrom::Position(GeosearchFromPosition::new(15.0, 37.5));
    let by = GeosearchBy::Radius(GeosearchByRadius::new(200.0, GeosearchByRadiusUnit::Km));
    good!(Geosearch, "k FROMLONLAT 15 37.5 BYRADIUS 200 km", Geosearch::new(b"k", from, by));
    good!(
        Geosearch,
        "k WITHHASH BYRADIUS 200 KM DESC COUNT 3 any FROMLONLAT 15 37.5 WITHCOORD WITHDIST ASC",
        Geosearch {
            order: Some(GeosearchOrder::Asc),
            count: Some(GeosearchCount { any: true, ..GeosearchCount::new(3) }),
            with_coord: true,
            with_dist: true,
            with_hash: true,
            ..Geosearch::new(b"k", from, by)
        }
    );
    good!(
        Geosearch,
        "k BYBOX 4 5 M FROMMEMBER m",
        Geosearch::new(
            b"k",
            GeosearchFrom::Member(b"m"),
            GeosearchBy::Box(GeosearchByBox::new(4.0, 5.0, GeosearchByBoxUnit::M))
        )
    );
    bad!(
        Geosearch,
        "k BYRADIUS 200 km ASC COUNT 1 ANY",
        "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geosearch"
    );
    bad!(
        Geosearch,
        "k FROMMEMBER m ASC COUNT 1 ANY",
        "ERR exactly one of BYRADIUS and BYBOX can be specified for geosearch"
    );
    bad!(Geosearch, "k FROMMEMBER m BYRADIUS x km", "ERR need numeric radius");
    bad!(Geosearch, "k FROMMEMBER m BYRADIUS 1 league", "ERR unsupported unit provided. please use M, KM, FT, MI");
    bad!(Geosearch, "k FROMMEMBER m BYRADIUS 1 m COUNT 0", "ERR COUNT must be > 0");
    odd!(Geosearch, "k FROMMEMBER m FROMLONLAT 1 2 BYRADIUS 1 m", "k FROMMEMBER m BYRADIUS 1 m ANY");
}

#[test]
fn sort_collects_an_option_among_others() {
    good!(Sort, "k", Sort::new(b"k"));
    let patterns: [&[u8]; 3] = [b"#", b"GET", b"w_*"];
    good!(
        Sort,
        "k GET # BY x get GET DESC LIMIT 0 5 ALPHA STORE d GET w_* ASC",
        Sort {
            by: Some(b"x"),
            limit: Some(SortLimit::new(0, 5)),
            get: given(&patterns),
            order: Some(SortOrder::Asc),
            alpha: true,
            destination: Some(b"d"),
            ..Sort::new(b"k")
        }
    );
    odd!(Sort, "k GET", "k LIMIT 1", "k GET a b", "k FOO", "k BY");
    bad!(Sort, "k LIMIT a 1", "ERR value is not an integer or out of range");
}

#[test]
fn bitfield_is_a_program() {
    good!(Bitfield, "k", Bitfield::new(b"k"));
    let operations = [
        BitfieldOperations::Overflow(BitfieldOperationsOverflow::Sat),
        BitfieldOperations::Incrby(BitfieldOperationsIncrby::new(b"i5", b"#1", -3)),
        BitfieldOperations::Get(BitfieldOperationsGet::new(b"u4", b"0")),
        BitfieldOperations::Set(BitfieldOperationsSet::new(b"u8", b"8", 255)),
    ];
    good!(
        Bitfield,
        "k OVERFLOW sat INCRBY i5 #1 -3 get u4 0 SET u8 8 255",
        Bitfield { operations: Many::Given(&operations), ..Bitfield::new(b"k") }
    );
    odd!(Bitfield, "k GET u4", "k SET u8 0", "k GET u4 0 FOO", "k OVERFLOW");
    bad!(Bitfield, "k OVERFLOW none", "ERR Invalid OVERFLOW type specified");
    bad!(Bitfield, "k SET u8 0 x", "ERR value is not an integer or out of range");
}

#[test]
fn eval_may_have_no_keys() {
    good!(Eval, "return 0", Eval::new(b"return", Many::none()));
    good!(Eval, "s 1 k a 2", Eval { arguments: given(&[b"a", b"2"]), ..Eval::new(b"s", given(&[b"k"])) });
    bad!(Eval, "s", "ERR wrong number of arguments for 'eval' command");
    bad!(Eval, "s -1", "ERR Number of keys can't be negative");
    bad!(Eval, "s 2 k", "ERR Number of keys can't be greater than number of args");
    bad!(Eval, "s x k", "ERR value is not an integer or out of range");
}

#[test]
fn migrate_has_a_key_that_may_be_empty() {
    let plain = || Migrate::new(b"h", b"6379", b"k", 0, 1000);
    good!(Migrate, "h 6379 k 0 1000", plain());
    good!(
        Migrate,
        "h 6379 '' 0 1000 REPLACE AUTH2 u p COPY KEYS a COPY",
        Migrate {
            key: b"",
            copy: true,
            replace: true,
            login: Some(MigrateLogin::Auth2(MigrateLoginAuth2::new(b"u", b"p"))),
            keys: given(&[b"a", b"COPY"]),
            ..plain()
        }
    );
    good!(Migrate, "h 6379 k 0 1000 KEYS AUTH p", Migrate { keys: given(&[b"AUTH", b"p"]), ..plain() });
    good!(Migrate, "h 6379 k 0 1000 AUTH p", Migrate { login: Some(MigrateLogin::Auth(b"p")), ..plain() });
    odd!(Migrate, "h 6379 k 0 1000 KEYS", "h 6379 k 0 1000 AUTH p AUTH2 u p", "h 6379 k 0 1000 AUTH2 u");
}

#[test]
fn client_kill_has_filters_or_an_address() {
    use ClientKillFilters as Filter;
    good!(ClientKill, "127.0.0.1:80", ClientKill::new(Many::Given(&[Filter::Address(b"127.0.0.1:80")])));
    // A token without its value is an address.
    good!(ClientKill, "ID", ClientKill::new(Many::Given(&[Filter::Address(b"ID")])));
    let filters =
        [Filter::Id(5), Filter::Type(ClientKillFiltersType::Pubsub), Filter::SkipMe(ClientKillFiltersSkipMe::No)];
    good!(ClientKill, "id 5 TYPE pubsub SKIPME no", ClientKill::new(Many::Given(&filters)));
    bad!(ClientKill, "", "ERR wrong number of arguments for 'client|kill' command");
    bad!(ClientKill, "ID 0", "ERR client-id should be greater than 0");
    bad!(ClientKill, "ID x", "ERR client-id should be greater than 0");
    bad!(ClientKill, "TYPE robot", "ERR Unknown client type 'robot'");
    odd!(ClientKill, "SKIPME maybe");
}

#[test]
fn command_list_has_a_choice_behind_a_token() {
    good!(CommandList, "", CommandList::new());
    good!(CommandList, "filterby aclcat fast", CommandList { filter: Some(CommandListFilter::Category(b"fast")) });
    good!(CommandList, "FILTERBY PATTERN x*", CommandList { filter: Some(CommandListFilter::Pattern(b"x*")) });
    odd!(CommandList, "FILTERBY", "FILTERBY ACLCAT", "FILTERBY x y", "x");
}

#[test]
fn acl_setuser_takes_any_words() {
    good!(AclSetuser, "u", AclSetuser::new(b"u"));
    good!(AclSetuser, "u on ~* +@all", AclSetuser { rules: given(&[b"on", b"~*", b"+@all"]), ..AclSetuser::new(b"u") });
    bad!(AclSetuser, "", "ERR wrong number of arguments for 'acl|setuser' command");
}

#[test]
fn doc_find_joins_conditions() {
    let first = DocFindWhere::new(b"age", DocFindWhereOperator::Above, b"30");
    good!(DocFind, "people WHERE age > 30", DocFind::new(b"people", first));
    let more = [
        DocFindAnd::new(b"name", DocFindAndOperator::Equal, b"AND"),
        DocFindAnd::new(b"AND", DocFindAndOperator::Below, b"x"),
    ];
    good!(
        DocFind,
        "people WHERE age > 30 AND name = AND and AND < x LIMIT 10 5",
        DocFind { and: Many::Given(&more), limit: Some(DocFindLimit::new(10, 5)), ..DocFind::new(b"people", first) }
    );
    odd!(
        DocFind,
        "people WHEN age > 30",
        "people WHERE age ~ 30",
        "people WHERE age > 30 AND a =",
        "people WHERE a > 1 b"
    );
    odd!(DocFind, "people WHERE a > 1 LIMIT 1 2 LIMIT 3 4");
    bad!(DocFind, "people WHERE a > 1 LIMIT -1 2", "ERR value is out of range, must be positive");
}

/// The keys of a line as the parser finds them: `<` read, `>` written.
fn keys_of(
    find: fn(Argv<'_>, &mut dyn FnMut(usize, Access)) -> Result<(), CommandError>,
    line: &str,
) -> Result<String, CommandError> {
    let argv = words(line);
    let mut found = Vec::new();
    find(argv.as_argv(), &mut |index, access| {
        let word = argv.as_argv().get(index).expect("a key is one of the words");
        let sign = if access == Access::Write { '>' } else { '<' };
        found.push(format!("{index}{sign}{}", String::from_utf8_lossy(word)));
    })?;
    Ok(found.join(" "))
}

#[test]
fn keys_are_found_wherever_they_stand() {
    let cases: &[(fn(Argv<'_>, &mut dyn FnMut(usize, Access)) -> Result<(), CommandError>, &str, &str)] = &[
        (hard::set_keys, "k v EX 1", "0>k"),
        (hard::sort_keys, "k GET a BY b STORE d", "0<k 6>d"),
        (hard::sort_keys, "k STORE STORE GET STORE", "0<k 2>STORE"),
        (hard::zunionstore_keys, "d 2 a b WEIGHTS 1 2", "0>d 2<a 3<b"),
        (hard::lmpop_keys, "2 a b LEFT", "1>a 2>b"),
        (hard::eval_keys, "s 0 a b", ""),
        (hard::eval_keys, "s 1 a b", "2>a"),
        (hard::migrate_keys, "h 1 k 0 1", "2>k"),
        (hard::migrate_keys, "h 1 '' 0 1 AUTH KEYS KEYS a b", "8>a 9>b"),
        (hard::xreadgroup_keys, "COUNT 1 GROUP STREAMS c STREAMS a b > >", "6>a 7>b"),
        (hard::geosearch_keys, "k FROMMEMBER m BYRADIUS 1 m", "0<k"),
        (hard::bitfield_keys, "k GET u4 0", "0>k"),
    ];
    for (find, line, expected) in cases {
        assert_eq!(keys_of(*find, line).as_deref(), Ok(*expected), "{line}");
    }
    assert_eq!(keys_of(hard::sort_keys, "k STORE"), Err(CommandError::Syntax));
    assert_eq!(keys_of(hard::lmpop_keys, "3 a LEFT"), Err(CommandError::Syntax));
}
