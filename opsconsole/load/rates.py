"""What a rate is: the answers that came in a stretch of time, divided by that stretch.

*Whose answer.* Where phases follow back to back, an answer counts in the phase in which it came,
whoever sent it: the run's time goes on. Were it the sender's, each border between phases would
throw away what is in flight just then, and a ramp of short steps would show a fraction of what a
slow server does. After the last phase, before a gap and in a pause no time of the run passes, and
an answer that comes then is in no rate: what an overloaded server works off afterwards it did not
do in that time. Shares and percentiles are those of the phase's own requests, whenever they ended.

*Which stretch.* Where something was in flight when a phase began, all of its time. Where nothing
was, the stretch begins when a first answer could come, the least response time after the begin
(:func:`idle`): a server that keeps up with 50/s and takes 3 s for each has done 50/s, not 45/s, in
the first 30 s.
"""

from __future__ import annotations

from opsconsole.load.plan import Phase
from opsconsole.load.records import PhaseResult, Totals
from opsconsole.profile.threshold import METRICS, Threshold

MOST_IDLE = 0.5
"""Of a phase: with less left, a handful of answers would make any rate."""
KEEPS_UP = 2.0
"""Times the least response time that the median may be in an open loop: above it requests queue."""


def least_response(totals: Totals) -> float:
    """The least response time, seconds; 0 where nothing was answered well."""
    return totals.response.least / 1e9 if totals.response.total else 0.0


def idle(phase: Phase, seconds: float, totals: Totals, ahead: float) -> float:
    """For how many seconds at its begin no answer could come.

    Args:
        seconds: The phase's length. ``totals``: of all servers.
        ahead: Seconds before it that something was already in flight without a break.

    An open loop whose requests queue sends faster than it is answered: its first answers come in a
    row, and there is nothing to be taken off without counting one too many. Of a closed loop no
    more is taken off than what its clients still waited for at the end, by Little's law: their
    answers come in step, and the last may have come right before it.
    """
    most = min(least_response(totals) - ahead, seconds * MOST_IDLE)
    if most <= 0 or seconds <= 0:
        return 0.0
    came = totals.ended - totals.after_ended
    if phase.is_open:
        median = totals.response.percentile(50) or 0.0
        if totals.good * 2 < totals.ended or median > KEEPS_UP * least_response(totals):
            return 0.0
        highest = max(phase.rate or 0.0, phase.rate_end or 0.0)
        used = came / highest if highest else 0.0
    else:
        if phase.requests is not None and totals.ended >= phase.requests:
            return 0.0  # it ends with the last answer
        cycle = (totals.response.mean or 0.0) + phase.think
        used = came * cycle / (phase.concurrency or 1)
    return min(most, max(0.0, seconds - used))


def too_short(result: PhaseResult, threshold: Threshold) -> str:
    """Why a broken limit on a rate says nothing: hardly an answer could come in the time, and with
    those that came afterwards it would be kept. Empty where it does."""
    if METRICS[threshold.metric] != "rate" or threshold.below or result.idle <= 0:
        return ""
    totals = result.totals.get(threshold.server, Totals()) if threshold.server else result.all()
    least = least_response(result.all())
    if least < MOST_IDLE * result.seconds:
        return ""
    whole = {"goodput": totals.good, "throughput": totals.answered, "pairs": totals.pairs}
    if not threshold.holds(whole[threshold.metric] / result.seconds):
        return ""
    return (
        f"{result.seconds:.3g}s are too short for {threshold.text}: an answer takes {least:.3g}s "
        "at least; try a longer run"
    )
