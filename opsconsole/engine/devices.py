"""Which backend and device a model runs on: what is asked for and not there is an error."""

from __future__ import annotations

import importlib.util
import platform
import sys
from typing import Literal, NamedTuple

from opsconsole.engine.architecture import Architecture
from opsconsole.engine.settings import EngineSettings
from opsconsole.errors import OpsError


class NotHere(OpsError):
    """The device or the precision that was asked for does not run on this machine."""


class Placement(NamedTuple):
    """A backend and the device it runs on."""

    backend: Literal["torch", "mlx", "transformers"]
    device: Literal["cuda", "mps", "cpu", "mlx"]


def place(settings: EngineSettings, architecture: Architecture) -> Placement:
    """Choose: CUDA, then MLX on Apple silicon, then CPU; MPS only when asked for.

    MPS leaks and breaks under varying shapes, so it is nobody's default. May import torch: call
    it on the device thread.

    Raises:
        NotHere: the device that was asked for is not there, or cannot run this architecture.
    """
    native = architecture.shape is not None
    if settings.use_mlx or settings.device == "mlx":
        asked = "USE_MLX=true" if settings.use_mlx else "DEVICE_PREFERENCE=mlx"
        if settings.use_mlx is False:
            raise OpsError("device is mlx and use_mlx is false", hint="drop one of them")
        if not _has("mlx"):
            raise NotHere("MLX is not installed", where=asked, hint="pip install 'opsconsole[mlx]'")
        if not native:
            raise NotHere(
                f"{architecture.name} does not run on MLX, only BERT and RoBERTa do",
                where=asked,
                hint="unset it: the model runs on torch",
            )
        return Placement("mlx", "mlx")
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    if settings.device == "auto" and settings.use_mlx is None and apple and native and _has("mlx"):
        return Placement("mlx", "mlx")  # there is no CUDA on a Mac to be preferred
    if not _has("torch"):
        raise NotHere(
            "torch is not installed",
            where=f"device {settings.device}",
            hint="pip install 'opsconsole[engine]'",
        )
    backend: Literal["torch", "transformers"] = "torch" if native else "transformers"
    return Placement(backend, _torch_device(settings))


def _torch_device(settings: EngineSettings) -> Literal["cuda", "mps", "cpu"]:
    if settings.device == "cpu":
        return "cpu"
    import torch

    if settings.device == "mps":
        if torch.backends.mps.is_available():
            return "mps"
        raise NotHere(
            "this machine has no Apple GPU that torch can use",
            where="DEVICE_PREFERENCE=mps",
            hint="use DEVICE_PREFERENCE=auto or cpu",
        )
    if torch.cuda.is_available():
        return "cuda"
    if settings.device == "cuda":
        reason = (
            f"torch {torch.__version__} is built without CUDA"
            if torch.version.cuda is None
            else "torch finds no NVIDIA GPU"
        )
        raise NotHere(
            reason,
            where="DEVICE_PREFERENCE=cuda",
            hint="check nvidia-smi and the installed torch, or use DEVICE_PREFERENCE=auto",
        )
    return "cpu"


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
