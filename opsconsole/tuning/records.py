"""What a tuning is told in: trials, the evidence for a change, and the whole report."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Settings = dict[str, str]
"""Environment variables of a server, as they differ from what was there: empty is as it was."""
Goal = Literal["throughput", "latency"]
TrialState = Literal["measured", "failed", "invalid", "cut off"]
"""``failed``: its server did not come up or did not last; ``invalid``: the load generator was the
bottleneck; ``cut off``: the time was over, or it was interrupted."""


class Figures(Struct, frozen=True, kw_only=True):
    """What a load measured.

    Attributes:
        rate: Good requests a second. ``seconds``: over how long.
        p50, p95: Response times in seconds, failures being infinitely slow; None without any.
        p50_good, p95_good: The same of the good requests alone.
        failed: Requests without a good answer. ``rejected``: of those, refused by the queue.
        memory: Most resident bytes of the server's process; None where it cannot be told.
    """

    seconds: float
    requests: int
    failed: int
    rejected: int
    rate: float
    p50: float | None
    p95: float | None
    p50_good: float | None = None
    p95_good: float | None = None
    memory: int | None = None


class Trial(Struct, frozen=True, kw_only=True):
    """One set of settings under load, once.

    Attributes:
        number: Counted from 1. ``round``: of the halving, from 1; 0 for a confirmation.
        reason: Why it is not ``measured``.
        tau: Kendall's rank correlation of its scores with float32; None when it computes in it.
    """

    number: int
    round: int
    settings: Settings
    state: TrialState
    figures: Figures | None = None
    reason: str = ""
    tau: float | None = None


class Change(Struct, frozen=True, kw_only=True):
    """A metric after against before.

    Attributes:
        before, after: Over all repetitions; seconds, or requests a second. None: not measured.
        change: As a share of before: 0.1 is 10 % more; ``low`` and ``high`` are the ends of its
            95 % interval. None: cannot be said.
    """

    metric: Literal["rate", "p50", "p95"]
    before: float | None
    after: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None


class Evidence(Struct, frozen=True, kw_only=True):
    """Two sets of settings, loaded in turns.

    Attributes:
        settings: Those that were tried against what was there.
        repetitions: Pairs of runs. ``test``: how the intervals were computed, in words.
    """

    settings: Settings
    repetitions: int
    before: Figures
    after: Figures
    changes: tuple[Change, ...]
    test: str

    def of(self, metric: str) -> Change:
        """The change of that metric; KeyError when there is none."""
        for change in self.changes:
            if change.metric == metric:
                return change
        raise KeyError(metric)


class Recommendation(Struct, frozen=True, kw_only=True):
    """What to put into the profile: ``settings`` empty is to keep what is there.

    Attributes:
        why: One sentence. ``evidence`` None: nothing was held against what was there.
    """

    settings: Settings
    why: str
    evidence: Evidence | None = None


class Condition(Struct, frozen=True, kw_only=True):
    """One pass condition of a tuning step; ``passed`` None: it could not be judged."""

    name: str
    passed: bool | None
    observed: str
    expected: str


class Step(Struct, frozen=True, kw_only=True):
    """A tuning step of the checklist, judged."""

    name: str
    settings: Settings
    conditions: tuple[Condition, ...]
    evidence: Evidence | None = None

    @property
    def passed(self) -> bool | None:
        """Whether all conditions hold; None when one of them could not be judged and none broke."""
        found = [condition.passed for condition in self.conditions]
        if False in found:
            return False
        return True if found and None not in found else None


class Report(Struct, frozen=True, kw_only=True):
    """A tuning that has ended.

    Attributes:
        at: Start, Unix seconds. ``seconds``: how long it took, the restoring included.
        load: What was sent, in words. ``limit``: of p95 in seconds; None: none.
        was: The swept settings as they were, those that were not told by their default.
        frontier: Numbers of the trials that no other one of the last round beats in throughput
            and p95.
        recommendation: Of a sweep; ``step``: of a preset.
        stopped: Why it ended before it was done; empty when it was.
        restored: What was put back, in words.
    """

    profile: str
    server: str
    at: float
    seconds: float
    load: str
    goal: Goal
    limit: float | None
    was: Settings
    trials: tuple[Trial, ...]
    frontier: tuple[int, ...] = ()
    recommendation: Recommendation | None = None
    step: Step | None = None
    lines: str = ""
    yaml: str = ""
    notes: tuple[str, ...] = ()
    stopped: str = ""
    restored: str = ""


class Doing(Struct, frozen=True, kw_only=True):
    """What is being done now.

    Attributes:
        what: In words. ``settings``: being tried; None: what was there is being put back.
        until: Monotonic seconds at which the time is over.
    """

    what: str
    settings: Settings | None
    until: float


Event = Doing | Trial
"""What a tuning tells while it is at work."""
