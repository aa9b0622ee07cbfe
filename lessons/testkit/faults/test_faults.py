"""The runner itself: it names what a wrong server does, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from server import Log, why_not_traced, wait_until
from table import COLUMNS, DROP, Row
from trial import Stage, Trial, play

HERE = Path(__file__).parent
PRELOAD = sys.argv[1]
DEADLINE = 500.0  # seconds for a run of the program; only one that hangs takes as long

# What each wrong server is caught with, and what the report has to say of it.
CAUGHT = {
    "dies_on_aborted": ("accept:ECONNABORTED:1", "it ended with status 1 and said: Connection"),
    "spins_on_emfile": ("accept:EMFILE:1+", "calls in vain"),
    "closes_twice": ("close:EINTR:1:hotline", "again"),
    "ignores_short_writes": ("short:send=7:hotline", "was left hanging: "),
    "forgets_callers": ("recv:ENOMEM:2:hotline", "the talker was left hanging: "),
    "lives_on_bad_listener": ("accept:EBADF", "it goes on with an error that cannot heal"),
    "leaves_a_child": ("shutdown", "processes of it are left behind"),
    "exits_in_silence": ("start:bind:EACCES", "it ended with status 1 and said nothing"),
}


def wrong(habit: str) -> list[str]:
    return [sys.executable, str(HERE / "wrong_server.py"), habit]


def faults(*options: str, server: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "faults.py"), "--column", "01", "--preload", PRELOAD]
    return subprocess.run(
        [*command, *options, "--", *server],
        env=os.environ | more,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def processes_with(mark: str) -> list[str]:
    """Processes that have this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
        except OSError:
            pass
    return found


class WithoutTracing(unittest.TestCase):
    def test_short_writes_are_found_all_the_same(self) -> None:
        done = faults("--only", "short:hotline", server=wrong("right"), PATH="/nowhere")
        self.assertEqual(done.returncode, 77, done.stdout + done.stderr)
        self.assertIn("strace is missing", done.stdout)
        self.assertIn(" 0 badly", done.stdout)

    def test_an_unknown_fault(self) -> None:
        done = faults("--only", "accept:EWHAT", server=wrong("right"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("no fault is called accept:EWHAT", done.stderr)

    def test_a_server_that_is_not_there(self) -> None:
        done = faults("--only", "short:hotline", server=["/no/such/server"])
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("Traceback", done.stderr)


class WhatStraceWrites(unittest.TestCase):
    def test_calls_that_it_left_in_the_middle(self) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "log"
            path.write_text(
                "1 recvfrom(3<socket:[5]>, 0x7f, 9, 0, NULL, NULL) = -1 EIO (Input/output error)"
                " (INJECTED)\n"
                "1 recvfrom(3<socket:[5]>,  <unfinished ...>\n"
                "2 recvfrom(4<socket:[6]>,  <unfinished ...>\n"
                "1 <... recvfrom resumed>0x7f, 9, 0, NULL, NULL) = 9\n"
                "1 recvfrom(3<socket:[5]>,  <detached ...>\n"
            )
            log = Log(path)
        self.assertEqual(len(log.fired()), 1)
        self.assertEqual(log.cut_off, 2)


@unittest.skipIf(why_not_traced(), why_not_traced())
class Traced(unittest.TestCase):
    def test_wrong_servers_are_named(self) -> None:
        def run(habit: str) -> subprocess.CompletedProcess[str]:
            return faults("--only", CAUGHT[habit][0], server=wrong(habit))

        with ThreadPoolExecutor(4) as pool:
            runs = dict(zip(CAUGHT, pool.map(run, CAUGHT)))
        for habit, done in runs.items():
            words = CAUGHT[habit][1]
            with self.subTest(habit=habit):
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(words, done.stdout + done.stderr)

    def test_the_right_one_passes_the_same(self) -> None:
        chosen = [word for fault, _ in CAUGHT.values() for word in ("--only", fault)]
        done = faults(*chosen, server=wrong("right"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_fault_that_never_came_proves_nothing(self) -> None:
        row = Row("accept", ("accept4",), ("EMFILE",), ("1",), DROP)
        stage = Stage(wrong("right"), COLUMNS["01"])
        with mock.patch.object(Trial, "inject", ""):  # strace looks on, and does nothing
            verdict = play(Trial(row, "accept4", "EMFILE", "1", "hotline"), stage)
        self.assertIn("the fault never came", verdict.complaints)

    def test_a_call_that_is_not_made_so_often_is_no_complaint(self) -> None:
        stage = Stage(wrong("right"), COLUMNS["01"])
        for call, occurrence in {"accept4": "1000", "sendmsg": "1"}.items():
            row = Row("rare", (call,), ("EMFILE",), (occurrence,), DROP)
            verdict = play(Trial(row, call, "EMFILE", occurrence, "hotline"), stage)
            self.assertEqual((verdict.complaints, verdict.fired), ([], False))

    def test_an_interrupted_run_leaves_no_process(self) -> None:
        mark = uuid.uuid4().hex
        command = [sys.executable, str(HERE / "faults.py"), "--column", "01", "--only", "hotline"]
        runner = subprocess.Popen(
            [*command, "--", *wrong("right")],
            env=os.environ | {"MARK": mark},
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(runner.wait)
        self.addCleanup(runner.terminate)
        self.assertTrue(wait_until(lambda: len(processes_with(mark)) > 3, 10))
        runner.send_signal(signal.SIGINT)
        self.assertEqual(runner.wait(DEADLINE), 130)
        self.assertTrue(wait_until(lambda: not processes_with(mark), 5), processes_with(mark))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
