#!/usr/bin/env python3
"""The twelve servers, in C++ and in Python; the small programs with their clients; and the way of a
request, compared with that in Python's own classes. `test_family.py FOLDER` has the programs there.

Python's clients call our servers here, and what is checked of ours is checked of Python's."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import math
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CLIENTS = HERE.parent.parent / "clients"
BUILT = Path(sys.argv.pop(1)) if len(sys.argv) > 1 else HERE
DEADLINE = 20.0

KINDS = {
    "tcp": "TCPServer",
    "udp": "UDPServer",
    "unix": "UnixStreamServer",
    "unixgram": "UnixDatagramServer",
}
MODES = {"plain": "", "threading": "Threading", "forking": "Forking"}
OURS = [str(BUILT / "11_server")]
PYTHONS = [sys.executable, str(HERE / "twin.py")]


class Running:
    """A server, started in a folder of its own: it listens, and in the end it is stopped."""

    def __init__(self, command: list[str]) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen(
            command,
            cwd=self.folder.name,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that close() finds its children
        )
        assert self.process.stdout
        said = self.process.stdout.readline().strip()
        if not said.startswith("listening on "):
            self.process.kill()
            raise AssertionError(f"{command}: {said} {self.process.communicate()[1]}")
        self.address = said.removeprefix("listening on ")
        self.port = self.address.rpartition(":")[2]

    def path(self, name: str) -> str:
        return os.path.join(self.folder.name, name)

    def stop(self) -> tuple[int, str]:
        """Its exit status, and its log."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, log

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=DEADLINE)
        self.folder.cleanup()


@contextlib.contextmanager
def running(*command: str) -> Iterator[Running]:
    server = Running(list(command))
    try:
        yield server
    finally:
        server.close()


class Line:
    """A client of one of the twelve."""

    def __init__(self, server: Running, kind: str, name: str = "client") -> None:
        self.is_stream = kind in ("tcp", "unix")
        at_path = kind.startswith("unix")
        self.socket = socket.socket(
            socket.AF_UNIX if at_path else socket.AF_INET,
            socket.SOCK_STREAM if self.is_stream else socket.SOCK_DGRAM,
        )
        self.socket.settimeout(DEADLINE)
        if kind == "unixgram":
            self.socket.bind(server.path(name))
        path, port = server.path(server.address), server.port
        address: str | tuple[str, int] = path if at_path else ("127.0.0.1", int(port))
        self.socket.connect(address)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, bytes_said: bytes) -> None:
        self.socket.sendall(bytes_said)
        if self.is_stream:
            self.socket.shutdown(socket.SHUT_WR)

    def hear(self) -> bytes:
        heard = self.socket.recv(70_000)
        while self.is_stream and heard and (more := self.socket.recv(70_000)):
            heard += more
        return heard

    def hears_nothing(self, seconds: float) -> bool:
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE)
        return False


Check = Callable[["Family", list[str], str, str], None]


def of_each(*kinds: str) -> Callable[[Check], Callable[[Family], None]]:
    """Makes a test of a check: for each server of these kinds (or of all), ours and Python's."""

    def test_of(check: Check) -> Callable[[Family], None]:
        def test(self: Family) -> None:
            for command, kind, mode in itertools.product((OURS, PYTHONS), kinds or KINDS, MODES):
                with self.subTest(server=Path(command[-1]).name, kind=kind, mode=mode):
                    check(self, [*command, "--kind", kind, "--mode", mode], kind, mode)

        test.__doc__ = check.__doc__
        return test

    return test_of


class Family(unittest.TestCase):
    """What all twelve promise, where it applies."""

    @of_each()
    def test_answers_and_the_end(self, command: list[str], kind: str, mode: str) -> None:
        """The class by its name, answers in order, one count for all; the end leaves no path."""
        with running(*command) as server:
            for number in (1, 2):
                with Line(server, kind, f"client {number}") as line:
                    line.say(b"echo hello\ncount\nupper bye\n")
                    greeting, *answers = line.hear().decode().splitlines()
                name = MODES[mode] + KINDS[kind]
                self.assertRegex(greeting, rf"^Welcome to 10086, {name}, pid \d+, thread")
                self.assertEqual(answers, ["hello", str(number), "BYE"])
            status, _ = server.stop()
            self.assertEqual(status, 0)
            self.assertFalse(os.path.exists(server.path("hotline.socket")))

    @of_each()
    def test_one_who_sleeps(self, command: list[str], kind: str, mode: str) -> None:
        """Mixed in, others are served meanwhile. Plain, they wait."""
        with running(*command) as server:
            with Line(server, kind, "a") as sleeper, Line(server, kind, "b") as other:
                sleeper.say(b"sleep 300\n" if mode == "plain" else b"sleep 60000\n")
                if sleeper.is_stream:
                    sleeper.socket.recv(1000)  # The greeting, and they sleep.
                other.say(b"0\n")
                self.assertTrue(other.hear().endswith(b"\n0000\n"))
                self.assertEqual(sleeper.hears_nothing(0.001), mode != "plain")
                if mode == "plain":
                    self.assertTrue(sleeper.hear().endswith(b"ok\n"))

    @of_each()
    def test_a_crash(self, command: list[str], kind: str, mode: str) -> None:
        """Where there are processes, it ends one of them. Else it ends all: that is a limit."""
        with running(*command) as server:
            with Line(server, kind, "a") as crasher:
                with contextlib.suppress(ConnectionError):
                    crasher.say(b"crash\n")
                if mode != "forking":
                    self.assertEqual(server.process.wait(DEADLINE), -signal.SIGABRT)
                    return
            with Line(server, kind, "b") as other:
                other.say(b"0\n")
                self.assertTrue(other.hear().endswith(b"\n0000\n"))

    @of_each()
    def test_echo(self, command: list[str], kind: str, mode: str) -> None:
        """Bytes come back as they were: 200,000 on a stream, at most 65,507 in a datagram."""
        every = bytes(range(256))
        with running(*command, "--service", "echo") as server:
            for size in (1, 256, 8_193, 60_000):
                with Line(server, kind, f"of {size}") as line:
                    said = (every * (size // 256 + 1))[:size]
                    line.say(said)
                    self.assertEqual(line.hear(), said)

    @of_each("udp", "unixgram")
    def test_datagrams(self, command: list[str], kind: str, mode: str) -> None:
        """An empty one is one; the largest is whole; senders are not mixed up; who is gone, is."""
        with running(*command, "--service", "echo") as server:
            with Line(server, kind, "a") as a, Line(server, kind, "b") as b:
                with Line(server, kind, "gone") as gone:
                    gone.say(b"and gone")
                a.say(b"")
                self.assertEqual(a.hear(), b"")
                a.say(b"a" * 65_507)
                b.say(b"b" * 1_000)
                self.assertEqual(b.hear(), b"b" * 1_000)
                self.assertEqual(a.hear(), b"a" * 65_507)

    @of_each("tcp", "unix")
    def test_at_most_two(self, command: list[str], kind: str, mode: str) -> None:
        """--max-clients: the third waits in the queue until one has left."""
        if mode == "plain":
            return
        with running(*command, "--max-clients", "2") as server:
            with Line(server, kind) as first, Line(server, kind) as second:
                greeting = first.socket.recv(10)
                self.assertEqual(greeting, second.socket.recv(10))
                with Line(server, kind) as third:
                    self.assertTrue(third.hears_nothing(0.2))
                    first.socket.close()
                    self.assertEqual(third.socket.recv(10), greeting)

    @of_each("tcp", "unix")
    def test_idle(self, command: list[str], kind: str, mode: str) -> None:
        """Who is silent is dropped."""
        with running(*command, "--idle-timeout", "0.2") as server:
            with Line(server, kind) as line:
                self.assertTrue(line.hear().startswith(b"Welcome"))
            status, log = server.stop()
            self.assertEqual(status, 0)
            self.assertIn("lost a caller", log)

    @of_each("unix", "unixgram")
    def test_paths(self, command: list[str], kind: str, mode: str) -> None:
        """Ours alone, whatever the umask; a dead one's is taken over, a living one's is not."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        if mode != "plain":
            return  # They share these lines.
        with running(*command) as server:
            path = server.path("hotline.socket")
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            second = subprocess.run([*command, "--path", path], capture_output=True, text=True)
            self.assertEqual(second.returncode, 1)
            self.assertIn(path, second.stderr)
            server.process.kill()
            server.process.wait()
            with running(*command, "--path", path) as next_one:
                self.assertEqual(next_one.stop()[0], 0)
            Path(path).write_text("a letter")
            third = subprocess.run([*command, "--path", path], capture_output=True, text=True)
            self.assertEqual(third.returncode, 1)
            self.assertEqual(Path(path).read_text(), "a letter")

    @of_each("unix", "unixgram")
    def test_nothing_holds_up_the_start(self, command: list[str], kind: str, mode: str) -> None:
        """A full accept queue is a sign of life; a folder that stays locked is a sentence."""
        if mode != "plain":
            return  # They share these lines.
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as busy:
            path = os.path.join(folder, "busy")
            busy.bind(path)
            busy.listen(0)
            queue = self.enterContext(contextlib.ExitStack())
            with contextlib.suppress(BlockingIOError):
                while True:
                    client = queue.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    client.connect(path)
            self.refused([*command, "--path", path], "in use")
            if command[:-4] != OURS:
                return  # Python locks nothing.
            lock = os.open(folder, os.O_RDONLY)
            self.addCleanup(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            free = os.path.join(folder, "free")
            self.refused([*command, "--path", free], "choose a --path in a folder of your own")

    def refused(self, command: list[str], sentence: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(sentence, done.stderr)


BLANKS = b" \t\r\x0b\x0c a \xe9b \t"  # as bytes.strip() sees them, and nothing else


class Programs(unittest.TestCase):
    """Each small program and its original, called by the same client."""

    def client(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(CLIENTS / "socketserver" / name), *arguments],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def both(self, name: str) -> Iterator[list[str]]:
        yield [str(BUILT / name)]
        yield [sys.executable, str(HERE / "programs" / f"{name}.py")]

    def test_upper_tcp(self) -> None:
        for command in self.both("upper_tcp"):
            with running(*command) as server:
                said = self.client("upper_tcp.py", "--port", server.port)
                self.assertEqual(said, "hello -> HELLO\nhow are you -> HOW ARE YOU\n")
                with Line(server, "tcp") as line:
                    line.say(BLANKS + b"\n\n" + BLANKS)
                    self.assertEqual(line.hear(), b"A \xe9B\n\nA \xe9B\n")

    def test_upper_udp(self) -> None:
        for command in self.both("upper_udp"):
            with running(*command) as server:
                said = self.client("upper_udp.py", "--port", server.port)
                self.assertEqual(
                    said, "'hello' -> 'HELLO'\n'' -> ''\n'how are you' -> 'HOW ARE YOU'\n"
                )
                with Line(server, "udp") as line:
                    line.say(BLANKS)
                    self.assertEqual(line.hear(), b"A \xe9B")

    def test_threads(self) -> None:
        for command in self.both("threads"):
            with running(*command) as server:
                said = self.client("at_once.py", "--port", server.port)
                self.assertEqual(
                    len(re.findall(r"^thread \d+: hello, I am caller \d$", said, re.M)), 3
                )
                self.assertEqual(server.process.wait(DEADLINE), 0)
                assert server.process.stdout
                self.assertIn("is shut down", server.process.stdout.read())

    def test_children(self) -> None:
        for command in self.both("children"):
            with running(*command) as server:
                said = self.client("at_once.py", "--port", server.port, "--callers", "2")
                found = re.findall(r"^process (\d+): hello, I am caller \d$", said, re.M)
                self.assertEqual(len(set(found) - {str(server.process.pid)}), 2)

    def test_greet(self) -> None:
        for command in self.both("greet"):
            with running(*command) as server:
                greeting, *echoes = self.client("greet.py", "--port", server.port).splitlines()
                date = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}"
                self.assertRegex(greeting, rf"^Connection {server.address} at {date} succeed!$")
                self.assertEqual(echoes, ["hello", "how are you"])

    def test_unix_echo(self) -> None:
        for command in self.both("unix_echo"):
            for kind in ("stream", "datagram"):
                with running(*command, kind, "echo.socket") as server:
                    said = self.client("unix_echo.py", kind, server.path("echo.socket"))
                    self.assertEqual(said, "hello -> hello\nhow are you -> how are you\n")


class Originals(unittest.TestCase):
    """What parity.md says about Python's own classes where ours differ."""

    def server(self, kind: type[socketserver.TCPServer] = socketserver.TCPServer) -> Any:
        server = kind(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.addCleanup(server.server_close)
        return server

    def thread(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def ends(self, thread: threading.Thread) -> bool:
        thread.join(DEADLINE)
        return not thread.is_alive()

    def test_shutdown_where_nobody_serves(self) -> None:
        server = self.server()
        waiting = self.thread(server.shutdown)
        self.assertTrue(waiting.is_alive())
        self.assertTrue(self.ends(self.thread(lambda: server.serve_forever(0.01))))
        self.assertTrue(self.ends(waiting))
        server.shutdown()  # After one it returns, and ends the next.
        self.assertTrue(self.ends(self.thread(lambda: server.serve_forever(3600))))

    def test_serving_again_at_once(self) -> None:
        server, over = self.server(), threading.Event()

        def serve() -> None:
            while not over.is_set():
                server.serve_forever(0.01)

        serving = self.thread(serve)
        self.assertTrue(self.ends(self.thread(lambda: [server.shutdown() for _ in range(20)])))
        over.set()
        server.shutdown()
        self.assertTrue(self.ends(serving))

    def test_two_serve(self) -> None:
        """Each of two has a request of its own in hand, so both serve."""
        server, both = self.server(), threading.Barrier(3)
        server.process_request = lambda request, _: (request.close(), both.wait(DEADLINE))
        serving = [self.thread(lambda: server.serve_forever(0.01)) for _ in range(2)]
        for _ in range(2):
            self.addCleanup(socket.create_connection(server.server_address).close)
        both.wait(DEADLINE)
        for _ in serving:  # The first to leave withdraws what was asked of both.
            self.assertTrue(self.ends(self.thread(server.shutdown)))
        self.assertTrue(all(map(self.ends, serving)))

    def test_durations(self) -> None:
        for longest, error in (
            (math.inf, OverflowError),
            (1e10, OverflowError),
            (math.nan, ValueError),
        ):
            server = self.server()
            server.timeout = longest
            self.assertRaises(error, server.serve_forever, longest)
            self.assertRaises(error, server.handle_request)
            self.assertRaises(error, server.socket.settimeout, longest)

    def test_closed(self) -> None:
        server = self.server()
        server.server_close()
        self.assertRaises(ValueError, server.serve_forever)
        self.assertRaises(ValueError, server.handle_request)

    def test_a_datagram_from_itself(self) -> None:
        server = self.server(socketserver.UDPServer)
        answers: list[bytes] = []

        class Echo(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                answers.append(self.rfile.read())
                self.wfile.write(answers[-1])

        server.RequestHandlerClass = Echo
        server.timeout = DEADLINE
        server.socket.sendto(b"again", server.server_address)
        for _ in range(10):
            server.handle_request()
        self.assertEqual(answers, [b"again"] * 10)


class TheWayOfARequest(unittest.TestCase):
    """The functions that are called, in their order: Python's own, ours, and those on the page."""

    def test_scenes(self) -> None:
        shown = (HERE / "stations.txt").read_text()
        for scene in ("plain", "threading", "udp", "refused", "thrown", "timeout"):
            with self.subTest(scene=scene):
                said = [
                    subprocess.check_output([*trace, scene], text=True, timeout=DEADLINE)
                    for trace in (
                        [sys.executable, str(HERE / "programs/trace.py")],
                        [str(BUILT / "trace")],
                    )
                ]
                self.assertEqual(*said)
                self.assertIn(f"scene: {scene}\n\n{said[0]}\n", shown)


if __name__ == "__main__":
    unittest.main()
