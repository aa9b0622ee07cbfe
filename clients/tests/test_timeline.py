"""The drawing and its words, from logs written by hand; and the transcript from the same logs."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from processes import run

os.environ["NETSTEPS_PATIENCE"] = "1"  # these logs are of a fast machine, wherever they are drawn
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from timeline import Event, draw, longest_wait, sentence, visits  # noqa: E402
from transcript import transcript  # noqa: E402

HELLO = r"Welcome to 10086, blocking, pid 4711, thread 4712\n"


def log(who: str, *entries: tuple[float, str] | tuple[float, str, str]) -> list[Event]:
    """Entries of (time, deed, text or why); from `connected` on the caller has an address."""
    events: list[Event] = []
    local = None
    for time, do, *more in entries:
        local = f"127.0.0.2:{ord(who)}{len(events)}" if do == "connected" else local
        event: dict[str, Any] = {"t": 1e9 + time, "who": who, "local": local, "do": do}
        if do in ("sent", "received"):
            event |= {"text": more[0], "bytes": len(more[0]) - more[0].count("\\")}
        elif more:
            event["why"] = more[0]
        events.append(event)
    return events


A = log(
    "A",
    (0.0, "connecting"),
    (0.001, "connected"),
    (0.002, "received", HELLO),
    (0.1, "sent", r"echo hi\n"),
    (0.101, "received", r"hi\n"),
    (1.0, "sent", r"exit\n"),
    (1.001, "end"),
    (1.001, "closed"),
)
B = log(
    "B",
    (0.2, "connecting"),
    (0.201, "connected"),
    (1.002, "received", HELLO),
    (1.003, "sent", r"0\n"),
    (1.004, "received", r"0000\n"),
    (1.6, "half_closed"),
    (1.601, "end"),
    (1.601, "closed"),
)
C = log(
    "C", (0.3, "connecting"), (0.301, "connected"), (2.0, "failed", "too late"), (2.0, "closed")
)


class Drawing(unittest.TestCase):
    maxDiff = None

    def test_lanes_table_and_words(self) -> None:
        self.assertEqual(
            draw([*C, *B, *A], width=60),
            """\
   0 s          0.5           1             1.5
A  ──█────────────────────────█┤
B       ░░░░░░░░░░░░░░░░░░░░░░█────────────────┤
C          ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░×

░ waits in the kernel's queue
█ has asked, waits for the answer
─ is served, says nothing   ┤ leaves   × is let down

caller  connected after  waited in the queue  first answer took  total
A                1.0 ms               1.0 ms             1.0 ms  1.0 s
B                1.0 ms               801 ms             1.0 ms  1.4 s
C                1.0 ms                1.7 s                  -  1.7 s

B waited 801 ms in the kernel's queue: the server was busy with A.
C waited 1.7 s in the kernel's queue and was never greeted.
""",
        )

    def test_it_never_is_wider_than_asked(self) -> None:
        for width in (60, 73, 80, 120):
            with self.subTest(width=width):
                drawing = draw([*A, *B], width).split("\n\ncaller")[0]
                self.assertLessEqual(max(map(len, drawing.splitlines())), width)
                lanes = [line for line in drawing.splitlines() if line[:1] in ("A", "B")]
                self.assertGreaterEqual(max(map(len, lanes)), width - 3)

    def test_a_narrow_terminal_gets_sixty_columns(self) -> None:
        self.assertEqual(draw(A, 10), draw(A, 60))

    def test_a_lane_is_to_scale(self) -> None:
        lane = draw(B + A, 103).splitlines()[2]
        queue, whole = lane.count("░"), len(lane.rstrip()) - 3
        self.assertAlmostEqual(queue / whole, 0.8 / 1.6, delta=0.05)

    def test_colours_only_where_asked(self) -> None:
        self.assertNotIn("\x1b", draw([*A, *B, *C]))
        coloured = draw([*A, *B, *C], colour=True)
        self.assertIn("\x1b[33m░\x1b[0m", coloured)
        self.assertEqual(re.sub(r"\x1b\[\d*m", "", coloured), draw([*A, *B, *C]))

    def test_plain_signs(self) -> None:
        self.assertTrue(draw([*A, *B, *C], ascii=True).isascii())

    def test_nobody(self) -> None:
        self.assertEqual(draw([]), "Nobody called.\n")

    def test_a_moment(self) -> None:
        self.assertIn("total", draw(log("A", (0.0, "connecting"), (0.0, "failed", "no"))))

    def test_weeks_and_years(self) -> None:
        for length in (86400.0, 40 * 86400.0, 1e9, 1e11):
            with self.subTest(length=length):
                events = log("A", (0.0, "connecting"), (0.001, "connected"), (length, "closed"))
                scale, lane = draw(events, 60).splitlines()[:2]
                self.assertTrue(3 <= len(scale.split()) <= 14, scale)
                self.assertLessEqual(len(lane), 60)

    def test_names_that_are_longer_than_the_screen(self) -> None:
        for name in ("", "a client with a name", "x" * 5000):
            with self.subTest(name=name[:30]):
                drawing = draw([event | {"who": name} for event in A], 60)
                lanes, table = drawing.split("\n\n")[0], drawing.split("\n\n")[2]
                self.assertLessEqual(max(map(len, lanes.splitlines())), 60)
                self.assertLess(max(map(len, table.splitlines())), 120)

    def test_a_clock_that_was_set_back(self) -> None:
        """In the middle of a visit: the picture is the same. Between two visits: the second is one."""
        for back in (0.0005, 10, 1e8):
            with self.subTest(back=back):
                late = [e | {"t": e["t"] - back * (n >= 4)} for n, e in enumerate(A)]
                self.assertEqual(
                    [span.kind for span in visits(late)[0].spans],
                    [span.kind for span in visits(A)[0].spans],
                )
                self.assertAlmostEqual(longest_wait(visits(late)), longest_wait(visits(A)), 3)
                self.assertTrue(all(s.length >= 0 for v in visits(late) for s in v.spans))
                again = [e | {"t": e["t"] - back} for e in A]
                self.assertEqual(len(visits([*A, *again])), 2)


class Words(unittest.TestCase):
    def words(self, *events: Event) -> str:
        return sentence(visits(events))

    def test_nobody_waited(self) -> None:
        self.assertEqual(self.words(*A), "Nobody waited: the caller was greeted within 2.0 ms.")

    def test_behind_two_and_not_behind_one_who_had_left(self) -> None:
        earlier = log(
            "E",
            (-0.5, "connecting"),
            (-0.5, "connected"),
            (-0.5, "received", HELLO),
            (-0.1, "closed"),
        )
        late = log(
            "D",
            (0.5, "connecting"),
            (0.5, "connected"),
            (1.7, "received", HELLO),
            (1.8, "closed"),
        )
        self.assertIn(
            "D waited 1.2 s in the kernel's queue: the server was busy with A and then B.",
            self.words(*earlier, *A, *B, *late),
        )

    def test_greeted_at_once_and_answered_late(self) -> None:
        """What a server that watches many callers in one thread does while a handler sleeps."""
        sleeper = log(
            "A",
            (0.0, "connecting"),
            (0.0, "connected"),
            (0.0, "received", HELLO),
            (0.1, "sent", r"sleep 900\n"),
            (1.0, "received", r"ok\n"),
            (1.0, "closed"),
        )
        neighbour = log(
            "B",
            (0.0, "connecting"),
            (0.0, "connected"),
            (0.0, "received", HELLO),
            (0.2, "sent", r"0\n"),
            (1.0, "received", r"0000\n"),
            (1.1, "closed"),
        )
        self.assertEqual(
            self.words(*sleeper, *neighbour),
            "B was greeted at once, but waited 800 ms for an answer: the server was busy with A.",
        )

    def test_one_who_spoke_into_the_queue_waited_in_the_queue(self) -> None:
        early = log(
            "B",
            (0.1, "connecting"),
            (0.1, "connected"),
            (0.2, "sent", r"0\n"),
            (1.1, "received", HELLO),
            (1.1, "received", r"0000\n"),
            (1.1, "closed"),
        )
        self.assertIn("B waited 1.0 s in the kernel's queue", self.words(*A, *early))

    def test_did_not_get_through(self) -> None:
        self.assertEqual(
            self.words(*log("A", (0.0, "connecting"), (0.1, "failed", "refused"))),
            "A did not get through.",
        )

    def test_pieces_of_a_big_answer_are_not_the_answer(self) -> None:
        events = log(
            "A",
            (0.0, "connecting"),
            (0.0, "connected"),
            (0.0, "received", HELLO),
            (0.1, "sent", r"big 6\n"),
            (0.2, "received", "abc"),
            (0.7, "received", "def"),
            (0.9, "received", r"\n"),
            (0.9, "received", r"sum 081e0256\n"),
            (1.0, "closed"),
        )
        wait = visits(events)[0].wait_for_answer()
        assert wait is not None
        self.assertAlmostEqual(wait.length, 0.8, places=3)
        self.assertIn("  < 6 bytes and a newline\n  < sum 081e0256\n", transcript(events))

    def test_a_line_of_somebody_else_is_no_answer(self) -> None:
        events = log(
            "A",
            (0.0, "connecting"),
            (0.0, "connected"),
            (0.0, "received", HELLO),
            (0.1, "sent", r"0\n"),
            (0.2, "received", r"127.0.0.4:40123: hello\n"),
            (0.6, "received", r"0000\n"),
            (1.0, "closed"),
        )
        self.assertAlmostEqual(longest_wait(visits(events)), 0.5, places=3)

    def test_the_longest_wait(self) -> None:
        self.assertAlmostEqual(longest_wait(visits([*A, *B])), 0.801, places=3)
        self.assertAlmostEqual(longest_wait(visits([*A, *C])), 1.699, places=3)
        self.assertEqual(longest_wait([]), 0)

    def test_a_nap_that_was_asked_for_is_no_wait(self) -> None:
        events = log(
            "A",
            (0.0, "connecting"),
            (0.0, "connected"),
            (0.0, "received", HELLO),
            (0.1, "sent", r"sleep 900\n"),
            (1.2, "received", r"ok\n"),
            (1.2, "closed"),
        )
        self.assertAlmostEqual(longest_wait(visits(events)), 0.2, places=3)

    def test_a_caller_who_calls_again(self) -> None:
        again = log("A", (2.0, "connecting"), (2.1, "connected"), (2.2, "reset"))
        self.assertEqual([visit.who for visit in visits([*A, *again])], ["A", "A"])


class Transcript(unittest.TestCase):
    maxDiff = None

    def test_the_same_whatever_the_times_and_numbers(self) -> None:
        self.assertEqual(
            transcript([*B, *A, *C]),
            """\
A calls and is greeted at once.
  < Welcome to 10086, blocking, pid P, thread T
  > echo hi
  < hi
  > exit
  - the server hangs up

B calls and waits in the kernel's queue: the server is busy with A.
  < Welcome to 10086, blocking, pid P, thread T
  > 0
  < 0000
  - B says no more (half-close)
  - the server hangs up

C calls, waits in the kernel's queue, and is never greeted.
  - too late
""",
        )

    def test_what_changes_has_a_letter(self) -> None:
        events = log(
            "A",
            (0.0, "connecting"),
            (0.0, "connected"),
            (0.0, "received", HELLO),
            (0.1, "sent", r"who\n"),
            (0.1, "received", r"pid 7 thread 8 descriptor 9\n"),
            (0.1, "received", r"Fri Nov 21 09:05:07 2025\n"),
            (0.1, "received", r"127.0.0.4:40123: hello\n"),
        )
        self.assertEqual(
            transcript(events).splitlines()[3:],
            ["  < pid P thread T descriptor D", "  < DAY AND TIME", "  < 127.0.0.4:N: hello"],
        )


class ByHand(unittest.TestCase):
    def test_draws_logs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / "a log.jsonl", Path(folder) / "b.jsonl"]
            for file, events in zip(files, (A, B)):
                file.write_text("".join(json.dumps(event) + "\n" for event in events))
            finished = run("timeline.py", *files)
            self.assertEqual((finished.returncode, finished.stderr), (0, ""))
            self.assertIn("B waited 801 ms", finished.stdout)
            self.assertNotIn("\x1b", finished.stdout)
            self.assertEqual(run("timeline.py", "--longest", *files).stdout, "0.801000\n")
            files[0].write_text("not JSON\n")
            finished = run("timeline.py", files[0])
            self.assertEqual((finished.returncode, finished.stdout), (1, ""))
            self.assertRegex(
                finished.stderr,
                r"\Atimeline.py: .* is no log of a client: each line must be JSON\n\Z",
            )
        finished = run("timeline.py", files[0])
        self.assertRegex(finished.stderr, r"\Atimeline.py: cannot read .*: No such file.*\n\Z")

    def test_what_is_no_log(self) -> None:
        good = {"t": 1e9, "who": "A", "local": None, "do": "connecting"}
        sent = good | {"do": "sent", "text": "0", "bytes": 1}
        values: list[object] = [None, 1, "x", [], {}, [good]]
        wrong: list[bytes] = [
            *[json.dumps(value).encode() for value in values],
            *[json.dumps({k: v for k, v in sent.items() if k != key}).encode() for key in sent],
            *[json.dumps(sent | {key: []}).encode() for key in sent],
            *[json.dumps(good | {"t": t}).encode() for t in (float("nan"), float("inf"), -1, True)],
            json.dumps(good | {"t": 10**400}).encode(),
            json.dumps(good).replace("1000000000.0", "9" * 5000).encode(),
            json.dumps(good).replace("1000000000.0", "1e999").encode(),
            json.dumps(good | {"do": "failed"}).encode(),
            b"[" * 100_000,
            b"\xff",
            b"",
            b"{} " * 100_000,
        ]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "log"
            for line in wrong:
                with self.subTest(line=line[:60]):
                    file.write_bytes(json.dumps(good).encode() + b"\n" + line + b"\n")
                    finished = run("timeline.py", file)
                    self.assertEqual((finished.returncode, finished.stdout), (1, ""), finished)
                    told = r"\Atimeline.py: .* is no log of a client: each [^\n]*\n\Z"
                    self.assertRegex(finished.stderr, told)
            finished = run("timeline.py", "/dev/zero")
            self.assertIn("is no log of a client", finished.stderr)
            file.write_text(json.dumps(sent | {"who": "\x1b[2J\ud800", "text": "\ud800"}) + "\n")
            finished = run("timeline.py", file)
            self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)
            file.write_text(json.dumps(good | {"who": "\x1b[2J\ud800"}) + "\n")
            finished = run("timeline.py", file)
            self.assertEqual((finished.returncode, finished.stderr), (0, ""), finished)
            self.assertIn(r"\x1b[2J\ud800", finished.stdout)


if __name__ == "__main__":
    unittest.main()
