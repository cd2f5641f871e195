"""redis-py against a running server, in RESP2 and RESP3: `with_redis_py.py HOST PORT`, in an environment that has it.

Owns: what a Python program does with the library. Refuses to know: how the server was started.
Start at `suite`. Each protocol runs the same checks; shapes that differ by protocol are spelled out in `shapes`.
"""

import os
import sys
import threading
import warnings

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scenario import Address, Scenario, equal, raises

MIB = 1024 * 1024


def suite(host, port, protocol, run):
    def connect(**options):
        return redis.Redis(host=host, port=port, protocol=protocol, **options)

    client = connect()
    text = connect(decode_responses=True)

    def greeting():
        assert client.ping() is True
        info = client.info()
        assert int(info["redis_version"].split(".")[0]) >= 7, info["redis_version"]
        assert client.client_id() > 0
        hello = client.execute_command("HELLO", str(protocol))
        proto = hello[b"proto"] if isinstance(hello, dict) else hello[hello.index(b"proto") + 1]
        equal(proto, protocol)
        named = connect(client_name="kora-check")
        equal(as_text(named.client_getname()), "kora-check")
        mine = [row for row in named.client_list() if row["name"] == "kora-check"]
        equal(len(mine), 1)
        if "lib-name" in mine[0]:  # Redis has it since 7.2
            equal(mine[0]["lib-name"][:8], "redis-py")
        named.close()

    def strings():
        assert client.set("py:k", "v", ex=100) is True
        equal(client.get("py:k"), b"v")
        assert 0 < client.ttl("py:k") <= 100
        equal(client.set("py:k", "w", nx=True), None)
        equal(client.set("py:k", "w", get=True), b"v")
        equal(client.incrbyfloat("py:f", 0.5), 0.5)
        equal(client.mset({f"py:m{n}": n for n in range(50)}), True)
        equal(client.mget([f"py:m{n}" for n in range(51)]), [b"%d" % n for n in range(50)] + [None])
        equal(client.delete(*[f"py:m{n}" for n in range(50)]), 50)

    def shapes():
        client.delete("py:h", "py:z", "py:s", "py:l")
        equal(client.hset("py:h", mapping={"a": 1, "b": 2}), 2)
        equal(client.hgetall("py:h"), {b"a": b"1", b"b": b"2"})
        equal(client.hmget("py:h", "a", "none"), [b"1", None])
        client.zadd("py:z", {"one": 1, "two": 2.5, "top": float("inf")})
        equal(
            [(pair[0], pair[1]) for pair in client.zrange("py:z", 0, -1, withscores=True)],
            [(b"one", 1.0), (b"two", 2.5), (b"top", float("inf"))],
        )
        equal(client.zscore("py:z", "two"), 2.5)
        equal(client.zincrby("py:z", 1, "one"), 2.0)
        client.sadd("py:s", "x", "y")
        equal(set(client.smembers("py:s")), {b"x", b"y"})
        equal(bool(client.sismember("py:s", "x")), True)
        client.rpush("py:l", "a", "b", "c")
        equal(client.lrange("py:l", 0, -1), [b"a", b"b", b"c"])
        equal(client.lpop("py:l", 2), [b"a", b"b"])
        equal(
            {as_text(name): as_text(value) for name, value in client.config_get("databases").items()},
            {"databases": "16"},
        )
        equal(client.object("encoding", "py:s") in (b"listpack", b"hashtable"), True)

    def binary():
        every = bytes(range(256))
        client.set(every, every * 4)
        equal(client.get(every), every * 4)
        client.hset(b"py:\x00\xff", every, b"\r\n\x00")
        equal(client.hget(b"py:\x00\xff", every), b"\r\n\x00")
        equal(client.delete(every, b"py:\x00\xff"), 2)
        text.set("py:ü", "naïve ☃")
        equal(text.get("py:ü"), "naïve ☃")

    def pipelines():
        with client.pipeline(transaction=False) as pipe:
            for n in range(5000):
                pipe.set(f"py:p:{n}", n)
                pipe.get(f"py:p:{n}")
            replies = pipe.execute()
        equal(len(replies), 10_000)
        equal(replies[1::2], [b"%d" % n for n in range(5000)])
        with client.pipeline(transaction=False) as pipe:
            replies = pipe.set("py:p:x", "text").incr("py:p:x").get("py:p:x").execute(raise_on_error=False)
        equal((replies[0], type(replies[1]), replies[2]), (True, redis.ResponseError, b"text"))

    def errors():
        client.set("py:str", "x")
        raises(redis.ResponseError, "WRONGTYPE", lambda: client.lpush("py:str", "x"))
        raises(redis.ResponseError, "not an integer", lambda: client.incr("py:str"))
        raises(redis.ResponseError, "unknown command", lambda: client.execute_command("NO.SUCH"))
        raises(redis.ResponseError, "wrong number of arguments", lambda: client.execute_command("GET"))
        raises(redis.ResponseError, "out of range", lambda: connect(db=99).ping())
        equal(client.get("py:str"), b"x")

    def scanning():
        keys = {b"py:scan:%d" % n for n in range(3000)}
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.set(key, 1)
            pipe.execute()
        equal(set(client.scan_iter(match="py:scan:*", count=100)), keys)
        client.hset("py:big", mapping={f"f{n}": n for n in range(2000)})
        equal(len(dict(client.hscan_iter("py:big", count=50))), 2000)
        client.sadd("py:bigset", *range(2000))
        equal(len(set(client.sscan_iter("py:bigset", count=50))), 2000)
        client.zadd("py:bigzset", {f"m{n}": n for n in range(2000)})
        equal(len(dict(client.zscan_iter("py:bigzset", count=50))), 2000)
        equal(set(client.scan_iter(_type="HASH", match="py:big*")), {b"py:big"})

    def pool():
        shared = redis.ConnectionPool(host=host, port=port, protocol=protocol, max_connections=20)
        counted = redis.Redis(connection_pool=shared)
        counted.delete("py:count")
        failures = []

        def work():
            try:
                for _ in range(200):
                    counted.incr("py:count")
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(failures, [])
        equal(counted.get("py:count"), b"3200")
        shared.disconnect()

    def big_values():
        value = os.urandom(8 * MIB)
        client.set("py:8mib", value)
        assert client.get("py:8mib") == value, "the value came back changed"
        equal(client.getrange("py:8mib", 5 * MIB, 5 * MIB + 9), value[5 * MIB : 5 * MIB + 10])
        equal(client.append("py:8mib", b"tail"), 8 * MIB + 4)
        with client.pipeline(transaction=False) as pipe:
            for _ in range(4):
                pipe.get("py:8mib")
            assert all(reply == value + b"tail" for reply in pipe.execute()), "a pipelined value came back changed"
        equal(client.delete("py:8mib"), 1)

    def timeouts():
        impatient = connect(socket_timeout=0.1, retry=Retry(NoBackoff(), 0), single_connection_client=True)
        impatient.set("py:t", "1")
        raises(redis.TimeoutError, "", lambda: impatient.execute_command("DEBUG", "SLEEP", "0.5"))
        impatient.connection_pool.disconnect()
        patient = connect(socket_timeout=10)
        equal(patient.get("py:t"), b"1")

    def databases():
        third = connect(db=3)
        third.set("py:db", "three")
        equal(client.get("py:db"), None)
        equal(third.get("py:db"), b"three")
        equal(third.dbsize(), 1)
        third.flushdb()

    def commands():
        table = client.command()
        names = {as_text(name).lower() for name in table}
        assert {"get", "zadd", "client"} <= names, sorted(names)[:10]
        equal(client.command_count(), len(table))
        equal(text.command_getkeys("MSET", "a", "1", "b", "2"), ["a", "b"])

    def reconnects():
        victim, killer = connect(), connect()
        number = victim.client_id()
        equal(int(killer.client_kill_filter(_id=number)), 1)
        equal(victim.ping(), True)
        assert victim.client_id() != number, "the same connection again"

    for check in (
        greeting,
        strings,
        shapes,
        binary,
        pipelines,
        errors,
        scanning,
        pool,
        big_values,
        timeouts,
        databases,
        commands,
        reconnects,
    ):
        run(f"RESP{protocol} {check.__name__.replace('_', ' ')}", check)
    client.flushall()


def as_text(word):
    """The library decodes some words in one protocol and not in the other."""
    return word.decode() if isinstance(word, bytes) else word


def main():
    warnings.simplefilter("ignore")
    address, scenario = Address(sys.argv), Scenario()
    for protocol in (2, 3):
        suite(address.host, address.port, protocol, scenario.run)
    scenario.finish()


if __name__ == "__main__":
    main()
