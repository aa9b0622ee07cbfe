#!/usr/bin/env python3
"""Ask the server of lesson 03: who serves me?

Several callers are on the line at once. Each asks `who`, and is told which process and which thread
serves them; and `count`, which is one number for all of them. What they are told stands in a table,
and what it shows in a sentence. Try it with the servers of other lessons, too.
"""

from __future__ import annotations

from callers import Company, parser_for, tell_failures, whose
from talk import run


def main() -> int:
    options = parser_for(__doc__).parse_args()
    with Company(options) as company:
        company.ask(b"who")
        company.ask(b"count")
        company.hear_all()
        company.leave()
    shown, words = whose(company)
    print(f"\n{shown}\n\n{words}", flush=True)
    return tell_failures(company)


if __name__ == "__main__":
    run(main)
