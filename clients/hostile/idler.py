#!/usr/bin/env python3
"""The idler connects, says nothing for a long while, and then asks something after all.

A right server waits, and answers when the question comes: silence is no goodbye. With
--idle-timeout it drops the idler in time. A server that serves one after another lets everybody else
wait for the idler meanwhile.
"""

import argparse

from _habit import Wrong, answers, caller_for, greeted, is_dropped, live, next_caller, show


def idler(options: argparse.Namespace) -> str:
    with caller_for(options) as caller:
        greeted(caller)
        caller.waits("nothing")
        if options.idle_timeout is not None:
            return is_dropped(caller, options, "I said nothing")
        if caller.readable(options.seconds):
            raise Wrong(f"I had said nothing, and the server said `{show(caller.peek())}...`")
        caller.send(b"0\nexit\n")
        answers(caller, b"0000")
        caller.receive_end()
    return f"I said nothing for {options.seconds:g} s, then I was answered; {next_caller(options)}"


if __name__ == "__main__":
    live(idler, __doc__, seconds=2.0, idle_timeout=0)
