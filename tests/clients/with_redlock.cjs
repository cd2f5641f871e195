// node-redlock over ioredis: `with_redlock.cjs HOST PORT`, with NODE_PATH naming where the packages are.
//
// Owns: what a Node program does with distributed locks, on one server and on three connections of it that stand for three servers.
// Refuses to know: how the server was started. Start at `checks`: each entry is a name and a function that throws.

const assert = require("node:assert/strict");
const Redis = require("ioredis");
const Redlock = require("redlock");
const { host, port, pause, until, run } = require("./scenario.cjs");

const connect = (options = {}) => new Redis({ host, port, maxRetriesPerRequest: 1, ...options });
const client = connect();
const servers = [1, 2, 3].map((db) => connect({ db }));
const patient = new Redlock([client], { retryCount: 400, retryDelay: 10, retryJitter: 5 });
const hasty = new Redlock([client], { retryCount: 0 });
const several = new Redlock(servers, { retryCount: 0 });

const failures = new Set(); // of commands; the library itself says only that a lock could not be had
for (const redlock of [patient, hasty, several]) redlock.on("clientError", (error) => failures.add(error.message));

const checks = {
  "acquires, refuses a rival, releases": async () => {
    const lock = await patient.acquire("lock:a", 5000);
    assert.ok(lock.expiration > Date.now() + 4000);
    const left = await client.pttl("lock:a");
    assert.ok(left > 4000 && left <= 5000, `${left} ms`);
    await assert.rejects(hasty.acquire("lock:a", 5000), /unable to obtain|exceeded/i);
    await lock.unlock();
    assert.equal(await client.exists("lock:a"), 0);
    await (await hasty.acquire("lock:a", 1000)).unlock();
  },
  "extends": async () => {
    const lock = await hasty.acquire("lock:b", 5000);
    const longer = await lock.extend(60_000);
    assert.ok((await client.pttl("lock:b")) > 50_000);
    await longer.unlock();
    await assert.rejects(longer.extend(1000), /extend|expired/i);
  },
  "a lock that expired belongs to somebody else": async () => {
    const late = await hasty.acquire("lock:c", 300);
    const next = await patient.acquire("lock:c", 5000);
    await assert.rejects(late.extend(1000), /extend|expired/i);
    await assert.rejects(late.unlock(), /fully release/);
    assert.equal(await client.get("lock:c"), next.value, "the late one took it away");
    await next.unlock();
  },
  "several resources at once": async () => {
    const both = await hasty.acquire(["{lock}:d", "{lock}:e"], 2000);
    assert.equal(await client.exists("{lock}:d", "{lock}:e"), 2);
    await assert.rejects(hasty.acquire("{lock}:e", 2000));
    await both.unlock();
    assert.equal(await client.exists("{lock}:d", "{lock}:e"), 0);
  },
  "a majority of three": async () => {
    await servers[0].set("lock:f", "in the way");
    const lock = await several.acquire("lock:f", 5000);
    assert.deepEqual(await Promise.all(servers.map((server) => server.get("lock:f"))), ["in the way", lock.value, lock.value]);
    await servers[0].del("lock:f");
    await lock.unlock().catch(() => {}); // this version asks every server to confirm, and one never had the lock
    await until(async () => (await servers[1].exists("lock:f")) === 0, "the lock to be gone");
    await servers[0].set("lock:f", "in the way");
    await servers[1].set("lock:f", "in the way");
    await assert.rejects(several.acquire("lock:f", 5000), /unable to obtain|exceeded/i);
    assert.equal(await servers[2].get("lock:f"), null, "what was taken without a majority is given back");
  },
  "scripts forgotten by the server": async () => {
    await client.script("FLUSH");
    const lock = await hasty.acquire("lock:g", 2000);
    await client.script("FLUSH");
    await (await lock.extend(3000)).unlock();
  },
  "ten contenders, one at a time": async () => {
    await client.set("lock:n", 0);
    let inside = 0;
    await Promise.all(Array.from({ length: 10 }, async () => {
      for (let turn = 0; turn < 5; turn++) {
        const lock = await patient.acquire("lock:h", 10_000);
        inside += 1;
        assert.equal(inside, 1, "two at once");
        const value = Number(await client.get("lock:n"));
        await pause(1);
        await client.set("lock:n", value + 1);
        inside -= 1;
        await lock.unlock();
      }
    }));
    assert.equal(await client.get("lock:n"), "50");
  },
  "no command failed": async () => assert.deepEqual([...failures], []),
};

run(checks, async () => {
  await client.flushall();
  await Promise.all([client, ...servers].map((each) => each.quit()));
});
