"""The console's load test, without its screen: against a real server, by the real generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from opsconsole.actions import audit
from opsconsole.errors import OpsError
from opsconsole.load import Run, plan_for, store
from opsconsole.profile import Profile, Server
from opsconsole.tui.load_desk import LoadDesk, Session
from tests.load.farside import Far

HEALTH: dict[str, Any] = {"dialect": "http", "path": "/health"}


@pytest.fixture
def profile(far: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    url = f"http://127.0.0.1:{far.port}"
    return Profile(name="far", servers=(Server(name="far", url=url, kind="http"),))


class Said(list[tuple[str, str]]):
    def __call__(self, words: str, severity: str) -> None:
        self.append((words, severity))


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
async def desk(said: Said) -> AsyncIterator[LoadDesk]:
    desk = LoadDesk(said)
    yield desk
    await desk.close()


async def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def session_of(desk: LoadDesk) -> Session:
    assert desk.session is not None
    return desk.session


async def test_a_run_is_watched_stored_and_noted(desk: LoadDesk, profile: Profile) -> None:
    plan = plan_for("rate", rate=50, duration=2.5, **HEALTH)
    desk.start(plan, profile)
    session = session_of(desk)
    assert (session.state, session.servers) == ("starting", ("far",))
    await until(lambda: session.state == "running")
    seen = desk.version
    await until(lambda: desk.version > seen)
    await until(lambda: not desk.busy)
    assert session.state == "ended"
    whole = session.run.measured()
    assert whole is not None
    assert whole.all().good == 125
    assert session.not_compared == "no baseline"
    assert store.find("latest").id == session.run.id
    assert Path(session.saved).exists()
    assert [record.action for record in audit.read()] == ["load.run"]


async def test_one_at_a_time(desk: LoadDesk, profile: Profile) -> None:
    desk.start(plan_for("rate", rate=20, duration=30, **HEALTH), profile)
    with pytest.raises(OpsError, match="under way"):
        desk.start(plan_for("rate", rate=20, duration=30, **HEALTH), profile)


async def test_pause_go_on_and_stop(desk: LoadDesk, profile: Profile, said: Said) -> None:
    desk.start(plan_for("rate", rate=100, duration=60, **HEALTH), profile)
    session = session_of(desk)
    await until(lambda: session.live.whole.totals.sent > 50)
    desk.pause()
    assert session.state == "paused"
    await until(lambda: session.live.now.totals.sent == 0)
    desk.pause()
    assert session.state == "running"
    await until(lambda: session.live.now.totals.sent > 0)
    desk.stop()
    assert session.state == "stopping"
    await until(lambda: not desk.busy)
    assert session.run.stopped == "by the operator"
    assert [text.split(": ")[1] for text in session.run.interventions] == ["paused", "went on"]
    assert not [words for words, severity in said if severity == "error"]


async def test_a_rate_goes_up_and_down(desk: LoadDesk, profile: Profile) -> None:
    desk.start(plan_for("rate", rate=80, duration=60, warmup=0, **HEALTH), profile)
    session = session_of(desk)
    await until(lambda: session.state == "running")
    desk.faster()
    desk.faster()
    assert session.rate == 125
    await until(lambda: session.live.now.client.due >= 120)
    desk.slower()
    assert session.rate == 100


async def test_clients_go_up_and_down(desk: LoadDesk, profile: Profile) -> None:
    plan = plan_for("load", concurrency=4, duration=60, requests=None, warmup=0, **HEALTH)
    desk.start(plan, profile)
    session = session_of(desk)
    await until(lambda: session.state == "running")
    for _ in range(4):
        desk.faster()
    assert session.concurrency == 10  # 5, 6, 8, 10
    await until(lambda: session.live.now.client.in_flight == 10)
    for _ in range(20):
        desk.slower()
    assert session.concurrency == 1


async def test_what_chooses_its_own_load_is_left_alone(
    desk: LoadDesk, profile: Profile, said: Said
) -> None:
    plan = plan_for("search", rate=10, duration=2, thresholds=("p95 < 1s",), **HEALTH)
    desk.start(plan, profile)
    await until(lambda: len(session_of(desk).live.moments) > 2)
    desk.faster()
    assert said[-1] == ("a search test chooses its load itself", "warning")
    assert session_of(desk).run.interventions == []


async def test_a_second_stop_does_not_wait(desk: LoadDesk, profile: Profile) -> None:
    desk.start(plan_for("rate", rate=100, duration=60, **HEALTH), profile)
    await until(lambda: session_of(desk).state == "running")
    desk.stop()
    desk.stop()
    await until(lambda: not desk.busy, seconds=30)
    assert session_of(desk).state in ("ended", "failed")


async def test_leaving_the_console_stores_what_was_measured(
    desk: LoadDesk, profile: Profile
) -> None:
    desk.start(plan_for("rate", rate=100, duration=60, **HEALTH), profile)
    await until(lambda: session_of(desk).live.whole.totals.good > 50)
    await desk.close()
    stored = store.find("latest")
    assert stored.stopped == "the console was left"
    whole = stored.measured()
    assert whole is not None
    assert whole.all().good > 50


async def test_the_baseline_is_compared_with(
    desk: LoadDesk, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.load.comparable.LEAST_TICKS", 2)
    plan = plan_for("rate", rate=100, duration=4, thresholds=("p95 < 2s",), **HEALTH)
    desk.start(plan, profile)
    await until(lambda: not desk.busy)
    store.set_baseline("latest")
    desk.start(plan, profile)
    await until(lambda: not desk.busy)
    session = session_of(desk)
    assert session.comparison is not None
    assert session.compared_with is not None
    assert {change.metric for change in session.comparison.changes} >= {"p50", "p95"}


async def test_a_damaged_baseline_costs_no_result(
    desk: LoadDesk, profile: Profile, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.load.comparable.LEAST_TICKS", 1)
    # With something to keep, no run is invalid because a busy machine sent it a little late.
    plan = plan_for("rate", rate=50, duration=1, thresholds=("p95 < 5s",), **HEALTH)
    desk.start(plan, profile)
    await until(lambda: not desk.busy)
    first = store.set_baseline("latest")
    (store.folder() / first.id / "run.bin").write_bytes(b"nothing")
    desk.start(plan, profile)
    await until(lambda: not desk.busy)
    session = session_of(desk)
    assert store.look_up("latest").id == session.run.id
    assert session.saved.endswith(session.run.id)
    assert "no run that this version" in session.not_compared
    assert said[-1][0].startswith("not compared: ")


async def test_a_full_disk_costs_no_result(
    desk: LoadDesk, profile: Profile, said: Said, tmp_path: Path
) -> None:
    desk.start(plan_for("rate", rate=50, duration=2, **HEALTH), profile)
    (tmp_path / "opsconsole").mkdir(exist_ok=True)
    (tmp_path / "opsconsole" / "loads").write_text("no folder")
    await until(lambda: not desk.busy)
    session = session_of(desk)
    assert session.state == "ended"
    assert session.saved.startswith("not stored: ")
    assert said[-1][1] == "error"


async def test_a_stored_run_is_opened_again(desk: LoadDesk, profile: Profile) -> None:
    desk.start(plan_for("rate", rate=50, duration=2, **HEALTH), profile)
    await until(lambda: not desk.busy)
    run = store.find("latest")
    desk.open(run)
    session = session_of(desk)
    assert session.state == "ended"
    whole = run.measured()
    assert whole is not None
    assert session.live.whole.totals.good == whole.all().good


async def test_a_request_that_hangs_does_not_cost_the_run_when_the_console_is_left(
    desk: LoadDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsconsole.tui.load_desk._LEAVE", 0.3)
    with Far("exact", delay=3.0, size=10) as slow:
        url = f"http://127.0.0.1:{slow.port}"
        profile = Profile(name="slow", servers=(Server(name="slow", url=url, kind="http"),))
        desk.start(plan_for("rate", rate=5, duration=60, warmup=0, **HEALTH), profile)
        await until(lambda: session_of(desk).live.whole.totals.good > 0)
        await desk.close()
    stored = store.find("latest")
    assert stored.stopped == "the console was left"
    whole = stored.measured()
    assert whole is not None
    assert whole.all().errors == {}


async def test_what_has_ended_is_not_stopped_any_more(
    desk: LoadDesk, profile: Profile, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, go_on = asyncio.Event(), asyncio.Event()
    save, loop = store.save, asyncio.get_running_loop()

    def slow_save(run: Run) -> Path:
        loop.call_soon_threadsafe(storing.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
        return save(run)

    monkeypatch.setattr(store, "save", slow_save)
    desk.start(plan_for("rate", rate=50, duration=1, **HEALTH), profile)
    await asyncio.wait_for(storing.wait(), 60)
    desk.stop()
    assert said[-1] == ("no load test is under way", "warning")
    closing = asyncio.create_task(desk.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert session_of(desk).state == "ended"
    assert store.find("latest").stopped == ""
