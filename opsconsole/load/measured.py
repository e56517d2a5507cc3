"""What was measured of a metric, in its unit, and with as many figures as its limit asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from opsconsole import figures
from opsconsole.load.records import Judgement
from opsconsole.load.summary import per_second, span, too_few, took
from opsconsole.profile.threshold import METRICS

_MOST_PLACES = 13


def measure(metric: str, value: float | None) -> str:
    """A value in the unit of its metric; see ``profile/threshold.py``. ``∞`` for a latency that
    failures have made infinite, a dash for None."""
    if value is None:
        return figures.DASH
    return took(value) if math.isinf(value) else next(_finer(metric, value))[0]


def observed(judged: Judgement) -> str:
    """What was measured of a threshold, with as many figures as tell it from its limit: beside
    ``success_rate > 99.9%`` it is 99.87 %, not 99.9 %."""
    value, limit = judged.observed, judged.limit
    if value is None or math.isinf(value):
        return measure(judged.metric, value)
    texts = dict(_finer(judged.metric, value))
    fit = (text for text, told in texts.items() if _side(told, limit) == _side(value, limit))
    return next(fit, next(reversed(texts)))


def seen(judged: Judgement) -> str:
    """The same in a sentence, and when it was worst: ``612ms (from 32s to 1m 2s)``."""
    if judged.observed is None:
        return "nothing to measure"
    value = observed(judged)
    if judged.begin is not None and judged.end is not None:
        value += f" (from {span(judged.begin)} to {span(judged.end)})"
    return f"{value}, {too_few(judged)}" if judged.maximum_of else value


def _side(value: float, limit: float) -> int:
    """Below, at or above the limit, as :meth:`Threshold.holds` tells them apart."""
    if math.isclose(value, limit, rel_tol=1e-9):
        return 0
    return 1 if value > limit else -1


def _finer(metric: str, value: float) -> Iterator[tuple[str, float]]:
    """Texts with more and more figures, and the value that each says."""
    match METRICS[metric]:
        case "share":
            yield from _shares(value)
        case "rate":
            yield f"{per_second(value)}/s", round(value, 1 if value < 9.95 else 0)
            for places in range(1, _MOST_PLACES):
                yield f"{value:,.{places}f}/s", round(value, places)
        case "seconds":
            yield took(value), float(f"{value:.3g}") if value < 999.5 else float(round(value))
            for places in range(4, _MOST_PLACES):
                rounded = float(f"{value:.{places}g}")
                scale, unit = (
                    (1e6, "µs") if value < 1e-3 else (1e3, "ms") if value < 1 else (1, "s")
                )
                yield f"{rounded * scale:.{places}g}{unit}", rounded


def _shares(value: float) -> Iterator[tuple[str, float]]:
    """In per cent, with enough places to tell it from either end: 99.996 % is not 100 %."""
    for places in range(1, _MOST_PLACES):
        text = f"{value * 100:.{places}f}"
        if float(text) in (0.0, 100.0) and value not in (0.0, 1.0) and places < 4:
            continue
        yield f"{text.rstrip('0').rstrip('.')}%", float(text) / 100
