"""How an engine is to be loaded, read from the environment or given by a caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast, get_args

import msgspec

from opsconsole.environment import Environment, wrong
from opsconsole.errors import UsageError

Device = Literal["auto", "cuda", "mps", "cpu", "mlx"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]

MIB = 1 << 20
_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "half": "float16"}
MOST_BATCH = 4096


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which model, on which device, within which limits.

    Raises:
        UsageError: a value is out of its range (on construction).
    """

    model: str = "embedded"
    """``MODEL_NAME``: ``embedded``, a folder, or a Hugging Face name."""
    local_path: str | None = None
    """``LOCAL_MODEL_PATH``: a folder; wins over ``model``."""
    device: Device = "auto"
    """``DEVICE_PREFERENCE``."""
    use_mlx: bool | None = None
    """``USE_MLX``: ``None`` leaves it to ``device``."""
    batch_size: int | None = None
    """``BATCH_SIZE``: most pairs in a batch; ``None``: by device, 32 on a CPU."""
    dtype: Dtype = "auto"
    """``DTYPE``: of the linear layers. ``auto`` takes a faster one only where it agrees."""
    batch_tokens: int | None = None
    """``OPSCONSOLE_BATCH_TOKENS``: most positions, padding included, in a batch of more than one
    pair; ``None`` measures at load what is fastest."""
    cache: bool = False
    """``ENABLE_PREDICTION_CACHE``: keep scores of pairs seen before."""
    cache_bytes: int = 64 * MIB
    """``OPSCONSOLE_CACHE_BYTES``: of scores; a bi-encoder's vectors get as much again."""
    max_length: int | None = None
    """``OPSCONSOLE_MAX_LENGTH``: most tokens of one input; ``None``: the model's own limit."""
    threads: int | None = None
    """``OPSCONSOLE_THREADS``: CPU threads of one forward; ``None`` leaves it to the backend."""
    warmup: bool = True
    """``OPSCONSOLE_WARMUP``: measure at load what is not told."""

    def __post_init__(self) -> None:
        if self.device not in get_args(Device):
            raise _wrong("device", self.device, _one_of(Device))
        if self.dtype not in get_args(Dtype):
            raise _wrong("dtype", self.dtype, _one_of(Dtype))
        if self.cache_bytes < 0:
            raise _wrong("cache_bytes", self.cache_bytes, "a whole number from 0")
        for name in ("batch_size", "batch_tokens", "max_length", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _wrong(name, value, "a whole number from 1")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> EngineSettings:
        """Settings from the service's environment variables; an empty variable counts as unset.

        Raises:
            UsageError: a variable holds nonsense; the message names it and what was expected.
        """
        env = Environment(environ)
        use_mlx = env.flag("USE_MLX", None)
        device = env.choice("DEVICE_PREFERENCE", "auto", Device)
        asked = env.text("DTYPE", "auto")
        dtype = _DTYPES.get(asked.lower(), asked.lower())
        if dtype not in get_args(Dtype):
            raise wrong("DTYPE", asked, _one_of(Dtype))
        if device == "mlx" and use_mlx is False:
            raise UsageError(
                "DEVICE_PREFERENCE is 'mlx' and USE_MLX is 'false'",
                where="environment",
                hint="unset one of them",
            )
        return cls(
            model=env.get("MODEL_NAME") or "embedded",
            local_path=env.get("LOCAL_MODEL_PATH"),
            device=cast(Device, device),
            use_mlx=use_mlx,
            dtype=cast(Dtype, dtype),
            batch_size=env.integer("BATCH_SIZE", None, 1, MOST_BATCH),
            batch_tokens=env.integer("OPSCONSOLE_BATCH_TOKENS", None, 1, 1 << 20),
            cache=env.flag("ENABLE_PREDICTION_CACHE", False),
            cache_bytes=env.integer("OPSCONSOLE_CACHE_BYTES", 64 * MIB, 1, 1 << 40),
            max_length=env.integer("OPSCONSOLE_MAX_LENGTH", None, 1, 1 << 20),
            threads=env.integer("OPSCONSOLE_THREADS", None, 1, 1024),
            warmup=env.flag("OPSCONSOLE_WARMUP", True),
        )


def _one_of(choices: Any) -> str:
    return "one of " + ", ".join(get_args(choices))


def _wrong(name: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{name} is {value!r}, expected {expected}", where="engine settings")
