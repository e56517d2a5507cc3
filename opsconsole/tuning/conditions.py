"""Pass conditions of the tuning steps: what the evidence says of each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from opsconsole import figures
from opsconsole.load.summary import took
from opsconsole.tuning.records import Change, Condition, Evidence, Figures, Trial

STABLE = 0.10
"""Share by which a latency may be worse and still count as stable."""
WORTH = 0.05
"""Share below which nothing has improved, however surely."""
MEMORY_SHARE = 0.9
"""Of the machine's memory: more than this is an issue."""


def stable(name: str, change: Change | None) -> Condition:
    """A latency is no worse: surely no more than :data:`STABLE`."""
    expected = f"no more than {STABLE:.0%} worse"
    if change is None or change.change is None or change.low is None or change.high is None:
        return Condition(name=name, passed=_infinite(change), observed=_observed(change),
                         expected=expected)  # fmt: skip
    passed: bool | None = None
    if change.high <= STABLE:
        passed = True
    elif change.low > 0 and change.change > 0.01:
        passed = False
    return Condition(name=name, passed=passed, observed=_judged(change, passed), expected=expected)


def improved(name: str, change: Change | None, *, more: bool) -> Condition:
    """A metric is surely better: more of a throughput, less of a latency."""
    expected = "surely more" if more else "surely less"
    if change is None or change.change is None or change.low is None or change.high is None:
        return Condition(name=name, passed=_infinite(change), observed=_observed(change),
                         expected=expected)  # fmt: skip
    nearest, farthest = (change.low, change.high) if more else (-change.high, -change.low)
    passed: bool | None = None
    if nearest > 0:
        passed = True
    elif farthest < WORTH:
        passed = False
    return Condition(name=name, passed=passed, observed=_judged(change, passed), expected=expected)


def _judged(change: Change, passed: bool | None) -> str:
    undecided = ": too wide to tell; a longer --budget or a quieter machine narrows it"
    return _observed(change) + (undecided if passed is None else "")


def _infinite(change: Change | None) -> bool | None:
    """So many failed that it is no figure any more: a failure, when that is new."""
    if change is None or change.after is None or change.before is None:
        return None
    return False if math.isinf(change.after) and math.isfinite(change.before) else None


def _observed(change: Change | None) -> str:
    if change is None or change.before is None or change.after is None:
        return "not measured"
    show = _rate if change.metric == "rate" else took
    text = f"{change.metric} {show(change.before)} → {show(change.after)}"
    if change.change is None or change.low is None or change.high is None:
        return f"{text}, too few runs for an interval"
    return f"{text}, {change.change:+.1%} ({change.low:+.1%} to {change.high:+.1%})"


def _rate(value: float | None) -> str:
    return f"{figures.rate(value)}/s"


def lasting(trials: Sequence[Trial], evidence: Evidence | None) -> Condition:
    """No server of the trials failed, or came near the end of the memory."""
    import psutil

    name, expected = "no memory issue", f"it lasts, below {MEMORY_SHARE:.0%} of the memory"
    failed = [trial for trial in trials if trial.settings and trial.state == "failed"]
    if failed:
        return Condition(name=name, passed=False, observed=failed[0].reason, expected=expected)
    memory = evidence.after.memory if evidence else None
    if evidence is None or memory is None:
        return Condition(name=name, passed=None, observed="not measured", expected=expected)
    before = evidence.before.memory
    observed = f"{figures.size(before)} → {figures.size(memory)} at most, never out of memory"
    passed = memory < MEMORY_SHARE * psutil.virtual_memory().total
    return Condition(name=name, passed=passed, observed=observed, expected=expected)


def rejections(evidence: Evidence | None) -> Condition:
    """Surely fewer requests were refused."""
    name, expected = "fewer rejected", "surely fewer than before"
    if evidence is None:
        return Condition(name=name, passed=None, observed="not measured", expected=expected)
    old, new = evidence.before, evidence.after
    observed = f"{old.rejected:,} of {old.requests:,} → {new.rejected:,} of {new.requests:,}"
    if not old.rejected and not new.rejected:
        observed += ": the queue was never full (-c sends more)"
        return Condition(name=name, passed=None, observed=observed, expected=expected)
    return Condition(name=name, passed=_fewer(old, new), observed=observed, expected=expected)


def _fewer(old: Figures, new: Figures) -> bool:
    """Whether a smaller share was rejected, by the test of two proportions at 95 %."""
    whole = old.requests + new.requests
    both = (old.rejected + new.rejected) / whole
    spread = math.sqrt(both * (1 - both) * (1 / old.requests + 1 / new.requests))
    difference = old.rejected / old.requests - new.rejected / new.requests
    return difference > 1.96 * spread if spread else difference > 0


def wait(evidence: Evidence | None, limit: float | None) -> Condition:
    """Those that were answered did not wait too long for it."""
    p95 = evidence.after.p95_good if evidence else None
    before = evidence.before.p95_good if evidence else None
    expected = f"p95 at most {took(limit)}" if limit is not None else "a limit: --p95 500ms"
    observed = f"p95 of what was answered {took(p95)}"
    passed: bool | None = None
    if p95 is not None and limit is not None:
        passed = p95 <= limit
        if not passed and before is not None and before > limit:
            passed = None
            observed += f", and {took(before)} before: the limit was broken as it was"
    return Condition(name="wait acceptable", passed=passed, observed=observed, expected=expected)
