"""What `lab bench` makes of bad servers, and what the pages claim about good ones, under real load.

Not among the everyday tests: it builds with optimisation, and wants the machine. `./lab test bench`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shutil.which("python3", path=os.defpath) or sys.executable
PATIENCE = 600  # seconds; a first run builds

# An echo server with a fault that shows after a hundred messages.
FAULTY = """
import os, signal, socketserver, sys, time
fault, port = sys.argv[1], int(sys.argv[2])
count = 0
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        global count
        while text := self.request.recv(65536):
            count += 1
            if count > 100 and fault == "wrong":
                text = text[:-1] + bytes([text[-1] ^ 1])
            if count > 100 and fault == "twice":
                text += text
            if count > 100 and fault == "stuck":
                time.sleep(60)  # longer than anybody waits for us
            if count > 100 and fault == "dead":
                print("I have had enough", file=sys.stderr, flush=True)
                os._exit(3)
            if count > 100 and fault == "rude":
                return
            self.request.sendall(text)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
if fault == "forgetful":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
Server(("127.0.0.1", port), Handler).serve_forever()
"""


def spinning(processes: list[str]) -> int:
    """How many threads keep a core awake: those that make way for all others."""
    count = 0
    for pid in processes:
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended while we looked
            for task in os.listdir(f"/proc/{pid}/task"):
                count += os.sched_getscheduler(int(task)) == os.SCHED_IDLE
    return count


class LoadTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="a b")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def command(self, *words: str) -> list[str]:
        return [PYTHON, str(ROOT / "lab"), "bench", "--quick", "--output", str(self.folder), *words]

    def bench(self, *words: str) -> dict[str, Any]:
        done = subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=PATIENCE
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        modes = json.loads((self.folder / "bench.json").read_text())["modes"]
        return {mode["name"]: mode["results"] for mode in modes}


class BadServers(LoadTest):
    def test_a_fault_is_named_and_never_a_figure(self) -> None:
        script = self.folder / "faulty.py"
        script.write_text(FAULTY)
        faults = {
            "wrong": "answers wrongly: other bytes than were sent",
            "twice": "answers wrongly",
            "stuck": "is stuck: no answer for 5 s",
            "dead": "died with exit code 3; it said: I have had enough",
            "rude": "closes the line",
        }
        commands = {f"{PYTHON} '{script}' {fault} {{port}}": fault for fault in faults}
        seen = self.bench(*commands, "02", f"{PYTHON} -c pass {{port}}", "--only", "ping_1")[
            "ping_1"
        ]
        for command, fault in commands.items():
            self.assertEqual(list(seen[command]), ["lost"], fault)
            self.assertIn(faults[fault], seen[command]["lost"])
        self.assertIn("did not start", seen[f"{PYTHON} -c pass {{port}}"]["lost"])
        self.assertIn("ratio", seen["02"])

    def test_children_whose_cost_nobody_learns_are_no_bargain(self) -> None:
        script = self.folder / "faulty.py"
        script.write_text(FAULTY)
        command = f"{PYTHON} '{script}' forgetful {{port}}"
        seen = self.bench(command, "04", "--only", "ping_1,newcomer")
        self.assertRegex(seen["newcomer"][command]["lost"], "^ignores SIGCHLD")
        self.assertIn("ratio", seen["newcomer"]["04"])
        self.assertIn("ratio", seen["ping_1"][command])  # it has no children there

    def test_an_end_in_the_middle_leaves_nothing(self) -> None:
        with subprocess.Popen(
            self.command("02"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as run:
            assert run.stdout
            while "Measuring" not in run.stdout.readline():
                pass
            children: list[str] = []
            awake, cores = 0, min(2, len(os.sched_getaffinity(0)))
            while awake < cores and run.poll() is None:
                children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
                awake = spinning(children)
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=PATIENCE)
        self.assertEqual((run.returncode, said), (130, ""))
        self.assertEqual((len(children), awake), (4, cores))  # the measure, twice; 02; the load
        self.assertEqual([child for child in children if Path("/proc", child).exists()], [])
        self.assertEqual(list(self.folder.iterdir()), [])


class Claims(LoadTest):
    def test_what_the_page_says_about_the_designs(self) -> None:
        """Inequalities with wide margins: whoever is said to cost more costs at least a half more."""
        modes = ["--only", "ping_100,newcomers,idle", "--idle", "1000"]
        seen = self.bench("02", "03", "04", "05", *modes)
        for result in (result for them in seen.values() for result in them.values()):
            # One thread asks: it cannot take more than all the time there was.
            self.assertLess(result["load_us"] * result["per_second"], 1.05e6)
        costs = {mode: {k: v["cpu_us"] for k, v in them.items()} for mode, them in seen.items()}
        # Each message wakes a thread: a switch, where a loop takes many messages in one go.
        self.assertGreater(costs["ping_100"]["03"], 1.25 * costs["ping_100"]["05"])
        switches = {name: result["switches"] for name, result in seen["ping_100"].items()}
        self.assertGreater(switches["03"], 5 * switches["05"])
        # A process is dearer to make than a thread, and both than an entry in a list.
        self.assertGreater(costs["newcomers"]["04"], 1.5 * costs["newcomers"]["03"])
        self.assertGreater(costs["newcomers"]["03"], 1.5 * costs["newcomers"]["05"])
        # select() is told about the silent ones each time, epoll knows them.
        self.assertGreater(costs["idle"]["02"], 1.5 * costs["idle"]["05"])
        # Memory: a process, a thread's stack, an entry.
        own = {name: result["own_kib"] for name, result in seen["idle"].items()}
        self.assertGreater(own["04"], 1.5 * own["03"])
        self.assertGreater(own["03"], 5 * own["05"])


if __name__ == "__main__":
    unittest.main()
