"""What every client driver needs: a server that starts and stops, a raw connection, and a list of checks.

Owns: starting a server from a command template on a free port, reading its memory and open files from /proc, a small
RESP reader over a plain socket, counting what passed. Refuses to know: which server it is and what any command means.
Start at `Server`, then `Wire`, then `Checks`.

A template is a command line with `{port}` and `{dir}`, for example
`target/release/kora-server --port {port} --dir {dir} --shards 2`. Flags that both Kora and redis-server take
(`--requirepass P`, `--unixsocket PATH`) are appended by the driver that needs them.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

MIB = 1024 * 1024
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
REPLY_SECONDS_MAX = 20

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The repository."""

TARGET = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
"""Where build output and downloaded clients live."""

ORACLE = 'redis-server --port {port} --dir {dir} --save "" --enable-debug-command yes'
"""A real Redis with nothing on disk, for checking the drivers themselves."""


def free_port():
    """A TCP port of the loopback that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    """Polls `condition` until it is true; the only place that waits."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.02)


class ServerError(Exception):
    """An error reply, with its whole text."""


class Wire:
    """One raw connection: bytes out, RESP2 or RESP3 values in. Errors come back as `ServerError` values, not raised."""

    def __init__(self, server, timeout=REPLY_SECONDS_MAX):
        self.socket = socket.create_connection((server.host, server.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with a RST, as a client that crashed behind a NAT does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def command(self, *words):
        self.send(encode(*words))
        return self.read()

    def _fill(self):
        more = self.socket.recv(1 << 16)
        if not more:
            raise ConnectionError("closed by the server")
        self.buffer += more

    def _line(self):
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._fill()
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        return line

    def _exactly(self, count):
        if len(self.buffer) >= count:
            body, self.buffer = self.buffer[:count], self.buffer[count:]
            return body
        parts, missing = [self.buffer], count - len(self.buffer)
        self.buffer = b""
        while missing:
            part = self.socket.recv(min(missing, 1 << 20))
            if not part:
                raise ConnectionError("closed by the server")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def read(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ServerError(rest.decode("utf-8", "replace"))
        if kind in (b":", b"("):
            return int(rest)
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        if kind == b"_":
            return None
        if kind in (b"$", b"=", b"!"):
            length = int(rest)
            if length < 0:
                return None
            body = self._exactly(length)
            if self._exactly(2) != b"\r\n":
                raise AssertionError("a bulk string without its terminator")
            return ServerError(body.decode("utf-8", "replace")) if kind == b"!" else body
        if kind in (b"*", b"~", b">"):
            return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return [(self.read(), self.read()) for _ in range(int(rest))]
        raise AssertionError(f"not a reply: {line[:80]!r}")

    def closed(self, seconds=REPLY_SECONDS_MAX):
        """Reads whatever is left and tells whether the server closed the connection."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(1 << 16):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False


def encode(*words):
    """A command as an array of bulk strings."""
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, str):
            word = word.encode()
        elif isinstance(word, int):
            word = b"%d" % word
        out.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(out)


class Process:
    """What /proc knows of a server on this machine."""

    def __init__(self, pid):
        self.pid = pid

    def _status(self, field):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field} in the process status")

    def resident_bytes(self):
        return self._status("VmRSS")

    def anonymous_bytes(self):
        """Resident memory that is not a file's: what the heap costs."""
        return self._status("RssAnon")

    def reset_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")

    def peak_bytes(self):
        """The highest resident size since `reset_peak`."""
        return self._status("VmHWM")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        """Time on the processor, all threads, to the nanosecond where the kernel counts it so."""
        try:
            total = 0
            for task in os.listdir(f"/proc/{self.pid}/task"):
                with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="ascii") as schedstat:
                    total += int(schedstat.read().split()[0])
            if total:
                return total / 1e9
        except OSError:
            pass
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Server(Process):
    """A server started from a template; a context manager that stops it and removes its directory."""

    host = "127.0.0.1"

    def __init__(self, template, *flags, prefix=(), environment=None):
        self.port = free_port()
        self.dir = tempfile.mkdtemp(prefix="kora-clients-")
        words = [word.replace("{port}", str(self.port)).replace("{dir}", self.dir) for word in shlex.split(template)]
        self.argv = [*prefix, *words, *flags]
        self.log_path = os.path.join(self.dir, "server.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})}
            )
        super().__init__(self.process.pid)
        try:
            wait_until(self._answers, START_SECONDS_MAX, f"{self.argv} to answer PING\n{self.log()}")
        except BaseException:
            self.kill()
            raise

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.argv} ended with {self.process.returncode}\n{self.log()}")
        try:
            with Wire(self, 1) as wire:
                reply = wire.command("PING")
                # One that wants a password first answers, too; one that still loads does not.
                return reply == b"PONG" or (isinstance(reply, ServerError) and not str(reply).startswith("LOADING"))
        except (OSError, ConnectionError):
            return False

    def log(self, bytes_max=4000):
        try:
            with open(self.log_path, "rb") as log:
                return log.read()[-bytes_max:].decode("utf-8", "replace")
        except OSError:
            return ""

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        """Asks the server to end and returns its exit code, or None when it had to be killed."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
                return None
        self._remove()
        return self.process.returncode

    def kill(self):
        if self.alive():
            self.process.kill()
        self.process.wait()
        self._remove()

    def _remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Remote(Process):
    """A server that somebody else runs on this machine; its process is found through INFO."""

    def __init__(self, address):
        self.host, _, port = address.rpartition(":")
        self.host, self.port = self.host or "127.0.0.1", int(port)
        super().__init__(int(info(self, "process_id")))

    def log(self):
        return ""

    def alive(self):
        return os.path.exists(f"/proc/{self.pid}")

    def stop(self):
        return 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def info(server, field, password=None):
    """One field of INFO as text, or None."""
    with Wire(server) as wire:
        if password:
            wire.command("AUTH", password)
        text = wire.command("INFO")
    if isinstance(text, ServerError):
        raise text
    for line in text.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and name == field:
            return value
    return None


def is_kora(server):
    return info(server, "kora_version") is not None


def kill_session(leader):
    """Ends every process of the session that `leader` began, and returns their command lines.

    A session and not a process group, because the workers that the suites start make groups of their own.
    """
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                state, _, _, session = stat.read().rsplit(")", 1)[1].split()[:4]
            if int(session) == leader and state not in "ZX":
                with open(f"/proc/{entry}/cmdline", encoding="utf-8", errors="replace") as line:
                    found.append(line.read().replace("\0", " ").strip())
                os.kill(int(entry), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended meanwhile
    return found


class Checks:
    """Runs named checks, prints one line each, and goes on after a failure."""

    def __init__(self, title):
        self.title, self.passed, self.failed = title, 0, 0

    def run(self, name, check, *arguments):
        started = time.monotonic()
        try:
            check(*arguments)
        except Exception as error:  # every kind of failure is a failed check, and the next one still runs
            reason = str(error).strip() or type(error).__name__
            if not isinstance(error, AssertionError):
                frame = traceback.extract_tb(error.__traceback__)[-1]
                reason = f"{type(error).__name__}: {reason} ({os.path.basename(frame.filename)}:{frame.lineno})"
            elif not str(error).strip():
                frame = traceback.extract_tb(error.__traceback__)[-1]
                reason = f"{frame.line} ({os.path.basename(frame.filename)}:{frame.lineno})"
            self.count(False, name, reason)
        else:
            seconds = time.monotonic() - started
            self.count(True, name, f"{seconds:.1f} s" if seconds >= 1 else "")

    def count(self, passed, name, note=""):
        if passed:
            self.passed += 1
        else:
            self.failed += 1
        head = "ok    " if passed else "FAILED"
        indented = note.replace("\n", "\n          ")
        print(f"{head} {self.title}: {name}" + (f"  [{indented}]" if note else ""), flush=True)

    def adopt(self, process_argv, environment=None, seconds=300):
        """Runs another program that prints `ok NAME` and `FAILED NAME: reason` lines and counts them as ours."""
        # Files and not pipes: a process left behind would keep a pipe open, and the end of the program would not be seen.
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
            program = subprocess.Popen(
                process_argv,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
            late = False
            try:
                program.wait(seconds)
            except subprocess.TimeoutExpired:
                late = True
            finally:
                left = kill_session(program.pid)
            program.wait()
            said.seek(0), complained.seek(0)
            out, err = said.read(), complained.read()
        before, failed_before = self.passed + self.failed, self.failed
        for line in out.splitlines():
            if line.startswith("ok "):
                self.count(True, line[3:].strip())
            elif line.startswith("FAILED "):
                name, _, reason = line[7:].strip().partition(": ")
                self.count(False, name, reason)
        if late:
            self.count(False, "the client's own program", f"not done after {seconds} s\n{err[-2000:]}")
        elif self.passed + self.failed == before or (program.returncode != 0 and self.failed == failed_before):
            self.count(False, "the client's own program", (err or out)[-2000:])
        elif left:
            self.count(False, "the client's own program", f"left processes behind: {', '.join(left)}")

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def same(got, wanted, what=""):
    """An assertion that shows both sides."""
    assert got == wanted, f"{what + ': ' if what else ''}got {shorten(got)}, wanted {shorten(wanted)}"


def shorten(value, characters_max=300):
    text = repr(value)
    return text if len(text) <= characters_max else text[:characters_max] + f"… ({len(text)} characters)"


def run_tool(*argv, stdin=None, seconds=60):
    """Runs a command-line tool to its end and returns (exit code, stdout, stderr)."""
    done = subprocess.run([str(word) for word in argv], input=stdin, capture_output=True, timeout=seconds)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit("a library; run run.py or bad_input.py")
