//! What is said of arguments that a row refuses.
//!
//! The cases are command lines with the error that the generated parser gives, or `taken`. With `KORA_ORACLE=1` each line is also
//! sent to redis-server: a refused line must get the same text there, a taken one no error about its arguments.
//! Only what parsing decides stands here; what a handler refuses (times, offsets, options that exclude each other by meaning)
//! is in the transcripts. Start at [`CASES`].

use kora_runtime::argv::{Argv, ArgvBuf};
use kora_runtime::error::CommandError;
use kora_runtime::table::args;
use kora_tests::oracle::{Oracle, VARIABLE};
use kora_tests::resp::Client;

macro_rules! parsers {
    ($($name:literal $row:ident,)*) => {
        fn parse(name: &str, argv: Argv<'_>) -> Result<(), CommandError> {
            match name {
                $($name => args::$row::parse(argv).map(drop),)*
                other => panic!("no parser for {other} in this test"),
            }
        }
    };
}

parsers! {
    "AUTH" Auth, "CLIENT KILL" ClientKill, "CLIENT LIST" ClientList, "CLIENT NO-EVICT" ClientNoEvict,
    "CLIENT REPLY" ClientReply, "COMMAND GETKEYS" CommandGetkeys, "COMMAND LIST" CommandList, "CONFIG SET" ConfigSet,
    "COPY" Copy, "EXPIRE" Expire, "FLUSHALL" Flushall, "GETEX" Getex, "HELLO" Hello, "HMSET" Hmset,
    "HRANDFIELD" Hrandfield, "HSET" Hset, "INCRBYFLOAT" Incrbyfloat, "LCS" Lcs, "LINSERT" Linsert, "LMOVE" Lmove,
    "LMPOP" Lmpop, "LPOP" Lpop, "LPOS" Lpos, "MEMORY USAGE" MemoryUsage, "MSET" Mset, "MSETNX" Msetnx, "PING" Ping,
    "PEXPIREAT" Pexpireat, "SCAN" Scan, "SELECT" Select, "SET" Set, "SETRANGE" Setrange, "SHUTDOWN" Shutdown,
    "SINTERCARD" Sintercard, "SPOP" Spop, "SRANDMEMBER" Srandmember, "SWAPDB" Swapdb, "ZADD" Zadd, "ZCOUNT" Zcount,
    "ZDIFF" Zdiff, "ZDIFFSTORE" Zdiffstore, "ZINTERCARD" Zintercard, "ZLEXCOUNT" Zlexcount, "ZMPOP" Zmpop,
    "ZPOPMIN" Zpopmin, "ZRANDMEMBER" Zrandmember, "ZRANGE" Zrange, "ZRANGEBYLEX" Zrangebylex,
    "ZRANGEBYSCORE" Zrangebyscore, "ZRANGESTORE" Zrangestore, "ZREVRANGE" Zrevrange, "ZUNION" Zunion,
    "ZUNIONSTORE" Zunionstore,
}

/// Command lines, `=>`, and the error, or `taken`. No word holds a space.
const CASES: &str = "
AUTH => ERR wrong number of arguments for 'auth' command
AUTH a b c => ERR syntax error
CLIENT KILL => ERR wrong number of arguments for 'client|kill' command
CLIENT KILL ID 0 => ERR client-id should be greater than 0
CLIENT KILL ID abc => ERR client-id should be greater than 0
CLIENT KILL ID 999 SKIPME yes ID 888 => taken
CLIENT KILL SKIPME foo => ERR syntax error
CLIENT KILL TYPE foo => ERR Unknown client type 'foo'
CLIENT LIST FOO => ERR syntax error
CLIENT LIST ID => ERR syntax error
CLIENT LIST ID 1 abc => ERR Invalid client ID
CLIENT LIST TYPE => ERR syntax error
CLIENT LIST TYPE foo => ERR Unknown client type 'foo'
CLIENT LIST TYPE normal ID 1 => ERR syntax error
CLIENT NO-EVICT foo => ERR syntax error
CLIENT REPLY foo => ERR syntax error
COMMAND GETKEYS GET => ERR wrong number of arguments for 'command|getkeys' command
COMMAND LIST FILTERBY => ERR syntax error
COMMAND LIST FILTERBY FOO x => ERR syntax error
COMMAND LIST FILTERBY PATTERN ge* x => ERR syntax error
COMMAND LIST FOO => ERR syntax error
CONFIG SET a b c => ERR syntax error
COPY a b DB => ERR syntax error
COPY a b DB abc => ERR value is not an integer or out of range
COPY a b FOO => ERR syntax error
COPY a b REPLACE REPLACE DB 1 DB 2 => taken
EXPIRE k 10 FOO => ERR Unsupported option FOO
EXPIRE k 10 GT LT => ERR GT and LT options at the same time are not compatible
EXPIRE k 10 NX NX => taken
EXPIRE k 10 NX XX => ERR NX and XX, GT or LT options at the same time are not compatible
EXPIRE k 10 XX GT => taken
EXPIRE k abc => ERR value is not an integer or out of range
EXPIRE k abc FOO => ERR Unsupported option FOO
FLUSHALL ASYNC ASYNC => ERR syntax error
FLUSHALL ASYNC SYNC => ERR syntax error
FLUSHALL FOO => ERR syntax error
GETEX s EX abc => ERR value is not an integer or out of range
GETEX k EX abc FOO => ERR syntax error
GETEX k KEEPTTL => ERR syntax error
GETEX k PERSIST EX 1 => ERR syntax error
GETEX k PERSIST PERSIST => taken
HELLO 2 AUTH => ERR Syntax error in HELLO option 'AUTH'
HELLO 2 AUTH a => ERR Syntax error in HELLO option 'AUTH'
HELLO 2 FOO => ERR Syntax error in HELLO option 'FOO'
HELLO 2 setname => ERR Syntax error in HELLO option 'setname'
HELLO abc => ERR Protocol version is not an integer or out of range
HMSET k a b c => ERR wrong number of arguments for 'hmset' command
HRANDFIELD k -9223372036854775808 => ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
HRANDFIELD k 1 FOO => ERR syntax error
HRANDFIELD k 1 WITHVALUES x => ERR syntax error
HRANDFIELD k WITHVALUES => ERR value is not an integer or out of range
HRANDFIELD k abc FOO => ERR value is not an integer or out of range
HSET k a => ERR wrong number of arguments for 'hset' command
HSET k a b c => ERR wrong number of arguments for 'hset' command
LCS a b FOO => ERR syntax error
LCS a b LEN MINMATCHLEN 1 MINMATCHLEN 2 => taken
LCS a b MINMATCHLEN => ERR syntax error
LCS a b MINMATCHLEN abc => ERR value is not an integer or out of range
LINSERT k BEFORE a => ERR wrong number of arguments for 'linsert' command
LINSERT k FOO a b => ERR syntax error
LMOVE a b FOO LEFT => ERR syntax error
LMOVE a b LEFT FOO => ERR syntax error
LMPOP -1 a LEFT => ERR numkeys should be greater than 0
LMPOP 0 a LEFT => ERR numkeys should be greater than 0
LMPOP 1 a => ERR wrong number of arguments for 'lmpop' command
LMPOP 1 a FOO => ERR syntax error
LMPOP 1 a LEFT COUNT => ERR syntax error
LMPOP 1 a LEFT COUNT -1 => ERR count should be greater than 0
LMPOP 1 a LEFT COUNT 0 => ERR count should be greater than 0
LMPOP 1 a LEFT COUNT 1 COUNT 2 => ERR syntax error
LMPOP 1 a LEFT COUNT abc => ERR count should be greater than 0
LMPOP 1 a LEFT FOO => ERR syntax error
LMPOP 2 a LEFT => ERR syntax error
LMPOP abc a LEFT => ERR numkeys should be greater than 0
LPOP k -1 => ERR value is out of range, must be positive
LPOP k 1 2 => ERR wrong number of arguments for 'lpop' command
LPOP k 99999999999999999999 => ERR value is out of range, must be positive
LPOP k abc => ERR value is out of range, must be positive
LPOS k e COUNT -1 => ERR COUNT can't be negative
LPOS k e COUNT abc => ERR COUNT can't be negative
LPOS k e FOO 1 => ERR syntax error
LPOS k e MAXLEN -1 => ERR MAXLEN can't be negative
LPOS k e RANK => ERR syntax error
LPOS k e RANK 1 RANK 2 => taken
LPOS k e RANK abc => ERR value is not an integer or out of range
MEMORY USAGE k FOO => ERR syntax error
MEMORY USAGE k SAMPLES => ERR syntax error
MEMORY USAGE k SAMPLES -1 => ERR syntax error
MEMORY USAGE k SAMPLES 1 SAMPLES 2 => taken
MEMORY USAGE k SAMPLES abc => ERR value is not an integer or out of range
MSET a => ERR wrong number of arguments for 'mset' command
MSET a b c => ERR wrong number of arguments for 'mset' command
MSETNX a b c => ERR wrong number of arguments for 'msetnx' command
PEXPIREAT k abc NX FOO => ERR Unsupported option FOO
PING a b => ERR wrong number of arguments for 'ping' command
SCAN 0 COUNT -1 => ERR syntax error
SCAN 0 COUNT 0 => ERR syntax error
SCAN 0 COUNT 5 COUNT 6 => taken
SCAN 0 COUNT abc => ERR value is not an integer or out of range
SCAN 0 FOO => ERR syntax error
SCAN 0 MATCH => ERR syntax error
SCAN 01 => taken
SCAN 18446744073709551615 => taken
SCAN 18446744073709551616 => ERR invalid cursor
SCAN abc => ERR invalid cursor
SELECT abc => ERR value is not an integer or out of range
SET k v EX => ERR syntax error
SET k v EX 10 EX 10 => taken
SET k v EX 10 PX 10 => ERR syntax error
SET k v EX abc => ERR value is not an integer or out of range
SET k v EX abc FOO => ERR syntax error
SET k v GET GET => taken
SET k v KEEPTTL EX 10 => ERR syntax error
SET k v KEEPTTL KEEPTTL => taken
SET k v NX GET => taken
SET k v NX NX => taken
SET k v NX XX => ERR syntax error
SET k v PERSIST => ERR syntax error
SET k v px 100 nx => taken
SETRANGE k -1 v => ERR offset is out of range
SETRANGE k abc v => ERR value is not an integer or out of range
SHUTDOWN FOO => ERR syntax error
SHUTDOWN SAVE NOSAVE => ERR syntax error
SINTERCARD 0 a => ERR numkeys should be greater than 0
SINTERCARD 1 a FOO => ERR syntax error
SINTERCARD 1 a LIMIT => ERR syntax error
SINTERCARD 1 a LIMIT -1 => ERR LIMIT can't be negative
SINTERCARD 1 a LIMIT 1 LIMIT 2 => taken
SINTERCARD 1 a LIMIT abc => ERR LIMIT can't be negative
SINTERCARD 2 a => ERR Number of keys can't be greater than number of args
SINTERCARD abc a => ERR numkeys should be greater than 0
SPOP k -1 => ERR value is out of range, must be positive
SPOP k 1 2 => ERR syntax error
SPOP k abc => ERR value is out of range, must be positive
SRANDMEMBER k -9223372036854775808 => ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807
SRANDMEMBER k 1 2 => ERR syntax error
SRANDMEMBER k abc => ERR value is not an integer or out of range
SWAPDB 0 a => ERR invalid second DB index
SWAPDB a 1 => ERR invalid first DB index
ZADD z 1 a abc b => ERR value is not a valid float
ZADD z 1 a b => ERR syntax error
ZADD z FOO 1 a => ERR syntax error
ZADD z GT LT 1 a => ERR GT, LT, and/or NX options at the same time are not compatible
ZADD z NX NX 1 a => taken
ZADD z NX XX 1 a => ERR XX and NX options at the same time are not compatible
ZADD z abc a => ERR value is not a valid float
ZADD z nan a => ERR value is not a valid float
ZCOUNT z ( 1 => taken
ZCOUNT z a b => ERR min or max is not a float
ZDIFF 0 a => ERR at least 1 input key is needed for 'zdiff' command
ZDIFF 1 a WEIGHTS 1 => ERR syntax error
ZDIFF 1 a WITHSCORES WITHSCORES => taken
ZDIFF 2 a => ERR syntax error
ZDIFF abc a => ERR value is not an integer or out of range
ZDIFFSTORE d 0 a => ERR at least 1 input key is needed for 'zdiffstore' command
ZDIFFSTORE d 1 a FOO => ERR syntax error
ZINTERCARD 0 a => ERR at least 1 input key is needed for 'zintercard' command
ZINTERCARD 1 a LIMIT -1 => ERR LIMIT can't be negative
ZINTERCARD 2 a => ERR syntax error
ZINTERCARD abc a => ERR value is not an integer or out of range
ZLEXCOUNT z a b => ERR min or max not valid string range item
ZMPOP 0 a MIN => ERR numkeys should be greater than 0
ZMPOP 1 a FOO => ERR syntax error
ZMPOP 1 a MIN COUNT 0 => ERR count should be greater than 0
ZMPOP 1 a MIN COUNT 1 COUNT 1 => ERR syntax error
ZMPOP abc a MIN => ERR numkeys should be greater than 0
ZPOPMIN z -1 => ERR value is out of range, must be positive
ZPOPMIN z 1 2 => ERR syntax error
ZRANDMEMBER z 1 WITHSCORES x => ERR syntax error
ZRANDMEMBER z abc => ERR value is not an integer or out of range
ZRANGE z 0 -1 WITHSCORES WITHSCORES => taken
ZRANGE z 0 1 BYSCORE BYLEX => ERR syntax error
ZRANGE z 0 1 BYSCORE BYSCORE => ERR syntax error
ZRANGE z 0 1 BYSCORE LIMIT 0 => ERR syntax error
ZRANGE z 0 1 BYSCORE LIMIT 0 1 LIMIT 0 2 => taken
ZRANGE z 0 1 BYSCORE LIMIT a b => ERR value is not an integer or out of range
ZRANGE z 0 1 REV REV => ERR syntax error
ZRANGE z a b FOO => ERR syntax error
ZRANGEBYLEX z a b => ERR min or max not valid string range item
ZRANGEBYLEX z a b FOO => ERR syntax error
ZRANGEBYSCORE z 0 1 WITHSCORES WITHSCORES LIMIT 0 1 LIMIT 0 2 => taken
ZRANGEBYSCORE z a b => ERR min or max is not a float
ZRANGEBYSCORE z a b FOO => ERR syntax error
ZRANGEBYSCORE z a b LIMIT a b => ERR value is not an integer or out of range
ZRANGESTORE d z 0 1 BYSCORE LIMIT 0 => ERR syntax error
ZRANGESTORE d z 0 1 WITHSCORES => ERR syntax error
ZREVRANGE z a b => ERR value is not an integer or out of range
ZREVRANGE z a b FOO => ERR syntax error
ZUNION -1 a => ERR at least 1 input key is needed for 'zunion' command
ZUNION 0 a => ERR at least 1 input key is needed for 'zunion' command
ZUNION 1 a AGGREGATE FOO => ERR syntax error
ZUNION 1 a AGGREGATE SUM AGGREGATE MIN => taken
ZUNION 1 a WEIGHTS 1 2 => ERR syntax error
ZUNION 1 a WEIGHTS 1 WEIGHTS 2 => taken
ZUNION 1 a WEIGHTS a => ERR weight value is not a float
ZUNION 1 a WEIGHTS nan => ERR weight value is not a float
ZUNION 2 a => ERR syntax error
ZUNION 2 a b WEIGHTS 1 => ERR syntax error
ZUNION 2 a b WEIGHTS 1 AGGREGATE => ERR weight value is not a float
ZUNION 2 a b WEIGHTS x => ERR syntax error
ZUNION abc a => ERR value is not an integer or out of range
ZUNIONSTORE d 1 a WITHSCORES => ERR syntax error
ZUNIONSTORE d 2 a => ERR syntax error
";

fn cases() -> impl Iterator<Item = (Vec<&'static str>, &'static str)> {
    CASES.lines().filter(|line| !line.is_empty()).map(|line| {
        let (words, said) = line.split_once(" => ").expect("every case has an outcome");
        (words.split(' ').collect(), said)
    })
}

/// How many words of a line are the name.
fn name_words(words: &[&str]) -> usize {
    let container = matches!(words[0], "CLIENT" | "COMMAND" | "CONFIG" | "MEMORY");
    1 + usize::from(container)
}

#[test]
fn parsers_say_what_is_written_here() {
    let mut problems = Vec::new();
    for (words, said) in cases() {
        let (name, arguments) = words.split_at(name_words(&words));
        let mut buffer = ArgvBuf::new();
        arguments.iter().for_each(|word| buffer.push(word.as_bytes()));
        let got = match parse(&name.join(" "), buffer.as_argv()) {
            Ok(()) => "taken".to_owned(),
            Err(error) => error.to_string(),
        };
        if got != said {
            problems.push(format!("{}\n    expected: {said}\n    got:      {got}", words.join(" ")));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn redis_server_says_the_same_of_arguments() {
    if !Oracle::is_wanted() {
        eprintln!("not compared with redis-server: {VARIABLE} is not set");
        return;
    }
    let oracle = Oracle::start().expect("redis-server is installed");
    let mut client = Client::connect(oracle.address()).expect("redis-server listens");
    let mut problems = Vec::new();
    for (words, said) in cases() {
        client.call(&["FLUSHALL"]).expect("redis-server answers");
        // GETEX looks at its arguments only when there is something to expire.
        client.call(&["SET", "s", "v"]).expect("redis-server answers");
        let reply = client.call(&words).expect("redis-server answers");
        let got = if reply.is_error() {
            String::from_utf8_lossy(reply.bytes().unwrap_or_default()).into_owned()
        } else {
            "taken".into()
        };
        if got != said {
            problems.push(format!("{}\n    expected:     {said}\n    redis-server: {got}", words.join(" ")));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
