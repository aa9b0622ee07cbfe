#!/usr/bin/env python3
"""Play a scene: who calls the server and says what, when. Then draw who waited for whom.

Each caller is a real client process with an address of its own (A calls from 127.0.0.2, B from
127.0.0.3, ...). A scene is a few lines that are played from top to bottom:

    A calls                     and is connected before the next line is played
    A calls as idler --seconds 1     the same, with a caller from clients/hostile/
    A says echo hello           A says it when the answers to all before have come
    A hangs up                  A says no more: a half-close
    wait 0.5                    seconds

To add one, write it into SCENES.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_uppercase
from types import FrameType

from talk import Parser, TalkError, quoted, run, timeout_scale, whole_number, whom_to_call
from timeline import Event, event_of, show_on_screen
from transcript import transcript

HERE = Path(__file__).resolve().parent
CLIENT = HERE / "01_blocking_socket.py"

SCENES = {
    "three_callers": """
        Three call one after another, and each stays for a while.

        A calls
        A says echo good morning
        B calls
        B says 0
        C calls
        C says 0
        wait 1
        A says exit
        wait 0.5
        B says exit
        wait 0.5
        C says exit
    """,
    "silent_first": """
        The first caller says nothing for a second, and the second has a question.

        A calls
        B calls
        B says echo is anybody there?
        B says exit
        wait 1
        A hangs up
    """,
    "slow_reader": """
        The first caller asks for a lot and reads it slowly.

        A calls as slow_reader --bytes 8000000 --seconds 1
        B calls
        B says 0
        B says exit
    """,
    "one_sleeps": """
        Both are greeted if the server can do that. Then the first makes its handler sleep.

        A calls
        B calls
        wait 0.3
        A says sleep 1000
        A says exit
        wait 0.2
        B says 0
        B says exit
    """,
}

STEP = re.compile(
    r"wait (?P<seconds>[0-9.]+)"
    r"|(?P<who>[A-Z]) (?P<calls>calls)( as (?P<habit>.+))?"
    r"|(?P<speaker>[A-Z]) says (?P<line>.*)"
    r"|(?P<leaver>[A-Z]) hangs up"
)
START = (
    60.0 * timeout_scale()
)  # seconds for all the client processes to start, on a machine that is very busy
LONGEST_TALK = 120.0  # seconds after the last step until everybody must have left


@dataclass(frozen=True)
class Scene:
    name: str
    idea: str
    steps: list[re.Match[str]]

    def with_callers(self, count: int) -> Scene:
        """The same for so many: those who come in addition do as the last one does, right after."""
        names = list(self.callers())
        if not len(names) <= count <= len(ascii_uppercase):
            raise TalkError(
                f"the scene {self.name} has {len(names)} callers; "
                f"it can have up to {len(ascii_uppercase)}, not {count}"
            )
        last, more = names[-1], ascii_uppercase[len(names) : count]
        steps: list[re.Match[str] | None] = []
        for step in self.steps:
            steps.append(step)
            if step.string.startswith(f"{last} "):
                steps += [STEP.fullmatch(name + step.string[1:]) for name in more]
        return Scene(self.name, self.idea, [step for step in steps if step])

    def callers(self) -> dict[str, str | None]:
        """Each caller, and the habit of those who have one."""
        return {step["who"]: step["habit"] for step in self.steps if step["who"]}


@dataclass
class Recording:
    """What happened: all that the callers logged, in the order of time, and who was let down."""

    scene: Scene
    events: list[Event] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)  # by caller, in a sentence


def scene_of(name: str) -> Scene:
    idea, *lines = filter(None, map(str.strip, SCENES[name].splitlines()))
    steps = [STEP.fullmatch(line) for line in lines]
    if None in steps:
        raise TalkError(f"in the scene {name}, `{lines[steps.index(None)]}` is no step")
    return Scene(name, idea, [step for step in steps if step])


def play(
    scene: Scene | str,
    host: str,
    port: int,
    *,
    client: Path = CLIENT,
    timeout: float = 10 * timeout_scale(),
) -> Recording:
    """Plays the scene to the server, with one client process for each caller."""
    scene = scene_of(scene) if isinstance(scene, str) else scene
    with Stage(scene, host, port, client, timeout) as stage:
        stage.direct()
    return stage.recording


class Actor:
    """A client process that waits for its cue, and what came out of it so far."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.events: list[Event] = []
        self.words = b""
        self._half_event = b""
        self.log, log_end = os.pipe()
        try:
            # A session of its own: Ctrl-C is for the director, who then sends everybody home.
            self.process = subprocess.Popen(
                [sys.executable, *command, "--name", name, "--log", f"/dev/fd/{log_end}", "--cue"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[log_end],
                start_new_session=True,
            )
        except BaseException:
            os.close(self.log)
            raise
        finally:
            os.close(log_end)
        assert self.process.stdout is not None
        self.output = self.process.stdout.fileno()

    def tell(self, line: str) -> None:
        """Hands a line to the client. One who has left does not hear it: the log says why."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(os.fsencode(line + "\n"))
            self.process.stdin.flush()

    def tell_no_more(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    def has(self, deed: str) -> bool:
        return any(event["do"] == deed for event in self.events)

    def take_log(self, data: bytes) -> None:
        *lines, self._half_event = (self._half_event + data).split(b"\n")
        try:
            self.events += map(event_of, lines)
        except ValueError as error:
            raise TalkError(f"the client of {self.name} does not write a log: {error}") from None

    def take_words(self, data: bytes) -> None:
        self.words = (self.words + data)[-4000:]

    def last_words(self) -> str:
        lines = self.words.decode(errors="backslashreplace").split("\n")
        last = next((line for line in reversed(lines) if line), "the client said nothing")
        return re.sub(r"^(\S+\.py|wrong): ", "", last)

    def send_home(self) -> None:
        self.tell_no_more()
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.log)


class Stage:
    """All the actors of a scene, from the first one's start to the last one's end."""

    def __init__(self, scene: Scene, host: str, port: int, client: Path, timeout: float) -> None:
        self.recording = Recording(scene)
        self._actors: dict[str, Actor] = {}
        self._inputs = selectors.DefaultSelector()
        self._timeout = timeout
        self._line = ["--host", host, "--port", str(port), "--timeout", str(timeout)]
        self._client = client

    def __enter__(self) -> Stage:
        try:
            for number, (name, habit) in enumerate(self.recording.scene.callers().items()):
                self._engage(name, habit, f"127.0.0.{number + 2}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors.values():
            actor.send_home()
        self._inputs.close()

    def _engage(self, name: str, habit: str | None, address: str) -> None:
        script, *options = in_our_time(habit).split() if habit else [str(self._client)]
        if habit:
            script = str(HERE / "hostile" / f"{script}.py")
        actor = Actor(name, [script, *options, *self._line, "--bind", address])
        self._actors[name] = actor
        self._inputs.register(actor.log, selectors.EVENT_READ, actor.take_log)
        self._inputs.register(actor.output, selectors.EVENT_READ, actor.take_words)

    def direct(self) -> None:
        actors = self._actors.values()
        if not self._watch(START, lambda: all(a.has("waits") or self._is_gone(a) for a in actors)):
            raise TalkError(f"the clients did not start within {START:g} s: is the machine busy?")
        for step in self.recording.scene.steps:
            self._play(step)
        for actor in actors:
            actor.tell_no_more()
        self._watch(LONGEST_TALK + self._timeout, lambda: not self._inputs.get_map())
        for actor in actors:
            self._dismiss(actor)

    def _play(self, step: re.Match[str]) -> None:
        if step["seconds"]:
            self._watch(float(step["seconds"]) * timeout_scale(), lambda: False)
        elif step["who"]:
            self._call(self._actors[step["who"]])
        elif step["speaker"]:
            self._actors[step["speaker"]].tell(step["line"])
        else:
            self._actors[step["leaver"]].tell_no_more()

    def _call(self, actor: Actor) -> None:
        actor.tell("your cue")
        self._watch(self._timeout + START, lambda: actor.has("connected") or self._is_gone(actor))
        if not any(other.has("connected") for other in self._actors.values()):
            raise TalkError(actor.last_words())

    def _dismiss(self, actor: Actor) -> None:
        """What is there to say about this caller, now that all is over?"""
        self.recording.events = sorted(
            [*self.recording.events, *actor.events], key=lambda event: float(event["t"])
        )
        if not self._is_gone(actor):
            self.recording.failures[actor.name] = "was still on the line at the end of the scene"
        elif actor.process.wait() != 0:
            self.recording.failures[actor.name] = actor.last_words()

    def _is_gone(self, actor: Actor) -> bool:
        return (
            actor.log not in self._inputs.get_map() and actor.output not in self._inputs.get_map()
        )

    def _watch(self, seconds: float, enough: Callable[[], bool]) -> bool:
        """Reads what the actors log and say, until it is enough or the time is over."""
        deadline = time.monotonic() + seconds
        while not enough():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self._inputs.select(left):
                data = os.read(key.fd, 65536)
                key.data(data)
                if not data:
                    self._inputs.unregister(key.fd)
        return True


def in_our_time(habit: str) -> str:
    """Whatever takes seconds in a scene takes longer where all that waits waits longer."""
    return re.sub(r"(?<=--seconds )[0-9.]+", lambda s: f"{float(s[0]) * timeout_scale():g}", habit)


# By hand


def list_of_scenes() -> str:
    width = max(map(len, SCENES))
    return "\n".join(f"{name:{width}}   {scene_of(name).idea}" for name in SCENES)


def scene_name(text: str) -> str:
    if text in SCENES:
        return text
    near = difflib.get_close_matches(text, SCENES, cutoff=0.4) or list(SCENES)
    raise argparse.ArgumentTypeError(
        f"there is no scene {quoted(text)}; did you mean {' or '.join(near)}?"
    )


def client_file(text: str) -> Path:
    if not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"there is no client {quoted(text)}")
    return Path(text).resolve()


def main() -> int:
    parser = Parser(__doc__, whom_to_call())
    parser.add_argument("scene", type=scene_name, help=", ".join(SCENES))
    parser.add_argument("--list", action="version", version=list_of_scenes(), help="the scenes")
    parser.add_argument(
        "--client", type=client_file, default=CLIENT, metavar="FILE", help="the callers' client"
    )
    parser.add_argument(
        "--clients",
        type=whole_number(1, len(ascii_uppercase)),
        metavar="N",
        help="more callers, who do as the last one does",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument(
        "--draw", action="store_true", help="lanes and a table (this is the default)"
    )
    output.add_argument("--transcript", action="store_true", help="who said what, without times")
    output.add_argument("--json", action="store_true", help="all events, as JSON lines")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how our clients ended
    scene = scene_of(options.scene)
    if options.clients is not None:
        scene = scene.with_callers(options.clients)
    recording = play(
        scene, options.host, options.port, client=options.client, timeout=options.timeout
    )
    if options.transcript:
        print(transcript(recording.events), end="", flush=True)
    elif options.json:
        for event in recording.events:
            print(json.dumps(event), flush=True)
    else:
        show_on_screen(recording.events)
    for name, sentence in recording.failures.items():
        print(f"{name}: {sentence}", file=sys.stderr)
    return 1 if recording.failures else 0


if __name__ == "__main__":
    run(main)
