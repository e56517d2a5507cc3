"""The four tuning steps of the deployment checklist, each with its pass conditions judged."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from pathlib import Path
from random import Random

from msgspec import Struct

from opsconsole import figures
from opsconsole.errors import OpsError, UsageError
from opsconsole.fleet import Counters, poll
from opsconsole.load.plan import Work
from opsconsole.load.records import PhaseResult
from opsconsole.load.summary import took
from opsconsole.load.work.making import Corpus
from opsconsole.profile import Server
from opsconsole.tuning.evidence import evidence_of, figures_of
from opsconsole.tuning.records import Change, Condition, Evidence, Figures, Settings, Step
from opsconsole.tuning.request import Request, load_of, words_of
from opsconsole.tuning.space import BATCH, CACHE, PARALLEL, QUEUE
from opsconsole.tuning.sweep import Sweep, unsound
from opsconsole.tuning.trial import Bench, TimeOver, TrialFailed

STABLE = 0.10
"""Share by which a latency may be worse and still count as stable."""
WORTH = 0.05
"""Share below which nothing has improved, however surely."""
LEAST_HITS = 0.5
MEMORY_SHARE = 0.9
"""Of the machine's memory: more than this is an issue."""
_REPETITIONS = 5
_CACHED = 3
_SHARE = 0.85
"""Of the time, for the runs."""


class Preset(Struct, frozen=True, kw_only=True):
    """A step: ``setting`` to ``value`` (the next larger one, where it is there already), under
    ``requests`` requests by ``clients`` clients, with pauses of ``think`` seconds."""

    name: str
    title: str
    setting: str
    value: int
    requests: int
    clients: int
    think: float | None = None


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(name="parallelism", title="Increase parallelism", setting=PARALLEL, value=8,
               requests=100, clients=8),
        Preset(name="batch", title="Increase batch size", setting=BATCH, value=32,
               requests=200, clients=8),
        Preset(name="cache", title="Enable caching", setting=CACHE, value=1,
               requests=100, clients=4),
        Preset(name="queue", title="Adjust queue size", setting=QUEUE, value=20,
               requests=500, clients=16, think=0.1),
    )
}  # fmt: skip


def clients_of(request: Request) -> int:
    """How many clients load the server in a preset."""
    return request.clients or PRESETS[request.preset].clients


async def run_step(
    sweep: Sweep, bench: Bench, server: Server, request: Request, limit: float | None, left: float
) -> tuple[Step, str]:
    """The preset's step, judged, and its load in words.

    Args:
        left: Seconds that there are.

    Raises:
        OpsError: what was there cannot be measured.
        Stopped: told to stop.
    """
    preset = PRESETS[request.preset]
    if preset.name == "cache":
        return await _cache(sweep, bench, server, request, left)
    clients = clients_of(request)
    most = _SHARE * left / (2 * _REPETITIONS)
    plan = load_of(
        server.name, request.work, clients, requests=preset.requests,
        # Without a pause, whoever is refused asks again at once, and counts again and again.
        duration=max(3.0, most - 5.0), think=preset.think,
    )  # fmt: skip
    first = await sweep.once({}, plan)
    if first is None:
        raise OpsError(f"as it is, it cannot be measured: {sweep.trials[-1].reason}",
                       where=server.name)  # fmt: skip
    settings = _settings(preset, sweep, request)

    evidence = await sweep.turns(settings, _REPETITIONS, lambda tried: sweep.once(tried, plan))
    words = f"{words_of(request.work, clients)}, at most {preset.requests} requests a run"
    if preset.think:
        words += f", {took(preset.think)} between a client's requests"
    conditions = _CONDITIONS[preset.name](sweep, evidence, limit)
    return Step(name=preset.title, settings=settings, conditions=conditions,
                evidence=evidence), words  # fmt: skip


def _settings(preset: Preset, sweep: Sweep, request: Request) -> Settings:
    sweep.read_was()
    was = sweep.was.get(preset.setting, "")
    if chosen := request.values.get(preset.setting):
        if chosen[0] == was:
            raise UsageError(f"{preset.setting} is {was} already", where="--set",
                             hint="give another value")  # fmt: skip
        return {preset.setting: chosen[0]}
    if preset.setting == CACHE:
        return {CACHE: "true"}
    there = int(was) if was else 0
    return {preset.setting: str(preset.value if preset.value > there else 2 * there)}


# -- conditions -----------------------------------------------------------------------------------
def _parallelism(
    sweep: Sweep, evidence: Evidence | None, limit: float | None
) -> tuple[Condition, ...]:
    change = evidence.of("p95") if evidence else None
    return (stable("latency improved or stable", change), _memory(sweep, evidence))


def _batch(sweep: Sweep, evidence: Evidence | None, limit: float | None) -> tuple[Condition, ...]:
    change = evidence.of("rate") if evidence else None
    return (improved("throughput improved", change, more=True), _memory(sweep, evidence))


def _queue(sweep: Sweep, evidence: Evidence | None, limit: float | None) -> tuple[Condition, ...]:
    return (_rejections(evidence), _wait(evidence, limit))


_CONDITIONS = {"parallelism": _parallelism, "batch": _batch, "queue": _queue}


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
    return Condition(name=name, passed=passed, observed=_observed(change), expected=expected)


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
    return Condition(name=name, passed=passed, observed=_observed(change), expected=expected)


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


def _memory(sweep: Sweep, evidence: Evidence | None) -> Condition:
    import psutil

    name, expected = "no memory issue", f"it lasts, below {MEMORY_SHARE:.0%} of the memory"
    failed = [trial for trial in sweep.trials if trial.settings and trial.state == "failed"]
    if failed:
        return Condition(name=name, passed=False, observed=failed[0].reason, expected=expected)
    memory = evidence.after.memory if evidence else None
    if evidence is None or memory is None:
        return Condition(name=name, passed=None, observed="not measured", expected=expected)
    before = evidence.before.memory
    observed = f"{figures.size(before)} → {figures.size(memory)} at most, never out of memory"
    passed = memory < MEMORY_SHARE * psutil.virtual_memory().total
    return Condition(name=name, passed=passed, observed=observed, expected=expected)


def _rejections(evidence: Evidence | None) -> Condition:
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


def _wait(evidence: Evidence | None, limit: float | None) -> Condition:
    p95 = evidence.after.p95_good if evidence else None
    expected = f"p95 at most {took(limit)}" if limit is not None else "a limit: --p95 500ms"
    passed = p95 <= limit if p95 is not None and limit is not None else None
    return Condition(name="wait acceptable", passed=passed, expected=expected,
                     observed=f"p95 of what was answered {took(p95)}")  # fmt: skip


# -- the cache ------------------------------------------------------------------------------------
async def _cache(
    sweep: Sweep, bench: Bench, server: Server, request: Request, left: float
) -> tuple[Step, str]:
    """The same queries twice, on a server with a cache: the second time against the first."""
    preset, clients = PRESETS["cache"], clients_of(request)
    shares: list[float | None] = []
    with tempfile.TemporaryDirectory(prefix="opsconsole-tune-") as folder:
        path = Path(folder) / "queries.jsonl"
        _write_queries(path, request.work, preset.requests)
        work = Work(replay=str(path))
        most = max(3.0, _SHARE * left / (2 * _CACHED) - 3.0)
        plan = load_of(server.name, work, clients, requests=preset.requests, duration=most)
        first: list[tuple[PhaseResult, Figures]] = []
        second: list[tuple[PhaseResult, Figures]] = []

        async def twice() -> None:
            cold = await sweep.once({CACHE: "true"}, plan)
            if cold is None:
                return
            # Not as another run, which would begin with another server.
            before = (await poll(server)).counters
            try:
                run = await bench.load(plan)
            except TrialFailed as error:
                sweep.notes.append(f"the second pass failed: {error}")
                return
            after = (await poll(server)).counters
            measured = run.measured()
            if measured is None or unsound(measured):
                return
            shares.append(_hit_rate(before, after))
            first.append(cold)
            second.append((measured, figures_of([measured], bench.memory())))

        with contextlib.suppress(TimeOver):
            for _ in range(_CACHED):
                await twice()
        sweep.read_was()
    evidence = evidence_of({CACHE: "true"}, first, second) if first else None
    known = [share for share in shares if share is not None]
    hit_rate = min(known) if known else None
    conditions = (
        Condition(
            name="cache hit rate > 50 %",
            passed=hit_rate > LEAST_HITS if hit_rate is not None else None,
            observed=f"{figures.percent(hit_rate)} % the second time" if known else "not told",
            expected=f"more than {LEAST_HITS:.0%}",
        ),
        improved("latency of cached requests improved", evidence.of("p50") if evidence else None,
                 more=False),
    )  # fmt: skip
    words = f"{clients} clients, the same {preset.requests} requests twice, {len(first)} times"
    return Step(name=preset.title, settings={CACHE: "true"}, conditions=conditions,
                evidence=evidence), words  # fmt: skip


def _hit_rate(before: Counters | None, after: Counters | None) -> float | None:
    """Share of hits among the look-ups between two polls; None where it is not told."""
    if before is None or after is None or None in (before.cache_hits, after.cache_hits):
        return None
    hits = (after.cache_hits or 0) - (before.cache_hits or 0)
    misses = (after.cache_misses or 0) - (before.cache_misses or 0)
    return hits / (hits + misses) if hits + misses > 0 else None


def _write_queries(path: Path, work: Work, count: int) -> None:
    """Bodies that are the same whenever they are sent; made ones of a load test never are."""
    random = Random(work.seed)
    corpus = Corpus(random)
    documents = max(1, round(work.documents.first))
    words = max(1, round(work.document_tokens.first))
    lines = []
    for _ in range(count):
        query, *texts = (
            corpus.stretch(place, words if number else 8)
            for number, place in enumerate(corpus.places(random, documents + 1))
        )
        lines.append(json.dumps({"query": query, "documents": texts}))
    path.write_text("\n".join(lines) + "\n")
