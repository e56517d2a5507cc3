"""Screen 4: this machine: cores, memory, disks, network, GPUs, and what the daemons take of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from opsconsole.actions import Scope
from opsconsole.host import HostReader, HostSample, describe
from opsconsole.text import clean_line
from opsconsole.tui.host_text import HostText
from opsconsole.tui.keys import bindings
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.widgets.chart import Chart, Series

FRAME = 5
INTERVAL = 1.0
WINDOW = 60.0


class HostScreen(ConsoleScreen):
    """This machine."""

    SCOPES: ClassVar = (Scope.HOST,)
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.HOST)
    DEFAULT_CSS = """
    HostScreen #host-scroll { height: 1fr; scrollbar-size-vertical: 1; background: $background; }
    HostScreen #host-text { padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    HostScreen #host-charts { height: 7; padding: 0 1; }
    HostScreen #host-charts > Chart { width: 1fr; height: 100%; margin-right: 2; }
    HostScreen.-low #host-charts { display: none; }
    HostScreen.-tall #host-charts { height: 12; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.sample: HostSample | None = None
        self.machine = ""
        self._reader: HostReader | None = None
        self._cpu: deque[tuple[float, float | None]] = deque(maxlen=int(WINDOW / INTERVAL) + 2)
        self._memory: deque[tuple[float, float | None]] = deque(maxlen=int(WINDOW / INTERVAL) + 2)

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(id="host-scroll"):
            yield Static("  reading …", id="host-text", markup=False)
        with Horizontal(id="host-charts"):
            yield Chart(title="processor", format_value=as_percent, id="cpu-chart")
            yield Chart(title="memory", format_value=as_percent, id="memory-chart")

    def on_mount(self) -> None:
        self.set_interval(INTERVAL, self._sample_later)
        self._sample_later()

    def on_unmount(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def on_resize(self) -> None:
        self.set_class(self.size.height >= 40, "-tall")
        self._show()

    def _sample_later(self) -> None:
        # Only while someone looks; psutil and NVML may block, so never on the UI's thread.
        if self.is_current:
            self.run_worker(self._read, thread=True, group="host", exclusive=True,
                            exit_on_error=False)  # fmt: skip

    def _read(self) -> None:
        if self._reader is None:
            self._reader = HostReader()
            self.machine = describe()
        daemons = self.console_app.model.daemons.values()
        pids = [p for d in daemons for p in (d.pid, d.keeper_pid) if p]
        sample = self._reader.read(pids)
        self.app.call_from_thread(self._take, sample)

    def _take(self, sample: HostSample) -> None:
        self.sample = sample
        now = time.time()
        if sample.cores is not None:
            self._cpu.append((now, 100 * sum(sample.cores) / len(sample.cores)))
        used = sample.memory_total - sample.memory_available
        self._memory.append((now, 100 * used / sample.memory_total))
        self._show()

    def show_model(self) -> None:
        self._show()

    def _show(self) -> None:
        if self.sample is None:
            return
        app = self.console_app
        width = max(8, min(40, self.size.width - 50))
        rows, charts = self.size.height - FRAME, 12 if self.size.height >= 40 else 7

        def text(brief: bool) -> Text:
            made = HostText(app.theme_variables, app.symbols, width, self._owner, brief=brief)
            assert self.sample is not None
            return made.build(self.sample, self.machine)

        # The daemons, the last lines, matter more than the charts, and those than single cores.
        whole = text(brief=False)
        shown = whole if _lines(whole) <= rows - charts else text(brief=True)
        low = _lines(shown) > rows - charts
        if low and _lines(whole) <= rows:
            shown = whole
        self.set_class(low, "-low")
        self.query_one("#host-text", Static).update(shown)
        now = time.time()
        for id, title, values in (
            ("#cpu-chart", "busy", self._cpu),
            ("#memory-chart", "used", self._memory),
        ):
            chart = self.query_one(id, Chart)
            chart.symbols = app.symbols.chart
            times = [at for at, _ in values]
            series = Series(title, times, [value for _, value in values], "accent")
            chart.show([series], span=(now - WINDOW, now))

    def _owner(self, pid: int) -> str:
        for daemon in self.console_app.model.daemons.values():
            if daemon.pid == pid:
                return clean_line(daemon.name, 20)
            if daemon.keeper_pid == pid:
                return clean_line(f"{daemon.name} keeper", 22)
        return ""


def as_percent(value: float) -> str:
    """A value of the charts with its unit."""
    return f"{value:.0f}%"


def _lines(text: Text) -> int:
    return text.plain.count("\n")
