"""Wall time of ``opsconsole --check`` on one healthy local server, and of ``opsconsole status``.

python -m tests.benchmarks.headless [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from opsconsole.host import describe
from tests.net import free_port


def timed(argv: list[str], runs: int) -> list[float]:
    """Seconds of each run, in the order of the runs."""
    out = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run(argv, stdout=subprocess.DEVNULL, check=False)
        out.append(time.perf_counter() - start)
        assert done.returncode == 0, f"{argv} ended with {done.returncode}"
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=15)
    options = parser.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        path = Path(folder) / "one.yaml"
        url = f"http://127.0.0.1:{free_port()}"
        path.write_text(
            "name: one\ndefaults: {service_level: {p95: 500ms}}\nservers:\n"
            f"  - {{name: main, url: '{url}', daemon: {{}}}}\n"
        )
        base = [sys.executable, "-m", "opsconsole", "-p", str(path)]
        subprocess.run([*base, "start"], check=True, stdout=subprocess.DEVNULL)
        try:
            for name, argv in (
                ("python -c pass (the floor)", [sys.executable, "-c", "pass"]),
                ("opsconsole status", [*base, "status"]),
                ("opsconsole --check", [*base, "--check"]),
            ):
                times = timed(argv, options.runs)
                print(f"{name:<28} median {statistics.median(times):.3f} s, "
                      f"best {min(times):.3f} s, worst {max(times):.3f} s")  # fmt: skip
        finally:
            subprocess.run([*base, "stop"], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
