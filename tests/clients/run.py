#!/usr/bin/env python3
"""Real clients against a real server: `run.py --server 'target/release/kora-server --port {port} --dir {dir}'`.

Owns: choosing suites, starting a fresh server for each, the time each took, the closing line `N passed, M failed`.
Refuses to know: what is checked, which is in the file that the row of a suite names, and where packages come from.
Start at `SUITES`. Without --server the drivers run against Debian's redis-server, which checks the drivers.
"""

import argparse
import os
import sys
import time
from typing import Callable, NamedTuple

import access
import bad_input
import packages
import tools
from harness import ORACLE, Checks, Remote, Server

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM_SECONDS_MAX = 75


def python(program, **environment):
    """A suite that is a Python program: `program HOST PORT`."""

    def suite(checks, server):
        path = os.path.join(HERE, program)
        checks.adopt([packages.python(), path, server.host, str(server.port)], environment, seconds=PROGRAM_SECONDS_MAX)

    return suite


def node(program, **environment):
    """A suite that is a Node program: `program HOST PORT`."""

    def suite(checks, server):
        path, environment["NODE_PATH"] = os.path.join(HERE, program), packages.node_modules()
        checks.adopt(["node", path, server.host, str(server.port)], environment, seconds=PROGRAM_SECONDS_MAX)

    return suite


class Suite(NamedTuple):
    """What runs, and the flags that a server given by --server gets for it; Debian's redis-server does not know them."""

    run: Callable
    flags: tuple = ()


SUITES = {
    "redis-cli": Suite(tools.redis_cli),
    "redis-benchmark": Suite(tools.redis_benchmark),
    "redis-py": Suite(python("with_redis_py.py")),
    "redis-py-atomic": Suite(python("with_redis_py_atomic.py")),
    "redis-py-messages": Suite(python("with_redis_py_messages.py")),
    "ioredis": Suite(node("with_ioredis.cjs")),
    "ioredis-atomic": Suite(node("with_ioredis_atomic.cjs")),
    "bullmq": Suite(node("with_bullmq.cjs"), flags=("--locality", "bull:")),
    "bullmq-queues-apart": Suite(node("with_bullmq.cjs", KORA_BULL_QUEUES="apart"), flags=("--locality", "bull:*:")),
    "bullmq-one-slot": Suite(node("with_bullmq.cjs", KORA_BULL_PREFIX="{bull}")),
    "celery": Suite(python("with_celery.py")),
    "rq": Suite(python("with_rq.py"), flags=("--locality", "rq:")),
    "sidekiq": Suite(python("with_sidekiq.py")),
    "django": Suite(python("with_django.py")),
    "redlock": Suite(node("with_redlock.cjs")),
    "bad-input": Suite(bad_input.open_server),
}
"""Suites that take any running server."""

OWN_SERVER_SUITES = {
    "access": access.suite,
    "bad-input-locked": bad_input.locked_server,
}
"""Suites that start servers themselves, because they need flags of their own."""


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument(
        "--server", help="command line with {port} and {dir}; a suite may add flags (default: redis-server)"
    )
    arguments.add_argument(
        "--connect", metavar="HOST:PORT", help="use a server of this machine that already runs; no flags are added"
    )
    arguments.add_argument("suites", nargs="*", help=f"of {', '.join([*SUITES, *OWN_SERVER_SUITES])} (default: all)")
    given = arguments.parse_args()
    wanted = given.suites or [*SUITES, *(() if given.connect else OWN_SERVER_SUITES)]
    unknown = [name for name in wanted if name not in SUITES and name not in OWN_SERVER_SUITES]
    if unknown:
        arguments.error(f"no suite {', '.join(unknown)}")
    if given.connect and any(name in OWN_SERVER_SUITES for name in wanted):
        arguments.error(f"{', '.join(OWN_SERVER_SUITES)} start their own servers: give --server")

    totals = Checks("all")
    for name in wanted:
        checks, started = Checks(name), time.monotonic()
        try:
            if name in OWN_SERVER_SUITES:
                OWN_SERVER_SUITES[name](checks, given.server or ORACLE)
            else:
                run_on_fresh_server(checks, SUITES[name], given)
        except Exception as error:
            checks.count(False, "the suite itself", f"{type(error).__name__}: {error}")
        print(f"       {name}: {time.monotonic() - started:.1f} s", flush=True)
        totals.passed += checks.passed
        totals.failed += checks.failed
    return totals.finish()


def run_on_fresh_server(checks, suite, given):
    with Remote(given.connect) if given.connect else start(given.server, suite.flags) as server:
        try:
            suite.run(checks, server)
        finally:
            checks.count(server.alive(), "the server is still running", "" if server.alive() else server.log())
        if not given.connect and server.alive():
            code = server.stop()
            checks.count(
                code == 0, "SIGTERM ends the server with exit code 0", "" if code == 0 else f"exit code {code}"
            )


def start(template, flags):
    """A server for one suite: the given one with the suite's flags, or redis-server without them."""
    path = os.path.join("/tmp", f"kora-clients-{os.getpid()}.sock")
    server = Server(template or ORACLE, "--unixsocket", path, *(flags if template else ()))
    server.socket_path = path
    return server


if __name__ == "__main__":
    sys.exit(main())
