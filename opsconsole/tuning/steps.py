"""The four tuning steps of the deployment checklist, each with its pass conditions judged."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
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
from opsconsole.tuning.conditions import improved, lasting, rejections, stable, wait
from opsconsole.tuning.evidence import evidence_of, figures_of
from opsconsole.tuning.records import Condition, Evidence, Figures, Settings, Step
from opsconsole.tuning.request import Request, load_of, words_of
from opsconsole.tuning.space import BATCH, CACHE, PARALLEL, QUEUE
from opsconsole.tuning.sweep import Sweep, unsound
from opsconsole.tuning.trial import Bench, TimeOver, TrialFailed

LEAST_HITS = 0.5
_REPETITIONS = 5
_MOST_REPETITIONS = 11
"""Where there is time: what a short run leaves open, more of them may decide."""
_CACHED = 3
_MOST_CLIENTS = 10_000
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


def clients_of(request: Request, was: Settings) -> int:
    """How many clients load the server in a preset: for the queue, as many as fill it.

    Args:
        was: The settings as they are.

    Raises:
        UsageError: so many as are asked for never fill it.
    """
    preset = PRESETS[request.preset]
    if preset.setting != QUEUE:
        return request.clients or preset.clients
    parallel, queue = int(was[PARALLEL]), int(was[QUEUE])
    clients = request.clients or max(preset.clients, min(_MOST_CLIENTS, parallel + 2 * queue))
    if clients <= parallel + queue:
        raise UsageError(
            f"{clients} clients never fill a queue of {queue}, with {parallel} in the engine",
            where="--clients", hint=f"more than {parallel + queue}",
        )  # fmt: skip
    return clients


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
    sweep.read_was()
    clients = clients_of(request, sweep.was)
    until = time.monotonic() + left
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

    pair = 2 * (first[0].seconds + sweep.overhead)
    fitting = int(_SHARE * (until - time.monotonic()) / pair)
    repetitions = max(_REPETITIONS, min(_MOST_REPETITIONS, fitting))
    evidence = await sweep.turns(settings, repetitions, lambda tried: sweep.once(tried, plan))
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
    return (stable("latency improved or stable", change), lasting(sweep.trials, evidence))


def _batch(sweep: Sweep, evidence: Evidence | None, limit: float | None) -> tuple[Condition, ...]:
    change = evidence.of("rate") if evidence else None
    return (improved("throughput improved", change, more=True), lasting(sweep.trials, evidence))


def _queue(sweep: Sweep, evidence: Evidence | None, limit: float | None) -> tuple[Condition, ...]:
    return (rejections(evidence), wait(evidence, limit))


_CONDITIONS = {"parallelism": _parallelism, "batch": _batch, "queue": _queue}


# -- the cache ------------------------------------------------------------------------------------
async def _cache(
    sweep: Sweep, bench: Bench, server: Server, request: Request, left: float
) -> tuple[Step, str]:
    """The same queries twice, on a server with a cache: the second time against the first."""
    preset = PRESETS["cache"]
    clients = request.clients or preset.clients
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
