#!/usr/bin/env python3
"""Real clients against a real server: `run.py --server 'target/release/kora-server --port {port} --dir {dir}'`.

Owns: choosing suites, starting a fresh server for each, fetching the clients, the closing line `N passed, M failed`.
Refuses to know: what is checked; that is in tools.py, with_redis_py.py, with_ioredis.cjs, access.py and bad_input.py.
Start at `SUITES`. Without --server the drivers run against Debian's redis-server, which checks the drivers.

Clients are fetched once into the build directory (`target/clients`), from PyPI and npm.
"""

import argparse
import os
import shutil
import subprocess
import sys
import venv

import access
import bad_input
import tools
from harness import ORACLE, TARGET, Checks, Remote, Server

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(TARGET, "clients")
REDIS_PY = "redis==8.*"
IOREDIS, IOREDIS_NODE_MIN, IOREDIS_OLDER = "ioredis@6", 20, "ioredis@5"


def python_client():
    """The Python of an environment that has redis-py."""
    home = os.path.join(CACHE, "python")
    python = os.path.join(home, "bin", "python")
    marker = os.path.join(home, "installed-" + REDIS_PY.replace("=", "").replace("*", "x"))
    if not os.path.exists(marker):
        shutil.rmtree(home, ignore_errors=True)
        venv.EnvBuilder(with_pip=True).create(home)
        fetch([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REDIS_PY])
        open(marker, "w", encoding="ascii").close()
    return python


def node_client():
    """The folder of packages that has ioredis."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    package = IOREDIS if int(version.strip("v\n").split(".")[0]) >= IOREDIS_NODE_MIN else IOREDIS_OLDER
    home = os.path.join(CACHE, "node")
    packages = os.path.join(home, "node_modules")
    marker = os.path.join(packages, ".installed-" + package.replace("@", "-"))
    if not os.path.exists(marker):
        shutil.rmtree(home, ignore_errors=True)
        os.makedirs(home)
        fetch(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", home, package])
        open(marker, "w", encoding="ascii").close()
    return packages


def fetch(argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)} failed:\n{(done.stderr or done.stdout)[-2000:]}")


def redis_py(checks, server):
    checks.adopt([python_client(), os.path.join(HERE, "with_redis_py.py"), server.host, str(server.port)])


def ioredis(checks, server):
    program = os.path.join(HERE, "with_ioredis.cjs")
    checks.adopt(["node", program, server.host, str(server.port)], {"NODE_PATH": node_client()})


SUITES = {
    "redis-cli": tools.redis_cli,
    "redis-benchmark": tools.redis_benchmark,
    "redis-py": redis_py,
    "ioredis": ioredis,
    "bad-input": bad_input.open_server,
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
        "--server", default=ORACLE, help="command line with {port} and {dir} (default: redis-server)"
    )
    arguments.add_argument("--connect", metavar="HOST:PORT", help="use a server of this machine that already runs")
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
        checks = Checks(name)
        try:
            if name in OWN_SERVER_SUITES:
                OWN_SERVER_SUITES[name](checks, given.server)
            else:
                run_on_fresh_server(checks, SUITES[name], given)
        except Exception as error:
            checks.count(False, "the suite itself", f"{type(error).__name__}: {error}")
        totals.passed += checks.passed
        totals.failed += checks.failed
    return totals.finish()


def run_on_fresh_server(checks, suite, given):
    with Remote(given.connect) if given.connect else start(given.server) as server:
        try:
            suite(checks, server)
        finally:
            checks.count(server.alive(), "the server is still running", "" if server.alive() else server.log())
        if not given.connect and server.alive():
            code = server.stop()
            checks.count(
                code == 0, "SIGTERM ends the server with exit code 0", "" if code == 0 else f"exit code {code}"
            )


def start(template):
    path = os.path.join("/tmp", f"kora-clients-{os.getpid()}.sock")
    server = Server(template, "--unixsocket", path)
    server.socket_path = path
    return server


if __name__ == "__main__":
    sys.exit(main())
