//! What the engine does around a script: limits, interruption, the cache, libraries and their dumps.
//!
//! Owns: those tests, with a caller that records what it is asked. What scripts themselves see is compared with redis-server in kora-tests.

use kora_runtime::reply::{Protocol, ReplyBuf};

use super::*;

/// A caller that counts and stops a script after so many questions.
#[derive(Default)]
struct Recorder {
    asked: u32,
    kill_at: Option<u32>,
    ns_per_question: u64,
    log: Vec<(LogLevel, String)>,
    propagation: Option<Propagation>,
    reply: Vec<u8>,
    calls: Vec<Vec<Vec<u8>>>,
}

impl Caller for Recorder {
    fn call(&mut self, words: &[&[u8]], _: bool, reply: &mut Vec<u8>) {
        self.calls.push(words.iter().map(|word| word.to_vec()).collect());
        reply.extend_from_slice(if self.reply.is_empty() { b"+OK\r\n" } else { &self.reply });
    }
    fn log(&mut self, level: LogLevel, text: &[u8]) {
        self.log.push((level, String::from_utf8_lossy(text).into_owned()));
    }
    fn acl_check(&mut self, words: &[&[u8]]) -> Option<bool> {
        match words[0] {
            b"get" => Some(true),
            b"set" => Some(false),
            _ => None,
        }
    }
    fn set_propagation(&mut self, propagation: Propagation) {
        self.propagation = Some(propagation);
    }
    fn now_ns(&self) -> u64 {
        u64::from(self.asked) * self.ns_per_question
    }
    fn interrupt(&mut self) -> Interrupt {
        self.asked += 1;
        if self.kill_at.is_some_and(|at| self.asked >= at) { Interrupt::Kill } else { Interrupt::Continue }
    }
}

fn eval_with(scripts: &mut Scripts<Recorder>, text: &str, caller: Recorder) -> (Recorder, String) {
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    match scripts.find_or_compile(text.as_bytes()) {
        Err(error) => (caller, format!("-{error}\r\n")),
        Ok(script) => {
            let (caller, failed) = scripts.run(script, &[b"k"], &[b"a"], caller, &mut reply);
            let text = String::from_utf8_lossy(reply.as_bytes()).into_owned();
            assert_eq!(failed, text.contains(" script: ") || text == "-ERR not enough memory\r\n", "{text}");
            (caller, text)
        }
    }
}

fn eval(scripts: &mut Scripts<Recorder>, text: &str) -> String {
    eval_with(scripts, text, Recorder::default()).1
}

fn check(text: &str, expected: &str) {
    assert_eq!(eval(&mut Scripts::default(), text), expected, "{text}");
}

#[test]
fn a_killed_script_cannot_catch_it() {
    for text in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do local co = coroutine.create(function() while true do end end) coroutine.resume(co) end",
        "while true do xpcall(function() while true do end end, function() end) end",
        "local function f() return pcall(f) end while true do f() end",
        "local co = coroutine.wrap(function() while true do pcall(function() while true do end end) end end) co()",
    ] {
        let mut scripts = Scripts::default();
        let caller = Recorder { kill_at: Some(3), ..Recorder::default() };
        let (caller, reply) = eval_with(&mut scripts, text, caller);
        assert!(reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "), "{text}: {reply}");
        assert!(reply.ends_with(", on @user_script:1.\r\n"), "{text}: {reply}");
        assert!(caller.asked < 20, "{text}: asked {} times", caller.asked);
        assert_eq!(eval(&mut scripts, "local n = 0 for i = 1, 1e6 do n = n + 1 end return n"), ":1000000\r\n");
    }
}

#[test]
fn memory_runs_out_for_the_script_alone() {
    for text in [
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "return string.rep('x', 1e9)",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = cjson.encode(t) .. #t end",
        "local s = cmsgpack.pack({1, 2, 3}) local t = {} while true do t[#t + 1] = {cmsgpack.unpack(s)} end",
        "local t = {} while true do t[#t + 1] = redis.call('x') end",
        "local t = {} while true do local ok, e = pcall(string.rep, 'x', 1e6) t[#t + 1] = e .. #t end",
    ] {
        let mut scripts = Scripts::new(10, 10_000, 4 << 20);
        let reply = eval(&mut scripts, text);
        assert!(reply.contains("not enough memory"), "{text}: {reply}");
        assert_eq!(eval(&mut scripts, "return 7"), ":7\r\n");
        assert_eq!(eval(&mut scripts, "return #string.rep('x', 1e6)"), ":1000000\r\n");
        assert!(scripts.heap_bytes() < 5 << 20, "{text}: {}", scripts.heap_bytes());
    }
}

#[test]
fn long_replies_count_against_the_heap() {
    let mut scripts = Scripts::new(10, 10_000, 4 << 20);
    let reply = format!("${}\r\n{}\r\n", 8 << 20, "x".repeat(8 << 20)).into_bytes();
    let caller = Recorder { reply, ..Recorder::default() };
    let (_, text) = eval_with(&mut scripts, "return #redis.call('get', 'k')", caller);
    assert!(text.starts_with("-ERR not enough memory"), "{text}");
    assert_eq!(eval(&mut scripts, "return 1"), ":1\r\n");
}

#[test]
fn many_errors_and_values_do_not_use_references_up() {
    check("for i = 1, 30000 do pcall(redis.sha1hex) end return 1", ":1\r\n");
    check("local t = {} for i = 1, 20000 do t['k' .. i] = 'v' .. i end return #cjson.encode(t) > 0 and 1", ":1\r\n");
    let text = eval(&mut Scripts::default(), "local t = {} for i = 1, 20000 do t['k' .. i] = 'v' end return {map = t}");
    assert!(text.starts_with("*40000\r\n"), "{}", &text[..20]);
    let text = eval(&mut Scripts::default(), "local t = {} for i = 1, 20000 do t['k' .. i] = 1 end return {set = t}");
    assert!(text.starts_with("*20000\r\n"), "{}", &text[..20]);
}

#[test]
fn tables_nested_too_deep_end_with_an_error_inside() {
    let text = eval(&mut Scripts::default(), "local t = {} for i = 1, 100000 do t = {t} end return t");
    assert!(text.ends_with("*1\r\n-ERR reached lua stack limit\r\n"));
    check("local t = {} t[1] = t return #cmsgpack.pack(t)", ":17\r\n");
}

#[test]
fn the_stack_of_the_thread_is_not_used_up() {
    let deep = "local function f(n) if n == 0 then return 'x' end return (string.gsub('a', 'a', function() return f(n - 1) end)) end ";
    check(&format!("{deep} return f(150)"), "$1\r\nx\r\n");
    let text = eval(&mut Scripts::default(), &format!("{deep} return f(100000)"));
    assert!(text.contains("stack overflow"), "{text}");
    for name in ["find", "match", "gmatch", "gfind"] {
        let call = format!("string.{name}(string.rep('a', 1e5), string.rep('a?', 1e5))");
        let text = eval(&mut Scripts::default(), &format!("local r = {call} return r"));
        assert!(text.starts_with("-ERR user_script:1: pattern too complex script: "), "{text}");
    }
    check("return ('a'):rep(1e5):find(('a?'):rep(1e5), 1, true)", "$-1\r\n");
    check("return ('b'):rep(1000):match('b*' .. ('b'):rep(300)) and 1", ":1\r\n");
    check("local s = ('x'):rep(5000) return #s:gsub(s, 'y')", ":1\r\n");
    let nested = format!("return {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let text = eval(&mut Scripts::default(), &nested);
    assert!(text.starts_with("-ERR Error compiling script (new function): "), "{text}");
    let nested = "local s = string.rep('{', 1e5) return loadstring('return ' .. s) == nil";
    check(nested, ":1\r\n");
    let text = eval(
        &mut Scripts::default(),
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]",
    );
    assert!(text.contains("stack overflow"), "{text}");
}

#[test]
fn callers_get_words_and_requests_as_they_are() {
    let caller = Recorder::default();
    let script = "redis.call('set', KEYS[1], ARGV[1], 1, 1.5, 'a\\0b') redis.log(redis.LOG_WARNING, 'x', 1, {}) \
                  redis.set_repl(redis.REPL_AOF) return {redis.acl_check_cmd('get'), redis.acl_check_cmd('set')}";
    let (caller, reply) = eval_with(&mut Scripts::default(), script, caller);
    assert_eq!(reply, "*2\r\n:1\r\n$-1\r\n");
    let words: Vec<&[u8]> = vec![b"set", b"k", b"a", b"1", b"1.5", b"a\0b"];
    assert_eq!(caller.calls, vec![words.iter().map(|word| word.to_vec()).collect::<Vec<_>>()]);
    assert_eq!(caller.log, vec![(LogLevel::Warning, "x 1".to_owned())]);
    assert_eq!(caller.propagation, Some(Propagation { log: true, replicas: false }));
}

#[test]
fn nothing_of_one_script_is_left_to_the_next() {
    let mut scripts = Scripts::default();
    for text in [
        "rawset(redis, 1, 'x')",
        "table.insert(redis, 'x')",
        "table.insert(_G, 'x')",
        "setmetatable(_G, nil)",
        "getmetatable('').__index = nil",
        "rawset(getmetatable(''), 'x', 1)",
        "getmetatable(_G).__index = nil",
        "string.upper = nil",
        "redis.call = nil",
        "x = 1",
        "redis.setresp(3)",
        "collectgarbage('stop')",
    ] {
        let _reply = eval(&mut scripts, text);
    }
    assert_eq!(
        eval(&mut scripts, "return {redis[1] or 'n', rawget(_G, 1) or 'n', ('x'):upper()}"),
        "*3\r\n$1\r\nn\r\n$1\r\nn\r\n$1\r\nX\r\n"
    );
    assert_eq!(
        eval(&mut scripts, "return {getmetatable('').x or 'n', redis.call('x').ok, true}"),
        "*3\r\n$1\r\nn\r\n$2\r\nOK\r\n:1\r\n"
    );
}

#[test]
fn the_cache_drops_what_came_by_eval_and_keeps_what_was_loaded() {
    let mut scripts: Scripts<Recorder> = Scripts::new(3, 1_000, limits::LUA_HEAP_BYTES_MAX);
    let kept = scripts.load(b"return 'kept'").expect("it compiles");
    let hex = |text: &str| sha1_hex(&sha1(text.as_bytes()));
    assert_eq!(eval(&mut scripts, "return 1"), ":1\r\n");
    assert_eq!(eval(&mut scripts, "return 2"), ":2\r\n");
    assert_eq!(eval(&mut scripts, "return 1"), ":1\r\n");
    assert_eq!(eval(&mut scripts, "return 3"), ":3\r\n");
    assert!(scripts.exists(&hex("return 1")), "it was used again");
    assert!(!scripts.exists(&hex("return 2")));
    assert!(scripts.exists(&sha1_hex(&kept)));
    assert_eq!(scripts.find(&hex("return 2")), Err(ScriptError::NoScript));
    scripts.load(b"return 4").expect("room is made");
    scripts.load(b"return 5").expect("room is made");
    assert_eq!(scripts.load(b"return 6"), Err(ScriptError::CacheFull));
    assert_eq!(scripts.find_or_compile(b"return 7"), Err(ScriptError::CacheFull));
    assert_eq!(scripts.load(&[b' '; 1_001]), Err(ScriptError::ScriptTooLong));
    assert_eq!(scripts.len(), 3);
    assert_eq!(scripts.text_bytes(), "return 'kept'return 4return 5".len());
    scripts.flush();
    assert!(scripts.is_empty() && scripts.heap_bytes() == 0);
    assert_eq!(eval(&mut scripts, "return 7"), ":7\r\n");
}

const LIBRARY: &str = "#!lua name=lib\nlocal n = 0\nredis.register_function('count', function() n = n + 1 return n end)\n\
    redis.register_function{function_name='sum', callback=function(keys, args) return #keys + #args end, \
    flags={'no-writes'}, description='adds'}";

fn load(libraries: &mut Libraries<Recorder>, code: &str, replace: bool) -> String {
    let caller = Recorder { ns_per_question: 100_000_000, ..Recorder::default() };
    match libraries.load(code.as_bytes(), replace, caller).1 {
        Ok(name) => name,
        Err(error) => error.to_string(),
    }
}

fn fcall(libraries: &Libraries<Recorder>, name: &str) -> String {
    let function = match libraries.find(name.as_bytes()) {
        Ok(function) => function,
        Err(error) => return error.to_string(),
    };
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    let (_, _) = libraries.call(function, &[b"k"], &[b"a", b"b"], Recorder::default(), &mut reply);
    String::from_utf8_lossy(reply.as_bytes()).into_owned()
}

#[test]
fn libraries_register_functions() {
    let mut libraries = Libraries::default();
    assert_eq!(load(&mut libraries, LIBRARY, false), "lib");
    assert_eq!(fcall(&libraries, "count"), ":1\r\n");
    assert_eq!(fcall(&libraries, "count"), ":2\r\n");
    assert_eq!(fcall(&libraries, "sum"), ":3\r\n");
    assert_eq!(fcall(&libraries, "none"), "ERR Function not found");
    assert_eq!(libraries.find_read_only(b"count"), Err(ScriptError::ReadOnly));
    assert!(libraries.find_read_only(b"sum").is_ok());
    let body = "redis.register_function('f', function() ";
    for (text, reply) in [
        (
            "return KEYS end)",
            "-ERR user_function:1: Script attempted to access nonexistent global variable 'KEYS' script: f, on @user_function:1.\r\n",
        ),
        (
            "foo = 1 end)",
            "-ERR user_function:1: Attempt to modify a readonly table script: f, on @user_function:1.\r\n",
        ),
        ("error('x') end)", "-ERR user_function:1: x script: f, on @user_function:1.\r\n"),
        ("return redis.register_function end)", "$-1\r\n"),
        ("return redis.breakpoint end)", "$-1\r\n"),
        ("return redis.call('x') end)", "+OK\r\n"),
        ("return cjson.encode({pcall(redis.sha1hex)}) end)", "$34\r\n[false,\"ERR wrong number of arguments\"]\r\n"),
    ] {
        assert_eq!(
            load(
                &mut libraries,
                &format!("#!lua name=t\n{body}{text}").replacen('\n', " \n", 1).replace(" \n", "\n"),
                true
            ),
            "t"
        );
        let got = fcall(&libraries, "f").replace("user_function:2", "user_function:1");
        if reply.starts_with('$') && reply.len() > 6 {
            assert!(got.contains("ERR wrong number of arguments"), "{got}");
        } else {
            assert_eq!(got, reply, "{text}");
        }
    }
    libraries.delete(b"lib").expect("it is there");
    assert_eq!(libraries.delete(b"lib"), Err(ScriptError::LibraryNotFound));
    assert_eq!(fcall(&libraries, "sum"), "ERR Function not found");
    assert_eq!((libraries.iter().len(), libraries.functions_len()), (1, 1));
    libraries.flush();
    assert_eq!((libraries.iter().len(), libraries.functions_len(), libraries.heap_bytes()), (0, 0, 0));
}

#[test]
fn what_is_no_library_is_refused_as_redis_does() {
    let name = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";
    let register = |text: &str| format!("ERR Error registering functions: ERR {text}");
    let missing = |name: &str| {
        register(&format!("user_function:2: Script attempted to access nonexistent global variable '{name}'"))
    };
    let cases: Vec<(&str, String)> = vec![
        ("", "ERR Missing library metadata".into()),
        ("foo", "ERR Missing library metadata".into()),
        ("#!lua", "ERR Invalid library metadata".into()),
        ("#!lua\n", "ERR Library name was not given".into()),
        ("#!lua name=\nx", name.into()),
        ("#!lua name=x", "ERR Invalid library metadata".into()),
        ("#!lua name=x\n", "ERR No functions registered".into()),
        ("#!lua name=x y=z\n", "ERR Invalid metadata value given: y=z".into()),
        ("#!lua name=x name=y\n", "ERR Invalid metadata value, name argument was given multiple times".into()),
        ("#!js name=x\nfoo", "ERR Engine 'js' not found".into()),
        ("#!lua name=a-b\nx", name.into()),
        ("#!lua name=a_b\nx=", "ERR Error compiling function: user_function:2: unexpected symbol near '<eof>'".into()),
        ("#!lua name=x\nredis.call('ping')", missing("call")),
        ("#!lua name=x\nx=1", register("user_function:2: Attempt to modify a readonly table")),
        ("#!lua name=x\nlocal a=1", "ERR No functions registered".into()),
        ("#!lua name=x\nerror('boom')", missing("error")),
        ("#!lua name=x\nmath.random()", missing("math")),
        ("#!lua name=x\nKEYS[1]=1", missing("KEYS")),
        ("#!lua name=x\n\n\nreturn nil+1", register("user_function:4: attempt to perform arithmetic on a nil value")),
        ("#!lua name=x\nwhile true do end", register("FUNCTION LOAD timeout")),
        ("#!lua name=x\nredis.register_function()", register("wrong number of arguments to redis.register_function")),
        (
            "#!lua name=x\nredis.register_function('f')",
            register(
                "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
            ),
        ),
        (
            "#!lua name=x\nredis.register_function('f',1)",
            register("second argument to redis.register_function must be a function"),
        ),
        (
            "#!lua name=x\nredis.register_function(nil,nil)",
            register("first argument to redis.register_function must be a string"),
        ),
        ("#!lua name=x\nredis.register_function('f-',redis.log)", register(&name[4..])),
        (
            "#!lua name=x\nlocal f=redis.register_function f('f',f) f('f',f)",
            register("Function already exists in the library"),
        ),
        (
            "#!lua name=x\nredis.register_function{}",
            register("redis.register_function must get a function name argument"),
        ),
        (
            "#!lua name=x\nredis.register_function{function_name='f'}",
            register("redis.register_function must get a callback argument"),
        ),
        (
            "#!lua name=x\nredis.register_function{function_name='f',callback=1}",
            register("callback argument given to redis.register_function must be a function"),
        ),
        (
            "#!lua name=x\nredis.register_function{function_name='f',callback=redis.log,foo=1}",
            register("unknown argument given to redis.register_function"),
        ),
        (
            "#!lua name=x\nredis.register_function{function_name='f',callback=redis.log,flags=1}",
            register("flags argument to redis.register_function must be a table representing function flags"),
        ),
        (
            "#!lua name=x\nredis.register_function{function_name='f',callback=redis.log,flags={'x'}}",
            register("unknown flag given"),
        ),
    ];
    let mut libraries = Libraries::default();
    for (text, error) in cases {
        assert_eq!(load(&mut libraries, text, false), error, "{text}");
    }
    assert_eq!(load(&mut libraries, LIBRARY, false), "lib");
    assert_eq!(load(&mut libraries, LIBRARY, false), "ERR Library 'lib' already exists");
    let other = "#!lua name=other\nredis.register_function('sum', redis.log)";
    assert_eq!(load(&mut libraries, other, true), "ERR Function sum already exists");
    assert_eq!(fcall(&libraries, "sum"), ":3\r\n", "a refused library changes nothing");
    assert_eq!(load(&mut libraries, &other.replace("other", "lib"), true), "lib");
    assert_eq!(fcall(&libraries, "count"), "ERR Function not found");
}

#[test]
fn libraries_are_listed() {
    let mut libraries = Libraries::default();
    load(&mut libraries, LIBRARY, false);
    load(&mut libraries, "#!lua name=Other\nredis.register_function('f', redis.log)", false);
    let list = |pattern: Option<&[u8]>, with_code| {
        let mut reply = ReplyBuf::new(Protocol::Resp2);
        libraries.write_list(pattern, with_code, &mut reply);
        String::from_utf8_lossy(reply.as_bytes()).into_owned()
    };
    assert!(list(None, false).starts_with("*2\r\n*6\r\n"));
    let text = list(Some(b"LI*"), true);
    assert!(
        text.starts_with(
            "*1\r\n*8\r\n$12\r\nlibrary_name\r\n$3\r\nlib\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$9\r\nfunctions\r\n*2\r\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("$4\r\nadds\r\n$5\r\nflags\r\n*1\r\n+no-writes\r\n") && text.contains("library_code"),
        "{text}"
    );
    assert_eq!(list(Some(b"none"), false), "*0\r\n");
}

/// Two libraries as redis-server 7.0.15 dumps them; the second is compressed.
const REDIS_DUMP: &[u8] = include_bytes!("fixtures/redis-7.0.15-functions.dump");

#[test]
fn dumps_go_both_ways() {
    let mut libraries: Libraries<Recorder> = Libraries::default();
    let restore = |libraries: &mut Libraries<Recorder>, bytes: &[u8], policy| {
        libraries.restore(bytes, policy, Recorder::default()).1.map_err(|error| error.to_string())
    };
    assert_eq!(restore(&mut libraries, REDIS_DUMP, RestorePolicy::Append), Ok(()));
    assert_eq!(fcall(&libraries, "short"), ":1\r\n");
    assert_eq!(fcall(&libraries, "long_function_5"), ":5\r\n");
    let dump = libraries.dump();
    let taken = Err("ERR Library long already exists".to_owned());
    assert_eq!(restore(&mut libraries, &dump, RestorePolicy::Append), taken);
    assert_eq!(restore(&mut libraries, &dump, RestorePolicy::Replace), Ok(()));
    load(&mut libraries, LIBRARY, false);
    assert_eq!(restore(&mut libraries, &dump, RestorePolicy::Flush), Ok(()));
    assert_eq!(fcall(&libraries, "sum"), "ERR Function not found");
    assert_eq!(libraries.dump(), dump);
    let wrong = Err("ERR DUMP payload version or checksum are wrong".to_owned());
    assert_eq!(restore(&mut libraries, b"", RestorePolicy::Flush), wrong);
    for at in 0..REDIS_DUMP.len() {
        let mut damaged = REDIS_DUMP.to_vec();
        damaged[at] ^= 1;
        assert_eq!(restore(&mut libraries, &damaged, RestorePolicy::Flush), wrong, "byte {at}");
    }
    let string = b"\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce";
    assert_eq!(restore(&mut libraries, string, RestorePolicy::Flush), Err("ERR given type is not a function".into()));
    assert_eq!(Libraries::<Recorder>::default().dump(), b"\n\x00]\x9b\\@\x0f\x7f\xa2\xda");
    // Without a checksum every byte is believed, and none may do harm.
    for at in 0..REDIS_DUMP.len() - 8 {
        let mut damaged = REDIS_DUMP.to_vec();
        damaged[at] = damaged[at].wrapping_add(0x40);
        let end = damaged.len();
        damaged[end - 8..].fill(0);
        let _outcome = restore(&mut Libraries::default(), &damaged, RestorePolicy::Flush);
    }
}

#[test]
fn headers_of_scripts() {
    let header = read_script(b"#!lua flags=no-writes,allow-stale\nreturn 1").expect("a header");
    assert!(header.declared && header.flags.no_writes() && header.flags.allow_stale() && !header.flags.allow_oom());
    assert_eq!(header.flags.names().collect::<Vec<_>>(), ["no-writes", "allow-stale"]);
    assert!(!read_script(b"return 1").expect("none").declared);
}
