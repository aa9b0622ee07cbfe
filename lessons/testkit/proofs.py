"""Prove the proofs: a test of step N must fail when it is given step N-1.

A proof is a doctest case whose name begins with `step N: `, N being 2 or more. Each is run alone
with --one-step-back, which puts the step before in its place. It has to fail, and to fail because an
expectation about the server was broken: a mistake of the test itself, or a test that does not
end, proves nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

PROOF = re.compile(r"step (\d+): ")
CODE = re.compile(r"\(([a-z_]+(?::[A-Za-z0-9-]+)?)\)$")  # ends the first line of a told story
NO_VERDICT = {"harness", "skipped", "check_timeout"}


def run(command: list[str], timeout: float) -> ElementTree.Element:
    """Run a doctest program with its XML reporter. The stories in it may hold any byte."""
    done = subprocess.run(
        [*command, "--reporters=xml"], capture_output=True, timeout=timeout, check=False
    )
    text = done.stdout.decode(errors="replace")
    start = text.find("<?xml")
    if start < 0:
        problem = done.stderr.decode(errors="replace").strip() or text.strip()
        raise ValueError(f"{command[0]} gave no XML: {problem}")
    return ElementTree.fromstring(re.sub(r"[^\t\n -\ud7ff\ue000-\U0010ffff]", "?", text[start:]))


def proofs_of(command: list[str], timeout: float) -> list[str]:
    listed = run([*command, "--list-test-cases"], timeout)
    names = [case.get("name", "") for case in listed.iter("TestCase")]
    return [name for name in names if (match := PROOF.match(name)) and int(match[1]) >= 2]


def only(name: str) -> str:
    """The doctest option for this one case: in its filters a comma separates, a backslash escapes."""
    return "--test-case=" + name.replace("\\", "\\\\").replace(",", "\\,")


def judge(command: list[str], name: str, timeout: float) -> tuple[bool, str]:
    """Whether the proof holds, and what was seen."""
    try:
        result = run([*command, "--one-step-back", only(name)], timeout)
    except subprocess.TimeoutExpired:
        return False, f"does not end within {timeout:g} s"
    except (ValueError, ElementTree.ParseError) as error:
        return False, str(error)
    ran = (case for case in result.iter("TestCase") if case.get("skipped") != "true")
    case = next(ran, None)
    if case is None:
        return False, "doctest did not find it again"
    thrown = case.find("Exception")
    if thrown is not None:
        first_line = (thrown.text or "").strip().partition("\n")[0]
        match = CODE.search(first_line)
        if thrown.get("crash") == "true" or match is None or match[1] in NO_VERDICT:
            return False, f"fails by a fault of the test: {first_line}"
        return True, first_line
    broken = case.find("Expression[@success='false']")
    if broken is not None:
        original = (broken.findtext("Original") or "").strip()
        return True, f"{broken.get('type')}( {original} ) does not hold"
    message = case.find("Message[@type!='WARNING']")
    if message is not None:
        return True, (message.findtext("Text") or "").strip()
    return False, "passes on the step before, so it proves nothing"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("test", help="the test program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    options = parser.parse_args()
    command = [options.test, *options.arguments]
    # A proof fails by a deadline of its own, which the testkit scales with the machine.
    timeout = 600 * float(os.environ.get("NETSTEPS_PATIENCE") or 1)

    try:
        proofs = proofs_of(command, timeout)
    except (OSError, ValueError, ElementTree.ParseError, subprocess.TimeoutExpired) as error:
        print(f"proofs: cannot list the cases of {options.test}: {error}", file=sys.stderr)
        return 1
    if not proofs:
        print(f"proofs: {options.test} has no case named `step N: ...`", file=sys.stderr)
        return 1
    failures = 0
    for name in proofs:
        holds, seen = judge(command, name, timeout)
        failures += not holds
        print(f"{'ok  ' if holds else 'FAIL'}  {name}\n      {seen}", flush=True)
    if failures:
        print(f"{failures} of {len(proofs)} proofs do not hold.")
        return 1
    print(f"All {len(proofs)} proofs fail on the step before, as they must.")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
