"""What a run is told in: totals that merge exactly, a tick a second, and the whole run."""

from __future__ import annotations

from msgspec import Struct, field

from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase, Plan

TICK = 1.0
"""Seconds of a tick."""


class Totals(Struct):
    """Counts of requests to one server; two of them add up.

    Attributes:
        sent: Requests begun: a connection opened for them, or their first byte sent. ``ended``:
            those with an outcome.
        good: Ended as they should: a 2xx whose answer, where it was checked, is right.
        errors: The others by kind, such as ``503 queue_full``, ``timeout``, ``wrong answer``.
        response: From the intended moment to the end; for a closed loop from the sending.
        service: From the sending to the end.
        first_byte: From the sending to the answer's first byte.
        pairs: Scored pairs of the good ones (requests, where there are no pairs).
    """

    sent: int = 0
    ended: int = 0
    good: int = 0
    pairs: int = 0
    bytes_out: int = 0
    bytes_in: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    upstreams: dict[str, int] = field(default_factory=dict)
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    first_byte: Histogram = field(default_factory=Histogram)

    def add(self, other: Totals) -> None:
        """Count what ``other`` counted too."""
        self.sent += other.sent
        self.ended += other.ended
        self.good += other.good
        self.pairs += other.pairs
        self.bytes_out += other.bytes_out
        self.bytes_in += other.bytes_in
        for mine, theirs in ((self.errors, other.errors), (self.upstreams, other.upstreams)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        self.response.add(other.response)
        self.service.add(other.service)
        self.first_byte.add(other.first_byte)


class Client(Struct):
    """How the generator itself fared; several processes add up.

    Attributes:
        due: Requests that the schedule asked for. ``dropped``: not sent, too many in flight.
        late: From the intended moment to the sending, open loop only.
        cpu: Busy share (0..1) of the busiest process's core. ``in_flight``: at the end.
        failures: Trouble on this side by kind: no ports left, no files left.
    """

    due: int = 0
    dropped: int = 0
    in_flight: int = 0
    cpu: float = 0.0
    late: Histogram = field(default_factory=Histogram)
    failures: dict[str, int] = field(default_factory=dict)

    def add(self, other: Client) -> None:
        """The same for both processes at one time; ``in_flight`` adds up, ``cpu`` is the higher."""
        self.in_flight += other.in_flight
        self.then(other, keep_in_flight=True)

    def then(self, other: Client, *, keep_in_flight: bool = False) -> None:
        """What followed: counts add up, ``in_flight`` is the later one."""
        self.due += other.due
        self.dropped += other.dropped
        self.cpu = max(self.cpu, other.cpu)
        self.late.add(other.late)
        for name, count in other.failures.items():
            self.failures[name] = self.failures.get(name, 0) + count
        if not keep_in_flight:
            self.in_flight = other.in_flight


class ServerSample(Struct, frozen=True, kw_only=True):
    """What a server said of itself during a tick; None where it does not say."""

    waiting: float | None = None
    active: float | None = None
    inference_ms: float | None = None
    queue_ms: float | None = None
    cache_hits: float | None = None
    """Share (0..1) of hits among look-ups in the tick."""
    state: str = ""


class Tick(Struct, kw_only=True):
    """One second of a run.

    Attributes:
        at: Seconds from the run's start to the tick's start. ``seconds``: its length.
        phase: Index into the run's phases.
        totals: By server.
    """

    at: float
    seconds: float
    phase: int
    totals: dict[str, Totals]
    client: Client
    servers: dict[str, ServerSample] = {}

    def all(self) -> Totals:
        """The totals of all servers."""
        whole = Totals()
        for totals in self.totals.values():
            whole.add(totals)
        return whole


class PhaseResult(Struct, kw_only=True):
    """A phase that has ended: its totals by server, over ``seconds``."""

    phase: Phase
    seconds: float
    totals: dict[str, Totals]
    client: Client

    def all(self) -> Totals:
        """The totals of all servers."""
        whole = Totals()
        for totals in self.totals.values():
            whole.add(totals)
        return whole


class Judgement(Struct, frozen=True, kw_only=True):
    """One threshold, measured. ``observed`` None: nothing to measure, which is no pass."""

    threshold: str
    metric: str
    limit: float
    observed: float | None
    passed: bool


class Conclusion(Struct, frozen=True, kw_only=True):
    """What a search or a stress test found, in words and as a number (rate a second, or clients).

    ``low`` and ``high`` bracket it: the highest that held, the lowest that broke (None: none did).
    """

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


class ServerFacts(Struct, frozen=True, kw_only=True):
    """Which server was loaded, for comparing runs."""

    url: str
    model: str = ""
    version: str = ""
    device: str = ""
    dtype: str = ""


class Run(Struct, kw_only=True):
    """A load test that was run.

    Attributes:
        id: ``20261121-143010-smoke-ab12``; sorts by time.
        at: Start, Unix seconds.
        fingerprint: SHA-256 of plan and profile, hexadecimal.
        stopped: Why it ended before its plan did; empty when it ran to its end.
        invalid: Reasons why the numbers say nothing about the servers; empty for a valid run.
        examples: An answer or message for each kind of error.
    """

    id: str
    at: float
    plan: Plan
    profile: str
    fingerprint: str
    servers: dict[str, ServerFacts]
    phases: list[PhaseResult] = []
    ticks: list[Tick] = []
    judgements: list[Judgement] = []
    conclusion: Conclusion | None = None
    stopped: str = ""
    invalid: list[str] = []
    examples: dict[str, str] = {}
    machine: str = ""
    version: str = ""

    def measured(self) -> PhaseResult | None:
        """The measured phases as one; None when there is none."""
        phases = [result for result in self.phases if result.phase.measured]
        if not phases:
            return None
        whole = PhaseResult(
            phase=phases[0].phase,
            seconds=sum(result.seconds for result in phases),
            totals={},
            client=Client(),
        )
        for result in phases:
            for name, totals in result.totals.items():
                whole.totals.setdefault(name, Totals()).add(totals)
            whole.client.then(result.client)
        return whole
