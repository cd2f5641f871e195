#!/usr/bin/env python3
"""What durability costs, beside redis-server: `durability.py [--short] [throughput] [load] [pause] [sync]`.

Owns: what the log costs a SET, how long a start from disk takes, what a snapshot does to latency and memory, taking
turns, medians, spreads and ratios. Refuses to know: what lies in a data directory. Start at `PARTS`.

Both servers run from a template with `{port}`, `{dir}` and `{flags}`, where the flags of the mode that is measured go;
both understand the same ones. A template without `{flags}` runs without, which only `--modes none` makes sense for.

- throughput: SET with each `appendfsync` and without a log. Servers of all modes stand side by side and take turns, so a
  ratio of two modes compares runs that followed each other.
- load: from the start of the process until it has all keys and answers; from a snapshot, and from the log alone. The
  files are in the page cache, unless `--cold`. Where others use the cores too, the processor time is the one to trust.
- pause: GET and SET at a fixed rate before and during BGSAVE. A server that forks has the child on its own cores too;
  `--server-cpus` gives it more. Memory is measured in a run of its own, as the share of physical memory that server
  and children have: for a server that forks, the pages that either of them had to copy.
- sync: what one fdatasync of 4 KiB takes in the directory, which is what `appendfsync always` builds on.
"""

import argparse
import csv
import io
import json
import os
import random
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))
from harness import MIB, TARGET, Process, ServerError, Wire, free_port, wait_until  # noqa: E402
from openloop import OpenLoop  # noqa: E402

REDIS = (
    "redis-server --port {port} --dir {dir} {flags} --aof-use-rdb-preamble no --daemonize no"
)
KORA = os.path.join(TARGET, "release", "kora-server") + " --port {port} --dir {dir} --shards {shards} {flags}"

LOGGED = '--save "" --auto-aof-rewrite-percentage 0 --appendonly yes --appendfsync '
"""No snapshots by themselves: they would fall into some runs and not into others."""
MODES = {"none": '--save "" --appendonly no', **{mode: LOGGED + mode for mode in ("no", "everysec", "always")}}
SOURCES = {"snapshot": "none", "log": "everysec"}
"""What a start loads from, and the mode that writes it."""

VALUE_BYTES = 32
CONNECTIONS = 50
CHUNK_KEYS = 2000
FILL_THREADS = 8
CHECKED_KEYS = 100
SECONDS_MAX = 900
"""Of one start, one stop, one fill or one BGSAVE."""
POLL_SECONDS = 0.002


class Stored(Process):
    """A server on a directory that outlives it; a context manager that ends it and leaves the directory."""

    host = "127.0.0.1"

    def __init__(self, template, directory, mode, given):
        os.makedirs(directory, exist_ok=True)
        self.port, self.dir, self.log_path = free_port(), directory, directory + ".log"
        command = template.replace("{flags}", MODES[mode]).replace("{shards}", str(given.shards))
        command = command.replace("{port}", str(self.port)).replace("{dir}", directory)
        self.argv = ["taskset", "-c", given.server_cpus, *shlex.split(command)]
        with open(self.log_path, "wb") as log:
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env={**os.environ, "RUST_LOG": "warn"},
            )
        super().__init__(self.process.pid)
        try:
            self.ready_seconds = self._ready() - self.started
        except BaseException:
            self.kill()
            raise

    def _ready(self):
        """When the first PONG came: a server that is loading refuses connections or says LOADING."""
        while self.process.poll() is None and time.perf_counter() - self.started < SECONDS_MAX:
            try:
                with Wire(self, 1) as wire:
                    while wire.command("PING") != b"PONG":
                        time.sleep(POLL_SECONDS)
                    return time.perf_counter()
            except (OSError, ConnectionError):
                time.sleep(POLL_SECONDS)
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            raise SystemExit(f"{shlex.join(self.argv)} does not answer:\n{log.read()[-4000:]}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(SECONDS_MAX):
            raise SystemExit(f"{shlex.join(self.argv)} ended with {self.process.returncode}; see {self.log_path}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def tree_bytes(self):
        """Physical memory of the server and its children; what they share counts once."""
        total = 0
        for pid in [self.pid, *children(self.pid)]:
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
                    total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024
            except (FileNotFoundError, ProcessLookupError):
                pass  # it ended meanwhile
        return total


def children(parent):
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                if int(stat.read().rsplit(")", 1)[1].split()[1]) == parent:
                    yield int(entry)
        except (FileNotFoundError, ProcessLookupError):
            pass


def values(chunk):
    """The values of one chunk of keys: always the same, and not to be compressed to less than half."""
    text = random.Random(chunk).randbytes(CHUNK_KEYS * VALUE_BYTES // 2).hex()
    return [text[at : at + VALUE_BYTES] for at in range(0, len(text), VALUE_BYTES)]


def fill(server, keys):
    """SET of every key, over several connections; the replies are counted as bytes, so that the server is what is waited for."""
    one = f"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n${VALUE_BYTES}\r\n%s\r\n"
    errors = []

    def share(number):
        try:
            with Wire(server, SECONDS_MAX) as wire, wire.socket.makefile("rb") as replies:
                for start in range(number * CHUNK_KEYS, keys, FILL_THREADS * CHUNK_KEYS):
                    here = range(start, min(start + CHUNK_KEYS, keys))
                    words = [word for pair in zip(here, values(start // CHUNK_KEYS)) for word in pair]
                    wire.send((one * len(here) % tuple(words)).encode())
                    if replies.read(5 * len(here)) != b"+OK\r\n" * len(here):
                        raise AssertionError("a SET was refused")
        except (OSError, ConnectionError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=share, args=(number,)) for number in range(FILL_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(f"the data could not be written: {errors[0]}")


def check(server, keys):
    """All keys are there, and some of them have their values: a fast start that loads less is no start."""
    with Wire(server, SECONDS_MAX) as wire:
        found = wire.command("DBSIZE")
        if found != keys:
            raise SystemExit(f"{shlex.join(server.argv)} came back with {found} of {keys} keys")
        for key in random.Random(keys).sample(range(keys), min(CHECKED_KEYS, keys)):
            wanted = values(key // CHUNK_KEYS)[key % CHUNK_KEYS].encode()
            if wire.command("GET", f"key:{key:012d}") != wanted:
                raise SystemExit(f"{shlex.join(server.argv)} came back with another value of key {key}")


def save(server, each_poll=lambda: None):
    """BGSAVE, until it is over. Returns its seconds."""
    with Wire(server, SECONDS_MAX) as wire:

        def field(name):
            text = wire.command("INFO", "persistence")
            found = dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)
            if name not in found:
                raise SystemExit(f"INFO persistence has no {name}")
            return found[name]

        def over():
            each_poll()
            return field("rdb_bgsave_in_progress") == "0"

        started = time.monotonic()
        reply = wire.command("BGSAVE")
        if isinstance(reply, ServerError):
            raise SystemExit(f"BGSAVE: {reply}")
        wait_until(over, SECONDS_MAX, "the end of BGSAVE")
        took = time.monotonic() - started
        if field("rdb_last_bgsave_status") != "ok":
            raise SystemExit(f"BGSAVE failed; see {server.log_path}")
        return took


def files(directory):
    return [os.path.join(root, name) for root, _, names in os.walk(directory) for name in names]


def disk_bytes(directory):
    """As the file system counts: a preallocated file costs what it occupies."""
    return sum(os.stat(path).st_blocks * 512 for path in files(directory))


def settle(directory, evict=False):
    """Written back, so that one server's dirty pages are not another's delay; `evict` takes them out of the page cache too."""
    for path in files(directory):
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            os.fsync(handle)
            if evict:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)


class Numbers:
    """What several rounds gave: median, and from least to most."""

    def __init__(self, several):
        self.several = list(several)
        self.median = statistics.median(self.several)

    def over(self, other):
        """The ratio within each round."""
        return Numbers(mine / theirs if theirs else 0.0 for mine, theirs in zip(self.several, other.several))

    def text(self, pattern, width):
        spread = f"({pattern % min(self.several)}-{pattern % max(self.several)})"
        return f"{pattern % self.median} {spread}".rjust(width)

    def record(self):
        return {"median": self.median, "rounds": self.several}


# The parts. Each prints its table and returns what goes into --json.


def throughput(given, rivals, base):
    keys = given.keys or (100_000 if given.short else 1_000_000)
    modes = ["none", *[mode for mode in given.modes if mode != "none"]]
    results, running = {}, {}
    try:
        for name, template in rivals.items():
            for mode in modes:
                running[name, mode] = Stored(template, os.path.join(base, f"{name}-{mode}"), mode, given)
                fill(running[name, mode], keys)
        for depth in (1, 16):
            title = f"SET, pipeline {depth}"
            requests = {who: calibrate(server, keys, depth, given.seconds) for who, server in running.items()}
            runs = {who: [] for who in running}
            for _ in range(given.rounds):
                for who, server in running.items():
                    settle(server.dir)
                    runs[who].append(benchmark(server, keys, depth, requests[who]))
            found = {
                who: {field: Numbers(run[field] for run in several) for field in several[0]}
                for who, several in runs.items()
            }
            print(f"\n{title:<20}{'1/s':>26}{'of none':>18}{'us cpu':>22}{'of none':>18}{'p99 ms':>24}")
            for (name, mode), fields in found.items():
                none = found[name, "none"]
                print(
                    f"{name + ' ' + mode:<20}{fields['per_second'].text('%.0f', 26)}"
                    f"{fields['per_second'].over(none['per_second']).text('%.2f', 18)}"
                    f"{fields['cpu_us'].text('%.2f', 22)}{fields['cpu_us'].over(none['cpu_us']).text('%.2f', 18)}"
                    f"{fields['p99_ms'].text('%.2f', 24)}",
                    flush=True,
                )
                results[f"{title}, {name} {mode}"] = {key: value.record() for key, value in fields.items()}
            for mode in modes:
                mine, theirs = (found[name, mode] for name in ("kora", "redis"))
                print(
                    f"kora / redis, {mode}: 1/s {mine['per_second'].over(theirs['per_second']).text('%.2f', 0)},"
                    f" us cpu {mine['cpu_us'].over(theirs['cpu_us']).text('%.2f', 0)}"
                )
    finally:
        for server in running.values():
            server.kill()
    return results


def calibrate(server, keys, depth, seconds):
    """How many requests take about so long."""
    sample = benchmark(server, keys, depth, 3000 * depth)
    return max(1000 * depth, int(sample["per_second"] * seconds))


def benchmark(server, keys, depth, requests):
    argv = ["redis-benchmark", "-p", str(server.port), "--csv", "-n", str(requests), "-c", str(CONNECTIONS)]
    argv += ["-P", str(depth), "-t", "set", "-r", str(keys), "-d", str(VALUE_BYTES)]
    before = server.cpu_seconds()
    done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS_MAX)
    used = server.cpu_seconds() - before
    rows = [row for row in csv.reader(io.StringIO(done.stdout)) if len(row) >= 7 and row[0] != "test"]
    if done.returncode or not rows:
        raise SystemExit(f"redis-benchmark: {(done.stderr or done.stdout).strip()[-500:]}")
    return {"per_second": float(rows[-1][1]), "cpu_us": used / requests * 1e6, "p99_ms": float(rows[-1][6])}


def load(given, rivals, base):
    keys = given.keys or (100_000 if given.short else 1_000_000)
    results, disk, runs = {}, {}, {}
    for source, mode in SOURCES.items():
        for name, template in rivals.items():
            directory = os.path.join(base, f"{name}-{source}")
            with Stored(template, directory, mode, given) as server:
                fill(server, keys)
                if source == "snapshot":
                    save(server)
                server.stop()
            settle(directory)
            disk[name, source], runs[name, source] = disk_bytes(directory), []
    for _ in range(given.rounds):
        for name, source in runs:
            directory = os.path.join(base, f"{name}-{source}")
            settle(directory, evict=given.cold)
            with Stored(rivals[name], directory, SOURCES[source], given) as server:
                used = server.cpu_seconds()
                check(server, keys)
                runs[name, source].append((server.ready_seconds, used))
                server.stop()
    cache = "not in the page cache" if given.cold else "in the page cache"
    print(f"\nstart with {keys} keys, files {cache}")
    print(f"{'':<20}{'seconds':>26}{'cpu seconds':>26}{'MiB on disk':>14}{'bytes per key':>16}")
    for source in SOURCES:
        found = {name: [Numbers(column) for column in zip(*runs[name, source])] for name in rivals}
        for name, (wall, used) in found.items():
            size = disk[name, source]
            print(
                f"{name + ' ' + source:<20}{wall.text('%.3f', 26)}{used.text('%.3f', 26)}"
                f"{size / MIB:14.1f}{size / keys:16.1f}"
            )
            results[f"load, {name} {source}"] = {"seconds": wall.record(), "cpu_s": used.record(), "bytes": size}
        ratios = [mine.over(theirs).text("%.2f", 0) for mine, theirs in zip(found["kora"], found["redis"])]
        share = disk["kora", source] / max(1, disk["redis", source])
        print(f"kora / redis, {source}: seconds {ratios[0]}, cpu {ratios[1]}, disk {share:.2f}", flush=True)
    return results


PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def percentiles(samples):
    """In milliseconds."""
    if not samples:
        raise SystemExit("no request fell into the window: more --keys make the snapshot longer")
    ordered = sorted(samples)
    return [ordered[max(0, min(len(ordered) - 1, int(len(ordered) * q)))] * 1e3 for q in PERCENTILES.values()]


def pause(given, rivals, base):
    keys = given.keys or (200_000 if given.short else 4_000_000)
    results, running, windows, took, extra = {}, {}, {}, {}, {}
    cpus = [{int(cpu) for cpu in text.split(",")} for text in (given.client_cpus, given.server_cpus)]
    try:
        for name, template in rivals.items():
            running[name] = Stored(template, os.path.join(base, f"{name}-pause"), given.pause_mode, given)
            fill(running[name], keys)
            took[name], extra[name] = [], []
        for _ in range(given.rounds):
            for name, server in running.items():
                settle(server.dir)
                with OpenLoop(server, keys, VALUE_BYTES, given.rate, *cpus) as generator:
                    time.sleep(0.5)
                    begin = time.monotonic()
                    time.sleep(given.seconds)
                    middle = time.monotonic()
                    took[name].append(save(server))
                    end = middle + took[name][-1]
                    samples = generator.finish()
                for window, first, last in (("before", begin, middle), ("during", middle, end)):
                    here = [sample for sample in samples if first <= sample[0] < last]
                    figures = percentiles([sample[1] for sample in here]), percentiles([sample[2] for sample in here])
                    windows.setdefault((name, window), []).append(figures)
        for _ in range(1 if given.short else given.rounds):
            for name, server in running.items():
                settle(server.dir)
                extra[name].append(save_bytes(server, keys, given, cpus) / MIB)
    finally:
        for server in running.values():
            server.kill()
    log = "without a log" if given.pause_mode == "none" else f"appendfsync {given.pause_mode}"
    print(f"\nlatency from the schedule in ms, {given.rate} GET and SET a second, {keys} keys, {log}")
    print(f"{'':<20}" + "".join(f"{column:>24}" for column in PERCENTILES) + f"{'sent late p99.9':>26}")
    for (name, window), several in windows.items():
        numbers = [Numbers(column) for column in zip(*[figures for figures, _ in several])]
        late = Numbers(lates[2] for _, lates in several)
        shown = "".join(number.text("%.2f", 24) for number in numbers)
        print(f"{name + ' ' + window:<20}{shown}{late.text('%.2f', 26)}")
        results[f"pause, {name} {window}"] = dict(zip(PERCENTILES, (number.record() for number in numbers)))
    during = [[Numbers(column) for column in zip(*[one for one, _ in windows[name, "during"]])] for name in rivals]
    ratios = (f"{column} {mine.over(theirs).text('%.2f', 0)}" for column, theirs, mine in zip(PERCENTILES, *during))
    print(f"kora / redis, during: {', '.join(ratios)}")
    for name in rivals:
        seconds, more = Numbers(took[name]), Numbers(extra[name])
        share = more.median / (keys * (16 + VALUE_BYTES) / MIB)
        print(
            f"{name}: BGSAVE took {seconds.text('%.2f', 0)} s and {more.text('%.1f', 0)} MiB of memory,"
            f" {share:.2f} of the payload",
            flush=True,
        )
        results[f"BGSAVE, {name}"] = {"seconds": seconds.record(), "more_mib": more.record()}
    return results


def save_bytes(server, keys, given, cpus):
    """How much more memory the server and its children have during BGSAVE than just before."""
    with OpenLoop(server, keys, VALUE_BYTES, given.rate, *cpus) as generator:
        time.sleep(0.5)
        before, seen = server.tree_bytes(), []
        save(server, lambda: seen.append(server.tree_bytes()))
        generator.finish()
    return max(0, max(seen) - before)


def sync(given, _rivals, base):
    """Microseconds of write and fdatasync of 4 KiB: into a file that is there and zeroed, and into one that grows."""
    results, count = {}, 200 if given.short else 2000
    print(f"\n{'fdatasync of 4 KiB, us':<28}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>9}   in {base}")
    for title, zeroed in (("preallocated and zeroed", True), ("growing", False)):
        path, took = os.path.join(base, "sync"), []
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            if zeroed:
                os.pwrite(handle, bytes(count * 4096), 0)
                os.fsync(handle)
            for number in range(count):
                block = os.urandom(4096)
                started = time.perf_counter()
                os.pwrite(handle, block, number * 4096)
                os.fdatasync(handle)
                took.append((time.perf_counter() - started) * 1e6)
        finally:
            os.close(handle)
            os.unlink(path)
        took.sort()
        shown = [took[int(count * q)] for q in (0.5, 0.9, 0.99)] + [took[-1]]
        print(f"{title:<28}{shown[0]:8.0f}{shown[1]:8.0f}{shown[2]:8.0f}{shown[3]:9.0f}", flush=True)
        results[f"sync, {title}"] = dict(zip(("p50", "p90", "p99", "max"), shown))
    return results


PARTS = {"throughput": throughput, "load": load, "pause": pause, "sync": sync}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--redis", default=REDIS, metavar="COMMAND", help="the server that ratios are to")
    parser.add_argument("--kora", default=KORA, metavar="COMMAND", help="with {port}, {dir}, {flags}, perhaps {shards}")
    parser.add_argument("--shards", default=1, type=int, help="what {shards} stands for")
    parser.add_argument("--modes", default="everysec,always", help=f"of {', '.join(MODES)}; none is always measured")
    parser.add_argument("--pause-mode", default="none", choices=MODES, help="the log during `pause`")
    parser.add_argument("--keys", type=int, help="default: 1000000; pause: 4000000")
    parser.add_argument("--rounds", type=int, help="default: 5; with --short 2")
    parser.add_argument("--seconds", type=float, help="of a run, and of the time before BGSAVE; default: 5")
    parser.add_argument("--rate", type=int, default=5000, help="requests a second during `pause`")
    parser.add_argument("--cold", action="store_true", help="`load` starts without the files in the page cache")
    parser.add_argument("--short", action="store_true", help="few keys and short runs: does it work, not how fast")
    parser.add_argument("--base", default=tempfile.gettempdir(), help="where the data directories are made")
    parser.add_argument("--server-cpus", default="0", help="for example 0,1")
    parser.add_argument("--client-cpus", default="1")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    given.parts = given.parts or list(PARTS)
    given.modes = given.modes.split(",")
    given.rounds = given.rounds or (2 if given.short else 5)
    given.seconds = given.seconds or (0.5 if given.short else 5.0)
    for part in given.parts:
        if part not in PARTS:
            parser.error(f"no part {part!r}, only {', '.join(PARTS)}")
    for mode in given.modes:
        if mode not in MODES:
            parser.error(f"no mode {mode!r}, only {', '.join(MODES)}")
    return given


def main():
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the servers would stay
    # The load generators are children and inherit it; servers are pinned by their own prefix.
    os.sched_setaffinity(0, {int(cpu) for cpu in given.client_cpus.split(",")})
    rivals, results = {"redis": given.redis, "kora": given.kora}, {}
    for part in given.parts:
        base = tempfile.mkdtemp(prefix="kora-durability-", dir=given.base)
        try:
            results |= PARTS[part](given, rivals, base)
        finally:
            shutil.rmtree(base, ignore_errors=True)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
