"""One server for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.server.process import PLAIN, ServerProcess


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """A healthy server with the embedded model and default settings."""
    with ServerProcess({"OPSCONSOLE_WARMUP": "true"}) as server:
        yield server


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One request runs, two wait; a body of 8 MiB at most, and a second of silence."""
    env = {
        "MAX_PARALLEL_REQUESTS": "1",
        "MAX_QUEUE_SIZE": "2",
        "OPSCONSOLE_MAX_BODY_BYTES": str(8 << 20),
        "OPSCONSOLE_BODY_TIMEOUT": "1",
    }
    with ServerProcess(env, folder=tmp_path_factory.mktemp("strict")) as server:
        yield server


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    """A client with a connection to it."""
    with httpx.Client(base_url=server.url, **PLAIN) as client:
        yield client
