"""An open-loop load: GET and SET at a fixed rate, whether or not the server keeps up.

Owns: the schedule, a process of its own that keeps to it, and what every request took. Refuses to know: which server it
is and what it does meanwhile. Start at `OpenLoop`.

A request's latency counts from the moment it was due, so a server that stands still for a second is charged for all
requests of that second and not for the one that happened to be under way. How late the generator itself sent is kept
beside it: where that is as large as the latencies, they are the generator's and not the server's.

A virtual core that has nothing to do is taken away and comes back milliseconds late, which at this rate would be most of
what is measured. So each core has a loop of the lowest priority that keeps it busy.
"""

import array
import collections
import gc
import multiprocessing
import os
import random
import select
import socket
import time

CONNECTIONS = 20
BURST_MAX = 64
"""Overdue requests that are sent before replies are read again."""
DRAIN_SECONDS_MAX = 60
SET_REPLY = b"+OK\r\n"


class OpenLoop:
    """Runs while the context lasts; `finish` ends it and returns its samples."""

    def __init__(self, server, keys, value_bytes, rate, client_cpus, server_cpus):
        fork = multiprocessing.get_context("fork")
        # They come before the pipe: a copy of its end in another process would hide that the generator is gone.
        self.processes = [
            fork.Process(target=_keep_awake, args=(cpu, os.getpid()), daemon=True) for cpu in client_cpus | server_cpus
        ]
        for process in self.processes:
            process.start()
        self.pipe, theirs = fork.Pipe()
        wanted = (server.host, server.port, keys, value_bytes, rate, client_cpus)
        self.processes.append(fork.Process(target=_generate, args=(theirs, self.pipe, *wanted), daemon=True))
        self.processes[-1].start()
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.join()
        self.pipe.close()

    def finish(self):
        """(due, latency, lateness of the send) of every request, in seconds; the first of the monotonic clock."""
        try:
            self.pipe.send_bytes(b"end")
            if not self.pipe.poll(DRAIN_SECONDS_MAX):
                raise SystemExit("the server left requests of the open-loop load unanswered")
            found = [array.array("d", self.pipe.recv_bytes()) for _ in range(3)]
        except (EOFError, BrokenPipeError):
            raise SystemExit("the open-loop load broke down; its reason is above") from None
        return list(zip(*found))


def _keep_awake(cpu, parent):
    os.sched_setaffinity(0, {cpu})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while os.getppid() == parent:
        for _ in range(100_000):
            pass


def _generate(pipe, others_end, host, port, keys, value_bytes, rate, cpus):
    """The process: sends what is due, reads what has come, until the pipe speaks and all replies are in."""
    others_end.close()  # or the pipe would not end with the parent
    os.sched_setaffinity(0, cpus)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # other work on these cores does not delay the schedule
    except PermissionError:
        pass  # then the lateness of the sends tells what it did
    gc.disable()
    draw = random.Random(port)
    get_head = b"$%d\r\n" % value_bytes
    get_bytes = len(get_head) + value_bytes + 2
    sockets = [socket.create_connection((host, port), DRAIN_SECONDS_MAX) for _ in range(CONNECTIONS)]
    for one in sockets:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting = {one: collections.deque() for one in sockets}
    unread = dict.fromkeys(sockets, b"")
    dues, latencies, lates = array.array("d"), array.array("d"), array.array("d")
    clock, interval = time.monotonic, 1 / rate
    start, sent, stopping = clock(), 0, False
    while not stopping or any(waiting.values()):
        for _ in range(0 if stopping else BURST_MAX):
            due, now = start + sent * interval, clock()
            if due > now:
                break
            key, one = draw.randrange(keys), sockets[sent % CONNECTIONS]
            if sent % 2:
                one.sendall(b"*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n" % key)
                waiting[one].append((due, now - due, get_head, get_bytes))
            else:
                value = draw.randbytes(value_bytes // 2).hex().encode()
                one.sendall(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%b\r\n" % (key, value_bytes, value))
                waiting[one].append((due, now - due, SET_REPLY, len(SET_REPLY)))
            sent += 1
        left = DRAIN_SECONDS_MAX if stopping else max(0, start + sent * interval - clock())
        ready = select.select([*sockets, pipe], [], [], left)[0]
        for one in ready:
            if one is pipe:
                pipe.recv_bytes()
                stopping = True
                continue
            data = unread[one] + one.recv(1 << 16)
            now, at, queue = clock(), 0, waiting[one]
            if len(data) == len(unread[one]):
                raise ConnectionError("closed by the server")
            while queue and len(data) - at >= queue[0][3]:
                due, late, head, length = queue.popleft()
                if not data.startswith(head, at):
                    raise AssertionError(f"not the reply that was due: {data[at : at + 80]!r}")
                at += length
                dues.append(due)
                latencies.append(now - due)
                lates.append(late)
            unread[one] = data[at:]
            if unread[one][:1] == b"-":
                raise AssertionError(f"refused: {unread[one][:80]!r}")
        if stopping and not ready:
            raise AssertionError("requests were left unanswered")
    for found in (dues, latencies, lates):
        pipe.send_bytes(found.tobytes())
