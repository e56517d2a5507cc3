"""What other programs read: each format is read back by a program of its own kind."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import random
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec import structs

from opsconsole.errors import UsageError
from opsconsole.load import exports, report
from opsconsole.load.exports import hdr, svg
from opsconsole.load.histogram import Histogram, middle_of
from opsconsole.load.plan import Plan, Search, Steps
from opsconsole.load.records import Conclusion, Judgement, Run
from opsconsole.load.summary import took
from tests.load.sample_runs import empty_run, sample_run

HOSTILE = "</td><script>alert(1)</script>|`x` @all \x1b[31m\x00\ud800"


def hostile_run() -> Run:
    """Every text that came from elsewhere is an attack."""
    run = sample_run(seconds=12, servers=(HOSTILE, "b"), stopped=HOSTILE, invalid=(HOSTILE,))
    run.plan = Plan(name=HOSTILE, mode="rate")
    run.profile = run.machine = HOSTILE
    run.examples = dict.fromkeys(run.examples, HOSTILE)
    for totals in (*run.phases[1].totals.values(), *run.ticks[8].totals.values()):
        totals.errors[HOSTILE] = 3
        totals.upstreams[HOSTILE] = 4
    run.phases[1].client.failures[HOSTILE] = 1
    run.judgements.append(
        Judgement(threshold=HOSTILE, metric="p99", limit=1, observed=math.inf, passed=False)
    )
    return run


@pytest.mark.parametrize("format_", exports.FORMATS)
def test_every_format_takes_every_run(format_: str) -> None:
    for run in (sample_run(), sample_run(servers=("one",)), empty_run(), hostile_run()):
        text = exports.export(run, format_)
        assert text.endswith("\n")
        assert "\x1b" not in text
        assert "\x00" not in text
        text.encode()


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match="'pdf' is no export format"):
        exports.export(sample_run(), "pdf")


def test_json() -> None:
    run = sample_run()
    document = json.loads(exports.export(run, "json"))
    assert document["verdict"] == "failed"
    assert document["measured"]["good"] == 2952
    assert document["measured"]["errors"] == {"HTTP 503 queue_full": 40, "timeout": 8}
    assert sum(count for _, _, count in document["measured"]["distribution"]) == 2952
    assert document["measured"]["latency"]["response"]["p95"] == pytest.approx(0.0878, rel=0.01)
    assert len(document["ticks"]) == 35
    assert document["ticks"][7]["servers"]["alpha"]["waiting"] == 1.0
    assert document["thresholds"][1]["text"] == "98.4%"
    assert json.loads(exports.export(hostile_run(), "json"))["thresholds"][2] == {
        "threshold": HOSTILE,
        "metric": "p99",
        "limit": 1.0,
        "observed": None,
        "passed": None,
        "server": "",
        "begin": None,
        "end": None,
        "maximum_of": 0,
        "text": "∞",
    }


def test_csv_has_a_line_a_tick() -> None:
    rows = list(csv.DictReader(io.StringIO(exports.export(sample_run(), "csv"))))
    assert len(rows) == 35
    assert sum(int(row["good"]) for row in rows if row["measured"] == "1") == 2952
    assert rows[0]["phase"] == "warm-up"
    assert float(rows[0]["response_p50_ms"]) == pytest.approx(28, rel=0.2)
    assert rows[0]["alpha.waiting"] == "1"
    assert sum(int(row["error timeout"]) for row in rows) == 8


def test_csv_holds_no_formula() -> None:
    run = sample_run(seconds=1)
    run.phases[0].phase = type(run.phases[0].phase)(name="=cmd|' /C calc'!A0", rate=1.0)
    rows = list(csv.DictReader(io.StringIO(exports.export(run, "csv"))))
    assert rows[0]["phase"].startswith("'=")


def test_junit() -> None:
    suite = ElementTree.fromstring(exports.export(sample_run(), "junit"))[0]
    assert suite.attrib["tests"] == "3"
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("1", "0")
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert list(cases) == ["run", "p95 < 500ms", "success_rate > 99%"]
    failure = cases["success_rate > 99%"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "success_rate was 98.4%"


def test_junit_of_an_invalid_run_judges_nothing() -> None:
    suite = ElementTree.fromstring(
        exports.export(sample_run(invalid=("the core was full",)), "junit")
    )[0]
    counts = {name: suite.attrib[name] for name in ("failures", "errors", "skipped")}
    assert counts == {"failures": "0", "errors": "1", "skipped": "2"}
    error = suite.find("testcase/error")
    assert error is not None
    assert error.attrib["message"] == "the core was full"


def searched(mode: str = "search") -> Run:
    """Probes of which the first held and the second, far slower one broke."""
    run = sample_run(errors=False, servers=("one",))
    held, broke = (sample_run(errors=False, servers=("one",), rate=rate) for rate in (20, 40))
    for totals in broke.phases[1].totals.values():
        totals.response = Histogram()
        totals.response.record([9_000_000_000] * totals.good)
    run.phases = [held.phases[1], broke.phases[1]]
    run.plan = Plan(name="limit", mode=mode, search=Search() if mode == "search" else None,
                    steps=Steps() if mode == "stress" else None)  # fmt: skip
    run.judgements = []
    run.conclusion = Conclusion(
        text="10.6/s is the highest rate that held", value=10.6, low=10.6, high=1250.0, phase=0
    )
    return run


def test_junit_tells_what_a_search_found() -> None:
    suite = ElementTree.fromstring(exports.export(searched(), "junit"))[0]
    found = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert (found["value"], found["low"], found["high"]) == ("10.6", "10.6", "1250")
    assert suite.attrib["failures"] == "0"
    out = suite.findtext("testcase/system-out") or ""
    assert out.splitlines()[-1] == "10.6/s is the highest rate that held"
    plain = ElementTree.fromstring(exports.export(empty_run(), "junit"))[0]
    assert "value" not in {one.attrib["name"] for one in plain.iter("property")}


@pytest.mark.parametrize(
    ("mode", "unit", "ends"), [("search", "/s", "8.21 – 15"), ("stress", " clients", "8 – 16")]
)
def test_the_large_figures_of_a_search_are_those_of_the_probe_that_held(
    mode: str, unit: str, ends: str
) -> None:
    def cards(run: Run) -> list[tuple[str, str]]:
        text = exports.export(run, "html")
        return [
            (name, re.sub("<[^>]*>", "", rest))
            for name, rest in re.findall(r'<div class="card"><span>([^<]*)</span>(.*?)</div>', text)
        ]

    run = searched(mode)
    shown = dict(cards(run))
    assert list(shown)[:2] == ["highest that held", "lowest that broke"]
    assert shown["highest that held"] == f"10.6{unit}"
    assert shown["lowest that broke"] == f"1,250{unit}"
    held = run.phases[0].all()
    assert shown[f"good of {held.ended:,} there"] == "100%"
    assert shown["p99 there"] == took(held.response.percentile(99))
    assert run.conclusion is not None
    run.conclusion = structs.replace(run.conclusion, interval=(8.21, 15.04))
    assert dict(cards(run))["limit, at 90 % confidence"] == f"{ends}{unit}"
    run.conclusion = Conclusion(text="not even 4/s held", high=4.0)
    assert cards(run) == [("highest that held", "—"), ("lowest that broke", f"4{unit}")]


def test_where_no_answer_was_good_there_is_no_empty_chart() -> None:
    run = sample_run(seconds=6, servers=("one",))
    for one in (*run.phases, *run.ticks):
        for totals in one.totals.values():
            totals.errors, totals.good = {"timeout": totals.ended}, 0
            totals.response = Histogram()
    text = exports.export(run, "html")
    assert "Response time over time" not in text
    assert "Requests a second" in text
    for width in (80, 160):
        shown = report.text(run, width=width)
        assert "response: p50" not in shown
        assert "good and failed a second" in shown


def test_of_many_short_phases_no_rests_of_names_are_drawn() -> None:
    bands = [svg.Band(at, at + 1, f"{at}.5/s warm-up", False) for at in range(20)]
    line = svg.Line("x", "first", [1.0] * 20)
    drawn = svg.over_time("t", [at + 0.5 for at in range(20)], [line], label=str, clock=str,
                          bands=bands)  # fmt: skip
    assert "phasename" not in drawn
    drawn = svg.over_time("t", [0.5, 1.5], [line._replace(values=[1.0, 1.0])], label=str, clock=str,
                          bands=bands[:2])  # fmt: skip
    assert drawn.count("phasename") == 2


def test_junit_of_a_stopped_run_fails() -> None:
    suite = ElementTree.fromstring(exports.export(empty_run(), "junit"))[0]
    assert suite.attrib["failures"] == "1"


def test_markdown_shows_text_as_it_is() -> None:
    text = exports.export(hostile_run(), "markdown")
    assert "<script" not in text.replace("\\<", "")
    assert "@all" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, "a cell never opens another"
    plain = exports.export(sample_run(), "markdown")
    assert plain.startswith("### ❌ Load test smoke: FAILED: 1 of 2 thresholds broken\n")
    assert "| ❌ | success\\_rate \\> 99% | 98.4% |" in plain
    assert "| response | 33.5ms |" in plain


class Page(HTMLParser):
    """Elements in their order; complains of what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("make", [sample_run, hostile_run, empty_run], ids=lambda f: f.__name__)
def test_html_is_one_file_without_script(make: object) -> None:
    assert callable(make)
    text = exports.export(make(), "html")
    page = Page()
    page.feed(text)
    assert page.open == []
    tags = {tag for tag, _ in page.seen}
    assert not tags & {"script", "link", "img", "iframe", "object"}
    for _, attributes in page.seen:
        assert not {"src", "href", "onload", "onclick"} & set(attributes)
    assert "url(" not in text
    assert "@import" not in text
    for drawing in re.findall(r"<svg.*?</svg>", text, re.S):
        ElementTree.fromstring(drawing)
    assert "NaN" not in text
    assert "prefers-color-scheme: dark" in text


def test_html_draws_what_was_measured() -> None:
    text = exports.export(sample_run(), "html")
    drawings = re.findall(r'<svg[^>]* aria-label="([^"]*)"', text)
    assert drawings == [
        "Response time over time",
        "Requests a second",
        "Distribution of response times",
        "Errors a second by kind",
        "Requests waiting at the servers",
        "Time in the queue",
        "Inference time",
        "Cache hits",
        "Requests in flight",
    ]
    assert "p95 &lt; 500ms" in text
    assert "98.4%" in text


def test_axes_are_labelled_with_round_values() -> None:
    assert svg.steps(0, 100) == [0, 20, 40, 60, 80, 100]
    assert svg.steps(0, 0.37) == pytest.approx([0, 0.1, 0.2, 0.3])
    assert svg.decades(0.004, 0.6) == pytest.approx([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
    for low, high in ((1e-6, 60), (0.005, 0.0051), (1e-9, 1e-9 * 1.02)):
        ticks = svg.decades(low, high)
        assert 1 <= len(ticks) <= 12
    assert svg.Axis(1, 100, 0, 200, log=True).at(10) == pytest.approx(100)


def unzigzag(data: bytes) -> list[int]:
    """The counts of an HdrHistogram payload, by the description of ZigZagEncoding.java."""
    values, at = [], 0
    while at < len(data):
        value = shift = 0
        for i in range(9):
            byte = data[at]
            at += 1
            value |= (byte if i == 8 else byte & 0x7F) << shift
            shift += 7
            if i < 8 and byte < 0x80:
                break
        values.append((value >> 1) ^ -(value & 1))
    return values


def test_an_hdr_payload_is_what_its_format_says() -> None:
    histogram = Histogram()
    histogram.record([0, 3, 3, 300, 1_000_000, 1 << 50])
    outer = base64.b64decode(hdr.encode(histogram))
    cookie, length = struct.unpack(">Ii", outer[:8])
    assert cookie == 0x1C849314
    assert length == len(outer) - 8
    inner = zlib.decompress(outer[8:])
    cookie, length, offset, digits, lowest, highest, ratio = struct.unpack(">Iiiiqqd", inner[:40])
    assert (cookie, offset, digits, lowest, ratio) == (0x1C849313, 0, 2, 1, 1.0)
    assert length == len(inner) - 40
    assert highest > 1 << 50
    index, counts = 0, {}
    for value in unzigzag(inner[40:]):
        if value < 0:
            index -= value
        else:
            counts[index] = value
            index += 1
    assert counts == histogram.counts


@pytest.mark.parametrize(
    "count", [1, 63, 64, 8191, 8192, (1 << 31) - 1, (1 << 55) - 1, 1 << 55, (1 << 62) - 1]
)
def test_hdr_counts_of_every_length(count: int) -> None:
    data = hdr._counts(Histogram({0: count, 9: 1}, count + 1, 9, 0, 9))
    assert unzigzag(data) == [count, -8, 1]


def test_hdr_is_read_by_the_public_decoder(tmp_path: Path) -> None:
    pytest.importorskip("hdrh")
    from hdrh.histogram import HdrHistogram
    from hdrh.log import HistogramLogReader

    run = sample_run()
    path = tmp_path / "run.hlog"
    path.write_text(exports.export(run, "hdr"))
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000_000, 2))
    read: dict[str, int] = {}
    whole = HdrHistogram(1, 3_600_000_000_000, 2)
    while (one := reader.get_next_interval_histogram()) is not None:
        tag = one.get_tag() or ""
        read[tag] = read.get(tag, 0) + one.get_total_count()
        if not tag:
            whole.add(one)
    reader.input_file.close()
    assert read == {
        "": 2952,
        "service": 2952,
        "first_byte": 2952,
        "server.alpha": 1476,
        "server.beta": 1476,
    }
    assert reader.get_start_time_sec() == pytest.approx(run.at)
    result = run.measured()
    assert result is not None
    ours = result.all().response
    for percent in (1, 25, 50, 90, 99, 99.9):
        expected = ours.percentile(percent)
        assert expected is not None
        theirs = whole.get_value_at_percentile(percent) / 1e9
        assert theirs == pytest.approx(expected, rel=0.005)


def test_hdr_buckets_are_the_decoders_own() -> None:
    pytest.importorskip("hdrh")
    from hdrh.histogram import HdrHistogram

    random_ = random.Random(7)
    values = [random_.randrange(1 << random_.randrange(1, 41)) for _ in range(3000)]
    ours = Histogram()
    ours.record(values)
    theirs = HdrHistogram.decode(hdr.encode(ours))
    assert theirs.get_total_count() == 3000
    for item in theirs.get_recorded_iterator():
        low = theirs.get_lowest_equivalent_value(item.value_iterated_to)
        middle = (low + item.value_iterated_to) / 2
        assert any(
            count == item.count_at_value_iterated_to and middle_of(key) == pytest.approx(middle)
            for key, count in ours.counts.items()
        )
