"""What a Python client program needs to report its checks: one `ok NAME` or `FAILED NAME: reason` line for each.

Owns: running named checks one after another, each with a deadline. Refuses to know: the library under test and the server.
Start at `Scenario.run`. The deadline is a signal, so that a library that waits for a reply that never comes is interrupted too.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

from harness import shorten

CHECK_SECONDS_MAX = 20


class Overdue(Exception):
    """A check took too long. No kind of OSError, because the libraries handle those."""


class Scenario:
    """The checks of one program."""

    def __init__(self):
        self.failed = 0
        signal.signal(signal.SIGALRM, self._overdue)

    def _overdue(self, *_):
        raise Overdue

    def run(self, name, check, *arguments, seconds=CHECK_SECONDS_MAX):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            check(*arguments)
        except Exception as error:  # every kind of failure is a failed check, and the next one still runs
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.failed += 1
            frames = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
            places = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}" for f in reversed(frames[-3:]))
            if isinstance(error, Overdue):
                reason = f"not done after {seconds} s"
            else:
                reason = f"{type(error).__name__} {' '.join(str(error).split())}"
            print(f"FAILED {name}: {reason} ({places})", flush=True)
        else:
            signal.setitimer(signal.ITIMER_REAL, 0)
            print(f"ok {name}", flush=True)

    def finish(self):
        """Ends the program, even if threads of a failed check still wait for a reply."""
        sys.stdout.flush()
        os._exit(1 if self.failed else 0)


class Address:
    """Where the server listens, in the shape that `harness.Wire` takes."""

    def __init__(self, argv):
        self.host, self.port = argv[1], int(argv[2])

    def url(self, database=0):
        return f"redis://{self.host}:{self.port}/{database}"


class Background:
    """A call on a thread of its own, whose result or error is asked for later."""

    def __init__(self, call, *arguments, **options):
        self._value = self._error = None
        self._thread = threading.Thread(target=self._work, args=(call, arguments, options), daemon=True)
        self._thread.start()

    def _work(self, call, arguments, options):
        try:
            self._value = call(*arguments, **options)
        except Exception as error:  # handed to whoever asks for the result
            self._error = error

    def running(self):
        return self._thread.is_alive()

    def result(self, seconds=10):
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"no result after {seconds} s"
        if self._error is not None:
            raise self._error
        return self._value


class Program:
    """Another program that works for the check, with what it prints kept for the case that it fails."""

    def __init__(self, *argv, environment=None):
        self._output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            env={**os.environ, **(environment or {})},
        )

    def output(self, bytes_max=1500):
        self._output.seek(0)
        return self._output.read().decode("utf-8", "replace")[-bytes_max:]

    def running(self):
        return self.process.poll() is None

    def ends(self, code=0, seconds=15):
        """Waits for the end of the program and checks how it ended."""
        try:
            got = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s: {self.output()}") from None
        assert got == code, f"exit code {got}: {self.output()}"

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.running():
            self.process.kill()
        self.process.wait()
        self._output.close()


def beside_python(name):
    """A command that a package installed into this environment."""
    return os.path.join(os.path.dirname(sys.executable), name)


def equal(got, wanted, what=""):
    if got != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}got {shorten(got)}, wanted {shorten(wanted)}")


def raises(kind, part, action, *arguments, **options):
    """`action` fails with an error of this kind whose text has this part."""
    try:
        reply = action(*arguments, **options)
    except kind as error:
        if part not in str(error):
            raise AssertionError(f"another error: {error}") from error
    else:
        raise AssertionError(f"no error but {reply!r}")


if __name__ == "__main__":
    sys.exit("a library; run run.py")
