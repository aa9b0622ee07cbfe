#!/usr/bin/env python3
"""The one who does not come to the point: a line of a megabyte, and no newline.

A right server does not store what never ends: after 1,024 bytes it says `Line too long` and hangs
up. It hangs up gently and reads on for a while: if it closed with our bytes unread, its kernel would
send a reset, and we could lose the very answer.
"""

import argparse

from _habit import answers, caller_for, greeted, live, next_caller


def long_line(options: argparse.Namespace) -> str:
    with caller_for(options) as caller:
        greeted(caller)
        caller.send(b"x" * options.bytes)
        answers(caller, b"Line too long")
        caller.receive_end()
    return f"I said {options.bytes:,} bytes and no newline, I was told so; {next_caller(options)}"


if __name__ == "__main__":
    live(long_line, __doc__, bytes=1_048_576)
