"""The Celery application of with_celery.py: its settings and its tasks, loaded by the worker and by the program that sends.

Owns: tasks that return, fail, retry or wait. Refuses to know: what is checked.
Start at `app`. KORA_REDIS_URL says where broker and results are; nothing else is read from outside.
"""

import os
import threading

from celery import Celery

URL = os.environ["KORA_REDIS_URL"]

app = Celery("kora_check", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 60},
    result_expires=600,
    result_extended=True,
    task_track_started=True,
    task_acks_late=True,
    worker_prefetch_multiplier=2,
    task_queue_max_priority=None,
)


@app.task
def add(left, right):
    return left + right


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fails(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def fails_at_first(self, times, countdown):
    """Succeeds at attempt `times` + 1 and returns the number of retries."""
    if self.request.retries < times:
        raise self.retry(countdown=countdown, exc=RuntimeError(f"attempt {self.request.retries}"))
    return self.request.retries


@app.task(bind=True)
def in_steps(self):
    """Reports where it is while it runs."""
    self.update_state(state="PROGRESS", meta={"step": 7})
    threading.Event().wait(0.3)
    return "walked"


@app.task
def endless():
    """Runs until it is revoked; the limit is for the case that nobody does that."""
    threading.Event().wait(40)


@app.task
def last_work(seconds):
    """Is still running when the worker is told to end."""
    threading.Event().wait(seconds)
    return "finished all the same"
