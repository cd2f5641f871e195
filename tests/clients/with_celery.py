"""Celery with Redis as its broker and for its results: `with_celery.py HOST PORT`, in an environment that has it.

Owns: what a program sends to a worker with two processes, and what comes back. Refuses to know: how the server was started; the
tasks and the settings are in celery_tasks.py. Start at `CHECKS`; one worker serves all of them but the last, which ends it.
"""

import os
import sys
from datetime import datetime, timedelta, timezone

import redis
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError, TimeoutError

from harness import wait_until
from scenario import Address, Program, Scenario, beside_python, equal, raises

HERE = os.path.dirname(os.path.abspath(__file__))
RESULT_SECONDS_MAX = 15
WORKER = "check@local"
TO_WORKER = {"destination": [WORKER], "timeout": 10}
"""Remote control of one worker returns with its answer, and not after a time."""


class Tasks:
    """The application as its user sees it, and its worker."""

    def __init__(self, address):
        os.environ["KORA_REDIS_URL"] = address.url().rsplit("/", 1)[0]
        import celery_tasks  # reads the address

        self.tasks, self.app = celery_tasks, celery_tasks.app
        self.broker = redis.Redis(host=address.host, port=address.port)
        self.results = redis.Redis(host=address.host, port=address.port, db=1)
        self.worker = None

    def start(self):
        """Starts the worker and waits until it answers."""
        self.worker = Program(
            beside_python("celery"),
            *("--workdir", HERE, "--app", "celery_tasks"),
            *f"worker --pool prefork --concurrency 2 --loglevel WARNING --hostname {WORKER}".split(),
        )

        def answers():
            assert self.worker.running(), self.worker.output()
            return self.app.control.ping([WORKER], timeout=1)

        wait_until(answers, 15, "the worker to answer a ping")

    def value(self, result):
        return result.get(timeout=RESULT_SECONDS_MAX)

    def results_come_back(self):
        sent = [self.tasks.add.delay(n, n) for n in range(50)]
        equal([self.value(result) for result in sent], [2 * n for n in range(50)])
        equal({result.state for result in sent}, {"SUCCESS"})
        key = f"celery-task-meta-{sent[0].id}"
        assert 0 < self.results.ttl(key) <= 600, self.results.ttl(key)
        sent[0].forget()
        equal(self.results.exists(key), 0)
        equal(self.value(self.tasks.add.apply_async(("long ", "x" * 200_000))), "long " + "x" * 200_000)
        equal(self.tasks.add.apply_async((1, 2), ignore_result=True).result, None)
        raises(TimeoutError, "", self.tasks.add.apply_async((1, 1), countdown=30).get, timeout=0.3)

    def failures(self):
        failed = self.tasks.fails.delay("what went wrong")
        raises(ValueError, "what went wrong", self.value, failed)
        equal((failed.state, "fails" in failed.traceback), ("FAILURE", True))

    def retries(self):
        retried = self.tasks.fails_at_first.delay(2, 0.5)
        equal(self.value(retried), 2)
        at_once = self.tasks.fails_at_first.delay(5, 0)
        equal(self.value(at_once), 5)
        raises(RuntimeError, "attempt 5", self.value, self.tasks.fails_at_first.delay(9, 0))

    def later(self):
        add = self.tasks.add
        equal(self.value(add.apply_async((1, 1), countdown=1)), 2)
        equal(self.value(add.apply_async((2, 2), eta=datetime.now(timezone.utc) + timedelta(seconds=0.5))), 4)
        expired = add.apply_async((3, 3), expires=datetime.now(timezone.utc) - timedelta(seconds=5))
        raises(TaskRevokedError, "expired", self.value, expired)

    def groups_and_chains(self):
        add = self.tasks.add
        together = group(add.s(n, 1) for n in range(10)).apply_async()
        equal(together.get(timeout=RESULT_SECONDS_MAX), list(range(1, 11)))
        assert together.successful() and together.completed_count() == 10
        together.save()
        restored = self.app.GroupResult.restore(together.id)
        equal(sorted(restored.get(timeout=RESULT_SECONDS_MAX)), list(range(1, 11)))
        together.delete()
        equal(self.value(chain(add.s(1, 2), add.s(10), add.s(100)).apply_async()), 113)
        broken = chain(self.tasks.fails.s("link"), add.s(1)).apply_async()
        raises(ValueError, "link", self.value, broken)
        equal(self.value((add.s(2, 2) | group(add.s(n) for n in (1, 2)) | self.tasks.total.s()).apply_async()), 11)

    def chords(self):
        add, total = self.tasks.add, self.tasks.total
        equal(self.value(chord((add.s(n, n) for n in range(20)), total.s()).apply_async()), 380)
        nested = chord([chord([add.s(1, 1), add.s(2, 2)], total.s()), add.s(3, 3)], total.s())
        equal(self.value(nested.apply_async()), 12)
        broken = chord([add.s(1, 1), self.tasks.fails.s("a member")], total.s()).apply_async()
        raises(Exception, "a member", self.value, broken)

    def states(self):
        steps = self.tasks.in_steps.delay()
        wait_until(lambda: steps.state == "PROGRESS", 10, "the state PROGRESS")
        equal(steps.info, {"step": 7})
        equal(self.value(steps), "walked")

    def revoked(self):
        waiting = self.tasks.add.apply_async((1, 1), countdown=2)
        self.app.control.revoke(waiting.id)
        raises(TaskRevokedError, "revoked", self.value, waiting)
        running = self.tasks.endless.delay()
        wait_until(lambda: running.state == "STARTED", 10, "the task to start")
        self.app.control.revoke(running.id, terminate=True)
        raises(TaskRevokedError, "", self.value, running)
        equal(self.value(self.tasks.add.delay(1, 2)), 3, "a task afterwards")

    def controlled(self):
        inspect = self.app.control.inspect(**TO_WORKER)
        registered = inspect.registered()[WORKER]
        assert "celery_tasks.add" in registered, registered
        equal(inspect.stats()[WORKER]["pool"]["max-concurrency"], 2)
        equal([row["name"] for row in inspect.active_queues()[WORKER]], ["celery"])
        equal(self.app.control.add_consumer("another", reply=True, **TO_WORKER)[0][WORKER]["ok"][:3], "add")
        equal(self.value(self.tasks.add.apply_async((4, 5), queue="another")), 9)
        equal(self.app.control.cancel_consumer("another", reply=True, **TO_WORKER)[0][WORKER]["ok"][:2], "no")
        self.tasks.add.apply_async((0, 0), queue="unread")
        equal(self.broker.llen("unread"), 1)
        with self.app.connection_for_write() as connection:
            equal(connection.default_channel.queue_purge("unread"), 1)

    def ends_warmly(self):
        """SIGTERM: what runs is finished, what waits stays in the queue, and nothing is left unacknowledged."""
        last = self.tasks.last_work.delay(1)
        wait_until(lambda: last.state == "STARTED", 10, "the last task to start")
        self.worker.terminate()
        self.worker.ends(0)
        equal(self.value(last), "finished all the same")
        unsent = self.tasks.add.delay(1, 1)
        equal((self.broker.llen("celery") >= 1, unsent.state), (True, "PENDING"))
        equal(self.app.control.purge() >= 1, True)
        equal(self.broker.llen("celery"), 0)


CHECKS = {
    "the worker starts": Tasks.start,
    "fifty tasks and their results": Tasks.results_come_back,
    "failures": Tasks.failures,
    "retries with a countdown": Tasks.retries,
    "countdown, eta, expiry": Tasks.later,
    "groups and chains": Tasks.groups_and_chains,
    "chords": Tasks.chords,
    "states of a task's own": Tasks.states,
    "revoked tasks": Tasks.revoked,
    "remote control": Tasks.controlled,
    "a warm shutdown": Tasks.ends_warmly,
}


def main():
    scenario = Scenario()
    tasks = Tasks(Address(sys.argv))
    for name, check in CHECKS.items():
        scenario.run(name, check, tasks)
    if tasks.worker and tasks.worker.running():
        tasks.worker.process.kill()
    tasks.broker.flushall()
    scenario.finish()


if __name__ == "__main__":
    main()
