"""redis-cli and redis-benchmark against a running server.

Owns: every mode of the two tools that people use daily. Refuses to know: how the server was started.
Start at `redis_cli`; `redis_benchmark` runs the tool's whole default list, and again with pipelining and threads.
"""

import csv
import io
import os
import pty
import re
import select
import shlex
import subprocess
import time

from harness import ROOT, ServerError, Wire, encode, info, run_tool, same, wait_until

BENCHMARK_TESTS = [
    "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP", "ZADD",
    "ZPOPMIN", "LPUSH (needed to benchmark LRANGE)", "LRANGE_100 (first 100 elements)", "LRANGE_300 (first 300 elements)",
    "LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)", "MSET (10 keys)",
]  # fmt: skip


def redis_cli(checks, server):
    def cli(*words, stdin=b"", code=0):
        got, out, err = run_tool("redis-cli", "-h", server.host, "-p", server.port, *words, stdin=stdin)
        assert got == code, f"exit code {got}: {out[-500:]} {err[-500:]}"
        assert not err.strip(), f"complains: {err[-500:]}"
        return out

    def one_shot():
        same(cli("SET", "cli:key", "value"), "OK\n")
        same(cli("GET", "cli:key"), "value\n")
        same(cli("--no-raw", "GET", "cli:none"), "(nil)\n")
        same(cli("--no-raw", "DEL", "cli:key"), "(integer) 1\n")

    def from_stdin():
        commands = b"".join(b"SET cli:line:%d %d\n" % (n, n) for n in range(200))
        same(cli(stdin=commands), "OK\n" * 200)
        same(cli("-x", "SET", "cli:stdin", stdin=b"two\nlines\x00"), "OK\n")
        same(cli("STRLEN", "cli:stdin"), "10\n")
        cli("-r", "5", "INCR", "cli:counter")
        same(cli("GET", "cli:counter"), "5\n")

    def aggregates():
        cli("RPUSH", "cli:list", "a", "b c", "\xff")
        assert cli("--no-raw", "LRANGE", "cli:list", "0", "-1").startswith('1) "a"\n2) "b c"\n3) "'), "list"
        cli("HSET", "cli:hash", "f", "v")
        same(cli("--no-raw", "HGETALL", "cli:hash"), '1) "f"\n2) "v"\n')
        same(cli("-3", "--no-raw", "HGETALL", "cli:hash"), '1# "f" => "v"\n')
        same(cli("--json", "HGETALL", "cli:hash").strip(), '{"f":"v"}')
        same(cli("--csv", "LRANGE", "cli:list", "0", "1"), '"a","b c"\n')

    def errors():
        out = cli("--no-raw", "INCR", "cli:list")
        same(out.strip(), "(error) WRONGTYPE Operation against a key holding the wrong kind of value")
        assert cli("--no-raw", "NOSUCHCOMMAND", "x").startswith("(error) ERR unknown command 'NOSUCHCOMMAND'")
        assert "wrong number of arguments for 'get' command" in cli("GET")

    def databases():
        same(cli("-n", "3", "SET", "cli:db", "three"), "OK\n")
        same(cli("-n", "3", "GET", "cli:db"), "three\n")
        same(cli("--no-raw", "GET", "cli:db"), "(nil)\n")
        cli("-n", "3", "DEL", "cli:db")

    def unix_socket():
        path = getattr(server, "socket_path", None)
        assert path, "this server was started without --unixsocket"
        code, out, _ = run_tool("redis-cli", "-s", path, "PING")
        same((code, out), (0, "PONG\n"))

    def mass_insertion():
        commands = b"".join(encode("SET", f"cli:mass:{n}", "v" * (n % 100)) for n in range(20_000))
        out = cli("--pipe", stdin=commands)
        assert "errors: 0, replies: 20000" in out, out
        mixed = encode("SET", "cli:mass:list", "x") + encode("LPUSH", "cli:mass:list", "x")
        code, out, err = run_tool("redis-cli", "-h", server.host, "-p", server.port, "--pipe", stdin=mixed)
        assert "errors: 1, replies: 2" in out, out + err

    def scan():
        keys = cli("--scan", "--pattern", "cli:mass:*").splitlines()
        same(len(keys), len(set(keys)), "keys that SCAN gave twice on a table that did not change")
        same(len(keys), 20_001, "keys found")
        same(len(cli("--scan", "--pattern", "cli:mass:1999?").splitlines()), 10)

    def sizes():
        cli("ZADD", "cli:zset", *[word for n in range(50) for word in (n, f"m{n}")])
        cli("SADD", "cli:set", *range(50))
        big = cli("--bigkeys")
        for line in ("Biggest string found", "Biggest   list found", "Biggest   hash found", "Biggest    set found"):
            assert line in big, f"no {line!r} in\n{big[-1500:]}"
        assert re.search(r"Biggest\s+zset found .*cli:zset.* has 50 members", big), big[-1500:]
        memory = cli("--memkeys")
        assert re.search(r"Biggest\s+zset found .*cli:zset.* has \d+ bytes", memory), memory[-1500:]

    def hot_keys():
        code, out, err = run_tool("redis-cli", "-h", server.host, "-p", server.port, "--hotkeys")
        assert "An LFU maxmemory policy is not selected" in out + err, (out + err)[-500:]

    def stat():
        lines = terminal_lines(["redis-cli", "-h", server.host, "-p", str(server.port), "--stat", "-i", "0.1"], 3)
        assert "keys" in "".join(lines) and "clients" in "".join(lines), lines
        row = next((line for line in lines if re.match(r"\s*\d+\s+\S+\s+\d+", line)), None)
        assert row, f"no line of figures: {lines}"
        same(int(row.split()[0]), int(cli("DBSIZE")), "keys")

    def latency():
        out = cli("--latency", "-i", "1")
        least, greatest, mean, samples = out.split()
        assert int(samples) > 10 and float(mean) <= float(greatest), out
        assert int(least) < 1000, out

    def help_from_the_server():
        docs = cli("COMMAND", "DOCS", "getex").splitlines()
        summary = docs[docs.index("summary") + 1]
        out = cli(stdin=b"help getex\n")
        assert summary in out, f"{summary!r} not in {out!r}"
        assert "EXAT" in out and "PERSIST" in out, out
        assert "ZADD" in cli(stdin=b"help @sorted-set\n"), "help of a group"

    def readme():
        session = readme_session()
        assert len(session) > 10, f"README.md shows {len(session)} commands"
        for command, wanted in session:
            same(cli("--no-raw", *shlex.split(command)).strip(), wanted, command)

    checks.run("the session that the README shows", readme)
    checks.run("one-shot commands", one_shot)
    checks.run("commands from standard input", from_stdin)
    checks.run("aggregates, --json, --csv, RESP3", aggregates)
    checks.run("error replies", errors)
    checks.run("databases by -n", databases)
    checks.run("over a Unix socket", unix_socket)
    checks.run("--pipe, 20,000 commands", mass_insertion)
    checks.run("--scan with patterns", scan)
    checks.run("--bigkeys and --memkeys", sizes)
    checks.run("--hotkeys says that the policy is not LFU", hot_keys)
    checks.run("--stat prints a line", stat)
    checks.run("--latency ends with figures", latency)
    checks.run("interactive help comes from COMMAND DOCS", help_from_the_server)
    cli("FLUSHALL")


def readme_session():
    """The commands of README.md with what redis-cli prints for each."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```text\n(.*?)^```", file.read(), re.MULTILINE | re.DOTALL)
    prompt = "127.0.0.1:6379> "
    parts = [part for block in blocks for part in block.split(prompt)[1:]]
    return [tuple(text.strip() for text in part.split("\n", 1)) for part in parts]


def terminal_lines(argv, count, seconds=10):
    """The first lines that an endless tool prints on a terminal; the tool is ended then."""
    master, slave = pty.openpty()
    process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output, deadline = b"", time.monotonic() + seconds
    try:
        while output.count(b"\n") < count and time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                output += os.read(master, 4096)
    except OSError:
        pass
    finally:
        process.kill()
        process.wait()
        os.close(master)
    text = re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", output.decode("utf-8", "replace"))
    return [line for line in re.split(r"[\r\n]+", text) if line.strip()]


def redis_benchmark(checks, server):
    def bench(*words, seconds=120):
        code, out, err = run_tool("redis-benchmark", "-h", server.host, "-p", server.port, *words, seconds=seconds)
        assert code == 0, f"exit code {code}: {out[-500:]} {err[-500:]}"
        for text in (out, err):
            assert "rror" not in text and "WARNING" not in text, text[-800:]
        return out

    def rows(out):
        return {row[0]: float(row[1]) for row in csv.reader(io.StringIO(out)) if len(row) >= 2 and row[0] != "test"}

    def whole_list(count, *words):
        before = int(info(server, "total_commands_processed"))
        got = rows(bench("-n", count, "--csv", *words))
        same(sorted(got), sorted(BENCHMARK_TESTS), "tests reported")
        slow = {name: rate for name, rate in got.items() if rate <= 0}
        assert not slow, f"no throughput: {slow}"
        ran = int(info(server, "total_commands_processed")) - before
        assert ran >= count * len(BENCHMARK_TESTS), f"the server counted {ran} commands"

    def human_output():
        out = bench("-n", "1000", "-t", "set,get", "-q")
        same(len(re.findall(r"requests per second, p50=", out)), 2)
        out = bench("-n", "1000", "-t", "get")
        assert "Summary:" in out and "latency summary" in out, out[-500:]

    def own_command():
        out = bench("-n", "5000", "-r", "1000", "-P", "8", "--csv", "SADD", "bench:set:__rand_int__", "__rand_int__")
        same(len(rows(out)), 1)
        with Wire(server) as wire:
            size = wire.command("DBSIZE")
            assert not isinstance(size, ServerError) and size > 100, size

    checks.run("the whole default list", whole_list, 2000)
    checks.run("the whole list, pipeline 16, random keys", whole_list, 20_000, "-P", "16", "-r", "10000")
    checks.run("the whole list, 2 threads, 200 connections", whole_list, 2000, "--threads", "2", "-c", "200")
    checks.run("the whole list in RESP3", whole_list, 2000, "-3")
    checks.run("the whole list, 4 KiB values", whole_list, 400, "-d", "4096", "-P", "4")
    checks.run("output for people", human_output)
    checks.run("a command of one's own", own_command)
    with Wire(server) as wire:
        wire.command("FLUSHALL")
    wait_until(lambda: int(info(server, "connected_clients")) <= 2, 10, "benchmark connections to be gone")
