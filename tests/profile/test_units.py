from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.profile import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("2m", 120), ("1h30m", 5400), ("1d", 86400), ("1.5s", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "bad", [5, 5.0, True, None, "", "5", "-5s", "5 s", "5sec", "s", "1s x", []]
)
def test_bad_durations_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"duration"):
        units.parse_duration(bad)


@pytest.mark.parametrize(
    ("value", "ratio"), [("99%", 0.99), (0.5, 0.5), (1, 1.0), ("99.9 %", 0.999)]
)
def test_ratios(value: object, ratio: float) -> None:
    assert units.parse_ratio(value) == pytest.approx(ratio)


@pytest.mark.parametrize("bad", [99, "101%", "x", -0.1, None, True])
def test_bad_ratios_are_refused(bad: object) -> None:
    with pytest.raises(ValueError, match=r"share"):
        units.parse_ratio(bad)


@pytest.mark.parametrize(("value", "size"), [("10MB", 10**7), ("64MiB", 2**26), (123, 123)])
def test_sizes(value: object, size: int) -> None:
    assert units.parse_size(value) == size


@given(st.integers(0, 10**7))
def test_milliseconds_survive_being_written_and_read(ms: int) -> None:
    assert units.parse_duration(units.format_duration(ms / 1000)) == pytest.approx(ms / 1000)


@given(st.integers(0, 10**13))
def test_sizes_survive_being_written_and_read(size: int) -> None:
    assert units.parse_size(units.format_size(size)) == size
