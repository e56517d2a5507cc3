"""A run as one HTML file: no script, nothing fetched, readable in light, dark and on paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from opsconsole import figures
from opsconsole.load import run_tables
from opsconsole.load.exports import page_charts as charts
from opsconsole.load.exports.page_charts import escaped, section
from opsconsole.load.exports.page_style import STYLE
from opsconsole.load.records import PhaseResult, Run, Totals
from opsconsole.load.remarks import remarks
from opsconsole.load.replay_file import about
from opsconsole.load.series import points
from opsconsole.load.summary import (
    by_hand,
    failed,
    law,
    moment,
    per_second,
    sentence,
    share,
    success,
    took,
    verdict,
)
from opsconsole.load.tables import Table
from opsconsole.text import clean_line

_LEFT = ' class="l"'
_MARKS = {"kept": '<span class="ok">● kept</span>', "broken": '<span class="no">× broken</span>',
          "not judged": "? not judged"}  # fmt: skip
_ABOUT_LATENCY = (
    "Response counts from the intended moment of sending, service from the sending itself."
)


def as_html(run: Run) -> str:
    """The whole page."""
    result = run.measured()
    totals = result.all() if result else Totals()
    over = points(run)
    title = f"{clean_line(run.plan.name, 60)} · load test"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="referrer" content="no-referrer">',
        f"<title>{escaped(title)}</title><style>{STYLE}</style></head><body><main>",
        _head(run),
        _verdict(run),
    ]
    if result is not None:
        parts += [_found(run) or _cards(result, totals), _remarks(run), _thresholds(run)]
    parts += [charts.response(run, over), charts.rates(run, over)]
    if result is not None:
        parts += [
            charts.distribution(run, totals),
            charts.errors_over_time(run, over),
            _titled("Errors", run_tables.errors(run, result), "measured phases"),
            _percentiles(result, totals),
            _titled("Servers", run_tables.servers(result)),
            _about_servers(run),
            _titled("What the servers report", run_tables.reported(run), "measured phases"),
            _titled("Behind the balancer", run_tables.upstreams(totals)),
            _titled("Phases", run_tables.phases(run.phases)),
        ]
    parts += [charts.server_side(run), charts.generator(run, over), _foot(run)]
    return "\n".join(part for part in parts if part) + "\n</main></body></html>\n"


def _head(run: Run) -> str:
    measured = [result.phase for result in run.phases if result.phase.measured]
    how = f" · {law(measured[0])}" if len(measured) == 1 else ""
    return (
        f"<h1>{escaped(run.plan.name)}</h1>"
        f'<div class="meta">{escaped(run.plan.mode + how)} · profile {escaped(run.profile)} · '
        f"{escaped(moment(run.at))} · {escaped(run.id)}</div>"
    )


def _verdict(run: Run) -> str:
    lines = "".join(f"<li>{escaped(reason)}</li>" for reason in run.invalid)
    parts = [f"<b>{escaped(sentence(run))}</b>", f"<ul>{lines}</ul>" if lines else ""]
    if run.stopped:
        parts.append(f"<p>Stopped: {escaped(run.stopped)}</p>")
    if run.interventions:
        parts.append(f"<p>Changed by hand: {escaped(by_hand(run))}</p>")
    if run.conclusion is not None:
        parts.append(f"<p>{escaped(run.conclusion.text)}</p>")
    return f'<div class="verdict {verdict(run)}"><div>{"".join(parts)}</div></div>'


def _cards(result: PhaseResult, totals: Totals) -> str:
    rates = totals.rates(result.rated)
    p50, p95, p99 = totals.response.percentiles((50, 95, 99))
    cards = [
        ("good", per_second(rates.good), "/s"),
        (f"good of {totals.ended:,}", share(success(totals)), ""),
        ("p50", took(p50), ""),
        ("p95", took(p95), ""),
        ("p99", took(p99), ""),
        ("largest", took(totals.response.maximum), ""),
    ]
    if totals.pairs > totals.good and rates.pairs is not None:
        cards.insert(1, ("pairs", per_second(rates.pairs), "/s"))
    return _drawn(cards)


def _found(run: Run) -> str:
    """Of a search or a stress test: what it found, between which bounds, and the figures of the
    probe that held there. Those of all its probes together say nothing about any. Empty for any
    other run."""
    found = run.conclusion
    if found is None or not (run.plan.search or run.plan.steps):
        return ""

    def unit(level: float | None) -> str:
        one = "/s" if run.plan.search else " client" if level == 1 else " clients"
        return "" if level is None else one

    cards = [
        ("highest that held", _level(found.value), unit(found.value)),
        ("lowest that broke", _level(found.high), unit(found.high)),
    ]
    if found.interval is not None:
        least, most = found.interval
        if run.plan.steps:  # half a client cannot be
            least, most = math.floor(least), math.ceil(most)
        ends = f"{_level(least)} – {_level(most)}"
        cards[1] = ("limit, at 90 % confidence", ends, unit(most))
    if found.phase is not None and found.phase < len(run.phases):
        held = run.phases[found.phase].all()
        p50, p95, p99 = held.response.percentiles((50, 95, 99))
        cards += [
            (f"good of {held.ended:,} there", share(success(held)), ""),
            ("p50 there", took(p50), ""),
            ("p95 there", took(p95), ""),
            ("p99 there", took(p99), ""),
        ]
    return _drawn(cards)


def _level(value: float | None) -> str:
    return figures.DASH if value is None else f"{value:,.3g}" if value < 999.5 else f"{value:,.0f}"


def _drawn(cards: Sequence[tuple[str, str, str]]) -> str:
    return '<div class="cards">' + "".join(
        f'<div class="card"><span>{name}</span><strong>{escaped(value)}</strong>'
        + (f"<em>{escaped(unit)}</em>" if unit else "")
        + "</div>"
        for name, value, unit in cards
    ) + "</div>"  # fmt: skip


def _remarks(run: Run) -> str:
    return "".join(f'<p class="note">{escaped(remark)}</p>' for remark in remarks(run))


def _thresholds(run: Run) -> str:
    result = run.measured()
    broke = result is not None and failed(result.all()) > 0
    note = "a failed request counts as infinitely slow" if broke else ""
    if run.invalid:
        note = "not judged: the run is invalid"
    return _titled("Thresholds", run_tables.thresholds(run), note, marks=_MARKS)


def _percentiles(result: PhaseResult, totals: Totals) -> str:
    table = run_tables.percentiles(result)
    if not table.rows:
        return ""
    notes = [_ABOUT_LATENCY] + ([] if result.phase.is_open else [run_tables.CLOSED_LOOP])
    if failed(totals):
        notes.append(run_tables.GOOD_ONLY)
    note = f'<p class="note">{escaped(" ".join(notes))}</p>'
    return section("Percentiles", _table(table) + note)


def _about_servers(run: Run) -> str:
    lines = []
    for name, facts in run.servers.items():
        known = [facts.url, facts.model, facts.version, facts.device, facts.dtype]
        known += [f"certificate {facts.certificate}"] * bool(facts.certificate)
        about = " · ".join(escaped(part) for part in (name, *known) if part)
        lines.append(f'<div class="note">{about}</div>')
    return section("Loaded", "".join(lines)) if lines else ""


def _foot(run: Run) -> str:
    facts = [f"opsconsole {run.version}" if run.version else "", run.machine]
    facts += [f"plan {run.fingerprint[:16]}", about(run.plan.work)]
    return f"<footer>{escaped(' · '.join(fact for fact in facts if fact))}</footer>"


def _titled(
    title: str, table: Table, note: str = "", marks: Mapping[str, str] | None = None
) -> str:
    """The table under its head; nothing without rows. ``marks``: HTML for cells of words."""
    return section(title, _table(table, marks or {}), note) if table.rows else ""


def _table(table: Table, marks: Mapping[str, str] | None = None) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "".join(
            f"<{tag}{_LEFT if i in table.words else ''}>"
            f"{(marks or {}).get(cell) or escaped(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in table.rows)
    return (
        f'<div class="scroll"><table><thead><tr>{line(table.head, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
