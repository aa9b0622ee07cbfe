"""Clients that nobody here wrote talk to the final server, and find nothing strange about it."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import shutil
import subprocess
import unittest
import warnings
from subprocess import PIPE
from typing import Any

from processes import DEADLINE, lesson_server

HERE = "127.0.0.1"
GREETING = re.compile(rb"Welcome to 10086, \w+, pid \d+, thread \w+\n")
MUCH = 64 * 1024 * 1024


def need(test: unittest.TestCase, tool: str, package: str) -> str:
    return shutil.which(tool) or test.skipTest(f"{tool} is missing: apt-get install {package}")


def need_netcat(test: unittest.TestCase) -> str:
    """There are several programs of this name. Only this one knows -N, the half-close."""
    nc = need(test, "nc", "netcat-openbsd")
    told = subprocess.run([nc, "-h"], capture_output=True, timeout=DEADLINE)
    if b"OpenBSD" not in told.stdout + told.stderr:
        test.skipTest("this nc is another one: apt-get install netcat-openbsd")
    return nc


def run(command: list[str], said: bytes) -> bytes:
    """Says all of it, then the end of standard input; what the client shows until it ends."""
    done = subprocess.run(command, input=said, capture_output=True, timeout=DEADLINE)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} exits with status {done.returncode}: {done.stderr!r}")
    return done.stdout


class ForeignClients(unittest.TestCase):
    def assert_told(self, shown: bytes, answers: bytes) -> None:
        self.assertRegex(shown, GREETING)
        self.assertEqual(GREETING.sub(b"", shown, count=1), answers)

    def test_netcat_exits(self) -> None:
        nc = need_netcat(self)
        with lesson_server(self) as port:
            shown = run([nc, HERE, str(port)], b"0\necho hello\nwhat?\nexit\n")
        self.assert_told(shown, b"0000\nhello\nDo it again\n")

    def test_netcat_says_no_more(self) -> None:
        nc = need_netcat(self)
        with lesson_server(self) as port:
            shown = run([nc, "-N", HERE, str(port)], b"big 30\nupper the last")
            ended = run([nc, "-C", "-N", HERE, str(port)], b"upper a\n0\n")  # with CR LF
        self.assert_told(shown, b"abcdefghijklmnopqrstuvwabcdefg\nsum bf5a0c71\nTHE LAST\n")
        self.assert_told(ended, b"A\n0000\n")

    def test_netcat_looks_who_listens(self) -> None:
        nc = need_netcat(self)
        with lesson_server(self) as port:
            for _ in range(20):
                run([nc, "-z", HERE, str(port)], b"")  # connects, and leaves
            self.assert_told(run([nc, "-N", HERE, str(port)], b"0\n"), b"0000\n")

    def test_socat(self) -> None:
        socat = need(self, "socat", "socat")
        with lesson_server(self) as port:
            line = f"TCP4:{HERE}:{port}"
            shown = run([socat, "-t", str(DEADLINE), "-", line], b"0\nsink 3\nabcecho hello")
            ended = run([socat, "-t", str(DEADLINE), "-,ignoreeof", line], b"0\nexit\n")
        self.assert_told(shown, b"0000\nsunk 3 024d0127\nhello\n")
        self.assert_told(ended, b"0000\n")

    def test_socat_has_64_mib_echoed(self) -> None:
        socat = need(self, "socat", "socat")
        said = os.urandom(MUCH)
        with lesson_server(self, "--service", "echo") as port:
            heard = run([socat, "-t", str(DEADLINE), "-", f"TCP4:{HERE}:{port}"], said)
        self.assertTrue(heard == said, f"{len(heard)} bytes came back, or other ones")

    def test_telnet(self) -> None:
        telnet = need(self, "telnet", "telnet")
        # It ends at the end of its standard input, so that stays open until the server closes.
        its_input, our_end = os.pipe()
        os.write(our_end, b"echo hello\n0\nexit\n")
        try:
            with lesson_server(self) as port:
                done = subprocess.run(
                    [telnet, HERE, str(port)], stdin=its_input, stdout=PIPE, timeout=DEADLINE
                )
        finally:
            os.close(its_input)
            os.close(our_end)
        shown = done.stdout.replace(b"\r", b"")
        self.assertRegex(shown, GREETING)
        self.assertTrue(GREETING.split(shown)[-1].startswith(b"hello\n0000\n"), shown)

    def test_telnetlib(self) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                telnetlib: Any = importlib.import_module("telnetlib")
        except ImportError:
            self.skipTest("this Python has no telnetlib any more (it left with 3.13)")
        with lesson_server(self) as port, telnetlib.Telnet(HERE, port, DEADLINE) as client:
            self.assertRegex(client.read_until(b"\n", DEADLINE), GREETING)
            client.write(b"echo hello\r\nupper hello\r\n")
            self.assertEqual(client.read_until(b"HELLO\n", DEADLINE), b"hello\nHELLO\n")
            client.write(b"exit\r\n")
            self.assertEqual(client.read_all(), b"")

    def test_asyncio(self) -> None:
        async def talk(port: int) -> bytes:
            reader, writer = await asyncio.open_connection(HERE, port)
            writer.write(b"0\n" * 1000 + b"big 1000000\necho the last")
            writer.write_eof()
            shown = await reader.read(-1)
            writer.close()
            await writer.wait_closed()
            return shown

        with lesson_server(self) as port:
            shown = asyncio.run(asyncio.wait_for(talk(port), DEADLINE))
        self.assertRegex(shown, GREETING)
        _, *zeros, big, checksum, last = shown.splitlines()
        self.assertEqual(zeros, [b"0000"] * 1000)
        self.assertEqual((len(big), checksum[:4], last), (1_000_000, b"sum ", b"the last"))

    def test_asyncio_has_16_mib_echoed(self) -> None:
        said = os.urandom(MUCH // 4)

        async def talk(port: int) -> bytes:
            reader, writer = await asyncio.open_connection(HERE, port)

            async def say() -> None:
                writer.write(said)
                await writer.drain()
                writer.write_eof()

            _, heard = await asyncio.gather(say(), reader.read(-1))
            writer.close()
            await writer.wait_closed()
            return heard

        with lesson_server(self, "--service", "echo") as port:
            heard = asyncio.run(asyncio.wait_for(talk(port), DEADLINE))
        self.assertTrue(heard == said, f"{len(heard)} bytes came back, or other ones")


if __name__ == "__main__":
    unittest.main()
