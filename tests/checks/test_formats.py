from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from opsconsole.checks import CheckResult, CheckState, exit_code, worst
from opsconsole.checks.formats import as_json, as_junit, as_nagios, as_text
from opsconsole.errors import ExitCode

P, W, F, U = CheckState.PASS, CheckState.WARN, CheckState.FAIL, CheckState.UNKNOWN


def result(state: CheckState, observed: str = "seen", server: str = "a") -> CheckResult:
    return CheckResult(
        server=server,
        check="health",
        state=state,
        observed=observed,
        expected="healthy",
        hint="do this",
        value=1.5,
        limit=2000,
        unit="ms",
    )


@pytest.mark.parametrize(
    ("states", "code"),
    [([], 3), ([P], 0), ([P, W], 1), ([W, U], 3), ([U, F, W], 2), ([U], 3)],
)
def test_exit_codes(states: list[CheckState], code: int) -> None:
    assert exit_code([result(state) for state in states]) == code


def test_nothing_checked_is_unknown_in_every_format() -> None:
    assert exit_code([]) is ExitCode.UNKNOWN
    assert worst([]) is U
    assert "unknown" in as_text("p", [])
    assert json.loads(as_json("p", []))["exit_code"] == 3
    assert as_nagios("p", []).startswith("OPSCONSOLE UNKNOWN")
    suite = ElementTree.fromstring(as_junit("p", [])).find("testsuite")
    assert suite is not None
    assert suite.get("errors") == "1"


def test_text_says_what_was_expected_and_what_to_do() -> None:
    text = as_text("p", [result(F), result(P, server="b")])
    assert "× fail     a  health   seen" in text
    assert "expected healthy" in text
    assert "try do this" in text
    assert text.count("expected") == 1


def test_ascii_text_is_ascii() -> None:
    assert as_text("p", [result(s, "größer ≤") for s in CheckState], unicode=False).isascii()


def test_foreign_text_cannot_break_a_format() -> None:
    evil = "\x1b]52;c;eA==\x07 | 'x'=1 <&>]]>\n"
    results = [result(F, evil), result(U, evil)]
    for text in (as_text("p", results), as_nagios("p", results), as_junit("p", results)):
        assert "\x1b" not in text
    assert as_nagios("p", results).splitlines()[0].count("|") == 1
    ElementTree.fromstring(as_junit("p", results))
    assert json.loads(as_json("p", results))["checks"][0]["observed"] == evil


def test_nagios_performance_data() -> None:
    line = as_nagios("p", [result(W)]).splitlines()[0]
    assert line == "OPSCONSOLE WARNING: p: a health: seen | 'a_health'=1.500ms;2000"


def test_junit_counts() -> None:
    suite = ElementTree.fromstring(as_junit("p", [result(s) for s in CheckState])).find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "1", "1")
