"""How long a load test takes, before it is begun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opsconsole.load.length import longest
from opsconsole.load.modes import plan_for


@pytest.mark.parametrize(
    ("mode", "options", "seconds"),
    [
        ("soak", {}, 600.0),
        ("soak", {"duration": "8h", "warmup": "1m"}, 8 * 3600 + 60),
        ("rate", {"rate": "0.5/s", "requests": 1000}, 2000.0),
        ("rate", {"rate": 50, "requests": 10**9, "duration": "30s"}, 30.0),
        ("spike", {"rate": 10, "duration": "100s"}, 100.0),
        ("ramp", {"stages": ["1..8 1m", "8 1h"]}, 3660.0),
        ("load", {"requests": 100}, None),
        ("load", {"requests": 100, "duration": "1m"}, 60.0),
        ("search", {}, None),
        ("stress", {"duration": "1h"}, None),
    ],
)
def test_it_is_known_where_the_plan_decides_it(
    mode: str, options: dict[str, Any], seconds: float | None
) -> None:
    assert longest(plan_for(mode, **options)) == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_a_recording_lasts_as_long_as_it_did(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text('{"body": {}, "at": 5}\n{"body": {}, "at": 9005}\n')
    assert longest(plan_for("replay", replay=str(file))) == 9000.0
    assert longest(plan_for("replay", replay=str(file), duration="1m")) == 60.0
    assert longest(plan_for("replay", replay=str(file), rate="1/m")) == pytest.approx(120.0)
    assert longest(plan_for("replay", replay=str(file), concurrency=1)) is None
