#!/usr/bin/env python3
"""What atomicity costs: `atomic.py [--rounds 3]` measures transactions, commands over several shards and scripts, beside redis-server.

Owns: the operations, their keys and the processor time of the server for each. Refuses to know: how a server does it.
Start at `OPERATIONS`. The load is written here and sent over a few connections, a batch at a time; only the server's processor time counts, so it does not
matter that the generator is slow.

Two comparisons are made inside Kora: EXEC of two keys on two shards against two keys on one, and MSET of ten keys over eight shards against the same keys
set by one MSET for each shard, which is what a client does that does without atomicity.
"""

import argparse
import os
import random
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))
from harness import TARGET, Server, ServerError, Wire, encode  # noqa: E402

CONNECTIONS = 64
KEYS = 10_000
SCRIPT = "local v = redis.call('GET', KEYS[1]) if v then return redis.call('SET', KEYS[1], ARGV[1]) end return 0"
REDIS = 'redis-server --port {port} --dir {dir} --save ""'
KORA = os.path.join(TARGET, "release", "kora-server") + " --port {port} --dir {dir} --shards %d"


class Places:
    """Which keys of a server live where; one place for a server that does not say."""

    def __init__(self, server):
        names = [f"key:{n:05d}" for n in range(KEYS)]
        with Wire(server, 60) as wire:
            owners = wire.command("KORA", "OWNER", *names)
        if isinstance(owners, ServerError):
            owners = [0] * KEYS
        self.owner = dict(zip(names, owners))
        self.names = names
        self.by_owner = {}
        for name, owner in self.owner.items():
            self.by_owner.setdefault(owner, []).append(name)

    def together(self, draw):
        """Two keys of one shard."""
        return draw.sample(draw.choice(list(self.by_owner.values())), 2)

    def apart(self, draw):
        """Two keys of two shards, where there are two."""
        if len(self.by_owner) < 2:
            return self.together(draw)
        return [draw.choice(group) for group in draw.sample(list(self.by_owner.values()), 2)]


def exec_of(keys):
    sets = [encode("SET", key, "x" * 32) for key in keys]
    return b"".join([encode("MULTI"), *sets, encode("EXEC")]), len(keys) + 2


def mset_of(keys):
    return encode("MSET", *[word for key in keys for word in (key, "x" * 32)]), 1


def scatter_of(places, keys):
    """One MSET for each shard."""
    groups = {}
    for key in keys:
        groups.setdefault(places.owner[key], []).append(key)
    return b"".join(mset_of(group)[0] for group in groups.values()), len(groups)


def eval_of(sha, keys):
    return encode("EVALSHA", sha, 1, keys[0], "x" * 32), 1


OPERATIONS = {
    "set": lambda places, draw, sha: (encode("SET", draw.choice(places.names), "x" * 32), 1),
    "exec2 together": lambda places, draw, sha: exec_of(places.together(draw)),
    "exec2 apart": lambda places, draw, sha: exec_of(places.apart(draw)),
    "mset10": lambda places, draw, sha: mset_of(draw.sample(places.names, 10)),
    "mset10 scattered": lambda places, draw, sha: scatter_of(places, draw.sample(places.names, 10)),
    "evalsha": lambda places, draw, sha: eval_of(sha, [draw.choice(places.names)]),
}
"""Each makes the bytes of one operation, and says how many replies they bring."""


def measure(server, places, sha, operation, count, depth):
    """Microseconds of the server's processor time for one operation."""
    draw = random.Random(1)
    made = [OPERATIONS[operation](places, draw, sha) for _ in range(count)]
    batches = [made[start : start + depth] for start in range(0, count, depth)]
    wires = [Wire(server, 60) for _ in range(CONNECTIONS)]
    try:
        before = server.cpu_seconds()
        for start in range(0, len(batches), CONNECTIONS):
            busy = list(zip(wires, batches[start : start + CONNECTIONS]))
            for wire, batch in busy:
                wire.send(b"".join(data for data, _ in batch))
            for wire, batch in busy:
                for _ in range(sum(replies for _, replies in batch)):
                    reply = wire.read()
                    if isinstance(reply, ServerError):
                        raise SystemExit(f"{operation}: {reply}")
        return (server.cpu_seconds() - before) / count * 1e6
    finally:
        for wire in wires:
            wire.close()


def prepare(server):
    places = Places(server)
    with Wire(server, 60) as wire:
        for name in places.names:
            wire.command("SET", name, "x" * 32)
        sha = wire.command("SCRIPT", "LOAD", SCRIPT)
    return places, sha


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=20_000, help="operations of one run")
    parser.add_argument("--depth", type=int, default=16, help="operations of one batch of a connection")
    parser.add_argument("--operations", default=",".join(OPERATIONS))
    given = parser.parse_args()
    wanted = given.operations.split(",")
    templates = {"redis": REDIS, "kora/1": KORA % 1, "kora/8": KORA % 8}
    servers, prepared, figures = {}, {}, {}
    try:
        for name, template in templates.items():
            servers[name] = Server(template, prefix=["taskset", "-c", "0"], environment={"RUST_LOG": "warn"})
            prepared[name] = prepare(servers[name])
        print(f"{'us of processor time':18}" + "".join(f"{name:>12}" for name in servers))
        for operation in wanted:
            runs = {name: [] for name in servers}
            for _ in range(given.rounds):
                for name, server in servers.items():
                    runs[name].append(measure(server, *prepared[name], operation, given.count, given.depth))
            figures[operation] = {name: statistics.median(several) for name, several in runs.items()}
            print(f"{operation:18}" + "".join(f"{figure:12.2f}" for figure in figures[operation].values()), flush=True)
    finally:
        for server in servers.values():
            server.kill()
    for title, over, under, server in (
        ("EXEC of 2 keys, two shards / one shard", "exec2 apart", "exec2 together", "kora/8"),
        ("MSET of 10 keys over 8 shards, atomic / scattered", "mset10", "mset10 scattered", "kora/8"),
    ):
        if over in figures and under in figures:
            print(f"{title}: {ratio(figures[over][server], figures[under][server])}")
    for operation, figure in figures.items():
        print(f"{operation}, one shard / redis-server: {ratio(figure['kora/1'], figure['redis'])}")


def ratio(figure, base):
    """As text; a run too short for the clock of processor time has none."""
    return f"{figure / base:.2f}" if base else "-"


if __name__ == "__main__":
    main()
