from __future__ import annotations

import pytest

from opsconsole.figures import ago, latency, percent, rate, size, with_unit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (8.9, "8s"), (60, "1m"), (752, "12m 32s"), (3600, "1h"), (273600, "3d 4h")],
)
def test_ago(seconds: float, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "—"), (0.0041, "4.1"), (0.0432, "43"), (0.9996, "1.0s"), (1.94, "1.9s"), (120, "120s")],
)
def test_latency(seconds: float | None, text: str) -> None:
    assert latency(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "—"), (0, "0"), (0.42, "0.4"), (37.2, "37"), (1234, "1234"), (12_345, "12k"),
     (2_000_000, "2.0M")],
)  # fmt: skip
def test_rate(value: float | None, text: str) -> None:
    assert rate(value) == text


def test_percent_and_size() -> None:
    assert [percent(x) for x in (None, 0, 0.041, 1)] == ["—", "0.0", "4.1", "100"]
    assert [size(x) for x in (None, 12, 2048, 671088640, 1.5 * 2**30, 3 * 2**40)] == [
        "—", "12 B", "2.0 KiB", "640 MiB", "1.5 GiB", "3.0 TiB",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0"), (0.000_999_4, "999µs"), (0.000_999_6, "1ms"), (0.9994, "999ms"), (0.9996, "1s")],
)
def test_a_span_is_never_written_with_an_exponent(seconds: float, written: str) -> None:
    assert with_unit(seconds) == written
