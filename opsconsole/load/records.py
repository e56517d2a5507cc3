"""What a run is told in: totals that merge exactly, a tick a second, and the whole run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec import Struct, field

from opsconsole.load.histogram import Histogram
from opsconsole.load.plan import Phase, Plan

NO_TIME = 1e-3
"""Seconds of a tick in which no time of the run passed: a rate over it is no rate."""
TICK = 1.0
"""Seconds of a tick."""


_ANSWERED = ("HTTP ", "wrong answer", "answer too large", "other")
"""How kinds of errors begin that are answers. ``other``: all beyond the fiftieth kind, and only
what answers say of themselves has so many."""
_CHECKED = ("wrong answer", "answer too large")
"""Of them, those that only a look at the body shows."""


def is_answer(kind: str) -> bool:
    """Whether an error of this kind is an answer of the server, wrong as it may be. A timeout, a
    connection refused or closed is none: there the client gave up."""
    return kind.startswith(_ANSWERED)


def answers(errors: Mapping[str, int]) -> int:
    """How many of the errors, counted by kind, are answers."""
    return sum(count for kind, count in errors.items() if is_answer(kind))


class Rates(NamedTuple):
    """A second; None where no time has passed."""

    good: float | None
    ended: float | None
    pairs: float | None
    answered: float | None

    @property
    def failed(self) -> float | None:
        """Those that ended otherwise than they should."""
        return None if self.ended is None or self.good is None else self.ended - self.good


class Totals(Struct):
    """Counts of requests to one server; two of them add up.

    Attributes:
        sent: Requests begun: a connection opened for them, or their first byte sent. ``ended``:
            those with an outcome.
        good: Ended as they should: a 2xx whose answer, where it was checked, is right.
        errors: The others by kind, such as ``503 queue_full``, ``timeout``, ``wrong answer``.
        response: From the intended moment to the end; for a closed loop from the sending.
        service: From the sending to the end.
        first_byte: From the sending to the first byte of the answer's body, or of all of it where
            it has none: a stream's head says nothing of when its first word comes.
        pairs: Scored pairs of the good ones (requests, where there are no pairs).
        after_good, after_ended, after_pairs, after_answered: What is to be taken off for rates
            (:mod:`~opsconsole.load.rates`): those of them that came when the phase's time did not
            run, after its end or in a pause, less those of the phases before that came in it.
            Below 0 where those are more.
        checked: Answers with a 2xx whose body was looked at.
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
    after_good: int = 0
    after_ended: int = 0
    after_pairs: int = 0
    after_answered: int = 0
    checked: int = 0

    @property
    def answered(self) -> int:
        """Requests that the server answered, well or not; see :func:`is_answer`."""
        return self.good + answers(self.errors)

    @property
    def wrong(self) -> int:
        """Those of the checked answers that were wrong."""
        return sum(n for kind, n in self.errors.items() if kind.startswith(_CHECKED))

    @property
    def sound(self) -> float:
        """The share (0..1) of ``good`` that counts as good. Below 1 where answers were checked on a
        sample and some were wrong: of the others as many are taken to be, or a server that answers
        nonsense would pass because hardly anybody looked."""
        right = self.checked - self.wrong
        unchecked = self.good - right
        if not self.checked or right == self.checked or unchecked <= 0:
            return 1.0
        return (right + unchecked * right / self.checked) / self.good

    @property
    def failures(self) -> int:
        """How many failed requests stand against all of ``good`` in a percentile."""
        sound = self.sound
        if sound == 1.0:
            return self.ended - self.good
        return round(self.ended / max(sound, 1e-9)) - self.good

    def rates(self, seconds: float) -> Rates:
        """What came a second in a phase, or part of one, that lasted ``seconds``: see
        :mod:`~opsconsole.load.rates`."""
        if seconds <= 0:
            return Rates(None, None, None, None)
        sound = self.sound
        return Rates(
            (self.good - self.after_good) * sound / seconds,
            (self.ended - self.after_ended) / seconds,
            (self.pairs - self.after_pairs) * sound / seconds,
            (self.answered - self.after_answered) / seconds,
        )

    @staticmethod
    def sum(many: Iterable[Totals]) -> Totals:
        """What all of them counted."""
        whole = Totals()
        for totals in many:
            whole.add(totals)
        return whole

    def add(self, other: Totals) -> None:
        """Count what ``other`` counted too."""
        self.after_good += other.after_good
        self.after_ended += other.after_ended
        self.after_pairs += other.after_pairs
        self.after_answered += other.after_answered
        self.checked += other.checked
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


BUSY = 0.8
"""Share of a core's time above which a generator's clock is no longer to be trusted."""


class Client(Struct):
    """How the generator itself fared; several processes add up.

    Attributes:
        due: Requests that the schedule asked for. ``dropped``: not sent, too many in flight.
        late: From the intended moment to the sending, open loop only.
        cpu: Share (0..1) of a core's time that the busiest process took at its busiest.
        busy: Seconds in which that share was above :data:`BUSY`.
        wanted: Seconds in which it ran or waited for a core to run on.
        in_flight: At the end. ``waits``: seconds for which the oldest of them had waited then; it
            is not stored.
        beats: How late it was at something it meant to do every 10 ms, whatever the servers did.
        stalled: Seconds in which it did not run though it wanted to, in stretches above 10 ms.
        failures: Trouble on this side by kind: no ports left, no files left.
        retried: Requests sent again, because the kept connection that they went over was lost, as
            it seems without fault (RFC 9112 §9.5); each counts once, from its first sending.
    """

    due: int = 0
    dropped: int = 0
    in_flight: int = 0
    cpu: float = 0.0
    late: Histogram = field(default_factory=Histogram)
    failures: dict[str, int] = field(default_factory=dict)
    retried: int = 0
    beats: Histogram = field(default_factory=Histogram)
    stalled: float = 0.0
    busy: float = 0.0
    wanted: float = 0.0
    waits: float = 0.0

    def add(self, other: Client) -> None:
        """The same for both processes at one time; ``in_flight`` adds up, ``cpu`` is the higher."""
        self.in_flight += other.in_flight
        self.waits = max(self.waits, other.waits)
        self.then(other, keep_in_flight=True)

    def then(self, other: Client, *, keep_in_flight: bool = False) -> None:
        """What followed: counts add up, ``in_flight`` is the later one."""
        self.due += other.due
        self.dropped += other.dropped
        self.retried += other.retried
        self.cpu = max(self.cpu, other.cpu)
        self.late.add(other.late)
        self.beats.add(other.beats)
        self.stalled += other.stalled
        self.busy += other.busy
        self.wanted += other.wanted
        for name, count in other.failures.items():
            self.failures[name] = self.failures.get(name, 0) + count
        if not keep_in_flight:
            self.in_flight, self.waits = other.in_flight, other.waits


class ServerSample(Struct, frozen=True, kw_only=True):
    """What a server said of itself during a tick; None where it does not say."""

    waiting: float | None = None
    active: float | None = None
    inference_ms: float | None = None
    queue_ms: float | None = None
    batch_pairs: float | None = None
    """Mean pairs of a batch."""
    gpu: float | None = None
    """Busy share (0..1) of its GPU, where that is in this machine."""
    cache_hits: float | None = None
    """Share (0..1) of hits among look-ups in the tick."""
    state: str = ""


class Tick(Struct, kw_only=True):
    """One second of a run.

    Attributes:
        at: Seconds from the run's start to the tick's start. ``seconds``: its length.
        phase: Index into the run's phases.
        totals: By server.
        since: Since when something is in flight without a break, seconds from the run's start;
            None where that is not known.
    """

    at: float
    seconds: float
    phase: int
    totals: dict[str, Totals]
    client: Client
    servers: dict[str, ServerSample] = {}
    since: float | None = None

    @property
    def is_pause(self) -> bool:
        """Whether no time of the run passed in it: a pause, or what came after the last phase."""
        return self.seconds <= NO_TIME

    def all(self) -> Totals:
        """The totals of all servers."""
        return Totals.sum(self.totals.values())


class PhaseResult(Struct, kw_only=True):
    """A phase that has ended: its totals by server, over ``seconds``, in ``idle`` of which no
    answer could come yet: see :func:`opsconsole.load.rates.idle`."""

    phase: Phase
    seconds: float
    totals: dict[str, Totals]
    client: Client
    idle: float = 0.0

    @property
    def rated(self) -> float:
        """Seconds that rates are over."""
        return max(0.0, self.seconds - self.idle)

    def all(self) -> Totals:
        """The totals of all servers."""
        return Totals.sum(self.totals.values())


class Judgement(Struct, frozen=True, kw_only=True):
    """One threshold, measured.

    Attributes:
        observed: None: nothing to measure, which is no pass.
        server: Whose answers; empty: those of all.
        maximum_of: Of a percentile that so few requests are too few for, it being their maximum:
            how many they are. 0: of anything else.
        begin, end: The window in which it was worst, seconds from the run's start; None: the whole.
    """

    threshold: str
    metric: str
    limit: float
    observed: float | None
    passed: bool
    server: str = ""
    begin: float | None = None
    end: float | None = None
    maximum_of: int = 0


class Conclusion(Struct, frozen=True, kw_only=True):
    """What a search or a stress test found, in words and as a number (rate a second, or clients).

    ``low`` and ``high`` bracket it: the highest that held, the lowest that broke (None: none did).
    ``phase``: the run's last phase that held at ``low``. ``interval``: between which limits it lies
    with 90 % probability; None where that cannot be said.
    """

    text: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    phase: int | None = None
    interval: tuple[float, float] | None = None


class ServerFacts(Struct, frozen=True, kw_only=True):
    """Which server was loaded, for comparing runs."""

    url: str
    model: str = ""
    version: str = ""
    device: str = ""
    dtype: str = ""
    certificate: str = ""
    """``not checked`` where nobody looked at it."""
    batch_limit: int | None = None
    """Most documents of a request that it takes, where it says so: larger ones go in parts."""


class Run(Struct, kw_only=True):
    """A load test that was run.

    Attributes:
        id: ``20261121-143010-smoke-ab12cd``, in UTC.
        at: Start, Unix seconds.
        fingerprint: SHA-256 of plan and profile, hexadecimal.
        stopped: Why it ended before its plan did; empty when it ran to its end.
        invalid: Reasons why the numbers say nothing about the servers; empty for a valid run.
        examples: An answer or message for each kind of error.
        interventions: What the operator changed meanwhile; such a run is not what its plan says,
            and is compared with no other.
        series: The id of the first of the repetitions that it is one of; empty: of none.
        processes: Of the generator; 0 in a run of a version that did not say.
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
    interventions: list[str] = []
    series: str = ""
    processes: int = 0
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
            idle=sum(result.idle for result in phases),
        )
        for result in phases:
            for name, totals in result.totals.items():
                whole.totals.setdefault(name, Totals()).add(totals)
            whole.client.then(result.client)
        return whole
