"""Two servers behind a real nginx: one is killed, both are replaced, and no client notices."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from opsconsole.balancer import nginx
from opsconsole.balancer.running import OwnNginx
from tests.balancer.bed import needs_nginx, pool
from tests.net import free_port
from tests.nginx import serving
from tests.server.process import PLAIN, ServerProcess, until

pytestmark = needs_nginx

# As opsconsole would not write it: the body goes on to the server while it still arrives.
STREAMS = """
client_max_body_size 32m;
location / {{
    proxy_pass http://127.0.0.1:{server};
    proxy_http_version 1.0;  # nginx's default until 1.29.7
    proxy_request_buffering off;
}}
"""


@contextmanager
def balancer(*ports: int) -> Iterator[int]:
    """nginx in front of these ports, as `opsconsole generate nginx` has it; yields its own."""
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with OwnNginx(nginx.required(), pool(*urls, max_fails=1, fail_timeout=1)) as running:
        port = urlsplit(running.url).port
        assert port is not None
        yield port


class Load:
    """Clients that send one request after the other until told to stop; any failure is kept."""

    def __init__(self, port: int, clients: int = 6) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        client = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", **PLAIN)
        for i in itertools.count():
            if self._over.is_set():
                break
            name = f"behind-{number}-{i}"
            try:
                self._one(client, name, 1 + i % 12)
            except (httpx.TransportError, AssertionError) as error:
                self.failures.append(f"{name}: {error!r}")
                break
            # Every third client connects anew for each request.
            if number % 3 == 0:
                client.close()
                client = httpx.Client(base_url=client.base_url, **PLAIN)
        client.close()

    def _one(self, client: httpx.Client, name: str, count: int) -> None:
        documents = [f"{name} document {i}" for i in range(count)]
        body = {"query": name, "documents": documents}
        answer = client.post("/rerank", json=body, headers={"x-request-id": name})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["id"] == name
        echoed = {each["index"]: each["document"]["text"] for each in found["results"]}
        assert echoed == dict(enumerate(documents))
        with self._lock:
            self.answered += 1

    def more(self, count: int) -> None:
        """Wait for so many further answers."""
        goal = self.answered + count
        until(lambda: self.failures or self.answered >= goal, f"{count} more answers")
        assert self.failures == []

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@contextmanager
def loaded(port: int) -> Iterator[Load]:
    load = Load(port)
    try:
        yield load
    finally:
        load.end()


def test_a_server_killed_under_load_costs_no_request() -> None:
    with (
        ServerProcess() as first,
        ServerProcess() as second,
        balancer(first.port, second.port) as port,
        loaded(port) as load,
    ):
        load.more(60)
        assert all(server.metrics()["total_requests"] > 10 for server in (first, second))
        first.signal(signal.SIGKILL)
        load.more(150)
        assert first.wait() == -signal.SIGKILL
        load.end()
        assert load.failures == []
        assert second.health()["status"] == "healthy"


def test_replacing_both_servers_one_by_one_costs_no_request() -> None:
    ports = [free_port(), free_port()]
    with (
        ServerProcess({"PORT": str(ports[0])}) as first,
        ServerProcess({"PORT": str(ports[1])}) as second,
        balancer(*ports) as port,
        loaded(port) as load,
    ):
        load.more(50)
        assert first.stop() == 0
        load.more(50)
        with ServerProcess({"PORT": str(ports[0])}) as third:
            until(lambda: third.metrics()["total_requests"] > 10, "it to take its share")
            assert second.stop() == 0
            load.more(50)
            load.end()
        assert load.failures == []


def test_a_refusal_before_the_body_was_read_is_no_bad_gateway(tmp_path: Path) -> None:
    with (
        ServerProcess({"API_KEYS": "alice:0123456789abcdef0123"}, wait="listening") as server,
        serving(tmp_path, STREAMS.format(server=server.port)) as port,
    ):
        url = f"http://127.0.0.1:{port}/rerank"
        # A connection each: behind an answer that came before the body's end, nginx itself
        # closes the client's without saying so.
        statuses = [
            httpx.post(url, content=b"x" * 3_000_000, **PLAIN).status_code for _ in range(10)
        ]
    assert statuses == [401] * 10
