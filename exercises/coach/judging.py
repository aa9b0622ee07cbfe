"""What came of a check, and what it may mean."""

from dataclasses import dataclass

from catalog import Exercise, Mistake

STATUS = {"pass": "pass", "skipped": "skipped", "harness": "inconclusive"}


@dataclass(frozen=True)
class Outcome:
    check: str
    outcome: str  # a code: pass, timeout:none, crash:SIGPIPE ...
    seconds: float
    sentence: str
    story: str

    @property
    def status(self) -> str:
        return STATUS.get(self.outcome, "fail")


def fingerprint(outcomes: list[Outcome]) -> dict[str, str]:
    """Which checks fail, and how: by this a mistake is known."""
    return {one.check: one.outcome for one in outcomes if one.status == "fail"}


def matches(expected: dict[str, str], seen: dict[str, str]) -> bool:
    """Whether all checks fare as expected. `reset|eof:early`: what a caller sees of a server that
    hangs up depends on who is faster. A check that is not named passes, or is not run."""
    return all(
        seen.get(check, "pass") in expected.get(check, "pass").split("|")
        for check in {**expected, **seen}
    )


def verdict(outcomes: list[Outcome]) -> str:
    every = {one.status for one in outcomes}
    return next((status for status in ("fail", "inconclusive") if status in every), "pass")


def recognise(exercise: Exercise, outcomes: list[Outcome], source: str) -> list[Mistake]:
    """The known mistakes that fail in the same way, all checks taken together. None is better than
    the nearest one: a wrong diagnosis costs more than no diagnosis."""
    seen = fingerprint(outcomes)
    if not seen:
        return []
    return [
        mistake
        for mistake in exercise.mistakes
        if matches(mistake.expect, seen) and mistake.if_source_has in source
    ]
