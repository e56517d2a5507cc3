"""A reading of this machine as aligned lines with bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.text import Text

from opsconsole.figures import DASH, size
from opsconsole.host import Disk, Gpu, HostSample, Process
from opsconsole.text import clean_line
from opsconsole.tui.symbols import Symbols

_LOW_DISK = 0.1
_HIGH_MEMORY = 0.9
_BUSY = 0.95
_CORES_SHOWN = 16
_DISKS_SHOWN = 6
_DISKS_BRIEF = 2


class HostText:
    """Builds the text line by line.

    Args:
        colors: The theme's variables.
        symbols: The glyphs of this terminal.
        width: Cells of a bar.
        owner: The name of the daemon that a pid belongs to, or nothing.
        brief: Only what an operator looks for first: no single cores, the fullest disks, no
            empty lines.
    """

    def __init__(
        self,
        colors: Mapping[str, str],
        symbols: Symbols,
        width: int,
        owner: Callable[[int], str],
        *,
        brief: bool = False,
    ) -> None:
        self.colors = colors
        self.symbols = symbols
        self.width = width
        self.owner = owner
        self.brief = brief
        self.text = Text(no_wrap=True, overflow="crop")

    def build(self, sample: HostSample, machine: str) -> Text:
        """The whole page."""
        self.text.append(f"{clean_line(machine, 200)}\n", f"bold {self.colors['bright']}")
        self._gap()
        self._cores(sample)
        self._memory(sample)
        self._traffic(sample)
        self._gap()
        for gpu in sample.gpus.devices:
            self._gpu(gpu)
        if not sample.gpus.devices:
            self._line("GPU", sample.gpus.reason)
        self._gap()
        self._processes(sample.processes)
        return self.text

    def _gap(self) -> None:
        if not self.brief:
            self.text.append("\n")

    def _line(self, label: str, words: str) -> None:
        self.text.append(f"{clean_line(label, 14):<15}", self.colors["dim"])
        self.text.append(f"{words}\n")

    def _bar(self, label: str, share: float, words: str = "", alarm: str | None = None) -> None:
        full = round(max(0.0, min(1.0, share)) * self.width)
        self.text.append(f"{clean_line(label, 14):<15}", self.colors["dim"])
        self.text.append(self.symbols.bar * full, self.colors[alarm or "accent"])
        self.text.append(self.symbols.bar_rest * (self.width - full), self.colors["rule"])
        self.text.append(f"  {share:4.0%}  {words}\n")

    def _cores(self, sample: HostSample) -> None:
        if sample.cores is None:
            self._line("processor", DASH)
            return
        busy = sum(sample.cores) / len(sample.cores)
        load = " ".join(f"{value:.2f}" for value in sample.load)
        self._bar("processor", busy, f"load {load}", "warning" if busy > _BUSY else None)
        if len(sample.cores) <= _CORES_SHOWN and not self.brief:
            for i, core in enumerate(sample.cores):
                self._bar(f"  core {i}", core)

    def _memory(self, sample: HostSample) -> None:
        used = sample.memory_total - sample.memory_available
        share = used / sample.memory_total
        alarm = "error" if share > _HIGH_MEMORY else None
        self._bar("memory", share, f"{size(used)} of {size(sample.memory_total)}", alarm)
        if sample.swap_total:
            words = f"{size(sample.swap_used)} of {size(sample.swap_total)}"
            self._bar("swap", sample.swap_used / sample.swap_total, words)
        disks = sample.disks[:_DISKS_SHOWN]
        if self.brief:
            disks = tuple(sorted(disks, key=_free_share)[:_DISKS_BRIEF])
        for disk in disks:
            if disk.total:
                free = disk.free / disk.total
                alarm = "error" if free < _LOW_DISK else None
                self._bar(f"disk {disk.mount}", 1 - free, f"{size(disk.free)} free", alarm)

    def _traffic(self, sample: HostSample) -> None:
        for label, pairs in (
            ("network", (("in", sample.received_rate), ("out", sample.sent_rate))),
            ("disk traffic", (("read", sample.read_rate), ("write", sample.written_rate))),
        ):
            words = (
                f"{word} {size(r)}/s" if r is not None else f"{word} {DASH}" for word, r in pairs
            )
            self._line(label, "   ".join(words))

    def _gpu(self, gpu: Gpu) -> None:
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
        self._line(f"GPU {gpu.index}", "  ".join(parts))
        if gpu.utilization is not None:
            self._bar("  busy", gpu.utilization)
        if gpu.memory_used is not None and gpu.memory_total:
            words = f"{size(gpu.memory_used)} of {size(gpu.memory_total)}"
            self._bar("  memory", gpu.memory_used / gpu.memory_total, words)
        for process in gpu.processes[:8]:
            words = f"{self.owner(process.pid)}  {size(process.used_bytes)}"
            self._line(f"  pid {process.pid}", words)

    def _processes(self, processes: tuple[Process, ...]) -> None:
        if not processes:
            return
        head = f"{'DAEMON':<24}{'PID':>8}{'CORES':>8}{'MEMORY':>12}{'THREADS':>9}\n"
        self.text.append(head, self.colors["dim"])
        for process in processes:
            owner = self.owner(process.pid) or clean_line(process.name, 22)
            cores = f"{process.cpu_cores:.2f}" if process.cpu_cores is not None else DASH
            memory = size(process.resident_bytes)
            line = f"{owner:<24}{process.pid:>8}{cores:>8}{memory:>12}{process.threads:>9}\n"
            self.text.append(line)


def _free_share(disk: Disk) -> float:
    return disk.free / disk.total if disk.total else 1.0
