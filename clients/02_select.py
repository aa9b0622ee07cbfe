#!/usr/bin/env python3
"""Call the server of lesson 02 with several callers at once: does anybody wait for anybody?

All of them come before the first one speaks, and stay while the others talk. Each says the lines of
--say, the next one when the one before is answered. A line may be for one of them alone:

    --say 0 "A: say good morning" "B: sleep 500"

everybody says `0`, then A says good morning to the others, and B makes its handler sleep. You see
what is said and heard, and when; then a drawing of who waited for whom, and who heard whom.
"""

from __future__ import annotations

import os
import re

from callers import A_CROWD, Company, names, parser_for, tell_failures
from talk import run
from timeline import show_on_screen

LINES = ["0", "A: say good morning"]


def main() -> int:
    parser = parser_for(__doc__)
    parser.add_argument(
        "--say",
        nargs="+",
        action="extend",
        metavar="LINE",
        help=f"say these lines, one by one (default: {' '.join(map(repr, LINES))})",
    )
    options = parser.parse_args()
    script = []
    for text in "\n".join(options.say or LINES).split("\n"):
        who, line = line_for(text)
        if who and who not in names(options.callers):
            parser.error(f"`{text}` is for {who}, but there are only {options.callers} callers")
        script.append((line, [who] if who else None))
    with Company(options) as company:
        for line, speakers in script:
            company.ask(line, speakers)
        company.hear_all()
        company.leave()
    print(flush=True)
    show_on_screen(company.events())
    for sentence in rumours(company):
        print(sentence)
    return tell_failures(company)


def line_for(text: str) -> tuple[str, bytes]:
    """Who says this line, if it is for one of them alone; and the line."""
    found = re.match(r"([A-Z]|\d+): ", text)
    return (found[1] if found else ""), os.fsencode(text[found.end() :] if found else text)


def rumours(company: Company) -> list[str]:
    """Who heard what others said."""
    sentences = []
    for speaker, talk in company.talks.items():
        others = {name: other for name, other in company.talks.items() if name != speaker}
        for line in talk.answers:
            if line.startswith("say "):
                words = f"{talk.caller.local}: {line[4:]}"
                heard = [name for name, other in others.items() if words in other.told]
                sentences.append(f"What {speaker} said {reached(heard, len(others))}.")
    return sentences


def reached(heard: list[str], others: int) -> str:
    if not heard:
        return "reached nobody"
    if len(heard) == others:
        return "was heard by all the others"
    return f"was heard by {', '.join(heard[:A_CROWD])}{' ...' if len(heard) > A_CROWD else ''}"


if __name__ == "__main__":
    run(main)
