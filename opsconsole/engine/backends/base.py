"""What the engine asks of a backend, and what the backends share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from opsconsole.engine.architecture import Architecture, EncoderShape
from opsconsole.engine.tokenizing import Row
from opsconsole.engine.weights import Tensor
from opsconsole.errors import OpsError

Vector = Any
"""A text's embedding, float32[hidden], an array of the backend that made it."""

Launched = Callable[[], list[Any]]


class DeviceMemory(NamedTuple):
    """Bytes of an accelerator's memory, as its allocator counts them."""

    allocated: int
    reserved: int
    total: int


class Backend(Protocol):
    """A loaded model. Made, used and dropped on one thread: MLX and MPS break on a second one."""

    kind: Literal["pytorch", "mlx"]
    device: str
    dtype: str
    parameters: int
    unpadded: bool
    """Rows of different lengths are computed side by side, without padding."""
    asynchronous: bool
    """``launch`` returns before its batch is computed: the next may be launched behind it."""

    def launch(self, rows: Sequence[Row]) -> Launched:
        """Begin the forward of one batch.

        Returns:
            What waits for its outputs, one a row: a cross-encoder's logit, without the
            activation, or a bi-encoder's pooled vector. A device that works beside the thread
            lets the next batch be launched before this one is waited for. Either call may raise.
        """
        ...

    def similarity(self, query: Vector, documents: Sequence[Vector]) -> list[float]:
        """The bi-encoder's score of the query with each document."""
        ...

    def recover(self, error: Exception) -> bool:
        """Whether an error is the device being out of memory; frees what can be freed."""
        ...

    def memory(self) -> DeviceMemory | None:
        """The device's own memory; ``None`` where it is the process's. Any thread may ask."""
        ...


# Tokens that a device computes while it starts a batch. The CPU's is measured; the GPUs' are orders
# of magnitude only: starting many small kernels costs what thousands of tokens do.
BATCH_OVERHEAD = {"cpu": 64, "mps": 1024, "mlx": 1024, "cuda": 8192}


MOST_ROWS = {"cpu": 32, "mps": 64, "mlx": 64, "cuda": 1024}
"""Of a batch, when nothing else is asked for: beside the tokens it is a bound for tiny rows."""


class Grid(NamedTuple):
    """Rows padded to the longest, row after row: what becomes an int[rows, length] array."""

    rows: int
    length: int
    ids: list[int]
    types: list[int]
    lengths: list[int]

    @property
    def is_padded(self) -> bool:
        """Whether any row is shorter than the longest."""
        return min(self.lengths) < self.length


def pad(rows: Sequence[Row], pad_id: int = 0) -> Grid:
    """Lay rows out for one forward. Masks, not ``pad_id``, keep the padding from having effect."""
    length = max(len(row.ids) for row in rows)
    ids: list[int] = []
    types: list[int] = []
    for row in rows:
        missing = length - len(row.ids)
        ids += row.ids + [pad_id] * missing
        types += row.types + [0] * missing
    return Grid(len(rows), length, ids, types, [len(row.ids) for row in rows])


def encoder_tensors(architecture: Architecture, shape: EncoderShape) -> dict[str, tuple[int, ...]]:
    """Names, without the checkpoint's prefix, and shapes of all tensors our own forward needs."""
    h, m = shape.hidden, shape.intermediate
    needed: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (shape.vocab, h),
        "embeddings.position_embeddings.weight": (shape.positions, h),
        "embeddings.token_type_embeddings.weight": (shape.types, h),
        "embeddings.LayerNorm.weight": (h,),
        "embeddings.LayerNorm.bias": (h,),
    }
    for index in range(shape.layers):
        layer = f"encoder.layer.{index}."
        for name, rows, columns in (
            ("attention.self.query", h, h),
            ("attention.self.key", h, h),
            ("attention.self.value", h, h),
            ("attention.output.dense", h, h),
            ("intermediate.dense", m, h),
            ("output.dense", h, m),
        ):
            needed[f"{layer}{name}.weight"] = (rows, columns)
            needed[f"{layer}{name}.bias"] = (rows,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            needed[f"{layer}{name}.weight"] = needed[f"{layer}{name}.bias"] = (h,)
    if architecture.family == "cross-encoder":
        dense, out = head_names(shape)
        needed |= {f"{dense}.weight": (h, h), f"{dense}.bias": (h,)}
        needed |= {f"{out}.weight": (1, h), f"{out}.bias": (1,)}
    return needed


def head_names(shape: EncoderShape) -> tuple[str, str]:
    """The two linear layers of the classification head."""
    if shape.roberta:
        return "classifier.dense", "classifier.out_proj"
    return "pooler.dense", "classifier"


def select_tensors(
    tensors: dict[str, Tensor], needed: dict[str, tuple[int, ...]]
) -> dict[str, Tensor]:
    """The needed tensors of a checkpoint by their plain names.

    Checkpoints put ``bert.`` or ``roberta.`` before the encoder, and old ones call a norm's
    weight and bias ``gamma`` and ``beta``.

    Raises:
        OpsError: one is missing or has another shape than the configuration says.
    """
    marker = "embeddings.word_embeddings.weight"
    prefix = next((n.removesuffix(marker) for n in tensors if n.endswith(marker)), "")
    plain = {
        name.removeprefix(prefix)
        .replace("LayerNorm.gamma", "LayerNorm.weight")
        .replace("LayerNorm.beta", "LayerNorm.bias"): tensor
        for name, tensor in tensors.items()
    }
    where = str(next(iter(tensors.values())).file) if tensors else ""
    selected = {}
    for name, expected in needed.items():
        tensor = plain.get(name)
        if tensor is None:
            raise OpsError(
                f"the weights have no tensor {prefix}{name}",
                where=where,
                hint="the files are not those of the model that config.json describes",
            )
        if tensor.shape != expected:
            raise OpsError(
                f"tensor {tensor.stored_name} is {list(tensor.shape)}, expected {list(expected)}",
                where=where,
                hint="the files are not those of the model that config.json describes",
            )
        if tensor.dtype not in ("F32", "F16", "BF16", "F64"):
            raise OpsError(
                f"tensor {tensor.stored_name} has type {tensor.dtype}; quantised weights are not"
                " supported",
                where=where,
                hint="use the model's float32, float16 or bfloat16 weights",
            )
        selected[name] = tensor
    return selected
