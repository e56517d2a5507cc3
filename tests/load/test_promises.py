"""Two servers under one load, each held to its own promise, over the whole and over windows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from opsconsole.load import LoadRun, Run, exports, report, store
from opsconsole.profile import Profile, Server, ServiceLevel
from tests.load.farside import Far
from tests.load.test_run import plan, run

pytestmark = pytest.mark.timeout(60)

BOTH = {"servers": ("quick", "slow"), "requests": 60, "concurrency": 6}


@pytest.fixture(scope="module")
def profile() -> Iterator[Profile]:
    with Far("good", delay=0.001) as quick, Far("good", delay=0.3) as slow:
        yield Profile(
            name="promises",
            servers=tuple(
                Server(name=name, url=f"http://127.0.0.1:{far.port}", kind="http",
                       service_level=level)
                for name, far, level in (
                    ("quick", quick, ServiceLevel(p95=5.0, success_rate=0.5)),
                    ("slow", slow, ServiceLevel(p95=0.2)),
                )
            ),
        )  # fmt: skip


def loaded(profile: Profile, **keys: object) -> Run:
    return asyncio.run(run(LoadRun(plan("load", **(BOTH | keys)), profile)))


def test_each_server_keeps_or_breaks_its_own_service_level(profile: Profile) -> None:
    found = loaded(profile)
    judged = {judgement.threshold: judgement for judgement in found.judgements}
    assert list(judged) == ["p95 <= 5s on quick", "success_rate >= 50% on quick",
                            "p95 <= 200ms on slow"]  # fmt: skip
    assert [judgement.passed for judgement in judged.values()] == [True, True, False]
    slow = judged["p95 <= 200ms on slow"]
    assert slow.server == "slow"
    assert slow.observed is not None
    assert slow.observed > 0.29
    assert "× p95 <= 200ms on slow" in report.text(found) or found.invalid
    store.save(found)
    assert store.find("latest").judgements == found.judgements
    assert "p95 &lt;= 200ms on slow" in exports.export(found, "junit")


def test_windows_slide_while_it_runs(profile: Profile) -> None:
    thresholds = ("p50 < 200ms over 1s on slow", "p50 < 5s over 1s on quick", "p50 < 60s over 1h")
    found = loaded(profile, thresholds=thresholds)
    slow, quick, long = found.judgements
    assert (slow.passed, quick.passed, long.passed) == (False, True, True)
    assert slow.begin is not None
    assert slow.end is not None
    assert 0.5 < slow.end - slow.begin < 2.5
    assert slow.end <= found.ticks[-1].at + found.ticks[-1].seconds + 1e-6
    # The run is shorter than an hour: all of it is the window.
    assert long.begin is not None
    assert long.end is not None
    assert long.end - long.begin > 1.0
