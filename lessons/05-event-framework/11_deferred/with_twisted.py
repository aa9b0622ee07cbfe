#!/usr/bin/env python3
"""Play chains with Twisted's Deferred and print what happens: the table in chains.txt, which the
test of step 11 holds against ours. It is the only program here that needs Twisted, and nobody has
to run it: on Debian, apt-get install python3-twisted, then /usr/bin/python3 with_twisted.py."""

import gc
import importlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

twisted: Any = importlib.import_module("twisted")
defer: Any = importlib.import_module("twisted.internet.defer")
failure: Any = importlib.import_module("twisted.python.failure")
logger: Any = importlib.import_module("twisted.logger")


class Trouble(Exception):
    pass


def spelled(came: Any) -> str:
    if not isinstance(came, failure.Failure):
        return "nothing" if came is None else str(came)
    return "cancelled" if came.check(defer.CancelledError) else str(came.value)


class Player:
    """Takes the same commands as player.hpp."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.others: dict[str, Any] = {}
        self.links = 0
        self.chain = defer.Deferred()

    def play(self, command: str) -> None:
        verb, *words = command.split()
        if verb in {"callback", "errback", "cancel"}:
            self.fire(verb, words)
            return
        self.links += 1
        number = str(self.links)
        functions = [self.function(number, action) for action in words]
        if verb == "cb":
            self.chain.addCallback(*functions)
        elif verb == "eb":
            self.chain.addErrback(*functions)
        elif verb == "both":
            self.chain.addBoth(*functions)
        else:
            self.chain.addCallbacks(*functions)

    def function(self, number: str, action: str) -> Callable[[Any], Any]:
        def run(came: Any) -> Any:
            side = "eb" if isinstance(came, failure.Failure) else "cb"
            self.events.append(f"{number} {side} {spelled(came)}")
            match action:
                case "ok" | "recover":
                    return f"from {number}"
                case "keep":
                    return came
                case "raise":
                    raise Trouble(f"raised by {number}")
                case "fail":
                    return failure.Failure(Trouble(f"failed by {number}"))
                case "defer":
                    self.others[number] = defer.Deferred()
                    return self.others[number]
                case "done":
                    return defer.succeed(f"from {number}")
                case "broken":
                    return defer.fail(Trouble(f"broken by {number}"))
            return None

        return run

    def fire(self, verb: str, words: list[str]) -> None:
        target = self.others[words[0]] if words else self.chain
        try:
            if verb == "callback":
                target.callback(" ".join(["start", *words]))
            elif verb == "errback":
                target.errback(Trouble(" ".join(["trouble", *words])))
            else:
                target.cancel()
        except defer.AlreadyCalledError:
            self.events.append("refused")

    def end(self) -> str:
        if not self.chain.called:
            return "not fired"
        result = self.chain.result
        if result is None and self.chain.paused or isinstance(result, defer.Deferred):
            return "waits"
        kind = "failure" if isinstance(result, failure.Failure) else "result"
        return f"{kind} {spelled(result)}"


def scripts() -> Iterator[str]:
    """Every chain of one link and of two, fired both ways; then chains that wait."""
    sides = {
        "cb": ["ok", "none", "raise", "fail", "done", "broken"],
        "eb": ["recover", "keep", "raise", "broken"],
        "both": ["keep", "ok", "raise"],
    }
    links = [f"{side} {action}" for side, actions in sides.items() for action in actions]
    links += ["pair raise recover", "pair ok recover", "pair keep raise"]
    for count in (1, 2):
        for chain in itertools.product(links, repeat=count):
            for firing in ("callback", "errback"):
                yield ", ".join([*chain, firing])
    for ends in WAITING:
        for rest in ("cb ok", "eb recover", "pair raise keep", "cb defer, eb recover"):
            yield f"cb defer, {rest}, {ends}"
            yield f"eb defer, {rest}, {ends.replace('callback', 'errback', 1)}"
    yield from ALONE


# What happens to a chain whose first link has returned a Deferred.
WAITING = [
    "callback",
    "callback, callback 1",
    "callback, errback 1",
    "callback, cancel 1",
    "callback, cancel",
    "callback, cancel, callback 1",
    "callback, cancel, callback 1, callback 1",
    "callback, callback 1, cancel",
    "callback, callback",
    "callback, callback 1, errback 1",
]

ALONE = [
    "callback",
    "errback",
    "callback, errback",
    "errback, errback",
    "callback, cb ok, cb ok",
    "errback, cb ok, eb recover, cb ok",
    "callback, cb raise, eb raise, eb recover",
    "callback, cb defer, cb ok, callback 1, cb ok",
    "cancel",
    "cancel, cancel",
    "cancel, callback",
    "cancel, errback",
    "cancel, callback, callback",
    "cancel, eb recover, cb ok",
    "eb keep, cancel, callback, eb recover",
    "callback, cancel",
    "cb defer, cb defer, cb defer, callback, callback 1, callback 2, callback 3",
    "cb defer, cb defer, callback, callback 1, cancel, callback 2",
    "cb defer, eb defer, callback, cancel, callback 2",
    "cb none, cb none, both none, callback",
    "cb raise, cb ok, cb ok, eb recover, eb recover, cb ok, callback",
    "cb ok, eb recover, cb raise, eb raise, eb raise, both raise, callback",
]


unhandled: list[str] = []  # what Twisted has reported since the last chain


def observe(event: Any) -> None:
    if event.get("log_failure"):
        unhandled.append(spelled(event["log_failure"]))


def played(script: str) -> str:
    unhandled.clear()
    player = Player()
    for command in script.split(", "):
        player.play(command)
    end = player.end()
    events = player.events
    del player
    gc.collect()
    columns = [script, ", ".join(events), end, ", ".join(sorted(unhandled))]
    return " | ".join(columns).rstrip()


if __name__ == "__main__":
    logger.globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)
    print(f"# What Twisted {twisted.__version__} does; made by with_twisted.py, read by the test.")
    print("# commands | what ran, and what it got | how the chain stands | reported as unhandled")
    for line in sorted(set(map(played, scripts())), key=lambda line: (line.count(","), line)):
        print(line)
