"""This machine: cores, memory, disks, network, GPUs."""

from opsconsole.host.gpu import Gpu, GpuReader, Gpus
from opsconsole.host.machine import Disk, HostReader, HostSample, Process, describe, processor

__all__ = [
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
