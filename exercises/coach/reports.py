"""A verdict as data: JSON, and JUnit's XML."""

import xml.etree.ElementTree as ElementTree
from typing import Any

from catalog import Exercise, Mistake
from judging import Outcome, verdict
from telling import clean


def report(
    exercise: Exercise, outcomes: list[Outcome], recognised: list[Mistake], flaky: list[str]
) -> dict[str, Any]:
    fails = {check.id: check for check in exercise.checks}
    status = verdict(outcomes)
    return {
        "format": "lab.check/1",
        "exercise": exercise.id,
        "status": "flaky" if flaky else status,
        "exit": 5 if flaky else {"pass": 0, "fail": 1, "inconclusive": 4}[status],
        "build": {"ok": True, "hindered": False},
        "checks": [
            {
                "id": one.check,
                "status": one.status,
                "outcome": one.outcome,
                "seconds": round(one.seconds, 3),
                "promise": fails[one.check].promise,
                "fail": fails[one.check].fail,
                "sentence": one.sentence,
                "story": one.story,
            }
            for one in outcomes
        ],
        "recognised": [mistake.id for mistake in recognised],
        "flaky": flaky,
    }


def unbuilt(exercise: Exercise, error: str, hindered: bool) -> dict[str, Any]:
    """Hindered: the machine kept the compiler from its work, so nobody knows about the program."""
    return {
        "format": "lab.check/1",
        "exercise": exercise.id,
        "status": "inconclusive" if hindered else "unbuilt",
        "exit": 4 if hindered else 3,
        "build": {"ok": False, "hindered": hindered, "error": error},
        "checks": [],
        "recognised": [],
        "flaky": [],
    }


def junit(reports: list[dict[str, Any]]) -> str:
    """One suite for each exercise; a check that could not decide is an error, not a failure."""
    suites = ElementTree.Element("testsuites")
    for told in reports:
        suite = ElementTree.SubElement(suites, "testsuite", name=told["exercise"])
        if not told["build"]["ok"]:
            case = ElementTree.SubElement(
                suite, "testcase", name="build", classname=told["exercise"]
            )
            ElementTree.SubElement(case, "error", message="did not build").text = clean(
                told["build"]["error"]
            )
        for check in told["checks"]:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                name=check["id"],
                classname=f"lab.{told['exercise']}",
                time=str(check["seconds"]),
            )
            kind = {"fail": "failure", "inconclusive": "error", "skipped": "skipped"}
            if check["status"] in kind:
                said = ElementTree.SubElement(
                    case,
                    kind[check["status"]],
                    type=check["outcome"],
                    message=clean(check["sentence"]),
                )
                said.text = clean(check["story"])
        cases = suite.findall("testcase")
        suite.set("tests", str(len(cases)))
        for word, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            suite.set(word, str(sum(case.find(tag) is not None for case in cases)))
    ElementTree.indent(suites)
    text: bytes = ElementTree.tostring(suites, encoding="us-ascii", xml_declaration=True)
    return text.decode() + "\n"
