#!/usr/bin/env python3
"""The slow reader asks for a lot, and takes it a little at a time.

The kernels on both sides hold some of it. Then the server's send() takes less than it was given, or
sleeps. A right server goes on with the rest when there is room again: every byte comes, once and in
order.
"""

import argparse
import time
import zlib

from _habit import Wrong, answers, caller_for, checksum_of_pattern, greeted, live, next_caller

PIECES = 10


def slow_reader(options: argparse.Namespace) -> str:
    checksum, left = 1, options.bytes
    with caller_for(options, receive_buffer=65536) as caller:
        greeted(caller)
        caller.send(b"big %d\n" % options.bytes)
        caller.stop_reading(options.seconds / 2)
        for piece in range(PIECES, 0, -1):
            data = caller.receive_exactly(left // piece)
            left -= len(data)
            checksum = zlib.adler32(data, checksum)
            time.sleep(options.seconds / 2 / PIECES)
        if checksum != checksum_of_pattern(options.bytes):
            raise Wrong("the bytes that came are not the ones that I asked for")
        answers(caller, b"", b"sum %08x" % checksum)
        caller.send(b"exit\n")
        caller.receive_end()
    after = next_caller(options)
    return f"I read {options.bytes:,} bytes over {options.seconds:g} s, none is wrong; {after}"


if __name__ == "__main__":
    live(slow_reader, __doc__, bytes=8_000_000, seconds=2.0)
