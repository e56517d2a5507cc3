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
from opsconsole.figures import DASH, size
from opsconsole.host import HostReader, HostSample, describe
from opsconsole.text import clean_line
from opsconsole.tui.app import bindings
from opsconsole.tui.screens.base import ConsoleScreen
from opsconsole.tui.widgets.chart import Chart, Series

INTERVAL = 1.0
WINDOW = 60.0
_LOW_DISK = 0.1
_HIGH_MEMORY = 0.9


class HostScreen(ConsoleScreen):
    """This machine."""

    SCOPES: ClassVar = (Scope.HOST,)
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.HOST)
    DEFAULT_CSS = """
    HostScreen #host-scroll { height: 1fr; scrollbar-size-vertical: 1; background: $background; }
    HostScreen #host-text { padding: 0 1; }
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
            yield Chart(id="cpu-chart")
            yield Chart(id="memory-chart")

    def on_mount(self) -> None:
        self.set_interval(INTERVAL, self._sample_later)
        self._sample_later()

    def on_unmount(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def on_resize(self) -> None:
        self.set_class(self.size.height < 22, "-low")
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
        now = time.monotonic()
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
        self.query_one("#host-text", Static).update(self._text(self.sample))
        now = time.monotonic()
        symbols = self.console_app.symbols.chart
        for id, title, values in (
            ("#cpu-chart", "processor %", self._cpu), ("#memory-chart", "memory %", self._memory),
        ):  # fmt: skip
            chart = self.query_one(id, Chart)
            chart.symbols = symbols
            chart.show(
                [Series(title, list(values), "accent")], span=WINDOW, end=now, low=0, high=100
            )

    def _text(self, sample: HostSample) -> Text:
        app = self.console_app
        colors = app.theme_variables
        dim, bright = colors["dim"], f"bold {colors['bright']}"
        width = max(10, min(40, self.size.width - 44))
        text = Text(no_wrap=True, overflow="crop")

        def row(label: str, share: float | None, words: str, style: str = "accent") -> None:
            text.append(f"{clean_line(label, 14):<15}", dim)
            if share is not None:
                full = round(max(0.0, min(1.0, share)) * width)
                text.append(app.symbols.bar * full, colors[style])
                text.append(app.symbols.bar_rest * (width - full), colors["rule"])
                text.append("  ")
            text.append(f"{words}\n")

        text.append(f"{clean_line(self.machine, 200)}\n\n", bright)
        if sample.cores is not None:
            busy = sum(sample.cores) / len(sample.cores)
            row("processor", busy, f"{busy:4.0%}  load {sample.load[0]:.2f} {sample.load[1]:.2f}",
                "warning" if busy > 0.95 else "accent")  # fmt: skip
            for i, core in enumerate(sample.cores[:16]):
                if len(sample.cores) <= 16:
                    row(f"  core {i}", core, f"{core:4.0%}")
        else:
            row("processor", None, DASH)
        used = sample.memory_total - sample.memory_available
        share = used / sample.memory_total
        row("memory", share, f"{share:4.0%}  {size(used)} of {size(sample.memory_total)}",
            "error" if share > _HIGH_MEMORY else "accent")  # fmt: skip
        if sample.swap_total:
            share = sample.swap_used / sample.swap_total
            row(
                "swap",
                share,
                f"{share:4.0%}  {size(sample.swap_used)} of {size(sample.swap_total)}",
            )
        for disk in sample.disks[:6]:
            full = 1 - disk.free / disk.total if disk.total else 0.0
            row(f"disk {disk.mount}", full, f"{full:4.0%}  {size(disk.free)} free",
                "error" if 1 - full < _LOW_DISK else "accent")  # fmt: skip
        row(
            "network",
            None,
            f"in {_per_second(sample.received_rate)}   out {_per_second(sample.sent_rate)}",
        )
        row(
            "disk traffic",
            None,
            f"read {_per_second(sample.read_rate)}   write {_per_second(sample.written_rate)}",
        )
        text.append("\n")
        self._gpus(text, sample, row)
        self._processes(text, sample)
        return text

    def _gpus(self, text: Text, sample: HostSample, row: object) -> None:
        colors = self.console_app.theme_variables
        dim = colors["dim"]
        gpus = sample.gpus
        assert callable(row)
        if not gpus.devices:
            row("GPU", None, gpus.reason)
        for gpu in gpus.devices:
            parts = [clean_line(gpu.name, 40)]
            if gpu.power_watts is not None:
                limit = f" of {gpu.power_limit_watts:.0f}" if gpu.power_limit_watts else ""
                parts.append(f"{gpu.power_watts:.0f}{limit} W")
            if gpu.temperature is not None:
                parts.append(f"{gpu.temperature} °C")
            if gpu.ecc_errors:
                parts.append(f"{gpu.ecc_errors} uncorrected ECC errors")
            if gpu.throttled:
                parts.append("throttled: " + ", ".join(gpu.throttled))
            row(f"GPU {gpu.index}", None, "  ".join(parts))
            if gpu.utilization is not None:
                row("  busy", gpu.utilization, f"{gpu.utilization:4.0%}")
            if gpu.memory_used is not None and gpu.memory_total:
                share = gpu.memory_used / gpu.memory_total
                row(
                    "  memory",
                    share,
                    f"{share:4.0%}  {size(gpu.memory_used)} of {size(gpu.memory_total)}",
                )
            for process in gpu.processes[:8]:
                owner = self._owner(process.pid)
                text.append(f"    pid {process.pid} {owner}  {size(process.used_bytes)}\n", dim)
        text.append("\n")

    def _processes(self, text: Text, sample: HostSample) -> None:
        colors = self.console_app.theme_variables
        if not sample.processes:
            return
        text.append(
            f"{'DAEMON':<24}{'PID':>8}{'CORES':>8}{'MEMORY':>12}{'THREADS':>9}\n", colors["dim"]
        )
        for process in sample.processes:
            owner = self._owner(process.pid) or clean_line(process.name, 20)
            cores = f"{process.cpu_cores:.2f}" if process.cpu_cores is not None else DASH
            memory = size(process.resident_bytes)
            text.append(f"{owner:<24}{process.pid:>8}{cores:>8}{memory:>12}{process.threads:>9}\n")

    def _owner(self, pid: int) -> str:
        for daemon in self.console_app.model.daemons.values():
            if daemon.pid == pid:
                return clean_line(daemon.name, 20)
            if daemon.keeper_pid == pid:
                return clean_line(f"{daemon.name} keeper", 22)
        return ""


def _per_second(amount: float | None) -> str:
    return f"{size(amount)}/s" if amount is not None else DASH
