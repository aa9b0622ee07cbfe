#!/usr/bin/env python3
"""The drip says one short line, a byte at a time.

A right server keeps what has come until the line is whole, and answers once. It does not take a
piece for a line, nor let the drip keep it from anything else for ever: with --idle-timeout the time
is for the whole request, and a byte now and then does not extend it.
"""

import argparse

from _habit import Wrong, answers, caller_for, greeted, is_dropped, live, next_caller, show


def drip(options: argparse.Namespace) -> str:
    line = b"echo slow but sure\n"
    patience = options.idle_timeout
    duration = options.seconds if patience is None else max(options.seconds, 2 * patience + 1)
    with caller_for(options) as caller:
        greeted(caller)
        for count in range(1, len(line)):
            caller.send(line[count - 1 : count])
            if caller.readable(duration / len(line)):
                if patience is not None:
                    deed = f"I dripped {count} of {len(line)} bytes"
                    return is_dropped(caller, options, deed)
                spoken = show(caller.peek())
                raise Wrong(f"after {count} of {len(line)} bytes the server said `{spoken}...`")
        if patience is not None:
            raise Wrong(f"I dripped for {duration:.1f} s and was not dropped")
        caller.send(line[-1:])
        answers(caller, b"slow but sure")
        caller.send(b"exit\n")
        caller.receive_end()
    after = next_caller(options)
    return f"I said a line in {len(line)} pieces over {duration:.1f} s, one answer came; {after}"


if __name__ == "__main__":
    live(drip, __doc__, seconds=1.0, idle_timeout=0)
