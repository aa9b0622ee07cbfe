#!/usr/bin/env python3
"""Call threads or children, of lesson 06: several callers at once, who each hear by whom they are served.

threads wants three (--callers 3), and ends when it has served them. children serves for ever.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from talk import Caller, Parser, TalkError, run, show, whom_to_call


def main() -> int:
    parser = Parser(__doc__, whom_to_call())
    parser.add_argument("--callers", type=int, default=3, metavar="N", help="(%(default)s)")
    options = parser.parse_args()
    names = [f"caller {number}" for number in range(1, options.callers + 1)]
    with contextlib.ExitStack() as calls:
        # All are on the line before the first one speaks.
        callers = [
            calls.enter_context(
                Caller(options.host, options.port, name=name, timeout=options.timeout)
            )
            for name in names
        ]
        for caller in callers:
            caller.send(f"hello, I am {caller.name}\n".encode())
        answers = [caller.receive_line() for caller in callers]
    for answer in answers:
        print(show(answer))
    servers = {answer.split(b":")[0] for answer in answers}
    if len(servers) < len(answers):
        raise TalkError("one of them served two: they are to be different")
    return 0


if __name__ == "__main__":
    run(main)
