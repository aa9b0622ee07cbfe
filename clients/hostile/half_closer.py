#!/usr/bin/env python3
"""The half-closer asks four things, the last one without a newline, and says no more.

To say no more (shutdown of the sending side) is not to leave: the half-closer listens. A right
server gives every answer that it owes, and then ends the stream. It does not take the end of what
it reads for the end of the caller.
"""

import argparse

from _habit import Wrong, answers, caller_for, checksum_of_pattern, greeted, live, next_caller


def half_closer(options: argparse.Namespace) -> str:
    size = 1_000_000
    with caller_for(options) as caller:
        greeted(caller)
        caller.send(b"echo one\necho two\nbig %d\necho unfinished" % size)
        caller.half_close()
        answers(caller, b"one", b"two")
        checksum = caller.receive_checksum(size)
        if checksum != checksum_of_pattern(size):
            raise Wrong("the bytes that came are not the ones that I asked for")
        answers(caller, b"", b"sum %08x" % checksum, b"unfinished")
        caller.receive_end()
    return f"I said no more, all four answers came, then the end; {next_caller(options)}"


if __name__ == "__main__":
    live(half_closer, __doc__)
