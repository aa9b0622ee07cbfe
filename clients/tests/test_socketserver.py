"""The client of lesson 06, against the real server and against nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from processes import DEADLINE

CLIENT = Path(__file__).resolve().parent.parent / "06_socketserver.py"
SMALL = CLIENT.parent / "socketserver"
SERVER = os.environ.get("SERVER_06", "")


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, str(CLIENT), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return done.returncode, done.stdout, done.stderr


class SocketServerClient(unittest.TestCase):
    def meets(self, kind: str, mode: str) -> str:
        """What the client says about a server of this kind."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "hotline")
            with subprocess.Popen(
                [SERVER, "--kind", kind, "--mode", mode, "--path", path],
                stdout=subprocess.PIPE,
                text=True,
            ) as server:
                try:
                    assert server.stdout
                    said = server.stdout.readline().strip()
                    where = ["--path", path]
                    if kind in ("tcp", "udp"):
                        where = ["--port", said.rpartition(":")[2]]
                    code, out, err = run("--kind", kind, *where)
                finally:
                    server.terminate()
        self.assertEqual((code, err), (0, ""))
        return out

    @unittest.skipUnless(SERVER, "SERVER_06 says where the server is")
    def test_each_kind_is_called(self) -> None:
        meanings = {
            "plain": "One thread served them all, one after another.",
            "threading": "Each was served by a thread of its own, in one process.",
            "forking": "Each was served by a process of its own.",
        }
        kinds = {
            "tcp": "TCPServer",
            "udp": "UDPServer",
            "unix": "UnixStreamServer",
            "unixgram": "UnixDatagramServer",
        }
        for kind, name in kinds.items():
            for mode, meaning in meanings.items():
                with self.subTest(kind=kind, mode=mode):
                    out = self.meets(kind, mode)
                    self.assertEqual(out.count(f"{name}, pid "), 3)
                    self.assertEqual(out.count("; HELLO"), 3)
                    self.assertTrue(out.endswith(f"\n\n{meaning}\n"))

    def test_nobody_is_there(self) -> None:
        for arguments in (["--port", "1"], ["--kind", "unix", "--path", "/nowhere"]):
            code, out, err = run(*arguments)
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, "cannot call the server|nobody listens on 127")
            self.assertNotIn("Traceback", err)

    def test_bytes_that_are_no_text(self) -> None:
        """They are sent as they were typed; where none can be used, a sentence says so."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            told: list[bytes] = []

            def serve() -> None:
                line, _ = listener.accept()
                with line, line.makefile("rb") as said:
                    line.sendall(b"no greeting of ours\n")
                    told.append(said.readline())

            for client in (CLIENT, *(SMALL / name for name in ("upper_tcp.py", "greet.py"))):
                listening = threading.Thread(target=serve)
                listening.start()
                first = ["--callers", "1", "--say"] if client == CLIENT else []
                self.sentence(client, "--port", port, *first, b"\xff", code=None)
                listening.join(DEADLINE)
                self.assertEqual(told.pop(), b"\xff\n")
        self.sentence(SMALL / "upper_udp.py", "--port", "1", b"\xff")
        self.sentence(SMALL / "unix_echo.py", "stream", b"/nowhere\xff", b"\xff")
        self.sentence(SMALL / "get_in_parts.py", "--port", "1", b"/\xff")
        for client in (CLIENT, SMALL / "upper_udp.py", SMALL / "get_in_parts.py"):
            target = ["/"] if client.name == "get_in_parts.py" else []
            self.sentence(client, "--port", "1", "--host", b"\xff", *target, code=2)
            self.sentence(client, "--port", "1", "--host", "x" * 64, *target, code=2)

    def test_a_path_that_is_too_long(self) -> None:
        long = "/" + "x" * 107
        for client, kind in (
            (CLIENT, ["--kind", "unix", "--path"]),
            (SMALL / "unix_echo.py", ["stream"]),
        ):
            said = self.sentence(client, *kind, long, code=2)
            self.assertIn("the path has 108 bytes", said)
            self.sentence(client, *kind, long[:-1])  # It fits, and no server is there.

    def sentence(self, *command: str | bytes | Path, code: int | None = 1) -> str:
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=DEADLINE
        )
        if code is not None:  # None: how it ends is another test's business.
            self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertNotIn("None", done.stderr)
        return done.stderr

    def test_a_port_is_missing(self) -> None:
        code, _, err = run("--kind", "udp")
        self.assertEqual(code, 2)
        self.assertIn("--port is missing", err)


if __name__ == "__main__":
    unittest.main()
