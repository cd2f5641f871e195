"""The functions that RQ's workers run for with_rq.py, imported by name in processes of their own.

Owns: work that returns, fails, fails a number of times, or goes on until it is stopped. Refuses to know: queues.
Start anywhere; each is a job. State between attempts stands in the server, under `jobs:`.
"""

import threading

from rq import get_current_job


def add(left, right):
    return left + right


def described():
    """Leaves meta data behind while it runs."""
    job = get_current_job()
    job.meta["seen_by"] = job.worker_name
    job.meta["steps"] = [1, 2, 3]
    job.save_meta()
    return {"bytes": b"\x00\xff", "text": "ü" * 1000}


def fails(text):
    raise ValueError(text)


def fails_at_first(name, times):
    """Fails so many times, then returns the number of attempts."""
    attempt = get_current_job().connection.incr(f"jobs:attempts:{name}")
    if attempt <= times:
        raise RuntimeError(f"attempt {attempt}")
    return attempt


def remember(word):
    """Appends to a list, which shows the order of jobs."""
    return get_current_job().connection.rpush("jobs:order", word)


def endless():
    """Runs until its worker stops it; the limit is for the case that nobody does."""
    get_current_job().connection.incr("jobs:endless")
    threading.Event().wait(30)


def on_success(job, connection, result):
    connection.hset("jobs:callbacks", job.id, f"success {result}")


def on_failure(job, connection, kind, value, traceback):
    connection.hset("jobs:callbacks", job.id, f"failure {value}")
