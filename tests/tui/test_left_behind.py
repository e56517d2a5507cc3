"""A server that runs with the settings of a killed tuning is not shown as one that is well."""

from __future__ import annotations

import time

import pytest

from opsconsole.daemon import DaemonState, DaemonStatus
from opsconsole.fleet import ServerState, Snapshot
from opsconsole.tui.describe import describe
from opsconsole.tui.fleet_rows import FleetRows
from opsconsole.tui.model import FleetModel
from opsconsole.tui.symbols import ASCII, UNICODE, Symbols
from tests.tui.fleet import fleet

REMEDY = "opsconsole tune --restore reranker-1"


def model(state: DaemonState, seen: ServerState, left_behind: str) -> FleetModel:
    made = FleetModel(fleet())
    clock = time.monotonic()
    made.take(
        Snapshot(server="reranker-1", at=time.time(), clock=clock, state=seen, poll_seconds=0)
    )
    made.take_daemons([DaemonStatus(
        profile="gpu-fleet", name="reranker-1", state=state, pid=7,
        left_behind=left_behind, remedy=REMEDY if left_behind else "",
    )])  # fmt: skip
    return made


def state_cell(made: FleetModel, symbols: Symbols) -> tuple[str, str]:
    rows = FleetRows().make(made, symbols, made.profile.servers[:1], "profile order", 0)
    cell = rows[0].cells["state"]
    return str(cell.text), cell.style


@pytest.mark.parametrize(("symbols", "mark"), [(UNICODE, "▲"), (ASCII, "!")])
def test_the_row_and_the_description_say_it(symbols: Symbols, mark: str) -> None:
    made = model(DaemonState.RUNNING, ServerState.UP, "a tuning was killed")
    assert state_cell(made, symbols) == (f"{mark} on trial", "warn")
    shown = describe(made, made.profile.servers[0])
    assert shown.startswith(f"why  a tuning was killed\ntry  {REMEDY}\n")


def test_what_is_worse_is_shown_first_and_what_is_well_is_up() -> None:
    stopped = model(DaemonState.STOPPED, ServerState.DOWN, "a tuning was killed")
    assert state_cell(stopped, UNICODE)[0].startswith("○ stopped")
    sick = model(DaemonState.RUNNING, ServerState.DEGRADED, "a tuning was killed")
    assert state_cell(sick, UNICODE)[0] == "▲ degraded"
    well = model(DaemonState.RUNNING, ServerState.UP, "")
    assert state_cell(well, UNICODE) == ("● up", "good")
