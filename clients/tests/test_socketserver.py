"""The client of lesson 06, against the real server and against nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from processes import DEADLINE

CLIENT = Path(__file__).resolve().parent.parent / "06_socketserver.py"
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

    def test_a_port_is_missing(self) -> None:
        code, _, err = run("--kind", "udp")
        self.assertEqual(code, 2)
        self.assertIn("--port is missing", err)


if __name__ == "__main__":
    unittest.main()
