"""When requests are due: moments in seconds from a phase's start, whatever the server does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import count

from msgspec import Struct

from opsconsole.load.plan import Arrivals


class Slope(Struct, frozen=True):
    """A rate that goes linearly from ``first`` to ``last`` requests a second in ``seconds``."""

    first: float
    last: float
    seconds: float

    def moment(self, number: float) -> float:
        """When ``number`` requests have become due; infinite when they never do."""
        if number <= 0:
            return 0.0 if self.first > 0 or self.last > 0 else math.inf
        rise = (self.last - self.first) / self.seconds if self.seconds else 0.0
        inner = self.first * self.first + 2 * rise * number
        below = self.first + math.sqrt(inner) if inner >= 0 else 0.0
        return 2 * number / below if below > 0 else math.inf

    def number(self, moment: float) -> float:
        """How many requests have become due at ``moment``."""
        moment = max(0.0, moment)
        rise = (self.last - self.first) / self.seconds if self.seconds else 0.0
        return self.first * moment + rise * moment * moment / 2


def moments(
    slope: Slope, arrivals: Arrivals, *, share: int, shares: int, seed: str
) -> Iterator[float]:
    """The moments of one process among ``shares``, for ever.

    Constant arrivals: every ``shares``-th of the schedule. Poisson: a stream of its own with its
    part of the rate; streams of several processes together are Poisson again.
    """
    moment = slope.moment
    if arrivals == "poisson":
        gap = random.Random(seed).expovariate
        position = 0.0
        while True:
            position += gap(1.0) * shares
            yield moment(position)
    elif slope.first == slope.last and slope.first > 0:
        rate = slope.first
        for number in count(share, shares):
            yield number / rate
    else:
        for number in count(share, shares):
            yield moment(number)
