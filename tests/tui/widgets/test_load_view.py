from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from opsconsole import figures
from opsconsole.load.compare import Change, Comparison
from opsconsole.load.plan import Lengths, Phase, Work
from opsconsole.load.records import ServerSample
from opsconsole.load.summary import per_second, summarize
from opsconsole.tui.load_desk import Session
from opsconsole.tui.widgets.chart import Chart
from opsconsole.tui.widgets.load_head import work_words
from opsconsole.tui.widgets.load_view import RunView
from tests.load.sample_runs import empty_run, sample_run
from tests.tui.render import screen_lines, screen_text
from tests.tui.widgets.load_sessions import EVIL, RunScreen, climb, console, session

SIZES = [(80, 24), (80, 19), (40, 12), (160, 45), (118, 30), (60, 40), (200, 60), (20, 5), (1, 1)]


async def drawn(
    made: Session, size: tuple[int, int] = (80, 19), look: Callable[[Any], None] | None = None,
    **more: Any,
) -> str:  # fmt: skip
    """What stands on the screen; ``look`` is called with the app before it is left."""
    app = console(**more)
    async with app.run_test(size=size) as pilot:
        await app.push_screen(RunScreen())
        await pilot.pause()
        app.screen.query_one(RunView).show(made)
        await pilot.pause()
        if look is not None:
            look(app)
        lines = screen_lines(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        return screen_text(app)


def line_of(text: str, name: str) -> str:
    """The row of the table with this name."""
    [found] = re.findall(rf"(?m)(?:^ |  )({re.escape(name)} {{3,}}[\d—].*)", text)
    row: str = found
    return row


@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_every_state_fits_every_size(
    states: Sequence[Session], size: tuple[int, int], ascii: bool
) -> None:
    app = console(ascii=ascii)
    async with app.run_test(size=size) as pilot:
        await app.push_screen(RunScreen())
        await pilot.pause()
        for made in states:
            app.screen.query_one(RunView).show(made)
            await pilot.pause()
            lines = screen_lines(app)
            assert len(lines) == size[1]
            assert all(len(line) <= size[0] for line in lines)
            text = screen_text(app)
            assert text.isascii() or not ascii
            if size[0] >= 40:
                assert made.plan.name in text


@pytest.fixture(scope="module")
def states() -> list[Session]:
    """A run from its begin to its end, and what is shown otherwise."""
    run = sample_run(rate=60)
    return [
        session(run, "starting", upto=0),
        session(run, upto=3),
        session(run, upto=30),
        session(run, "ended", saved="/state/x"),
        session(empty_run(), "ended"),
        climb(),
        climb("stress"),
    ]


async def test_at_80_columns_it_says_what_is_run_how_far_it_is_and_how_it_goes() -> None:
    made = session(sample_run(rate=200, servers=("reranker-1",)), upto=33)
    text = await drawn(made)
    first, second, *_ = text.splitlines()
    assert first.startswith(" smoke  open loop · 200/s, 30s · 10 documents × ~70 tokens")
    assert first.endswith("→ reranker-1")
    assert "33s of 35s  steady, phase 2 of 2  ● running" in second
    live = made.live
    for metric in ("p50", "p95", "p99"):
        shown = line_of(text, metric).split()
        columns = (live.now, live.recent, live.whole)
        assert shown[1:4] == [figures.latency(column.latency(metric)) for column in columns]
    assert line_of(text, "p95").endswith("<500ms ✓ kept")
    # A broken level is marked in every column in which it is: not by colour alone.
    assert line_of(text, "ok %").split()[2:] == ["100", "97.40!", "98.14!", ">99%", "×", "broken"]
    good = [per_second(c.totals.rates(c.rated).good) for c in (live.now, live.recent, live.whole)]
    assert line_of(text, "good/s").split()[1:4] == good
    assert "in flight 4  late p99" in text
    assert "dropped 0" in text
    assert "p95 < 500ms" in text  # the level in the chart
    assert "queue 1  active 4  inference" in text
    assert "80 × HTTP 503 queue_full  4.0/s" in text
    assert "4.0/s  64 are waiting" in text  # the message, not the JSON around it
    assert "24 × timeout  1.2/s  no answer within 30s" in text


async def test_the_spread_names_its_least_its_commonest_and_its_worst() -> None:
    made = session(sample_run(rate=100))
    histogram = made.live.whole.totals.response
    for size in ((80, 19), (160, 45)):
        text = await drawn(made, size)
        assert f"{figures.with_unit(histogram.least / 1e9)} least" in text
        assert f"{figures.with_unit(histogram.largest / 1e9)} worst" in text
        assert " most" in text
        assert "█" in text


async def test_the_warm_up_is_said_as_such_and_whole_is_empty_in_it() -> None:
    text = await drawn(session(sample_run(), upto=3))
    assert "3s of 35s  warm-up, phase 1 of 2  ● warm-up" in text
    now, recent, whole = line_of(text, "p95").split()[1:4]
    assert "—" not in (now, recent)
    assert whole == "—"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("starting", ("◐ starting", "before anything is sent")),
        ("paused", ("◐ paused", "nothing is sent, and the schedule stands still")),
        ("stopping", ("◐ stopping", "4 in flight end")),
        ("failed", ("× failed", "the generator is gone")),
        ("ended", ("○ ended", "× FAILED: 1 of 2 thresholds broken")),
    ],
)
async def test_states_are_said_in_words(state: str, words: tuple[str, ...]) -> None:
    upto = 0 if state == "starting" else None
    error = "the generator is gone" if state == "failed" else ""
    text = await drawn(session(sample_run(), state, upto, error=error))
    assert all(word in text for word in words)


async def test_what_was_changed_by_hand_is_said() -> None:
    text = await drawn(session(sample_run(), upto=20, rate=250.0), (118, 30))
    assert "now 250/s by hand" in text
    run = sample_run()
    run.interventions = ["12s: 250/s"]
    assert "changed by hand: 12s: 250/s" in await drawn(session(run, "ended"))


@pytest.mark.parametrize("size", [(80, 19), (40, 12), (160, 45)], ids=str)
async def test_a_run_that_would_be_invalid_says_so_at_once(size: tuple[int, int]) -> None:
    run = sample_run()
    run.ticks[9].client.dropped = 7
    assert "INVALID" not in await drawn(session(run, upto=9), size)
    assert "▲ INVALID as it stands: 7 of" in await drawn(session(run, upto=10), size)


async def test_an_invalid_run_that_ended_neither_keeps_nor_breaks_anything() -> None:
    run = sample_run(invalid=("sends were late",))
    text = await drawn(session(run, "ended"))
    assert "▲ INVALID, says nothing about the servers: sends were late" in text
    assert "? invalid" in line_of(text, "ok %")
    assert "kept" not in text
    assert "broken" not in text


async def test_the_verdict_has_its_reason_and_the_baseline_one_line() -> None:
    run = sample_run(errors=False, stopped="by the operator")
    run.conclusion = None
    changes = tuple(
        Change(metric=metric, base=0.1, new=0.12, change=0.2, low=0.1, high=0.3, verdict=verdict)
        for metric, verdict in (("p50", "no difference"), ("p95", "worse"))
    )  # fmt: skip
    compared = Comparison(base="a", new="b", level=0.95, test="bootstrap", changes=changes)
    made = session(run, "ended", comparison=compared, compared_with=summarize(sample_run()))
    text = await drawn(made)
    assert "▲ STOPPED before its end: by the operator" in text
    assert "× baseline 2026-11-21: p95 +20.0% worse" in text
    made.comparison = replace(compared, changes=(replace(changes[1], verdict="no difference"),))
    assert "= baseline 2026-11-21: p95 +20.0%, no difference" in await drawn(made)
    made.comparison, made.not_compared = None, "no baseline"
    assert "not compared: no baseline" in await drawn(made)
    made.saved = "not stored: no space left on device"
    assert "▲ not stored: no space left" in await drawn(made)


async def test_servers_are_told_apart() -> None:
    made = session(sample_run(rate=100), upto=25)
    beta = made.live.recent.servers["beta"]
    for size in ((80, 19), (160, 45)):
        text = await drawn(made, size)
        shown = line_of(text, "beta").split() if size[0] == 80 else []
        if shown:
            assert shown[1] == "48"  # the good ones, as in the table
            assert shown[2] == figures.latency(beta.response.percentile(95))
        assert "alpha" in text
    many = session(sample_run(rate=300, servers=tuple(f"server-{n}" for n in range(30))), upto=8)
    text = await drawn(many, (160, 45))
    assert "server-0, server-1 +28" in text
    assert "more" in text


async def test_upstreams_behind_a_balancer_have_their_shares() -> None:
    run = sample_run(rate=20, servers=("balancer",), seconds=5)
    for tick in run.ticks:
        tick.servers = {}
        tick.totals["balancer"].upstreams = {"10.0.0.1:8000": 15, "10.0.0.2:8000": 5}
    text = await drawn(session(run), (118, 30))
    assert "10.0.0.1:8000" in text
    assert "75.0%" in text
    assert "25.0%" in text


async def test_a_streamed_answer_has_a_first_byte() -> None:
    run = sample_run(rate=50)
    assert "1st p95" in await drawn(session(run), (160, 45))
    for tick in run.ticks:
        for totals in tick.totals.values():
            totals.first_byte = totals.service
    assert "1st p95" not in await drawn(session(run), (160, 45))


async def test_what_a_threshold_asks_for_has_a_row() -> None:
    run = sample_run(rate=100)
    run.plan = replace(
        run.plan,
        thresholds=("goodput > 500/s", "service.p99 < 1ms", "p95 < 1s on beta", "p90 < 1s over 5s"),
    )
    text = await drawn(session(run), (118, 30))
    assert "× broken" in line_of(text, "good/s")
    assert "× broken" in line_of(text, "svc p99")
    assert "<1s ✓ kept" in line_of(text, "p95")
    assert "<1s ✓ kept" in line_of(text, "p90")


@pytest.mark.parametrize("kind", ["search", "stress"])
async def test_probes_are_a_table_with_the_newest_last(kind: str) -> None:
    unit = "/s" if kind == "search" else " "
    for size in ((80, 19), (118, 40)):
        text = await drawn(climb(kind), size)
        lines = [line for line in text.splitlines() if "held" in line or "broke" in line]
        broke = next(line for line in lines if "× broke" in line and f"80{unit}" in line)
        assert "p95 " in broke
        assert "● held" in lines[-1]
        assert f"60{unit}" in lines[-1]
        assert "probe" in text


async def test_charts_share_one_time_axis() -> None:
    def look(app: Any) -> None:
        charts = [chart for chart in app.screen.query(Chart) if chart.display]
        assert len(charts) >= 5
        assert len({chart._span for chart in charts}) == 1
        plots = set()
        for chart in charts:
            rows = [chart.render_line(y).text for y in range(chart.size.height)]
            plots |= {row.index("┤") for row in rows if "┤" in row}
        assert len(plots) == 1

    run = sample_run(rate=100)
    text = await drawn(session(run), (160, 45), look)
    for title in ("response time", "requests a second", "servers' queue", "servers' inference",
                  "cache hits"):  # fmt: skip
        assert title in text
    assert "warm-up to 5s" in text
    for tick in run.ticks:  # servers that say nothing have no charts of nothing
        tick.servers = {name: ServerSample(state="up") for name in tick.servers}
    text = await drawn(session(run), (160, 45))
    assert "queue" not in text.replace("queue_full", "")


async def test_foreign_text_cannot_do_anything() -> None:
    run = sample_run(rate=20, servers=(EVIL[:40], "b"), seconds=5)
    for tick in run.ticks:
        for totals in tick.totals.values():
            totals.errors = {EVIL: 1}
            totals.upstreams = {EVIL: 1}
    run.examples = {EVIL: EVIL * 20}
    run.plan = replace(run.plan, name=EVIL, work=Work(replay=EVIL))
    run.phases = [replace(result, phase=Phase(name=EVIL, duration=9)) for result in run.phases]
    run.invalid, run.stopped = [EVIL], EVIL
    for state in ("running", "ended", "failed"):
        made = session(run, state, error=EVIL, saved=f"not stored: {EVIL}", not_compared=EVIL)
        for size in ((80, 24), (160, 45)):
            text = await drawn(made, size)
            assert all(c.isprintable() for line in text.splitlines() for c in line)
            assert "[@click=app.quit]" in text


async def test_it_follows_its_size_and_its_theme() -> None:
    app = console()
    async with app.run_test(size=(80, 19)) as pilot:
        await app.push_screen(RunScreen())
        view = app.screen.query_one(RunView)
        view.show(session(sample_run(rate=60)))  # before it has a size
        await pilot.pause()
        assert "service level" in screen_text(app)
        await pilot.resize_terminal(160, 45)
        await pilot.pause()
        assert "servers' queue" in screen_text(app)
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        assert "SLO" in screen_text(app)
        app.theme = "opsconsole-light"
        await pilot.pause()
        assert "p95" in screen_text(app)


def test_work_is_said_in_words() -> None:
    base = sample_run().plan
    assert work_words(base) == "10 documents × ~70 tokens"
    one = Work(documents=Lengths("fixed", 1), document_tokens=Lengths("uniform", 10, 200))
    assert work_words(replace(base, work=one)) == "1 document × 10–200 tokens"
    assert work_words(replace(base, work=Work(dialect="http", path="/health"))) == "GET /health"
    assert work_words(replace(base, work=Work(replay="day.jsonl"))) == "bodies of day.jsonl"
