"""django-redis as the cache and session store of a Django program: `with_django.py HOST PORT`.

Owns: what Django and django-redis ask of a cache. Refuses to know: how the server was started.
Start at `CHECKS`. Django is configured here and has no project; models, views and a database are not needed.
"""

import sys
import threading
import time

import django
from django.conf import settings
from django.core.cache import caches
from django.utils.module_loading import import_string

from harness import wait_until
from scenario import Address, Background, Scenario, equal, raises


def configure(address):
    def cache(**options):
        return {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": address.url(1),
            "KEY_PREFIX": "site",
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient", **options},
        }

    settings.configure(
        SECRET_KEY="only for this program",
        CACHES={
            "default": cache(),
            "json": cache(
                SERIALIZER="django_redis.serializers.json.JSONSerializer",
                COMPRESSOR="django_redis.compressors.zlib.ZlibCompressor",
            ),
            "resp3": cache(CONNECTION_POOL_KWARGS={"protocol": 3, "max_connections": 20}),
        },
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        USE_TZ=True,
    )
    django.setup()


def values(cache):
    cache.set("a", {"nested": [1, 2.5, None, "ü"]}, timeout=100)
    equal(cache.get("a"), {"nested": [1, 2.5, None, "ü"]})
    equal(cache.get("none", "default"), "default")
    equal((cache.add("a", 1), cache.add("b", 1)), (False, True))
    equal((cache.has_key("b"), "b" in cache, cache.delete("b"), cache.delete("b")), (True, True, True, False))
    cache.set_many({f"m{n}": n for n in range(100)}, timeout=60)
    equal(cache.get_many([f"m{n}" for n in range(101)]), {f"m{n}": n for n in range(100)})
    equal(cache.delete_many([f"m{n}" for n in range(100)]), 100)
    cache.set("big", "x" * 500_000)
    equal(len(cache.get("big")), 500_000)
    equal((cache.set("a", 7, nx=True), cache.get("a") == 7), (False, False))
    cache.set("v", "one", version=1)
    cache.set("v", "two", version=2)
    equal((cache.get("v"), cache.get("v", version=2)), ("one", "two"))
    equal((cache.incr_version("v"), cache.get("v"), cache.get("v", version=2)), (2, None, "one"))


def numbers(cache):
    cache.set("n", 10, timeout=100)
    equal((cache.incr("n"), cache.incr("n", 9), cache.decr("n", 5)), (11, 20, 15))
    assert 0 < cache.ttl("n") <= 100, "incr keeps the time to live"
    raises(ValueError, "not found", cache.incr, "no such number")
    equal(cache.incr("made", 3, ignore_key_check=True), 3)


def lifetimes(cache):
    cache.set("t", "v", timeout=None)
    equal((cache.ttl("t"), cache.ttl("none")), (None, 0))
    equal(cache.touch("t", 50), True)
    assert 0 < cache.ttl("t") <= 50 and 40_000 < cache.pttl("t") <= 50_000
    equal((cache.persist("t"), cache.ttl("t")), (True, None))
    equal((cache.expire("t", 100), cache.pexpire("t", 70_000)), (True, True))
    assert 60 < cache.ttl("t") <= 70
    equal(cache.expire_at("t", int(time.time()) + 500), True)
    assert 400 < cache.ttl("t") <= 500
    equal((cache.touch("none", 5), cache.persist("none")), (False, False))
    cache.set("zero", "v", timeout=0)
    equal(cache.get("zero"), None)
    cache.set("brief", "v", timeout=1)
    cache.pexpire("brief", 20)
    wait_until(lambda: cache.get("brief") is None, 10, "the key to expire")


def get_or_set(cache):
    calls = []

    def make():
        calls.append(1)
        return "made"

    equal((cache.get_or_set("gos", make, 100), cache.get_or_set("gos", make, 100), len(calls)), ("made", "made", 1))


def patterns(cache):
    cache.set_many({f"user:{n}": n for n in range(300)})
    cache.set("other", 1)
    equal(sorted(cache.keys("user:1?")), sorted(f"user:{n}" for n in range(10, 20)))
    equal(sorted(cache.iter_keys("user:*", itersize=50)), sorted(f"user:{n}" for n in range(300)))
    equal(cache.delete_pattern("user:*", itersize=40), 300)
    equal((cache.keys("user:*"), cache.get("other")), ([], 1))


def locks(cache):
    with cache.lock("resource", timeout=20):
        rival = cache.lock("resource", timeout=20, blocking_timeout=0.1)
        equal(rival.acquire(), False)
    count, guard = [0], threading.Lock()

    def work():
        for _ in range(5):
            with cache.lock("shared", timeout=20, sleep=0.002):
                seen = cache.get("total", 0)
                cache.set("total", seen + 1)
            with guard:
                count[0] += 1

    for worker in [Background(work) for _ in range(4)]:
        worker.result()
    equal((cache.get("total"), count[0]), (20, 20))


def raw_client(cache):
    raw = cache.client.get_client(write=True)
    equal(raw.info("server")["redis_version"].split(".")[0].isdigit(), True)
    equal(raw.exists(cache.make_key("other")), 1, "the prefix and the version stand in the key")
    raw.rpush("plain", "a", "b")
    equal(raw.lrange("plain", 0, -1), [b"a", b"b"])


def collections(cache):
    """What django-redis offers of Redis's own types."""
    equal(cache.sadd("tags", "red", "blue"), 2)
    equal((cache.smembers("tags"), cache.sismember("tags", "red"), cache.scard("tags")), ({"red", "blue"}, True, 2))
    equal(cache.hset("person", "name", "Ada"), 1)
    equal((cache.hexists("person", "name"), cache.hkeys("person"), cache.hlen("person")), (True, ["name"], 1))


def sessions(cache):
    engine = import_string("django.contrib.sessions.backends.cache.SessionStore")
    session = engine()
    session["user"] = {"id": 7, "cart": ["a", "b"]}
    session.set_expiry(300)
    session.save()
    again = engine(session_key=session.session_key)
    equal((again["user"], again.get_expiry_age()), ({"id": 7, "cart": ["a", "b"]}, 300))
    old = again.session_key
    again.cycle_key()
    equal((engine(session_key=again.session_key)["user"]["id"], again.exists(old)), (7, False))
    again.flush()
    equal(engine(session_key=old).load(), {})


def clears(cache):
    cache.set("last", 1)
    cache.clear()
    equal((cache.get("last"), cache.keys("*")), (None, []))
    cache.close()


CHECKS = {
    "set, get, add, many, versions": values,
    "incr and decr": numbers,
    "ttl, touch, persist, expire": lifetimes,
    "get_or_set": get_or_set,
    "keys, iter_keys, delete_pattern": patterns,
    "locks": locks,
    "the client below": raw_client,
    "sets and hashes": collections,
    "sessions": sessions,
    "clear": clears,
}


def main():
    address, scenario = Address(sys.argv), Scenario()
    configure(address)
    for alias in settings.CACHES:
        for name, check in CHECKS.items():
            scenario.run(f"{alias} cache, {name}", check, caches[alias])
    scenario.finish()


if __name__ == "__main__":
    main()
