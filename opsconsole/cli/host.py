"""``opsconsole host``."""

from __future__ import annotations

import time

import click
import msgspec

from opsconsole.cli.options import json_option, table
from opsconsole.host import HostReader, HostSample, describe

GIB = 2**30


@click.command()
@json_option
def host(as_json: bool) -> None:
    """This machine: cores, memory, disks, network, GPUs."""
    reader = HostReader()
    try:
        reader.read()
        time.sleep(0.25)  # rates need two readings
        sample = reader.read()
    finally:
        reader.close()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(sample), indent=2).decode())
        return
    click.echo(describe())
    click.echo(table(_rows(sample)))


def _rows(sample: HostSample) -> list[list[str]]:
    cores = sample.cores or ()
    used = sample.memory_total - sample.memory_available
    rows = [
        ["cores", f"{sum(cores):.1f} of {len(cores)} busy, load {sample.load[0]:.2f}"],
        ["memory", f"{used / GIB:.1f} of {sample.memory_total / GIB:.1f} GiB used"],
    ]
    for disk in sample.disks:
        rows.append(
            [f"disk {disk.mount}", f"{disk.free / GIB:.1f} of {disk.total / GIB:.1f} GiB free"]
        )
    for gpu in sample.gpus.devices:
        parts = [gpu.name]
        if gpu.utilization is not None:
            parts.append(f"{gpu.utilization:.0%} busy")
        if gpu.memory_used is not None and gpu.memory_total:
            parts.append(f"{gpu.memory_used / GIB:.1f} of {gpu.memory_total / GIB:.1f} GiB")
        if gpu.temperature is not None:
            parts.append(f"{gpu.temperature} °C")
        if gpu.throttled:
            parts.append("throttled: " + ", ".join(gpu.throttled))
        rows.append([f"gpu {gpu.index}", ", ".join(parts)])
    if sample.gpus.reason:
        rows.append(["gpu", sample.gpus.reason])
    return rows
