#!/usr/bin/env python3
"""The resetter asks for a lot, and throws the line away while the answer comes; again and again.

Every second time an end of stream goes ahead of the reset: then the server's next send() fails
with EPIPE, and the signal SIGPIPE ends a program that does not expect it. A right server loses this
caller and nothing else.
"""

import argparse

from _habit import calls, greeted, live, next_caller


def resetter(options: argparse.Namespace) -> str:
    for number, caller in enumerate(calls(options, receive_buffer=65536)):
        greeted(caller)
        caller.send(b"big %d\n" % options.bytes)
        caller.peek()
        if number % 2:
            caller.vanish()
        else:
            caller.reset()
    return f"I reset {options.count} connections in the middle of an answer; {next_caller(options)}"


if __name__ == "__main__":
    live(resetter, __doc__, count=10, bytes=20_000_000)
