#!/usr/bin/env python3
"""Bytes that one key or element costs beyond its payload, server beside server: `memory.py --count 200000`.

Owns: the shapes of data, and (heap after - heap before) / count - payload. Refuses to know: how a server lays anything
out. Start at `SHAPES`. Heap is the anonymous resident memory, so a binary's own pages do not count.
"""

import argparse
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))
from harness import Server, Wire, encode  # noqa: E402
from server import KORA, REDIS, contestants, send_all  # noqa: E402


def strings(value_bytes, *options):
    return lambda count: (encode("SET", f"key:{n:012d}", b"v" * value_bytes, *options) for n in range(count))


def small(command, elements):
    """A key per ten elements; `elements(n)` gives the words of one."""
    return lambda count: (
        encode(command, f"key:{n:012d}", *[word for at in range(10) for word in elements(n * 10 + at)])
        for n in range(count)
    )


def one_big(command, words):
    return lambda count: (encode(command, "big", *words(n)) for n in range(count))


SHAPES = {
    # name: (payload bytes per counted thing, share of --count, commands for a count)
    "string 16+32": (48, 1, strings(32)),
    "string 16+100": (116, 1, strings(100)),
    "integer": (24, 1, lambda count: (encode("SET", f"key:{n:012d}", 10**7 + n) for n in range(count))),
    "string 16+32, expiry": (48, 1, strings(32, "EX", "100000")),
    "hash of 10": (16 + 160, 10, small("HSET", lambda n: (f"field{n % 10:03d}", f"val{n % 100000:05d}"))),
    "set of 10": (16 + 100, 10, small("SADD", lambda n: (f"mem:{n % 1000000:06d}",))),
    "zset of 10": (16 + 180, 10, small("ZADD", lambda n: (n, f"mem:{n % 1000000:06d}"))),
    "list of 10": (16 + 100, 10, small("RPUSH", lambda n: (f"mem:{n % 1000000:06d}",))),
    "big set, member 16": (16, 1, one_big("SADD", lambda n: (f"mem:{n:012d}",))),
    "big zset, member 16": (24, 1, one_big("ZADD", lambda n: (n, f"mem:{n:012d}"))),
    "big hash, 16+16": (32, 1, one_big("HSET", lambda n: (f"fld:{n:012d}", f"val:{n:012d}"))),
    "big list, element 16": (16, 1, one_big("RPUSH", lambda n: (f"mem:{n:012d}",))),
}


def settled_bytes(server):
    """The heap once it has stopped moving: servers resize and purge in the background."""
    last, still = server.anonymous_bytes(), 0
    while still < 5:
        time.sleep(0.1)
        now = server.anonymous_bytes()
        still = still + 1 if abs(now - last) < 65_536 else 0
        last = now
    return last


def load(server, commands):
    with Wire(server, 120) as wire:
        batch = []
        for command in commands:
            batch.append(command)
            if len(batch) == 500:
                send_all(wire, batch)
                batch = []
        send_all(wire, batch)


def overhead(template, shape, count):
    payload, share, commands = SHAPES[shape]
    with Server(template, environment={"RUST_LOG": "warn"}) as server:
        load(server, [encode("SET", "warm", "up"), encode("DEL", "warm")])
        before = settled_bytes(server)
        load(server, commands(count // share))
        return (settled_bytes(server) - before) / (count // share) - payload


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--server",
        action="append",
        help=f"NAME=COMMAND with {{port}}, {{dir}}, {{shards}} (default: {REDIS} and {KORA})",
    )
    parser.add_argument("--shards", default="1", help="values for {shards}")
    parser.add_argument(
        "--count", type=int, default=1_000_000, help="keys or elements; a tenth of it for keys of ten elements"
    )
    parser.add_argument("--shapes", default="", help="beginnings of names, separated by commas (default: all)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    given = parser.parse_args()
    wanted = [name for name in SHAPES if name.startswith(tuple(given.shapes.split(",")))]
    if not wanted:
        parser.error(f"no shape of: {', '.join(SHAPES)}")
    rivals, results = list(contestants(given)), {}
    width = max(map(len, wanted))
    print(f"bytes beyond payload{'':{max(0, width - 20)}}  " + "  ".join(f"{name:>16}" for name, _ in rivals))
    for shape in wanted:
        results[shape] = row = {name: overhead(template, shape, given.count) for name, template in rivals}
        base = next(iter(row.values()))
        cells = (
            f"{bytes_each:8.1f} ({bytes_each / base:4.2f}x)" if base > 0 else f"{bytes_each:8.1f}"
            for bytes_each in row.values()
        )
        print(f"{shape:{max(width, 20)}}  " + "  ".join(f"{cell:>16}" for cell in cells), flush=True)
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
