"""Glyphs in two sets, and what each state looks like: a mark, a word, a colour."""

from __future__ import annotations

import locale
import os
from typing import TYPE_CHECKING, NamedTuple

from opsconsole.daemon import DaemonState
from opsconsole.fleet import ServerState, Snapshot
from opsconsole.profile import Server
from opsconsole.tui.widgets.raster import SymbolSet

if TYPE_CHECKING:
    from opsconsole.daemon import DaemonStatus


class Look(NamedTuple):
    """How a state is shown: never by colour alone."""

    mark: str
    word: str
    style: str


class Symbols(NamedTuple):
    """One set of glyphs. ``chart`` is the symbol set of the chart widget."""

    up: str
    half: str
    warn: str
    down: str
    off: str
    rule: str
    sum: str
    dash: str
    mark: str
    bar: str
    bar_rest: str
    chart: SymbolSet

    @property
    def plain(self) -> bool:
        """Whether this is the ASCII set."""
        return self.rule == "-"


UNICODE = Symbols("●", "◐", "▲", "×", "○", "─", "Σ", "—", "✓", "█", "░", "braille")
ASCII = Symbols("+", "~", "!", "x", "-", "-", "S", "-", "*", "#", ".", "ascii")


def detect(force_ascii: bool = False) -> Symbols:
    """The set that this terminal can show."""
    term = os.environ.get("TERM", "")
    encoding = (locale.getpreferredencoding(False) or "").lower()
    poor = term in ("linux", "dumb", "vt100", "vt220") or "utf" not in encoding
    return ASCII if force_ascii or poor else UNICODE


def look(
    symbols: Symbols, server: Server, snapshot: Snapshot | None, daemon: DaemonStatus | None
) -> Look:
    """What to show for a server: what its keeper knows where it is silent, else what it says."""
    silent = snapshot is None or snapshot.state in (ServerState.DOWN, ServerState.UNKNOWN)
    if daemon is not None and (silent or daemon.state is not DaemonState.RUNNING):
        told = _daemon_look(symbols, daemon, silent)
        if told is not None:
            return told
    up = snapshot is not None and snapshot.state is ServerState.UP
    if up and daemon is not None and daemon.left_behind:
        return Look(symbols.warn, "on trial", "warn")  # with the settings of a killed tuning
    if snapshot is None:
        return Look(symbols.half, "asking", "dim")
    return {
        ServerState.UP: Look(symbols.up, "up", "good"),
        ServerState.DEGRADED: Look(symbols.warn, "degraded", "warn"),
        ServerState.LOADING: Look(symbols.half, "loading", "accent"),
        ServerState.DRAINING: Look(symbols.half, "draining", "warn"),
        ServerState.DOWN: Look(symbols.down, "down", "bad"),
        ServerState.UNKNOWN: Look("?", "unknown", "warn"),
    }[snapshot.state]


def _daemon_look(symbols: Symbols, daemon: DaemonStatus, silent: bool) -> Look | None:
    looks = {
        DaemonState.STOPPED: Look(symbols.off, "stopped", "dim"),
        DaemonState.STOPPING: Look(symbols.half, "stopping", "warn"),
        DaemonState.BACKOFF: Look(symbols.warn, "backoff", "warn"),
        DaemonState.EXITED: Look(symbols.down, "exited", "bad"),
        DaemonState.FATAL: Look(symbols.down, "failed", "bad"),
        DaemonState.FOREIGN: Look(symbols.down, "foreign", "bad"),
        DaemonState.UNREADY: Look(symbols.warn, "unready", "warn"),
    }
    if silent:
        looks[DaemonState.STARTING] = Look(symbols.half, "starting", "accent")
    else:
        looks[DaemonState.ORPHANED] = Look(symbols.warn, "orphaned", "warn")
        # Stopped or given up by the keeper, yet something answers on the port: the answer wins,
        # and "why" says that it is not our daemon.
        looks.pop(DaemonState.FATAL)
    return looks.get(daemon.state)
