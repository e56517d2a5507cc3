"""This machine now: cores, memory, disks, network."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable

import psutil
from msgspec import Struct

from opsconsole.host.gpu import GpuReader, Gpus

_VIRTUAL = frozenset(
    ("squashfs", "overlay", "tmpfs", "devtmpfs", "iso9660", "autofs", "fuse.lxcfs")
)


class Disk(Struct, frozen=True):
    """A mounted file system, bytes."""

    mount: str
    total: int
    free: int


class Process(Struct, frozen=True, kw_only=True):
    """One process of ours. ``cpu_cores`` is a rate since the sample before."""

    pid: int
    name: str
    cpu_cores: float | None
    resident_bytes: int
    threads: int


class HostSample(Struct, frozen=True, kw_only=True):
    """This machine at one moment. Rates are since the sample before, None in the first."""

    at: float
    cores: tuple[float, ...] | None
    load: tuple[float, float, float]
    memory_total: int
    memory_available: int
    swap_total: int
    swap_used: int
    disks: tuple[Disk, ...]
    received_rate: float | None
    sent_rate: float | None
    read_rate: float | None
    written_rate: float | None
    gpus: Gpus
    processes: tuple[Process, ...] = ()


def describe() -> str:
    """The machine in one line: processor, cores, memory, system."""
    memory = psutil.virtual_memory().total / 2**30
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    return (
        f"{processor()}, {cores} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def processor() -> str:
    """The processor's name as its maker writes it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


class HostReader:
    """Reads samples; keeps what rates need between them. One thread at a time."""

    def __init__(self) -> None:
        self._gpus = GpuReader()
        self._before: tuple[float, int, int, int, int] | None = None
        self._watched: dict[int, psutil.Process] = {}
        psutil.cpu_percent(percpu=True)  # the first call only sets the base line
        self._first = True

    def read(self, pids: Iterable[int] = ()) -> HostSample:
        """A sample, with the processes ``pids`` in it."""
        cores = tuple(p / 100 for p in psutil.cpu_percent(percpu=True))
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        received, sent, read, written = self._rates()
        sample = HostSample(
            at=time.time(),
            cores=None if self._first else cores,
            load=os.getloadavg(),
            memory_total=memory.total,
            memory_available=memory.available,
            swap_total=swap.total,
            swap_used=swap.used,
            disks=tuple(_disks()),
            received_rate=received,
            sent_rate=sent,
            read_rate=read,
            written_rate=written,
            gpus=self._gpus.read(),
            processes=tuple(self._processes(pids)),
        )
        self._first = False
        return sample

    def close(self) -> None:
        """Let go of the GPU driver."""
        self._gpus.close()

    def _rates(self) -> tuple[float | None, ...]:
        net = psutil.net_io_counters()
        try:
            disk = psutil.disk_io_counters()
        except (OSError, RuntimeError):  # containers without /proc/diskstats
            disk = None
        now = (
            time.monotonic(),
            net.bytes_recv if net else 0,
            net.bytes_sent if net else 0,
            disk.read_bytes if disk else 0,
            disk.write_bytes if disk else 0,
        )
        before, self._before = self._before, now
        if before is None or now[0] <= before[0]:
            return (None, None, None, None)
        seconds = now[0] - before[0]
        return tuple(max(0, n - b) / seconds for n, b in zip(now[1:], before[1:], strict=True))

    def _processes(self, pids: Iterable[int]) -> Iterable[Process]:
        wanted = set(pids)
        self._watched = {pid: p for pid, p in self._watched.items() if pid in wanted}
        for pid in sorted(wanted):
            try:
                known = self._watched.get(pid)
                if known is None or not known.is_running():
                    known = self._watched[pid] = psutil.Process(pid)
                    known.cpu_percent()
                    cpu = None
                else:
                    cpu = known.cpu_percent() / 100
                with known.oneshot():
                    yield Process(
                        pid=pid,
                        name=known.name(),
                        cpu_cores=cpu,
                        resident_bytes=known.memory_info().rss,
                        threads=known.num_threads(),
                    )
            except psutil.Error:
                self._watched.pop(pid, None)


def _disks() -> Iterable[Disk]:
    seen: set[str] = set()
    for part in psutil.disk_partitions(all=False):
        # Bind mounts show one device many times: the first, shortest mount stands for it.
        if part.fstype in _VIRTUAL or part.device in seen:
            continue
        seen.add(part.device)
        try:
            usage = psutil.disk_usage(part.mountpoint)
        except OSError:
            continue
        yield Disk(part.mountpoint, usage.total, usage.free)
    if not seen:
        usage = psutil.disk_usage("/")
        yield Disk("/", usage.total, usage.free)
