"""The last seconds of a run, and whether they are bad enough to stop it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from opsconsole.errors import UsageError
from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import measure, show
from opsconsole.load.plan import Abort
from opsconsole.load.records import Tick, Totals
from opsconsole.profile.threshold import Threshold, parse_threshold

_SLACK = 0.5
"""Seconds by which a tick may lie before a window and still belong to it: ticks are a second long
by the clock, not to the nanosecond."""

Key = TypeVar("Key", int, str)


class Window:
    """The totals of the last ``seconds`` seconds, kept up in time proportional to one tick.

    Args:
        server: Only this one's; empty: those of all servers.
    """

    def __init__(self, seconds: float, server: str = "") -> None:
        self.seconds = seconds
        self._server = server
        self._ticks: deque[tuple[float, float, Totals]] = deque()
        self._whole = Totals()
        self._covered = self._until = 0.0

    def add(self, tick: Tick) -> None:
        """Take the next tick in; what has become too old goes out."""
        totals = tick.totals.get(self._server, Totals()) if self._server else tick.all()
        self._until = tick.at + tick.seconds
        self._ticks.append((tick.at, tick.seconds, totals))
        self._whole.add(totals)
        self._covered += tick.seconds
        while len(self._ticks) > 1 and self._covered - self._ticks[0][1] >= self.seconds - _SLACK:
            _, seconds, old = self._ticks.popleft()
            self._covered -= seconds
            self._drop(old)

    def totals(self) -> Totals:
        """What happened in the window; the caller's own copy."""
        copy = Totals()
        copy.add(self._whole)
        return copy

    @property
    def begin(self) -> float:
        """When the oldest tick in it began, seconds from the run's start."""
        return self._ticks[0][0] if self._ticks else 0.0

    @property
    def end(self) -> float:
        """When the newest one ended."""
        return self._until

    @property
    def covered(self) -> float:
        """Seconds that the ticks in the window last, without pauses: what rates are over."""
        return self._covered

    @property
    def full(self) -> bool:
        """Whether ticks have come for as long as the window is."""
        return self._covered >= self.seconds - _SLACK

    def _drop(self, old: Totals) -> None:
        whole = self._whole
        whole.sent -= old.sent
        whole.ended -= old.ended
        whole.good -= old.good
        whole.pairs -= old.pairs
        whole.after_good -= old.after_good
        whole.after_ended -= old.after_ended
        whole.after_pairs -= old.after_pairs
        whole.after_answered -= old.after_answered
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
        self._windows: dict[tuple[float, str], Window] = {}
        self._rules: list[_Rule] = []
        for abort in aborts:
            try:
                threshold = parse_threshold(abort.threshold)
            except ValueError as error:
                raise UsageError(f"abort on: {error}") from None
            key = abort.window, threshold.server
            window = self._windows.setdefault(key, Window(*key))
            self._rules.append(_Rule(abort, threshold, window))

    def take(self, tick: Tick) -> str | None:
        """Why the run must stop after this tick; None while it may go on."""
        for window in self._windows.values():
            window.add(tick)
        if tick.is_pause:
            return None
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
        metric = self._threshold.metric
        observed = measure(metric, totals, self._window.covered)
        # Nothing to measure is a frozen server where something was asked of it, else a pause.
        asked = in_flight > 0 or totals.sent > 0
        broken = not self._threshold.holds(observed) and (observed is not None or asked)
        self._broken = self._broken + 1 if broken else 0
        if self._broken < self._abort.after:
            return None
        seen = "no answer" if observed is None else show(metric, observed)
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
