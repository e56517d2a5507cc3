"""A load test as it is to be run: what is sent, to whom, how fast, and what is expected of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from opsconsole.load_words import DIALECTS, MODES, Arrivals, Dialect, Mode

__all__ = [
    "DIALECTS", "MODES", "Abort", "Arrivals", "Dialect", "Lengths", "Mode", "Phase", "Plan",
    "ReplayFile", "Search", "Seconds", "Steps", "Work",
]  # fmt: skip

Seconds = float


class Lengths(Struct, frozen=True):
    """How many tokens (or documents): ``fixed`` first; ``uniform`` from first to second;
    ``lognormal`` with median first and sigma second."""

    kind: Literal["fixed", "uniform", "lognormal"] = "fixed"
    first: float = 1
    second: float = 0


class ReplayFile(Struct, frozen=True, kw_only=True):
    """What a replayed file held when the plan was made: the same, wherever it lies, is the same
    load.

    Attributes:
        requests: Lines with one. ``size``: bytes of the file. ``sha256``: of them, hexadecimal.
    """

    requests: int
    size: int
    sha256: str


class Work(Struct, frozen=True, kw_only=True):
    """What is sent.

    Attributes:
        repeat: Share (0..1) of pairs that were sent before, for caches.
        check: Share (0..1) of the answers whose body is checked; the status always is.
        replay: A JSONL file of bodies instead of made ones; each line a body, or an object with
            ``body`` and, for ``recorded`` arrivals, ``at`` in seconds.
        replayed: What that file held; None without one, and in a run of a version that did not say.
        method, path, body, headers: The request of the dialect ``http``; ``path`` also overrides
            the route of another dialect, and ``headers`` go with every request.
    """

    dialect: Dialect = "own"
    documents: Lengths = Lengths("fixed", 10)
    document_tokens: Lengths = Lengths("lognormal", 70, 0.5)
    query_tokens: Lengths = Lengths("uniform", 4, 16)
    seed: int = 1
    repeat: float = 0.0
    top_n: int | None = None
    model: str = ""
    check: float = 1.0
    replay: str = ""
    replayed: ReplayFile | None = None
    method: str = "GET"
    path: str = ""
    body: str = ""
    headers: dict[str, str] = {}


class Phase(Struct, frozen=True, kw_only=True):
    """A stretch of a run with one law of sending.

    Closed loop: ``concurrency`` clients, each sends after its last answer and ``think`` seconds.
    Open loop: ``rate`` requests a second (to ``rate_end``, linearly, over ``duration``), whatever
    the server does. Ends after ``duration`` seconds or ``requests`` requests, whichever is first.
    """

    name: str
    measured: bool = True
    duration: Seconds | None = None
    requests: int | None = None
    concurrency: int | None = None
    think: Seconds = 0.0
    rate: float | None = None
    rate_end: float | None = None
    arrivals: Arrivals = "constant"
    recorded: Seconds | None = None
    """From the first to the last request of what is replayed at its recorded moments."""

    @property
    def is_open(self) -> bool:
        """Whether requests are sent by a schedule."""
        return self.concurrency is None


class Steps(Struct, frozen=True, kw_only=True):
    """The stress test: closed-loop steps from ``start`` to ``most`` clients, doubling, of
    ``requests`` requests or ``duration`` seconds each, until a step breaks the thresholds. A client
    waits ``think`` seconds after an answer."""

    start: int = 1
    most: int = 64
    requests: int | None = None
    duration: Seconds | None = 10.0
    think: Seconds = 0.0


class Search(Struct, frozen=True, kw_only=True):
    """The search for the highest rate that keeps the thresholds: doubling from ``start``, then
    bisection until the bracket is within ``tolerance`` (a share), each probe ``duration`` seconds
    after ``warmup``; the answer is then confirmed by ``confirm`` further probes."""

    start: float = 1.0
    most: float = 100_000.0
    tolerance: float = 0.1
    duration: Seconds = 10.0
    warmup: Seconds = 2.0
    confirm: int = 2
    arrivals: Arrivals = "poisson"


class Abort(Struct, frozen=True):
    """Stop the run when ``threshold`` is broken over the last ``window`` seconds in ``after``
    consecutive ticks."""

    threshold: str
    window: Seconds = 10.0
    after: int = 3


class Plan(Struct, frozen=True, kw_only=True):
    """A whole load test.

    Attributes:
        servers: Names of the profile's servers that are loaded in turn; empty: its first.
        phases: What is run, in order; a search or stress test makes its own after them.
        thresholds: Such as ``p95 < 500ms``; empty: the service levels of the servers.
        timeout: Longest time of one request, seconds.
        max_in_flight: Open loop only: what would go beyond is not sent, but counted as dropped.
        upstream_header: The answer's header that names the server behind a load balancer.
        processes: Generator processes; 0 lets the rate and the cores decide.
    """

    name: str
    mode: Mode
    servers: tuple[str, ...] = ()
    work: Work = Work()
    phases: tuple[Phase, ...] = ()
    steps: Steps | None = None
    search: Search | None = None
    thresholds: tuple[str, ...] = ()
    aborts: tuple[Abort, ...] = ()
    timeout: Seconds = 30.0
    max_in_flight: int = 1000
    upstream_header: str = ""
    processes: int = 0
