"""How long a server's seconds hang together, from the ticks of its runs.

A server that is slow now is slow for a while: consecutive seconds say less than as many separate
ones. How much less is the long-run variance of a mean (Politis and Romano 1995: a flat-top lag
window); its bandwidth, and the length of a bootstrap's blocks, are chosen by the data as in Politis
and White 2004 (corrected 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_QUIET = 5
"""So many lags in a row without correlation end the memory."""
_ROUNDS = 5
_DOUBT = 1.645
"""Standard errors that a correlation comes near by chance once in 20 times. Politis and White wait
for more, but a mood that is overlooked is a false alarm, and one that is not there costs little."""


class Mood(NamedTuple):
    """Of stretches of ticks that have it in common.

    Attributes:
        weights: Of each lag the correlation, as far as it is believed; 1.0 first.
        block: The best length of a bootstrap's blocks, ticks.
    """

    weights: Sequence[float] = (1.0,)
    block: float = 1.0

    @property
    def length(self) -> float:
        """How many ticks say as much as one that were independent of all others."""
        return max(1.0, 2 * math.fsum(self.weights) - 1)

    def missed(self, block: int) -> float:
        """By how much too small a variance blocks of so many ticks show: 1.0 is not at all."""
        inner = (weight * (1 - lag / block) for lag, weight in enumerate(self.weights[:block]))
        return max(1.0, self.length / max(1.0, 2 * math.fsum(inner) - 1))


def mood_of(stretches: Sequence[Sequence[float]]) -> Mood:
    """The mood that is common to several stretches of consecutive ticks, a value a tick."""
    stretches = [values for values in stretches if len(values) > 2]
    if not stretches:
        return Mood()
    number = sum(map(len, stretches))
    mean = number / len(stretches)
    shortest = min(map(len, stretches))
    raw = _correlations(stretches, min(shortest // 2, 4 * math.isqrt(shortest) + 10))
    memory = _memory(raw, number)
    found = Mood()
    for _ in range(_ROUNDS):
        # Each stretch is held against its own mean, which follows it: by so much is a correlation
        # too small.
        lost = min(0.5, found.length / mean)
        found = _mood([one + (1 - one) * lost for one in raw], 2 * memory, mean)
    return found


def _mood(correlations: Sequence[float], width: int, ticks: float) -> Mood:
    weights = [
        min(1.0, 2 * (1 - lag / width)) * one if lag else 1.0
        for lag, one in enumerate(correlations[: width + 1])
    ]
    slope = 2 * math.fsum(lag * weight for lag, weight in enumerate(weights))
    found = Mood(tuple(weights) or (1.0,))
    block = (1.5 * (slope / found.length) ** 2 * ticks) ** (1 / 3)
    return found._replace(block=max(1.0, block))


def _correlations(stretches: Sequence[Sequence[float]], most: int) -> list[float]:
    """Of all stretches together, for lags up to ``most``."""
    sums = [0.0] * (most + 1)
    for values in stretches:
        mean = math.fsum(values) / len(values)
        rest = [value - mean for value in values]
        for lag in range(most + 1):
            sums[lag] += math.fsum(a * b for a, b in zip(rest, rest[lag:], strict=False))
    return [total / sums[0] if sums[0] > 0 else 0.0 for total in sums]


def _memory(correlations: Sequence[float], number: float) -> int:
    """The last lag before the correlations cannot be told from none."""
    limit = max(_DOUBT, math.sqrt(math.log10(max(number, 10)))) / math.sqrt(number)
    for lag in range(1, len(correlations)):
        if all(one < limit for one in correlations[lag : lag + _QUIET]):
            return lag - 1
    return max(0, len(correlations) - 1)
