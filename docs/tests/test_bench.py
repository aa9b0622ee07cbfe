"""What the reports of `lab bench` say: that they all say the same, and no more than was seen."""

import json
import re
import socket
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Optional
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs/lab"))

import bench
import bench_report
import workshop
from doctor import Stop

NAMES = ["epoll_echo", "epoll_echo, again", "02", "03 --own", "<b>|4"]
FACTS = "system kernel processor cores load_core server_core compiler build python".split()


def lines(speed: float, wobble: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    """What the load generator prints about a server: its own figures, and those of nine rounds."""
    told: list[dict[str, Any]] = [
        {"own": 1.5, "kernel": 8.25, "resident": 600, "processes": 1, "threads": 3, **more},
        {"switches": 900, "messages": 9000, "grown": 100},
    ]
    for number in range(9):
        messages = round(1000 * speed * (1 + wobble * (number % 3 - 1)))
        counts = {"messages": messages, "bytes": 64 * messages, "cpu": 0.01, "load": 0.02}
        waits = list(range(100, 1100))
        told.append({"round": number, "wall": 0.1, "waits": waits, **counts})
    return told


def played(
    mode: bench.Mode,
    counted: dict[str, list[dict[str, Any]]],
    lost: dict[str, str],
    disturbed: tuple[float, float] = (0, 0),
) -> bench.Played:
    seen = bench.Played(mode, [*lost, *counted] if NAMES[0] in lost else [*counted, *lost])
    seen.lines.update(counted)
    seen.lost.update(lost)
    seen.disturbed.append(disturbed)
    return seen


def report(wobble: float = 0.01, twin: float = 1.0) -> bench_report.Report:
    """A run in all modes: 02 is as good as the measure, 03 half as good, and 4 has no figures."""
    modes = []
    for mode in bench.MODES:
        counted = {
            NAMES[0]: lines(1.0),
            NAMES[1]: lines(twin, wobble),
            NAMES[2]: lines(1.005, wobble),
            NAMES[3]: lines(0.5, wobble),
        }
        modes.append(bench.judged(played(mode, counted, {NAMES[4]: "died of SIGSEGV"})))
    return {
        "schema": bench_report.SCHEMA,
        "when": "2026-01-01 12:00",
        "seconds": 10.0,
        "quick": False,
        "rounds": 9,
        "machine": {**dict.fromkeys(FACTS, "this"), "cores": 2, "load_core": 0, "server_core": 1},
        "others": 0.1,
        "stolen": 0.0,
        "left_out": ["ping_1000 is left out"],
        "reference": NAMES[0],
        "servers": [{"name": name, "title": "", "command": ["it"]} for name in NAMES],
        "modes": modes,
    }


class Page(HTMLParser):
    """The tables of a page, and whatever it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.fetched: list[str] = []
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        self.in_cell = tag in ("td", "th")
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith("data:"):
                self.fetched.append(str(value))

    def handle_endtag(self, tag: str) -> None:
        self.in_cell = False

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            self.tables[-1][-1][-1] += data


def tables_of(page: str) -> list[list[list[str]]]:
    """Those of a page in Markdown."""
    found: list[list[list[str]]] = [[]]
    for line in page.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            cells = [cell.replace("\\|", "|").replace("&nbsp;", "") for cell in cells]
            if not cells[0].startswith("---"):
                found[-1].append(cells)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


class Reports(unittest.TestCase):
    def test_all_of_them_say_the_same(self) -> None:
        seen = json.loads(bench_report.as_json(report()))
        markdown, page = bench_report.markdown(seen), Page()
        page.feed(bench_report.page(seen))
        self.assertEqual(tables_of(markdown), page.tables)
        terminal = bench_report.text(seen)
        for row in (row for table in page.tables for row in table):
            for cell in row:
                self.assertIn(cell, terminal)
        works = page.tables[0]
        for mode in seen["modes"]:
            column = works[0].index(mode["name"])
            ratio = mode["results"]["03 --own"]["ratio"][1]
            self.assertEqual(works[4][column], f"{ratio:.2f} ±3%")

    def test_the_page_fetches_nothing_and_trusts_no_name(self) -> None:
        page, words = Page(), bench_report.page(report())
        page.feed(words)
        self.assertEqual(page.fetched, [])
        self.assertNotRegex(words, r"url\(|@import|<b>")
        self.assertIn("<svg", words)

    def test_the_json_is_as_documented(self) -> None:
        """Each key is in the text that describes the schema, and nothing else is there."""
        described = set(re.findall(r"\w+", str(bench_report.__doc__)))
        seen = json.loads(bench_report.as_json(report()))
        results = [result for mode in seen["modes"] for result in mode["results"].values()]
        keys = {*seen, *seen["machine"], *seen["servers"][0], *seen["modes"][0]}
        keys.update(key for result in results for key in result)
        keys.update(key for result in results for key in result.get("waits", {}))
        self.assertEqual(keys - described, set())
        for result in results:
            if "lost" in result:
                self.assertEqual(list(result), ["lost"])
            else:
                low, middle, high = result["ratio"]
                self.assertTrue(low <= middle <= high)
                self.assertGreater(result["cpu_us"], 0)
        waits = seen["modes"][-1]["results"]["02"]["waits"]
        self.assertEqual(sum(count for _, count in waits["histogram"]), waits["count"])
        self.assertEqual((waits["p50"], waits["p99"], waits["max"]), (600, 1090, 1099))

    def test_a_report_that_cannot_be_finished_is_not_begun(self) -> None:
        broken = report()
        del broken["modes"][0]["results"]
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(KeyError):
                bench_report.write(broken, Path(folder))
            self.assertEqual(list(Path(folder).iterdir()), [])


class Verdicts(unittest.TestCase):
    def said(self, seen: bench_report.Report) -> str:
        return bench_report.conclusions(seen)[0]

    def test_a_difference_larger_than_the_noise_is_told(self) -> None:
        self.assertRegex(self.said(report()), r": 02 ≈ epoll_echo > 03 --own$")

    def test_one_that_the_noise_hides_is_not(self) -> None:
        """The measure differs from itself by a fifth: so a tenth says nothing, half does."""
        self.assertRegex(self.said(report(twin=0.8)), r"02 ≈ epoll_echo > 03 --own$")
        cells = bench_report.work(report(twin=0.8)).rows
        self.assertEqual(
            [row[1] for row in cells[1:]],
            ["1.00 ±20% ~", "0.80 ±20% ~", "1.00 ±20% ~", "0.50 ±20%", "–", "±20%"],
        )

    def test_what_a_server_does_once_so_and_once_so_is_not_told_either(self) -> None:
        """Its rounds are between 0.4 and 1.2, with 0.8 in the middle, in a mode without noise."""
        names = NAMES[:3]
        counted = {names[0]: lines(1), names[1]: lines(1), names[2]: lines(0.8, 0.5)}
        seen = bench.judged(played(bench.MODES[0], counted, {}))
        self.assertEqual(seen["noise"], 0.03)
        ratio = seen["results"]["02"]["ratio"]
        self.assertAlmostEqual(bench_report.spread(seen, ratio), 1.0)
        self.assertFalse(bench_report.differs(seen, "02"))

    def test_sittings_count_together(self) -> None:
        """The middle of what is said once a sitting; and one bad sitting leaves no figures."""
        mode = next(mode for mode in bench.MODES if "idle" in mode.scene)
        told = [line for size in (7, 1, 2) for line in lines(1, own=size)]
        counted = {NAMES[0]: told, NAMES[1]: told, NAMES[2]: told}
        results = bench.judged(played(mode, counted, {NAMES[2]: "died"}))["results"]
        self.assertEqual(results[NAMES[0]]["own_kib"], 2)
        self.assertEqual(results[NAMES[0]]["switches"], 0.1)
        self.assertEqual(results[NAMES[2]], {"lost": "died"})

    def test_where_nothing_can_be_told_nothing_is(self) -> None:
        self.assertIn("no conclusion", self.said(report(twin=0.6)))
        self.assertNotIn(">", self.said(report(twin=0.6)))

    def test_where_others_took_the_machine_the_noise_is_theirs(self) -> None:
        names = NAMES[:3]
        counted = {name: lines(1 + (name == names[2])) for name in names}
        for others, stolen, noise in ((0, 0, 0.03), (1, 0, 0.11), (0.5, 0.3, 0.37)):
            with self.subTest(others=others, stolen=stolen):
                seen = bench.judged(played(bench.MODES[0], counted, {}, (others, stolen)))
                self.assertEqual(seen["noise"], noise)
        self.assertIn("no conclusion", bench_report.conclusion(seen, names))

    def test_without_the_measure_nothing_is_compared(self) -> None:
        lost = dict.fromkeys(NAMES[:2], "died")
        alone = bench.judged(played(bench.MODES[0], {"02": lines(1)}, lost))
        self.assertIsNone(alone["noise"])
        self.assertIn("nothing to compare with", bench_report.conclusion(alone, ["02"]))


class Listeners(unittest.TestCase):
    """Whether a program of the reader's own listens, the kernel's tables say."""

    def test_a_kernel_without_ipv6_has_one_table(self) -> None:
        with patch.object(workshop, "TABLES", ["/proc/net/tcp", "/proc/net/no_such_table"]):
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                self.assertEqual(len(list(workshop.listeners(port))), 1)
            self.assertEqual(list(workshop.listeners(port)), [])

    def test_a_program_with_children_is_found_by_its_own_socket(self) -> None:
        # It sleeps until we end it.
        program = "import socket, time; s = socket.create_server(('127.0.0.1', {})); time.sleep(60)"
        port = bench.free_port()
        command = [sys.executable, "-c", program.format(port)]
        with patch.object(workshop, "TABLES", ["/proc/net/no_such_table", "/proc/net/tcp"]):
            with workshop.child(command, stdout=subprocess.PIPE) as server:
                self.assertEqual(bench.wait_for(server, str(port)), str(port))

    def test_no_table_at_all_is_said(self) -> None:
        with patch.object(workshop, "TABLES", ["/proc/net/no_such_table"]):
            with self.assertRaisesRegex(Stop, "/proc"):
                list(workshop.listeners(1))


if __name__ == "__main__":
    unittest.main()
