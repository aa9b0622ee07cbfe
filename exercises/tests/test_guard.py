"""Whatever a learner's program does: it is called what it is, in time, and nothing of it is left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

CHECKS, HOSTILE = map(Path, sys.argv[1:3])
PATIENCE = float(os.environ.get("NETSTEPS_PATIENCE") or 1)

# Habit: the check that meets it, the code, and words of the sentence or of the story.
HABITS = {
    "polite": ("hello", "pass", ""),
    "hangs": ("hello", "timeout:none", "S pause"),
    "spins": ("hello", "timeout:none", "a busy loop"),
    "never_listens": ("hello", "no_listen", "no listening socket"),
    "goes_into_the_background": ("hello", "exited|exited_early", "exits with status 0"),
    "ignores_sigterm": ("stops", "ignores_sigterm", "still runs after 2.0 s"),
    "forks_without_end": ("hello", "limit:processes", "processes without end"),
    "forks_in_sessions": ("hello", "limit:processes", "processes without end"),
    "leaves_a_daemon": ("hello", "pass", ""),
    "eats_memory": ("hello", "limit:memory", "takes memory without end"),
    "asks_for_memory": ("hello", "limit:memory", "more memory than it may have"),
    "fills_one_file": ("hello", "limit:output", "fills the disk"),
    "fills_many_files": ("hello", "limit:output", "fills the disk"),
    "prints_without_end": ("hello", "limit:output", "prints without end"),
    "dies": ("hello", "crash:SIGSEGV", "dies of SIGSEGV"),
    "kills_its_judge": ("hello", "harness", "ended before it had a verdict"),
}


class GuardTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a guard ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def program(self, habit: str) -> Path:
        program = self.folder / habit
        shutil.copy(HOSTILE, program)
        return program

    def left_over(self) -> list[str]:
        """The processes that run a program of ours."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(process / "exe").startswith(str(self.folder)):
                    found.append(process.name)
            except OSError:
                continue  # it is gone, or not ours to look at
        return found

    def judge(self, habit: str, check: str, *options: str, more: float = 1) -> dict[str, Any]:
        command = [str(CHECKS), "--json", f"--check={check}", *options, str(self.program(habit))]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60 * PATIENCE,
            env=dict(os.environ, NETSTEPS_PATIENCE=str(more * PATIENCE)),
        )
        self.assertEqual(self.left_over(), [])
        said: dict[str, Any] = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if said["outcome"] == "pass" else 1)
        return said

    def test_every_habit_is_called_what_it_is(self) -> None:
        for habit, (check, code, words) in HABITS.items():
            with self.subTest(habit):
                # To eat all that memory takes a busy machine its time.
                more = 10 if code.startswith("limit:") else 1
                said = self.judge(habit, check, f"--seconds={10 * more}", more=more)
                self.assertIn(said["outcome"], code.split("|"), said)
                self.assertIn(words, " ".join(f"{said['sentence']} {said['story']}".split()))

    def test_a_broken_assertion_is_a_wrong_answer(self) -> None:
        said = self.judge("polite", "equal")
        self.assertEqual(said["outcome"], "wrong_bytes")
        self.assertIn("1 + 1 == 3", said["sentence"])

    def test_a_fault_of_the_check_is_not_the_learners(self) -> None:
        for check, words in {"our_own_fault": "tired", "dies_itself": "before it had"}.items():
            said = self.judge("polite", check)
            self.assertEqual(said["outcome"], "harness")
            self.assertIn(words, said["sentence"])

    def test_a_check_that_does_not_end_is_ended(self) -> None:
        said = self.judge("polite", "never_ends", "--seconds=0.5")
        self.assertEqual(said["outcome"], "check_timeout")

    def test_who_stops_a_check_stops_all_of_it(self) -> None:
        command = [str(CHECKS), "--json", "--check=never_ends", str(self.program("polite"))]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            deadline = time.monotonic() + 60 * PATIENCE
            while not self.left_over() and time.monotonic() < deadline:
                time.sleep(0.01)  # between two looks at /proc
            self.assertEqual(len(self.left_over()), 1)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(60 * PATIENCE), 128 + signal.SIGTERM)
        self.assertEqual(self.left_over(), [])

    def test_a_replay_waits_before_the_caller_and_goes_on(self) -> None:
        command = [str(CHECKS), "--json", "--check=hello", "--hold-before=A"]
        with subprocess.Popen(
            [*command, str(self.program("polite"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout and process.stdin
            held = json.loads(process.stdout.readline())
            self.assertEqual(held["held"], "caller A")
            self.assertEqual(self.left_over(), [str(held["pid"])])
            process.stdin.write("\n")
            process.stdin.flush()
            self.assertEqual(json.loads(process.stdout.readline())["outcome"], "pass")
        self.assertEqual(self.left_over(), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
