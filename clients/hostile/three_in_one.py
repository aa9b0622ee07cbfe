#!/usr/bin/env python3
"""The one in a hurry sends three requests at once, in one piece.

A right server answers all three, in order: one piece received is not one line said.
"""

import argparse

from _habit import answers, caller_for, greeted, live, next_caller


def three_in_one(options: argparse.Namespace) -> str:
    with caller_for(options) as caller:
        greeted(caller)
        caller.send(b"echo one\necho two\necho three\n")
        answers(caller, b"one", b"two", b"three")
        caller.send(b"exit\n")
        caller.receive_end()
    return (
        f"I sent three requests in one piece, three answers came in order; {next_caller(options)}"
    )


if __name__ == "__main__":
    live(three_in_one, __doc__)
