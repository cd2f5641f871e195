"""RQ with its own workers: `with_rq.py HOST PORT`, in an environment that has it.

Owns: jobs from enqueueing to their results, in workers that are processes: in burst mode, and with a scheduler.
Refuses to know: what the jobs do, which is in rq_jobs.py, and how the server was started.
Start at `CHECKS`.
"""

import os
import sys
from datetime import datetime, timedelta, timezone

import redis
from rq import Callback, Queue, Repeat, Retry, Worker
from rq.command import send_shutdown_command, send_stop_job_command
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.group import Group
from rq.job import Dependency, Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry

import rq_jobs
from harness import wait_until
from scenario import Address, Program, Scenario, beside_python, equal, raises

HERE = os.path.dirname(os.path.abspath(__file__))


class Jobs:
    """Queues, and the workers that are started for them."""

    def __init__(self, address):
        self.address = address
        self.connection = redis.Redis(host=address.host, port=address.port)

    def queue(self, name):
        return Queue(name, connection=self.connection, default_timeout=20)

    def worker(self, *flags):
        return Program(beside_python("rq"), "worker", "--url", self.address.url(), "--path", HERE, *flags)

    def burst(self, *names):
        """Runs a worker until the queues are empty."""
        with self.worker("--burst", *names) as worker:
            worker.ends(0)

    def results(self):
        queue = self.queue("results")
        job = queue.enqueue(rq_jobs.add, 40, 2, description="forty and two", meta={"by": "check"})
        equal((job.get_status(), len(queue), queue.job_ids, job.get_position()), ("queued", 1, [job.id], 0))
        described = queue.enqueue(rq_jobs.described, result_ttl=300)
        brief = queue.enqueue(rq_jobs.add, 1, 1, result_ttl=0)
        self.burst("results")
        equal((job.get_status(), job.return_value()), ("finished", 42))
        equal(described.return_value(), {"bytes": b"\x00\xff", "text": "ü" * 1000})
        fetched = Job.fetch(described.id, connection=self.connection)
        equal(fetched.get_meta()["steps"], [1, 2, 3])
        assert fetched.started_at <= fetched.ended_at, "the times of the job"
        assert 0 < self.connection.ttl(fetched.key) <= 300
        result = fetched.latest_result()
        equal(
            (result.type, result.return_value["bytes"], len(fetched.results())),
            (result.Type.SUCCESSFUL, b"\x00\xff", 1),
        )
        equal(sorted(FinishedJobRegistry(queue=queue).get_job_ids()), sorted([job.id, described.id]))
        equal((len(queue), len(StartedJobRegistry(queue=queue))), (0, 0))
        raises(NoSuchJobError, "", Job.fetch, brief.id, connection=self.connection)
        both = Job.fetch_many([job.id, "no such job", described.id], connection=self.connection)
        equal([each and each.id for each in both], [job.id, None, described.id])
        job.delete()
        raises(NoSuchJobError, "", job.refresh)
        equal(FinishedJobRegistry(queue=queue).get_job_ids(), [described.id])

    def many(self):
        queue = self.queue("many")
        jobs = queue.enqueue_many([Queue.prepare_data(rq_jobs.add, (n, n)) for n in range(25)])
        front = queue.enqueue(rq_jobs.add, 0, 0, at_front=True)
        equal((queue.count, queue.job_ids[0]), (26, front.id))
        self.burst("many")
        equal([job.return_value() for job in jobs], [2 * n for n in range(25)])

    def failures(self):
        queue = self.queue("failures")
        job = queue.enqueue(rq_jobs.fails, "what went wrong", failure_ttl=500)
        late = queue.enqueue(rq_jobs.endless, job_timeout=1)
        self.burst("failures")
        equal((job.get_status(), late.get_status()), ("failed", "failed"))
        assert "ValueError: what went wrong" in job.latest_result().exc_string, job.latest_result().exc_string
        assert "JobTimeoutException" in late.latest_result().exc_string, late.latest_result().exc_string
        registry = FailedJobRegistry(queue=queue)
        equal((sorted(registry.get_job_ids()), job in registry), (sorted([job.id, late.id]), True))
        registry.requeue(job.id)
        equal((job.get_status(), queue.job_ids, len(registry)), ("queued", [job.id], 1))
        registry.remove(late, delete_job=True)
        queue.empty()
        equal((len(queue), len(registry), Job.exists(job.id, connection=self.connection)), (0, 0, False))

    def retries(self):
        queue = self.queue("retries")
        patient = queue.enqueue(rq_jobs.fails_at_first, "patient", 2, retry=Retry(max=3))
        hasty = queue.enqueue(rq_jobs.fails_at_first, "hasty", 9, retry=Retry(max=2))
        self.burst("retries")
        equal((patient.get_status(), patient.return_value()), ("finished", 3))
        equal((hasty.get_status(), self.connection.get("jobs:attempts:hasty")), ("failed", b"3"))
        equal(FailedJobRegistry(queue=queue).get_job_ids(), [hasty.id])

    def dependencies(self):
        queue, other = self.queue("low"), self.queue("high")
        first = queue.enqueue(rq_jobs.remember, "first")
        second = other.enqueue(rq_jobs.remember, "second", depends_on=first)
        third = queue.enqueue(rq_jobs.remember, "third", depends_on=[first, second])
        broken = queue.enqueue(rq_jobs.fails, "on purpose")
        anyway = queue.enqueue(rq_jobs.remember, "anyway", depends_on=Dependency([broken], allow_failure=True))
        never = queue.enqueue(rq_jobs.remember, "never", depends_on=broken)
        equal(
            (second.get_status(), sorted(queue.deferred_job_registry.get_job_ids())),
            ("deferred", sorted([third.id, anyway.id, never.id])),
        )
        self.burst("high", "low")
        order = [word.decode() for word in self.connection.lrange("jobs:order", 0, -1)]
        equal(sorted(order), ["anyway", "first", "second", "third"])
        assert order.index("first") < order.index("second") < order.index("third"), order
        equal((third.get_status(), anyway.get_status(), never.get_status()), ("finished", "finished", "deferred"))
        equal([job.id for job in third.fetch_dependencies()], [first.id, second.id])
        never.cancel()
        equal((never.get_status(), queue.canceled_job_registry.get_job_ids()), ("canceled", [never.id]))

    def callbacks_and_groups(self):
        queue = self.queue("callbacks")
        good = queue.enqueue(rq_jobs.add, 2, 3, on_success=Callback(rq_jobs.on_success))
        bad = queue.enqueue(rq_jobs.fails, "alas", on_failure=Callback(rq_jobs.on_failure))
        group = Group.create(connection=self.connection)
        jobs = group.enqueue_many(queue, [Queue.prepare_data(rq_jobs.add, (n, 1)) for n in range(4)])
        self.burst("callbacks")
        said = self.connection.hgetall("jobs:callbacks")
        equal(said, {good.id.encode(): b"success 5", bad.id.encode(): b"failure alas"})
        equal(sorted(job.return_value() for job in group.get_jobs()), [1, 2, 3, 4])
        equal({job.id for job in group.get_jobs()}, {job.id for job in jobs})

    def unique(self):
        queue = self.queue("unique")
        queue.enqueue(rq_jobs.add, 1, 2, job_id="only-one", unique=True)
        raises(DuplicateJobError, "", queue.enqueue, rq_jobs.add, 1, 2, job_id="only-one", unique=True)
        equal(queue.job_ids, ["only-one"])
        self.burst("unique")
        equal(Job.fetch("only-one", connection=self.connection).return_value(), 3)

    def scheduler(self):
        """A worker that goes on: jobs of the near future, retries after a time, repetitions; ended by a command."""
        queue = self.queue("scheduled")
        soon = queue.enqueue_in(timedelta(seconds=1), rq_jobs.add, 1, 1)
        past = queue.enqueue_at(datetime.now(timezone.utc) - timedelta(minutes=1), rq_jobs.add, 2, 2)
        far = queue.enqueue_in(timedelta(days=1), rq_jobs.add, 3, 3)
        equal((soon.get_status(), len(queue.scheduled_job_registry), len(queue)), ("scheduled", 3, 0))
        retried = queue.enqueue(rq_jobs.fails_at_first, "scheduled", 1, retry=Retry(max=2, interval=[1]))
        repeated = queue.enqueue(rq_jobs.remember, "repeated", repeat=Repeat(times=2, interval=1))
        self.connection.delete("jobs:order")
        with self.worker("--with-scheduler", "--name", "planner", "scheduled") as worker:
            wait_until(
                lambda: all(job.get_status() == "finished" for job in (soon, past, retried)),
                15,
                f"the scheduled jobs: {[job.get_status() for job in (soon, past, retried)]}",
            )
            wait_until(lambda: self.connection.llen("jobs:order") == 3, 15, f"two repetitions of {repeated.id}")
            equal((soon.return_value(), past.return_value(), retried.return_value()), (2, 4, 2))
            equal(ScheduledJobRegistry(queue=queue).get_job_ids(), [far.id])
            names = [each.name for each in Worker.all(connection=self.connection)]
            equal(names, ["planner"])
            assert Worker.all(queue=queue)[0].successful_job_count >= 5
            send_shutdown_command(self.connection, "planner")
            worker.ends(0)
        equal(Worker.all(connection=self.connection), [])

    def stopped(self):
        """A job that is stopped from outside, and a worker that is told to end by a signal."""
        queue = self.queue("stopped")
        self.connection.delete("jobs:endless")
        job = queue.enqueue(rq_jobs.endless)
        with self.worker("--name", "stoppable", "stopped") as worker:
            wait_until(lambda: self.connection.get("jobs:endless") == b"1", 10, "the job to begin")
            wait_until(lambda: job.id in StartedJobRegistry(queue=queue).get_job_ids(), 10, "the job to be registered")
            equal(Worker.all(queue=queue)[0].get_state(), "busy")
            send_stop_job_command(self.connection, job.id)
            wait_until(lambda: job.get_status() == "stopped", 10, "the job to be stopped")
            after = queue.enqueue(rq_jobs.add, 5, 5)
            wait_until(lambda: after.get_status() == "finished", 10, "the next job")
            worker.terminate()
            worker.ends(0)
        equal(job.id in FailedJobRegistry(queue=queue).get_job_ids(), True)


CHECKS = {
    "results and meta": Jobs.results,
    "many jobs at once": Jobs.many,
    "failures, timeouts and requeueing": Jobs.failures,
    "Retry": Jobs.retries,
    "dependencies over two queues": Jobs.dependencies,
    "callbacks and groups": Jobs.callbacks_and_groups,
    "unique jobs": Jobs.unique,
    "a worker with a scheduler": Jobs.scheduler,
    "a job that is stopped, a worker that is ended": Jobs.stopped,
}


def main():
    scenario = Scenario()
    jobs = Jobs(Address(sys.argv))
    jobs.connection.flushall()
    for name, check in CHECKS.items():
        scenario.run(name, check, jobs, seconds=30)
    jobs.connection.flushall()
    scenario.finish()


if __name__ == "__main__":
    main()
