#!/usr/bin/env python3
"""Call greet, of lesson 06: hear the greeting, say lines until `exit`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from talk import Parser, caller_for, run, show, who_calls, whom_to_call


def main() -> int:
    parser = Parser(__doc__, whom_to_call(), who_calls())
    parser.add_argument("line", nargs="*", default=["hello", "how are you"], help="what to say")
    options = parser.parse_args()
    with caller_for(options) as caller:
        print(show(caller.receive_line()))
        for line in options.line:
            caller.send(os.fsencode(line) + b"\n")
            print(show(caller.receive_line()))
        caller.send(b"exit\n")
        caller.receive_end()
    return 0


if __name__ == "__main__":
    run(main)
