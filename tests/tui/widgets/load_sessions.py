"""Sessions as the load desk keeps them, made of real ticks, and a screen that shows one."""

from __future__ import annotations

import random
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen

from opsconsole.load.live import Live
from opsconsole.load.plan import Phase, Plan, Search, Steps
from opsconsole.load.records import Client, PhaseResult, Run, ServerSample, Tick
from opsconsole.profile.threshold import parse_threshold
from opsconsole.tui.app import ConsoleApp
from opsconsole.tui.load_desk import Session
from opsconsole.tui.widgets.load_view import RunView
from tests.load.sample_runs import late_of, sample_run, totals_of
from tests.tui.fleet import fleet, replay

EVIL = "\x1b]52;c;eA==\x07[/x][@click=app.quit]x[/]\u202e[$primary] [on red]"


class RunScreen(Screen[None]):
    """Nothing but the run."""

    CSS = "RunScreen { background: $background; } RunView { height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield RunView()


def console(**more: Any) -> ConsoleApp:
    return ConsoleApp(fleet(), source=replay([]), **more)


def session(run: Run, state: str = "running", upto: int | None = None, **more: Any) -> Session:
    """``run`` after so many of its ticks."""
    thresholds = [parse_threshold(text) for text in run.plan.thresholds]
    live = Live(run.plan, [result.phase for result in run.phases], thresholds)
    for tick in run.ticks[:upto]:
        live.take(tick)
    if state == "ended":
        live.end(run)
    return Session(
        plan=run.plan,
        profile=run.profile,
        servers=tuple(run.servers),
        thresholds=thresholds,
        live=live,
        run=run,
        state=state,  # type: ignore[arg-type]
        **more,
    )


def climb(kind: str = "search", levels: tuple[int, ...] = (10, 20, 40, 80, 60)) -> Session:
    """A search or a stress test that breaks above 60."""
    random_ = random.Random(3)
    phases: list[Phase] = []
    ticks: list[Tick] = []
    for level in levels:
        slow = level > 60
        keys: dict[str, Any] = (
            {"rate": float(level)} if kind == "search" else {"concurrency": level}
        )
        for name, seconds in ((f"{level} warm-up", 1), (str(level), 3)):
            phases.append(Phase(name=name, measured=seconds == 3, duration=seconds, **keys))
            for _ in range(seconds):
                ticks.append(
                    Tick(
                        at=float(len(ticks)),
                        seconds=1.0,
                        phase=len(phases) - 1,
                        totals={
                            "alpha": totals_of(random_, level, {}, median=0.4 if slow else 0.02)
                        },
                        client=Client(due=level, in_flight=2, late=late_of(random_, level)),
                        servers={"alpha": ServerSample(waiting=30.0 if slow else 0.0, active=4.0)},
                    )
                )
    run = sample_run(rate=20, servers=("alpha",), seconds=5)
    run.plan = Plan(
        name="climb",
        mode="search" if kind == "search" else "stress",
        search=Search() if kind == "search" else None,
        steps=Steps() if kind != "search" else None,
        thresholds=("p95 < 200ms",),
    )
    run.ticks = ticks
    run.phases = [
        PhaseResult(phase=phase, seconds=phase.duration or 0.0, totals={}, client=Client())
        for phase in phases
    ]
    run.judgements = []
    return session(run)
