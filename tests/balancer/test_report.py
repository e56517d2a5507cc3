from __future__ import annotations

from opsconsole.balancer.failover_records import (
    Check,
    Event,
    Failover,
    Outage,
    Settings,
    Share,
    Stage,
)
from opsconsole.balancer.failover_report import text
from opsconsole.load.records import Judgement

FOUND = Failover(
    run="20261121-161510-failover-5e42d5",
    at=1_763_740_800.0,
    profile="trio",
    nginx="1.22.1",
    servers=("reranker-1", "reranker-2"),
    settings=Settings(drain="reranker-1", kill="reranker-2"),
    verdict="failed",
    stages=(
        Stage(name="all servers", begin=0.0, seconds=9.9, requests=94, good=94, errors={},
              p50=0.1, p95=0.3, p99=0.9, worst_gap=0.3,
              answers={"reranker-1": 50, "reranker-2": 44}, passed_on={}),
        Stage(name="reranker-1 drained", begin=9.9, seconds=6.0, requests=60, good=58,
              errors={"HTTP 502": 2}, p50=0.1, p95=0.3, p99=None, worst_gap=None,
              answers={"reranker-2": 58}, passed_on={"reranker-1": 3}),
    ),
    outages=(
        Outage(server="reranker-1", how="drained", at=9.9, gone=0.6, last_answer=0.4, ejected=None,
               tries=12, healthy=8.0, returned=None, by="opsconsole"),
        Outage(server="reranker-2", how="killed", at=20.0),
    ),
    shares=(Share(server="reranker-1", answers=50, counted=None, of_fair=1.06),),
    thresholds=(
        Judgement(threshold="success_rate > 99%", metric="success_rate", limit=0.99,
                  observed=0.987, passed=False),
    ),
    checks=(Check("reranker-1 is ejected", False, "it is tried again and again"),),
    events=(Event(9.9, "reranker-1 drained"),),
    examples={"HTTP 502": "502 \x1b[31mBad Gateway " + "x" * 200},
    left_out=("reranker-3: connection refused",),
    not_restored=("reranker-2: the port is taken",),
)  # fmt: skip


def test_it_says_what_failed_within_80_columns() -> None:
    shown = text(FOUND)
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "✗ FAILED" in shown
    assert "NOT BROUGHT BACK  reranker-2: the port is taken" in shown
    assert "left out: reranker-3" in shown
    assert "✗ success_rate > 99%: 98.7%" in shown
    assert "HTTP 502: 2 in 'reranker-1 drained'" in shown
    assert "fail_timeout=3s" in shown
    assert "\x1b" not in shown


def test_what_did_not_happen_is_a_dash_and_never_0() -> None:
    lines = text(FOUND).splitlines()
    killed = lines[lines.index("reranker-2 was killed at 20s") :]
    assert any(line.startswith("  it was healthy again after") and line.endswith("—")
               for line in killed)  # fmt: skip
    (share,) = [line for line in lines if "106%" in line]
    assert "—" in share


def test_it_works_in_ascii() -> None:
    assert text(FOUND, unicode=False).isascii()
    assert "x FAILED" in text(FOUND, unicode=False)
