"""What is expected of a load test, as people write it: ``p95 < 500ms``, ``goodput > 100/s``.

``p95 < 500ms over 30s`` must hold in every 30 seconds of the run, ``p95 < 500ms on server-1`` for
the answers of one of its servers.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import Literal

from msgspec import Struct

from opsconsole.profile.units import (
    format_duration,
    format_rate,
    format_ratio,
    parse_duration,
    parse_rate,
    parse_ratio,
)

Unit = Literal["seconds", "share", "rate"]

STATISTICS = ("p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "mean")
"""Of a latency: the response time, or with the prefix ``service.`` or ``first_byte.``."""
METRICS: dict[str, Unit] = {
    **{prefix + name: "seconds" for prefix in ("", "service.", "first_byte.")
       for name in STATISTICS},
    "success_rate": "share", "error_rate": "share",
    "goodput": "rate", "throughput": "rate", "pairs": "rate",
}  # fmt: skip
"""Every metric and what it is measured in."""
_UPWARDS = frozenset(("success_rate", "goodput", "throughput", "pairs"))
_LIMITED = re.compile(r"(.*\S)\s+(over|on)\s+(\S+)", re.DOTALL)
_SERVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORM = re.compile(r"\s*([^<>=\s]+)\s*(<=|>=|<|>)\s*([^<>=\s](?:[^<>=]*[^<>=\s])?)\s*")


class Threshold(Struct, frozen=True):
    """A limit that must hold.

    Attributes:
        text: As it is shown: ``p95 < 500ms``.
        metric: One of :data:`METRICS`.
        below: Whether the metric must stay below the limit.
        limit: Seconds, a share in 0..1, or a number a second.
        inclusive: Whether the limit itself passes (``<=``, ``>=``).
        window: Seconds; it must hold over every stretch of so many. 0: over the whole.
        server: Whose answers it is about. Empty: those of all servers together.
    """

    text: str
    metric: str
    below: bool
    limit: float
    inclusive: bool = False
    window: float = 0.0
    server: str = ""

    @property
    def unit(self) -> Unit:
        """What the limit is measured in."""
        return METRICS[self.metric]

    @property
    def statistic(self) -> tuple[str, str]:
        """``service.p95`` → ("service", "p95"), ``p95`` → ("response", "p95"); else ("", name)."""
        family, dot, name = self.metric.partition(".")
        if dot and family in ("service", "first_byte"):
            return family, name
        return ("response" if self.unit == "seconds" else ""), self.metric

    def holds(self, observed: float | None) -> bool:
        """Whether ``observed`` keeps it; what was not observed does not."""
        if observed is None or math.isnan(observed):
            return False
        # 99.93 % is read as 0.9993000000000001, where 9,993 of 10,000 are 0.9993.
        if math.isclose(observed, self.limit, rel_tol=1e-9):
            return self.inclusive
        return (observed < self.limit) == self.below


def parse_threshold(text: str) -> Threshold:
    """The threshold that ``text`` states.

    Raises:
        ValueError: no ``METRIC < VALUE`` or ``METRIC > VALUE``, an unknown metric (with the
            nearest), a value of a wrong unit, a limit that nothing or everything keeps, or one
            that asks for the worse (``p95 > 1s``); a window below a second.
    """
    whole = text if isinstance(text, str) and len(text) <= 300 else ""
    text, clauses = _clauses(whole.strip())
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("expected a threshold such as p95 < 500ms or success_rate > 99%")
    metric, sign, value = match.groups()
    if metric not in METRICS:
        close = difflib.get_close_matches(metric.lower(), METRICS, n=1)
        known = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(METRICS)}"
        raise ValueError(f"unknown metric {metric[:60]!r}: {known}")
    unit, below, inclusive = METRICS[metric], sign[0] == "<", sign.endswith("=")
    limit = _limit(metric, unit, value)
    if below is (metric in _UPWARDS):
        mirrored = ("<" if sign[0] == ">" else ">") + sign[1:]
        raise ValueError(
            f"a threshold says what must hold, and {metric} {sign} {value} asks for the worse: "
            f"did you mean {metric} {mirrored} {value}?"
        )
    highest = 1.0 if unit == "share" else math.inf
    if not inclusive and limit == (0.0 if below else highest):
        raise ValueError(f"nothing can be {sign} {value}: write {sign}= {value}")
    window = _window(clauses["over"]) if "over" in clauses else 0.0
    server = clauses.get("on", "")
    if server and not _SERVER.fullmatch(server):
        raise ValueError(f"{server[:80]!r} is not the name of a server")
    tidy = f"{metric} {sign} {value}"
    for word in ("over", "on"):
        tidy += f" {word} {clauses[word]}" if word in clauses else ""
    return Threshold(tidy, metric, below, limit, inclusive, window, server)


def format_value(metric: str, value: float) -> str:
    """A value of ``metric`` as a threshold writes it: ``500ms``, ``99%``, ``100/s``."""
    unit = METRICS[metric]
    if unit == "seconds":
        return format_duration(value)
    return format_ratio(value) if unit == "share" else format_rate(value)


def _clauses(text: str) -> tuple[str, dict[str, str]]:
    """What stands before ``over TIME`` and ``on SERVER``, and these."""
    found: dict[str, str] = {}
    while (match := _LIMITED.fullmatch(text)) is not None:
        text, word, value = match.groups()
        if word in found:
            raise ValueError(f"{word!r} is said twice")
        found[word] = value
    return text, found


def _window(text: str) -> float:
    try:
        window = parse_duration(text)
    except ValueError as error:
        raise ValueError(f"over: {error}, got {text[:60]!r}") from None
    if window < 1:
        raise ValueError(f"over: a window is at least 1s, got {text!r}")
    return window


def _limit(metric: str, unit: Unit, value: str) -> float:
    try:
        if unit == "seconds":
            return parse_duration(float(value) if _is_number(value) else value)
        if unit == "share":
            return parse_ratio(float(value) if _is_number(value) else value)
        return parse_rate(value)
    except ValueError as error:
        raise ValueError(f"{metric}: {error}, got {value[:60]!r}") from None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None
