"""A run as Markdown for a pull request."""

from __future__ import annotations

import re

from opsconsole.load import run_tables
from opsconsole.load.records import Run
from opsconsole.load.remarks import remarks
from opsconsole.load.replay_file import about
from opsconsole.load.summary import (
    by_hand,
    failed,
    law,
    moment,
    per_second,
    sentence,
    share,
    span,
    success,
    verdict,
)
from opsconsole.load.tables import Table
from opsconsole.text import clean_line

_ICONS = {"passed": "✅", "failed": "❌", "invalid": "⚠️", "stopped": "⚠️", "measured": "ℹ️"}
_PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#!@&])")


def as_markdown(run: Run) -> str:
    """Verdict, thresholds, latencies, servers and errors."""
    result = run.measured()
    phases = [one.phase for one in run.phases if one.phase.measured]
    how = f", {law(phases[0])}" if len(phases) == 1 else ""
    replay = about(run.plan.work)
    lines = [
        f"### {_ICONS[verdict(run)]} Load test {_escape(run.plan.name)}: {_escape(sentence(run))}",
        "",
    ]
    lines += [f"- {_escape(reason)}" for reason in run.invalid] + ([""] if run.invalid else [])
    if run.stopped:
        lines += [f"Stopped: {_escape(run.stopped)}", ""]
    if run.interventions:
        lines += [f"Changed by hand: {_escape(by_hand(run))}", ""]
    if run.conclusion is not None:
        lines += [_escape(run.conclusion.text), ""]
    if run.judgements:
        icons = ["❔" if run.invalid else "✅" if one.passed else "❌" for one in run.judgements]
        judged = run_tables.thresholds(run)
        marked = [(icon, *row[:2]) for icon, row in zip(icons, judged.rows, strict=True)]
        lines += _table(Table(head=("", *judged.head[:2]), rows=tuple(marked), words=(0, 1, 2)))
    if result is not None:
        totals = result.all()
        rate = per_second(totals.rates(result.rated).good)
        lines += [
            f"**{rate}/s good**, {totals.ended:,} requests in {span(result.seconds)}, "
            f"{share(success(totals))} good, {failed(totals):,} failed"
            + (f", {result.client.dropped:,} dropped" if result.client.dropped else ""),
            "",
        ]
        for remark in remarks(run):
            lines += [_escape(remark), ""]
        lines += _table(run_tables.percentiles(result, _PERCENTS))
        lines += _table(run_tables.phases(run.phases))
        lines += _table(run_tables.servers(result))
        unchecked = [name for name, facts in run.servers.items() if facts.certificate]
        if unchecked:
            lines += [f"Certificate not checked: {_escape(', '.join(unchecked))}", ""]
        lines += _table(run_tables.reported(run))
        lines += _table(run_tables.upstreams(totals))
        if wrong := _table(run_tables.errors(run, result)):
            lines += ["<details><summary>Errors</summary>", "", *wrong, "</details>", ""]
    lines.append(
        f"<sub>{_escape(run.plan.mode + how)} · {moment(run.at)} · {_escape(run.id)} · "
        f"plan {run.fingerprint[:8]}{f' · {_escape(replay)}' if replay else ''}</sub>"
    )
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    """The table and a line after it; nothing without rows."""
    if not table.rows:
        return []
    rule = ("---" if i in table.words else "---:" for i in range(len(table.head)))
    rows = [table.head, tuple(rule), *(map(_escape, row) for row in table.rows)]
    return [*(f"| {' | '.join(cells)} |" for cells in rows), ""]


def _escape(text: str) -> str:
    """Text that GitHub shows as it is: no markup, no mention of anybody."""
    return _SPECIAL.sub(r"\\\1", clean_line(text, 300)).replace("\\@", "@\u2060")
