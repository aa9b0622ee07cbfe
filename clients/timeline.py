#!/usr/bin/env python3
"""Draw who waited for whom, and how long, from the logs of the callers.

    python3 clients/timeline.py a.jsonl b.jsonl

A lane for each caller on one scale of time, a table, and the one thing to see. The logs are those
that every client writes with --log.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from conversation import amount_of, is_said_by_others
from talk import Parser, TalkError, run, show, timeout_scale

Event = dict[str, Any]

NOTICEABLE = (
    0.25 * timeout_scale()
)  # seconds; a shorter wait is no wait to somebody who looks at the drawing
NARROWEST = 60
MOST_LANES = 20
LONGEST_NAME = 20  # letters; the lanes need room, too
LONGEST_EVENT = 65536  # bytes; a client's log has no line that is nearly as long
LATEST = 253402300800  # the end of the year 9999

# kind of time: (its sign, the same in ASCII, colour, what the legend says)
LOOKS = {
    "queue": ("░", ".", "33", "waits in the kernel's queue"),
    "asked": ("█", "#", "32", "has asked, waits for the answer"),
    "silent": ("─", "-", "2", "is served, says nothing"),
}
ENDS = {"closed": ("┤", "|", "", "leaves"), "failed": ("×", "x", "31", "is let down")}


@dataclass
class Span:
    kind: str
    start: float
    end: float
    asking: str = ""

    @property
    def length(self) -> float:
        return self.end - self.start

    def overlap(self, other: Span) -> float:
        return max(0.0, min(self.end, other.end) - max(self.start, other.start))


@dataclass
class Visit:
    """What one caller went through, in seconds of the log's clock. A caller who called more than
    once has several."""

    who: str
    called: float
    connected: float | None = None
    greeted: float | None = None
    served_by: str = ""  # the process and the thread, as the greeting names them
    asking: str = ""  # what was said last
    answered: bool = False
    ended: float = 0.0
    failed: bool = False
    spans: list[Span] = field(default_factory=list)

    def wait_in_queue(self) -> Span | None:
        return next((span for span in self.spans if span.kind == "queue"), None)

    def served(self) -> Span | None:
        return None if self.greeted is None else Span("served", self.greeted, self.ended)

    def wait_for_answer(self) -> Span | None:
        """The first thing this caller asked, until the answer came."""
        return next((span for span in self.spans if span.kind == "asked"), None)


def visits(events: Iterable[Event]) -> list[Visit]:
    """The visits in the order in which they began."""
    found: list[Visit] = []
    open_visits: dict[tuple[str, str | None], Visit] = {}
    for event in sorted(in_order(events), key=lambda event: float(event["t"])):
        time, do, line = float(event["t"]), event["do"], (event["who"], event["local"])
        if do == "connecting":
            found.append(Visit(event["who"], time, ended=time))
            open_visits[event["who"], None] = found[-1]
            continue
        # The local address is known from `connected` on; it tells the visits of a caller apart.
        if line not in open_visits and (event["who"], None) in open_visits:
            open_visits[line] = open_visits.pop((event["who"], None))
        if line in open_visits:
            note(open_visits[line], time, do, event)
    for visit in found:
        if visit.spans:
            visit.spans[-1].end = visit.ended
    return found


def in_order(events: Iterable[Event]) -> Iterable[Event]:
    """A caller's log is in the order of what happened, whatever its clock says. Where the clock was
    set back in the middle of a visit, the rest of it is moved by as much."""
    last: dict[str, float] = {}
    moved: dict[str, float] = {}
    for event in events:
        who, time = event["who"], float(event["t"])
        if event["do"] == "connecting" or who not in last:
            last[who], moved[who] = time, 0.0
        moved[who] = max(moved[who], last[who] - time)
        last[who] = time + moved[who]
        yield event | {"t": last[who]} if moved[who] else event


def note(visit: Visit, time: float, do: str, event: Event) -> None:
    visit.ended = time
    if do == "connected":
        visit.connected = time
        enter(visit, "queue", time)
    elif do == "failed":
        visit.failed = True
    elif do == "sent":
        visit.asking = event["text"]
        if visit.greeted is not None:  # otherwise it is still the queue that the caller waits in
            enter(visit, "asked", time)
    elif do == "received" and is_answer(event["text"], visit.asking):
        if visit.greeted is None and event["text"].startswith("Welcome to "):
            visit.greeted = time
            visit.served_by = server_in(event["text"])
        else:
            visit.answered = True
        enter(visit, "silent", time)


def server_in(greeting: str) -> str:
    found = re.search(r"pid (\d+), thread (.+?)(\\n)?$", greeting)
    if not found:
        return ""
    process, thread = found[1], found[2]
    return f"process {process}" + (f", thread {thread}" if thread != process else "")


def is_answer(text: str, asking: str) -> bool:
    """The end of one, and not what somebody else said."""
    told = is_said_by_others(text.removesuffix("\\n").encode(), asking.encode())
    return not told and not is_part(text, asking)


def is_part(text: str, asking: str) -> bool:
    """Some of the bytes of `big`; the answer is not over."""
    return asking.startswith("big ") and not text.endswith("\\n")


def enter(visit: Visit, kind: str, time: float) -> None:
    if not visit.spans or visit.spans[-1].kind != kind:
        if visit.spans:
            visit.spans[-1].end = time
        visit.spans.append(Span(kind, time, time, visit.asking))


# The picture


def draw(
    events: Iterable[Event], width: int = 80, colour: bool = False, ascii: bool = False
) -> str:
    """Lanes, table and the sentence, as text that ends with a newline."""
    seen = visits(events)
    if not seen:
        return "Nobody called.\n"
    pen = Pen(colour, ascii)
    start = min(visit.called for visit in seen)
    length = max(max(visit.ended for visit in seen) - start, 0.001)
    names = list(dict.fromkeys(visit.who for visit in seen))[:MOST_LANES]
    label = max(len(shortened(name)) for name in names) + 2
    columns = max(width, NARROWEST) - label - 2
    picture = [" " * label + scale(length, columns)]
    for name in names:
        mine = [visit for visit in seen if visit.who == name]
        picture.append(
            shortened(name).ljust(label) + pen.lane(mine, start, columns / length, columns)
        )
    picture += ["", *pen.legend(seen, max(width, NARROWEST)), "", *table(seen), "", sentence(seen)]
    return "\n".join(line.rstrip() for line in picture) + "\n"


def shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


class Pen:
    def __init__(self, colour: bool, ascii: bool) -> None:
        self._colour, self._ascii = colour, ascii

    def sign(self, look: tuple[str, str, str, str]) -> str:
        sign = look[1] if self._ascii else look[0]
        return f"\x1b[{look[2]}m{sign}\x1b[0m" if self._colour and look[2] else sign

    def lane(self, mine: list[Visit], start: float, per_second: float, columns: int) -> str:
        cells = [" "] * (columns + 2)
        asked = self.sign(LOOKS["asked"])

        def column(time: float) -> int:
            return min(int((time - start) * per_second), columns)

        for visit in mine:
            # Every question shows, however short; the rest only where it fills half a cell.
            for span in sorted(visit.spans, key=lambda span: span.kind == "asked"):
                if span.kind == "asked" or span.length * per_second > 0.5:
                    for cell in range(column(span.start), column(span.end) + 1):
                        cells[cell] = self.sign(LOOKS[span.kind])
            end = column(visit.ended)
            cells[end + (cells[end] == asked)] = self.sign(
                ENDS["failed" if visit.failed else "closed"]
            )
        return "".join(cells)

    def legend(self, seen: list[Visit], width: int) -> list[str]:
        kinds = {span.kind for visit in seen for span in visit.spans}
        ends = {"failed" if visit.failed else "closed" for visit in seen}
        lines, used = [""], 0
        for name, look in {**LOOKS, **ENDS}.items():
            if name in kinds or name in ends:
                if used + len(look[3]) + 5 > width:
                    lines, used = [*lines, ""], 0
                lines[-1] += f"{self.sign(look)} {look[3]}   "
                used += len(look[3]) + 5
        return lines


def scale(length: float, columns: int) -> str:
    """Round times above the lanes, each over its column."""
    step, line, tick = round_step(length, columns / 12), "", 0
    while (place := int(tick * step / length * columns)) <= columns - 7:
        line = line.ljust(place) + f"{tick * step:.10g}" + (" s" if tick == 0 else "")
        tick += 1
    return line


def round_step(length: float, most: float) -> float:
    """The smallest round number of seconds of which at most so many fit into the length."""
    steps = (base * 10.0**power for power in itertools.count(-4) for base in (1, 2, 5))
    return next(step for step in steps if length / step <= most)


def table(seen: list[Visit]) -> list[str]:
    rows = [("caller", "connected after", "waited in the queue", "first answer took", "total")]
    for visit in seen[:MOST_LANES]:
        queue, answer = visit.wait_in_queue(), visit.wait_for_answer()
        rows.append(
            (
                shortened(visit.who),
                span_text(visit.connected - visit.called) if visit.connected else "never",
                span_text(queue.length) if queue else "-",
                span_text(answer.length) if answer and visit.answered else "-",
                span_text(visit.ended - visit.called),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return lines + ([f"and {more} more"] if (more := len(seen) - MOST_LANES) > 0 else [])


def span_text(seconds: float) -> str:
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


# What to see


def sentence(seen: list[Visit]) -> str:
    """What the drawing shows, in words."""
    waits = [text for visit in seen for text in wait_of(visit, seen)]
    if waits:
        return "\n".join(waits)
    greeted = [visit.greeted - visit.called for visit in seen if visit.greeted is not None]
    if not greeted:
        return "Nobody was greeted."
    who = {1: "the caller was", 2: "both callers were"}.get(len(greeted), "all callers were")
    return f"Nobody waited: {who} greeted within {span_text(max(greeted))}."


def because(wait: Span, visit: Visit, seen: list[Visit]) -> str:
    busy = busy_with(wait, visit, seen)
    return f": the server was busy with {' and then '.join(busy)}" if busy else ""


def wait_of(
    visit: Visit,
    seen: list[Visit],
    reason: Callable[[Span, Visit, list[Visit]], str] = because,
) -> list[str]:
    queue, answer = visit.wait_in_queue(), visit.wait_for_answer()
    if visit.connected is None:
        return [f"{visit.who} did not get through."]
    if queue and is_long(queue):
        in_queue = f"{visit.who} waited {span_text(queue.length)} in the kernel's queue"
        if visit.greeted is None:
            return [f"{in_queue} and was never greeted."]
        return [f"{in_queue}{reason(queue, visit, seen)}."]
    if answer and is_long(answer) and busy_with(answer, visit, seen):
        late, why = span_text(answer.length), reason(answer, visit, seen)
        return [f"{visit.who} was greeted at once, but waited {late} for an answer{why}."]
    return []


def is_long(wait: Span) -> bool:
    return wait.length > NOTICEABLE


def busy_with(wait: Span, visit: Visit, seen: list[Visit]) -> list[str]:
    """Whom the server attended to during this wait. While somebody stands in the queue, those are
    the callers who were being served; otherwise only those who waited for an answer as well, and
    had asked before."""
    busy = []
    for other in seen:
        if other.who == visit.who:
            continue
        if wait.kind == "queue":
            theirs = [span for span in [other.served()] if span]
        else:
            theirs = [s for s in other.spans if s.kind == "asked" and s.start <= wait.start]
        if any(wait.overlap(span) > NOTICEABLE for span in theirs):
            busy.append(other.who)
    return list(dict.fromkeys(busy))


def longest_wait(seen: list[Visit]) -> float:
    """The longest that anybody waited for the greeting or for an answer, in seconds. A nap that they
    asked for themselves is none."""
    return max((wait_in(span) for visit in seen for span in visit.spans), default=0.0)


def wait_in(span: Span) -> float:
    if span.kind == "silent":
        return 0.0
    nap = amount_of(b"sleep", span.asking.removesuffix("\\n").encode()) or 0
    return max(span.length - nap / 1000, 0.0)


# By hand


def read_logs(files: Iterable[str]) -> list[Event]:
    events = []
    for file in files:
        try:
            with open(file, "rb") as log:
                while line := log.readline(LONGEST_EVENT):
                    events.append(event_of(line))
        except OSError as error:
            raise TalkError(f"cannot read {file}: {error.strerror}") from None
        except ValueError as error:
            raise TalkError(f"{file} is no log of a client: {error}") from None
    return events


def event_of(line: bytes) -> Event:
    """One line of a log, if it is what our clients write; otherwise a ValueError says what is wrong."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # there may be a thousand brackets in it
        raise ValueError("each line must be JSON") from None
    if not isinstance(event, dict):
        raise ValueError("each line must be an object, such as {...}")
    expected: dict[str, tuple[type, ...]] = {"t": (int, float), "who": (str,), "do": (str,)}
    expected["local"] = (str, type(None))
    if event.get("do") in ("sent", "received"):
        expected |= {"text": (str,), "bytes": (int,)}
    if event.get("do") == "failed":
        expected["why"] = (str,)
    for key, types in expected.items():
        if type(event.get(key)) not in types or key not in event:
            raise ValueError(f"each line must have a {key} as our clients write it")
    if not 0 <= event["t"] < LATEST:  # nor is NaN
        raise ValueError("each t must be a time in seconds")
    # A log that came from elsewhere may have signs in it that a terminal obeys.
    return {key: readable(it) if isinstance(it, str) else it for key, it in event.items()}


def readable(text: str) -> str:
    return show(text.encode("utf-8", "backslashreplace"))


def show_on_screen(events: Iterable[Event]) -> None:
    width, colour, ascii = screen()
    print(draw(events, width, colour, ascii), end="", flush=True)


def screen() -> tuple[int, bool, bool]:
    """How wide standard output is, whether it has colours, whether it has no signs but ASCII's."""
    colour = sys.stdout is not None and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    encoding = (sys.stdout.encoding if sys.stdout is not None else "") or ""
    return min(shutil.get_terminal_size().columns, 120), colour, "utf" not in encoding.lower()


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("logs", nargs="+", metavar="LOG", help="what a client wrote with --log")
    parser.add_argument(
        "--longest", action="store_true", help="only the longest wait of a caller, in seconds"
    )
    options = parser.parse_args()
    events = read_logs(options.logs)
    if options.longest:
        print(f"{longest_wait(visits(events)):.6f}")
    else:
        show_on_screen(events)
    return 0


if __name__ == "__main__":
    run(main)
