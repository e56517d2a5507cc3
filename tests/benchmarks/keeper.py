"""What a keeper costs: memory, processor time when idle, and how long the verbs take.

    python tests/benchmarks/keeper.py [SECONDS]

To reach (issue 2): a keeper under 20 MB resident.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from opsconsole.daemon.folder import Folder
from opsconsole.daemon.halt import halt
from opsconsole.daemon.launch import launch
from opsconsole.daemon.observe import inspect
from opsconsole.daemon.record import Spec
from tests.daemon.bed import ODD_SERVER
from tests.net import free_port

LIMIT_MB = 20.0


def field(path: str, name: str) -> float:
    """A field of a /proc file, MB."""
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1000
    raise KeyError(name)


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main(seconds: float) -> int:
    """Measure; 1 when the keeper is too large."""
    with tempfile.TemporaryDirectory() as home:
        folder = Folder(f"{home}/daemon")
        port = free_port()
        argv = [sys.executable, "-S", "-E", str(ODD_SERVER), str(port)]
        spec = Spec("benchmark", "odd", argv, {}, "127.0.0.1", port)
        try:
            began = time.perf_counter()
            started = launch(folder, spec)
            start_ms = (time.perf_counter() - began) * 1000
            pid = started.keeper_pid
            assert pid is not None
            before, clock = processor_seconds(pid), time.perf_counter()
            time.sleep(seconds)
            share = (processor_seconds(pid) - before) / (time.perf_counter() - clock)
            resident = field(f"/proc/{pid}/status", "VmRSS")
            proportional = field(f"/proc/{pid}/smaps_rollup", "Pss")
            began = time.perf_counter()
            for _ in range(200):
                inspect(folder, spec.profile, spec.name, spec.host, spec.port)
            status_ms = (time.perf_counter() - began) * 1000 / 200
            began = time.perf_counter()
        finally:
            halt(folder, spec)
        stop_ms = (time.perf_counter() - began) * 1000
    print(f"keeper resident        {resident:8.1f} MB  (limit {LIMIT_MB:g})")
    print(f"keeper proportional    {proportional:8.1f} MB")
    print(f"keeper idle            {share * 100:8.3f} % of a core, over {seconds:g} s")
    print(f"start, ready           {start_ms:8.1f} ms  (a server that is ready at once)")
    print(f"status                 {status_ms:8.2f} ms  (process {os.getpid()}, warm)")
    print(f"stop, group empty      {stop_ms:8.1f} ms")
    return int(resident >= LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
