"""A failover test as text, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from opsconsole.balancer.failover_records import Failover, Outage
from opsconsole.figures import DASH
from opsconsole.load.measured import measure
from opsconsole.load.report import plain
from opsconsole.load.summary import moment, share, span, took
from opsconsole.text import clean_line

_VERDICTS = {
    "passed": "✓ PASSED: everything that had to hold, held",
    "measured": "✓ PASSED: everything that had to hold, held",
    "failed": "✗ FAILED",
    "invalid": "? INVALID: the numbers say nothing about the servers",
    "stopped": "■ STOPPED before its end",
}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "■": "#"})


def text(found: Failover, *, unicode: bool = True, width: int = 80) -> str:
    """The report."""
    width = max(60, min(width, 110))
    blocks = [
        list(_head(found, width)),
        list(_verdict(found, width)),
        list(_stages(found, width)),
        list(_errors(found, width)),
        [line for outage in found.outages for line in _outage(outage, width)],
        list(_shares(found)),
        list(_checks(found, width)),
    ]
    whole = "\n\n".join("\n".join(block) for block in blocks if block)
    return whole if unicode else plain(whole.translate(_ASCII))


def _head(found: Failover, width: int) -> Iterator[str]:
    settings = found.settings
    yield clean_line(f"Failover of {found.profile} behind nginx {found.nginx}  {found.run}", width)
    yield moment(found.at)
    rules = (
        f"{settings.rate:g} requests a second over {', '.join(found.servers)}; "
        f"max_fails={settings.max_fails} fail_timeout={settings.fail_timeout:g}s, "
        f"{settings.tries} tries"
    )
    if settings.as_in_checklist:
        rules = rules.rpartition(",")[0] + ", directives as in the deployment checklist"
    yield from wrap(clean_line(rules), width)
    for line in found.left_out:
        yield from _hang("left out: ", line, width)


def _verdict(found: Failover, width: int) -> Iterator[str]:
    yield _VERDICTS[found.verdict]
    for line in found.not_restored:
        yield from _hang("  NOT BROUGHT BACK  ", line, width)
    if found.stopped:
        yield from _hang("  ", found.stopped, width)
    for reason in found.invalid:
        yield from _hang("  ", reason, width)
    for judgement in found.thresholds:
        mark = "✓" if judgement.passed else "✗"
        observed = measure(judgement.metric, judgement.observed)
        yield from _hang(f"  {mark} ", f"{judgement.threshold}: {observed}", width)
    for check in found.checks:
        if not check.passed:
            yield from _hang("  ✗ ", f"{check.what}: {check.observed}", width)


def _stages(found: Failover, width: int) -> Iterator[str]:
    if not found.stages:
        return
    rows = [["STAGE", "FROM", "FOR", "REQUESTS", "FAILED", "P50", "P95", "P99", "GAP"]]
    for stage in found.stages:
        rows.append(
            [
                clean_line(stage.name, 26),
                span(stage.begin),
                span(round(stage.seconds, 1)),
                f"{stage.requests:,}",
                f"{stage.requests - stage.good:,}",
                took(stage.p50),
                took(stage.p95),
                took(stage.p99),
                took(stage.worst_gap),
            ]
        )
    yield from _table(rows)
    yield "(gap: the longest time without a good answer)"
    heads = [clean_line(name, 16) for name in found.servers]
    rows = [["ANSWERED BY", *heads, "PASSED ON"]]
    for stage in found.stages:
        answers = [f"{stage.answers.get(name, 0):,}" for name in found.servers]
        rows.append([clean_line(stage.name, 26), *answers, f"{sum(stage.passed_on.values()):,}"])
    yield ""
    lines = _table(rows)
    if all(len(line) <= width for line in lines):
        yield from lines
        yield "(passed on: not answered by the first server, but by the next)"


def _errors(found: Failover, width: int) -> Iterator[str]:
    whole: dict[str, list[str]] = {}
    for stage in found.stages:
        for kind, count in stage.errors.items():
            whole.setdefault(kind, []).append(f"{count:,} in {stage.name!r}")
    if whole:
        yield "Errors that clients saw"
    for kind, where in sorted(whole.items()):
        yield from _hang("  ", f"{kind}: {', '.join(where)}", width)
        if example := found.examples.get(kind):
            yield from _hang("    such as ", example, width)


def _outage(outage: Outage, width: int) -> Iterator[str]:
    yield f"{clean_line(outage.server)} was {outage.how} at {span(outage.at)}"
    rows = []
    if outage.how == "drained":
        rows.append(("its process had ended after", _after(outage.gone)))
    rows.append(("its last answer came after", _after(outage.last_answer, "no further answer")))
    rows.append(("nginx left it alone after", _after(outage.ejected, "never for long enough")))
    rows.append(("sent to it in vain", f"{outage.tries:,} requests"))
    by = f", started by {outage.by}" if outage.by else ""
    rows.append(("it was healthy again after", _after(outage.healthy) + by))
    rows.append(("and answered again after another", _after(outage.returned)))
    for what, value in rows:
        yield clean_line(f"  {what:<33} {value}", width)


def _after(seconds: float | None, otherwise: str = DASH) -> str:
    return otherwise if seconds is None else f"{seconds:.2f} s"


def _shares(found: Failover) -> Iterator[str]:
    if not found.shares:
        return
    rows = [["WHILE ALL WERE THERE", "ANSWERS", "ITS OWN COUNT", "OF A FAIR PART"]]
    for part in found.shares:
        counted = DASH if part.counted is None else f"{part.counted:,}"
        rows.append([clean_line(part.server, 40), f"{part.answers:,}", counted,
                     share(part.of_fair)])  # fmt: skip
    yield from _table(rows)
    yield "(from one reading of their counters to the next)"


def _checks(found: Failover, width: int) -> Iterator[str]:
    for check in found.checks:
        mark = "✓" if check.passed else "✗"
        yield from _hang(f"{mark} ", f"{check.what}: {check.observed}", width)


def _hang(first: str, body: str, width: int) -> list[str]:
    return wrap(clean_line(body, 1000), width, initial_indent=first,
                subsequent_indent=" " * len(first)) or [first]  # fmt: skip


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{size}}" if i == 0 else f"{cell:>{size}}"
            for i, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
