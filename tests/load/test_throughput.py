"""Throughput is what a server answered; what the client gave up is none of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from opsconsole.load import LoadRun, plan_for
from opsconsole.load.judge import measure
from opsconsole.load.packing import pack, unpack
from opsconsole.load.records import Totals, is_answer
from opsconsole.load.work import checking
from opsconsole.profile import Profile, Server
from tests.load.farside import Far
from tests.load.sample_runs import sample_run

GIVEN_UP = ("timeout", "refused", "closed", "reset", "dns", "tls", "unreachable", "not http",
            "unfinished", "No route to host")  # fmt: skip


@pytest.mark.parametrize("kind", GIVEN_UP)
def test_what_is_given_up_is_no_answer(kind: str) -> None:
    assert not is_answer(kind)
    totals = Totals(sent=40, ended=40, errors={kind: 40})
    assert measure("throughput", totals, 2.0) == 0.0


@pytest.mark.parametrize(
    "kind",
    ["HTTP 503 queue_full", "HTTP 301 redirect", "HTTP 500", "answer too large to check", "other",
     checking.NOT_JSON, checking.ORDER],
)  # fmt: skip
def test_a_bad_answer_is_one(kind: str) -> None:
    assert is_answer(kind)
    assert measure("throughput", Totals(sent=40, ended=40, errors={kind: 40}), 2.0) == 20.0


def test_of_several_kinds_each_counts_for_itself() -> None:
    errors = {"timeout": 10, "HTTP 503": 5}
    totals = Totals(sent=35, ended=35, good=20, errors=errors, after_answered=5, after_ended=9)
    assert totals.answered == 25
    assert Totals.sum([totals, totals]).rates(4.0).answered == 10.0
    run = sample_run(servers=("far",))
    run.phases[1].totals["far"] = totals
    assert unpack(pack(run)).phases[1].totals["far"] == totals


def test_a_run_of_before_is_read() -> None:
    from opsconsole.load.packing import _Totals

    packed = _Totals.of(Totals(ended=9, good=4, errors={"timeout": 5}, after_ended=7))
    raw = msgspec.to_builtins(packed)[:14]  # without after_answered and what came after it
    assert msgspec.convert(raw, _Totals).back().after_answered == 4


async def test_what_is_answered_afterwards_is_no_throughput_either() -> None:
    with Far("exact", delay=1.5, size=10) as slow:
        url = f"http://127.0.0.1:{slow.port}"
        profile = Profile(name="far", servers=(Server(name="far", url=url, kind="http"),))
        plan = plan_for("rate", rate=20, duration=2, warmup=0, dialect="http", path="/health",
                        thresholds=("throughput > 15/s",))  # fmt: skip
        load_run = LoadRun(plan, profile)
        async for _ in load_run.ticks():
            pass
    [judged] = load_run.run.judgements
    assert not judged.passed
    whole = load_run.run.measured()
    assert whole is not None
    assert whole.all().good == 40
    assert whole.all().after_answered >= 29


def test_one_outcome_for_everybody(tmp_path: Path) -> None:
    env = os.environ | {"XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}

    def load(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "opsconsole", "load", *argv], env=env,
                              capture_output=True, text=True, check=False, timeout=60)  # fmt: skip

    with Far("exact", delay=30.0) as frozen:
        done = load("rate", "20", "-d", "1s", "--timeout", "300ms", "--warmup", "0s", "--dialect",
                    "http", "--path", "/health", "-t", "throughput > 15/s",
                    "--url", f"http://127.0.0.1:{frozen.port}")  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "FAILED" in done.stdout
    assert "PASSED" not in done.stdout
    [listed] = json.loads(load("list", "--json").stdout)
    assert listed["verdict"] == "failed"
    suite = ElementTree.fromstring(load("export", "-f", "junit").stdout)[0]
    assert int(suite.attrib["failures"]) == 2  # no good answer, and the threshold
    document = json.loads(load("export", "-f", "json").stdout)
    assert document["verdict"] == "failed"
    assert document["measured"]["throughput"] == 0
    assert document["thresholds"][0]["observed"] == 0
