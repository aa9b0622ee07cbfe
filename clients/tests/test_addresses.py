"""A host with several addresses: each is tried, also where the kernel has no IPv6.

The clients are told that `localhost` is ::1 first, as on most machines; the servers listen on
127.0.0.1 only, as ours do. What a name stands for is decided in a sitecustomize.py, which Python runs
before the client: so this machine's own /etc/hosts does not matter.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from processes import CLIENTS, CONVERSATIONS, Finished, run, scaled
from servers import Server, hotline

sys.path.insert(0, str(CLIENTS))

from hostile import _habit  # noqa: E402
from talk import Caller, NotReached  # noqa: E402

NAMES = """\
import os, socket

NAMES = {
    "localhost": ["::1", "127.0.0.1"],
    "nowhere": ["::1", "127.0.0.9"],
    "mixed": ["127.0.0.1", "8.8.8.8"],
    "mapped": ["::ffff:8.8.8.8"],
}
look_up, plain = socket.getaddrinfo, socket.socket


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    host = host.decode() if isinstance(host, bytes) else host
    found = []
    for number in NAMES.get(host, [host]):
        try:
            found += look_up(number, port, family, type, proto, flags)
        except socket.gaierror:  # not of this family
            if [number] == NAMES.get(host, [host]):
                raise
    return found


class Socket(plain):
    def __init__(self, family=-1, *more, **others):
        if os.environ["IPV6"] == "no" and family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        super().__init__(family, *more, **others)


socket.getaddrinfo, socket.socket = getaddrinfo, Socket
"""


class Programs(unittest.TestCase):
    """Each client, as it is run."""

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        Path(folder, "sitecustomize.py").write_text(NAMES)
        self.folder = folder

    def run_with(self, ipv6: str, script: str, *options: object) -> Finished:
        return run(script, *options, PYTHONPATH=self.folder, IPV6=ipv6)

    def test_the_first_address_is_not_the_only_one(self) -> None:
        for ipv6, (script, options) in itertools.product(("yes", "no"), CONVERSATIONS.items()):
            with self.subTest(script, ipv6=ipv6), Server(hotline) as server:
                whom = ["--host", "localhost", "--port", str(server.port)]
                finished = self.run_with(ipv6, script, *whom, *options)
                self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)

    def test_from_an_ipv4_address_only_ipv4_addresses_are_called(self) -> None:
        with Server(hotline) as server:
            whom = ["--host", "localhost", "--port", server.port, "--bind", "127.0.0.5"]
            finished = self.run_with("yes", "01_blocking_socket.py", *whom, "--say", "exit")
            self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)
            whom[1] = "::1"
            finished = self.run_with("yes", "01_blocking_socket.py", *whom, "--say", "exit")
        self.assertEqual(finished.returncode, 1)
        self.assertRegex(
            finished.stderr, r"\A[^\n]*one address is IPv4, the other is IPv6[^\n]*\n\Z"
        )

    def test_the_error_names_all_that_failed(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        no_ipv6 = rf"cannot call \[::1\]:{port}: Address family not supported by protocol"
        refused = rf"nobody listens on 127\.0\.0\.9:{port} \(connection refused\)\. Is the server"
        for script, options in CONVERSATIONS.items():
            with self.subTest(script):
                whom = ["--host", "nowhere", "--port", str(port)]
                finished = self.run_with("no", script, *whom, *options)
                self.assertEqual((finished.returncode, finished.stdout), (1, ""), finished)
                # The clients of a scene have IPv4 addresses of their own, so they try no other.
                tried = refused if script == "scenes.py" else f"{no_ipv6}; {refused}"
                self.assertRegex(finished.stderr, rf"\A\w+\.py: {tried}[^\n]*\n\Z")

    def test_who_is_not_near_is_not_called_whichever_address_it_is(self) -> None:
        for name in ("mixed", "mapped"):
            whom = ["--host", name, "--port", "1"]
            finished = self.run_with("yes", "hostile/three_in_one.py", *whom)
            self.assertEqual((finished.returncode, finished.stdout), (2, ""), finished)
            self.assertIn("is not this machine, nor a private network", finished.stderr)

    def test_what_cannot_be_a_name(self) -> None:
        for script, host in itertools.product(
            ("01_blocking_socket.py", "05_event_framework.py"), ("x" * 70, "a..b", "\udcff")
        ):
            finished = run(script, "--host", host, "--port", "1")
            self.assertEqual((finished.returncode, finished.stdout), (1, ""), finished)
            self.assertRegex(finished.stderr, r"\A\w+\.py: the host [^\n]* is unknown: [^\n]*\n\Z")

    @unittest.skipUnless(os.environ.get("SERVER_06"), "SERVER_06 says where the server is")
    def test_lesson_06(self) -> None:
        for kind, ipv6 in itertools.product(("tcp", "udp"), ("yes", "no")):
            command = [os.environ["SERVER_06"], "--kind", kind]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout
                port = server.stdout.readline().strip().rpartition(":")[2]
                whom = ["--kind", kind, "--host", "localhost", "--port", port]
                finished = self.run_with(ipv6, "06_socketserver.py", *whom)
                server.terminate()
            self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)


class TheCaller(unittest.TestCase):
    def test_one_silent_address_does_not_use_up_the_time_of_the_others(self) -> None:
        """A full accept queue does not answer; each address has its share of the timeout."""
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(Server(hotline))
            full = stack.enter_context(socket.create_server(("127.0.0.3", server.port), backlog=0))
            stack.enter_context(socket.create_connection(full.getsockname()))
            found = [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port))
                for host in ("127.0.0.3", "127.0.0.1")
            ]
            stack.enter_context(mock.patch("socket.getaddrinfo", return_value=found))
            caller = stack.enter_context(Caller("two", server.port, timeout=scaled(2)))
            self.assertEqual(caller.peer, f"127.0.0.1:{server.port}")
            full.close()
            server.stop()
            with self.assertRaises(NotReached) as caught:
                Caller("two", server.port, timeout=scaled(2)).connect()
        for host in ("127.0.0.3", "127.0.0.1"):
            self.assertIn(f"nobody listens on {host}:{server.port}", str(caught.exception))

    def test_all_addresses_of_this_machine_are_near(self) -> None:
        for near in (
            "127.0.0.1",
            "::1",
            "10.0.0.1",
            "192.168.1.1",
            "fe80::1%lo",
            "::ffff:127.0.0.1",
        ):
            self.assertTrue(_habit.is_near(near), near)
        for far in ("8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"):
            self.assertFalse(_habit.is_near(far), far)


if __name__ == "__main__":
    unittest.main()
