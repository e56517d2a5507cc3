from __future__ import annotations

import os
import subprocess
import sys
import time

from opsconsole.host import BusyReader, GpuReader, HostReader, describe


def test_a_reading_is_of_this_machine() -> None:
    reader = HostReader()
    first = reader.read([os.getpid()])
    time.sleep(0.05)  # a rate needs two readings at different times
    second = reader.read([os.getpid()])
    reader.close()
    assert first.cores is None
    assert second.cores is not None
    assert len(second.cores) == os.cpu_count()
    assert first.received_rate is None
    assert second.received_rate is not None
    assert 0 < second.memory_available < second.memory_total
    assert any(disk.mount == "/" for disk in second.disks)
    assert first.processes[0].cpu_cores is None
    assert second.processes[0].pid == os.getpid()
    assert second.processes[0].resident_bytes > 1_000_000


def test_who_works_is_seen_in_the_share_of_this_machine() -> None:
    reader = BusyReader(seconds=60)
    assert reader.read() is None
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    found = reader.read()
    assert found is not None
    assert found.cores == os.cpu_count()
    assert 0 < found.share <= 1


def test_a_process_that_is_gone_is_left_out() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert HostReader().read([child.pid]).processes == ()


def test_without_a_driver_there_is_a_reason_and_no_crash() -> None:
    reader = GpuReader()
    gpus = reader.read()
    reader.close()
    assert bool(gpus.devices) != bool(gpus.reason)


def test_the_machine_in_one_line() -> None:
    assert "cores" in describe()
    assert "\n" not in describe()
