"""From the first second to the last answer."""

from __future__ import annotations

import itertools
import json
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.server.process import PLAIN, ServerProcess, run_to_end, until
from tests.server.test_routes import error_of


def test_loading_is_visible_and_harmless() -> None:
    with ServerProcess({"OPSCONSOLE_SERVER_NAME": "early"}, wait="listening") as server:
        server.signal(signal.SIGUSR1)
        answer = server.get("/health")
        health = answer.json()
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert health["status"] == "loading"
        assert health["reason"] == "loading the model embedded"
        assert health["name"] == "early"
        assert health["model"]["name"] == "embedded"
        assert health["model"]["loaded"] is False
        assert health["model"]["backend"] is None
        refused = server.post("/rerank", json={"query": "q", "documents": ["a"]})
        assert refused.status_code == 503
        assert error_of(refused)["type"] == "loading"
        assert int(refused.headers["retry-after"]) > 0
        assert server.metrics()["rejected_by_reason"]["loading"] == 1
        until(lambda: server.get("/health").status_code == 200, "it to be healthy")
        assert server.post("/rerank", json={"query": "q", "documents": ["a"]}).status_code == 200


def test_a_stop_while_loading_is_clean() -> None:
    with ServerProcess(wait="listening") as server:
        assert server.health()["status"] == "loading"
        assert server.stop() == 0
        assert server.lines()[-1]["message"] == "stopped"


class Load:
    """Clients that send one request after the other until nobody listens any more.

    Every second one connects anew for each request. A refused connection is an honest end; one
    that was made and then broke has lost a request.
    """

    def __init__(self, server: ServerProcess, clients: int) -> None:
        self.answered: list[str] = []
        self.lost: list[str] = []
        self.told_to_close = 0
        self._server = server
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        connection: socket.socket | None = None
        for i in itertools.count():
            name = f"load-{number}-{i}"
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self._server.port), 60)
            except ConnectionRefusedError:
                return
            try:
                status, closes = exchange_one(connection, name, ["some text"] if i % 9 == 0 else [])
            except (OSError, AssertionError) as error:
                self.lost.append(f"{name}: {error!r}")
                return
            assert status == 200
            self.answered.append(name)
            self.told_to_close += closes
            if closes or number % 2:
                connection.close()
                connection = None

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


def exchange_one(connection: socket.socket, name: str, documents: list[str]) -> tuple[int, bool]:
    """Send one request; (status, whether the server closes the connection)."""
    body = json.dumps({"query": name, "documents": documents}).encode()
    connection.sendall(
        f"POST /rerank HTTP/1.1\r\nHost: x\r\nX-Request-ID: {name}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    received = b""
    while True:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length is not None and len(rest) >= int(length[1]):
            assert json.loads(rest)["id"] == name
            return int(head.split()[1]), b"connection: close" in head
        piece = connection.recv(65536)
        assert piece, "closed without an answer"
        received += piece


def test_sigterm_under_load_answers_every_accepted_request() -> None:
    with ServerProcess({"OPSCONSOLE_DRAIN_SECONDS": "2"}) as server:
        load = Load(server, clients=8)
        long: list[httpx.Response] = []
        body = {"query": "q", "documents": [f"number {i} of many" for i in range(400)]}
        thread = threading.Thread(target=lambda: long.append(server.post("/v1/rerank", json=body)))
        thread.start()
        until(lambda: len(load.answered) > 200, "some load")
        server.signal(signal.SIGTERM)
        answer = until(lambda: _when_draining(server), "it to drain")
        assert answer.headers["connection"] == "close"
        assert "stopping" in answer.json()["reason"]
        # Impatience costs nobody an answer.
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        assert server.wait() == 0
        load.join()
        thread.join()
        assert load.lost == []
        assert load.told_to_close >= 1
        assert long[0].status_code == 200
        assert len(long[0].json()["results"]) == 400
        logged = [x["request_id"] for x in server.lines() if x["message"] == "request"]
        assert sorted(x for x in logged if x.startswith("load-")) == sorted(load.answered)


def _when_draining(server: ServerProcess) -> httpx.Response | None:
    answer = server.get("/health")
    if answer.json()["status"] != "draining":
        return None
    assert answer.status_code == 503
    return answer


def test_the_grace_time_ends_even_a_request_without_end() -> None:
    env = {"OPSCONSOLE_DRAIN_TIMEOUT": "0.5"}
    with ServerProcess(env) as server:
        answers: list[httpx.Response] = []
        body = {"query": "q", "documents": [f"{i} word" * 100 for i in range(3000)]}
        thread = threading.Thread(target=lambda: answers.append(server.post("/rerank", json=body)))
        thread.start()
        until(lambda: server.health()["controller"]["active"] == 1, "the request to run")
        assert server.stop() == 1
        thread.join()
        assert answers[0].status_code == 503
        assert error_of(answers[0])["type"] == "draining"
        assert any(line["message"] == "requests cut off: 1" for line in server.lines())


def test_an_idle_server_stops_at_once() -> None:
    # A poller's idle connection must not hold it up.
    with (
        ServerProcess(wait="listening") as server,
        httpx.Client(base_url=server.url, **PLAIN) as client,
    ):
        client.get("/health")
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 25  # the grace time is 30


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"PORT": "http"}, "PORT is 'http', expected a whole number from 0 to 65535"),
        ({"MAX_QUEUE_SIZE": "-3"}, "MAX_QUEUE_SIZE is '-3', expected a whole number"),
        ({"DEVICE_PREFERENCE": "tpu"}, "DEVICE_PREFERENCE is 'tpu', expected one of"),
        ({"HOST": "no.such.host.invalid", "OPSCONSOLE_INSECURE": "1"}, "which has no address"),
        ({"HOST": "192.0.2.1", "OPSCONSOLE_INSECURE": "1"}, "192.0.2.1:0: cannot listen"),
        ({"MODEL_NAME": "/no/such/folder"}, "/no/such/folder"),
    ],
)
def test_what_no_restart_mends_ends_with_78(env: dict[str, str], message: str) -> None:
    code, lines = run_to_end(env)
    assert code == 78
    (error,) = [line for line in lines if line["level"] == "error"]
    assert message in error["message"]
    assert error["what"] in error["message"]


def test_a_taken_port_is_named_and_ends_with_78() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = run_to_end({"PORT": str(port)})
    assert code == 78
    assert len(lines) == 1
    assert lines[0]["message"].startswith(f"127.0.0.1:{port}: the port is in use")
    assert "PORT" in lines[0]["hint"]


def test_an_address_for_everybody_is_warned_of() -> None:
    env = {"HOST": "0.0.0.0", "OPSCONSOLE_INSECURE": "true"}
    with ServerProcess(env, wait="listening") as server:
        assert server.health()["status"] == "loading"
        (warning,) = [line for line in server.lines() if line["level"] == "warning"]
        assert warning["host"] == "0.0.0.0"


def test_nothing_of_torch_or_the_screen_is_imported_before_the_port_answers() -> None:
    code = (
        "import opsconsole.server.run, sys;"
        "print([m for m in ('torch','mlx','transformers','textual','prometheus_client','psutil',"
        "'httpx') if m in sys.modules])"
    )
    import subprocess

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_settings_alone_import_no_server() -> None:
    code = (
        "from opsconsole.server import ServerSettings; import sys;"
        "print([m for m in ('uvicorn','starlette','torch') if m in sys.modules])"
    )
    import subprocess

    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_serve_as_the_command_line_calls_it(tmp_path: Path) -> None:
    code = (
        "from opsconsole.server import ServerSettings, serve; import os, sys;"
        "sys.exit(serve(ServerSettings.from_env(os.environ)))"
    )
    argv = [sys.executable, "-c", code]
    with ServerProcess(wait="listening", argv=argv, folder=tmp_path) as server:
        assert server.health()["status"] == "loading"
        server.signal(signal.SIGINT)
        assert server.wait() == 0
