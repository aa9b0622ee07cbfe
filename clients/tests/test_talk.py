"""The caller itself: what it does on the line, when it gives up, and what it writes down."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import scaled  # noqa: E402
from servers import GREETING, TIMEOUT, Server, hard_reset, hotline, pattern  # noqa: E402
from talk import (  # noqa: E402
    Caller,
    HungUp,
    NotReached,
    TalkError,
    TooSlow,
    WasReset,
    checksum_of_pattern,
    show,
)


def silent(caller: socket.socket) -> None:
    caller.recv(1)


class OnTheLine(unittest.TestCase):
    def test_lines_pieces_and_the_end(self) -> None:
        with Server(hotline) as server, Caller("127.0.0.1", server.port) as caller:
            self.assertEqual(caller.receive_line(), GREETING.strip())
            caller.send(b"echo one\r\nbig 70000\nexit\n")
            self.assertEqual(caller.receive_line(), b"one")
            self.assertEqual(caller.peek(), b"a")
            self.assertEqual(caller.receive_exactly(70000), pattern(70000))
            self.assertEqual(caller.receive_line(), b"")
            self.assertEqual(caller.receive_line(), b"sum %08x" % checksum_of_pattern(70000))
            caller.receive_end()

    def test_pattern_sent_and_received(self) -> None:
        with Server(hotline) as server, Caller("127.0.0.1", server.port) as caller:
            caller.receive_line()
            caller.send(b"sink 300000\n")
            checksum = caller.send_pattern(300_000)
            self.assertEqual(caller.receive_line(), b"sunk 300000 %08x" % checksum)
            caller.send(b"big 300000\n")
            self.assertEqual(caller.receive_checksum(300_000), checksum)

    def test_calls_from_the_address_it_was_given(self) -> None:
        def who(line: socket.socket) -> None:
            line.sendall(f"{line.getpeername()[0]}\n".encode())

        with Server(who) as server, Caller("127.0.0.1", server.port, bind="127.0.0.7") as caller:
            self.assertEqual(caller.receive_line(), b"127.0.0.7")

    def test_half_close_still_hears(self) -> None:
        def answers_at_the_end(line: socket.socket) -> None:
            while line.recv(100):
                pass
            line.sendall(b"late\n")

        with Server(answers_at_the_end) as server, Caller("127.0.0.1", server.port) as caller:
            caller.half_close()
            self.assertEqual(caller.receive_line(), b"late")
            caller.receive_end()

    def fate_of(self, leave: str) -> str:
        """What the server learns from its next recv, and from the send after it."""
        fate: list[str] = []

        def learns(line: socket.socket) -> None:
            line.sendall(GREETING)
            try:
                fate.append(f"recv {len(line.recv(10))}")
                deadline = time.monotonic() + TIMEOUT
                while time.monotonic() < deadline:
                    line.send(b"x" * 10000)
            except OSError as error:
                fate.append(type(error).__name__)

        with Server(learns) as server:
            caller = Caller("127.0.0.1", server.port)
            caller.connect()
            caller.receive_line()
            getattr(caller, leave)()
            caller.close()
        return ", ".join(fate)

    def test_reset_is_a_reset(self) -> None:
        self.assertEqual(self.fate_of("reset"), "ConnectionResetError")

    def test_vanish_is_an_end_and_then_a_broken_pipe(self) -> None:
        self.assertEqual(self.fate_of("vanish"), "recv 0, BrokenPipeError")


class GivingUp(unittest.TestCase):
    def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with self.assertRaisesRegex(
            NotReached, f"nobody listens on 127.0.0.1:{port} .*lab run LESSON"
        ):
            Caller("127.0.0.1", port).connect()

    def test_unknown_host(self) -> None:
        with self.assertRaisesRegex(NotReached, "the host no.such.host.invalid is unknown"):
            Caller("no.such.host.invalid", 1).connect()

    def test_an_address_that_is_not_ours(self) -> None:
        with Server(silent) as server:
            with self.assertRaisesRegex(NotReached, "from 192.0.2.1.* Try --bind 127.0.0.2"):
                Caller("127.0.0.1", server.port, bind="192.0.2.1").connect()

    def test_a_full_queue(self) -> None:
        # A backlog of 0 holds one; whoever calls then gets no answer from the kernel either.
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            with socket.create_connection(listener.getsockname()):
                caller = Caller("127.0.0.1", listener.getsockname()[1], timeout=0.3)
                with self.assertRaisesRegex(NotReached, "did not take the call within 0.3 s"):
                    caller.connect()

    def test_a_silent_server(self) -> None:
        with Server(silent) as server, Caller("127.0.0.1", server.port, timeout=0.2) as caller:
            with self.assertRaisesRegex(TooSlow, "did not send a line in time"):
                caller.receive_line()

    def test_a_line_that_drips_gets_no_more_time(self) -> None:
        def drips(line: socket.socket) -> None:
            with contextlib.suppress(OSError):
                for _ in range(round(TIMEOUT / 0.05)):
                    line.sendall(b".")
                    time.sleep(0.05)  # The habit under test: it drips.

        # Whoever takes each drop for a new beginning hears the end of the stream instead.
        with Server(drips) as server, Caller("127.0.0.1", server.port, timeout=scaled(1)) as caller:
            caller.peek()
            with self.assertRaisesRegex(TooSlow, "the rest of a line"):
                caller.receive_line()
            caller.reset()

    def test_a_line_without_an_end(self) -> None:
        def endless(line: socket.socket) -> None:
            while True:
                line.sendall(b"." * 65536)

        with Server(endless) as server, Caller("127.0.0.1", server.port) as caller:
            with self.assertRaisesRegex(TalkError, "bytes without a newline"):
                caller.receive_line()

    def test_a_server_that_takes_nothing(self) -> None:
        # Nobody accepts, so nobody reads: what the kernels can hold is soon full.
        with Server(silent, accepts=False) as server:
            with Caller("127.0.0.1", server.port, timeout=0.2) as caller:
                with self.assertRaisesRegex(TooSlow, "did not take what we send in time"):
                    caller.send_pattern(200_000_000)
            with Caller("127.0.0.1", server.port) as caller:
                taken = caller.send_what_fits(b"x" * 100_000_000, patience=0.2)
                self.assertTrue(0 < taken < 100_000_000, taken)

    def test_the_end_in_the_middle(self) -> None:
        with Server(lambda line: line.sendall(b"half a l")) as server:
            with Caller("127.0.0.1", server.port) as caller:
                with self.assertRaisesRegex(HungUp, "waiting for the rest of a line"):
                    caller.receive_line()
            with Caller("127.0.0.1", server.port) as caller:
                with self.assertRaisesRegex(HungUp, "the last 2 of 10 bytes"):
                    caller.receive_exactly(10)

    def test_no_end_where_one_is_due(self) -> None:
        with Server(hotline) as server, Caller("127.0.0.1", server.port) as caller:
            with self.assertRaisesRegex(TalkError, "should have hung up, but it sent Welcome"):
                caller.receive_end()

    def test_a_reset(self) -> None:
        """It may come when we call, or when we listen: its name is the same."""
        with Server(hard_reset) as server:
            with self.assertRaisesRegex(WasReset, "the server reset the connection"):
                with Caller("127.0.0.1", server.port) as caller:
                    caller.receive_line()


class WritingDown(unittest.TestCase):
    def test_every_deed_with_its_time(self) -> None:
        log = io.StringIO()
        before = time.monotonic()
        with Server(hotline) as server:
            with Caller(
                "127.0.0.1", server.port, name="A", bind="127.0.0.2", log=log, timeout=TIMEOUT
            ) as caller:
                caller.receive_line()
                caller.send(b"echo \xff\x1b[2J\n")
                caller.receive_line()
                caller.stop_reading(0.01)
                caller.half_close()
                caller.receive_end()
            with self.assertRaises(HungUp), Caller("127.0.0.1", server.port, log=log) as caller:
                caller.receive_line()
                caller.half_close()
                caller.receive_line()
            with Caller("127.0.0.1", server.port, log=log) as caller:
                caller.reset()
        events = [json.loads(line) for line in log.getvalue().splitlines()]
        deeds = "connecting connected received sent received stopped_reading reading half_closed "
        deeds += "end closed connecting connected received half_closed failed closed connecting "
        deeds += "connected reset"
        self.assertEqual([event["do"] for event in events], deeds.split())
        self.assertEqual(events[0]["who"], "A")
        self.assertIsNone(events[0]["local"])
        self.assertRegex(events[1]["local"], r"^127\.0\.0\.2:\d+$")
        self.assertEqual(events[1]["peer"], f"127.0.0.1:{server.port}")
        self.assertEqual((events[3]["bytes"], events[3]["text"]), (11, r"echo \xff\x1b[2J\n"))
        self.assertIn("hung up", events[14]["why"])
        times = [event["t"] for event in events]
        self.assertEqual(times, sorted(times))
        # The clock that all processes share, as it is: logs of several clients are put in order by it.
        self.assertTrue(before < times[0] and times[-1] < time.monotonic())

    def test_a_call_that_does_not_get_through(self) -> None:
        log = io.StringIO()
        with self.assertRaises(NotReached):
            Caller("no.such.host.invalid", 1, log=log).connect()
        deeds = [json.loads(line)["do"] for line in log.getvalue().splitlines()]
        self.assertEqual(deeds, ["connecting", "failed"])

    def test_what_is_shown_is_safe_on_a_terminal(self) -> None:
        self.assertEqual(
            show(b"gr\xc3\xbcn \xff\x00\x1b]0;\x07\xc2\x9b"), r"grün \xff\x00\x1b]0;\x07\x9b"
        )


if __name__ == "__main__":
    unittest.main()
