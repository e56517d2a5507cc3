"""Where the limit of a server lies, as the probes of a search tell it: with a probability.

By Bayes' rule: a probe at a level holds with a probability that falls from almost 1 to almost 0
around the limit, over a width that is not known either. A server whose percentiles vary from probe
to probe has a wide step: there one break says little, and the interval is wide too. How often the
intervals hold the truth is measured in ``tests/load/test_limits.py``.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence

from opsconsole.load.probes import Probe

_WIDTHS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of the step, in natural logarithms of the level; each as likely as another beforehand."""
_LAPSE = 0.03
"""Chance that a probe goes wrong for a reason that has nothing to do with the load."""
_OFTEN = 1 - _LAPSE
_SURE = 12.0
_BEYOND = 3.0
"""How far a limit may lie beyond all that was tried: by a factor of 20, each as likely."""
_FINE, _COARSE = 0.02, 0.1


def likelihoods(probes: Sequence[Probe]) -> list[tuple[float, float]]:
    """Limits, rising, and the probability of each; empty without a probe that counts. Probes that
    the generator limited do not."""
    held = Counter(math.log(p.level) for p in probes if p.held)
    broke = Counter(math.log(p.level) for p in probes if not p.held and not p.limited)
    tried = [(level, held[level], broke[level]) for level in sorted(held.keys() | broke.keys())]
    if not tried:
        return []
    found = [
        (limit, step * sum(_likely(limit, width, tried) for width in _WIDTHS))
        for limit, step in _grid([level for level, _, _ in tried])
    ]
    whole = sum(weight for _, weight in found)
    return [(math.exp(limit), weight / whole) for limit, weight in found]


def interval(probes: Sequence[Probe], share: float = 0.9) -> tuple[float, float] | None:
    """Between which limits ``share`` of the probability lies, as much left out at either end."""
    found = likelihoods(probes)
    below, ends = 0.0, []
    for limit, weight in found:
        for bound in ((1 - share) / 2, (1 + share) / 2):
            if below < bound <= below + weight:
                ends.append(limit)
        below += weight
    return (ends[0], ends[1]) if len(ends) == 2 else None


def at_least(probes: Sequence[Probe], level: float) -> float:
    """The probability that the limit is not below ``level``; 0 when nothing is known."""
    return sum(weight for limit, weight in likelihoods(probes) if limit >= level)


def _likely(limit: float, width: float, tried: Sequence[tuple[float, int, int]]) -> float:
    """Of what was tried, as (level, how often it held, how often it broke)."""
    likely = 1.0
    for level, held, broke in tried:
        steps = (limit - level) / width
        if steps > _SURE:
            likely *= _OFTEN**held * _LAPSE**broke
        elif steps < -_SURE:
            likely *= _LAPSE**held * _OFTEN**broke
        else:
            holds = _LAPSE + (_OFTEN - _LAPSE) / (1 + math.exp(-steps))
            likely *= holds**held * (1 - holds) ** broke
    return likely


def _grid(levels: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Limits and the width of each; close together where levels were tried."""
    begin = levels[0] - _BEYOND
    while begin < levels[-1] + _BEYOND:
        after = bisect(levels, begin)
        near = min(abs(begin - level) for level in levels[max(0, after - 1) : after + 1])
        step = min(_COARSE, max(_FINE, near / 4))
        yield begin + step / 2, step
        begin += step
