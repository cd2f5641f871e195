"""Pub/sub, blocking commands, keyspace notifications and client-side caching of redis-py: `with_redis_py_messages.py HOST PORT`.

Owns: what a Python program waits for. Refuses to know: how the server was started.
Start at `CHECKS`. Whatever waits does so until something was seen, never for a time; the checks run in RESP2 and RESP3, those of
caching in RESP3 alone, which redis-py asks for.
"""

import sys
import time
import warnings

import redis
from redis.cache import CacheConfig
from redis.connection import CacheProxyConnection

from harness import ServerError, Wire, wait_until
from scenario import Address, Background, Scenario, equal, raises

MESSAGE_SECONDS_MAX = 10


class Messages:
    """The checks for one protocol."""

    def __init__(self, address, protocol):
        self.address, self.protocol = address, protocol
        self.client = self.connect()

    def connect(self, **options):
        return redis.Redis(host=self.address.host, port=self.address.port, protocol=self.protocol, **options)

    def wire(self, protocol=None):
        wire = Wire(self.address)
        if (protocol or self.protocol) == 3:
            wire.command("HELLO", "3")
        return wire

    def blocked(self, count):
        """Waits until so many clients wait inside a blocking command."""
        wait_until(
            lambda: int(self.client.info("clients")["blocked_clients"]) == count, 10, f"{count} clients to be blocked"
        )

    def pair(self, key, value):
        """What a blocking pop of a list gives: the library has a tuple in one protocol and a list in the other."""
        return (key, value) if self.protocol == 2 else [key, value]

    # Pub/sub.

    def subscribe(self):
        with self.client.pubsub() as channel:
            channel.subscribe("news", "sport")
            equal([message(channel), message(channel)], [("subscribe", b"news", 1), ("subscribe", b"sport", 2)])
            equal(self.client.publish("news", "hello"), 1)
            equal(self.client.publish("nobody", "hello"), 0)
            equal(self.client.publish(b"sport", bytes(range(256))), 1)
            equal(
                [message(channel), message(channel)],
                [("message", b"news", b"hello"), ("message", b"sport", bytes(range(256)))],
            )
            channel.unsubscribe("news")
            equal(message(channel), ("unsubscribe", b"news", 1))
            equal(self.client.publish("news", "unheard"), 0)
            channel.ping()
            equal(message(channel)[0], "pong")
            channel.unsubscribe()
            equal(message(channel), ("unsubscribe", b"sport", 0))
        wait_until(lambda: self.client.pubsub_channels() == [], 10, "the subscriptions to be gone")

    def patterns(self):
        with self.client.pubsub() as channel:
            channel.psubscribe("log.*", "log.[ab]?")
            equal([message(channel)[0], message(channel)], ["psubscribe", ("psubscribe", b"log.[ab]?", 2)])
            channel.subscribe("log.a1")
            equal(message(channel), ("subscribe", b"log.a1", 3))
            equal(self.client.publish("log.a1", "x"), 3)
            got = sorted(whole(channel) for _ in range(3))
            equal(
                got,
                [
                    ("message", "None", b"log.a1", b"x"),
                    ("pmessage", "b'log.*'", b"log.a1", b"x"),
                    ("pmessage", "b'log.[ab]?'", b"log.a1", b"x"),
                ],
            )
            equal(self.client.publish("log.c", "y"), 1)
            equal(whole(channel), ("pmessage", "b'log.*'", b"log.c", b"y"))
            equal(self.client.pubsub_numpat(), 2)
            channel.punsubscribe("log.*")
            equal(message(channel), ("punsubscribe", b"log.*", 2))
            equal(self.client.publish("log.c", "z"), 0)

    def sharded(self):
        with self.client.pubsub() as channel:
            channel.ssubscribe("{s}:1")
            equal(message(channel), ("ssubscribe", b"{s}:1", 1))
            channel.ssubscribe("{s}:2")
            equal(message(channel), ("ssubscribe", b"{s}:2", 2))
            equal(self.client.spublish("{s}:1", "sharded"), 1)
            equal(message(channel), ("smessage", b"{s}:1", b"sharded"))
            equal(self.client.publish("{s}:1", "another space"), 0)
            equal(sorted(self.client.pubsub_shardchannels("{s}*")), [b"{s}:1", b"{s}:2"])
            equal(pairs(self.client.pubsub_shardnumsub("{s}:1", "none")), [(b"{s}:1", 1), (b"none", 0)])
            channel.sunsubscribe("{s}:1")
            equal(message(channel), ("sunsubscribe", b"{s}:1", 1))
            equal(self.client.spublish("{s}:1", "unheard"), 0)

    def introspection(self):
        channels = [self.client.pubsub() for _ in range(40)]
        for n, channel in enumerate(channels):
            channel.subscribe("everyone", f"own:{n}")
            message(channel), message(channel)
        equal(self.client.publish("everyone", "hi"), 40)
        equal({message(channel) for channel in channels}, {("message", b"everyone", b"hi")})
        equal(len(self.client.pubsub_channels("own:*")), 40)
        equal(
            pairs(self.client.pubsub_numsub("everyone", "own:7", "no")), [(b"everyone", 40), (b"own:7", 1), (b"no", 0)]
        )
        for channel in channels[:10]:
            channel.close()
        wait_until(lambda: self.client.publish("everyone", "still") == 30, 10, "closed subscribers to be forgotten")
        for channel in channels[10:]:
            equal(message(channel), ("message", b"everyone", b"still"))
            channel.close()

    def in_order(self):
        """Twice two thousand messages, half of them published by transactions and scripts, and one of a mebibyte."""
        with self.client.pubsub() as channel:
            channel.subscribe("stream")
            message(channel)
            with self.client.pipeline(transaction=False) as pipe:
                for n in range(2000):
                    pipe.publish("stream", n)
                equal(set(pipe.execute()), {1})
            with self.client.pipeline() as pipe:
                for n in range(2000, 3000):
                    pipe.publish("stream", n).set("pub:last", n)
                pipe.execute()
            self.client.eval("for n = 3000, 3999 do redis.call('PUBLISH', 'stream', n) end", 0)
            self.client.publish("stream", b"m" * (1 << 20))
            for n in range(4000):
                equal(message(channel), ("message", b"stream", b"%d" % n))
            equal(len(message(channel)[2]), 1 << 20)

    def thread_and_handlers(self):
        heard = []
        channel = self.client.pubsub(ignore_subscribe_messages=True)
        channel.subscribe(**{"handled": lambda got: heard.append(got["data"])})
        thread = channel.run_in_thread(sleep_time=0.01, daemon=True)
        wait_until(lambda: self.client.publish("handled", "probe") == 1, 10, "the thread to subscribe")
        wait_until(lambda: b"probe" in heard, 10, "the handler to be called")
        thread.stop()
        thread.join(10)
        assert not thread.is_alive(), "the thread goes on"

    def resubscribes(self):
        """A subscriber whose connection is killed subscribes again by itself."""
        with self.client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.subscribe("again")
            channel.psubscribe("ag*")
            wait_until(lambda: self.client.publish("again", "before") == 2, 10, "both subscriptions")
            equal(self.client.client_kill_filter(_type="pubsub"), 1)

            def heard():
                self.client.publish("again", "after")
                try:
                    got = channel.get_message(timeout=0.05)
                except redis.ConnectionError:
                    return False
                return got is not None and got["data"] == b"after"

            wait_until(heard, 10, "a message after the reconnection")

    def mixed(self):
        """What a subscriber may do besides: little in RESP2, everything in RESP3."""
        with self.wire() as wire:
            equal(wire.command("SUBSCRIBE", "mixed"), [b"subscribe", b"mixed", 1])
            if self.protocol == 2:
                refused = wire.command("GET", "k")
                assert isinstance(refused, ServerError) and str(refused).startswith(
                    "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed"
                ), refused
                equal(wire.command("PING", "x"), [b"pong", b"x"])
            else:
                equal(wire.command("SET", "mixed:k", "v"), b"OK")
                equal(wire.command("PING"), b"PONG")
                equal(self.client.publish("mixed", "pushed"), 1)
                equal(wire.read(), [b"message", b"mixed", b"pushed"])
                equal(wire.command("GET", "mixed:k"), b"v")
                equal(wire.command("PUBLISH", "none", "x"), 0)
            equal(wire.command("RESET"), b"RESET")
            equal(self.client.publish("mixed", "unheard"), 0)
            equal(wire.command("GET", "mixed:none"), None)

    # Blocking commands.

    def pops_at_once(self):
        client = self.client
        client.delete("bl:1", "bl:2", "bl:3")
        client.rpush("bl:2", "a", "b")
        client.rpush("bl:3", "c")
        equal(
            [client.blpop(["bl:1", "bl:2", "bl:3"], 1) for _ in range(3)],
            [self.pair(b"bl:2", b"a"), self.pair(b"bl:2", b"b"), self.pair(b"bl:3", b"c")],
        )
        client.rpush("bl:1", *range(6))
        equal(client.brpop("bl:1", 1), self.pair(b"bl:1", b"5"))
        equal(client.blmove("bl:1", "bl:2", 1, "LEFT", "RIGHT"), b"0")
        equal(client.brpoplpush("bl:1", "bl:2", 1), b"4")
        equal(client.lrange("bl:2", 0, -1), [b"4", b"0"])
        equal(client.blmpop(1, 2, "bl:none", "bl:1", direction="LEFT", count=2), [b"bl:1", [b"1", b"2"]])
        client.zadd("bz:2", {"x": 1, "y": 2, "z": 3})
        equal(tuple(client.bzpopmin(["bz:1", "bz:2"], 1)), (b"bz:2", b"x", 1.0))
        equal(tuple(client.bzpopmax("bz:2", 1)), (b"bz:2", b"z", 3.0))
        got = client.bzmpop(1, 2, ["bz:1", "bz:2"], min=True, count=5)
        equal((got[0], got[1][0][0], float(got[1][0][1])), (b"bz:2", b"y", 2.0))
        equal(client.exists("bl:1", "bz:2"), 1)

    def timeouts(self):
        for pop in (
            lambda: self.client.blpop(["bl:no", "bl:nope"], 0.2),
            lambda: self.client.brpop("bl:no", 0.2),
            lambda: self.client.blmove("bl:no", "bl:to", 0.2),
            lambda: self.client.bzpopmin("bz:no", 0.2),
            lambda: self.client.blmpop(0.2, 1, "bl:no", direction="LEFT"),
        ):
            started = time.monotonic()
            equal(pop(), None)
            assert 0.15 < time.monotonic() - started < 5, f"waited {time.monotonic() - started:.3f} s"
        raises(redis.ResponseError, "timeout is negative", self.client.blpop, "bl:no", -1)
        raises(redis.ResponseError, "timeout is not a float", self.client.execute_command, "BLPOP", "bl:no", "abc")

    def woken(self):
        waiting = Background(self.connect().blpop, ["bl:w1", "bl:w2", "bl:w3"], 0)
        self.blocked(1)
        equal(self.client.rpush("bl:w2", "first", "second"), 2)
        equal(waiting.result(), self.pair(b"bl:w2", b"first"))
        equal(self.client.lrange("bl:w2", 0, -1), [b"second"])
        moving = Background(self.connect().blmove, "bl:from", "bl:into", 0, "RIGHT", "LEFT")
        popping = Background(self.connect().bzpopmin, ["bz:w1", "bz:w2"], 0)
        self.blocked(2)
        self.client.lpush("bl:from", "v")
        self.client.zadd("bz:w2", {"high": 2, "low": 1})
        equal((moving.result(), self.client.lrange("bl:into", 0, -1)), (b"v", [b"v"]))
        equal(tuple(popping.result()), (b"bz:w2", b"low", 1.0))
        chained = Background(self.connect().blpop, "bl:end", 0)
        linking = Background(self.connect().brpoplpush, "bl:start", "bl:end", 0)
        self.blocked(2)
        self.client.lpush("bl:start", "through")
        equal((linking.result(), chained.result()), (b"through", self.pair(b"bl:end", b"through")))
        self.blocked(0)

    def woken_otherwise(self):
        """By a transaction, a script, RENAME; not by a value that is gone again or of another type."""
        waiting = Background(self.connect().blpop, "bl:tx", 0)
        self.blocked(1)
        with self.client.pipeline() as pipe:
            pipe.rpush("bl:tx", "gone").delete("bl:tx").rpush("bl:tx", "a", "b").set("bl:mark", 1).execute()
        equal(waiting.result(), self.pair(b"bl:tx", b"a"))
        waiting = Background(self.connect().blpop, "bl:lua", 0)
        self.blocked(1)
        self.client.eval("redis.call('RPUSH', KEYS[1], 'x', 'y') return redis.call('LLEN', KEYS[1])", 1, "bl:lua")
        equal(waiting.result(), self.pair(b"bl:lua", b"x"))
        waiting = Background(self.connect().blpop, "bl:renamed", 0)
        self.blocked(1)
        self.client.set("bl:renamed", "a string")
        self.client.delete("bl:renamed")
        self.client.rpush("bl:other", "moved")
        self.client.rename("bl:other", "bl:renamed")
        equal(waiting.result(), self.pair(b"bl:renamed", b"moved"))
        with self.client.pipeline() as pipe:
            equal(pipe.blpop("bl:none", 0).set("bl:mark", 2).execute(), [None, True])
        self.client.set("bl:string", "x")
        raises(redis.ResponseError, "WRONGTYPE", self.client.blpop, "bl:string", 1)

    def first_come(self):
        """Whoever has waited longest is served first."""
        waiting = []
        for n in range(5):
            waiting.append(Background(self.connect().blpop, "bl:queue", 0))
            self.blocked(n + 1)
        self.client.rpush("bl:queue", *range(5))
        equal([got.result()[1] for got in waiting], [b"%d" % n for n in range(5)])

    def unblock(self):
        sleeper = self.connect(single_connection_client=True)
        number = sleeper.client_id()
        equal(self.client.client_unblock(number), False, "a client that waits for nothing")
        waiting = Background(sleeper.blpop, "bl:u", 0)
        self.blocked(1)
        equal(self.client.client_unblock(number), True)
        equal(waiting.result(), None)
        waiting = Background(sleeper.bzpopmin, "bz:u", 0)
        self.blocked(1)
        equal(self.client.client_unblock(number, error=True), True)
        raises(redis.ResponseError, "UNBLOCKED client unblocked via CLIENT UNBLOCK", waiting.result)
        equal(sleeper.ping(), True)

    def goes_away(self):
        """A waiting client that is killed takes nothing with it."""
        wire = self.wire()
        wire.send(b"BLPOP bl:lost 0\r\n")
        self.blocked(1)
        wire.reset()
        self.blocked(0)
        equal(self.client.rpush("bl:lost", "kept"), 1)
        equal(self.client.lrange("bl:lost", 0, -1), [b"kept"])

    def consumers(self):
        """A thousand jobs over three queues, eight consumers: each job once."""
        queues = ["work:1", "work:2", "work:3"]

        def consume():
            client, done = self.connect(), []
            while (job := client.blpop(queues, 5)) and job[1] != b"end":
                done.append(int(job[1]))
            client.close()
            return done

        workers = [Background(consume) for _ in range(8)]
        with self.client.pipeline(transaction=False) as pipe:
            for n in range(1000):
                pipe.rpush(queues[n % 3], n)
            pipe.execute()
        wait_until(lambda: self.client.exists(*queues) == 0, 10, "the queues to be empty")
        self.client.rpush(queues[0], *["end"] * 8)
        equal(sorted(job for worker in workers for job in worker.result()), list(range(1000)))

    # Keyspace notifications.

    def notifications(self):
        client = self.client
        equal(client.config_set("notify-keyspace-events", "KEA"), True)
        with client.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe("__key*__:*")
            wait_until(lambda: client.pubsub_numpat() == 1, 10, "the subscription")
            client.set("ev:k", "v")
            client.rename("ev:k", "ev:moved")
            client.lpush("ev:l", 1)
            client.lpop("ev:l")
            client.set("ev:short", "v", px=20)
            wait_until(lambda: client.exists("ev:short") == 0, 10, "the key to expire")
            self.connect(db=2).hset("ev:h", "f", "v")
            expected = [
                *(("ev:k", "set"), ("ev:k", "rename_from"), ("ev:moved", "rename_to"), ("ev:l", "lpush")),
                *(
                    ("ev:l", "lpop"),
                    ("ev:l", "del"),
                    ("ev:short", "set"),
                    ("ev:short", "expire"),
                    ("ev:short", "expired"),
                ),
            ]
            wanted = [
                said
                for key, event in expected
                for said in ((f"__keyspace@0__:{key}", event), (f"__keyevent@0__:{event}", key))
            ]
            wanted += [("__keyspace@2__:ev:h", "hset"), ("__keyevent@2__:hset", "ev:h")]
            heard = [message(channel) for _ in wanted]
            # Keys of several shards may overtake one another; the events of one key may not.
            equal(sorted((name.decode(), data.decode()) for _, name, data in heard), sorted(wanted))
            of_short = [data for _, name, data in heard if name == b"__keyspace@0__:ev:short"]
            equal(of_short, [b"set", b"expire", b"expired"])
            client.config_set("notify-keyspace-events", "Kl")
            client.set("ev:k", "quiet")
            client.rpush("ev:l", 1)
            equal(message(channel), ("pmessage", b"__keyspace@0__:ev:l", b"rpush"))
        equal(client.config_get("notify-keyspace-events"), {"notify-keyspace-events": "lK"})
        client.config_set("notify-keyspace-events", "")

    # Client-side caching.

    def tracking(self):
        with self.wire(3) as wire, self.wire(3) as other:
            equal(wire.command("CLIENT", "TRACKING", "ON"), b"OK")
            wire.command("SET", "tr:k", "1")
            wire.command("GET", "tr:k")
            other.command("SET", "tr:k", "2")
            equal(wire.read(), [b"invalidate", [b"tr:k"]])
            other.command("SET", "tr:k", "3")
            equal(wire.command("GET", "tr:k"), b"3", "one message for one read")
            other.command("DEL", "tr:k")
            equal(wire.read(), [b"invalidate", [b"tr:k"]])
            equal(wire.command("CLIENT", "TRACKING", "OFF"), b"OK")
            equal(wire.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "br:", "NOLOOP"), b"OK")
            wire.command("SET", "br:own", "1")
            other.command("SET", "elsewhere", "1")
            other.command("SET", "br:other", "1")
            equal(wire.read(), [b"invalidate", [b"br:other"]])
            wire.command("CLIENT", "TRACKING", "OFF")
            equal(wire.command("CLIENT", "TRACKING", "ON", "OPTIN"), b"OK")
            wire.command("SET", "tr:in", "1")
            wire.command("SET", "tr:out", "1")
            wire.command("GET", "tr:out")
            equal(wire.command("CLIENT", "CACHING", "YES"), b"OK")
            wire.command("GET", "tr:in")
            other.command("SET", "tr:out", "2")
            other.command("SET", "tr:in", "2")
            equal(wire.read(), [b"invalidate", [b"tr:in"]])
            other.command("FLUSHALL")
            equal(wire.read(), [b"invalidate", None])

    def redirected(self):
        """RESP2: the invalidations go to another connection, as messages of a channel."""
        with self.wire(2) as data, self.wire(2) as listener, self.wire(2) as other:
            number = listener.command("CLIENT", "ID")
            equal(listener.command("SUBSCRIBE", "__redis__:invalidate"), [b"subscribe", b"__redis__:invalidate", 1])
            equal(data.command("CLIENT", "TRACKING", "ON", "REDIRECT", number), b"OK")
            equal(data.command("CLIENT", "GETREDIR"), number)
            data.command("MGET", "tr:a", "tr:b")
            other.command("SET", "tr:b", "1")
            equal(listener.read(), [b"message", b"__redis__:invalidate", [b"tr:b"]])
            equal(data.command("CLIENT", "TRACKING", "OFF"), b"OK")

    def cached(self):
        """redis-py's own cache. It asks for Redis 7.4 although CLIENT TRACKING, all it needs, is older."""
        CacheProxyConnection.MIN_ALLOWED_VERSION = "7.0.0"
        caching = self.connect(cache_config=CacheConfig(max_size=100))
        cache = caching.get_cache()
        self.client.mset({f"cs:{n}": n for n in range(50)})
        equal([caching.get(f"cs:{n}") for n in range(50)], [b"%d" % n for n in range(50)])
        equal(cache.size, 50)
        commands = int(self.client.info("stats")["total_commands_processed"])
        equal([caching.get(f"cs:{n}") for n in range(50)], [b"%d" % n for n in range(50)])
        asked = int(self.client.info("stats")["total_commands_processed"]) - commands
        assert asked < 50, f"{asked} commands reached the server for 50 values that are cached"
        self.client.set("cs:7", "changed")
        wait_until(lambda: caching.get("cs:7") == b"changed", 10, "the changed value")
        caching.hgetall("cs:h"), caching.mget("cs:1", "cs:2"), caching.zrange("cs:z", 0, -1)
        self.client.hset("cs:h", "f", "v")
        wait_until(lambda: caching.hgetall("cs:h") == {b"f": b"v"}, 10, "the changed hash")
        self.client.flushall()
        wait_until(lambda: caching.get("cs:1") is None, 10, "the flushed value")
        caching.close()


def message(channel):
    """The next message as (type, channel, data)."""
    got = next_message(channel)
    return (got["type"], got["channel"], got["data"])


def whole(channel):
    """The next message with its pattern, comparable."""
    got = next_message(channel)
    return (got["type"], str(got["pattern"]), got["channel"], got["data"])


def next_message(channel):
    deadline = time.monotonic() + MESSAGE_SECONDS_MAX
    while time.monotonic() < deadline:
        got = channel.get_message(timeout=1)
        if got is not None:
            return got
    raise AssertionError(f"no message for {MESSAGE_SECONDS_MAX} s")


def pairs(reply):
    """The library gives pairs in one protocol and a map in the other."""
    return [tuple(row) for row in (reply.items() if isinstance(reply, dict) else reply)]


CHECKS = {
    "SUBSCRIBE, PUBLISH, UNSUBSCRIBE": Messages.subscribe,
    "patterns": Messages.patterns,
    "sharded channels": Messages.sharded,
    "forty subscribers, PUBSUB": Messages.introspection,
    "four thousand messages in order": Messages.in_order,
    "a thread with handlers": Messages.thread_and_handlers,
    "subscribes again after CLIENT KILL": Messages.resubscribes,
    "other commands while subscribed": Messages.mixed,
    "blocking commands that find something": Messages.pops_at_once,
    "timeouts of a fraction of a second": Messages.timeouts,
    "blocked clients are woken": Messages.woken,
    "woken by transactions, scripts and RENAME": Messages.woken_otherwise,
    "first come, first served": Messages.first_come,
    "CLIENT UNBLOCK": Messages.unblock,
    "a blocked client goes away": Messages.goes_away,
    "a thousand jobs, eight consumers": Messages.consumers,
    "keyspace notifications": Messages.notifications,
}

CACHING_CHECKS = {
    "CLIENT TRACKING": Messages.tracking,
    "CLIENT TRACKING with REDIRECT": Messages.redirected,
    "client-side caching": Messages.cached,
}


def main():
    warnings.simplefilter("ignore")
    address, scenario = Address(sys.argv), Scenario()
    for protocol, checks in ((2, CHECKS), (3, {**CHECKS, **CACHING_CHECKS})):
        messages = Messages(address, protocol)
        for name, check in checks.items():
            scenario.run(f"RESP{protocol} {name}", check, messages)
        messages.client.flushall()
    scenario.finish()


if __name__ == "__main__":
    main()
