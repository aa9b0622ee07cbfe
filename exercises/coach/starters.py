"""The learners' files as their authors handed them out. They are kept in one file of data that no
learner edits, so it does not matter what becomes of the exercises' own files: committed, zipped,
converted to other line ends, or deleted. JSON in plain ASCII survives such a conversion itself."""

import json

from catalog import Exercise
from doctor import ROOT, Stop

DATA = ROOT / "exercises/starters.json"


def starter(exercise: Exercise) -> bytes:
    """Raises Stop where the author's data does not have it."""
    lines = recorded().get(exercise.id)
    if lines is None:
        raise Stop(
            f"exercises/starters.json does not know how {exercise.id} was handed out. Fetch that "
            "file again from where you have this course. (Authors: ./lab author starters)"
        )
    return "\n".join(lines).encode()


def recorded() -> dict[str, list[str]]:
    try:
        said = json.loads(DATA.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Stop(
            f"exercises/starters.json cannot be read: {error}. Fetch that file again from where "
            "you have this course"
        ) from None
    every = said.items() if isinstance(said, dict) else []
    return {name: [str(line) for line in lines] for name, lines in every if isinstance(lines, list)}


# For authors.


def record(every: list[Exercise]) -> None:
    """Takes the files as they are now for what is handed out."""
    now = {exercise.id: as_lines(exercise) for exercise in every}
    DATA.write_bytes((json.dumps(now, indent=1) + "\n").encode())


def differing(every: list[Exercise]) -> list[str]:
    """What is not recorded as it is now."""
    then = recorded()
    now = {exercise.id: as_lines(exercise) for exercise in every}
    return [name for name in {**then, **now} if then.get(name) != now.get(name)]


def as_lines(exercise: Exercise) -> list[str]:
    try:
        return exercise.learners_file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        name = exercise.learners_file.relative_to(ROOT)
        raise Stop(f"{name} is no text that can be handed out: {error}") from None
