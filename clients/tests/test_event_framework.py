"""The client of lesson 05: a crowd in one thread, against the real servers and against wrong ones."""

from __future__ import annotations

import contextlib
import itertools
import re
import resource
import signal
import socket
import sys
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path

from processes import DEADLINE, Finished, run, scaled, servers_of, serving, start, wait_for
from servers import GREETING, Serve, Server, answer, hard_reset, hotline, lines

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crowd import KNOCKING  # noqa: E402

EVENT = "05_event_framework.py"


@contextlib.contextmanager
def descriptors(wanted: int) -> Iterator[bool]:
    """So many for us and for the server that we start; False where the hard limit is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        yield False
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield True
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def table_of(shown: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^(\S.*?)  +(\S.*)$", shown))


class EventFramework(unittest.TestCase):
    def assert_went_well(self, finished: Finished) -> dict[str, str]:
        self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)
        return table_of(finished.stdout)

    def with_each(self, lesson: str, *options: object) -> list[Finished]:
        """The client's run with the lesson's server, and with its twin."""
        finished = []
        for command in servers_of(lesson):
            with self.subTest(command[-1]), serving(command) as port:
                finished.append(run(EVENT, "--port", port, *options))
        return finished

    def talk(self, serve: Serve, *options: object) -> Finished:
        with Server(serve) as server:
            return run(EVENT, "--port", server.port, *options)


class Crowd(EventFramework):
    def test_a_hundred_at_once_and_nobody_waits_for_who_sleeps(self) -> None:
        nap = min(round(scaled(3) * 1000), 60_000)
        for finished in self.with_each("05", "--sleep", nap):
            seen = self.assert_went_well(finished)
            self.assertEqual(seen["callers"], "100, in one thread")
            self.assertEqual(seen["on the line at once"], "100")
            self.assertEqual(seen["handlers that slept"], f"10, for {nap} ms each")
            self.assertEqual(seen["answered meanwhile"], "90 of the 90 others")
            self.assertRegex(seen["answers to those awake"], r"\A270, half of them in ")
            self.assertIn("Nobody waited for a handler that slept.", finished.stdout)
            self.assertNotIn("0000", finished.stdout)

    def test_where_one_thread_sleeps_all_wait(self) -> None:
        nap = round(scaled(0.5) * 1000)
        for finished in self.with_each("02", "--callers", 20, "--sleepers", 2, "--sleep", nap):
            seen = self.assert_went_well(finished)
            self.assertEqual(seen["on the line at once"], "20")
            self.assertEqual(seen["answered meanwhile"], "0 of the 18 others")
            # As long as the handler sleeps, or a moment less: some ask when it sleeps already.
            found = re.fullmatch(r"([0-9.]+) (m?s), to \w+: 0", seen["the slowest"])
            assert found, seen
            waited = float(found[1]) * (1000 if found[2] == "s" else 1)
            self.assertGreater(waited, nap / 2)
            self.assertIn("18 of the others waited until a handler", finished.stdout)

    def test_one_after_another_they_are_served_all_the_same(self) -> None:
        for finished in self.with_each("01", "--callers", 5, "--sleepers", 1):
            seen = self.assert_went_well(finished)
            self.assertEqual(seen["on the line at once"], "1")
            self.assertEqual(seen["answers to those awake"].split(",")[0], "12")
            self.assertEqual(len(re.findall(r"(?m)^ +[\d.]+ [A-E] < 0000$", finished.stdout)), 5)

    def test_more_than_select_could_watch_and_than_may_knock_at_once(self) -> None:
        many = KNOCKING + 500
        with descriptors(many + 100) as there_are:
            if not there_are:
                self.skipTest("the hard limit on descriptors is too low")
            for finished in self.with_each("05", "--callers", many, "--sleepers", 0):
                seen = self.assert_went_well(finished)
                self.assertEqual(seen["on the line at once"], f"{many:,}")
                self.assertEqual(seen["answers to those awake"].split(", half")[0], f"{many * 3:,}")

    def test_a_few_are_shown_line_by_line(self) -> None:
        nap = round(scaled(0.5) * 1000)
        few = ("--callers", 3, "--sleepers", 1, "--sleep", nap)
        finished = self.talk(hotline, *few, "--say", "0", "echo a")
        self.assert_went_well(finished)
        shown = re.findall(r"(?m)^ +[\d.]+ ([ABC] .*)$", finished.stdout)
        self.assertEqual(
            [line[2:] for line in shown if line[0] == "A"],
            [
                "< Welcome to 10086, test, pid 1, thread 1",
                f"> sleep {nap}",
                "< ok",
                "> 0",
                "< 0000",
                "> echo a",
                "< a",
                "- the server hung up",
            ],
        )
        # What B and C say is answered before A's handler wakes.
        self.assertLess(shown.index("C < a"), shown.index("A < ok"))
        self.assertLess(shown.index("B - the server hung up"), shown.index("A < ok"))

    def test_nobody_speaks_before_all_are_there(self) -> None:
        finished = self.talk(hotline, "--callers", 8, "--sleepers", 0)
        self.assert_went_well(finished)
        signs = "".join(re.findall(r"(?m)^ +[\d.]+ [A-H] (<|>)", finished.stdout))
        self.assertTrue(signs.startswith("<" * 8 + ">" * 8), signs)

    def test_what_others_say_is_no_answer(self) -> None:
        finished = self.talk(hotline, "--callers", 2, "--sleepers", 0, "--say", "say hi")
        self.assert_went_well(finished)
        self.assertEqual(finished.stdout.count("< 127.0.0.9:999: somebody else\n"), 2)
        self.assertEqual(finished.stdout.count("< said\n"), 2)
        self.assertEqual(self.assert_went_well(finished)["answers to those awake"][:2], "2,")

    def test_exit_needs_no_answer(self) -> None:
        finished = self.talk(hotline, "--callers", 2, "--say", "exit", "--sleepers", 0)
        self.assert_went_well(finished)
        self.assertEqual(finished.stdout.count("- the server hung up\n"), 2)


class Trouble(EventFramework):
    def test_who_is_let_down_holds_up_nobody(self) -> None:
        """B hears half an answer and then nothing; who waited in recv() for it would stop all."""
        who = itertools.count()
        order: list[str] = []

        def serve(line: socket.socket) -> None:
            is_b = next(who) == 1
            line.sendall(GREETING)
            for question in lines(line):
                if is_b:
                    line.sendall(b"half of an ")
                    line.recv(1)  # nothing: B has given us up
                    order.append("given up")
                    return
                line.sendall(answer(question))
            order.append("served")

        with Server(serve) as server:
            few = ("--callers", 4, "--sleepers", 0, "--timeout", scaled(4))
            finished = run(EVENT, "--port", server.port, *few)
        self.assertEqual(finished.returncode, 1)
        self.assertRegex(finished.stderr, r"\A[A-D]: no answer to `0` within [0-9.]+ s\n\Z")
        self.assertEqual(finished.stdout.count("- the server hung up\n"), 3)
        self.assertEqual(order, ["served"] * 3 + ["given up"])

    def test_turned_away_reset_and_thrown_out(self) -> None:
        who = itertools.count()

        def serve(line: socket.socket) -> None:
            me = next(who) % 4
            if me == 1:
                return
            line.sendall(GREETING)
            for question in lines(line):
                if me == 2:
                    return hard_reset(line)
                if me == 3 and question == b"echo hello":
                    return
                line.sendall(answer(question))

        finished = self.talk(serve, "--callers", 40, "--sleepers", 0)
        self.assertEqual(finished.returncode, 1)
        self.assertEqual(len(finished.stderr.splitlines()), 11)
        self.assertTrue(finished.stderr.endswith("\nand 20 more\n"))
        for words in (
            "the server hung up without a greeting",
            "the server reset the connection",
            "the server hung up before it had answered `echo hello`",
        ):
            self.assertIn(words, finished.stderr)
        seen = table_of(finished.stdout)
        self.assertEqual(seen["on the line at once"], "30")
        self.assertEqual(seen["answers to those awake"].split(",")[0], "40")  # 10 x 3 and 10 x 1

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for callers in (3, 100):
            finished = run(EVENT, "--port", port, "--callers", callers)
            self.assertEqual((finished.returncode, finished.stdout), (1, ""))
            self.assertRegex(finished.stderr, rf"\A{EVENT}: nobody listens on [^\n]*\n\Z")

    def test_unknown_host(self) -> None:
        finished = run(EVENT, "--port", 1, "--host", "no-such-host.invalid")
        self.assertEqual((finished.returncode, finished.stdout), (1, ""))
        self.assertRegex(finished.stderr, rf"\A{EVENT}: the host [^\n]* is unknown[^\n]*\n\Z")

    def test_nobody_accepts(self) -> None:
        with Server(hotline, accepts=False) as server:
            finished = run(EVENT, "--port", server.port, "--callers", 2, "--timeout", 1)
        self.assertEqual(finished.returncode, 1)
        self.assertRegex(finished.stderr, r"\AA: no greeting within 1 s.*\nB: .*\n\Z")
        self.assertEqual(table_of(finished.stdout)["on the line at once"], "0")

    def test_one_who_does_not_hang_up(self) -> None:
        enough = threading.Event()
        self.addCleanup(enough.set)

        def serve(line: socket.socket) -> None:
            hotline(line)
            enough.wait(DEADLINE)

        with Server(serve) as server:
            few = ("--callers", 1, "--sleepers", 0, "--timeout", scaled(2))
            finished = run(EVENT, "--port", server.port, *few)
            enough.set()
        self.assertEqual(finished.returncode, 1)
        self.assertIn("A: we said no more, but the server did not hang up", finished.stderr)

    def test_usage(self) -> None:
        for option, value in [
            ("--callers", "0"),
            ("--callers", "10001"),
            ("--callers", "x"),
            ("--sleep", "60001"),
            ("--sleepers", "-1"),
            ("--say", "big 5000"),
            ("--say", "sink 5"),
            ("--port", "0"),
        ]:
            finished = run(EVENT, "--port", 1, option, value)
            self.assertEqual((finished.returncode, finished.stdout), (2, ""), (option, value))
        finished = run(EVENT, "--help")
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))
        self.assertIn("--sleepers N", finished.stdout)

    def test_ctrl_c_is_quiet(self) -> None:
        enough = threading.Event()
        self.addCleanup(enough.set)

        def slow(line: socket.socket) -> None:
            line.sendall(GREETING)
            enough.wait(DEADLINE)

        with Server(slow) as server:
            client = start(EVENT, "--port", server.port, "--timeout", 600, "--callers", 3)
            wait_for(client, "A > sleep 500")
            client.send_signal(signal.SIGINT)
            _, complaint = client.communicate(timeout=DEADLINE)
            enough.set()
        self.assertEqual((client.returncode, complaint), (130, ""))


if __name__ == "__main__":
    unittest.main()
