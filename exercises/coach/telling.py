"""How a verdict reads, in a terminal of any width."""

import re
import shutil
import textwrap
from typing import Any, Iterable

from catalog import Exercise

WRAPPED_AT = 100  # the testkit breaks its sentences there
MOST_STEPS = 14  # of a story, where it is not told in full

MARGIN = "    "
STEP = re.compile(r"  (t=[\d.]+)  (\[[^\]]*\]) +(.*)")
FIRST_LINE = re.compile(r".*\([a-z_]+(:[A-Za-z0-9-]+)?\)$")


def width() -> int:
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))


def clean(text: str) -> str:
    """What a program printed may hold commands to the terminal; here it is text and no more."""
    return "".join(c if c == "\n" or c.isprintable() else "?" for c in text.replace("\t", "    "))


def fold(text: str, first: str = MARGIN, rest: str | None = None) -> str:
    rest = first if rest is None else rest
    return textwrap.fill(
        text, width(), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def names(label: str, every: Iterable[str]) -> str:
    listed = ", ".join(every)
    return fold(listed, f"  {label:<5} ", " " * 8) if listed else ""


# A story, as the testkit tells it: the sentence, the steps, the bytes, why, the server's log.


def retold(story: str, most_steps: int | None = None) -> str:
    """The story without its first line, broken anew for this terminal."""
    lines = clean(story).rstrip("\n").split("\n")
    if FIRST_LINE.fullmatch(lines[0]):
        lines = lines[1:]
    told: list[str] = []
    steps = [line for line in lines if STEP.match(line)]
    left_out = len(steps) - most_steps if most_steps else 0
    seen = 0
    for line in joined(lines):
        step = STEP.match(line)
        if step:
            seen += 1
            if left_out > 0 and 4 < seen <= 4 + left_out:
                if seen == 5:
                    told.append(f"{MARGIN}... {left_out} steps are not shown: ./lab why ...")
                continue
        told.append(retold_line(line, step))
    return "\n".join(told).strip("\n")


def joined(lines: list[str]) -> Iterable[str]:
    """Undoes the testkit's own breaking of lines: a line goes on in the next one where the next
    one's first word had no room in it."""
    paragraph = last_line = ""
    for line in [*lines, ""]:
        is_text = re.match(r"    [^ |]", line)
        if paragraph and is_text and len(last_line) + len(line.split()[0]) + 1 > WRAPPED_AT:
            paragraph += " " + line.strip()
        else:
            if paragraph:
                yield paragraph
            paragraph = line if is_text else ""
            if not is_text:
                yield line
        last_line = line


def retold_line(line: str, step: re.Match[str] | None) -> str:
    if len(line) + 2 <= width() and (step or not line.startswith(MARGIN)):
        return f"  {line}" if line.strip() else ""
    if step:
        start = f"{MARGIN}{step[1]}  {step[2]:<10}  "
        return fold(re.sub(r" {2,}", "  ", step[3]), start, " " * len(start))
    if re.match(r"    [^ |]", line):  # a sentence
        return fold(line.strip(), MARGIN + "  ")
    return line[: width()]


# A report.


def told(exercise: Exercise, report: dict[str, Any]) -> str:
    """The whole answer to `lab check`: what is well, the first failure in full, the others in a
    line, and what to type next."""
    parts = [f"{exercise.id}  {exercise.title}\n"]
    by_status: dict[str, list[dict[str, Any]]] = {}
    for check in report["checks"]:
        by_status.setdefault(check["status"], []).append(check)
    parts.append(names("ok", (check["id"] for check in by_status.get("pass", []))))
    failed = by_status.get("fail", [])
    for number, check in enumerate(one for one in failed if one["outcome"] != "unanswered"):
        parts.append(told_failure(check, in_full=number == 0))
        if number == 0:
            parts.append(told_mistakes(exercise, report))
    for check in failed:
        if check["outcome"] == "unanswered":
            parts.append(fold(f"{check['id']}: {check['sentence']}", "  open  ", " " * 8))
    for check in by_status.get("inconclusive", []):
        parts.append(
            fold(
                f"{check['id']}: the check could not decide, and this is not your fault", "  ????  "
            )
            + f"\n{fold(clean(check['sentence']))}"
        )
    for check in by_status.get("skipped", []):
        parts.append(fold(f"{check['id']} ({check['sentence']})", "  skip  "))
    parts.append(summary(by_status))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(part for part in parts if part))


def told_failure(check: dict[str, Any], in_full: bool) -> str:
    head = fold(f"{check['id']}: {check['fail']}", "  FAIL  ", " " * 8)
    if not in_full:
        return head
    sentence = fold(f"{clean(check['sentence'])}  ({check['outcome']})")
    story = retold(check["story"], MOST_STEPS)
    return "\n\n".join(part for part in (head, sentence, story) if part) + "\n"


def told_mistakes(exercise: Exercise, report: dict[str, Any]) -> str:
    known = {mistake.id: mistake for mistake in exercise.mistakes}
    found = [known[name] for name in report["recognised"] if name in known]
    if not found:
        return ""
    head = (
        "This looks like a known mistake:" if len(found) == 1 else "Known mistakes look like this:"
    )
    lines = [f"{MARGIN}{head} {' · '.join(mistake.id for mistake in found)}"]
    lines += [fold(mistake.ask, MARGIN + "  ") for mistake in found]
    return "\n".join(lines) + "\n"


def summary(by_status: dict[str, list[dict[str, Any]]]) -> str:
    words = {"pass": "ok", "fail": "failed", "skipped": "not run", "inconclusive": "undecided"}
    counts = [
        f"{len(by_status[status])} {word}" for status, word in words.items() if status in by_status
    ]
    return f"\n{', '.join(counts)}."


def following(*commands: str) -> str:
    """What to type next; each on a line of its own where they do not fit on one."""
    line = "Next:  " + "   ·   ".join(commands)
    return line if len(line) <= width() else "Next:\n" + "\n".join(f"  {one}" for one in commands)
