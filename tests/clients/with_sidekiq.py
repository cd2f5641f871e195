"""What Sidekiq sends, over redis-py, for there is no Ruby here: `with_sidekiq.py HOST PORT`.

Owns: the fetch of a work queue, the scheduled set emptied by a script, retries, heartbeats and the figures of the web page, with the
commands and key names that Sidekiq uses. Refuses to know: Ruby, and how the server was started.
Start at `Sidekiq`; every method whose name is in `CHECKS` is a check.
"""

import json
import sys
import time

import redis

from harness import wait_until
from scenario import Address, Background, Scenario, equal, raises

POP_BY_SCORE = """
local key, now = KEYS[1], ARGV[1]
local jobs = redis.call("zrange", key, "-inf", now, "byscore", "limit", 0, 1)
if jobs[1] then
  redis.call("zrem", key, jobs[1])
  return jobs[1]
end
"""
"""Takes the first job of a scheduled set whose time has come. Two pollers never get the same one."""


class Sidekiq:
    """A client and the processes that work for it."""

    def __init__(self, address):
        self.address = address
        self.client = self.connect()
        self.pop = self.client.register_script(POP_BY_SCORE)

    def connect(self):
        return redis.Redis(host=self.address.host, port=self.address.port, decode_responses=True)

    def push(self, queue, *jobs):
        with self.client.pipeline(transaction=False) as pipe:
            pipe.sadd("queues", queue)
            pipe.lpush(f"queue:{queue}", *[json.dumps(job) for job in jobs])
            return pipe.execute()

    def due(self, name, client=None):
        """Moves every job whose time has come to its queue, as the poller does, and returns how many it moved."""
        moved = 0
        while job := self.pop(keys=[name], args=[repr(time.time())], client=client):
            self.push(json.loads(job)["queue"], json.loads(job))
            moved += 1
        return moved

    def fetch(self):
        fetched = Background(self.connect().brpop, ["queue:critical", "queue:default", "queue:low"], 0)
        wait_until(lambda: self.client.info("clients")["blocked_clients"] == 1, 10, "the fetch to block")
        self.push("low", {"jid": "1"})
        name, job = fetched.result()
        equal((name, json.loads(job)), ("queue:low", {"jid": "1"}))
        self.push("low", {"jid": "2"})
        self.push("critical", {"jid": "3"}, {"jid": "4"})
        order = [
            json.loads(self.connect().brpop(["queue:critical", "queue:default", "queue:low"], 2)[1])["jid"]
            for _ in range(3)
        ]
        equal(order, ["3", "4", "2"])
        equal(self.client.smembers("queues"), {"low", "critical"})

    def scheduled(self):
        now = time.time()
        jobs = [{"jid": f"s{n}", "queue": "default"} for n in range(50)]
        self.client.zadd("schedule", {json.dumps(job): now - 60 + n for n, job in enumerate(jobs)})
        self.client.zadd("schedule", {json.dumps({"jid": "later", "queue": "default"}): now + 3600})
        self.client.script_flush()
        equal(self.due("schedule"), 50)
        equal(self.client.zcard("schedule"), 1)
        equal(
            [json.loads(job)["jid"] for job in reversed(self.client.lrange("queue:default", 0, -1))],
            [f"s{n}" for n in range(50)],
        )
        equal(self.due("schedule"), 0)
        self.client.delete("queue:default")

    def many_pollers(self):
        self.client.zadd("retry", {json.dumps({"jid": n, "queue": "default"}): n for n in range(400)})
        pollers = [Background(self.due, "retry", self.connect()) for _ in range(6)]
        equal(sum(poller.result() for poller in pollers), 400)
        jobs = sorted(json.loads(job)["jid"] for job in self.client.lrange("queue:default", 0, -1))
        equal(jobs, list(range(400)), "each job once")

    def super_fetch(self):
        """Jobs move to a list of the process that works on them, and back when it is gone."""
        self.client.delete("queue:default")
        self.push("default", *[{"jid": n} for n in range(10)])
        private = "queue:sq|host:1|default"
        for _ in range(10):
            self.client.blmove("queue:default", private, 1, "RIGHT", "LEFT")
        equal((self.client.llen("queue:default"), self.client.llen(private)), (0, 10))
        finished = json.dumps({"jid": 3})
        equal(self.client.lrem(private, -1, finished), 1)
        while self.client.rpoplpush(private, "queue:default"):
            pass
        equal((self.client.llen("queue:default"), self.client.exists(private)), (9, 0))

    def retries(self):
        job = {"jid": "r", "queue": "default", "retry_count": 0}
        with self.client.pipeline() as pipe:
            pipe.zadd("dead", {json.dumps(job): time.time()})
            pipe.zremrangebyscore("dead", "-inf", time.time() - 180 * 86400)
            pipe.zremrangebyrank("dead", 0, -10_000)
            equal(pipe.execute(), [1, 0, 0])
        found = [json.loads(each)["jid"] for each, _ in self.client.zscan_iter("dead", match='*"r"*', count=100)]
        equal(found, ["r"])
        with self.client.pipeline() as pipe:
            equal(pipe.zrange("dead", 0, 0, withscores=True).zremrangebyrank("dead", 0, 0).execute()[1], 1)

    def heartbeat(self):
        """The process announces itself, counts what it did, and reads the signals sent to it."""
        name = "host:1:abc"
        with self.client.pipeline() as pipe:
            for stat in ("processed", "failed"):
                pipe.incrby(f"stat:{stat}", 5).incrby(f"stat:{stat}:2026-01-01", 5).expire(
                    f"stat:{stat}:2026-01-01", 5 * 365 * 86400
                )
            pipe.unlink(f"{name}:work").hset(f"{name}:work", mapping={"tid": "{}"}).expire(f"{name}:work", 60)
            pipe.execute()
        with self.client.pipeline() as pipe:
            pipe.sadd("processes", name).exists(name)
            pipe.hset(name, mapping={"info": "{}", "busy": 1, "beat": time.time(), "quiet": "false"}).expire(name, 60)
            pipe.rpop(f"{name}-signals")
            equal(pipe.execute(), [1, 0, 4, True, None])
        self.client.lpush(f"{name}-signals", "TSTP")
        equal(self.client.rpop(f"{name}-signals"), "TSTP")
        with self.client.pipeline(transaction=False) as pipe:
            pipe.get("stat:processed").zcard("schedule").zcard("retry").scard("processes").lindex(
                "queue:default", -1
            ).smembers("queues")
            figures = pipe.execute()
        equal(figures[:4], ["5", 1, 0, 1])
        equal(sorted(self.client.sscan_iter("queues")), ["critical", "default", "low"])

    def leader_and_limits(self):
        """SET NX for the leader, a script that renews only one's own, and a window limiter."""
        equal(self.client.set("dear-leader", "me", nx=True, ex=20), True)
        equal(self.client.set("dear-leader", "you", nx=True, ex=20), None)
        renew = self.client.register_script(
            "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('expire', KEYS[1], ARGV[2]) else return 0 end"
        )
        equal((renew(keys=["dear-leader"], args=["me", 30]), renew(keys=["dear-leader"], args=["you", 30])), (1, 0))
        window = self.client.register_script(
            "redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[1] - ARGV[2])\n"
            "if redis.call('zcard', KEYS[1]) >= tonumber(ARGV[3]) then return {err = 'OVER LIMIT'} end\n"
            "redis.call('zadd', KEYS[1], ARGV[1], ARGV[4])\n"
            "redis.call('pexpire', KEYS[1], ARGV[2])\n"
            "return redis.call('zcard', KEYS[1])"
        )
        equal([window(keys=["limit"], args=[1000 + n, 60_000, 3, n]) for n in range(3)], [1, 2, 3])
        raises(redis.ResponseError, "OVER LIMIT", window, keys=["limit"], args=[1004, 60_000, 3, "x"])
        equal(window(keys=["limit"], args=[62_000, 60_000, 3, "y"]), 1, "the window has moved on")

    def batches(self):
        """A batch counts its jobs down; the last one calls back once."""
        self.client.hset("b-1", mapping={"pending": 100, "done": 0})
        down = self.client.register_script(
            "local left = redis.call('hincrby', KEYS[1], 'pending', -1)\n"
            "redis.call('hincrby', KEYS[1], 'done', 1)\n"
            "if left == 0 then redis.call('lpush', KEYS[2], ARGV[1]) end\n"
            "return left"
        )

        def work():
            client = self.connect()
            return [down(keys=["b-1", "queue:callbacks"], args=["success"], client=client) for _ in range(20)]

        left = sorted(n for worker in [Background(work) for _ in range(5)] for n in worker.result())
        equal(left, list(range(100)))
        equal(self.client.lrange("queue:callbacks", 0, -1), ["success"])


CHECKS = {
    "BRPOP fetch over several queues": Sidekiq.fetch,
    "the scheduled set": Sidekiq.scheduled,
    "six pollers of one set": Sidekiq.many_pollers,
    "jobs in the hands of a process": Sidekiq.super_fetch,
    "retries and the dead set": Sidekiq.retries,
    "heartbeat and figures": Sidekiq.heartbeat,
    "leader and limits": Sidekiq.leader_and_limits,
    "batches": Sidekiq.batches,
}


def main():
    scenario = Scenario()
    sidekiq = Sidekiq(Address(sys.argv))
    for name, check in CHECKS.items():
        scenario.run(name, check, sidekiq)
    sidekiq.client.flushall()
    scenario.finish()


if __name__ == "__main__":
    main()
