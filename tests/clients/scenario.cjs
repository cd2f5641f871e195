// What a Node client program needs to report its checks: one `ok NAME` or `FAILED NAME: reason` line for each.
//
// Owns: running named checks one after another, each with a deadline. Refuses to know: the library under test and the server.
// Start at `run`.

const CHECK_MS_MAX = 20_000;
const POLL_MS = 10;

let failed = 0;

const [host, port] = [process.argv[2], Number(process.argv[3])];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves as `promise` does, or rejects when that takes too long. */
async function within(ms, promise, what) {
  let timer;
  const overdue = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, overdue]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls until `condition` gives something true, and returns that. */
async function until(condition, what, ms = 10_000) {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await pause(POLL_MS);
  }
}

/** Runs every entry of `checks`, then `cleanup`, and ends the program. */
async function run(checks, cleanup = async () => {}) {
  for (const [name, check] of Object.entries({ ...checks, "cleans up": cleanup })) {
    try {
      await within(CHECK_MS_MAX, check(), "the check");
      if (check !== cleanup) console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      const place = (String(error?.stack).match(/with_\w+\.cjs:\d+/) ?? ["no place"])[0];
      const reason = String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 300);
      console.log(`FAILED ${name}: ${reason} (${place})`);
    }
  }
  process.exit(failed ? 1 : 0);
}

// What a check that failed had begun may fail later; the other checks still run.
process.on("unhandledRejection", (error) => {
  failed += 1;
  console.log(`FAILED a promise nobody waited for: ${String(error?.message ?? error).replace(/\s+/g, " ").slice(0, 300)}`);
});

module.exports = { host, port, pause, within, until, run };
