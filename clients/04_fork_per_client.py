#!/usr/bin/env python3
"""Ask the server of lesson 04: who serves me, and what if they die?

Several callers are on the line at once. Each asks `who`, and is told which process serves them; and
`count`, which is one number for all of them, where it is. Then A says `crash`: whoever serves A
dies. Are the others still served? With --no-crash nobody dies.
"""

from __future__ import annotations

from callers import Company, parser_for, tell_failures, whose
from talk import run


def main() -> int:
    parser = parser_for(__doc__)
    parser.add_argument("--no-crash", action="store_true", help="ask who serves us, and no more")
    options = parser.parse_args()
    fates: dict[str, str] = {}
    with Company(options) as company:
        company.ask(b"who")
        company.ask(b"count")
        company.hear_all()
        if not options.no_crash and "A" in company.on_the_line():
            fates = crash(company)
        company.leave()
    shown, words = whose(company, fates)
    print(f"\n{shown}\n\n{words}", flush=True)
    if fates:
        lost = [name for name, fate in fates.items() if fate == "gone"]
        print(f"A's crash took {', '.join(lost)} along." if lost else "A's crash harmed A alone.")
    return tell_failures(company)


def crash(company: Company) -> dict[str, str]:
    """A says it, and everybody else asks something afterwards: what becomes of each."""
    company.ask(b"crash", ["A"])
    company.hear_all()
    others = company.on_the_line()
    company.ask(b"echo still there?", others)
    company.hear_all()
    fates = {"caller": "after A's crash", "A": "died with its server"}
    for name, talk in list(company.talks.items())[1:]:
        fates[name] = "is served" if "echo still there?" in talk.answers else "gone"
    return fates


if __name__ == "__main__":
    run(main)
