"""The parts of the forward: each kernel and each way of attention gives the same numbers."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from opsconsole.engine import EngineSettings, load
from opsconsole.engine.agreement import agreement_of
from opsconsole.engine.architecture import read_architecture
from opsconsole.engine.backends import linear, tune
from opsconsole.engine.backends.attention import ATTENTION, Places
from opsconsole.engine.backends.encoder import Kernels
from opsconsole.engine.backends.layout import flatten
from opsconsole.engine.backends.torch_ import TorchBackend, encoder_weights, mean_of_rows
from opsconsole.engine.sample import DOCUMENTS, QUERIES, kendall_tau
from opsconsole.engine.tokenizing import Row
from opsconsole.engine.weights import read_tensors, weight_files

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here")
LENGTHS = [7, 40, 3, 7, 1, 22]


def rows_of(lengths: list[int], seed: int = 0) -> list[Row]:
    rng = random.Random(seed)
    rows = []
    for length in lengths:
        types = [0] * (length // 2) + [1] * (length - length // 2)
        rows.append(Row([rng.randrange(1000, 20000) for _ in types], types, False))
    return rows


def places_of(lengths: list[int], device: str = "cpu") -> Places:
    flat = flatten(rows_of(lengths), 0)
    ends = torch.tensor([*flat.starts, flat.tokens], device=device)
    return Places.of(flat.lengths, ends)


def backend_of(folder: Path, kernels: Kernels, dtype: str = "float32") -> TorchBackend:
    architecture = read_architecture(folder)
    assert architecture.shape is not None
    tensors = read_tensors(weight_files(architecture.folder))
    weights = encoder_weights(architecture, architecture.shape, tensors)
    return TorchBackend(
        architecture, architecture.shape, weights,
        device="cpu", dtype=dtype, kernels=kernels, types=True, parameters=0,
    )  # fmt: skip


def test_flat_rows_are_sorted_joined_and_restored() -> None:
    rows = rows_of(LENGTHS)
    flat = flatten(rows, 2)
    assert flat.lengths == sorted(LENGTHS, reverse=True)
    assert flat.tokens == sum(LENGTHS) == len(flat.types) == len(flat.positions)
    assert flat.runs == [(0, 1, 40), (40, 1, 22), (62, 2, 7), (76, 1, 3), (79, 1, 1)]
    for index, place in enumerate(flat.order):
        start, length = flat.starts[index], flat.lengths[index]
        assert list(flat.ids[start : start + length]) == rows[place].ids
        assert list(flat.positions[start : start + length]) == list(range(2, 2 + length))
    assert flat.restore([rows[place] for place in flat.order]) == rows


def _reference(qkv: torch.Tensor, places: Places) -> torch.Tensor:
    """Attention row by row, as the textbook has it."""
    out = []
    for start, length in zip(places.starts.tolist(), places.lengths, strict=True):
        q, k, v = qkv[start : start + length].double().permute(1, 2, 0, 3)
        weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, -1)
        out.append((weights @ v).transpose(0, 1).reshape(length, -1))
    return torch.cat(out).float()


@pytest.mark.parametrize("name", ["by-length", "products", "dense"])
@pytest.mark.parametrize("lengths", [LENGTHS, [5, 5, 5], [1], [300, 2]])
def test_every_attention_is_attention(name: str, lengths: list[int]) -> None:
    places = places_of(lengths)
    torch.manual_seed(1)
    qkv = torch.randn(sum(lengths), 3, 4, 8)
    expected = _reference(qkv, places)
    found = ATTENTION[name].all(qkv, places)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    first = ATTENTION[name].first(qkv[places.starts, 0], qkv[:, 1:], places)
    torch.testing.assert_close(first, expected[places.starts], rtol=0, atol=1e-6)


def test_attention_of_a_long_row_takes_no_square_of_memory() -> None:
    places = places_of([3000])
    qkv = torch.randn(3000, 3, 2, 8)
    found = ATTENTION["products"].all(qkv, places)
    torch.testing.assert_close(found, ATTENTION["by-length"].all(qkv, places))


@pytest.mark.parametrize("kernel", linear.kernels_for("cpu", "float32"))
def test_every_float_kernel_is_a_linear_layer(kernel: str) -> None:
    torch.manual_seed(2)
    x, weight, bias = torch.randn(33, 24), torch.randn(48, 24), torch.randn(48)
    expected = F.linear(x, weight, bias)
    with torch.inference_mode():
        torch.testing.assert_close(linear.make(weight, bias, kernel)(x), expected)
        for gelu, after in (
            ("exact", F.gelu(expected)),
            ("tanh", F.gelu(expected, approximate="tanh")),
            ("relu", F.relu(expected)),
        ):
            up = linear.make_up(weight, bias, kernel, gelu)(x)
            torch.testing.assert_close(up, after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("vnni", [False, True])
def test_int8_scales_every_token_by_itself(vnni: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if vnni and not linear.has_vnni():
        pytest.skip("8-bit activations overflow on this CPU")
    monkeypatch.setattr(linear, "has_vnni", lambda: vnni)
    torch.manual_seed(3)
    x, weight, bias = torch.randn(40, 64), torch.randn(32, 64), torch.randn(32)
    x[7] *= 1000  # an outlier must cost its own row alone
    x[8] = 0
    layer = linear.make(weight, bias, linear.INT8)
    with torch.inference_mode():
        y = layer(x)
        expected = F.linear(x, weight, bias)
        error = (y - expected).abs().amax(1) / expected.std(1).clamp(min=1e-3)
        assert error.max() < 0.1
        torch.testing.assert_close(y[8], bias)
        torch.testing.assert_close(layer(x[:5]), y[:5])
        assert layer(torch.full((1, 64), torch.nan)).isnan().all()


def test_int8_scores_do_not_depend_on_neighbours(bert: Path) -> None:
    rows = rows_of([30, 12, 90, 5])
    backend = backend_of(bert, Kernels("int8", "by-length"), "int8")
    together = backend.launch(rows)()
    alone = [backend.launch([row])()[0] for row in rows]
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("attention", ["by-length", "products", "dense"])
@pytest.mark.parametrize("kernel", linear.kernels_for("cpu", "float32"))
def test_a_batch_is_the_sum_of_its_rows(bert: Path, kernel: str, attention: str) -> None:
    rows = rows_of(LENGTHS)
    backend = backend_of(bert, Kernels(kernel, attention))
    alone = [backend.launch([row])()[0] for row in rows]
    assert backend.launch(rows)() == pytest.approx(alone, abs=1e-5)


def test_mean_leaves_out_what_belongs_to_no_row() -> None:
    hidden = torch.tensor([[1.0], [3.0], [5.0], [99.0]])
    ends = torch.tensor([0, 2, 3])
    places = Places([2, 1], [], ends[:-1], ends.int(), 2)
    assert mean_of_rows(hidden, places).tolist() == [[2.0], [5.0]]


@pytest.mark.parametrize(
    ("dtype", "tau", "difference"),
    [("bfloat16", 0.93, 0.02), ("float16", 0.97, 5e-3), ("int8", 0.85, 0.1)],
)
def test_reduced_precisions_stay_near_and_say_how_near(
    dtype: str, tau: float, difference: float
) -> None:
    with load(EngineSettings(device="cpu", dtype=dtype)) as engine:  # type: ignore[arg-type]
        agreement = engine.info.agreement
        assert engine.info.dtype == dtype
        assert agreement is not None
        assert agreement.pairs == len(QUERIES) * len(DOCUMENTS)
        assert agreement.kendall_tau > tau
        assert 0 < agreement.max_difference < difference
        assert engine.info.tuning is not None
        assert engine.info.tuning.kernels


def test_auto_takes_a_reduced_precision_only_where_the_processor_has_it() -> None:
    with load(EngineSettings(device="cpu")) as engine:
        if not linear.has_bfloat16():
            assert engine.info.dtype == "float32"
            assert engine.info.agreement is None
        elif engine.info.dtype != "float32":
            assert engine.info.agreement is not None
            assert engine.info.agreement.kendall_tau >= 0.995


def test_told_is_not_measured(bert: Path) -> None:
    settings = EngineSettings(
        dtype="float32", local_path=str(bert), batch_tokens=77, threads=1, warmup=False
    )
    with load(settings) as engine:
        tuning = engine.info.tuning
        assert tuning is not None
        assert (tuning.batch_tokens, tuning.threads, tuning.tokens_per_second) == (77, 1, 0.0)


def test_warm_up_measures_rates_and_skips_kernels_that_are_not_there(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture = read_architecture(bert)
    assert architecture.shape is not None
    tensors = read_tensors(weight_files(architecture.folder))
    weights = encoder_weights(architecture, architecture.shape, tensors)

    def lacking(*arguments: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute 'x'")

    monkeypatch.setattr(linear, "_packed", lacking)
    measured = tune.measure(weights, architecture.shape, "cpu", "float32")
    assert measured.kernels.linear == linear.PLAIN
    assert measured.rates[512] > 0
    assert measured.tokens_for(0.0) == min(measured.rates)
    assert measured.tokens_for(1.0) in measured.rates
    monkeypatch.setattr(linear, "kernels_for", lambda *_: [linear.PACKED])
    with pytest.raises(RuntimeError, match="no kernel works here"):
        tune.measure(weights, architecture.shape, "cpu", "float32")


def test_kendall_tau() -> None:
    assert kendall_tau([1, 2, 3], [10, 20, 30]) == 1
    assert kendall_tau([1, 2, 3], [30, 20, 10]) == -1
    assert kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)
    assert kendall_tau([1, 1], [1, 2]) == 0
    agreement = agreement_of([[0.1, 0.2], [0.5, 0.1]], [[0.1, 0.25], [0.1, 0.5]])
    assert (agreement.kendall_tau, agreement.pairs) == (0, 4)
    assert agreement.max_difference == pytest.approx(0.4)


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_cuda_graphs_and_varlen_attention_give_the_same_scores(bert: Path, dtype: str) -> None:
    rows = rows_of(LENGTHS) + rows_of([400, 300, 17], seed=5)
    with load(EngineSettings(local_path=str(bert), device="cuda", dtype=dtype)) as engine:  # type: ignore[arg-type]
        assert engine.info.tuning is not None
        assert "varlen" in engine.info.tuning.kernels
    reference = backend_of(bert, Kernels("plain", "by-length"))
    expected = reference.launch(rows)()
    architecture = read_architecture(bert)
    assert architecture.shape is not None
    tensors = read_tensors(weight_files(architecture.folder))
    backend = TorchBackend(
        architecture, architecture.shape,
        encoder_weights(architecture, architecture.shape, tensors),
        device="cuda", dtype=dtype, kernels=Kernels("plain", "varlen"), types=True, parameters=0,
    )  # fmt: skip
    assert backend.launch(rows)() == pytest.approx(expected, abs=0.05)
    backend.capture()
    for batch in (rows, rows[:1], rows[2:5]):
        graphed = backend.launch(batch)
        again = backend.launch(rows[:2])  # a second replay must not disturb the first's outputs
        assert graphed() == pytest.approx([reference.launch([r])()[0] for r in batch], abs=0.05)
        assert len(again()) == 2
