"""The last seconds of a run, and whether they are bad enough to stop it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from opsconsole.errors import UsageError
from opsconsole.load.histogram import Histogram
from opsconsole.load.judge import judgement, measure, show
from opsconsole.load.plan import Abort
from opsconsole.load.records import Client, Tick, Totals
from opsconsole.load.validity import doubt
from opsconsole.profile.threshold import Threshold, parse_threshold

SLACK = 0.5
"""Seconds by which a tick may lie before a window and still belong to it: ticks are a second long
by the clock, not to the nanosecond."""
LEAST_CHECKED = 30
"""Answers of a window that were checked, below which nothing is concluded for those that were not:
of many windows in a row one has a single look, and finds the single wrong answer."""

Key = TypeVar("Key", int, str)


class Window:
    """The totals of the last ``seconds`` seconds, kept up in time proportional to one tick.

    Args:
        server: Only this one's; empty: those of all servers.
    """

    def __init__(self, seconds: float, server: str = "") -> None:
        self.seconds = seconds
        self._server = server
        self._ticks: deque[tuple[float, float, Totals, Client]] = deque()
        self._before: Client | None = None
        self._whole = Totals()
        self._covered = self._until = 0.0

    def add(self, tick: Tick) -> None:
        """Take the next tick in; what has become too old goes out."""
        totals = tick.totals.get(self._server, Totals()) if self._server else tick.all()
        self._until = tick.at + tick.seconds
        self._ticks.append((tick.at, tick.seconds, totals, tick.client))
        self._whole.add(totals)
        self._covered += tick.seconds
        while len(self._ticks) > 1 and self._covered - self._ticks[0][1] >= self.seconds - SLACK:
            _, seconds, old, self._before = self._ticks.popleft()
            self._covered -= seconds
            self._drop(old)

    def totals(self) -> Totals:
        """What happened in the window; the caller's own copy."""
        copy = Totals()
        copy.add(self._whole)
        if copy.checked < LEAST_CHECKED:
            copy.checked = 0
        return copy

    def client(self) -> Client:
        """How the generator fared in it, and just before: what it was late with may end in it."""
        whole = Client()
        if self._before is not None:
            whole.then(self._before)
        for _, _, _, client in self._ticks:
            whole.then(client)
        return whole

    def rated(self, idle: float) -> float | None:
        """Seconds that a rate is over when no answer could come in ``idle`` of it; None where that
        is too much of the window."""
        left = self._covered - idle
        return left if left >= self.seconds - SLACK else None

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
        return self._covered >= self.seconds - SLACK

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
        whole.checked -= old.checked
        whole.bytes_out -= old.bytes_out
        whole.bytes_in -= old.bytes_in
        _subtract(whole.errors, old.errors)
        _subtract(whole.upstreams, old.upstreams)
        kept = [totals for _, _, totals, _ in self._ticks]
        _take(whole.response, old.response, (totals.response for totals in kept))
        _take(whole.service, old.service, (totals.service for totals in kept))
        _take(whole.first_byte, old.first_byte, (totals.first_byte for totals in kept))


class Chain:
    """A stretch of time in which something is in flight without a break, and when a first answer
    could come in it: see :mod:`~opsconsole.load.rates`.

    Attributes:
        since: When it began, seconds from the run's start; None: long ago.
        first: When the tick ended in which a first request ended; None while none has.
    """

    def __init__(self, since: float | None = None) -> None:
        self.since = since
        self.first: float | None = None
        self._least = math.inf

    def after(self, tick: Tick) -> Chain:
        """The chain that the next tick belongs to: this one, or a new one."""
        chain = self if tick.since == self.since else Chain(tick.since)
        for totals in tick.totals.values():
            if totals.ended and chain.first is None:
                chain.first = tick.at + tick.seconds
            if totals.response.total:
                chain._least = min(chain._least, totals.response.least / 1e9)
        return chain

    def is_early(self, begin: float) -> bool:
        """Whether it is not certain yet that an answer could come from ``begin`` on."""
        return self.since is not None and (self.first is None or begin < self.first)

    def idle(self, begin: float, end: float) -> float:
        """In how many seconds of a stretch no answer could come, as far as is known."""
        if self.since is None:
            return 0.0
        least = self._least
        if self.first is not None and math.isinf(least):
            least = 0.0  # all have failed: any of them could have been an answer
        return max(0.0, min(end, self.since + least) - max(begin, self.since))


class AbortWatch:
    """Decides, tick after tick, whether a run is so bad that it must stop.

    Give it the ticks of measured phases. A threshold is looked at once its window is full, one on a
    rate once answers could come in all of it. What the generator alone may have broken stops
    nothing, nor does a share of nothing. Where nothing has ended in the window, a latency is broken
    by what is in flight as soon as that has waited longer than the limit.

    Raises:
        UsageError: an abort's threshold cannot be read.
    """

    def __init__(self, aborts: Iterable[Abort]) -> None:
        self._windows: dict[tuple[float, str], Window] = {}
        self._rules: list[_Rule] = []
        self._chain = Chain()
        for abort in aborts:
            try:
                threshold = parse_threshold(abort.threshold)
            except ValueError as error:
                raise UsageError(f"abort on: {error}") from None
            key = abort.window, threshold.server
            window = self._windows.setdefault(key, Window(*key))
            self._rules.append(_Rule(abort, threshold, window))

    def pass_by(self, tick: Tick) -> None:
        """The next tick, of a phase that is not measured."""
        self._chain = self._chain.after(tick)

    def take(self, tick: Tick) -> str | None:
        """Why the run must stop after this tick; None while it may go on."""
        for window in self._windows.values():
            window.add(tick)
        self._chain = self._chain.after(tick)
        if tick.is_pause:
            return None
        for rule in self._rules:
            if why := rule.why(tick.client, self._chain):
                return why
        return None


class _Rule:
    def __init__(self, abort: Abort, threshold: Threshold, window: Window) -> None:
        self._abort = abort
        self._threshold = threshold
        self._window = window
        self._broken = 0

    def why(self, now: Client, chain: Chain) -> str | None:
        threshold, window = self._threshold, self._window
        if not window.full:
            return None
        metric, unit = threshold.metric, threshold.unit
        over: float | None = window.covered
        if unit == "rate":
            over = window.rated(chain.idle(window.begin, window.end))
        observed = measure(metric, window.totals(), over) if over is not None else None
        seen = show(metric, observed)
        if observed is None and over is not None and now.in_flight:
            # Asked, and not one answer: a frozen server.
            if unit == "rate":
                observed = 0.0
                seen = show(metric, observed)
            elif unit == "seconds" and threshold.below and now.waits > threshold.limit:
                observed = now.waits
                seen = f"no answer for {show(metric, observed)}"
        broken = observed is not None and not threshold.holds(observed)
        if broken:
            judged = judgement(threshold, observed)
            broken = not doubt(judged, window.client(), window.covered)
        self._broken = self._broken + 1 if broken else 0
        if self._broken < self._abort.after:
            return None
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
