"""A run as one JSON document. Its keys are an interface: seconds and shares (0..1) throughout."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import msgspec

from opsconsole.load.histogram import Histogram, lower_of
from opsconsole.load.measured import observed
from opsconsole.load.records import Client, Run, Tick, Totals
from opsconsole.load.remarks import remarks
from opsconsole.load.summary import (
    PERCENTS,
    failed,
    percent_name,
    success,
    summarize,
    verdict,
)


def as_json(run: Run) -> str:
    """The document. A judged value that is infinite (the rank falls among failed requests) is
    null in ``observed`` and ``∞`` in ``text``. Of an invalid run
    ``passed`` is null: it was not judged."""
    result = run.measured()
    document = {
        "format": 1,
        "id": run.id,
        "at": datetime.fromtimestamp(run.at, UTC).isoformat(timespec="milliseconds"),
        "verdict": verdict(run),
        "invalid": run.invalid,
        "stopped": run.stopped,
        "series": run.series,
        "interventions": run.interventions,
        "conclusion": run.conclusion,
        "thresholds": [
            {
                **msgspec.to_builtins(judged),
                # An invalid run neither keeps nor breaks anything.
                "passed": None if run.invalid else judged.passed,
                "text": observed(judged),
            }
            for judged in run.judgements
        ],
        "summary": summarize(run),
        "plan": run.plan,
        "profile": run.profile,
        "fingerprint": run.fingerprint,
        "servers": run.servers,
        "processes": run.processes,
        "machine": run.machine,
        "version": run.version,
        "measured": None
        if result is None
        else {
            **_counts(result.all(), result.seconds, result.rated),
            "latency": _latencies(result.all(), result.client),
            "distribution": _buckets(result.all().response),
            "by_server": {
                name: {
                    **_counts(totals, result.seconds, result.rated),
                    "latency": _latencies(totals, Client()),
                }
                for name, totals in result.totals.items()
            },
            "client": _client(result.client),
        },
        "phases": [
            {
                "name": one.phase.name,
                "measured": one.phase.measured,
                "phase": one.phase,
                **_counts(one.all(), one.seconds, one.rated),
                "latency": _latencies(one.all(), one.client),
                "client": _client(one.client),
            }
            for one in run.phases
        ],
        "remarks": remarks(run),
        "examples": run.examples,
        "ticks": [_tick(tick) for tick in run.ticks],
    }
    # With surrogates escaped, as a name from the command line may hold them.
    plain = msgspec.to_builtins(document, str_keys=True)
    return json.dumps(_finite(plain), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _finite(tree: Any) -> Any:
    """The tree with null for what JSON has no number for."""
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _counts(totals: Totals, seconds: float, rated: float) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "rate_seconds": rated,
        "sent": totals.sent,
        "ended": totals.ended,
        "good": totals.good,
        "checked": totals.checked,
        "failed": failed(totals),
        "success_rate": success(totals),
        "goodput": totals.rates(rated).good,
        "throughput": totals.rates(rated).answered,
        "pairs": totals.pairs,
        "bytes_out": totals.bytes_out,
        "bytes_in": totals.bytes_in,
        "errors": totals.errors,
        "upstreams": totals.upstreams,
    }


def _latencies(totals: Totals, client: Client) -> dict[str, Any]:
    return {
        "response": _latency(totals.response),
        "service": _latency(totals.service),
        "first_byte": _latency(totals.first_byte),
        "late": _latency(client.late),
    }


def _latency(histogram: Histogram) -> dict[str, float | None] | None:
    if not histogram.total:
        return None
    values = histogram.percentiles(PERCENTS)
    return {
        "least": histogram.least / 1e9,
        **{percent_name(p): value for p, value in zip(PERCENTS, values, strict=True)},
        "max": histogram.maximum,
        "mean": histogram.mean,
    }


def _buckets(histogram: Histogram) -> list[tuple[float, float, int]]:
    """(from, below, count) of every bucket with something in it; seconds."""
    return [
        (lower_of(key) / 1e9, lower_of(key + 1) / 1e9, count)
        for key, count in sorted(histogram.counts.items())
    ]


def _client(client: Client) -> dict[str, Any]:
    return {
        "due": client.due,
        "dropped": client.dropped,
        "retried": client.retried,
        "in_flight": client.in_flight,
        "cpu": client.cpu,
        "busy": client.busy,
        "wanted": client.wanted,
        "stalled": client.stalled,
        "beats_p99": client.beats.percentile(99),
        "late_p99": client.late.percentile(99),
        "failures": client.failures,
    }


def _tick(tick: Tick) -> dict[str, Any]:
    totals = tick.all()
    return {
        "at": tick.at,
        "phase": tick.phase,
        **_counts(totals, tick.seconds, tick.seconds),
        "latency": {"response": _latency(totals.response), "service": _latency(totals.service)},
        "client": _client(tick.client),
        "by_server": {
            name: {
                "ended": one.ended,
                "good": one.good,
                "errors": one.errors,
                "response": _latency(one.response),
            }
            for name, one in tick.totals.items()
        },
        "servers": tick.servers,
    }
