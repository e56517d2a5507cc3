"""What a search and a stress test climb: rates a second, and numbers of clients."""

from __future__ import annotations

import math

from opsconsole.load.plan import Phase, Search, Steps

_LOWEST = 0.05
"""The lowest rate a second that a search tries."""
_ENOUGH = 30
"""Requests that a probe should have; a slow one may take three times as long for them."""
_LONGER = 3
"""Times the plan's duration that a probe may take."""
_SETTLED = 1.2
"""Times an answer's time after which a server is in its stride: until the first answers come, what
is in flight rises whatever the server does."""


class Rates:
    """The levels of a search: rates a second."""

    hopeless = 1.0
    """A server without one good answer at so low a level has none at a lower one."""

    def __init__(self, search: Search) -> None:
        self.start = min(search.start, search.most)
        self.most = search.most
        self.least = _LOWEST
        self.confirm = search.confirm
        self._search = search

    def between(self, low: float, high: float) -> float | None:
        """A level in the middle; None when they are close enough."""
        if high <= low * (1 + self._search.tolerance):
            return None
        return rounded(math.sqrt(low * high), low, high)

    def below(self, high: float, factor: float) -> float | None:
        """A level so many times lower; None at the lowest."""
        return max(rounded(high / factor, 0.0, high), self.least) if high > self.least else None

    def phases(self, rate: float, took: float = 0.0) -> tuple[Phase, ...]:
        """The phases of one probe, the last of them measured.

        Args:
            took: Seconds of an answer, as far as they are known: neither the warm-up nor the probe
                is shorter, where three times the plan's duration is enough for it.
        """
        search = self._search
        settled = _SETTLED * took
        seconds = max(search.duration, min(_LONGER * search.duration, max(_ENOUGH / rate, settled)))
        name = self.show(rate)
        warm = Phase(name=f"{name} warm-up", measured=False,
                     duration=max(search.warmup, min(_LONGER * search.duration, settled)),
                     rate=rate, arrivals=search.arrivals)  # fmt: skip
        probe = Phase(name=name, duration=seconds, rate=rate, arrivals=search.arrivals)
        return (warm, probe) if search.warmup > 0 else (probe,)

    def show(self, level: float) -> str:
        """``12.5/s``, ``12,340/s``."""
        return f"{_plain(level)}/s"

    def stretch(self, low: float, high: float) -> str:
        """Between which levels, of which none need have been tried; to three figures."""
        return f"{self.show(_three(low))} and {self.show(_three(high))}"


class Clients:
    """The levels of a stress test: numbers of clients."""

    hopeless = 0.0

    def __init__(self, steps: Steps, *, warm: bool) -> None:
        self.start = float(min(steps.start, steps.most))
        self.most = float(steps.most)
        self.least = 1.0
        self.confirm = 0
        self._steps = steps
        self._warm = warm

    def between(self, low: float, high: float) -> float | None:
        """A level in the middle; None when they are close enough."""
        middle = int(low + high) // 2
        return float(middle) if high - low > max(1.0, high / 10) else None

    def below(self, high: float, factor: float) -> float | None:
        """A level so many times lower; None at the lowest."""
        return max(float(int(high / factor)), self.least) if high > self.least else None

    def phases(self, clients: float, took: float = 0.0) -> tuple[Phase, ...]:
        """The phases of one step, the last of them measured; clients wait, however long it
        ``took``."""
        count = int(clients)
        name = self.show(clients)
        step = Phase(name=name, requests=self._steps.requests, duration=self._steps.duration,
                     concurrency=count, think=self._steps.think)  # fmt: skip
        warm = Phase(name=f"{name} warm-up", measured=False, requests=count, concurrency=count)
        return (warm, step) if self._warm else (step,)

    def show(self, level: float) -> str:
        """``12 clients``."""
        return f"{_plain(level)} client{'s' * (level != 1)}"

    def stretch(self, low: float, high: float) -> str:
        """Between which numbers of clients: whole ones, with all between ``low`` and ``high``."""
        return f"{math.floor(low)} and {self.show(math.ceil(high))}"


def _three(level: float) -> float:
    """To three figures: more would be none."""
    return float(f"{level:.3g}")


def _plain(level: float) -> str:
    """Four figures, without an exponent."""
    return f"{float(f'{level:.4g}'):,.12g}"


def rounded(value: float, low: float, high: float) -> float:
    """``value`` to three digits where that stays between ``low`` and ``high``."""
    short = float(f"{value:.3g}")
    return short if low < short < high else value
