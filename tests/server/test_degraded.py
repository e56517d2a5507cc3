"""A model of which some answers are no numbers."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer

from opsconsole.engine.records import EngineStats
from opsconsole.server.health import ailment
from tests.engine.models import edit_weights, make_cross_encoder
from tests.server.process import ServerProcess
from tests.server.test_routes import error_of


def test_a_model_of_nan_fails_its_requests_and_degrades_the_server(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "nan")
    zebra = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("zebra")

    # Weights that are wrong all over do not get past loading.
    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["bert.embeddings.word_embeddings.weight"][zebra].fill_(float("nan"))

    edit_weights(folder, spoil)
    with ServerProcess({"LOCAL_MODEL_PATH": str(folder)}) as server:
        for failures in (1, 2, 3):
            assert server.health()["status"] == "healthy"
            answer = server.post("/rerank", json={"query": "q", "documents": ["a", "zebra"]})
            assert answer.status_code == 500
            assert error_of(answer)["type"] == "engine_error"
            assert server.health()["engine"]["consecutive_failures"] == failures
        degraded = server.get("/health")
        assert degraded.status_code == 200  # it answers, and a balancer may have no other
        assert degraded.json()["status"] == "degraded"
        assert degraded.json()["reason"].startswith("3 requests in a row failed: ")
        metrics = server.metrics()
        assert metrics["failed_requests"] == 3
        assert metrics["success_rate"] == 0
        # One that succeeds, and all is well again.
        answer = server.post("/rerank", json={"query": "q", "documents": ["a", "horse"]})
        assert answer.status_code == 200
        assert server.health()["status"] == "healthy"


def test_a_device_that_hangs_is_an_ailment() -> None:
    working = EngineStats(last_forward_age=1.0)
    silent = EngineStats(last_forward_age=300.0)
    assert ailment(working, active=2, longest_running=500.0) is None
    assert ailment(silent, active=0, longest_running=0.0) is None
    assert ailment(silent, active=1, longest_running=5.0) is None
    assert ailment(silent, active=2, longest_running=90.0) == (
        "no batch was computed for 90 s while 2 requests run"
    )
    assert ailment(EngineStats(), active=1, longest_running=61.0) is not None
