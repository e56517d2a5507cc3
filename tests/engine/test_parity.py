"""Our scores are sentence-transformers' scores: to 1e-5 on torch, to 1e-4 on MLX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from opsconsole.engine import EngineSettings, load
from tests.engine.conftest import DOCUMENTS, QUERIES, Reference
from tests.engine.models import make_bi_encoder, make_cross_encoder, spread

TORCH, MLX = 1e-5, 1e-4
KINDS = ["bert", "roberta", "xlm_roberta"]

needs_mlx = pytest.mark.skipif(
    importlib.util.find_spec("mlx") is None, reason="MLX is not installed"
)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
needs_mps = pytest.mark.skipif(not torch.backends.mps.is_available(), reason="no Apple GPU here")
BACKENDS = [
    pytest.param({"device": "cpu"}, TORCH, id="cpu"),
    pytest.param({"use_mlx": True}, MLX, id="mlx", marks=needs_mlx),
    pytest.param({"device": "cuda"}, MLX, id="cuda", marks=[pytest.mark.cuda, needs_cuda]),
    pytest.param({"device": "mps"}, MLX, id="mps", marks=[pytest.mark.mps, needs_mps]),
]


def check(
    settings: EngineSettings,
    reference: Reference,
    tolerance: float,
    queries: list[str] = QUERIES,
    documents: list[str] = DOCUMENTS,
) -> None:
    """Same scores, in the order of the documents, for every query."""
    with load(settings) as engine:
        for query in queries:
            expected = reference(query, documents)
            assert spread(expected) > 0.02, "equal scores would prove nothing"
            ours = engine.score(query, documents).values
            assert ours == pytest.approx(expected, rel=0, abs=tolerance)
            assert not any(isinstance(score, int) for score in ours)


@pytest.mark.parametrize(("placed", "tolerance"), BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_cross_encoders(
    kind: str,
    placed: dict[str, object],
    tolerance: float,
    request: pytest.FixtureRequest,
    cross_reference: Callable[[Path], Reference],
) -> None:
    folder: Path = request.getfixturevalue(kind)
    settings = EngineSettings(dtype="float32", local_path=str(folder), batch_size=4, **placed)  # type: ignore[arg-type]
    check(settings, cross_reference(folder), tolerance)


@pytest.mark.parametrize(("placed", "tolerance"), BACKENDS)
def test_embedded_model(
    placed: dict[str, object],
    tolerance: float,
    embedded: Path,
    bi_reference: Callable[[Path], Reference],
) -> None:
    settings = EngineSettings(dtype="float32", batch_size=4, **placed)  # type: ignore[arg-type]
    if "use_mlx" in placed:  # on a CPU, MLX needs seconds for each long text
        check(settings, bi_reference(embedded), tolerance, QUERIES[:1], DOCUMENTS[:12])
    else:
        check(settings, bi_reference(embedded), tolerance)


@pytest.mark.parametrize("batch", [(1, 1), (3, 100), (32, 100_000)])
def test_any_batching_gives_the_same_scores(
    batch: tuple[int, int], xlm_roberta: Path, cross_reference: Callable[[Path], Reference]
) -> None:
    size, tokens = batch
    settings = EngineSettings(
        dtype="float32", local_path=str(xlm_roberta), batch_size=size, batch_tokens=tokens
    )
    check(settings, cross_reference(xlm_roberta), TORCH)


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token"])
def test_bi_encoder_with_prompts_and_pooling(
    pooling: str, tmp_path: Path, bi_reference: Callable[[Path], Reference]
) -> None:
    prompts = {"query": "query: ", "document": "passage: "}
    folder = make_bi_encoder(tmp_path / "bi", pooling=pooling, prompts=prompts)
    check(EngineSettings(dtype="float32", local_path=str(folder)), bi_reference(folder), TORCH)
    if importlib.util.find_spec("mlx") is not None:
        mlx = EngineSettings(dtype="float32", local_path=str(folder), use_mlx=True)
        check(mlx, bi_reference(folder), MLX, QUERIES[:1])


def test_dot_product_similarity(tmp_path: Path, bi_reference: Callable[[Path], Reference]) -> None:
    folder = make_bi_encoder(tmp_path / "bi", similarity_fn_name="dot")
    query, expected = QUERIES[0], bi_reference(folder)(QUERIES[0], DOCUMENTS)
    with load(EngineSettings(dtype="float32", local_path=str(folder))) as engine:
        assert engine.score(query, DOCUMENTS).values == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "activation",
    ["torch.nn.modules.linear.Identity", "torch.nn.modules.activation.Tanh", "foreign.code.Run"],
)
def test_activation_is_the_configured_one(
    activation: str, tmp_path: Path, cross_reference: Callable[[Path], Reference]
) -> None:
    folder = make_cross_encoder(tmp_path / "model", "bert", activation=activation)
    check(EngineSettings(dtype="float32", local_path=str(folder)), cross_reference(folder), TORCH)


@pytest.mark.parametrize("sides", [("left", 512), ("right", 33), ("right", 34), ("left", 33)])
def test_truncation(
    sides: tuple[str, int], tmp_path: Path, cross_reference: Callable[[Path], Reference]
) -> None:
    side, length = sides
    folder = make_cross_encoder(tmp_path / "model", "bert", max_length=length)
    path = folder / "tokenizer_config.json"
    path.write_text(path.read_text().replace("{", f'{{"truncation_side": "{side}", ', 1))
    check(EngineSettings(dtype="float32", local_path=str(folder)), cross_reference(folder), TORCH)


def test_sharded_and_half_precision_checkpoints(
    tmp_path: Path, bert: Path, cross_reference: Callable[[Path], Reference]
) -> None:
    sharded = make_cross_encoder(tmp_path / "sharded", "bert", shards=3)
    check(EngineSettings(dtype="float32", local_path=str(sharded)), cross_reference(bert), TORCH)
    half = make_cross_encoder(tmp_path / "half", "bert", dtype=torch.float16)
    with load(EngineSettings(dtype="float32", local_path=str(half))) as engine:
        ours = engine.score(QUERIES[0], DOCUMENTS).values
        assert engine.info.dtype == "float32"
    assert ours == pytest.approx(cross_reference(bert)(QUERIES[0], DOCUMENTS), abs=0.01)
