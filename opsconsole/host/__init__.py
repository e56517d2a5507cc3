"""This machine: cores, memory, disks, network, GPUs."""

from opsconsole.host.busy import Busy, BusyReader
from opsconsole.host.gpu import Gpu, GpuReader, Gpus
from opsconsole.host.machine import Disk, HostReader, HostSample, Process, describe, processor

__all__ = [
    "Busy",
    "BusyReader",
    "Disk",
    "Gpu",
    "GpuReader",
    "Gpus",
    "HostReader",
    "HostSample",
    "Process",
    "describe",
    "processor",
]
