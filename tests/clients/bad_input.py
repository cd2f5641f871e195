#!/usr/bin/env python3
"""Input that no client should send: `bad_input.py --server 'COMMAND with {port} and {dir}'` or `--connect HOST:PORT`.

Owns: hostile requests, clients that never read, connections torn down, commands with absurd numbers. After each the
server must answer, and the memory it held at its highest must stay under the bound of the case.
Refuses to know: the texts of most errors; the transcripts compare those.
Start at `open_server`; `locked_server` repeats what must hold before a client has given its password.
"""

import argparse
import random
import select
import socket
import sys
import time

from harness import MIB, ORACLE, Checks, Remote, Server, ServerError, Wire, encode, info, is_kora, same, wait_until

PEAK_GROWTH_MAX = 96 * MIB
"""What one case may add to the server's memory at its highest, unless the case names another bound."""

OUTPUT_LIMIT = 16 * MIB
"""The output limit that the cases set before they refuse to read."""

DEFAULT_OUTPUT_GROWTH_MAX = 1024 * MIB
"""What one client that never reads may cost under the server's own default limit."""

CONNECTIONS = 10_000
CONNECTIONS_AT_ONCE = 500
I64_MAX = 2**63 - 1


class Cases:
    """Runs a case, then asks whether the server is well."""

    def __init__(self, checks, server, password=None):
        self.checks, self.server, self.password = checks, server, password

    def run(self, name, case, peak_growth_max=PEAK_GROWTH_MAX):
        def guarded():
            base = self.server.resident_bytes()
            self.server.reset_peak()
            case()
            self.still_answers()
            grown = self.server.peak_bytes() - base
            assert grown <= peak_growth_max, (
                f"memory grew by {grown // MIB} MiB, {peak_growth_max // MIB} MiB are allowed"
            )

        self.checks.run(name, guarded)

    def still_answers(self):
        assert self.server.alive(), f"the server is gone\n{self.server.log()}"
        with self.wire() as wire:
            same(wire.command("SET", "still", "here"), b"OK", "SET afterwards")
            same(wire.command("GET", "still"), b"here", "GET afterwards")

    def wire(self):
        """A connection that may run commands."""
        wire = Wire(self.server)
        if self.password:
            same(wire.command("AUTH", self.password), b"OK")
        return wire

    def ends_with_error(self, data, part):
        """The request is answered by an error that says `part`, and the connection is closed."""
        with Wire(self.server) as wire:
            wire.send(data)
            reply = wire.read()
            assert isinstance(reply, ServerError) and part in str(reply), (
                f"got {reply!r}, wanted an error with {part!r}"
            )
            assert wire.closed(5), "the connection stays open after a protocol error"

    def refused(self, part, *words):
        """The command is answered by an error that says `part`, and the connection goes on."""
        with self.wire() as wire:
            reply = wire.command(*words)
            assert isinstance(reply, ServerError), f"{words[0]}: got {reply!r}, wanted an error"
            assert part in str(reply), f"{words[0]}: got {reply}, wanted {part!r}"
            same(wire.command("PING"), b"PONG")

    def config(self, name, value):
        with self.wire() as wire:
            same(wire.command("CONFIG", "SET", name, value), b"OK", f"CONFIG SET {name}")

    def config_value(self, name):
        with self.wire() as wire:
            pairs = wire.command("CONFIG", "GET", name)
            return pairs[1].decode() if pairs else None


def open_server(checks, server):
    """Everything that needs no password. The server loses its data."""
    cases = Cases(checks, server)
    kora = is_kora(server)
    protocol(cases)
    announcements(cases)
    inline(cases)
    noise(cases)
    connections(cases)
    never_reads(cases, kora)
    absurd_numbers(cases, kora)
    every_byte(cases)
    with cases.wire() as wire:
        same(wire.command("FLUSHALL"), b"OK")
    checks.run("memory comes back after FLUSHALL", memory_comes_back, server)


def locked_server(checks, template):
    """The same dangers before AUTH, where the limits are tighter."""
    with Server(template, "--requirepass", "secret") as server:
        cases = Cases(checks, server, "secret")
        bad = cases.ends_with_error
        cases.run("an array of 2147483647 before AUTH", lambda: bad(b"*2147483647\r\n", "multibulk length"))
        cases.run("an array of 11 before AUTH", lambda: bad(b"*11\r\n", "unauthenticated multibulk length"))
        cases.run("a bulk of 16385 before AUTH", lambda: bad(b"*1\r\n$16385\r\n", "unauthenticated bulk length"))
        cases.run("an endless inline line before AUTH", lambda: endless_line(cases))
        cases.run(
            "a client that never reads its NOAUTH errors", lambda: unread(cases, b"GET k\r\n" * 1000, OUTPUT_LIMIT)
        )
        cases.run(f"{CONNECTIONS} connections opened and reset before AUTH", lambda: open_and_reset(cases))
        code = server.stop()
        checks.count(code == 0, "the locked server ends with exit code 0", "" if code == 0 else f"exit code {code}")


def protocol(cases):
    bad = cases.ends_with_error
    cases.run("an array of 2147483647", lambda: too_long_array(cases, b"*2147483647\r\n"))
    cases.run("an array of 1048577", lambda: too_long_array(cases, b"*1048577\r\n"))
    cases.run("an array of 2^64", lambda: bad(b"*18446744073709551616\r\n", "invalid multibulk length"))
    cases.run("an array of letters", lambda: bad(b"*abc\r\n", "invalid multibulk length"))
    cases.run("an array count without end", lambda: bad(b"*" + b"1" * 70_000, "too big mbulk count string"))
    cases.run("a bulk of 9999999999", lambda: bad(b"*1\r\n$9999999999\r\n", "invalid bulk length"))
    cases.run("a bulk of -1", lambda: bad(b"*1\r\n$-1\r\n", "invalid bulk length"))
    cases.run("a bulk of -9223372036854775808", lambda: bad(b"*2\r\n$-9223372036854775808\r\n", "invalid bulk length"))
    cases.run("a bulk count without end", lambda: bad(b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"))
    cases.run("an array inside an array", lambda: bad(b"*1\r\n*1\r\n$4\r\nPING\r\n", "expected '$', got '*'"))
    cases.run("arrays nested 100,000 deep", lambda: bad(b"*1\r\n" * 100_000, "expected '$', got '*'"))
    cases.run("an integer as a word", lambda: bad(b"*1\r\n:1\r\n", "expected '$', got ':'"))
    cases.run("unbalanced quotes", lambda: bad(b'SET k "unbalanced\r\n', "unbalanced quotes"))
    cases.run("a wrong terminator after a bulk", lambda: wrong_terminator(cases))
    cases.run("empty arrays and empty lines", lambda: nothing_at_all(cases))
    cases.run("an error in the middle of a pipeline", lambda: broken_pipeline(cases))


def too_long_array(cases, announcement):
    """Refused at once, as Kora does, or waited for without memory set aside, as Redis 7.0 does with up to 2^31-1."""
    with Wire(cases.server, 1) as wire:
        wire.send(announcement)
        try:
            reply = wire.read()
        except socket.timeout:
            cases.still_answers()
            wire.reset()
        else:
            assert isinstance(reply, ServerError) and "invalid multibulk length" in str(reply), reply
            assert wire.closed(5), "open after a protocol error"


def wrong_terminator(cases):
    """Redis skips two bytes whatever they are; refusing them is right as well. Waiting for ever is not."""
    with Wire(cases.server) as wire:
        wire.send(b"*1\r\n$4\r\nPINGxx" + encode("ECHO", "next"))
        first = wire.read()
        if first == b"PONG":
            same(wire.read(), b"next")
        else:
            assert isinstance(first, ServerError) and "rotocol" in str(first), first
            assert wire.closed(5), "open after a protocol error"


def nothing_at_all(cases):
    with cases.wire() as wire:
        wire.send(b"\r\n" * 1000 + b"\n" * 1000 + b"*0\r\n" * 1000 + b"*-1\r\n" * 1000 + b"   \r\n" + encode("PING"))
        same(wire.read(), b"PONG", "the first reply after four thousand empty requests")


def broken_pipeline(cases):
    with cases.wire() as wire:
        wire.send(
            encode("SET", "before", "1") + encode("INCR", "before") + b"*1\r\n$x\r\n" + encode("SET", "after", "1")
        )
        same(wire.read(), b"OK")
        same(wire.read(), 2)
        reply = wire.read()
        assert isinstance(reply, ServerError) and "invalid bulk length" in str(reply), reply
        assert wire.closed(5), "open after a protocol error"
    with cases.wire() as wire:
        same(wire.command("GET", "before"), b"2")
        same(wire.command("GET", "after"), None)


def announcements(cases):
    """What is announced must not be allocated before it arrives."""

    def announced(data, count):
        wires = [Wire(cases.server) for _ in range(count)]
        for wire in wires:
            wire.send(data)
        cases.still_answers()
        for wire in wires:
            wire.reset()

    cases.run("200 arrays of 1,048,576 words announced", lambda: announced(b"*1048576\r\n", 200))
    cases.run("50 words of 512 MiB announced", lambda: announced(b"*2\r\n$4\r\nECHO\r\n$536870912\r\nx", 50))
    cases.run("1,000 half commands left lying", lambda: announced(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nab", 1000))


def inline(cases):
    cases.run("an endless inline line", lambda: endless_line(cases))
    cases.run("a bulk header as an inline command", lambda: stray_header(cases))
    cases.run("an inline command of 20,000 words", lambda: many_inline_words(cases))


def endless_line(cases):
    with Wire(cases.server) as wire:
        wire.socket.settimeout(5)
        sent = 0
        try:
            while sent < 64 * MIB:
                wire.send(b"A" * 16_384)
                sent += 16_384
        except (ConnectionError, socket.timeout):
            pass
        assert sent < 64 * MIB, "64 MiB without a line end were taken"
        try:
            reply = wire.read()
            assert isinstance(reply, ServerError) and "too big inline request" in str(reply), reply
        except ConnectionError:
            pass  # the reset overtook the error, as resets do


def stray_header(cases):
    with cases.wire() as wire:
        wire.send(b"$9999999999\r\n")
        reply = wire.read()
        assert isinstance(reply, ServerError) and "unknown command" in str(reply), reply
        same(wire.command("PING"), b"PONG")


def many_inline_words(cases):
    with cases.wire() as wire:
        wire.send(b"DEL " + b"k " * 20_000 + b"\r\n")
        assert wire.read() in (0, 1)


def noise(cases):
    """Random bytes, and valid commands with bytes flipped, from a fixed seed."""

    def random_bytes():
        source = random.Random(20_250_101)
        for _ in range(200):
            with Wire(cases.server, 2) as wire:
                try:
                    wire.send(
                        source.choice([b"*", b"$", b"", b"*3\r\n$"]) + source.randbytes(source.randrange(1, 4096))
                    )
                except ConnectionError:
                    pass

    def flipped():
        source = random.Random(20_250_102)
        whole = (
            encode("SET", "noise:key", "value") + encode("LRANGE", "noise:list", "0", "-1") + encode("MGET", "a", "b")
        )
        for _ in range(500):
            broken = bytearray(whole)
            for _ in range(source.randrange(1, 4)):
                broken[source.randrange(len(broken))] = source.randrange(256)
            with Wire(cases.server, 2) as wire:
                try:
                    wire.send(bytes(broken))
                except ConnectionError:
                    pass

    def slowly():
        with cases.wire() as wire:
            for byte in encode("SET", "slow", "v\r\n\x00") + encode("GET", "slow"):
                wire.send(bytes([byte]))
            same((wire.read(), wire.read()), (b"OK", b"v\r\n\x00"))

    cases.run("200 connections of random bytes", random_bytes)
    cases.run("500 pipelines with bytes changed", flipped)
    cases.run("commands one byte at a time", slowly)


def connections(cases):
    cases.run(f"{CONNECTIONS} connections opened and reset", lambda: open_and_reset(cases))


def open_and_reset(cases):
    files = cases.server.open_files()
    shapes = [b"", b"*", encode("PING"), encode("GET", "k") * 10, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nhalf"]
    done = 0
    while done < CONNECTIONS:
        wires = [Wire(cases.server) for _ in range(CONNECTIONS_AT_ONCE)]
        for at, wire in enumerate(wires):
            wire.send(shapes[at % len(shapes)])
        for wire in wires:
            wire.reset()
        done += len(wires)
    wait_until(lambda: cases.server.open_files() <= files + 8, 15, "the files of closed connections to be given back")
    clients = info(cases.server, "connected_clients", cases.password)
    assert clients is None or int(clients) <= 8, f"{clients} clients are still counted"


def never_reads(cases, kora):
    before = cases.config_value("client-output-buffer-limit")
    cases.config("client-output-buffer-limit", f"normal {OUTPUT_LIMIT} 0 0")
    with cases.wire() as wire:
        same(wire.command("SET", "mib", b"x" * MIB), b"OK")
    one_mib = encode("GET", "mib") * 64
    cases.run("a client that never reads 1 MiB values", lambda: unread(cases, one_mib), 10 * OUTPUT_LIMIT)
    small = encode("ECHO", "a reply of a few dozen bytes, a great many times over") * 1000
    cases.run("a client that never reads small replies", lambda: unread(cases, small), 10 * OUTPUT_LIMIT)
    errors = b"NOSUCHCOMMAND with arguments\r\n" * 1000
    cases.run("a client that never reads errors", lambda: unread(cases, errors), 10 * OUTPUT_LIMIT)
    cases.config("client-output-buffer-limit", before)
    if kora:
        cases.run("a client that never reads, by default", lambda: unread(cases, one_mib), DEFAULT_OUTPUT_GROWTH_MAX)
    with cases.wire() as wire:
        wire.command("DEL", "mib")


def unread(cases, pipeline, limit=None, seconds=30):
    """Sends the pipeline over and over and never reads a reply: the server has to hang up."""
    if limit:
        cases.config("client-output-buffer-limit", f"normal {limit} 0 0")
    with Wire(cases.server) as wire:
        name = f"{wire.socket.getsockname()[0]}:{wire.socket.getsockname()[1]}".encode()
        wire.socket.setblocking(False)
        pending, deadline, looked = memoryview(pipeline), time.monotonic() + seconds, 0.0
        while time.monotonic() < deadline:
            try:
                if select.select([], [wire.socket], [], 0.05)[1]:
                    sent = wire.socket.send(pending)
                    pending = pending[sent:] or memoryview(pipeline)
            except BlockingIOError:
                pass
            except ConnectionError:
                return
            if time.monotonic() - looked > 0.3:
                looked = time.monotonic()
                held = cases.server.resident_bytes()
                assert held < 2 * DEFAULT_OUTPUT_GROWTH_MAX, f"the server holds {held // MIB} MiB and goes on"
                with cases.wire() as other:
                    listed = other.command("CLIENT", "LIST")
                assert not isinstance(listed, ServerError), listed
                if b" addr=" + name + b" " not in listed:
                    return
        raise AssertionError(f"still connected after {seconds} s of replies that nobody reads")


def absurd_numbers(cases, kora):
    no = cases.refused
    with cases.wire() as wire:
        for words in (
            ("SET", "n:str", "text"), ("SET", "n:int", str(I64_MAX)), ("RPUSH", "n:list", "a", "b", "c"),
            ("SADD", "n:set", "a", "b", "c"), ("HSET", "n:hash", "f", "1", "g", "2"), ("ZADD", "n:zset", "1", "a", "2", "b"),
        ):  # fmt: skip
            reply = wire.command(*words)
            assert not isinstance(reply, ServerError), reply

    too_large = "string exceeds maximum allowed size"
    cases.run("SETRANGE at 2^40", lambda: no(too_large, "SETRANGE", "n:str", str(2**40), "x"))
    cases.run("SETRANGE at 2^63-1", lambda: no(too_large, "SETRANGE", "n:str", str(I64_MAX), "x"))
    cases.run("SETRANGE at -1", lambda: no("offset is out of range", "SETRANGE", "n:str", "-1", "x"))
    cases.run("INCR at 2^63-1", lambda: no("overflow", "INCR", "n:int"))
    cases.run("DECRBY of -2^63", lambda: no("", "DECRBY", "n:int", str(-(2**63))))
    cases.run("INCRBYFLOAT of infinity", lambda: no("", "INCRBYFLOAT", "n:new", "inf"))
    cases.run("HINCRBY over the end", lambda: no("overflow", "HINCRBY", "n:hash", "f", str(I64_MAX)))
    cases.run("ZINCRBY to NaN", lambda: not_a_number(cases))
    for name in ("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"):
        for number in (I64_MAX, -(2**63)):
            cases.run(f"{name} of {number}", lambda name=name, number=number: absurd_expiry(cases, name, number))
    cases.run("SET EX of 2^63-1", lambda: no("invalid expire", "SET", "n:str", "v", "EX", str(I64_MAX)))
    cases.run("GETEX PX of 2^63-1", lambda: no("invalid expire", "GETEX", "n:str", "EX", str(I64_MAX)))
    cases.run("LPOP of -1", lambda: no("out of range", "LPOP", "n:list", "-1"))
    cases.run("SPOP of -1", lambda: no("out of range", "SPOP", "n:set", "-1"))
    cases.run("LMPOP of 0", lambda: no("count should be greater than 0", "LMPOP", "1", "n:list", "LEFT", "COUNT", "0"))
    cases.run("numkeys of 2^63-1", lambda: no("", "SINTERCARD", str(I64_MAX), "n:set"))
    cases.run("ZUNIONSTORE of 2^31 keys", lambda: no("syntax error", "ZUNIONSTORE", "d", str(2**31), "n:zset"))
    cases.run("LCS of two strings of 1 MiB", lambda: longest_common(cases))
    cases.run("ranges at both ends of i64", lambda: extreme_ranges(cases))
    cases.run("counts of 2^63-1 on three elements", lambda: generous_counts(cases))
    cases.run("SCAN with absurd cursors and counts", lambda: absurd_scans(cases))
    cases.run("a pattern made to backtrack", lambda: evil_pattern(cases))
    cases.run("a command of 200,000 words", lambda: long_command(cases))
    if kora:
        for words in (
            ("SRANDMEMBER", "n:set", str(-I64_MAX)), ("HRANDFIELD", "n:hash", str(-I64_MAX)),
            ("ZRANDMEMBER", "n:zset", str(-I64_MAX)), ("SRANDMEMBER", "n:set", "-1000000000000"),
        ):  # fmt: skip
            cases.run(f"{words[0]} of {words[2]}", lambda words=words: endless_random(cases, words), OUTPUT_LIMIT * 40)


def not_a_number(cases):
    with cases.wire() as wire:
        wire.command("ZADD", "n:inf", "inf", "a")
        reply = wire.command("ZINCRBY", "n:inf", "-inf", "a")
        assert isinstance(reply, ServerError) and "NaN" in str(reply), reply
        same(wire.command("ZSCORE", "n:inf", "a"), b"inf")


def absurd_expiry(cases, name, number):
    """Refused, or a moment in the past, which deletes; never a deadline that wrapped around."""
    with cases.wire() as wire:
        wire.command("SET", "n:ttl", "v")
        reply = wire.command(name, "n:ttl", str(number))
        if isinstance(reply, ServerError):
            assert "invalid expire time" in str(reply), reply
            same(wire.command("TTL", "n:ttl"), -1)
        elif number < 0:
            same((reply, wire.command("EXISTS", "n:ttl")), (1, 0))
        else:
            same(reply, 1)
            assert wire.command("PTTL", "n:ttl") > 2**50, "the deadline wrapped around"


def longest_common(cases):
    """A table of 2^40 cells: refused before it is allocated."""
    with cases.wire() as wire:
        wire.command("SETRANGE", "{n}lcs:a", str(MIB), "x")
        wire.command("SETRANGE", "{n}lcs:b", str(MIB), "y")
        reply = wire.command("LCS", "{n}lcs:a", "{n}lcs:b", "LEN")
        assert isinstance(reply, ServerError), reply
        wire.command("DEL", "{n}lcs:a", "{n}lcs:b")


def extreme_ranges(cases):
    low, high = str(-(2**63)), str(I64_MAX)
    with cases.wire() as wire:
        wire.command("SET", "n:str", "text")
        same(wire.command("GETRANGE", "n:str", low, high), b"text")
        same(wire.command("GETRANGE", "n:str", high, low), b"")
        same(wire.command("LRANGE", "n:list", low, high), [b"a", b"b", b"c"])
        same(wire.command("LRANGE", "n:list", high, low), [])
        same(wire.command("LINDEX", "n:list", low), None)
        same(wire.command("LINDEX", "n:list", high), None)
        same(wire.command("ZRANGE", "n:zset", low, high), [b"a", b"b"])
        same(wire.command("ZRANGEBYSCORE", "n:zset", "-inf", "+inf", "LIMIT", "0", high), [b"a", b"b"])
        same(wire.command("ZRANGEBYSCORE", "n:zset", "-inf", "+inf", "LIMIT", high, high), [])
        same(wire.command("LREM", "n:list", low, "none"), 0)
        same(wire.command("LTRIM", "n:list", low, high), b"OK")
        same(wire.command("LLEN", "n:list"), 3)


def generous_counts(cases):
    high = str(I64_MAX)
    with cases.wire() as wire:
        same(sorted(wire.command("SRANDMEMBER", "n:set", high)), [b"a", b"b", b"c"])
        same(sorted(wire.command("HRANDFIELD", "n:hash", high)), [b"f", b"g"])
        same(sorted(wire.command("ZRANDMEMBER", "n:zset", high)), [b"a", b"b"])
        wire.command("RPUSH", "n:pop", "x", "y")
        same(wire.command("LPOP", "n:pop", high), [b"x", b"y"])
        wire.command("ZADD", "n:zpop", "1", "x")
        assert wire.command("ZPOPMIN", "n:zpop", high)[0] in (b"x", [b"x", b"1"])


def absurd_scans(cases):
    with cases.wire() as wire:
        for cursor in ("18446744073709551615", "9223372036854775808", "12345678901234567"):
            reply = wire.command("SCAN", cursor, "COUNT", str(I64_MAX))
            assert isinstance(reply, (list, ServerError)), reply
            reply = wire.command("HSCAN", "n:hash", cursor, "COUNT", "1000000")
            assert isinstance(reply, (list, ServerError)), reply
        for words in (("SCAN", "-1x"), ("SCAN", "0", "COUNT", "0"), ("SCAN", "18446744073709551616000")):
            reply = wire.command(*words)
            assert isinstance(reply, ServerError) or reply[0] is not None, reply


def evil_pattern(cases):
    started = time.monotonic()
    with cases.wire() as wire:
        wire.command("SET", "a" * 200, "x")
        same(wire.command("KEYS", "a*" * 40 + "b"), [])
        wire.command("DEL", "a" * 200)
    assert time.monotonic() - started < 10, "the pattern took more than 10 s"


def long_command(cases):
    with cases.wire() as wire:
        same(wire.command("RPUSH", "n:long", *[b"%d" % n for n in range(200_000)]), 200_000)
        same(wire.command("DEL", *[b"n:none:%d" % n for n in range(200_000)], "n:long"), 1)


def endless_random(cases, words):
    """More random members than memory holds: refused, or hung up on at the output limit."""
    with cases.wire() as wire:
        wire.socket.settimeout(30)
        wire.send(encode(*words))
        first = wire.socket.recv(16)
        if first[:1] == b"-":
            return
        wait_until(lambda: hung_up(wire), 30, "the server to refuse an endless reply or to hang up")


def hung_up(wire):
    try:
        return not wire.socket.recv(1 << 20)
    except ConnectionError:
        return True


def every_byte(cases):
    def keys():
        with cases.wire() as wire:
            names = [bytes([byte]) for byte in range(256)] + [bytes([byte, 0, byte]) for byte in range(256)]
            names += [
                bytes(range(256)),
                b"",
                b"{",
                b"}",
                b"{}",
                b"{}x",
                b"\r\n",
                b"*1\r\n$4\r\nPING\r\n",
                b"k" * 100_000,
            ]
            names = sorted(set(names))
            for name in names:
                same(wire.command("SET", name, b"v:" + name), b"OK")
            for name in names:
                same(wire.command("GET", name), b"v:" + name)
            same(wire.command("EXISTS", *names), len(names))
            same(wire.command("DEL", *names), len(names))

    def elements():
        every = bytes(range(256))
        with cases.wire() as wire:
            same(wire.command("HSET", "bytes:hash", every, every, b"", b""), 2)
            same(wire.command("HGET", "bytes:hash", every), every)
            same(wire.command("HGET", "bytes:hash", b""), b"")
            same(wire.command("SADD", "bytes:set", *[bytes([byte]) for byte in range(256)]), 256)
            same(sorted(wire.command("SMEMBERS", "bytes:set")), [bytes([byte]) for byte in range(256)])
            same(wire.command("ZADD", "bytes:zset", "1", every, "1", b""), 2)
            same(wire.command("ZRANGE", "bytes:zset", "0", "-1"), [b"", every])
            same(wire.command("RPUSH", "bytes:list", every, b"", b"\x00"), 3)
            same(wire.command("LRANGE", "bytes:list", "0", "-1"), [every, b"", b"\x00"])

    def names_and_commands():
        with cases.wire() as wire:
            for byte in range(256):
                reply = wire.command(bytes([byte]), b"x")
                assert isinstance(reply, ServerError), reply
            reply = wire.command(b"\xff\x00\r\n+OK\r\n", b"\r\n")
            assert isinstance(reply, ServerError), reply
            same(wire.command("PING"), b"PONG", "a reply that an error's text did not split")

    cases.run("keys of every byte value", keys)
    cases.run("elements of every byte value", elements)
    cases.run("command names of every byte value", names_and_commands)


def memory_comes_back(server):
    limit = 256 * MIB
    wait_until(lambda: server.resident_bytes() < limit, 10, f"less than {limit // MIB} MiB after everything")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument(
        "--server", default=ORACLE, help="command line with {port} and {dir} (default: redis-server)"
    )
    arguments.add_argument("--connect", metavar="HOST:PORT", help="use a server of this machine that already runs")
    given = arguments.parse_args()
    checks = Checks("bad-input")
    with Remote(given.connect) if given.connect else Server(given.server) as server:
        open_server(checks, server)
    if not given.connect:
        locked_server(checks, given.server)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
