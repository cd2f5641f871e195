//! What a script costs: nanoseconds of the processor per EVAL of a few small ones.
//!
//! `cargo run --release -p kora-ext --example eval_cost` prints a line for each. The caller replies at once, so only the engine is measured.
//! Linux only: the time on a processor, which others on the machine do not lengthen, is read from /proc.

use kora_ext::script::{Caller, Interrupt, LogLevel, Propagation, Scripts};
use kora_runtime::reply::{Protocol, ReplyBuf};

struct Still {
    hundred: Vec<u8>,
}

impl Caller for Still {
    fn call(&mut self, words: &[&[u8]], _: bool, reply: &mut Vec<u8>) {
        let bytes: &[u8] = match words[0] {
            b"get" => b"$5\r\nvalue\r\n",
            b"lrange" => &self.hundred,
            _ => b"+OK\r\n",
        };
        reply.extend_from_slice(bytes);
    }
    fn log(&mut self, _: LogLevel, _: &[u8]) {}
    fn acl_check(&mut self, _: &[&[u8]]) -> Option<bool> {
        Some(true)
    }
    fn set_propagation(&mut self, _: Propagation) {}
    fn now_ns(&self) -> u64 {
        0
    }
    fn interrupt(&mut self) -> Interrupt {
        Interrupt::Continue
    }
}

fn processor_ns() -> u128 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says how long a thread ran");
    text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds come first")
}

fn main() {
    let mut hundred = b"*100\r\n".to_vec();
    for index in 0..100 {
        hundred.extend_from_slice(format!("$11\r\nelement-{index:03}\r\n").as_bytes());
    }
    let mut caller = Still { hundred };
    let mut scripts = Scripts::default();
    let mut reply = ReplyBuf::new(Protocol::Resp2);
    for text in [
        "return 1",
        "return redis.call('get',KEYS[1])",
        "redis.call('set',KEYS[1],ARGV[1]) return redis.call('get',KEYS[1])",
        "return redis.call('lrange',KEYS[1],0,-1)",
        "local s=0 for i=1,1000 do s=s+i end return s",
        "local t={} for i=1,100 do table.insert(t,i) end return #t",
        "local t={} for i=1,100 do t[i]=bit.band(i,7) end return #t",
        "return cjson.encode({1,2,3,{a='b'}})",
        "return pcall(redis.call,'get',KEYS[1])",
    ] {
        const RUNS: u32 = 100_000;
        let start = processor_ns();
        for _ in 0..RUNS {
            let script = scripts.find_or_compile(text.as_bytes()).expect("it compiles");
            (caller, _) = scripts.run(script, &[b"key:000000001"], &[b"value"], caller, &mut reply);
            reply.truncate(0);
        }
        println!("{:>8} ns  {text}", (processor_ns() - start) / u128::from(RUNS));
    }
}
