"""A real server in a process of its own, for the tests of every package that talks to one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import httpx

VARIABLES = (
    "MODEL_NAME", "LOCAL_MODEL_PATH", "DEVICE_PREFERENCE", "USE_MLX", "MAX_PARALLEL_REQUESTS",
    "MAX_QUEUE_SIZE", "BATCH_SIZE", "ENABLE_PREDICTION_CACHE", "HOST", "PORT", "API_KEYS",
    "API_KEY_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE", "CORS_ORIGINS", "RATE_LIMIT",
    "MAX_QUEUE_TOKENS", "DTYPE",
)  # fmt: skip
DEADLINE = 60.0
PLAIN: dict[str, Any] = {"timeout": DEADLINE, "trust_env": False, "verify": False}
"""No proxy of the environment, and no certificates to load for every call."""


def until(condition: Callable[[], Any], what: str = "", deadline: float = DEADLINE) -> Any:
    """The first true value of a condition; fails the test when it stays false."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited {deadline:g} s for {what or condition}"
        time.sleep(0.02)


def clean_environ() -> dict[str, str]:
    """This process's environment without anything that would settle a server.

    But for the precision: what ``auto`` takes depends on the processor and on how busy it is.
    """
    return {"DTYPE": "float32"} | {
        name: value
        for name, value in os.environ.items()
        if name not in VARIABLES and not name.startswith("OPSCONSOLE_")
    }


class ServerProcess:
    """``python -m opsconsole.server`` on a free port of loopback, ended with the block.

    Args:
        env: Its settings, over a clean environment; ``PORT`` is chosen by the system when absent,
            and it does not warm up, which costs a second at each start.
        wait: Enter the block when it is ``"healthy"``, ``"listening"``, or at once (``None``).
        argv: Another command that runs a server.
        folder: Where the log goes; a temporary one by default.

    Attributes:
        log: Its log file, standard output and error.
    """

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        *,
        wait: Literal["healthy", "listening"] | None = "healthy",
        argv: list[str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._wait = wait
        self._argv = argv or [sys.executable, "-m", "opsconsole.server"]
        self._temporary = Path(tempfile.mkdtemp()) if folder is None else None
        self.log = (folder or Path(self._temporary or "")) / "server.log"
        self.env = (
            clean_environ()
            | {"PORT": "0", "OPSCONSOLE_LOG_FILE": str(self.log), "OPSCONSOLE_WARMUP": "false"}
            | dict(env or {})
        )
        self.port = 0
        """The real one once it listens."""

    def __enter__(self) -> ServerProcess:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self._argv, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        try:
            if self._wait is not None:
                self.port = self.wait_for("listening")["port"]
            if self._wait == "healthy":
                self.wait_for("ready")
                assert self.get("/health").status_code == 200
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._temporary is not None:
            shutil.rmtree(self._temporary)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def url(self) -> str:
        scheme = "https" if self.env.get("TLS_CERT_FILE") else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        """The log's whole lines, which must all be JSON objects."""
        whole, _, _ = (path or self.log).read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines() if line]

    def wait_for(self, message: str) -> dict[str, Any]:
        """The first log line with that message, once it is there."""

        def find() -> dict[str, Any] | None:
            for line in self.lines():
                if line["message"] == message:
                    return line
            assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
            return None

        try:
            return until(find, f"{message!r} in the log")  # type: ignore[no-any-return]
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.log.read_text()}") from None

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Its exit code, once it has ended by itself."""
        return self.process.wait(timeout)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.wait()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, **PLAIN, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, **PLAIN, **options)

    def health(self) -> dict[str, Any]:
        """The JSON of ``/health``, whatever its status."""
        return self.get("/health").json()  # type: ignore[no-any-return]

    def metrics(self) -> dict[str, Any]:
        """The JSON of ``/metrics``."""
        return self.get("/metrics").json()  # type: ignore[no-any-return]


def run_to_end(
    env: Mapping[str, str], argv: list[str] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """(exit code, log lines) of a server that ends by itself."""
    with ServerProcess(env, wait=None, argv=argv) as server:
        code = server.wait()
        return code, server.lines()
