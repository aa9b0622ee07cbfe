"""The failing moment once more, slowly: the server runs, the callers before it have called, and the
next caller is the learner."""

import json
import re
import subprocess
from typing import Any, Optional

from doctor import Stop, tool
from judging import Outcome
from telling import MARGIN, fold, retold
from workshop import child

CALLER = re.compile(r"\bcaller ([^\s;,:]+)")
STEP = re.compile(r"  t=[\d.]+  \[caller (\S+)\] +(.*)")
SAYS = re.compile(r'sends ("(?:[^"\\]|\\.)*")(?! ?\.\.\.)')


def play(command: list[str], outcome: Outcome) -> None:
    """Runs the check up to the caller who fails, and waits for Enter."""
    caller = CALLER.search(outcome.sentence)
    stop = f"--hold-before={caller[1]}" if caller else "--hold-at-failure"
    command = [*command[:-1], stop, "--seconds=900", command[-1]]
    with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as check:
        assert check.stdin and check.stdout
        try:
            held = json.loads(check.stdout.readline())
        except ValueError:
            raise Stop("the check ended before there was anything to see. ./lab check") from None
        if "held" not in held:
            raise Stop(f"this time it did not come to that: {held['sentence'] or 'it passed'}")
        print("\n".join(scene(held, outcome, caller[1] if caller else None)), flush=True)
        try:
            input("\nEnter ends it. ")
        except (EOFError, RuntimeError):  # nothing more to read, or no standard input at all
            print()
        check.stdin.close()


def scene(held: dict[str, Any], outcome: Outcome, caller: Optional[str]) -> list[str]:
    """Where the run stands, and what to type in another terminal."""
    lines = [f"So far ({outcome.check}):\n", retold(held["story"]), ""]
    if caller:
        lines.append(f"Now caller {caller} would call. In another terminal, be caller {caller}:\n")
        lines += as_caller(outcome.story, caller, held["port"])
    else:
        lines.append("Here it fails:\n")
        lines.append(fold(outcome.sentence))
    looks = {"strace": "strace -f -p {}", "gdb": "gdb -p {}"}
    there = [line.format(held["pid"]) for name, line in looks.items() if tool(name)]
    lines.append(f"\nThe server is process {held['pid']}, on port {held['port']}. Look at it:\n")
    lines += [MARGIN + line for line in [*there, f"ls -l /proc/{held['pid']}/fd"]]
    return lines


def as_caller(story: str, caller: str, port: int) -> list[str]:
    """The commands that do what the caller did, and under them what that was."""
    did = [
        step[2].rstrip()
        for line in story.splitlines()
        if (step := STEP.match(line)) and step[1].rstrip("]") == caller
    ]
    said = [found[1] for one in did if (found := SAYS.match(one)) and '"..."' not in one]
    whole = not any('"..."' in one for one in did if one.startswith("sends"))
    call = f"nc 127.0.0.1 {port}"
    lines = [MARGIN + call]
    if said and whole and sum(map(len, said)) < 200:
        words = "".join(octal(one) for one in said)
        ends = any("half-close" in one for one in did)
        piped = f"printf '{words}' | nc -q 2 127.0.0.1 {port}"
        lines = [MARGIN + (piped if ends else f"(printf '{words}'; sleep 2) | {call}")]
    lines.append(f"\nThis is what caller {caller} does:\n")
    lines += [fold(re.sub(r" {2,}", "  ", one), MARGIN, MARGIN + "  ") for one in did[:12]]
    return lines


def octal(quoted: str) -> str:
    """What stands in the story's quotes, as every shell's printf takes it."""
    text = quoted[1:-1].replace(r"\"", '"').replace("%", "%%").replace("'", r"\047")
    return re.sub(r"\\x([0-9a-f]{2})", lambda byte: f"\\{int(byte[1], 16):03o}", text)
