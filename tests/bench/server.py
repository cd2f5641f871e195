#!/usr/bin/env python3
"""Processor time per request and throughput, server beside server: `server.py --server NAME='COMMAND {port} {dir}' …`.

Owns: the workloads, pinning servers and load generator to cores of their own, taking turns, medians and ratios to the
first server. Refuses to know: which server it is. Start at `WORKLOADS`, then `main`.

The figure to trust is the server's processor time per request: wall-clock throughput moves with whatever else the
machine does. `--shards 1,8` compares one server with itself: the template's `{shards}` takes each value, all on the
same core, so the difference is what crossing shards costs and not what more cores give.
"""

import argparse
import csv
import io
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))
from harness import TARGET, Server, ServerError, Wire, encode  # noqa: E402

KEYS = 100_000
REDIS = 'redis=redis-server --port {port} --dir {dir} --save ""'
KORA = "kora=" + os.path.join(TARGET, "release", "kora-server") + " --port {port} --dir {dir} --shards {shards}"


@dataclass(frozen=True)
class Workload:
    """One redis-benchmark run: its arguments, how many requests at scale 1, and what is put back before each run."""

    arguments: str
    requests: int
    clears: tuple = ()
    list_elements: int = 0


def workloads():
    """By name; `_pN` is the pipeline depth."""
    found = {}

    def add(name, arguments, depths, requests, **options):
        for depth in depths:
            scaled = requests * {1: 1, 4: 2, 16: 8, 64: 16}[depth]
            found[f"{name}_p{depth}"] = Workload(f"-P {depth} {arguments}", scaled, **options)

    everywhere = f"-r {KEYS} -d 64"
    for name in ("get", "set"):
        add(name, f"-t {name} {everywhere}", (1, 16, 64), 120_000)
    for name in ("incr", "sadd", "hset", "zadd"):
        add(name, f"-t {name} {everywhere}", (1, 16), 80_000, clears=("myset", "myhash", "myzset"))
    for name in ("lpush", "rpush"):
        add(name, f"-t {name} -d 64", (16,), 80_000, clears=("mylist",))
    for name in ("lpop", "rpop"):
        add(name, f"-t {name}", (16,), 60_000, clears=("mylist",), list_elements=1)
    add("ping", "-t ping_mbulk", (1, 16), 120_000)
    add("mset10", f"-t mset {everywhere}", (1, 16), 20_000)
    add("mget10", f"-r {KEYS} MGET " + " ".join(["key:__rand_int__"] * 10), (1, 16), 20_000)
    add("exists", f"-r {KEYS} EXISTS key:__rand_int__", (16,), 80_000)
    add("setex", f"-r {KEYS} SET key:__rand_int__ value EX 1000", (16,), 80_000)
    add("hgetall10", "HGETALL bench:hash", (16,), 30_000)
    add("smembers10", "SMEMBERS bench:set", (16,), 30_000)
    add("zrange10", "ZRANGE bench:zset 0 9 WITHSCORES", (16,), 30_000)
    add("zrank", "-r 10000 ZRANK bench:bigzset __rand_int__", (16,), 60_000)
    add("lrange100", "LRANGE bench:list 0 99", (1, 16), 8_000)
    add("lrange600", "LRANGE bench:list 0 599", (1,), 8_000)
    add("get64k", "GET bench:64k", (1,), 20_000)
    add("set64k", "-t set -r 1000 -d 65536", (1,), 20_000)  # last: it replaces short values by long ones
    return found


WORKLOADS = workloads()


def prepare(server):
    """The data that reading workloads find."""
    with Wire(server, 120) as wire:
        fill = [encode("FLUSHALL")]
        fill += [encode("SET", f"key:{n:012d}", "x" * 64) for n in range(KEYS)]
        fill.append(encode("HSET", "bench:hash", *[word for n in range(10) for word in (f"field{n}", f"value{n}")]))
        fill.append(encode("SADD", "bench:set", *[f"member{n}" for n in range(10)]))
        fill.append(encode("ZADD", "bench:zset", *[word for n in range(10) for word in (n, f"member{n}")]))
        fill += [encode("ZADD", "bench:bigzset", n, f"{n:012d}") for n in range(10_000)]
        fill.append(encode("RPUSH", "bench:list", *[f"element:{n}" for n in range(600)]))
        fill.append(encode("SET", "bench:64k", "x" * 65_536))
        send_all(wire, fill)


def send_all(wire, commands, depth=500):
    for start in range(0, len(commands), depth):
        part = commands[start : start + depth]
        wire.send(b"".join(part))
        for _ in part:
            reply = wire.read()
            if isinstance(reply, ServerError):
                raise SystemExit(f"the data could not be loaded: {reply}")


def measure(server, workload, requests, given):
    """One run; None when the server refused."""
    if workload.clears:
        with Wire(server, 120) as wire:
            wire.command("DEL", *workload.clears)
            if workload.list_elements:
                send_all(wire, [encode("RPUSH", "mylist", *(["x" * 64] * 1000))] * (requests // 1000 + 1))
    argv = ["taskset", "-c", given.client_cpus, "redis-benchmark", "-p", str(server.port), "--csv"]
    argv += ["-n", str(requests), "-c", str(given.connections)]
    if given.threads > 1:
        argv += ["--threads", str(given.threads)]
    before = server.cpu_seconds()
    done = subprocess.run(argv + workload.arguments.split(), capture_output=True, text=True, timeout=600)
    used = server.cpu_seconds() - before
    rows = [row for row in csv.reader(io.StringIO(done.stdout)) if len(row) >= 7 and row[0] != "test"]
    if done.returncode or not rows:
        print(f"  refused: {(done.stderr or done.stdout).strip()[-200:]}", file=sys.stderr)
        return None
    return {"cpu_us": used / requests * 1e6, "per_second": float(rows[-1][1]), "p99_ms": float(rows[-1][6])}


def contestants(given):
    """(name, template) of every server, `{shards}` filled in."""
    shards = given.shards.split(",")
    for spec in given.server or [REDIS, KORA]:
        name, equals, template = spec.partition("=")
        if not equals or not template:
            raise SystemExit(f"--server wants NAME=COMMAND, not {spec!r}")
        for count in shards if "{shards}" in template else [None]:
            yield (f"{name}/{count}" if count and len(shards) > 1 else name), template.replace("{shards}", count or "")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--server", action="append", help="NAME=COMMAND with {port}, {dir} and perhaps {shards}; several times"
    )
    parser.add_argument("--shards", default="1", help="values for {shards}, for example 1,8")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="names or beginnings of names (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each workload on each server")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the number of requests")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1, help="of the load generator")
    parser.add_argument("--server-cpus", default="0")
    parser.add_argument("--client-cpus", default="1")
    parser.add_argument("--json", metavar="FILE", help="write the medians there too")
    given = parser.parse_args()
    wanted = [name for part in given.workloads.split(",") for name in WORKLOADS if name.startswith(part)]
    if not wanted:
        parser.error(f"no workload of: {', '.join(WORKLOADS)}")
    return given, list(dict.fromkeys(wanted))


def main():
    given, wanted = arguments()
    servers, results = {}, {}
    try:
        for name, template in contestants(given):
            pinned = ["taskset", "-c", given.server_cpus]
            servers[name] = Server(template, prefix=pinned, environment={"RUST_LOG": "warn"})
            prepare(servers[name])
        width = max(len(name) for name in wanted)
        print(f"{'':{width}}  " + "   ".join(f"{name + ': us cpu, ratio, 1/s':<36}" for name in servers))
        for name in wanted:
            requests = max(1000, int(WORKLOADS[name].requests * given.scale))
            runs = {server: [] for server in servers}
            for _ in range(given.rounds):
                for server, process in servers.items():
                    runs[server].append(measure(process, WORKLOADS[name], requests, given))
            results[name] = medians = {server: median(several) for server, several in runs.items()}
            print(f"{name:{width}}  " + "   ".join(line(medians, server) for server in servers), flush=True)
        summary(results, list(servers))
    finally:
        for server in servers.values():
            server.kill()
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


def median(runs):
    if None in runs:
        return None
    return {field: statistics.median(run[field] for run in runs) for field in runs[0]}


def line(medians, server):
    mine, base = medians[server], next(iter(medians.values()))
    if mine is None:
        return f"{'refused':<36}"
    ratios = f"{mine['cpu_us'] / base['cpu_us']:5.2f}" if base else "    -"
    faster = f"{mine['per_second'] / base['per_second']:.2f}x" if base else "-"
    return f"{mine['cpu_us']:7.2f} {ratios}  {mine['per_second']:>10.0f} {faster:>6}    "


def summary(results, servers):
    first, others = servers[0], servers[1:]
    for server in others:
        pairs = [
            (row[server]["cpu_us"] / row[first]["cpu_us"], name)
            for name, row in results.items()
            if row[server] and row[first]
        ]
        if pairs:
            worst = max(pairs)
            middle = statistics.median(ratio for ratio, _ in pairs)
            print(f"{server} / {first}: cpu per request median {middle:.2f}, worst {worst[0]:.2f} ({worst[1]})")


if __name__ == "__main__":
    main()
