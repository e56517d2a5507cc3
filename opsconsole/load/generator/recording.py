"""What happened in one phase, between two frames.

Raw nanoseconds are appended and counted some dozens at a time: a burst of counting once a frame
would make the sends after it late.
"""

from __future__ import annotations

from opsconsole.load.generator.failures import EXAMPLE, KINDS
from opsconsole.load.histogram import Histogram
from opsconsole.load.messages import Frame
from opsconsole.load.records import Client, Totals
from opsconsole.text import clean_line

SLICE = 128
"""Requests that are counted at a time."""


class Tally:
    """The requests to one server. ``is_open``: their response time differs from service."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "errors",
        "first",
        "good",
        "is_open",
        "pairs",
        "raw_first",
        "raw_late",
        "raw_response",
        "raw_same",
        "raw_service",
        "response",
        "same",
        "sent",
        "service",
        "upstreams",
    )

    def __init__(self, is_open: bool) -> None:
        self.is_open = is_open
        self.reset()

    def reset(self) -> None:
        self.sent = self.good = self.pairs = self.bytes_out = self.bytes_in = 0
        self.errors: dict[str, int] = {}
        self.upstreams: dict[str, int] = {}
        # An answer that came in one piece has its first byte at its end: counted once for both.
        self.same, self.service, self.first = Histogram(), Histogram(), Histogram()
        self.response = Histogram()
        self.raw_same: list[int] = []
        self.raw_service: list[int] = []
        self.raw_first: list[int] = []
        self.raw_response: list[int] = []

    def count(self) -> None:
        """Count what is raw."""
        for raw, histogram in (
            (self.raw_same, self.same),
            (self.raw_service, self.service),
            (self.raw_first, self.first),
            (self.raw_response, self.response),
        ):
            if raw:
                histogram.record(raw)
                raw.clear()

    def cut(self) -> Totals | None:
        """The totals since the last cut; None when nothing happened."""
        if not (self.sent or self.good or self.errors):
            return None
        self.count()
        self.service.add(self.same)
        self.first.add(self.same)
        totals = Totals(
            sent=self.sent,
            ended=self.good + sum(self.errors.values()),
            good=self.good,
            pairs=self.pairs,
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
            errors=self.errors,
            upstreams=self.upstreams,
            response=self.response if self.is_open else self.service,
            service=self.service,
            first_byte=self.first,
        )
        self.reset()
        return totals


class Recorder:
    """One phase. ``open_requests``: how many of its requests are in flight."""

    def __init__(self, number: int, names: tuple[str, ...], *, is_open: bool, begin: int) -> None:
        self.number = number
        self.names = names
        self.is_open = is_open
        self.tallies = [Tally(is_open) for _ in names]
        self.open_requests = 0
        self.over = False
        self.due = self.dropped = 0
        self.raw_late: list[int] = []
        self.late = Histogram()
        self.failures: dict[str, int] = {}
        self._kinds: set[str] = set()
        self._upstreams: set[str] = set()
        self._examples: dict[str, str] = {}
        self._begin = begin

    def started(self, target: int, size: int, late: int) -> Tally:
        """A request is sent ``late`` ns after its moment."""
        self.open_requests += 1
        tally = self.tallies[target]
        tally.sent += 1
        tally.bytes_out += size
        if self.is_open:
            raw = self.raw_late
            raw.append(late)
            if len(raw) >= SLICE:
                self.late.record(raw)
                raw.clear()
        return tally

    def bad(self, tally: Tally, kind: str, example: str) -> None:
        """A request ended otherwise than it should."""
        self.open_requests -= 1
        kind = self._known(kind, self._kinds)
        if kind not in self._examples and kind not in tally.errors:
            # The console keeps the first; one a frame is enough.
            self._examples[kind] = clean_line(example, EXAMPLE)
        tally.errors[kind] = tally.errors.get(kind, 0) + 1

    def unsent(self, tally: Tally, size: int, kind: str, example: str) -> None:
        """A request could not be sent, and that is this machine's fault."""
        self.open_requests -= 1
        tally.sent -= 1
        tally.bytes_out -= size
        self.failures[kind] = self.failures.get(kind, 0) + 1
        self._examples.setdefault(kind, clean_line(example, EXAMPLE))

    def upstream(self, tally: Tally, name: str) -> None:
        """The server behind the balancer that answered."""
        name = self._known(clean_line(name, 80), self._upstreams)
        tally.upstreams[name] = tally.upstreams.get(name, 0) + 1

    def _known(self, name: str, names: set[str]) -> str:
        if name in names:
            return name
        if len(names) >= KINDS:
            return "other"
        name = clean_line(name, 80)
        names.add(name)
        return name

    def cut(self, now: int, cpu: float) -> Frame | None:
        """The frame up to ``now``; None when the phase's sending is over and nothing happened."""
        totals = {}
        for name, tally in zip(self.names, self.tallies, strict=True):
            if (part := tally.cut()) is not None:
                totals[name] = part
        if self.over and not (totals or self.due or self.failures):
            return None
        if self.raw_late:
            self.late.record(self.raw_late)
            self.raw_late.clear()
        frame = Frame(
            phase=self.number,
            begin=self._begin,
            end=max(now, self._begin),
            totals=totals,
            client=Client(
                due=self.due,
                dropped=self.dropped,
                in_flight=self.open_requests,
                cpu=cpu,
                late=self.late,
                failures=self.failures,
            ),
            examples=self._examples,
        )
        self._begin = frame.end
        self.due = self.dropped = 0
        self.late = Histogram()
        self.failures = {}
        self._examples = {}
        return frame
