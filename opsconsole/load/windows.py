"""The last seconds of a run, and whether they are bad enough to stop it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from opsconsole.errors import UsageError
from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import judge_totals, show
from opsconsole.load.plan import Abort
from opsconsole.load.records import Tick, Totals
from opsconsole.profile.threshold import Threshold, parse_threshold

_SLACK = 0.5
"""Seconds by which a tick may lie before a window and still belong to it: ticks are a second long
by the clock, not to the nanosecond."""

Key = TypeVar("Key", int, str)


class Window:
    """The totals of the last ``seconds`` seconds, kept up in time proportional to one tick."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ticks: deque[tuple[float, float, Totals]] = deque()
        self._whole = Totals()
        self._since: float | None = None
        self._until = 0.0

    def add(self, tick: Tick) -> None:
        """Take the next tick in; what has become too old goes out."""
        totals = tick.all()
        if self._since is None:
            self._since = tick.at
        self._until = tick.at + tick.seconds
        self._ticks.append((tick.at, tick.seconds, totals))
        self._whole.add(totals)
        while len(self._ticks) > 1 and self._ticks[0][0] < self._until - self.seconds - _SLACK:
            self._drop(self._ticks.popleft()[2])

    def totals(self) -> Totals:
        """What happened in the window; the caller's own copy."""
        copy = Totals()
        copy.add(self._whole)
        return copy

    @property
    def covered(self) -> float:
        """Seconds that the ticks in the window last: what rates are over."""
        return sum(seconds for _, seconds, _ in self._ticks)

    @property
    def full(self) -> bool:
        """Whether ticks have come for as long as the window is."""
        return self._since is not None and self._until - self._since >= self.seconds - _SLACK

    def _drop(self, old: Totals) -> None:
        whole = self._whole
        whole.sent -= old.sent
        whole.ended -= old.ended
        whole.good -= old.good
        whole.pairs -= old.pairs
        whole.bytes_out -= old.bytes_out
        whole.bytes_in -= old.bytes_in
        _subtract(whole.errors, old.errors)
        _subtract(whole.upstreams, old.upstreams)
        kept = [totals for _, _, totals in self._ticks]
        _take(whole.response, old.response, (totals.response for totals in kept))
        _take(whole.service, old.service, (totals.service for totals in kept))
        _take(whole.first_byte, old.first_byte, (totals.first_byte for totals in kept))


class AbortWatch:
    """Decides, tick after tick, whether a run is so bad that it must stop.

    Give it the ticks of measured phases. A threshold is looked at once its window is full.

    Raises:
        UsageError: an abort's threshold cannot be read.
    """

    def __init__(self, aborts: Iterable[Abort]) -> None:
        self._windows: dict[float, Window] = {}
        self._rules: list[_Rule] = []
        for abort in aborts:
            try:
                threshold = parse_threshold(abort.threshold)
            except ValueError as error:
                raise UsageError(f"abort on: {error}") from None
            window = self._windows.setdefault(abort.window, Window(abort.window))
            self._rules.append(_Rule(abort, threshold, window))

    def take(self, tick: Tick) -> str | None:
        """Why the run must stop after this tick; None while it may go on."""
        for window in self._windows.values():
            window.add(tick)
        for rule in self._rules:
            if why := rule.why(tick.client.in_flight):
                return why
        return None


class _Rule:
    def __init__(self, abort: Abort, threshold: Threshold, window: Window) -> None:
        self._abort = abort
        self._threshold = threshold
        self._window = window
        self._broken = 0

    def why(self, in_flight: int) -> str | None:
        if not self._window.full:
            return None
        totals = self._window.totals()
        [judgement] = judge_totals(totals, self._window.covered, [self._threshold])
        # Nothing to measure is a frozen server where something was asked of it, else a pause.
        asked = in_flight > 0 or totals.sent > 0
        broken = not judgement.passed and (judgement.observed is not None or asked)
        self._broken = self._broken + 1 if broken else 0
        if self._broken < self._abort.after:
            return None
        observed = judgement.observed
        seen = "no answer" if observed is None else show(judgement.metric, observed)
        ticks = f" in {self._broken} ticks running" if self._broken > 1 else ""
        return (
            f"{self._threshold.text} was broken over the last {self._abort.window:g} s{ticks}: "
            f"{seen}"
        )


def _subtract(whole: dict[Key, int], part: dict[Key, int]) -> None:
    for key, count in part.items():
        left = whole[key] - count
        if left:
            whole[key] = left
        else:
            del whole[key]


def _take(whole: Histogram, old: Histogram, kept: Iterable[Histogram]) -> None:
    """Make ``whole`` what is left without ``old``: the sum of ``kept``."""
    _subtract(whole.counts, old.counts)
    whole.total -= old.total
    whole.sum -= old.sum
    left = [histogram for histogram in kept if histogram.total]
    whole.least = min((histogram.least for histogram in left), default=0)
    whole.largest = max((histogram.largest for histogram in left), default=0)
