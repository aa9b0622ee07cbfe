"""A scene as text that is the same whenever the server does the same.

Caller by caller, because who speaks first among several is chance. What changes from run to run
has a letter instead: pid P, thread T, port N.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from talk import LOGGED
from timeline import Event, Visit, busy_with, is_long, is_part, visits

CHANGING = [
    (r"\bpid \d+", "pid P"),
    (r"\bthread \d+", "thread T"),
    (r"\bdescriptor \d+", "descriptor D"),
    (r"(\d+\.\d+\.\d+\.\d+):\d+", r"\1:N"),
    (r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}", "DAY AND TIME"),
]

DEEDS = {
    "half_closed": "says no more (half-close)",
    "reset": "resets the connection",
    "stopped_reading": "reads nothing for a while",
    "reading": "reads on",
}


def transcript(events: Iterable[Event]) -> str:
    events = list(events)
    seen = visits(events)
    scenes = []
    for name in dict.fromkeys(visit.who for visit in seen):
        mine = [event for event in events if event["who"] == name]
        visit = next(visit for visit in seen if visit.who == name)
        scenes.append("\n".join([arrival(visit, seen), *conversation(mine)]) + "\n")
    return "\n".join(scenes)


def arrival(visit: Visit, seen: list[Visit]) -> str:
    queue = visit.wait_in_queue()
    if visit.connected is None or queue is None:
        return f"{visit.who} calls and does not get through."
    if visit.greeted is None:
        return f"{visit.who} calls, waits in the kernel's queue, and is never greeted."
    if not is_long(queue):
        return f"{visit.who} calls and is greeted at once."
    busy = " and then ".join(busy_with(queue, visit, seen))
    reason = f": the server is busy with {busy}" if busy else ""
    return f"{visit.who} calls and waits in the kernel's queue{reason}."


def conversation(events: list[Event]) -> list[str]:
    lines: list[str] = []
    asked, payload = "", 0
    for event in events:
        text = str(event.get("text", ""))
        # The bytes of `big` come in as many pieces as the caller likes; their number is the news.
        if event["do"] == "received" and is_part(text, asked):
            payload += int(event["bytes"])
            continue
        if payload:
            newline = event["do"] == "received" and text == "\\n"
            lines.append(f"  < {payload:,} bytes" + (" and a newline" if newline else ""))
            payload = 0
            if newline:
                continue
        if event["do"] == "sent":
            asked = text
            lines += [f"  > {line}" for line in lines_in(event)]
        elif event["do"] == "received":
            lines += [f"  < {line}" for line in lines_in(event)]
        elif event["do"] == "end":
            lines.append("  - the server hangs up")
        elif event["do"] == "failed":
            lines.append(f"  - {steady(event['why'])}")
        elif event["do"] in DEEDS:
            lines.append(f"  - {event['who']} {DEEDS[event['do']]}")
    return lines


def lines_in(event: Event) -> list[str]:
    """The lines of one piece, as far as the log has them."""
    text = steady(event["text"])
    if event["bytes"] > LOGGED:
        return [f"{text[:40]}... ({event['bytes']:,} bytes)"]
    return text.removesuffix("\\n").split("\\n")


def steady(text: str) -> str:
    for changing, letter in CHANGING:
        text = re.sub(changing, letter, text)
    return text
