#!/usr/bin/env python3
"""The vanisher is gone before anybody has picked up: connects, and resets at once.

The kernel has connected us, so we stand in the queue; then accept() gives the server somebody who
is not there any more, or an error such as ECONNABORTED. A right server goes on to the next.
"""

import argparse

from _habit import calls, live, next_caller


def vanisher(options: argparse.Namespace) -> str:
    for caller in calls(options):
        caller.reset()
    return f"I called {options.count} times and was gone at once; {next_caller(options)}"


if __name__ == "__main__":
    live(vanisher, __doc__, count=20)
