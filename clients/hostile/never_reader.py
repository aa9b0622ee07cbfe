#!/usr/bin/env python3
"""The never reader asks for a lot, and takes none of it.

A right server keeps little of the answer in its memory: it makes more when the caller takes some. If
it serves one caller at a time, all others wait, until the never reader leaves or --idle-timeout is
over; every other server goes on. Either way the next caller is served.
"""

import argparse
import time

from _habit import Caller, TalkError, caller_for, greeted, live, next_caller


def never_reader(options: argparse.Namespace) -> str:
    with caller_for(options, receive_buffer=65536) as caller:
        greeted(caller)
        caller.send(b"big %d\n" % options.bytes)
        if options.idle_timeout is not None:
            options.timeout += options.idle_timeout
            return f"I took none of {options.bytes:,} bytes; {next_caller(options)}"
        start = time.monotonic()
        others = how_others_fare(options)
        caller.stop_reading(max(options.seconds - (time.monotonic() - start), 0))
        caller.reset()
    after = next_caller(options)
    return f"I took none of {options.bytes:,} bytes; meanwhile {others}; when I was gone, {after}"


def how_others_fare(options: argparse.Namespace) -> str:
    """No verdict: that others wait is the limit of a server that serves one after another."""
    try:
        with Caller(options.host, options.port, timeout=options.seconds) as other:
            greeted(other)
            return "another caller was served"
    except TalkError:
        return "another caller waited"


if __name__ == "__main__":
    live(never_reader, __doc__, bytes=64_000_000, seconds=2.0, idle_timeout=0)
