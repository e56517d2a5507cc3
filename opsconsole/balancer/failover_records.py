"""What a failover test found. Times are seconds from the run's start, unless said otherwise."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from opsconsole.load.records import Judgement
from opsconsole.load.summary import Verdict


class Settings(Struct, frozen=True, kw_only=True):
    """How it is run.

    Attributes:
        rate: Requests a second. ``settle``: least length of the first stage, seconds.
        fail_timeout, max_fails, tries: Of nginx.
        as_in_checklist: With the deployment checklist's directives instead of ours.
        drain, kill: Servers; empty: nothing is done to any.
    """

    rate: float = 10.0
    settle: float = 5.0
    fail_timeout: float = 3.0
    max_fails: int = 3
    tries: int = 2
    as_in_checklist: bool = False
    drain: str = ""
    kill: str = ""

    @property
    def away(self) -> float:
        """Seconds that a drained server stays away: nginx asks again after ``fail_timeout``, and
        that must be seen."""
        return 1.5 * self.fail_timeout + 1

    @property
    def return_within(self) -> float:
        """Seconds in which a healthy server must be asked again: a try may just have failed."""
        return 2 * self.fail_timeout + 2


class Event(Struct, frozen=True):
    """Something that was done or seen."""

    at: float
    what: str


class Stage(Struct, frozen=True, kw_only=True):
    """A stretch of the run.

    Attributes:
        requests, good, errors, p50, p95, p99: As the client saw them, in whole seconds of the run;
            the second in which the stage began belongs to it. Latencies in seconds, of good ones.
        worst_gap: Longest time without a good answer, by nginx's log.
        answers: By server, what it answered; ``passed_on``: what it failed and another got.
    """

    name: str
    begin: float
    seconds: float
    requests: int
    good: int
    errors: dict[str, int]
    p50: float | None
    p95: float | None
    p99: float | None
    worst_gap: float | None
    answers: dict[str, int]
    passed_on: dict[str, int]


class Outage(Struct, frozen=True, kw_only=True):
    """A server that was taken away, and came back. None: it did not happen.

    Attributes:
        at: When it was told to drain, or killed. ``gone``: seconds from then until its process had
            ended; ``last_answer``: until its last good answer.
        ejected: Seconds from ``at`` until nginx had tried it for the last time before leaving it
            alone. ``tries``: requests that were sent to it in vain, all passed on or lost.
        healthy: Seconds from ``at`` until it was healthy again.
        returned: Seconds from then until its first good answer.
        by: Who started it again.
    """

    server: str
    how: Literal["drained", "killed"]
    at: float
    gone: float | None = None
    last_answer: float | None = None
    ejected: float | None = None
    tries: int = 0
    healthy: float | None = None
    returned: float | None = None
    by: Literal["its keeper", "opsconsole", ""] = ""


class Share(Struct, frozen=True, kw_only=True):
    """A server's part of the first stage, when all were there.

    Attributes:
        answers: By X-Upstream, as nginx logged it. ``counted``: by its own counter; None where it
            does not tell. ``of_fair``: 1 is an equal part.
    """

    server: str
    answers: int
    counted: int | None
    of_fair: float


class Check(Struct, frozen=True):
    """One thing that had to hold."""

    what: str
    passed: bool
    observed: str


class Failover(Struct, frozen=True, kw_only=True):
    """A failover test that was run.

    Attributes:
        run: Id of the stored load test. ``at``: its start, Unix seconds.
        verdict: ``passed`` only when every threshold and every check holds.
        left_out: Servers of the profile that had no part, and why.
        not_restored: What could not be brought back to how it was.
        examples: An answer or message for each kind of error.
    """

    run: str
    at: float
    profile: str
    nginx: str
    servers: tuple[str, ...]
    settings: Settings
    verdict: Verdict
    stages: tuple[Stage, ...]
    outages: tuple[Outage, ...]
    shares: tuple[Share, ...]
    thresholds: tuple[Judgement, ...]
    checks: tuple[Check, ...]
    events: tuple[Event, ...]
    examples: dict[str, str]
    invalid: tuple[str, ...] = ()
    stopped: str = ""
    left_out: tuple[str, ...] = ()
    not_restored: tuple[str, ...] = ()
