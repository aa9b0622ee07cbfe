"""Scenes: real client processes, played to servers of different kinds."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import sys
import tempfile
import threading
import unittest
from pathlib import Path

from processes import CLIENTS, DEADLINE, lesson_server, run, scaled, start, together
from servers import GREETING, Server, hotline

sys.path.insert(0, str(CLIENTS))

from scenes import SCENES, Recording, play, scene_of  # noqa: E402
from talk import TalkError  # noqa: E402
from timeline import sentence, visits  # noqa: E402
from transcript import transcript  # noqa: E402

ANSWERED = """\
  < Welcome to 10086, test, pid P, thread T
  > 0
  < 0000
  > exit
  - the server hangs up
"""
THREE_IN_TURN = f"""\
A calls and is greeted at once.
  < Welcome to 10086, test, pid P, thread T
  > echo good morning
  < good morning
  > exit
  - the server hangs up

B calls and waits in the kernel's queue: the server is busy with A.
{ANSWERED}
C calls and waits in the kernel's queue: the server is busy with A and then B.
{ANSWERED}"""


class Playing(unittest.TestCase):
    maxDiff = None

    def queue(self, recording: Recording, who: str) -> float:
        visit = next(visit for visit in visits(recording.events) if visit.who == who)
        wait = visit.wait_in_queue()
        assert wait is not None
        return wait.length

    def test_three_callers_in_turn(self) -> None:
        with Server(hotline, one_at_a_time=True) as server:
            recording = play("three_callers", "127.0.0.1", server.port)
        self.assertEqual(recording.failures, {})
        # As long as the scene waits before A and B leave, and never less.
        self.assertGreater(self.queue(recording, "B"), scaled(0.9))
        self.assertGreater(self.queue(recording, "C"), scaled(1.4))
        self.assertEqual(transcript(recording.events), THREE_IN_TURN)
        self.assertRegex(
            sentence(visits(recording.events)),
            r"\AB waited [\d.]+ s in the kernel's queue: the server was busy with A\.\n"
            r"C waited [\d.]+ s in the kernel's queue: the server was busy with A and then B\.\Z",
        )

    def test_three_callers_side_by_side(self) -> None:
        with Server(hotline) as server:
            recording = play("three_callers", "127.0.0.1", server.port)
        self.assertEqual(recording.failures, {})
        for who in "ABC":
            self.assertLess(self.queue(recording, who), scaled(0.9))

    def test_every_scene_with_both_kinds(self) -> None:
        def visit(case: tuple[str, bool]) -> Recording:
            name, one_at_a_time = case
            with Server(hotline, one_at_a_time) as server:
                return play(name, "127.0.0.1", server.port)

        names = sorted(set(SCENES) - {"three_callers"})
        for case, recording in together(visit, itertools.product(names, (True, False)), 3):
            with self.subTest(case[0], one_at_a_time=case[1]):
                self.assertEqual(recording.failures, {})
                self.assertEqual(self.queue(recording, "B") > scaled(0.3), case[1])

    def test_each_caller_is_a_process_with_an_address(self) -> None:
        with Server(hotline) as server:
            recording = play("silent_first", "127.0.0.1", server.port)
        locals_of = {(e["who"], str(e["local"]).split(":")[0]) for e in recording.events}
        self.assertEqual(
            locals_of,
            {("A", "None"), ("A", "127.0.0.2"), ("B", "None"), ("B", "127.0.0.3")},
        )
        times = [event["t"] for event in recording.events]
        self.assertEqual(times, sorted(times))

    def test_the_server_of_lesson_01(self) -> None:
        def visit(name: str) -> Recording:
            with lesson_server(self) as port:
                return play(name, "127.0.0.1", port)

        for name, recording in together(visit, SCENES, 3):
            with self.subTest(name):
                self.assertEqual(recording.failures, {})
                self.assertGreater(self.queue(recording, "B"), scaled(0.3))

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with self.assertRaisesRegex(TalkError, r"^nobody listens on 127\.0\.0\.1"):
            play("three_callers", "127.0.0.1", port)

    def test_a_server_that_never_accepts(self) -> None:
        with Server(hotline, accepts=False) as server:
            recording = play("silent_first", "127.0.0.1", server.port, timeout=2)
        self.assertEqual(set(recording.failures), {"A", "B"})
        self.assertIn("no greeting within 2 s", recording.failures["B"])
        self.assertIn("never greeted", sentence(visits(recording.events)))

    def test_a_server_that_dies(self) -> None:
        def dies(line: socket.socket) -> None:
            line.sendall(GREETING)
            line.recv(100)
            server.stop()

        with Server(dies) as server:
            recording = play("one_sleeps", "127.0.0.1", server.port, timeout=scaled(5))
        self.assertIn("the server", recording.failures["A"])

    def test_a_client_that_is_none(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            client = Path(folder) / "a client.py"
            client.write_text("raise SystemExit('I do not work')\n")
            with Server(hotline) as server:
                with self.assertRaisesRegex(TalkError, "I do not work"):
                    play("silent_first", "127.0.0.1", server.port, client=client)

    def test_every_scene_can_be_read(self) -> None:
        for name in SCENES:
            scene = scene_of(name)
            self.assertTrue(scene.idea.endswith("."))
            self.assertIn("A", scene.callers())


class ByHand(unittest.TestCase):
    def test_draws(self) -> None:
        with Server(hotline, one_at_a_time=True) as server:
            finished = run("scenes.py", "silent_first", "--port", server.port, "--draw")
        self.assertEqual((finished.returncode, finished.stderr), (0, ""))
        self.assertRegex(finished.stdout, r"(?m)^A .*─+┤$")
        self.assertRegex(finished.stdout, r"(?m)^B .*░+─*█+┤$")
        self.assertRegex(finished.stdout, r"B waited .* s in the kernel's queue")

    def test_transcript(self) -> None:
        with Server(hotline, one_at_a_time=True) as server:
            finished = run("scenes.py", "three_callers", "--port", server.port, "--transcript")
        self.assertEqual((finished.returncode, finished.stdout), (0, THREE_IN_TURN))

    def test_json(self) -> None:
        with Server(hotline) as server:
            finished = run("scenes.py", "silent_first", "--port", server.port, "--json")
        events = [json.loads(line) for line in finished.stdout.splitlines()]
        self.assertEqual({event["who"] for event in events}, {"A", "B"})
        self.assertEqual(sum(event["do"] == "connected" for event in events), 2)

    def test_failures_are_told(self) -> None:
        with Server(hotline, accepts=False) as server:
            options = ["--port", server.port, "--timeout", 1]
            finished = run("scenes.py", "silent_first", *options)
        self.assertEqual(finished.returncode, 1)
        self.assertRegex(finished.stderr, r"(?m)^B: connected, but no greeting within 1 s")
        self.assertIn("never greeted", finished.stdout)

    def test_list_and_usage(self) -> None:
        finished = run("scenes.py", "--list")
        self.assertEqual(finished.returncode, 0)
        for name in SCENES:
            self.assertIn(f"{name} ", finished.stdout)
        finished = run("scenes.py", "three_caller", "--port", "1")
        self.assertEqual(finished.returncode, 2)
        self.assertIn("did you mean three_callers", finished.stderr)
        finished = run("scenes.py", "three_callers", "--port", "1", "--client", "/no/such.py")
        self.assertEqual(finished.returncode, 2)
        finished = run("scenes.py", "three_callers")
        self.assertEqual(finished.returncode, 2)

    def test_nobody_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        finished = run("scenes.py", "three_callers", "--port", port)
        self.assertEqual((finished.returncode, finished.stdout), (1, ""))
        self.assertRegex(finished.stderr, r"\Ascenes.py: nobody listens on [^\n]*\n\Z")

    def test_signals_leave_nobody_behind(self) -> None:
        asked = threading.Semaphore(0)

        def never_answers(line: socket.socket) -> None:
            line.sendall(GREETING)
            line.recv(100)
            asked.release()
            line.recv(100)

        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(number.name), Server(never_answers) as server:
                # Left to themselves, these callers would wait for ten minutes.
                options = ["--port", server.port, "--timeout", 600]
                director = start("scenes.py", "three_callers", *options)
                for _ in "ABC":
                    self.assertTrue(asked.acquire(timeout=DEADLINE))
                director.send_signal(number)
                self.assertEqual(director.communicate(timeout=DEADLINE), ("", ""))
                self.assertEqual(director.returncode, code)
                self.assertEqual(clients_of(server.port), [])

    def test_a_reader_who_leaves(self) -> None:
        with Server(hotline) as server:
            with start("scenes.py", "silent_first", "--port", server.port, "--json") as director:
                assert director.stdout is not None and director.stderr is not None
                director.stdout.close()
                self.assertEqual(director.wait(DEADLINE), 1)
                self.assertEqual(director.stderr.read(), "")


def clients_of(port: int) -> list[int]:
    """The client processes of a scene that is played to this port."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(port).encode() in words and b"--cue" in words:
            found.append(int(folder.name))
    return found


if __name__ == "__main__":
    unittest.main()
