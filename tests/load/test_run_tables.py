"""The tables of a run: what stands in them, however they are drawn."""

from __future__ import annotations

import json
import math
from html import unescape

from msgspec import structs

from opsconsole.load import exports, report, run_tables
from opsconsole.load.records import Judgement, Run, Totals
from opsconsole.load.summary import summarize
from opsconsole.load.tables import Table, aligned
from opsconsole.tui.run_rows import in_words
from tests.load.sample_runs import sample_run


def column(table: Table, name: str) -> list[str]:
    return [row[table.head.index(name)] for row in table.rows]


def judged(run: Run, *more: Judgement) -> Run:
    return structs.replace(run, judgements=list(more))


SLOW = Judgement(
    threshold="p95 < 500ms over 30s on beta", metric="p95", limit=0.5, observed=0.612,
    passed=False, server="beta", begin=32.0, end=62.0,
)  # fmt: skip


def test_a_servers_own_threshold_and_its_worst_window_are_in_every_report() -> None:
    run = judged(sample_run(), SLOW)
    seen = "612ms (from 32s to 1m 2s)"
    assert run_tables.thresholds(run).rows == ((SLOW.threshold, seen, "broken"),)
    for width in (80, 120):
        text = report.text(run, width=width)
        assert f"× {SLOW.threshold}  {seen}" in text
    assert seen in exports.export(run, "html")
    assert seen in exports.export(run, "junit")
    assert SLOW.threshold in unescape(exports.export(run, "junit"))
    assert "612ms (from 32s to 1m 2s)" in exports.export(run, "markdown").replace("\\", "")
    assert '"server": "beta"' in exports.export(run, "json")


def test_an_invalid_run_keeps_and_breaks_nothing() -> None:
    run = judged(sample_run(invalid=("sent late",)), SLOW)
    assert column(run_tables.thresholds(run), "") == ["not judged"]
    assert "❌" not in exports.export(run, "markdown").replace("### ", "").split("\n", 2)[2]
    assert "? not judged" in exports.export(run, "html")
    [told] = json.loads(exports.export(run, "json"))["thresholds"]
    assert told["passed"] is None
    assert 'skipped="1"' in exports.export(run, "junit")
    assert "thresholds not judged" in in_words(summarize(run))[0]


def test_service_and_first_byte_of_a_server_are_shown_where_they_differ() -> None:
    run = sample_run(servers=("a", "b"))
    result = run.measured()
    assert result is not None
    table = run_tables.servers(result)
    # The sample's first byte comes after four fifths of the service.
    assert column(table, "server") == [
        "a", "  service", "  first byte", "b", "  service", "  first byte",
    ]  # fmt: skip
    for totals in result.totals.values():
        totals.service = totals.first_byte = totals.response
    assert column(run_tables.servers(result), "server") == ["a", "b"]
    assert run_tables.servers(structs.replace(result, totals={"a": Totals()})).rows == ()


def test_what_the_servers_reported_has_mean_and_worst() -> None:
    run = sample_run(servers=("a", "b"))
    table = run_tables.reported(run)
    assert column(table, "reported by") == ["a", "", "b", ""]
    assert column(table, "queue")[:2] == ["2ms", "2ms"]
    assert column(table, "cache hits")[:2] == ["25.0%", "25.0%"]
    waiting = column(table, "waiting")
    assert waiting[1] == "9"
    assert 1 <= float(waiting[0]) <= 9
    assert "state" not in table.head
    for tick in run.ticks[-3:]:
        tick.servers["a"] = structs.replace(tick.servers["a"], state="down", waiting=None)
    assert column(run_tables.reported(run), "state")[1] == "ready, down"
    text = report.text(run, width=80)
    assert "reported by" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_servers_that_say_nothing_of_themselves_have_no_lines() -> None:
    run = sample_run()
    for tick in run.ticks:
        tick.servers = {}
    assert run_tables.reported(run).rows == ()
    assert "reported by" not in report.text(run)


def test_repetitions_and_how_they_vary() -> None:
    table = run_tables.spread([sample_run(), sample_run(), sample_run()])
    assert table.head[0] == "3 runs"
    assert column(table, "3 runs") == ["p50", "p95", "p99", "good/s", "success"]
    assert column(table, "median") == column(table, "least")


def test_a_table_gives_up_what_is_spare_and_never_is_too_wide() -> None:
    table = Table(
        head=("name", "one", "two"), rows=(("long name", "1,234", "5"), ("x", "1", "77")),
        spare=("one", "two"),
    )  # fmt: skip
    assert aligned(table, 80) == [
        "name         one  two", "long name  1,234    5", "x              1   77",
    ]  # fmt: skip
    assert aligned(table, 15) == ["name       two", "long name    5", "x           77"]
    assert aligned(table, 5) == ["name", "long ", "x"]
    assert aligned(structs.replace(table, rows=()), 80) == []


def test_small_shares_are_judged_in_figures() -> None:
    rare = Judgement(
        threshold="error_rate < 0.05%", metric="error_rate", limit=0.0005, observed=0.0004,
        passed=True,
    )  # fmt: skip
    never = structs.replace(rare, metric="p95", observed=math.inf)
    nothing = structs.replace(rare, observed=None)
    run = judged(sample_run(), rare, never, nothing)
    assert column(run_tables.thresholds(run), "measured") == [
        "0.04%", "∞", "nothing to measure",
    ]  # fmt: skip


def test_what_was_changed_by_hand_is_said() -> None:
    run = structs.replace(sample_run(), interventions=["3s: paused", "5s: went on"])
    for text in (report.text(run), exports.export(run, "html"), exports.export(run, "markdown")):
        assert "3s: paused; 5s: went on" in text
    assert "by hand" not in report.text(sample_run())
