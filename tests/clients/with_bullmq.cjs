// BullMQ against a running server: `with_bullmq.cjs HOST PORT`, with NODE_PATH naming where the package is.
//
// Owns: what a program does with queues, workers, events, flows and schedulers. Refuses to know: how the server was started.
// Start at `checks`: each entry is a name and a function that throws when something is not as wanted. Every check has queues of its own.
// KORA_BULL_QUEUES=apart leaves out what needs two queues in one place.
// KORA_BULL_PREFIX replaces the prefix of all keys, `bull`; `{bull}` puts them into one slot, as BullMQ advises for a cluster.

const assert = require("node:assert/strict");
const { Queue, Worker, QueueEvents, FlowProducer, UnrecoverableError, DelayedError } = require("bullmq");
const Redis = require("ioredis");
const { host, port, pause, within, until, run } = require("./scenario.cjs");

const prefix = process.env.KORA_BULL_PREFIX || "bull";
const connection = { host, port, maxRetriesPerRequest: null };
const range = (count) => Array.from({ length: count }, (_, n) => n);
const noise = [];

/** Makes what a check needs and closes it all when the check is over, the workers first. */
async function using(body) {
  const made = [];
  const keep = (thing) => {
    thing.on("error", (error) => noise.push(error));
    thing.setMaxListeners(0); // waiting for many jobs at once is no leak
    made.unshift(thing);
    return thing;
  };
  const kit = {
    queue: (name, options = {}) => keep(new Queue(name, { connection, prefix, ...options })),
    worker: (name, work, options = {}) => keep(new Worker(name, work, { connection, prefix, ...options })),
    flows: (options = {}) => keep(new FlowProducer({ connection, prefix, ...options })),
    events: async (name) => {
      const events = keep(new QueueEvents(name, { connection, prefix, lastEventId: "0-0" })); // misses nothing, however late it begins
      await events.waitUntilReady();
      return events;
    },
  };
  try {
    await body(kit);
  } finally {
    made.sort((a, b) => (b instanceof Worker) - (a instanceof Worker));
    for (const thing of made) await within(5000, thing.close(), "close");
  }
  assert.deepEqual(noise.splice(0).map(String), [], "errors that the library reported");
}

/** The next event of this name whose job is `id`, if one is named. */
const event = (source, name, id) =>
  within(10_000, new Promise((resolve) => {
    const listen = (got) => {
      if (id !== undefined && got.jobId !== id) return;
      source.off(name, listen);
      resolve(got);
    };
    source.on(name, listen);
  }), `event ${name}`);

const finished = (job, events) => job.waitUntilFinished(events, 10_000);

const checks = {
  "adds, works and returns": () => using(async (kit) => {
    const [queue, events] = [kit.queue("plain"), await kit.events("plain")];
    kit.worker("plain", async (job) => ({ doubled: job.data.n * 2, name: job.name }), { concurrency: 5 });
    const job = await queue.add("double", { n: 21 });
    assert.deepEqual(await finished(job, events), { doubled: 42, name: "double" });
    const jobs = await queue.addBulk(range(200).map((n) => ({ name: "double", data: { n } })));
    const results = await Promise.all(jobs.map((each) => finished(each, events)));
    assert.deepEqual(results.map((result) => result.doubled), range(200).map((n) => n * 2));
    assert.deepEqual(await queue.getJobCounts("completed", "failed", "waiting", "active"), { completed: 201, failed: 0, waiting: 0, active: 0 });
    const read = await queue.getJob(job.id);
    assert.deepEqual([await read.getState(), read.returnvalue.doubled, read.attemptsMade], ["completed", 42, 1]);
    assert.equal((await queue.getCompleted(0, 9)).length, 10);
  }),
  "a custom id is added once": () => using(async (kit) => {
    const queue = kit.queue("once");
    const first = await queue.add("a", { n: 1 }, { jobId: "mine" });
    await queue.add("a", { n: 2 }, { jobId: "mine" });
    assert.deepEqual([first.id, await queue.count(), (await queue.getJob("mine")).data.n], ["mine", 1, 1]);
    await queue.add("b", {}, { deduplication: { id: "same" } });
    await queue.add("b", {}, { deduplication: { id: "same" } });
    assert.equal(await queue.count(), 2);
    assert.ok(await queue.getDeduplicationJobId("same"));
  }),
  "priorities and LIFO": () => using(async (kit) => {
    const queue = kit.queue("order");
    await queue.add("third", {}, { priority: 30 });
    await queue.add("second", {}, { priority: 2 });
    await queue.add("first", {});
    await queue.add("zeroth", {}, { lifo: true });
    assert.deepEqual(await queue.getCountsPerPriority([2, 30]), { 2: 1, 30: 1 });
    const seen = [];
    kit.worker("order", async (job) => seen.push(job.name));
    await until(() => seen.length === 4, "four jobs");
    assert.deepEqual(seen, ["zeroth", "first", "second", "third"]);
  }),
  "delayed jobs": () => using(async (kit) => {
    const [queue, events] = [kit.queue("later"), await kit.events("later")];
    kit.worker("later", async (job) => Date.now() - job.timestamp);
    const [job, far] = [await queue.add("soon", {}, { delay: 300 }), await queue.add("far", {}, { delay: 3_600_000 })];
    assert.equal(await far.getState(), "delayed");
    const waited = await finished(job, events);
    assert.ok(waited >= 300 && waited < 5000, `waited ${waited} ms`);
    await far.changeDelay(100);
    assert.ok((await finished(far, events)) < 5000);
    const promoted = await queue.add("promoted", {}, { delay: 3_600_000 });
    await promoted.promote();
    await finished(promoted, events);
  }),
  "retries with backoff": () => using(async (kit) => {
    const [queue, events] = [kit.queue("retry"), await kit.events("retry")];
    const times = [];
    kit.worker("retry", async (job) => {
      if (job.name === "hopeless") throw new UnrecoverableError("no use");
      times.push(Date.now());
      if (job.attemptsMade < 2) throw new Error(`attempt ${job.attemptsMade}`);
      return "at last";
    });
    const job = await queue.add("flaky", {}, { attempts: 5, backoff: { type: "exponential", delay: 50 } });
    assert.equal(await finished(job, events), "at last");
    assert.equal(times.length, 3);
    assert.ok(times[1] - times[0] >= 45 && times[2] - times[1] >= 95, `gaps ${times[1] - times[0]}, ${times[2] - times[1]}`);
    const stored = await queue.getJob(job.id);
    assert.deepEqual([stored.attemptsMade, stored.stacktrace.length], [3, 2]);
    const hopeless = await queue.add("hopeless", {}, { attempts: 5 });
    await assert.rejects(finished(hopeless, events), /no use/);
    assert.deepEqual([await hopeless.getState(), await queue.getFailedCount()], ["failed", 1]);
    const failed = await queue.getJob(hopeless.id);
    assert.equal(failed.failedReason, "no use");
    await failed.remove();
    assert.equal(await queue.getFailedCount(), 0);
  }),
  "failed jobs are tried again by hand": () => using(async (kit) => {
    const [queue, events] = [kit.queue("again"), await kit.events("again")];
    let broken = true;
    kit.worker("again", async () => {
      if (broken) throw new Error("broken");
      return "mended";
    });
    const jobs = await queue.addBulk(range(5).map((n) => ({ name: "j", data: { n } })));
    for (const job of jobs) await assert.rejects(finished(job, events), /broken/);
    broken = false;
    await (await queue.getJob(jobs[0].id)).retry();
    assert.equal(await finished(jobs[0], events), "mended");
    await queue.retryJobs({ state: "failed" });
    await until(async () => (await queue.getCompletedCount()) === 5, "all to be mended");
  }),
  "a flow over two queues": () => using(async (kit) => {
    const [parents, events, flows] = [kit.queue("parent"), await kit.events("parent"), kit.flows()];
    kit.worker("child", async (job) => job.data.n * 10, { concurrency: 3 });
    kit.worker("parent", async (job) => Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0));
    const children = [1, 2, 3].map((n) => ({ name: "leaf", queueName: "child", data: { n } }));
    const { job } = await flows.add({ name: "root", queueName: "parent", data: {}, children });
    assert.equal(await finished(job, events), 60);
    assert.equal(await (await parents.getJob(job.id)).getState(), "completed");
    assert.deepEqual(await job.getDependenciesCount(), { failed: 0, ignored: 0, processed: 3, unprocessed: 0 });
  }),
  "a flow of three levels in one queue, one child failing": () => using(async (kit) => {
    const [queue, events, flows] = [kit.queue("tree"), await kit.events("tree"), kit.flows()];
    const node = (name, children, opts) => ({ name, queueName: "tree", data: {}, children, opts });
    const tree = await flows.add(node("root", [node("left", [node("a"), node("b")]), node("right")]));
    assert.equal(await tree.job.getState(), "waiting-children");
    assert.equal((await flows.getFlow({ id: tree.job.id, queueName: "tree" })).children.length, 2);
    const order = [];
    kit.worker("tree", async (job) => {
      order.push(job.name);
      if (job.name === "bad") throw new Error("bad child");
      return job.name;
    });
    assert.equal(await finished(tree.job, events), "root");
    assert.equal(order.at(-1), "root");
    assert.ok(order.indexOf("left") > Math.max(order.indexOf("a"), order.indexOf("b")), order.join());
    const doomed = await flows.add(node("doomed", [node("bad", [], { failParentOnFailure: true }), node("good")]));
    await assert.rejects(finished(doomed.job, events), /failed/);
    assert.equal(await doomed.job.getState(), "failed");
    const tolerant = await flows.add(node("tolerant", [node("bad", [], { ignoreDependencyOnFailure: true })]));
    assert.equal(await finished(tolerant.job, events), "tolerant");
    assert.equal(await queue.getFailedCount(), 3);
  }),
  "pause and resume": () => using(async (kit) => {
    const [queue, events] = [kit.queue("halt"), await kit.events("halt")];
    const worker = kit.worker("halt", async (job) => job.data.n);
    await worker.waitUntilReady();
    const paused = event(events, "paused");
    await queue.pause();
    await paused;
    assert.equal(await queue.isPaused(), true);
    const jobs = await queue.addBulk(range(3).map((n) => ({ name: "j", data: { n } })));
    assert.equal(await queue.getJobCountByTypes("wait", "paused"), 3);
    assert.equal(await queue.getCompletedCount(), 0);
    const resumed = event(events, "resumed");
    await queue.resume();
    await resumed;
    assert.deepEqual(await Promise.all(jobs.map((job) => finished(job, events))), [0, 1, 2]);
    await worker.pause();
    const waiting = await queue.add("j", { n: 9 });
    assert.equal(await waiting.getState(), "waiting");
    worker.resume();
    assert.equal(await finished(waiting, events), 9);
  }),
  "schedulers, every and cron": () => using(async (kit) => {
    const queue = kit.queue("clock");
    const ran = [];
    kit.worker("clock", async (job) => ran.push(job.data.of));
    await queue.upsertJobScheduler("often", { every: 100, limit: 4 }, { name: "tick", data: { of: "often" } });
    await queue.upsertJobScheduler("nightly", { pattern: "0 3 * * *" }, { name: "tick", data: { of: "nightly" } });
    assert.equal(await queue.getJobSchedulersCount(), 2);
    await until(() => ran.length >= 3, "three ticks");
    assert.deepEqual(new Set(ran), new Set(["often"]));
    assert.equal((await queue.getJobScheduler("nightly")).pattern, "0 3 * * *");
    assert.deepEqual((await queue.getDelayed()).map((job) => job.data.of).filter((of) => of === "nightly"), ["nightly"]);
    assert.equal(await queue.removeJobScheduler("nightly"), true);
    await queue.removeJobScheduler("often");
    await until(async () => (await queue.getJobSchedulersCount()) === 0, "no scheduler to be left");
  }),
  "a rate limit": () => using(async (kit) => {
    const [queue, events] = [kit.queue("slow"), await kit.events("slow")];
    const begun = Date.now();
    kit.worker("slow", async () => {}, { limiter: { max: 2, duration: 300 }, concurrency: 10 });
    const jobs = await queue.addBulk(range(6).map(() => ({ name: "j", data: {} })));
    await Promise.all(jobs.map((job) => finished(job, events)));
    assert.ok(Date.now() - begun >= 590, `six jobs took ${Date.now() - begun} ms, and only two may begin in 300`);
  }),
  "progress, logs and data": () => using(async (kit) => {
    const [queue, events] = [kit.queue("progress"), await kit.events("progress")];
    const seen = [];
    events.on("progress", ({ data }) => seen.push(data));
    kit.worker("progress", async (job) => {
      for (const percent of [10, 50, 90]) await job.updateProgress(percent);
      await job.updateProgress({ step: "end" });
      await job.log("first line");
      await job.log("second line");
      await job.updateData({ ...job.data, seen: true });
    });
    const job = await queue.add("j", { n: 1 });
    await finished(job, events);
    await until(() => seen.length === 4, "four progress events");
    assert.deepEqual(seen, [10, 50, 90, { step: "end" }]);
    assert.deepEqual((await queue.getJobLogs(job.id)).logs, ["first line", "second line"]);
    const stored = await queue.getJob(job.id);
    assert.deepEqual([stored.data, stored.progress], [{ n: 1, seen: true }, { step: "end" }]);
  }),
  "a job puts itself off": () => using(async (kit) => {
    const [queue, events] = [kit.queue("putoff"), await kit.events("putoff")];
    let turns = 0;
    kit.worker("putoff", async (job, token) => {
      turns += 1;
      if (turns === 1) {
        await job.moveToDelayed(Date.now() + 100, token);
        throw new DelayedError();
      }
      return turns;
    });
    assert.equal(await finished(await queue.add("j", {}), events), 2);
  }),
  "events in order": () => using(async (kit) => {
    const [queue, events] = [kit.queue("events"), await kit.events("events")];
    const seen = [];
    for (const name of ["added", "waiting", "active", "completed", "drained"]) events.on(name, () => seen.push(name));
    kit.worker("events", async () => "x");
    await finished(await queue.add("j", {}), events);
    await until(() => seen.includes("drained"), "the queue to be drained");
    assert.deepEqual(seen.slice(0, 4), ["added", "waiting", "active", "completed"]);
    assert.equal(typeof (await queue.trimEvents(0)), "number");
  }),
  "kept and removed as the options say": () => using(async (kit) => {
    const [queue, events] = [kit.queue("keep"), await kit.events("keep")];
    let done = 0; // counted, because a job that is removed cannot be asked whether it has finished
    events.on("completed", () => (done += 1));
    kit.worker("keep", async () => "x");
    await queue.addBulk(range(20).map(() => ({ name: "j", data: {}, opts: { removeOnComplete: 5 } })));
    await until(() => done === 20, "twenty jobs");
    assert.equal(await queue.getCompletedCount(), 5);
    const gone = await queue.add("j", {}, { removeOnComplete: true });
    await until(() => done === 21, "one more job");
    assert.equal(await queue.getJob(gone.id), undefined);
    assert.equal((await queue.clean(0, 100, "completed")).length, 5);
    assert.equal(await queue.getCompletedCount(), 0);
  }),
  "a stalled job is worked again": () => using(async (kit) => {
    const [queue, events] = [kit.queue("stall"), await kit.events("stall")];
    const lost = kit.worker("stall", null, { lockDuration: 100, autorun: false });
    const job = await queue.add("j", {});
    const taken = await lost.getNextJob("a token nobody renews");
    assert.equal(taken.id, job.id);
    kit.worker("stall", async () => "rescued", { stalledInterval: 100, maxStalledCount: 1 });
    assert.equal(await finished(job, events), "rescued");
  }),
  "drain and obliterate": () => using(async (kit) => {
    const queue = kit.queue("end");
    await queue.addBulk(range(50).map((n) => ({ name: "j", data: { n }, opts: n % 5 ? {} : { delay: 3_600_000 } })));
    assert.equal(await queue.count(), 50);
    await queue.drain();
    assert.deepEqual([await queue.getWaitingCount(), await queue.getDelayedCount()], [0, 10]);
    await queue.drain(true);
    assert.equal(await queue.count(), 0);
    await queue.addBulk(range(1500).map((n) => ({ name: "j", data: { n } })));
    await queue.obliterate();
    const client = new Redis(connection);
    assert.deepEqual(await client.keys(`${prefix}:end:*`), []);
    await client.quit();
  }),
  "metrics, workers and counts": () => using(async (kit) => {
    const [queue, events] = [kit.queue("facts"), await kit.events("facts")];
    const worker = kit.worker("facts", async () => "x", { metrics: { maxDataPoints: 60 }, name: "fact-finder" });
    await worker.waitUntilReady();
    await Promise.all((await queue.addBulk(range(5).map(() => ({ name: "j", data: {} })))).map((job) => finished(job, events)));
    assert.equal((await queue.getMetrics("completed")).meta.count, 5);
    const names = await until(async () => {
      const list = await queue.getWorkers();
      return list.length > 0 && list.map((row) => row.rawname);
    }, "the worker in CLIENT LIST");
    assert.ok(names.some((name) => name.includes("fact-finder")), names.join());
    await queue.setGlobalConcurrency(1);
    assert.equal(await queue.getGlobalConcurrency(), 1);
  }),
  "three workers share two hundred jobs": () => using(async (kit) => {
    const [queue, events] = [kit.queue("share"), await kit.events("share")];
    const done = [];
    for (const name of ["a", "b", "c"]) {
      kit.worker("share", async (job) => {
        await pause(1);
        done.push([name, job.data.n]);
      }, { concurrency: 4 });
    }
    const jobs = await queue.addBulk(range(200).map((n) => ({ name: "j", data: { n } })));
    await Promise.all(jobs.map((job) => finished(job, events)));
    assert.deepEqual(done.map(([, n]) => n).sort((a, b) => a - b), range(200));
    assert.equal(new Set(done.map(([name]) => name)).size, 3);
  }),
};

// Scripts of one queue then find no key of another: what goes from queue to queue is for a server on which they are together.
if (process.env.KORA_BULL_QUEUES === "apart") delete checks["a flow over two queues"];

run(checks);
