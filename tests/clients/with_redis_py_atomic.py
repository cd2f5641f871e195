"""Transactions, scripts, functions and locks of redis-py, in RESP2 and RESP3: `with_redis_py_atomic.py HOST PORT`.

Owns: what a Python program does to have several commands take effect as one. Refuses to know: how the server was started.
Start at `Atomic`; every method is a check, or a part of one. Keys of a check carry different names without a tag, so that a
server of several shards meets transactions and scripts over more than one of them.
"""

import sys
import threading
import warnings

import redis

from harness import ServerError, Wire, encode, wait_until
from scenario import Address, Background, Scenario, equal, raises

EXEC_ABORTED = "EXECABORT Transaction discarded because of previous errors."

SUM_SCRIPT = """
local total = 0
for index, key in ipairs(KEYS) do total = total + tonumber(redis.call('GET', key) or 0) * tonumber(ARGV[index]) end
return total
"""

LIBRARY = """#!lua name=pylib
redis.register_function('add', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function{
  function_name = 'peek',
  callback = function(keys) return redis.call('GET', keys[1]) end,
  flags = {'no-writes'},
}
"""


class Atomic:
    """The checks for one protocol."""

    def __init__(self, address, protocol):
        self.address, self.protocol = address, protocol
        self.client = self.connect()

    def connect(self, **options):
        return redis.Redis(host=self.address.host, port=self.address.port, protocol=self.protocol, **options)

    def wire(self):
        wire = Wire(self.address)
        if self.protocol == 3:
            wire.command("HELLO", "3")
        return wire

    # Transactions.

    def transaction(self):
        with self.client.pipeline() as pipe:
            pipe.set("tx:a", 1).incrby("tx:b", 2).hset("tx:h", mapping={"f": "v"}).rpush("tx:l", "x", "y")
            pipe.get("tx:a").hgetall("tx:h").lrange("tx:l", 0, -1).zadd("tx:z", {"m": 1.5}).zscore("tx:z", "m").get(
                "tx:no"
            )
            replies = pipe.execute()
        equal(replies, [True, 2, 1, 2, b"1", {b"f": b"v"}, [b"x", b"y"], 1, 1.5, None])
        with self.client.pipeline() as pipe:
            for n in range(2000):
                pipe.incr(f"tx:many:{n % 100}")
            equal(sorted(pipe.execute()), sorted(list(range(1, 21)) * 100))

    def bare_words(self):
        with self.wire() as wire, self.wire() as other:
            equal(wire.command("MULTI"), b"OK")
            equal(wire.command("SET", "tx:bare", "new"), b"QUEUED")
            equal(wire.command("GET", "tx:bare"), b"QUEUED")
            equal(other.command("GET", "tx:bare"), None, "before EXEC")
            equal(wire.command("EXEC"), [b"OK", b"new"])
            equal(other.command("GET", "tx:bare"), b"new", "after EXEC")
            wire.send(encode("MULTI") + encode("EXEC") + encode("PING"))
            equal([wire.read(), wire.read(), wire.read()], [b"OK", [], b"PONG"], "an empty transaction in one write")

    def discard(self):
        with self.wire() as wire:
            wire.command("SET", "tx:keep", "old")
            equal(wire.command("MULTI"), b"OK")
            equal(wire.command("SET", "tx:keep", "new"), b"QUEUED")
            equal(wire.command("DISCARD"), b"OK")
            equal(wire.command("GET", "tx:keep"), b"old")
            self.refused(wire, "ERR DISCARD without MULTI", "DISCARD")
            self.refused(wire, "ERR EXEC without MULTI", "EXEC")
        with self.client.pipeline() as pipe:
            pipe.multi()
            pipe.set("tx:keep", "new")
            pipe.reset()
        equal(self.client.get("tx:keep"), b"old")

    def refused(self, wire, text, *words):
        reply = wire.command(*words)
        equal((type(reply), str(reply)), (ServerError, text), " ".join(words))

    def aborts(self):
        with self.wire() as wire:
            wire.command("SET", "tx:abort", "old")
            equal(wire.command("MULTI"), b"OK")
            self.refused(wire, "ERR MULTI calls can not be nested", "MULTI")
            self.refused(wire, "ERR WATCH inside MULTI is not allowed", "WATCH", "tx:abort")
            equal(wire.command("SET", "tx:abort", "new"), b"QUEUED")
            equal(wire.command("EXEC"), [b"OK"], "nesting and watching do not abort")
            equal(wire.command("MULTI"), b"OK")
            equal(wire.command("SET", "tx:abort", "newer"), b"QUEUED")
            self.refused(wire, "ERR wrong number of arguments for 'get' command", "GET")
            self.refused(wire, EXEC_ABORTED, "EXEC")
            equal(wire.command("GET", "tx:abort"), b"new")
        with self.client.pipeline() as pipe:
            pipe.set("tx:abort", "newest").execute_command("NO.SUCH", "x")
            raises(redis.ResponseError, "unknown command", pipe.execute)
        equal(self.client.get("tx:abort"), b"new")

    def errors_inside(self):
        self.client.set("tx:str", "text")
        with self.client.pipeline() as pipe:
            replies = pipe.set("tx:e", 1).lpush("tx:str", "x").incr("tx:str").incr("tx:e").execute(raise_on_error=False)
        equal([type(reply) for reply in replies], [bool, redis.ResponseError, redis.ResponseError, int])
        assert str(replies[1]).startswith("WRONGTYPE"), replies
        equal(self.client.get("tx:e"), b"2")
        with self.client.pipeline() as pipe:
            pipe.incr("tx:e").lpush("tx:str", "x")
            raises(
                redis.ResponseError, "Command # 2 (LPUSH tx:str x) of pipeline caused error: WRONGTYPE", pipe.execute
            )
        equal(self.client.get("tx:e"), b"3")

    # WATCH.

    def watch(self):
        other = self.connect()
        self.client.set("tx:w", 1)

        def attempt(meddle):
            with self.client.pipeline() as pipe:
                pipe.watch("tx:w", "tx:w2")
                meddle()
                pipe.multi()
                pipe.set("tx:done", "yes")
                pipe.execute()

        for meddle in (
            lambda: other.incr("tx:w"),
            lambda: other.set("tx:w2", "made"),
            lambda: other.delete("tx:w2"),
            lambda: other.expire("tx:w", 1000),
            lambda: other.rename("tx:w", "tx:elsewhere"),
            lambda: other.rename("tx:elsewhere", "tx:w"),
            lambda: other.flushdb(),
        ):
            raises(redis.WatchError, "", attempt, meddle)
            equal(other.get("tx:done"), None)
        for meddle in (lambda: other.get("tx:w"), lambda: other.set("tx:bystander", 1), lambda: other.delete("tx:w2")):
            attempt(meddle)
            equal(other.getdel("tx:done"), b"yes")
        with self.client.pipeline() as pipe:
            pipe.watch("tx:w")
            other.incr("tx:w")
            pipe.unwatch()
            pipe.multi()
            equal(pipe.set("tx:done", "yes").execute(), [True])

    def watch_retry(self):
        self.client.set("tx:counter", 10)
        other, attempts = self.connect(), []

        def double(pipe):
            attempts.append(1)
            value = int(pipe.get("tx:counter"))
            if len(attempts) < 3:
                other.incr("tx:counter")
            pipe.multi()
            pipe.set("tx:counter", value * 2)

        equal(self.client.transaction(double, "tx:counter"), [True])
        equal((len(attempts), self.client.get("tx:counter")), (3, b"24"))

    def transfers(self):
        """Money moves between accounts while a reader adds them up: the total never changes."""
        accounts = [f"tx:account:{n}" for n in range(6)]
        self.client.mset({account: 100 for account in accounts})

        def moves(seed):
            client = self.connect()
            for step in range(40):
                source, target = accounts[(seed + step) % 6], accounts[(seed * 2 + step * 3 + 1) % 6]
                if source == target:
                    continue

                def move(pipe, source=source, target=target):
                    left, right = int(pipe.get(source)), int(pipe.get(target))
                    pipe.multi()
                    pipe.set(source, left - 1)
                    pipe.set(target, right + 1)

                client.transaction(move, source, target)
            client.close()

        movers = [Background(moves, seed) for seed in range(4)]
        totals, reader = set(), self.connect()
        while any(mover.running() for mover in movers):
            with reader.pipeline() as pipe:
                for account in accounts:
                    pipe.get(account)
                totals.add(sum(int(value) for value in pipe.execute()))
            totals.add(sum(int(value) for value in reader.mget(accounts)))
        for mover in movers:
            mover.result()
        equal(totals, {600})

    # Scripts.

    def scripts(self):
        client = self.client
        equal(
            client.eval("return {KEYS[1], ARGV[1], 3.9, false, {ok='fine'}}", 1, "k", "a"),
            [b"k", b"a", 3, None, b"fine"],
        )
        equal(client.eval("return ARGV[1]", 0, bytes(range(256))), bytes(range(256)))
        equal(client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "lua:s", "v"), b"OK")
        equal(client.eval_ro("return redis.call('GET', KEYS[1])", 1, "lua:s"), b"v")
        raises(
            redis.ResponseError,
            "Write commands are not allowed from read-only scripts",
            client.eval_ro,
            "return redis.call('DEL', KEYS[1])",
            1,
            "lua:s",
        )
        raises(redis.ResponseError, "WRONGTYPE", client.eval, "return redis.call('LPUSH', KEYS[1], 1)", 1, "lua:s")
        equal(client.eval("return redis.pcall('LPUSH', KEYS[1], 1).err:sub(1, 9)", 1, "lua:s"), b"WRONGTYPE")
        raises(redis.ResponseError, "my own words", client.eval, "return redis.error_reply('MY my own words')", 0)
        raises(redis.ResponseError, "Error compiling script", client.eval, "return (", 0)
        raises(redis.ResponseError, "nonexistent global variable 'nothing'", client.eval, "return nothing", 0)
        equal(client.eval("return cjson.encode({1, 'two'}) .. cjson.decode('{\"a\":7}').a", 0), b'[1,"two"]7')
        equal(client.eval("return cmsgpack.unpack(cmsgpack.pack({a = {1, 2}})).a[2]", 0), 2)

    def registered(self):
        self.client.script_flush()
        add = self.client.register_script(SUM_SCRIPT)
        self.client.mset({"{lua}:a": 2, "{lua}:b": 3})
        raises(redis.exceptions.NoScriptError, "", self.client.evalsha, add.sha, 0)
        equal(self.client.script_exists(add.sha), [False])
        equal(add(keys=["{lua}:a", "{lua}:b"], args=[10, 100]), 320, "NOSCRIPT, SCRIPT LOAD, EVALSHA again")
        equal(self.client.script_exists(add.sha, "0" * 40), [True, False])
        equal(self.client.evalsha(add.sha, 1, "{lua}:a", 1), 2)
        self.client.script_flush()
        with self.client.pipeline() as pipe:
            pipe.set("{lua}:a", 5)
            add(keys=["{lua}:a"], args=[2], client=pipe)
            pipe.get("{lua}:a")
            equal(pipe.execute(), [True, 10, b"5"])
        equal(add(keys=["{lua}:a"], args=[1], client=self.connect()), 5)
        equal(self.client.script_load(SUM_SCRIPT), add.sha)

    def scripts_are_atomic(self):
        bump = self.client.register_script(
            "local n = tonumber(redis.call('GET', KEYS[1]) or 0) redis.call('SET', KEYS[1], n + 1) return n + 1"
        )
        self.client.delete("lua:count")

        def work():
            client = self.connect()
            seen = [bump(keys=["lua:count"], client=client) for _ in range(100)]
            client.close()
            return seen

        workers = [Background(work) for _ in range(6)]
        equal(sorted(n for worker in workers for n in worker.result()), list(range(1, 601)))

    def scripts_over_many_keys(self):
        """Six keys without a tag, which a cluster would refuse; one server takes them, and nobody sees half of it."""
        keys = [f"lua:far:{n}" for n in range(6)]
        everywhere = self.client.register_script("for n = 1, #KEYS do redis.call('INCR', KEYS[n]) end return #KEYS")
        self.client.delete(*keys)

        def work():
            client = self.connect()
            seen = [everywhere(keys=keys, client=client) for _ in range(50)]
            client.close()
            return seen

        workers, reader = [Background(work) for _ in range(4)], self.connect()
        while any(worker.running() for worker in workers):
            equal(len(set(reader.mget(keys))), 1, "different values")
        equal([len(worker.result()) for worker in workers], [50] * 4)
        equal(self.client.mget(keys), [b"200"] * 6)

    def kill_script(self):
        raises(redis.ResponseError, "No scripts in execution right now", self.client.script_kill)
        self.client.config_set("busy-reply-threshold", 50)
        endless = Background(self.connect().eval, "while true do end", 0)
        killer = self.connect()

        def killed():
            try:
                return killer.script_kill()
            except redis.ResponseError as error:
                assert "NOTBUSY" in str(error) or "No scripts" in str(error), error
                return False

        wait_until(killed, 10, "SCRIPT KILL to find the script")
        raises(redis.ResponseError, "Script killed by user with SCRIPT KILL", endless.result)
        equal(self.client.eval("return 'well again'", 0), b"well again")
        self.client.config_set("busy-reply-threshold", 5000)

    def functions(self):
        client = self.client
        client.function_flush()
        equal(as_text(client.function_load(LIBRARY)), "pylib")
        raises(redis.ResponseError, "Library 'pylib' already exists", client.function_load, LIBRARY)
        equal(as_text(client.function_load(LIBRARY, replace=True)), "pylib")
        client.delete("fn:n")
        equal(client.fcall("add", 1, "fn:n", 40), 40)
        equal(client.fcall_ro("peek", 1, "fn:n"), b"40")
        raises(
            redis.ResponseError,
            "Can not execute a script with write flag using *_ro command",
            client.fcall_ro,
            "add",
            1,
            "fn:n",
            1,
        )
        raises(redis.ResponseError, "Function not found", client.fcall, "missing", 0)
        listed = client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", "py*")
        assert "pylib" in str(listed) and "no-writes" in str(listed), listed
        payload = client.function_dump()
        client.function_delete("pylib")
        raises(redis.ResponseError, "Function not found", client.fcall, "add", 1, "fn:n", 1)
        client.function_restore(payload)
        with client.pipeline() as pipe:
            equal(pipe.fcall("add", 1, "fn:n", 2).get("fn:n").execute(), [42, b"42"])
        client.function_flush()

    # Locks, which are scripts of redis-py.

    def locks(self):
        lock, rival = self.client.lock("lock:a", timeout=30), self.client.lock("lock:a", timeout=30)
        assert lock.acquire(blocking=False) and lock.owned() and lock.locked()
        assert not rival.acquire(blocking=False) and not rival.owned()
        assert not rival.acquire(blocking_timeout=0.2)
        raises(redis.exceptions.LockError, "", rival.release)
        assert lock.extend(30)
        assert 55_000 < self.client.pttl("lock:a") <= 60_000, self.client.pttl("lock:a")
        assert lock.extend(10, replace_ttl=True)
        assert self.client.pttl("lock:a") <= 10_000
        assert lock.reacquire()
        assert 25_000 < self.client.pttl("lock:a") <= 30_000
        self.client.set("lock:a", "stolen")
        raises(redis.exceptions.LockNotOwnedError, "", lock.extend, 1)
        raises(redis.exceptions.LockNotOwnedError, "", lock.release)
        self.client.delete("lock:a")
        short = self.client.lock("lock:a", timeout=0.05)
        assert short.acquire()
        assert rival.acquire(blocking_timeout=5), "the lock did not expire"
        raises(redis.exceptions.LockNotOwnedError, "", short.release)
        rival.release()
        equal(self.client.exists("lock:a"), 0)

    def lock_contention(self):
        self.client.set("lock:n", 0)
        inside, most = [], []
        guard = threading.Lock()

        def work():
            client = self.connect()
            for _ in range(8):
                with client.lock("lock:b", timeout=10, sleep=0.002):
                    with guard:
                        inside.append(1)
                        most.append(len(inside))
                    client.set("lock:n", int(client.get("lock:n")) + 1)
                    with guard:
                        inside.pop()
            client.close()

        for worker in [Background(work) for _ in range(5)]:
            worker.result()
        equal((max(most), self.client.get("lock:n")), (1, b"40"))


def as_text(word):
    """The library decodes some words in one protocol and not in the other."""
    return word.decode() if isinstance(word, bytes) else word


CHECKS = {
    "MULTI and EXEC through a pipeline": Atomic.transaction,
    "MULTI and EXEC word by word": Atomic.bare_words,
    "DISCARD": Atomic.discard,
    "EXECABORT": Atomic.aborts,
    "errors inside EXEC leave the rest alone": Atomic.errors_inside,
    "WATCH finds what others changed": Atomic.watch,
    "WATCH conflict and retry": Atomic.watch_retry,
    "transfers between six accounts": Atomic.transfers,
    "EVAL": Atomic.scripts,
    "registered scripts and NOSCRIPT": Atomic.registered,
    "scripts are atomic": Atomic.scripts_are_atomic,
    "scripts over keys without a tag": Atomic.scripts_over_many_keys,
    "SCRIPT KILL": Atomic.kill_script,
    "functions": Atomic.functions,
    "locks": Atomic.locks,
    "a lock that five threads want": Atomic.lock_contention,
}


def main():
    warnings.simplefilter("ignore")
    address, scenario = Address(sys.argv), Scenario()
    for protocol in (2, 3):
        atomic = Atomic(address, protocol)
        for name, check in CHECKS.items():
            scenario.run(f"RESP{protocol} {name}", check, atomic)
        atomic.client.flushall()
    scenario.finish()


if __name__ == "__main__":
    main()
