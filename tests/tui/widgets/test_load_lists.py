"""What the lists of a run say where there is little room, and that all of it is somewhere."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from opsconsole.load.live_probes import Tried
from opsconsole.load.records import ServerSample
from opsconsole.load.summary import summarize
from opsconsole.tui import run_rows
from opsconsole.tui.run_so_far import so_far
from opsconsole.tui.symbols import ASCII, UNICODE
from opsconsole.tui.widgets.load_figures import client_line, table
from opsconsole.tui.widgets.load_ink import Ink
from opsconsole.tui.widgets.load_lists import error_lines, probe_lines, said_in
from opsconsole.tui.widgets.load_servers import server_lines
from tests.load.sample_runs import sample_run
from tests.tui.widgets.load_sessions import climb, session

COLORS = dict.fromkeys(("dim", "bright", "success", "warning", "error", "accent", "rule"), "white")
INK = Ink(COLORS, UNICODE)
LONG = (
    "sends were late: p99 38.4ms of all, more than 10% of the limit; a core was busy for 9 of 10 s"
)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        ('503 {"error":{"type":"loading","message":"the model is loading"}}',
         "503 the model is loading"),
        ('503 (Retry-After: 2) {"error":{"type":"loading","message":"wait a moment","field":null}}',
         "503 (Retry-After: 2) wait a moment"),
        ('503 {"error": {"message": "cut off here bec', "503 cut off here bec"),
        ('429 {"error":"Model is overloaded","error_type":"overloaded"}',
         "429 Model is overloaded"),
        ('422 {"detail":[{"loc":["body"],"msg":"field \\"q\\" required"}]}',
         '422 field "q" required'),
        ('{"message":"no status before it"}', "no status before it"),
        ('500 {"code": 7}', '500 {"code": 7}'),
        ("502 <html>Bad Gateway</html>", "502 <html>Bad Gateway</html>"),
        ("no answer within 30s", "no answer within 30s"),
        ("", ""),
    ],
)  # fmt: skip
def test_of_an_answer_in_json_its_words_are_said(example: str, words: str) -> None:
    assert said_in(example) == words


def test_the_words_of_an_error_are_clean_and_seen_at_80_columns() -> None:
    run = sample_run(rate=50)
    evil = r'503 {"error":{"type":"loading","message":"wait\u001b]52;c;eA==\u0007 [red]x"}}'
    run.examples = dict.fromkeys(run.examples, evil)
    [first, *_] = error_lines(INK, session(run).live, run.examples, 80, 1)
    assert "503 wait" in first.plain
    assert "[red]x" in first.plain
    assert first.plain.isprintable()
    assert '"error"' not in first.plain


def test_why_a_probe_broke_is_read_in_full_under_the_table() -> None:
    live = climb().live
    probes = live.probes
    probes[-2] = probes[-2]._replace(state="client", why=LONG)
    live._made["probes"] = probes
    lines = [line.plain for line in probe_lines(INK, live, 80, 9)]
    assert "…" in next(line for line in lines if "generator" in line)
    assert f"80/s: {LONG}" in " ".join(" ".join(lines[-2:]).split())
    assert max(map(len, lines)) <= 80
    # Where the row says it all, or there are hardly any rows, no line goes to it.
    assert len(probe_lines(INK, live, 160, 9)) == len(probes) + 1
    assert len(probe_lines(INK, live, 80, 3)) == 3


def test_all_of_it_is_on_the_page_of_a_run_under_way() -> None:
    made = climb()
    made.live._made["probes"] = [
        Tried("80", 80.0, "client", 0.4, 0.5, 60.0, 1.0, LONG),
        Tried("60", 60.0, "now", None, None, None, None, ""),
    ]
    page = " ".join(so_far(made, 60).split())
    assert f"80/s: the generator was the limit; 60/s good, p95 400ms, 100% ok; {LONG}" in page
    assert "60/s: under way" in page
    run = sample_run(rate=60)
    page = " ".join(so_far(session(run), 60).split())
    for kind, example in run.examples.items():
        if kind in page:
            assert " ".join(example.split()) in page
    assert "HTTP 503" in page
    assert max(map(len, so_far(session(run), 60).splitlines()[3:])) <= 60


def test_what_was_refused_is_no_throughput_without_its_good_ones() -> None:
    run = sample_run(rate=50)
    for tick in run.ticks:
        for totals in tick.totals.values():
            totals.errors["HTTP 503 loading"] = 500
            totals.ended += 500
    live = session(run).live
    rows = {line.plain.split("  ")[0].strip(): line.plain for line in table(INK, live, 60, 12)}
    assert {"good/s", "req/s"} <= rows.keys()
    assert rows["good/s"] != rows["req/s"]
    heads = server_lines(INK, live, 80, 4)[0].plain.split()
    assert heads[1] == "good/s"
    clean = sample_run(rate=50, errors=False)
    names = [line.plain.split()[0] for line in table(INK, session(clean).live, 60, 12)]
    assert "good/s" in names
    assert "req/s" not in names  # it would say the same


def test_in_one_line_there_are_figures_and_no_heading() -> None:
    live = session(sample_run(rate=50)).live
    [only] = table(INK, live, 40, 1)
    assert only.plain.startswith("p95 ")
    assert "good/s" in only.plain
    assert "now" not in only.plain


def test_a_stored_run_in_a_list_and_in_words() -> None:
    run = sample_run()
    summary = replace(summarize(run), errors=156_343, by_hand="5s: paused; 9s: 5 clients")
    [row] = run_rows.rows([summary], frozenset(), ASCII)
    assert row.cells["errors"].text == "156k"
    counts = [(99_999, "99,999"), (999_600, "1.0M"), (12_345_678, "12.3M"), (0, "0")]
    for count, text in counts:
        [row] = run_rows.rows([replace(summary, errors=count)], frozenset(), UNICODE)
        assert row.cells["errors"].text == text
    verdict, _, where = run_rows.in_words(summary)
    assert "changed by hand: 5s: paused; 9s: 5 clients" in verdict
    assert where.startswith(f"alpha, beta; profile {run.profile}; 2026-")
    assert run_rows.title(summary).count(":") == 2  # with its seconds


def test_a_run_that_has_ended_has_nothing_in_flight() -> None:
    run = sample_run(servers=("one",))
    live = session(run).live
    [shown] = server_lines(INK, live, 100, 3)
    assert "queue 1  active 4" in shown.plain
    assert "in flight 4" in client_line(INK, live, 60).plain
    live = session(run, "ended").live
    [shown] = server_lines(INK, live, 100, 3)
    assert shown.plain.startswith("server  inference")
    assert "active" not in shown.plain
    assert "in flight —" in client_line(INK, live, 60).plain


def test_a_server_that_does_not_speak_of_its_queue_is_said_to_be_so() -> None:
    run = sample_run(servers=("one",))
    run.ticks[-1].servers = {"one": ServerSample(state="down")}
    [shown] = server_lines(INK, session(run).live, 100, 3)
    assert shown.plain.strip() == "server  down, says nothing of its queue"
    assert server_lines(INK, session(run, "ended").live, 100, 3) == []
