#!/usr/bin/env python3
"""Processor time per delivered message, server beside server: `pubsub.py --server NAME='COMMAND {port} {dir}' …`.

Owns: one publisher, many subscribers that read all they get, taking turns, medians and ratios to the first server.
Refuses to know: which server it is. Start at `WORKLOADS`, then `measure`.

A round is a pipeline of PUBLISH; the next begins when every subscriber has read the last byte of this one.
"""

import argparse
import os
import selectors
import statistics
import sys
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "clients"))
from harness import TARGET, Server, Wire, encode  # noqa: E402

REDIS = 'redis=redis-server --port {port} --dir {dir} --save ""'
KORA = "kora=" + os.path.join(TARGET, "release", "kora-server") + " --port {port} --dir {dir} --shards {shards}"


@dataclass(frozen=True)
class Workload:
    """Messages of one size, so many in a pipeline, so many rounds at scale 1."""

    message_bytes: int
    pipeline: int
    rounds: int


WORKLOADS = {
    "64B_p1": Workload(64, 1, 100),
    "64B_p16": Workload(64, 16, 40),
    "4KiB_p1": Workload(4096, 1, 60),
    "64KiB_p1": Workload(65536, 1, 15),
}


def read_round(selector, subscribers, expected):
    """Reads until every subscriber has had `expected` bytes."""
    missing = {wire.socket: expected for wire in subscribers}
    while missing:
        ready = selector.select(30)
        if not ready:
            raise AssertionError(f"{len(missing)} subscribers were left waiting")
        for key, _ in ready:
            left = missing.get(key.fileobj)
            count = len(key.fileobj.recv(1 << 18))
            if left is None or count == 0 or count > left:
                raise AssertionError("a subscriber was closed, or got more than was published")
            if count == left:
                del missing[key.fileobj]
            else:
                missing[key.fileobj] = left - count


def measure(server, workload, rounds, subscriber_count):
    """Microseconds of the server's processor for each message that a subscriber got."""
    message = "m" * workload.message_bytes
    subscribers = [Wire(server) for _ in range(subscriber_count)]
    selector = selectors.DefaultSelector()
    try:
        for wire in subscribers:
            wire.command("SUBSCRIBE", "news")
            wire.socket.setblocking(False)
            selector.register(wire.socket, selectors.EVENT_READ)
        expected = len(encode("message", "news", message)) * workload.pipeline
        command = encode("PUBLISH", "news", message) * workload.pipeline
        with Wire(server) as publisher:
            used = 0.0
            for number in range(rounds + 1):
                before = server.cpu_seconds()
                publisher.send(command)
                read_round(selector, subscribers, expected)
                for _ in range(workload.pipeline):
                    if publisher.read() != subscriber_count:
                        raise AssertionError("not everyone was reached")
                # The first round warms up.
                used += server.cpu_seconds() - before if number else 0.0
        return used / (rounds * workload.pipeline * subscriber_count) * 1e6
    finally:
        selector.close()
        for wire in subscribers:
            wire.close()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--shards", default="1", help="what {shards} stands for in a command")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--server-cpus", default="0")
    parser.add_argument("--client-cpus", default="1")
    return parser.parse_args()


def main():
    given = arguments()
    os.sched_setaffinity(0, {int(cpu) for cpu in given.client_cpus.split(",")})
    servers = dict(text.split("=", 1) for text in given.server or [REDIS, KORA])
    first = next(iter(servers))
    print(f"{given.subscribers} subscribers; microseconds of processor for each delivered message, and the ratio to {first}")
    for name, workload in WORKLOADS.items():
        rounds = max(1, int(workload.rounds * given.scale))
        found = {server: [] for server in servers}
        for _ in range(given.runs):
            for server, template in servers.items():
                command = template.replace("{shards}", given.shards)
                with Server(command, prefix=["taskset", "-c", given.server_cpus]) as running:
                    found[server].append(measure(running, workload, rounds, given.subscribers))
        medians = {server: statistics.median(runs) for server, runs in found.items()}
        shown = "   ".join(f"{server} {medians[server]:7.3f} {medians[server] / medians[first]:5.2f}" for server in servers)
        print(f"{name:<10} {shown}", flush=True)


if __name__ == "__main__":
    main()
