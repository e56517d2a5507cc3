"""Where two plans are not the same load, in words."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.load.comparable import differences
from opsconsole.load.modes import plan_for

BASE: dict[str, Any] = {"duration": "30s", "concurrency": 4}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, []),
        ({"thresholds": ["p95 < 1s"]}, []),
        ({"duration": "8s"}, ["phases: 4 clients, 30s against 4 clients, 8s"]),
        ({"documents": "5..20"}, ["documents: 10 against 5 to 20"]),
        ({"document_tokens": 50}, ["document_tokens: 70 ±0.5 against 50"]),
        ({"model": "x"}, ["model: none against x"]),
        ({"headers": {"X-A": "b"}}, ["headers: none against X-A: b"]),
        ({"timeout": "1.5s", "seed": 2}, ["seed: 1 against 2", "timeout: 30 against 1.5"]),
    ],
)
def test_what_differs_is_told_with_both_values(changed: dict[str, Any], words: list[str]) -> None:
    base = plan_for("load", **BASE)
    assert list(differences(base, plan_for("load", **{**BASE, **changed}))) == words


def test_plans_of_other_modes() -> None:
    found = list(differences(plan_for("search"), plan_for("stress", duration="2s")))
    assert (
        found
        == [
            "mode: search against stress",
            "phases: 1 client, 5 requests against 1 client, 5 requests",
            "steps",
            "search",
        ]
        or "mode: search against stress" in found
    )
    found = list(differences(plan_for("search"), plan_for("search", duration="2s")))
    assert found == ["duration: 10 against 2"]
    many = plan_for("ramp", duration="8s", concurrency=8)
    [told] = differences(many, plan_for("ramp", duration="8s", concurrency=4))
    assert "and 5 more against" in told
