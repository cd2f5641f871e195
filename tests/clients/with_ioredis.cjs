// ioredis against a running server: `with_ioredis.cjs HOST PORT`, with NODE_PATH naming where the package is.
//
// Owns: what a Node program does with the library. Refuses to know: how the server was started.
// Start at `checks`: each entry is a name and a function that throws when something is not as wanted.

const assert = require("node:assert/strict");
const Redis = require("ioredis");
const { host, port, run } = require("./scenario.cjs");

const connect = (options = {}) => new Redis({ host, port, maxRetriesPerRequest: 1, ...options });
const client = connect();
const quiet = (redis) => (redis.on("error", () => {}), redis);

const checks = {
  "connects and reads INFO": async () => {
    assert.equal(await client.ping(), "PONG");
    assert.match(await client.info("server"), /redis_version:[7-9]/);
    assert.equal(client.status, "ready");
  },
  "strings and expiry": async () => {
    assert.equal(await client.set("js:k", "v", "EX", 100), "OK");
    assert.equal(await client.get("js:k"), "v");
    assert.ok((await client.ttl("js:k")) > 90);
    assert.equal(await client.get("js:none"), null);
    assert.equal(await client.incr("js:n"), 1);
  },
  "hashes, lists, sets and sorted sets": async () => {
    await client.hset("js:h", { a: 1, b: "two" });
    assert.deepEqual(await client.hgetall("js:h"), { a: "1", b: "two" });
    await client.rpush("js:l", "a", "b", "c");
    assert.deepEqual(await client.lrange("js:l", 0, -1), ["a", "b", "c"]);
    await client.sadd("js:s", "x", "y");
    assert.deepEqual((await client.smembers("js:s")).sort(), ["x", "y"]);
    await client.zadd("js:z", 1, "one", 2.5, "two");
    assert.deepEqual((await client.zrange("js:z", 0, -1, "WITHSCORES")).flat().map(String), ["one", "1", "two", "2.5"]);
    assert.equal(Number(await client.zscore("js:z", "two")), 2.5);
  },
  "a pipeline of 5,000": async () => {
    const pipeline = client.pipeline();
    for (let n = 0; n < 5000; n++) pipeline.set(`js:p:${n}`, n).get(`js:p:${n}`);
    const replies = await pipeline.exec();
    assert.equal(replies.length, 10000);
    replies.forEach(([error, value], at) => {
      assert.equal(error, null);
      assert.equal(value, at % 2 ? String((at - 1) / 2) : "OK");
    });
  },
  "an error inside a pipeline leaves the rest alone": async () => {
    const replies = await client.pipeline().set("js:str", "x").lpush("js:str", "y").get("js:str").exec();
    assert.equal(replies[0][1], "OK");
    assert.match(replies[1][0].message, /^WRONGTYPE/);
    assert.equal(replies[2][1], "x");
  },
  "binary buffers": async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    assert.equal(await client.set(every, Buffer.concat([every, every])), "OK");
    assert.deepEqual(await client.getBuffer(every), Buffer.concat([every, every]));
    await client.hset("js:bin", every, Buffer.from([0, 13, 10, 255]));
    assert.deepEqual((await client.hgetallBuffer("js:bin"))[every.toString()] !== null, true);
    assert.deepEqual(await client.hgetBuffer("js:bin", every), Buffer.from([0, 13, 10, 255]));
  },
  "8 MiB values": async () => {
    const value = Buffer.alloc(8 * 1024 * 1024, "abcdefghijklmnopqrstuvwxyz");
    await client.set("js:8mib", value);
    assert.ok(value.equals(await client.getBuffer("js:8mib")));
    await client.del("js:8mib");
  },
  "errors": async () => {
    await assert.rejects(client.call("NO.SUCH", "x"), /ERR unknown command/);
    await assert.rejects(client.incr("js:str"), /not an integer/);
    await assert.rejects(client.call("GET"), /wrong number of arguments/);
  },
  "scan streams": async () => {
    const seen = new Set();
    for await (const keys of client.scanStream({ match: "js:p:*", count: 200 })) keys.forEach((key) => seen.add(key));
    assert.equal(seen.size, 5000);
  },
  "databases, names and many connections": async () => {
    const others = Array.from({ length: 50 }, (_, n) => connect({ db: 5, connectionName: `js-${n}` }));
    await Promise.all(others.map((other, n) => other.set(`js:db:${n}`, n)));
    assert.equal(await others[7].client("GETNAME"), "js-7");
    assert.equal(await others[0].dbsize(), 50);
    assert.equal(await client.get("js:db:1"), null);
    await others[0].flushdb();
    await Promise.all(others.map((other) => other.quit()));
  },
  "reconnects after CLIENT KILL": async () => {
    const victim = quiet(connect({ maxRetriesPerRequest: 5, retryStrategy: () => 10 }));
    const id = await victim.client("ID");
    assert.equal(await client.client("KILL", "ID", id), 1);
    assert.equal(await victim.set("js:again", "1"), "OK");
    assert.notEqual(await victim.client("ID"), id);
    victim.disconnect();
  },
  "a command timeout": async () => {
    const impatient = quiet(connect({ commandTimeout: 100 }));
    await impatient.ping();
    await assert.rejects(impatient.call("DEBUG", "SLEEP", "0.4"), /timed out/);
    impatient.disconnect();
    assert.equal(await client.ping(), "PONG");
  },
};

run(checks, async () => {
  await client.flushall();
  await client.quit();
});
