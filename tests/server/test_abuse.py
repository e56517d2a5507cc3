"""What a hostile or careless world does to a server: bodies, weights, disks, connections."""

from __future__ import annotations

import gzip
import json
import math
import shutil
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
import torch
from tokenizers import Tokenizer

from tests.engine.models import edit_weights, make_cross_encoder
from tests.server.process import PLAIN, ServerProcess, run_to_end, until
from tests.server.test_routes import error_of

MIB = 1 << 20
ROUTES = ("/rerank", "/v1/rerank", "/v2/rerank", "/score", "/v1/ranking")
QUESTION = {"query": "what is here", "documents": ["some text", "another one", "a third"]}


def scores(server: ServerProcess) -> list[float]:
    """Of the same question, by index."""
    answer = server.post("/v1/rerank", json=QUESTION)
    assert answer.status_code == 200
    results = sorted(answer.json()["results"], key=lambda each: each["index"])
    return [each["relevance_score"] for each in results]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, identity"])
def test_a_compressed_bomb_is_refused_unopened(
    server: ServerProcess, route: str, encoding: str
) -> None:
    bomb = gzip.compress(b'{"query":"q","documents":["' + b"x" * (64 * MIB) + b'"]}')
    assert len(bomb) < MIB // 8
    before = psutil.Process(server.pid).memory_info().rss
    headers = {"content-encoding": encoding, "content-type": "application/json"}
    answer = server.post(route, content=bomb, headers=headers)
    assert answer.status_code == 415
    assert error_of(answer)["type"] == "unsupported_encoding"
    assert psutil.Process(server.pid).memory_info().rss - before < 16 * MIB


@pytest.mark.parametrize("route", ROUTES)
def test_a_form_is_refused_as_such(server: ServerProcess, route: str) -> None:
    answer = server.post(route, data={"query": "q"}, files={"documents": b"some text"})
    assert answer.status_code == 415
    assert error_of(answer)["type"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "kind", ["text/xml", "application/x-www-form-urlencoded", "\xff", "x" * 99]
)
def test_a_wrong_content_type_does_not_make_json_of_what_is_none(
    server: ServerProcess, kind: str
) -> None:
    headers = {"content-type": kind.encode("latin-1")}
    answer = server.post("/rerank", content=b"query=q&documents=d", headers=headers)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_json"
    # Nor is JSON refused for it: curl -d says that it sends a form.
    assert server.post("/rerank", content=json.dumps(QUESTION), headers=headers).status_code == 200


def test_weights_that_are_no_numbers_are_refused_at_load(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "nan")

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.encoder.layer.1.output.dense.weight"].fill_(math.nan)

    edit_weights(folder, spoil)
    code, lines = run_to_end({"LOCAL_MODEL_PATH": str(folder)})
    assert code == 78
    (error,) = [line for line in lines if line["level"] == "error"]
    assert str(folder) in error["message"]


def test_nan_for_one_text_fails_only_the_request_that_has_it(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "half-nan")
    zebra = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("zebra")

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.embeddings.word_embeddings.weight"][zebra].fill_(math.nan)

    edit_weights(folder, spoil)
    with ServerProcess({"LOCAL_MODEL_PATH": str(folder)}) as server:
        expected = scores(server)
        seen: list[tuple[bool, httpx.Response]] = []

        def ask(number: int) -> None:
            with httpx.Client(base_url=server.url, **PLAIN) as client:
                for i in range(20):
                    sick = (number + i) % 4 == 0
                    extra = [f"zebra {number} {i}"] if sick else []
                    body = QUESTION | {"documents": [*QUESTION["documents"], *extra]}
                    seen.append((sick, client.post("/v1/rerank", json=body)))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(seen) == 80
        for sick, answer in seen:
            if sick:
                assert answer.status_code == 500
                assert error_of(answer)["type"] == "engine_error"
            else:
                assert answer.status_code == 200
                found = {r["index"]: r["relevance_score"] for r in answer.json()["results"]}
                assert [found[i] for i in range(3)] == pytest.approx(expected, abs=1e-5)
        assert scores(server) == pytest.approx(expected, abs=1e-5)


def test_a_model_swapped_on_the_disk_changes_nothing_that_runs(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model", seed=1)
    other = make_cross_encoder(tmp_path / "other", seed=2)
    with ServerProcess({"LOCAL_MODEL_PATH": str(folder)}) as server:
        expected, revision = scores(server), server.health()["model"]["revision"]
        # As a deployment does it: the new files come in place of the old ones.
        for path in other.iterdir():
            shutil.copy(path, folder / f"{path.name}.new")
            (folder / f"{path.name}.new").replace(folder / path.name)
        assert scores(server) == pytest.approx(expected, abs=1e-6)
        # And as a careless one does it: all gone.
        shutil.rmtree(folder)
        assert scores(server) == pytest.approx(expected, abs=1e-6)
        assert server.health()["model"]["revision"] == revision
    with ServerProcess({"LOCAL_MODEL_PATH": str(other)}) as server:
        assert server.health()["model"]["revision"] != revision
        assert scores(server) != pytest.approx(expected, abs=1e-3)


def test_a_thousand_idle_connections_stop_nobody() -> None:
    with ServerProcess({"OPSCONSOLE_MAX_CONNECTIONS": "2000"}) as server, ExitStack() as stack:
        expected = scores(server)
        for _ in range(1000):
            address = ("127.0.0.1", server.port)
            stack.enter_context(socket.create_connection(address, 30))
        process = psutil.Process(server.pid)
        until(lambda: process.num_fds() > 1000, "all connections to be taken")
        assert scores(server) == pytest.approx(expected, abs=1e-5)
        assert server.health()["status"] == "healthy"


def test_connections_over_the_limit_leave_room_for_those_within() -> None:
    with ServerProcess({"OPSCONSOLE_MAX_CONNECTIONS": "20"}) as server, ExitStack() as stack:
        with httpx.Client(base_url=server.url, **PLAIN) as early:
            assert early.post("/v1/rerank", json=QUESTION).status_code == 200
            for _ in range(60):
                address = ("127.0.0.1", server.port)
                stack.enter_context(socket.create_connection(address, 30))
            assert early.post("/v1/rerank", json=QUESTION).status_code == 200
        stack.close()

        def served() -> bool:
            try:
                return server.post("/v1/rerank", json=QUESTION).status_code == 200
            except httpx.TransportError:
                return False

        until(served, "service after they have gone")
