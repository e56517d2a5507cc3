"""How an engine is to be loaded, read from the environment or given by a caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

import msgspec

from opsconsole.errors import UsageError

Device = Literal["auto", "cuda", "mps", "cpu", "mlx"]

MIB = 1 << 20
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
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
    batch_size: int = 32
    """``BATCH_SIZE``: most pairs in a batch."""
    batch_tokens: int = 2048
    """Most positions, padding included, in a batch of more than one pair."""
    cache: bool = False
    """``ENABLE_PREDICTION_CACHE``: keep scores of pairs seen before."""
    cache_bytes: int = 64 * MIB
    max_length: int | None = None
    """Most tokens of one input; ``None`` takes the model's own limit."""
    threads: int | None = None
    """CPU threads of one forward; ``None`` leaves it to the backend."""

    def __post_init__(self) -> None:
        if self.device not in get_args(Device):
            raise _wrong("device", self.device, _one_of_devices())
        for name, least in (("batch_size", 1), ("batch_tokens", 1), ("cache_bytes", 0)):
            value = getattr(self, name)
            if value < least:
                raise _wrong(name, value, f"a whole number from {least}")
        for name in ("max_length", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise _wrong(name, value, "a whole number from 1")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> EngineSettings:
        """Settings from the service's environment variables; an empty variable counts as unset.

        Raises:
            UsageError: a variable holds nonsense; the message names it and what was expected.
        """
        given = {name: value.strip() for name, value in environ.items() if value.strip()}
        use_mlx = _boolean(given, "USE_MLX")
        device = given.get("DEVICE_PREFERENCE", "auto").lower()
        if device not in get_args(Device):
            raise _wrong("DEVICE_PREFERENCE", given["DEVICE_PREFERENCE"], _one_of_devices())
        if device == "mlx" and use_mlx is False:
            raise UsageError(
                "DEVICE_PREFERENCE is 'mlx' and USE_MLX is 'false'",
                where="environment",
                hint="unset one of them",
            )
        return cls(
            model=given.get("MODEL_NAME", "embedded"),
            local_path=given.get("LOCAL_MODEL_PATH"),
            device=cast(Device, device),
            use_mlx=use_mlx,
            batch_size=_integer(given, "BATCH_SIZE", default=32, most=MOST_BATCH),
            cache=_boolean(given, "ENABLE_PREDICTION_CACHE") or False,
        )


def _boolean(given: Mapping[str, str], name: str) -> bool | None:
    value = given.get(name)
    if value is None:
        return None
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise _wrong(name, value, "true or false")


def _integer(given: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    value = given.get(name)
    if value is None:
        return default
    # int() would also take "1_0", "+5" and digits of other scripts.
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= most):
        raise _wrong(name, value, f"a whole number from 1 to {most}")
    return int(value)


def _one_of_devices() -> str:
    return "one of " + ", ".join(get_args(Device))


def _wrong(name: str, value: object, expected: str) -> UsageError:
    where = "environment" if name.isupper() else "engine settings"
    return UsageError(f"{name} is {value!r}, expected {expected}", where=where)
