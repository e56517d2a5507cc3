"""A run as text: the whole of it for a terminal, and one line while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from opsconsole import figures
from opsconsole.load import run_tables
from opsconsole.load.histogram import Histogram
from opsconsole.load.measured import seen
from opsconsole.load.plan import Phase
from opsconsole.load.rates import MOST_IDLE, least_response
from opsconsole.load.records import Client, PhaseResult, Run, Tick, Totals
from opsconsole.load.remarks import remarks
from opsconsole.load.replay_file import about
from opsconsole.load.series import bins, points
from opsconsole.load.summary import (
    by_hand,
    errors_of,
    failed,
    law,
    moment,
    per_second,
    sentence,
    share,
    span,
    success,
    took,
    verdict,
)
from opsconsole.load.tables import aligned
from opsconsole.text import clean_line

WIDTH = 80
_BINS = 12
_TOLD_IDLE = 0.02
"""Share of the time from which on it is told that rates are over the rest of it."""
_BLOCKS = " ▏▎▍▌▋▊▉█"
GLYPHS = {"passed": "●", "failed": "×", "invalid": "!", "stopped": "▲", "measured": "●"}
_TO_ASCII = str.maketrans(
    {"●": "+", "×": "x", "▲": "!", "—": "-", "·": "|", "µ": "u", "∞": "inf", "→": "-", "…": "~"}
)


def text(run: Run, *, unicode: bool = True, width: int = WIDTH, charts: bool = True) -> str:
    """The report of a run for a terminal of ``width`` columns (40 at least), without colours."""
    width = max(width, 40)
    result = run.measured()
    blocks = [_head(run, width), _verdict(run, width)]
    if result is not None:
        totals = result.all()
        blocks.append(_counts(run, result, totals, width))
        table = aligned(run_tables.percentiles(result), width)
        if table and failed(totals):
            table += wrap(run_tables.GOOD_ONLY, width)
        blocks.append(table)
        if run.plan.phases and not result.phase.is_open and totals.response.total:
            blocks.append(wrap(run_tables.CLOSED_LOOP, width))
        blocks.append(_distribution(totals.response, width, unicode=unicode))
        blocks.append(aligned(run_tables.phases(run.phases), width))
        blocks.append([*aligned(run_tables.servers(result), width), *_server_lines(run, width)])
        blocks.append(aligned(run_tables.reported(run), width))
        blocks.append(aligned(run_tables.upstreams(totals), width))
        blocks.append(_errors(run, totals, result.client, width))
    if charts and run.ticks:
        # plotext is imported with it
        from opsconsole.load.terminal_charts import charts as draw

        drawn = draw(points(run, 2 * width), width=width, unicode=unicode)
        blocks.append(drawn)
    whole = "\n\n".join("\n".join(block) for block in blocks if block)
    return whole if unicode else plain(whole)


def plain(text_: str) -> str:
    """The same in ASCII."""
    return text_.translate(_TO_ASCII).encode("ascii", "replace").decode()


def live(
    ticks: Sequence[Tick],
    phases: Sequence[Phase],
    *,
    window: float = 10.0,
    width: int = WIDTH,
    unicode: bool = True,
) -> str:
    """One status line of a run: where it is, and its last ``window`` seconds.

    ``phases`` are those begun or planned so far; a tick's ``phase`` counts in them. ``ticks`` may
    be the newest ones only, of ``window`` at least.
    """
    if not ticks:
        return clean_line("starting …" if unicode else "starting", width)
    now = ticks[-1]
    end = now.at + now.seconds
    begun, seen = now.at, False
    seconds, totals, client = 0.0, Totals(), Client()
    for tick in reversed(ticks):
        if tick.phase != now.phase:
            seen = True
            break
        begun = tick.at
        if end - tick.at <= window + 1e-6 or tick is now:
            seconds += tick.seconds
            totals.add(tick.all())
            client.add(tick.client)
    before = phases[: now.phase]
    if not seen and all(one.requests is None and one.duration for one in before):
        begun = min(begun, sum(one.duration or 0 for one in before))
    phase = phases[now.phase] if 0 <= now.phase < len(phases) else None
    name = clean_line(phase.name, 24) if phase else ""
    length = (phase.duration or phase.recorded) if phase else None
    whole = f"/{span(length)}" if length else ""
    p50, p95, p99 = totals.response.percentiles((50, 95, 99))
    rate = totals.rates(seconds).good
    parts = [
        f"{name} {span(end - begun)}{whole}".strip(),
        f"{per_second(rate)}/s",
        f"p50 {took(p50)}  p95 {took(p95)}  p99 {took(p99)}",
    ]
    if failed(totals):
        kind, count = max(totals.errors.items(), key=lambda item: item[1], default=("", 0))
        of = share(1 - totals.good / totals.ended)
        parts.append(f"{of} failed" + (f": {count:,} {clean_line(kind, 40)}" if kind else ""))
    if client.dropped:
        parts.append(f"{client.dropped:,} dropped")
    parts.append(f"{now.client.in_flight:,} in flight")
    if client.late.total and (late := client.late.percentile(99) or 0) > 0.005:
        parts.append(f"sent {took(late)} late")
    # What does not fit goes as a whole; the percentiles stay.
    line = parts[0]
    for part in parts[1:]:
        if len(line) + 3 + len(part) <= width:
            line += f" · {part}"
    line = clean_line(line, width)
    return line if unicode else plain(line)


def _head(run: Run, width: int) -> list[str]:
    name = clean_line(run.plan.name, 40)
    what = name if name == run.plan.mode else f"{name} · {run.plan.mode}"
    phase = next((p.phase for p in run.phases if p.phase.measured), None)
    if phase is not None and sum(p.phase.measured for p in run.phases) == 1:
        what += f" · {law(phase)}"
    lines = wrap(what, width) + [
        part
        for part in (
            f"{moment(run.at)} · {run.id}",
            f"profile {clean_line(run.profile, 40)} · plan {run.fingerprint[:8]}"
            + (f" · {clean_line(run.machine, 60)}" if run.machine else ""),
            about(run.plan.work),
        )
        if part
    ]
    return [clean_line(line, width) for line in lines]


def _verdict(run: Run, width: int) -> list[str]:
    lines = wrap(f"{GLYPHS[verdict(run)]} {sentence(run)}", width, subsequent_indent="  ")
    for reason in run.invalid:
        lines += _hang("- ", clean_line(reason, 400), width)
    if run.stopped:
        lines += _hang("stopped: ", clean_line(run.stopped, 300), width)
    if run.interventions:
        lines += _hang("changed by hand: ", by_hand(run), width)
    if run.judgements:
        name = max(len(clean_line(j.threshold, 60)) for j in run.judgements)
        for judged in run.judgements:
            # An invalid run neither keeps nor breaks anything.
            glyph = "?" if run.invalid else "●" if judged.passed else "×"
            lines.append(f"  {glyph} {clean_line(judged.threshold, 60):<{name}}  {seen(judged)}")
    if run.conclusion is not None:
        lines += _hang("", clean_line(run.conclusion.text, 600), width)
    return lines


def _counts(run: Run, result: PhaseResult, totals: Totals, width: int) -> list[str]:
    seconds = result.seconds
    rows = [
        (
            "requests",
            f"{totals.ended:,} in {span(seconds)}: {totals.good:,} "
            f"{'good' if totals.sound == 1 else 'good or not checked'}, {failed(totals):,} failed "
            f"({share(success(totals))} good)",
        )
    ]
    rows += [("", remark) for remark in remarks(run)]
    if totals.sent > totals.ended:
        rows.append(("", f"{totals.sent - totals.ended:,} sent without an outcome"))
    if result.client.dropped:
        rows.append(
            (
                "",
                f"{result.client.dropped:,} of {result.client.due:,} due not sent: "
                f"{run.plan.max_in_flight:,} were in flight",
            )
        )
    if result.client.retried:
        again = (
            f"{result.client.retried:,} sent again: lost with the kept connection they went over"
        )
        rows.append(("", again))
    if seconds > 0:
        rate = f"{per_second(totals.rates(result.rated).good)}/s good"
        if failed(totals):
            rate += f", {per_second(totals.rates(result.rated).ended)}/s ended"
        if result.client.due and result.phase.is_open:
            # Until the last answer of so many, or for so long.
            due_in = seconds if result.phase.requests is None else result.rated
            rate += f", {per_second(result.client.due / due_in)}/s due"
        rows.append(("rate", rate))
        if result.idle > _TOLD_IDLE * seconds:
            least = least_response(totals)
            rest = f"from the first {took(result.idle)} on: no answer could come before"
            if least >= MOST_IDLE * seconds:
                rest = f"too short to tell a rate: an answer takes {took(least)} at least"
            rows.append(("", rest))
        moved = (
            f"{figures.size(totals.bytes_out / seconds)}/s out, "
            f"{figures.size(totals.bytes_in / seconds)}/s in"
        )
        if totals.pairs > totals.good:
            moved = f"{per_second(totals.rates(result.rated).pairs)} pairs/s, {moved}"
        rows.append(("", moved))
    processes = f"{run.processes} processes, " if run.processes > 1 else ""
    rows.append(("generator", f"{processes}busiest core {share(result.client.cpu)}"))
    return [
        line
        for name, value in rows
        for line in wrap(value, width, initial_indent=f"{name:<11}", subsequent_indent=" " * 11)
    ]


def _distribution(histogram: Histogram, width: int, *, unicode: bool) -> list[str]:
    parts = bins(histogram, _BINS)
    if len(parts) < 2 or histogram.total < 2:
        return []
    most = max(part.number for part in parts)
    numbers = [f"{round(part.number):,}" for part in parts]
    room = width - 11 - max(len(number) for number in numbers) - 1
    lines = ["response times"]
    for part, number in zip(parts, numbers, strict=True):
        length = part.number / most * room
        if unicode:
            bar = "█" * int(length) + _BLOCKS[int(length % 1 * 8)].strip()
        else:
            bar = "#" * round(length)
        if part.number >= 0.5 and not bar:
            bar = "▏" if unicode else "."
        lines.append(f"{took(part.low):>8} {'│' if unicode else '|'} {bar} {number}")
    return lines


def _server_lines(run: Run, width: int) -> list[str]:
    lines = []
    for name, facts in run.servers.items():
        known = [facts.url, facts.model, facts.version, facts.device, facts.dtype]
        known += [f"certificate {facts.certificate}"] * bool(facts.certificate)
        shown = " · ".join(clean_line(part, 80) for part in known if part)
        line = f"{clean_line(name, 30)}: {shown}" if shown else clean_line(name, 30)
        lines += wrap(line, width, subsequent_indent="  ")
    return lines


def _errors(run: Run, totals: Totals, client: Client, width: int) -> list[str]:
    kinds = errors_of(totals, run.examples)
    lines = []
    for kind, count, example in kinds:
        lines += wrap(f"{count:>9,}  {kind}", width, subsequent_indent=" " * 11)
        if example:
            lines += wrap(
                example, width, initial_indent=" " * 11, subsequent_indent=" " * 11, max_lines=2
            )
    for kind, count in sorted(client.failures.items(), key=lambda item: -item[1]):
        line = f"{count:>9,}  on this side: {clean_line(kind, 100)}"
        lines += wrap(line, width, subsequent_indent=" " * 11)
    return ["errors", *lines] if lines else []


def _hang(first: str, body: str, width: int) -> list[str]:
    return wrap(body, width, initial_indent=f"  {first}", subsequent_indent="  " + " " * len(first))
