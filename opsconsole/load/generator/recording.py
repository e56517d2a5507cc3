"""What happened in one phase, between two frames.

Raw nanoseconds are appended and counted some dozens at a time: a burst of counting once a frame
would make the sends after it late.
"""

from __future__ import annotations

from opsconsole.load.generator.failures import EXAMPLE, KINDS, redacted
from opsconsole.load.histogram import Histogram
from opsconsole.load.messages import Frame
from opsconsole.load.records import Client, Totals, answers
from opsconsole.text import clean_line

SLICE = 128
"""Requests that are counted at a time."""

Came = tuple[int, int, int, int]
"""Good ones, ends, pairs and answers."""
_NOTHING: Came = (0, 0, 0, 0)


def _more(a: Came, b: Came) -> Came:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def _less(a: Came, b: Came) -> Came:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


class Tally:
    """The requests to one server. ``is_open``: their response time differs from service."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "checked",
        "errors",
        "first",
        "good",
        "is_open",
        "mark",
        "others",
        "outside",
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
        self.mark: Came | None = None
        self.reset()

    def reset(self) -> None:
        self.sent = self.good = self.pairs = self.bytes_out = self.bytes_in = self.checked = 0
        # Good, ended, pairs and answers that came when the phase's time did not run; and, while it
        # does not, how many there were when that was last asked. ``others``: those of phases before
        # that came while it ran.
        self.outside = self.others = _NOTHING
        if self.mark is not None:
            self.mark = _NOTHING
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

    def _so_far(self) -> Came:
        ended = self.good + sum(self.errors.values())
        return self.good, ended, self.pairs, self.good + answers(self.errors)

    def halt(self) -> None:
        """The phase's time stands still, or is over."""
        if self.mark is None:
            self.mark = self._so_far()

    def go_on(self) -> None:
        """The phase's time runs again."""
        self.strays()
        self.mark = None

    def strays(self) -> Came:
        """What came since the last call, if the phase's time does not run."""
        if self.mark is None:
            return _NOTHING
        so_far = self._so_far()
        came = _less(so_far, self.mark)
        self.outside, self.mark = _more(self.outside, came), so_far
        return came

    def take_in(self, came: Came) -> None:
        """Requests of a phase before have ended in the time of this one."""
        self.others = _more(self.others, came)

    def cut(self, *, last: bool) -> Totals | None:
        """The totals since the last cut; None when nothing happened. What was told as sent and was
        not, as it turned out, is taken off what is sent next, or off the ``last`` totals."""
        owed = (0, 0) if last else (min(self.sent, 0), min(self.bytes_out, 0))
        if not (self.sent - owed[0] or self.good or self.errors or any(self.others)):
            return None
        self.count()
        self.service.add(self.same)
        self.first.add(self.same)
        totals = Totals(
            sent=self.sent - owed[0],
            ended=self.good + sum(self.errors.values()),
            good=self.good,
            pairs=self.pairs,
            bytes_out=self.bytes_out - owed[1],
            bytes_in=self.bytes_in,
            errors=self.errors,
            upstreams=self.upstreams,
            response=self.response if self.is_open else self.service,
            service=self.service,
            first_byte=self.first,
            checked=self.checked,
        )
        self.strays()
        (
            totals.after_good,
            totals.after_ended,
            totals.after_pairs,
            totals.after_answered,
        ) = _less(self.outside, self.others)
        self.reset()
        self.sent, self.bytes_out = owed
        return totals


class Recorder:
    """One phase.

    Attributes:
        open_requests: How many of its requests are in flight.
        machine: How this process fared until the phase's sending was over, for its next frame.
        since: Since when something is in flight without a break, time.monotonic_ns.
    """

    def __init__(
        self,
        number: int,
        names: tuple[str, ...],
        *,
        is_open: bool,
        begin: int,
        since: int = 0,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.number = number
        self.since = since or begin
        self._secrets = secrets
        self.names = names
        self.is_open = is_open
        self.tallies = [Tally(is_open) for _ in names]
        self.open_requests = 0
        self.over = False
        self.due = self.dropped = self.retried = 0
        self.raw_late: list[int] = []
        self.late = Histogram()
        self.failures: dict[str, int] = {}
        self._kinds: set[str] = set()
        self._upstreams: set[str] = set()
        self._examples: dict[str, str] = {}
        self.machine: Client | None = None
        self._begin = begin
        self._paused_at = self._idle = self.paused = 0

    def close(self) -> None:
        """The phase's time is over: nothing more is sent."""
        self.over = True
        for tally in self.tallies:
            tally.halt()

    @property
    def runs(self) -> bool:
        """Whether the phase's time passes."""
        return not (self.over or self._paused_at)

    def pause(self, now: int) -> None:
        """Nothing is to be sent from now on, until :meth:`resume`."""
        self._paused_at = now
        for tally in self.tallies:
            tally.halt()

    def resume(self, now: int) -> None:
        """Send again, or end."""
        if self._paused_at:
            self._idle += now - self._paused_at
            self.paused += now - self._paused_at
            self._paused_at = 0
            for tally in self.tallies:
                tally.go_on()

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
        self._count(tally, kind, example)

    def unasked(self, tally: Tally, data: bytes) -> None:
        """An answer came to no request: an end without a beginning, and no good one."""
        tally.bytes_in += len(data)
        text = data[:EXAMPLE].decode("utf-8", "replace")
        self._count(tally, "unasked", f"on an idle connection: {text}")

    def _count(self, tally: Tally, kind: str, example: str) -> None:
        kind = self._known(kind, self._kinds)
        if kind not in self._examples and kind not in tally.errors:
            # The console keeps the first; one a frame is enough.
            self._examples[kind] = self._told(example)
        tally.errors[kind] = tally.errors.get(kind, 0) + 1

    def unsent(self, tally: Tally, size: int, kind: str, example: str) -> None:
        """A request could not be sent, and that is this machine's fault."""
        self.open_requests -= 1
        tally.sent -= 1
        tally.bytes_out -= size
        self.failures[kind] = self.failures.get(kind, 0) + 1
        self._examples.setdefault(kind, self._told(example))

    def upstream(self, tally: Tally, name: str) -> None:
        """The server behind the balancer that answered."""
        name = self._known(name, self._upstreams)
        tally.upstreams[name] = tally.upstreams.get(name, 0) + 1

    def _told(self, text: str) -> str:
        """Foreign text, fit to be kept: a server may repeat the key that it was sent."""
        return clean_line(redacted(text, self._secrets), EXAMPLE)

    def _known(self, name: str, names: set[str]) -> str:
        if name in names:
            return name
        name = clean_line(redacted(name, self._secrets), 80)
        if name in names:
            return name
        if len(names) >= KINDS:
            return "other"
        names.add(name)
        return name

    def cut(self, now: int) -> Frame | None:
        """The frame up to ``now``; None when the phase's sending is over and nothing happened."""
        totals = {}
        last = self.over and not self.open_requests
        for name, tally in zip(self.names, self.tallies, strict=True):
            if (part := tally.cut(last=last)) is not None:
                totals[name] = part
        told = self._idle or totals or self.due or self.failures or self.machine
        if self.over and not told:
            return None
        if self.raw_late:
            self.late.record(self.raw_late)
            self.raw_late.clear()
        if self._paused_at:
            self.resume(now)
            self.pause(now)
        frame = Frame(
            phase=self.number,
            begin=self._begin,
            end=max(now, self._begin),
            paused=self._idle,
            since=self.since,
            totals=totals,
            client=Client(
                due=self.due,
                dropped=self.dropped,
                in_flight=self.open_requests,
                late=self.late,
                failures=self.failures,
                retried=self.retried,
            ),
            examples=self._examples,
        )
        if self.machine is not None:
            frame.client.then(self.machine, keep_in_flight=True)
            self.machine = None
        self._begin = frame.end
        self._idle = 0
        self.due = self.dropped = self.retried = 0
        self.late = Histogram()
        self.failures = {}
        self._examples = {}
        return frame
