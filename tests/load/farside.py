"""Servers to load against, each in a process of its own on loopback, which count what they saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.load.far.answers import WELL_BEHAVED
from tests.load.far.options import Counts, Options

__all__ = ["WELL_BEHAVED", "Counts", "Far", "Options", "on_core", "when_still"]


class Far:
    """A far side, as its parent sees it; ended with the block.

    Args:
        kind: See :class:`Options`, whose other attributes are keywords.
        core: The only processor core it may use, where the system can do that.

    Attributes:
        port, host, unix: Where it listens.
        origin: time.monotonic_ns of the begin of its first freeze.
        pid: Its process.
    """

    def __init__(self, kind: str = "good", *, core: int | None = None, **options: Any) -> None:
        self.options = Options(kind, **options)
        self._core = core

    def __enter__(self) -> Far:
        argv = [sys.executable, "-m", "tests.load.far", json.dumps(asdict(self.options))]
        with on_core(self._core):
            self.process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
        self.pid = self.process.pid
        said = self._answer()
        self.port: int = said["port"]
        self.origin: int = said["origin"]
        self.host, self.unix = self.options.host, self.options.unix
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()

    def kill(self) -> None:
        """End it without a word to its clients; the system closes what is open."""
        self.process.kill()
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the far side {self.options.kind} ended with {self.process.wait()}"
        return json.loads(line)  # type: ignore[no-any-return]

    def _ask(self, line: str) -> Counts:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        return Counts(**self._answer())

    def counts(self) -> Counts:
        """What it saw so far."""
        return self._ask("counts")

    def truth(self, folder: Path) -> tuple[array[int], array[int]]:
        """Of each request that ``exact`` answered: when it had been read and when its answer was
        written, time.monotonic_ns, in the order of the answers."""
        path = folder / "truth"
        self._ask(f"truth {path}")
        both: array[int] = array("q", path.read_bytes())
        half = len(both) // 2
        return both[:half], both[half:]


def when_still(far: Far, seconds: float = 0.3) -> int:
    """Its requests, as soon as none has come for so long; fails when they do not end."""
    end = time.monotonic() + 60
    while True:
        before = far.counts().requests
        time.sleep(seconds)
        if far.counts().requests == before:
            return before
        assert time.monotonic() < end, "requests still come"


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes started in the block have one core only, where the system can do that."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
