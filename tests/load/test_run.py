"""Whole runs in this process, with generator processes of their own, against a real server."""

from __future__ import annotations

import ast
import asyncio
import gc
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

import opsconsole.load
from opsconsole.load import LoadRun, Plan, Run, plan_for, report, store
from opsconsole.load.targets import profile_of
from opsconsole.profile import Profile, Server
from tests.load.farside import Far
from tests.server.process import until


def plan(mode: str = "load", /, *numbers: float, processes: int = 0, **keys: object) -> Plan:
    made = plan_for(mode, numbers=numbers, dialect="http", path="/asked", **keys)
    return replace(made, processes=processes)


def bed(far: Far, **changes: object) -> Profile:
    url = f"unix:{far.unix}" if far.unix else f"http://127.0.0.1:{far.port}"
    return Profile(name="bed", servers=(Server(name="far", url=url, kind="http", **changes),))  # type: ignore[arg-type]


async def run(load_run: LoadRun) -> Run:
    async with aclosing(load_run.ticks()) as ticks:
        async for _ in ticks:
            pass
    return load_run.run


def generators() -> list[psutil.Process]:
    """Generator processes that this process started and that have not ended."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "opsconsole.load.generator" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


# --- Its end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.5])
def test_cancelled_at_any_moment_it_leaves_no_process(delay: float) -> None:
    async def main(far: Far) -> None:
        task = asyncio.create_task(run(LoadRun(plan("rate", 100, duration="60s", processes=2),
                                               bed(far))))  # fmt: skip
        await asyncio.sleep(delay)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert generators() == []

    with Far() as far:
        asyncio.run(main(far))
    gc.collect()  # what was not closed would warn


def test_cancelled_twice_it_leaves_no_process() -> None:
    async def main(far: Far) -> None:
        for turns in range(12):
            task = asyncio.create_task(run(LoadRun(plan("rate", 100, duration="60s"), bed(far))))
            await when(lambda: bool(generators()))
            task.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert generators() == []

    with Far() as far:
        asyncio.run(main(far))


def test_left_between_two_ticks_it_leaves_no_process() -> None:
    async def main(far: Far) -> None:
        async with aclosing(LoadRun(plan("rate", 100, duration="60s"), bed(far)).ticks()) as ticks:
            async for _ in ticks:
                assert generators()
                break
        assert generators() == []

    with Far() as far:
        asyncio.run(main(far))


def test_a_loop_that_ends_around_it_leaves_no_process() -> None:
    async def main(far: Far) -> None:
        async for _ in LoadRun(plan("rate", 100, duration="60s"), bed(far)).ticks():
            return  # nobody closes it, as in a console that crashes

    with Far() as far:
        asyncio.run(main(far))
    until(lambda: not generators(), "the generator to end")


async def when(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.005)


def test_a_stop_reports_what_was_measured() -> None:
    async def main(far: Far) -> Run:
        load_run = LoadRun(plan("rate", 100, duration="60s"), bed(far))
        task = asyncio.create_task(run(load_run))
        await when(lambda: far.counts().good > 50)
        load_run.stop("interrupted")
        return await task

    with Far(delay=0.02) as far:
        found = asyncio.run(main(far))
        seen = far.counts()
    assert found.stopped == "interrupted"
    assert sum(result.all().good for result in found.phases) == seen.good > 50


def test_a_console_that_was_stopped_misses_nothing_and_blames_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after Ctrl-Z and fg: its generators spoke all the time, it did not listen."""
    monkeypatch.setattr("opsconsole.load.run.SILENT", 1.0)

    async def main(far: Far) -> Run:
        load_run = LoadRun(plan("rate", 50, duration="4s", warmup=0, processes=2), bed(far))
        async with aclosing(load_run.ticks()) as ticks:
            async for tick in ticks:
                if tick.at < 1:
                    time.sleep(2.5)  # noqa: ASYNC251 - nothing runs
        return load_run.run

    with Far() as far:
        found = asyncio.run(main(far))
        assert far.counts().good == 200
    whole = found.measured()
    assert whole is not None
    assert whole.all().good == 200
    assert not any("said nothing" in reason for reason in found.invalid)
    # What piled up are whole seconds, not a tick for each frame.
    ticks = [tick for tick in found.ticks if not tick.is_pause]
    assert len(ticks) <= 6
    assert all(tick.seconds > 0.5 for tick in ticks[:-1])


# --- Several processes, several runs --------------------------------------------------------------


def test_processes_share_a_plan_and_are_told_of() -> None:
    with Far("exact", delay=0.002) as far:
        load_run = LoadRun(plan("rate", 200, duration="1s", warmup=0, processes=3), bed(far))
        found = asyncio.run(run(load_run))
        seen = far.counts()
    whole = found.measured()
    assert whole is not None
    assert whole.all().good == whole.client.due == seen.good == 200
    assert found.processes == 3
    assert "3 processes" in report.text(found, charts=False)


def test_a_small_plan_has_one_process() -> None:
    with Far() as far:
        found = asyncio.run(run(LoadRun(plan("load", 40, 4), bed(far))))
    assert found.processes == 1
    assert "processes" not in report.text(found, charts=False)


def test_two_runs_at_once_do_not_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    async def main(far: Far) -> list[Run]:
        made = [LoadRun(plan("load", 60, 2, warmup=0), bed(far)) for _ in range(3)]
        return await asyncio.gather(*map(run, made))

    with Far(delay=0.005) as far:
        found = asyncio.run(main(far))
        assert far.counts().good == 180
    assert len({one.id for one in found}) == 3
    for one in found:
        whole = one.measured()
        assert whole is not None
        assert whole.all().good == 60
        store.save(one)
    assert {summary.id for summary in store.runs()} == {one.id for one in found}
    assert [store.read(one.id).id for one in found] == [one.id for one in found]


# --- What it meets --------------------------------------------------------------------------------


def test_a_unix_socket(tmp_path: Path) -> None:
    with Far(unix=str(tmp_path / "far.sock")) as far:
        profile = profile_of(f"unix:{far.unix}")
        found = asyncio.run(run(LoadRun(plan("load", 40, 4, warmup=0), profile)))
        seen = far.counts()
    whole = found.measured()
    assert whole is not None
    assert whole.all().good == 40
    assert seen.paths["/asked"] == 40
    assert found.servers["target"].url == f"unix:{far.unix}"


def test_requests_that_a_closed_connection_lost_are_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with Far("resets", nth=3) as far:
        found = asyncio.run(run(LoadRun(plan("load", 200, 4, warmup=0), bed(far))))
        seen = far.counts()
    whole = found.measured()
    assert whole is not None
    totals, retried = whole.all(), whole.client.retried
    assert (totals.ended, totals.good) == (200, seen.good)
    # A reset at once is that of a connection that was about to be closed; a late one is an error.
    assert retried + sum(totals.errors.values()) == seen.bad > 0
    assert sum(tick.client.retried for tick in found.ticks) == retried
    assert ("sent again" in report.text(found, charts=False)) == bool(retried)
    store.save(found)
    again = store.read(found.id).measured()
    assert again is not None
    assert again.client.retried == retried


def test_a_search_tells_which_phase_held() -> None:
    keys = {"rate": 20, "most": 40, "duration": "1s", "tolerance": "90%", "confirm": 1}
    with Far("exact", delay=0.02) as far:
        found = asyncio.run(run(LoadRun(plan("search", **keys, thresholds=["p95 < 1s"]), bed(far))))
    assert found.conclusion is not None
    held = found.conclusion.phase
    # A machine that is busy with other things may keep the generator from holding any.
    if found.conclusion.value is None:
        assert held is None
        return
    assert held is not None
    assert found.phases[held].phase.measured
    assert found.phases[held].phase.rate == found.conclusion.value


def test_only_a_clock_that_cannot_be_set_measures() -> None:
    """A step of the wall clock changes no time, schedule or timeout: nobody asks it."""
    folder = Path(opsconsole.load.__file__).parent
    asked = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names = {f"{node.value.id}.{node.attr}"}
            else:
                continue
            wall = {"time.time", "time.time_ns", "datetime.now", "time.strftime"}
            asked |= {(path.relative_to(folder).as_posix(), name) for name in names & wall}
    # A run's date, and its id; how old a file is.
    assert asked == {("run.py", "time.time"), ("run.py", "time.strftime"),
                     ("replay_file.py", "time.time")}  # fmt: skip
