// Transactions, scripts and messages in ioredis: `with_ioredis_atomic.cjs HOST PORT`, with NODE_PATH naming where the package is.
//
// Owns: what a Node program does to have commands take effect together, and what it waits for. Refuses to know: how the server was started.
// Start at `checks`: each entry is a name and a function that throws when something is not as wanted. Where the library knows RESP3
// (since version 6), they run in both protocols.

const assert = require("node:assert/strict");
const Redis = require("ioredis");
const { host, port, within, until, run } = require("./scenario.cjs");

const protocols = Number(require("ioredis/package.json").version.split(".")[0]) >= 6 ? [2, 3] : [2];
let protocol, client;

const connect = (options = {}) => {
  const redis = new Redis({ host, port, protocol, maxRetriesPerRequest: 1, ...options });
  redis.on("error", () => {});
  return redis;
};
const range = (count) => Array.from({ length: count }, (_, n) => n);

/** A queue of what a subscriber hears; `next` waits for one. */
function ear(subscriber, event) {
  const heard = [];
  let wake = () => {};
  subscriber.on(event, (...words) => (heard.push(words), wake()));
  const next = async () => {
    while (heard.length === 0) await new Promise((resolve) => (wake = resolve));
    return heard.shift();
  };
  return { next: () => within(10_000, next(), event), pending: heard };
}

const blocked = (count) =>
  until(async () => (await client.info("clients")).includes(`blocked_clients:${count}\r`), `${count} blocked clients`);

const checks = {
  "a transaction": async () => {
    const replies = await client.multi().set("js:a", 1).incrby("js:b", 2).hset("js:h", "f", "v").hgetall("js:h").get("js:no").exec();
    assert.deepEqual(replies, [[null, "OK"], [null, 2], [null, 1], [null, { f: "v" }], [null, null]]);
    assert.deepEqual(await client.multi([["set", "js:a", "array"], ["get", "js:a"]]).exec(), [[null, "OK"], [null, "array"]]);
    const many = client.multi();
    range(3000).forEach((n) => many.incr(`js:many:${n % 50}`));
    assert.equal((await many.exec()).filter(([error]) => error).length, 0);
    assert.equal(await client.get("js:many:0"), "60");
  },
  "a transaction inside a pipeline": async () => {
    const replies = await client.pipeline().get("js:a").multi().set("js:p", 1).incr("js:p").exec().get("js:p").exec();
    assert.deepEqual(replies.map(([, value]) => value), ["array", "OK", "QUEUED", "QUEUED", ["OK", 2], "2"]);
  },
  "a transaction word by word, discarded": async () => {
    assert.equal(await client.multi({ pipeline: false }), "OK");
    assert.equal(await client.set("js:a", "unseen"), "QUEUED");
    assert.equal(await client.discard(), "OK");
    assert.equal(await client.get("js:a"), "array");
  },
  "errors inside a transaction": async () => {
    const replies = await client.multi().set("js:s", "text").lpush("js:s", 1).get("js:s").exec();
    assert.match(replies[1][0].message, /^WRONGTYPE/);
    assert.equal(replies[2][1], "text");
    await assert.rejects(client.multi().set("js:s", "never").call("NO.SUCH").exec(), /EXECABORT/);
    assert.equal(await client.get("js:s"), "text");
  },
  "WATCH, conflict and retry": async () => {
    const [one, two] = [connect(), connect()];
    await client.mset("js:w1", 1, "js:w2", 1);
    let attempts = 0;
    for (let done = null; done === null; attempts++) {
      await one.watch("js:w1", "js:w2");
      const value = Number(await one.get("js:w1"));
      if (attempts < 2) await two.incr("js:w2");
      done = await one.multi().set("js:w1", value + 10).exec();
    }
    assert.equal(attempts, 3);
    assert.deepEqual(await client.mget("js:w1", "js:w2"), ["11", "3"]);
    await one.watch("js:w1");
    await two.set("js:w1", "other");
    await one.unwatch();
    assert.deepEqual(await one.multi().get("js:w1").exec(), [[null, "other"]]);
    await Promise.all([one.quit(), two.quit()]);
  },
  "twenty clients add up": async () => {
    await client.set("js:sum", 0);
    const others = range(20).map(() => connect());
    let conflicts = 0;
    await Promise.all(others.map(async (other) => {
      for (let done = 0; done < 5; ) {
        await other.watch("js:sum");
        const value = Number(await other.get("js:sum"));
        if (await other.multi().set("js:sum", value + 1).exec()) done++;
        else conflicts++;
      }
    }));
    assert.equal(await client.get("js:sum"), "100");
    assert.ok(conflicts > 0, "nobody ever conflicted");
    await Promise.all(others.map((other) => other.quit()));
  },
  "scripts by defineCommand": async () => {
    await client.script("FLUSH");
    client.defineCommand("addAll", {
      numberOfKeys: 2,
      lua: "return {redis.call('INCRBY', KEYS[1], ARGV[1]), redis.call('INCRBY', KEYS[2], ARGV[2]), #ARGV}",
    });
    await client.del("{js}:x", "{js}:y");
    assert.deepEqual(await client.addAll("{js}:x", "{js}:y", 5, 7), [5, 7, 2]);
    assert.deepEqual(await client.pipeline().addAll("{js}:x", "{js}:y", 1, 1).get("{js}:x").exec(), [[null, [6, 8, 2]], [null, "6"]]);
    await client.script("FLUSH");
    assert.deepEqual(await client.addAll("{js}:x", "{js}:y", 1, 1), [7, 9, 2]);
    assert.deepEqual((await client.multi().addAll("{js}:x", "{js}:y", 1, 1).exec())[0][1], [8, 10, 2]);
    client.defineCommand("echoes", { lua: "return ARGV", readOnly: true });
    assert.deepEqual(await client.echoesBuffer(0, Buffer.from([0, 255, 13, 10])), [Buffer.from([0, 255, 13, 10])]);
  },
  "EVAL, EVALSHA and their errors": async () => {
    const sha = await client.script("LOAD", "return redis.call('GET', KEYS[1])");
    assert.equal(await client.evalsha(sha, 1, "{js}:x"), "8");
    assert.deepEqual(await client.script("EXISTS", sha, "f".repeat(40)), [1, 0]);
    await assert.rejects(client.evalsha("f".repeat(40), 0), /^ReplyError: NOSCRIPT/);
    await assert.rejects(client.eval("return redis.call('LPUSH', KEYS[1], 1)", 1, "{js}:x"), /WRONGTYPE/);
    await assert.rejects(client.eval("return redis.error_reply('OOPS it went')", 0), /OOPS it went/);
  },
  "functions": async () => {
    const library = "#!lua name=jslib\nredis.register_function('bump', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)";
    assert.equal(await client.function("LOAD", "REPLACE", library), "jslib");
    await client.del("js:fn");
    assert.equal(await client.fcall("bump", 1, "js:fn", 3), 3);
    await assert.rejects(client.fcall_ro("bump", 1, "js:fn", 3), /Can not execute a script with write flag/);
    assert.equal(await client.function("FLUSH"), "OK");
  },
  "a subscriber": async () => {
    const subscriber = connect();
    const messages = ear(subscriber, "message");
    assert.equal(await subscriber.subscribe("js:news", "js:sport"), 2);
    assert.equal(await client.publish("js:news", "one"), 1);
    assert.deepEqual(await messages.next(), ["js:news", "one"]);
    await Promise.all(range(2000).map((n) => client.publish("js:sport", n)));
    for (const n of range(2000)) assert.deepEqual(await messages.next(), ["js:sport", String(n)]);
    if (protocol === 2) await assert.rejects(subscriber.get("js:a"), /subscriber mode/);
    else assert.equal(await subscriber.get("js:a"), "array", "while subscribed");
    assert.equal(await subscriber.unsubscribe("js:news"), 1);
    assert.equal(await client.publish("js:news", "unheard"), 0);
    assert.deepEqual(await client.pubsub("NUMSUB", "js:news", "js:sport"), ["js:news", 0, "js:sport", 1]);
    assert.equal(await subscriber.unsubscribe(), 0);
    assert.equal(await subscriber.get("js:a"), "array", "ordinary again");
    await subscriber.quit();
  },
  "patterns, buffers and a lost connection": async () => {
    const subscriber = connect({ maxRetriesPerRequest: null, retryStrategy: () => 10 });
    const [messages, buffers] = [ear(subscriber, "pmessage"), ear(subscriber, "pmessageBuffer")];
    assert.equal(await subscriber.psubscribe("js:*:?"), 1);
    assert.equal(await client.multi().publish("js:room:1", "hi").publish("js:room:12", "no").exec().then((r) => r[0][1]), 1);
    assert.deepEqual(await messages.next(), ["js:*:?", "js:room:1", "hi"]);
    assert.ok(Buffer.isBuffer((await buffers.next())[2]));
    assert.equal(await client.client("KILL", "TYPE", "pubsub"), 1);
    await until(async () => (await client.publish("js:room:2", "again")) === 1, "the subscription to come back");
    assert.deepEqual(await messages.next(), ["js:*:?", "js:room:2", "again"]);
    await subscriber.quit();
  },
  "sharded channels": async () => {
    const subscriber = connect();
    const messages = ear(subscriber, "smessage");
    assert.equal(await subscriber.ssubscribe("{js}:s"), 1);
    assert.equal(await client.spublish("{js}:s", "here"), 1);
    assert.deepEqual(await messages.next(), ["{js}:s", "here"]);
    assert.equal(await subscriber.sunsubscribe("{js}:s"), 0);
    await subscriber.quit();
  },
  "BLPOP and the others": async () => {
    const [one, two] = [connect(), connect()];
    const popped = one.blpop("js:q1", "js:q2", 0);
    await blocked(1);
    const lowest = two.bzpopmin("js:z", 0);
    await blocked(2);
    await client.rpush("js:q2", "job");
    await client.zadd("js:z", 2, "late", 1, "soon");
    assert.deepEqual(await popped, ["js:q2", "job"]);
    assert.deepEqual((await lowest).map(String), ["js:z", "soon", "1"]);
    const moved = one.blmove("js:src", "js:dst", "LEFT", "RIGHT", 0);
    await blocked(1);
    await client.multi().rpush("js:src", "a", "b").exec();
    assert.equal(await moved, "a");
    assert.equal(await one.blpop("js:empty", 0.1), null);
    const id = await one.client("ID");
    const waiting = one.brpop("js:empty", 0);
    await blocked(1);
    // The refusal may be here before the reply to UNBLOCK.
    const refused = assert.rejects(waiting, /UNBLOCKED/);
    assert.equal(await client.client("UNBLOCK", id, "ERROR"), 1);
    await refused;
    await Promise.all([one.quit(), two.quit()]);
  },
  "a queue with ten consumers": async () => {
    const consumers = range(10).map(() => connect());
    const done = Promise.all(consumers.map(async (consumer) => {
      const jobs = [];
      for (;;) {
        const [, job] = await consumer.blpop("js:work:a", "js:work:b", 0);
        if (job === "end") return jobs;
        jobs.push(Number(job));
      }
    }));
    await blocked(10);
    await Promise.all(range(500).map((n) => client.rpush(n % 2 ? "js:work:a" : "js:work:b", n)));
    await until(async () => (await client.exists("js:work:a", "js:work:b")) === 0, "the queues to be empty");
    await client.rpush("js:work:a", ...range(10).map(() => "end"));
    assert.deepEqual((await done).flat().sort((a, b) => a - b), range(500));
    await Promise.all(consumers.map((consumer) => consumer.quit()));
  },
  "keyspace notifications": async () => {
    const subscriber = connect();
    const messages = ear(subscriber, "pmessage");
    await client.config("SET", "notify-keyspace-events", "Ex$");
    await subscriber.psubscribe("__keyevent@0__:*");
    await client.set("js:brief", "v", "PX", 20);
    await until(async () => (await client.get("js:brief")) === null, "the key to expire");
    assert.deepEqual(await messages.next(), ["__keyevent@0__:*", "__keyevent@0__:set", "js:brief"]);
    assert.deepEqual(await messages.next(), ["__keyevent@0__:*", "__keyevent@0__:expired", "js:brief"]);
    await client.config("SET", "notify-keyspace-events", "");
    await subscriber.quit();
  },
  "auto-pipelining": async () => {
    const automatic = connect({ enableAutoPipelining: true });
    await Promise.all(range(500).map((n) => automatic.set(`js:auto:${n}`, n)));
    assert.deepEqual(await Promise.all(range(500).map((n) => automatic.get(`js:auto:${n}`))), range(500).map(String));
    await automatic.quit();
  },
};

const everything = {};
for (const version of protocols) {
  everything[`RESP${version} connects`] = async () => {
    await client?.quit();
    protocol = version;
    client = connect();
    await client.flushall();
  };
  for (const [name, check] of Object.entries(checks)) everything[`RESP${version} ${name}`] = check;
}

run(everything, async () => {
  await client.flushall();
  await client.quit();
});
