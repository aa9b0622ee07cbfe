"""What `lab compare` says and draws, with servers that are right, wrong, silent and mortal."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as Xml
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs/lab"), str(ROOT / "clients")]

import compare
import compare_page
from doctor import Stop
from scenes import scene_of
from tour import Cost, family
from workshop import child, first_line

PATIENCE = 120  # seconds; nothing here needs more than a few

# It serves one caller as far as the question that the scene's A asks, and then does what we say.
MORTAL = """
import os, signal, socket, sys, time
while time.process_time() < 0.3:
    pass
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
caller, _ = listener.accept()
caller.sendall(b"Welcome to 10086, mortal, pid %d, thread 7\\n" % os.getpid())
caller.recv(100)
print("no <memory> left", file=sys.stderr, flush=True)
"""
DIES = """
os.fork() or (caller.close(), listener.close(), time.sleep(100))  # a child that would be left
os.kill(os.getpid(), signal.SIGSEGV)
"""
LIES = "caller.sendall(b'nonsense\\n'); caller.recv(100); caller.close()"


class CompareTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a b")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.page = self.folder / "page.html"

    def start(self, *words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(ROOT / "lab"), "compare", "--page", str(self.page), *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def compare(self, *words: str) -> tuple[int, str, str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertNotIn("Traceback", out + err)
        return process.returncode, out, err

    def mortal(self, end: str) -> str:
        program = self.folder / "mortal.py"
        program.write_text(MORTAL + end)
        return f"{sys.executable} '{program}' {{port}}"

    def assert_nobody_is_left(self) -> None:
        """Whoever was killed has a moment to go; those who were forgotten sleep far longer."""
        end = time.monotonic() + 20
        while still_run(self.folder) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(still_run(self.folder), [])


def still_run(folder: Path) -> list[str]:
    """Processes whose command line names our folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended while we looked
            found.append(os.fsdecode(path.read_bytes()))
    return [line for line in found if str(folder) in line]


class Pages(CompareTest):
    def test_two_of_ours(self) -> None:
        code, out, err = self.compare("01/twin", "03/twin", "--clients", "3")
        self.assertEqual((code, err), (0, ""))
        first, second = out.split("03/twin thread per client in Python\n")[:2]
        queue = r"[BC] waited [\d.]+ s in the kernel's queue: the only thread .*; [BC] waited as"
        self.assertRegex(first, queue)
        for lanes in (first, second):
            self.assertEqual(re.findall(r"^[A-Z](?=  )", lanes, re.MULTILINE), ["A", "B", "C"])
        self.assertEqual(len(set(re.findall(r"\d+, caller [123]$", second, re.MULTILINE))), 3)
        self.page_agrees(
            out, "01/twin blocking socket in Python", "03/twin thread per client in Python"
        )

    def page_agrees(self, out: str, *titles: str) -> None:
        """The page is well-formed, asks nobody for anything, and says what the terminal says."""
        text = self.page.read_text()
        tree = Xml.fromstring(text)
        self.assertEqual(set(re.findall(r"(?:href|src)='(.)", text)), {"#", "d"})
        self.assertNotRegex(text, r"https?:|//[a-z]|@import|<script|src=")
        self.assertRegex(text, r"<link rel='icon' href='data:,'/>")
        rows = {row[0].text: [cell.text for cell in row[1:]] for row in tree.iter("tr")}
        for title in titles:
            printed = next(line for line in reversed(out.splitlines()) if line.startswith(title))
            self.assertEqual(" ".join(map(str, rows[title])).split(), printed[len(title) :].split())
        sentences = {p.text for p in tree.iter("p")}
        for line in out.splitlines():
            if line.endswith("."):
                self.assertIn(line.removeprefix("one_sleeps: "), sentences)
        self.assertEqual(len(list(tree.iter("section"))), len(titles))

    def test_a_server_that_dies_is_named_with_its_last_words(self) -> None:
        code, out, _ = self.compare(self.mortal(DIES), "01/twin", "--scene", "silent_first")
        self.assertEqual(code, 1)
        self.assertIn("WRONG: the server was killed by SIGSEGV during the scene\n", out)
        self.assertIn("  no <memory> left\n", out)
        self.assertRegex(out, r"\n\S*python.* failed ")  # in the table
        self.assertRegex(out, r"\n01/twin [^\n]*\nA ")  # the other had its turn
        said = "".join(Xml.fromstring(self.page.read_text()).itertext())
        self.assertIn("no <memory> left", said)
        self.assert_nobody_is_left()

    def test_a_wrong_answer_is_told(self) -> None:
        code, out, _ = self.compare(self.mortal(LIES))
        self.assertEqual(code, 1)
        work = re.search(r" failed .* ([\d.]+) ms +\d+\n", out)
        assert work, out
        # It has worked 300 ms before it listened, and next to nothing since.
        self.assertLess(float(work[1]), 300)
        self.assertIn("WRONG: A asked `sleep 1000` and heard `nonsense`, not `ok`\n", out)

    def test_a_program_that_never_listens(self) -> None:
        program = f"{sys.executable} -c 'exit(\"out of <luck>\")' {{port}}"
        code, out, err = self.compare(program)
        self.assertEqual((code, err), (1, ""))
        self.assertIn("WRONG: the server ended with exit code 1 before the scene\n", out)
        self.assertIn("  out of <luck>\n", out)
        Xml.fromstring(self.page.read_text())

    def test_a_server_that_runs_has_no_figures_of_its_own(self) -> None:
        twin = [sys.executable, str(next(ROOT.glob("lessons/02-*/twin.py")))]
        with ExitStack() as stack:
            null = stack.enter_context(open(os.devnull, "w"))
            server = stack.enter_context(child(twin, stdout=subprocess.PIPE, stderr=null))
            line = ":".join(first_line(server))
            code, out, err = self.compare(line, "--scene", "silent_first")
            self.assertIsNone(server.poll())  # it is not ours to end
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, rf"\n{line} +\S+ \S*s +[AB] \S+ \S*s( +-){{5}}\n")
        code, out, _ = self.compare(line)
        self.assertEqual(code, 1)
        self.assertIn(f"WRONG: nobody listens on {line}", out)

    def test_an_interrupted_run_leaves_nothing(self) -> None:
        self.page.write_text("as it was")
        process = self.start(
            self.mortal("open('asked', 'w'); time.sleep(100)  # until it is ended")
        )
        end = time.monotonic() + PATIENCE
        while not (self.folder / "asked").exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)  # looks again and again until the deadline decides
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, err), (130, ""))
        self.assert_nobody_is_left()
        self.assertEqual(self.page.read_text(), "as it was")
        left = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(left, ["asked", "mortal.py", "page.html"])


class Words(CompareTest):
    def test_wrong_words(self) -> None:
        for words, near in {
            ("01/twim",): "twin",
            ("blokking",): "blocking",
            ("./mine",): "./mine --port {port}",
            ("no-such-program {port}",): "no-such-program",
            ("'{port}",): "quotation",
            ("127.0.0.1:0",): "1 to 65535",
            ("01", "--scene", "two_sleep"): "one_sleeps",
            ("01", "--clients", "1"): "2 callers",
            ("01", "--clients", "27"): "26",
            ("01", "--page", "/no/such/folder/page.html"): "--page",
        }.items():
            code, out, err = self.compare(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn(near, err)

    def test_names_of_ours(self) -> None:
        self.assertEqual(compare.pair("03").title, "03 thread per client")
        self.assertEqual(compare.pair("03/2").title, "03/2 a thread for each caller")
        self.assertEqual(compare.pair("[::1]:4000").address, ("::1", "4000"))
        self.assertEqual(compare.pair("sh -c 'a b' {port}").command, ("sh", "-c", "a b", "{port}"))

    def test_more_callers_do_as_the_last_one_does(self) -> None:
        steps = [step.string for step in scene_of("one_sleeps").with_callers(3).steps]
        self.assertEqual(steps[:4], ["A calls", "B calls", "C calls", "wait 0.3"])
        self.assertEqual(steps[-4:], ["B says 0", "C says 0", "B says exit", "C says exit"])


def visit(who: str, *deeds: tuple[float, str], by: str = "pid 7, thread 7") -> list[dict[str, Any]]:
    """What one caller logs: `?` asks, `!` is an answer, all else is a deed."""
    events = []
    for moment, deed in deeds:
        text = f"Welcome to 10086, x, {by}\\n" if deed == "greeted" else f"{deed[1:]}\\n"
        do = {"?": "sent", "!": "received"}.get(deed[0], "received" if deed == "greeted" else deed)
        local = None if deed == "connecting" else who
        events.append({"t": moment, "who": who, "local": local, "do": do, "text": text, "bytes": 9})
    return events


CALLS: list[tuple[float, str]] = [(0, "connecting"), (0, "connected")]


class Sentences(unittest.TestCase):
    """Each from made-up events: what would be hard-coded would fail with others."""

    def sight(self, *callers: list[dict[str, Any]], threads: int = 2) -> str:
        events = [event for caller in callers for event in caller]
        take = compare.Take(compare.Pair("x"), events, cost=Cost(1, threads, 0))
        return compare.sight(take)

    def test_the_only_thread_reads(self) -> None:
        silent = visit("A", *CALLS, (0, "greeted"), (2, "closed"))
        late = visit("B", *CALLS, (2, "greeted"), (2, "closed"))
        self.assertEqual(
            self.sight(silent, late, threads=1),
            "B waited 2.0 s in the kernel's queue: the only thread was waiting for a word from A.",
        )
        self.assertIn(": the thread that served them was", self.sight(silent, late))

    def test_the_server_sleeps_for_another(self) -> None:
        sleeper = visit("A", *CALLS, (0, "greeted"), (0.1, "?sleep 900"), (1, "!ok"), (1, "closed"))
        late = visit("B", *CALLS, (0, "greeted"), (0.2, "?0"), (1, "!0000"), (1, "closed"))
        self.assertEqual(
            self.sight(sleeper, late, threads=1),
            "B was greeted at once, but waited 800 ms for an answer: the only thread slept for A.",
        )

    def test_nobody_waits(self) -> None:
        sleeper = visit("A", *CALLS, (0, "greeted"), (0.1, "?sleep 900"), (1, "!ok"), (1, "closed"))
        for by, whose in {
            "pid 7, thread 7": "one thread served both",
            "pid 7, thread 8": "each caller had a thread of their own",
            "pid 8, thread 8": "each caller had a process of their own",
        }.items():
            quick = visit("B", *CALLS, (0, "greeted"), (0.5, "?0"), (0.6, "!0000"), by=by)
            meanwhile = "and while A's handler slept, B was answered within 100 ms"
            self.assertEqual(self.sight(sleeper, quick), f"Nobody waited: {whose}, {meanwhile}.")

    def test_all_hands_are_busy(self) -> None:
        first, second = (
            visit(who, *CALLS, (0, "greeted"), (2, "closed"), by=f"pid {who}, thread {who}")
            for who in "12"
        )
        late = visit("C", *CALLS, (2, "greeted"), (3, "closed"), by="pid 1, thread 1")
        self.assertEqual(
            self.sight(first, second, late),
            "C waited 2.0 s in the kernel's queue: all 2 processes were busy with 1 and 2.",
        )

    def test_nobody_is_greeted_or_somebody_is_let_down(self) -> None:
        self.assertEqual(self.sight(visit("A", *CALLS, (1, "failed"))), "Nobody was greeted.")
        slow = visit("A", *CALLS, (0, "greeted"), (1, "?big 9"), (3, "!sum 1"), (3, "closed"))
        self.assertIn("A's answer took 2.0 s by itself", self.sight(slow))

    def test_wrong_answers(self) -> None:
        good = ["?echo  a b", "! a b", "?0", "!0000", "?sleep 5", "!ok", "?time", "!never"]
        asked = visit("A", *CALLS, (0, "greeted"), *((1 + i, deed) for i, deed in enumerate(good)))
        self.assertEqual(list(compare.wrong_answers(asked)), [])
        asked[-3]["text"] = "OK\\n"
        self.assertEqual(
            list(compare.wrong_answers(asked)), ["A asked `sleep 5` and heard `OK`, not `ok`"]
        )


class Counting(unittest.TestCase):
    def test_work_of_threads_and_children_that_ended_counts(self) -> None:
        # Works a tenth of a second in a thread and a child, which are gone at the end.
        work = "import os, time\ndef work():\n  while time.thread_time() < 0.1: pass\n"
        program = f"{work}child = os.fork()\nif child == 0: work(); os._exit(0)\n"
        program += "os.waitpid(child, 0)\nimport threading\nt = threading.Thread(target=work)\n"
        program += "t.start(); t.join(); print('done', flush=True); time.sleep(100)  # until ended"
        before = compare.spent_by_children()
        with child([sys.executable, "-c", program], stdout=subprocess.PIPE) as server:
            assert server.stdout
            server.stdout.readline()
            self.assertEqual([path.name for path in family(server.pid)], [str(server.pid)])
        spent = compare.spent_by_children().since(before)
        self.assertGreater(spent.seconds, 0.19)
        self.assertGreater(spent.switches, 1)

    def test_a_server_that_hides_its_end_is_no_fault_of_the_next(self) -> None:
        take = compare.Take(compare.Pair("x"))
        with compare.told(take):
            raise Stop("it stalls")
        self.assertEqual(take.faults, ["it stalls"])
        with self.assertRaises(Stop), compare.told(take):
            raise Stop("stopped by SIGTERM", 143)
        self.assertIn("it stalls", compare_page.section(take, 1.0))


if __name__ == "__main__":
    unittest.main()
