from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.profile.threshold import METRICS, Threshold, format_value, parse_threshold


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("p95 < 500ms", Threshold("p95 < 500ms", "p95", True, 0.5)),
        ("p99.9<=1s", Threshold("p99.9 <= 1s", "p99.9", True, 1.0, True)),
        ("  service.p50  <  2ms ", Threshold("service.p50 < 2ms", "service.p50", True, 0.002)),
        ("first_byte.max < 1m", Threshold("first_byte.max < 1m", "first_byte.max", True, 60.0)),
        ("success_rate > 99%", Threshold("success_rate > 99%", "success_rate", False, 0.99)),
        ("success_rate >= 1", Threshold("success_rate >= 1", "success_rate", False, 1.0, True)),
        ("error_rate < 0.5 %", Threshold("error_rate < 0.5 %", "error_rate", True, 0.005)),
        ("goodput > 100/s", Threshold("goodput > 100/s", "goodput", False, 100.0)),
        ("goodput > 600/m", Threshold("goodput > 600/m", "goodput", False, 10.0)),
        ("pairs > 2.5 / s", Threshold("pairs > 2.5 / s", "pairs", False, 2.5)),
        ("p95<1s over 30s", Threshold("p95 < 1s over 30s", "p95", True, 1.0, window=30.0)),
        ("p95 < 1s  on gpu-1", Threshold("p95 < 1s on gpu-1", "p95", True, 1.0, server="gpu-1")),
        (
            "p95 < 1s on over over 1m",
            Threshold("p95 < 1s over 1m on over", "p95", True, 1.0, window=60.0, server="over"),
        ),
        (
            "goodput > 5 / s on a over 2s",
            Threshold("goodput > 5 / s over 2s on a", "goodput", False, 5.0, False, 2.0, "a"),
        ),
    ],
)
def test_thresholds(text: str, threshold: Threshold) -> None:
    assert parse_threshold(text) == threshold


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected a threshold such as"),
        ("p95", "expected a threshold such as"),
        ("p95 < ", "expected a threshold such as"),
        ("< 500ms", "expected a threshold such as"),
        ("p95 == 500ms", "expected a threshold such as"),
        ("p95 < 1s < 2s", "expected a threshold such as"),
        ("x" * 1000 + " < 1s", "expected a threshold such as"),
        ("p59 < 1s", "unknown metric 'p59': did you mean 'p9"),
        ("sucess_rate > 99%", "did you mean 'success_rate'?"),
        ("P95 < 1s", "did you mean 'p95'?"),
        ("latency < 1s", "known are p50, "),
        ("p95 < 500", "a duration needs a unit, such as"),
        ("p95 < 99%", "expected a duration"),
        ("p95 < 5/s", "expected a duration"),
        ("p95 < -5s", "expected a duration"),
        ("success_rate > 99", "expected a share such as 99%"),
        ("success_rate > 5s", "expected a share"),
        ("goodput > 100", "such as 50/s or 600/m, at most 1000000/s, got '100'"),
        ("throughput > 5s", "such as 50/s"),
        ("p95 > 1s", "did you mean p95 < 1s?"),
        ("success_rate <= 99%", "did you mean success_rate >= 99%?"),
        ("error_rate > 10%", "did you mean error_rate < 10%?"),
        ("success_rate > 100%", "write >= 100%"),
        ("error_rate < 0%", "write <= 0%"),
        ("p95 < 0s", "write <= 0s"),
        ("p95 < 1s over 30", "over: a duration needs a unit|over: expected a duration"),
        ("p95 < 1s over 10ms", "over: a window is at least 1s"),
        ("p95 < 1s over 5s over 6s", "'over' is said twice"),
        ("p95 < 1s on -x", "'-x' is not the name of a server"),
        ("p95 < 1s over", "expected a duration"),
        ("over 5s", "expected a threshold such as"),
    ],
)
def test_mistakes_say_what_to_write(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_threshold(text)
    assert any(part in str(caught.value) for part in complaint.split("|"))


def test_what_holds() -> None:
    fast, all_good = parse_threshold("p95 < 500ms"), parse_threshold("success_rate >= 100%")
    assert fast.holds(0.499)
    assert not any(fast.holds(value) for value in (0.5, 0.6, math.inf, math.nan, None))
    assert all_good.holds(1.0)
    assert not all_good.holds(0.999)


def test_the_parts_of_a_metric() -> None:
    def parts(text: str) -> tuple[str, str]:
        return parse_threshold(text).statistic

    assert parts("p99.9 < 1s") == ("response", "p99.9")
    assert parts("service.p99.99 < 1s") == ("service", "p99.99")
    assert parts("first_byte.mean < 1s") == ("first_byte", "mean")
    assert parts("goodput > 1/s") == ("", "goodput")


@given(st.sampled_from(sorted(METRICS)), st.integers(1, 999))
def test_a_threshold_that_is_written_is_read_again(metric: str, thousandths: int) -> None:
    upwards = metric in ("success_rate", "goodput", "throughput", "pairs")
    value = thousandths / 1000
    text = f"{metric} {'>' if upwards else '<'} {format_value(metric, value)}"
    assert parse_threshold(text).limit == pytest.approx(value)


@given(st.text(max_size=60))
def test_any_text_is_a_threshold_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_threshold(parse_threshold(text).text) == parse_threshold(text)
