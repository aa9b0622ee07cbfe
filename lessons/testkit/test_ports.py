#!/usr/bin/env python3
"""Whatever step takes a port refuses what is none: status 2, one sentence, its usage, and it listens
on nothing. The steps are found by their sources, so a new one cannot be forgotten."""

from __future__ import annotations

import argparse
import subprocess
import sys
import unittest
from pathlib import Path

LESSONS = Path(__file__).resolve().parent.parent
WRONG = ("70000", "65536", "-1", "abc", "80x", " 80", "+80", "0x50", "1e3", "", "9" * 5000)
LONG_ENOUGH = 60  # seconds: only a program that goes on to serve takes so long

# Those that read arguments, and no port.
OTHERS = {
    "05-event-framework/11_deferred": "the moves of its game",
    "06-socketserver/6_unix": "a path",
}

# Those that take a port in another place than the first, or in more than one: {} is the port.
ELSEWHERE = {
    "05-event-framework/13_connect": (["{}"], ["127.0.0.1:{}"], ["80", "{}"]),
    "05-event-framework/15_proxy": (["{}", "80"], ["0", "{}"]),
}


def sources() -> dict[str, str]:
    """Of all steps, by "lesson/step"."""
    files = {
        **{path.with_suffix(""): path for path in LESSONS.glob("[0-9]*/[0-9]*_*.cpp")},
        **{path.parent: path for path in LESSONS.glob("[0-9]*/[0-9]*_*/main.cpp")},
    }
    return {str(step.relative_to(LESSONS)): path.read_text() for step, path in files.items()}


def ways(step: str, source: str) -> tuple[list[str], ...]:
    """How a port can be said to it; nothing, where it reads no arguments."""
    if "options_from(" in source:
        return (["--port", "{}"], ["--port={}"])
    if step in ELSEWHERE:
        return ELSEWHERE[step]
    if "argc" in source.replace("/*argc*/", "") and step not in OTHERS:
        return (["{}"],)
    return ()


class Ports(unittest.TestCase):
    programs: Path

    def test_what_is_no_port_is_refused(self) -> None:
        tried = 0
        for step, source in sorted(sources().items()):
            for way in ways(step, source):
                tried += 1
                for port in WRONG:
                    with self.subTest(step=step, way=way, port=port[:20]):
                        self.refused(step, [word.format(port) for word in way])
        self.assertGreater(tried, 30, "most steps have not been found")

    def refused(self, step: str, arguments: list[str]) -> None:
        try:
            end = subprocess.run(
                [self.programs / step, *arguments],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=LONG_ENOUGH,
            )
        except subprocess.TimeoutExpired as still_running:
            self.fail(f"it has not ended, and has said {still_running.stdout!r}")
        said = end.stderr.splitlines()
        self.assertEqual(end.returncode, 2, end.stderr)
        self.assertEqual(end.stdout, "", "it listens")
        self.assertRegex(said[0], r"is a number from [01] to 65535, not \"")
        self.assertTrue(said[1].startswith("usage: "), said[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("programs", type=Path, help="the build folder of the lessons")
    Ports.programs = parser.parse_args().programs.resolve()
    unittest.main(argv=sys.argv[:1])
