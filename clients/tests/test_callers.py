"""The clients with several callers at once, against the real servers and against wrong ones."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import threading
import unittest

from processes import DEADLINE, Finished, run, scaled, servers_of, serving, start, wait_for
from servers import GREETING, Serve, Server, hotline, lines

SELECT, THREAD, FORK = "02_select.py", "03_thread_per_client.py", "04_fork_per_client.py"


def who_and_count(numbers: list[int]) -> Serve:
    """Greets, answers `who` with a process for each caller, and `count` with these numbers."""
    processes, counter = itertools.count(100), iter(numbers)

    def serve(line: socket.socket) -> None:
        process = next(processes)
        line.sendall(GREETING)
        for question in lines(line):
            if question == b"who":
                line.sendall(b"pid %d thread 7 descriptor 4\n" % process)
            else:
                line.sendall(b"%d\n" % next(counter))

    return serve


class Callers(unittest.TestCase):
    def assert_went_well(self, finished: Finished) -> str:
        self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)
        return finished.stdout

    def with_each(self, lesson: str, script: str, *options: object) -> list[Finished]:
        """The client's run with the lesson's server, and with its twin."""
        finished = []
        for command in servers_of(lesson):
            with self.subTest(command[-1]), serving(command) as port:
                finished.append(run(script, "--port", port, *options))
        return finished

    def talk(self, serve: Serve, script: str, *options: object) -> Finished:
        with Server(serve) as server:
            return run(script, "--port", server.port, *options)


class Select(Callers):
    def test_nobody_waits_and_all_hear(self) -> None:
        for lesson in ("02", "03"):
            for finished in self.with_each(lesson, SELECT):
                shown = self.assert_went_well(finished)
                self.assertEqual(len(re.findall(r"(?m)^ +[\d.]+ [A-E] < 0000$", shown)), 5)
                heard = re.findall(
                    r"(?m)^ +[\d.]+ ([A-E]) < 127\.0\.0\.1:\d+: good morning$", shown
                )
                self.assertEqual(sorted(heard), list("BCDE"))
                self.assertIn("Nobody waited: all callers were greeted within", shown)
                self.assertIn("What A said was heard by all the others.", shown)

    def test_processes_do_not_hear_each_other(self) -> None:
        for finished in self.with_each("04", SELECT):
            self.assertIn("What A said reached nobody.", self.assert_went_well(finished))

    def test_one_after_another_they_wait_and_are_served_all_the_same(self) -> None:
        for finished in self.with_each("01", SELECT, "--callers", 3):
            shown = self.assert_went_well(finished)
            self.assertRegex(
                shown, r"B waited .* in the kernel's queue: the server was busy with A"
            )
            self.assertEqual(len(re.findall(r"(?m)^ +[\d.]+ [ABC] < 0000$", shown)), 3)

    def test_a_line_may_be_for_one_alone(self) -> None:
        finished = self.talk(hotline, SELECT, "--say", "0", "B: echo only B", "echo all\necho 2")
        shown = re.sub(r"(?m)^ *[\d.]+ ", "", self.assert_went_well(finished))
        self.assertEqual(shown.count("< only B\n"), 1)
        self.assertIn("B < only B\n", shown)
        self.assertEqual((shown.count("< all\n"), shown.count("< 2\n")), (5, 5))
        own = [line for line in shown.splitlines() if line.startswith("B >")]
        self.assertEqual(own, ["B > 0", "B > echo only B", "B > echo all", "B > echo 2"])

    def test_who_sleeps_holds_up_nobody_here(self) -> None:
        nap = round(scaled(0.9) * 1000)
        said = ["--say", f"A: sleep {nap}", "0", "--callers", 3]
        shown = self.assert_went_well(self.talk(hotline, SELECT, *said))
        times = {
            line[8:]: float(line[:7]) for line in shown.splitlines() if line[8:10] in ("A ", "B ")
        }
        self.assertLess(times["B < 0000"], times["A < ok"])
        # A caller may note a moment late that they have asked.
        self.assertGreater(times["A < ok"], times[f"A > sleep {nap}"] + nap / 2000)

    def test_a_crowd_is_counted_not_shown(self) -> None:
        for finished in self.with_each("02", SELECT, "--callers", 60):
            shown = self.assert_went_well(finished)
            self.assertNotIn("0000", shown)
            self.assertIn("and 40 more", shown)
            self.assertIn("What A said was heard by all the others.", shown)


class WhoServesMe(Callers):
    def test_a_thread_for_each(self) -> None:
        for finished in self.with_each("03", THREAD):
            shown = self.assert_went_well(finished)
            rows = re.findall(r"(?m)^([A-E]) +(\d+) +(\S.*?) +(\d+)$", shown)
            self.assertEqual([row[0] for row in rows], list("ABCDE"))
            self.assertEqual(len({row[1] for row in rows}), 1)
            self.assertEqual(len({row[2] for row in rows}), 5)
            self.assertEqual(sorted(int(row[3]) for row in rows), [1, 2, 3, 4, 5])
            self.assertIn("The same process, different threads: each of the 5", shown)
            self.assertIn("No number was given twice", shown)

    def test_one_thread_for_all(self) -> None:
        for lesson in ("01", "02"):
            for finished in self.with_each(lesson, THREAD, "--callers", 3):
                self.assertIn("one thread serves all 3.", self.assert_went_well(finished))

    def test_a_process_for_each_and_a_crash_harms_one(self) -> None:
        for finished in self.with_each("04", FORK):
            shown = self.assert_went_well(finished)
            rows = re.findall(r"(?m)^([A-E]) +(\d+) +(\S+) +\d+ +(.+)$", shown)
            self.assertEqual([row[3] for row in rows], ["died with its server", *["is served"] * 4])
            self.assertEqual([row[1] for row in rows], [row[2] for row in rows])
            self.assertEqual(len({row[1] for row in rows}), 5)
            self.assertIn("Different processes: each of the 5", shown)
            self.assertIn("No number was given twice", shown)
            self.assertIn("A's crash harmed A alone.", shown)

    def test_a_crash_among_threads_takes_all_along(self) -> None:
        for finished in self.with_each("03", FORK, "--callers", 3):
            self.assertEqual(finished.returncode, 1)
            self.assertIn("A's crash took B, C along.", finished.stdout)
            self.assertRegex(finished.stderr, r"(?m)\AB: the server .*\nC: the server .*\n\Z")

    def test_nobody_need_die(self) -> None:
        for finished in self.with_each("03", FORK, "--no-crash"):
            self.assertNotIn("crash", self.assert_went_well(finished))

    def test_numbers_given_twice_and_numbers_of_ones_own(self) -> None:
        for numbers, words in {
            (1, 1, 1): "Everybody is told 1: each counts alone",
            (1, 2, 2): "A number was given twice",
            (9, 11, 10): "No number was given twice",
        }.items():
            finished = self.talk(who_and_count([*numbers]), THREAD, "--callers", 3)
            self.assertIn(words, self.assert_went_well(finished))

    def test_a_server_that_does_not_say(self) -> None:
        finished = self.talk(hotline, THREAD)
        self.assertIn("Nobody was told who serves them.", self.assert_went_well(finished))


class Trouble(Callers):
    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        for script in (SELECT, THREAD, FORK):
            finished = run(script, "--port", port)
            self.assertEqual((finished.returncode, finished.stdout), (1, ""))
            self.assertRegex(finished.stderr, rf"\A{script}: nobody listens on [^\n]*\n\Z")

    def test_nobody_accepts(self) -> None:
        for script in (SELECT, THREAD, FORK):
            with Server(hotline, accepts=False) as server:
                finished = run(script, "--port", server.port, "--callers", 2, "--timeout", 1)
            self.assertEqual(finished.returncode, 1)
            self.assertRegex(finished.stderr, r"\AA: .* no greeting within 1 s.*\nB: .*\n\Z")

    def test_no_answer(self) -> None:
        def silent(line: socket.socket) -> None:
            line.sendall(GREETING)
            while line.recv(1000):
                pass

        finished = self.talk(silent, SELECT, "--timeout", scaled(2), "--say", "B: 0")
        self.assertEqual(finished.returncode, 1)
        self.assertRegex(finished.stderr, r"\AB: no answer to `0` within [0-9.]+ s[^\n]*\n\Z")

    def test_one_is_thrown_out_and_the_others_go_on(self) -> None:
        def strict(line: socket.socket) -> None:
            line.sendall(GREETING)
            for question in lines(line):
                if question == b"0":
                    return
                line.sendall(b"fine\n")

        finished = self.talk(strict, SELECT, "--say", "B: 0", "echo a", "--callers", 3)
        self.assertEqual(finished.returncode, 1)
        self.assertRegex(finished.stderr, r"\AB: the server hung up before it had answered `0`\n\Z")
        self.assertEqual(finished.stdout.count("< fine\n"), 2)

    def test_usage(self) -> None:
        for how_many in ("1", "501", "x", ""):
            finished = run(SELECT, "--port", 1, "--callers", how_many)
            self.assertEqual((finished.returncode, finished.stdout), (2, ""))
        finished = run(SELECT, "--port", 1, "--callers", 3, "--say", "D: 0")
        self.assertEqual(finished.returncode, 2)
        self.assertIn("only 3 callers", finished.stderr)
        for script in (SELECT, THREAD, FORK):
            self.assertIn("--callers", self.assert_went_well(run(script, "--help")))

    def test_ctrl_c_is_quiet(self) -> None:
        enough = threading.Event()
        self.addCleanup(enough.set)

        def slow(line: socket.socket) -> None:
            line.sendall(GREETING)
            enough.wait(DEADLINE)

        with Server(slow) as server:
            client = start(SELECT, "--port", server.port, "--timeout", 600)
            wait_for(client, "A > 0")
            client.send_signal(signal.SIGINT)
            _, complaint = client.communicate(timeout=DEADLINE)
            enough.set()
        self.assertEqual((client.returncode, complaint), (130, ""))


if __name__ == "__main__":
    unittest.main()
