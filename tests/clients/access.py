"""Passwords, Unix sockets, taken ports and signals, each on a server started for it.

Owns: what an operator meets before the first command. Refuses to know: what commands do.
Start at `suite`.
"""

import os
import signal
import stat
import subprocess
import tempfile

from harness import START_SECONDS_MAX, Server, ServerError, Wire, run_tool, same

PASSWORD = "correct horse"


def suite(checks, template):
    checks.run("a password is asked for and checked", password, template)
    checks.run("a Unix socket serves and is removed at the end", unix_socket, template)
    checks.run("a taken port ends the second server with an error", taken_port, template)
    checks.run("SIGINT ends the server with exit code 0", interrupt, template)
    checks.run("maxclients refuses one connection too many", too_many_clients, template)


def password(template):
    with Server(template, "--requirepass", PASSWORD) as server:
        with Wire(server) as wire:
            refused = wire.command("GET", "k")
            assert isinstance(refused, ServerError) and str(refused).startswith("NOAUTH"), refused
            wrong = wire.command("AUTH", "wrong")
            assert isinstance(wrong, ServerError) and str(wrong).startswith("WRONGPASS"), wrong
            same(wire.command("AUTH", PASSWORD), b"OK")
            same(wire.command("SET", "k", "v"), b"OK")
        with Wire(server) as wire:
            greeting = wire.command("HELLO", "3", "AUTH", "default", PASSWORD, "SETNAME", "me")
            same(dict(greeting).get(b"proto"), 3)
            same(wire.command("CLIENT", "GETNAME"), b"me")
        code, out, err = run_tool("redis-cli", "-p", server.port, "-a", PASSWORD, "--no-auth-warning", "GET", "k")
        same((code, out, err), (0, "v\n", ""))


def unix_socket(template):
    with tempfile.TemporaryDirectory(prefix="kora-socket-") as folder:
        path = os.path.join(folder, "server.sock")
        with Server(template, "--unixsocket", path, "--unixsocketperm", "700") as server:
            assert stat.S_ISSOCK(os.stat(path).st_mode), "not a socket"
            same(stat.S_IMODE(os.stat(path).st_mode), 0o700)
            same(run_tool("redis-cli", "-s", path, "SET", "k", "v")[:2], (0, "OK\n"))
            same(run_tool("redis-cli", "-p", server.port, "GET", "k")[:2], (0, "v\n"))
            same(server.stop(), 0)
        assert not os.path.exists(path), "the socket file is left behind"


def taken_port(template):
    with Server(template) as server:
        with tempfile.TemporaryDirectory(prefix="kora-second-") as folder:
            argv = [word.replace(server.dir, folder) for word in server.argv]
            second = subprocess.run(argv, capture_output=True, text=True, timeout=START_SECONDS_MAX)
        assert second.returncode != 0, "the second server ended with 0"
        said = (second.stdout + second.stderr).lower()
        assert str(server.port) in said, f"the message does not name the port: {said[-500:]}"
        with Wire(server) as wire:
            same(wire.command("PING"), b"PONG")


def interrupt(template):
    with Server(template) as server:
        with Wire(server) as wire:
            same(wire.command("SET", "k", "v"), b"OK")
            server.process.send_signal(signal.SIGINT)
            same(server.process.wait(10), 0)


def too_many_clients(template):
    with Server(template) as server:
        with Wire(server) as first:
            same(first.command("CONFIG", "SET", "maxclients", "20"), b"OK")
            wires = [Wire(server) for _ in range(40)]
            replies = []
            for wire in wires:
                try:
                    replies.append(wire.command("PING"))
                except ConnectionError:
                    replies.append(ServerError("closed"))
            served = [reply for reply in replies if reply == b"PONG"]
            refused = [reply for reply in replies if isinstance(reply, ServerError)]
            same(len(served) + len(refused), 40)
            same(len(served), 19)
            assert any("max number of clients reached" in str(reply) for reply in refused), refused
            for wire in wires:
                wire.close()
            same(first.command("PING"), b"PONG")
