#!/usr/bin/env python3
"""The descriptor eater calls many times at once, and keeps every line.

Each caller that a server accepts costs a descriptor, and it may have only so many. A right server
serves some and lets the others wait, or turns them away; it does not die, and it does not call
accept() in vain without a pause. When the lines are free again, it serves as before.
"""

import argparse
import resource
import time
from contextlib import ExitStack

from _habit import NotReached, Wrong, caller_for, live, next_caller


def descriptor_eater(options: argparse.Namespace) -> str:
    allow_descriptors(options.count)
    callers = []
    with ExitStack() as lines:
        for _ in range(options.count):
            try:
                callers.append(lines.enter_context(caller_for(options)))
            except NotReached:
                if not callers:
                    raise
                break  # the queue is full; we have what we wanted
        time.sleep(options.seconds)
        greeted = sum(caller.readable(0) for caller in callers)
    after = next_caller(options)
    return f"I held {len(callers)} lines, {greeted} heard from the server; {after}"


def allow_descriptors(count: int) -> None:
    """We need descriptors, too: as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 50
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise Wrong(
            f"{count} lines need {wanted} descriptors and we may have {hard}: lower --count"
        )
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    live(descriptor_eater, __doc__, count=200, seconds=1.0)
