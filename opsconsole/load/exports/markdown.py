"""A run as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from opsconsole import figures
from opsconsole.load.records import Run
from opsconsole.load.summary import (
    errors_of,
    failed,
    latencies,
    law,
    measure,
    moment,
    per_second,
    percent_name,
    sentence,
    share,
    span,
    success,
    took,
    verdict,
)
from opsconsole.text import clean_line

_ICONS = {"passed": "✅", "failed": "❌", "invalid": "⚠️", "stopped": "⚠️", "measured": "ℹ️"}
_PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#!@&])")


def as_markdown(run: Run) -> str:
    """Verdict, thresholds, latencies, servers and errors."""
    result = run.measured()
    phases = [one.phase for one in run.phases if one.phase.measured]
    how = f", {law(phases[0])}" if len(phases) == 1 else ""
    lines = [
        f"### {_ICONS[verdict(run)]} Load test {_escape(run.plan.name)}: {_escape(sentence(run))}",
        "",
    ]
    lines += [f"- {_escape(reason)}" for reason in run.invalid] + ([""] if run.invalid else [])
    if run.stopped:
        lines += [f"Stopped: {_escape(run.stopped)}", ""]
    if run.conclusion is not None:
        lines += [_escape(run.conclusion.text), ""]
    if run.judgements:
        rows = [
            [
                "✅" if judged.passed else "❌",
                _escape(judged.threshold),
                measure(judged.metric, judged.observed)
                if judged.observed is not None
                else "nothing to measure",
            ]
            for judged in run.judgements
        ]
        lines += _table(["", "threshold", "measured"], rows, left=2)
    if result is not None:
        totals = result.all()
        rate = per_second(totals.good / result.seconds) if result.seconds > 0 else figures.DASH
        lines += [
            f"**{rate}/s good**, {totals.ended:,} requests in {span(result.seconds)}, "
            f"{share(success(totals))} good, {failed(totals):,} failed"
            + (f", {result.client.dropped:,} dropped" if result.client.dropped else ""),
            "",
        ]
        rows = []
        for name, histogram in latencies(totals, result.client):
            values = [took(value) for value in histogram.percentiles(_PERCENTS)]
            rows.append([name, *values, took(histogram.maximum)])
        if rows:
            lines += _table(["", *(percent_name(p) for p in _PERCENTS), "max"], rows)
        if len(result.totals) > 1:
            rows = []
            for name, one in result.totals.items():
                quantiles = [took(value) for value in one.response.percentiles((50, 95, 99))]
                rows.append([_escape(name), f"{one.ended:,}", *quantiles, f"{failed(one):,}"])
            lines += _table(["server", "ended", "p50", "p95", "p99", "failed"], rows)
        kinds = errors_of(totals, run.examples)
        if kinds:
            rows = [[f"{n:,}", _escape(kind), _escape(text)] for kind, n, text in kinds[:10]]
            lines += ["<details><summary>Errors</summary>", ""]
            lines += [*_table(["count", "kind", "example"], rows, left=3), "</details>", ""]
    lines.append(
        f"<sub>{_escape(run.plan.mode + how)} · {moment(run.at)} · {_escape(run.id)} · "
        f"plan {run.fingerprint[:8]}</sub>"
    )
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return [*(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)), ""]


def _escape(text: str) -> str:
    """Text that GitHub shows as it is: no markup, no mention of anybody."""
    return _SPECIAL.sub(r"\\\1", clean_line(text, 300)).replace("\\@", "@\u2060")
