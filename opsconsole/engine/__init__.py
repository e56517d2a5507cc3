"""Inference: a model scores documents against a query. No HTTP here.

Names resolve on first use, so importing this package, or its client, imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsconsole.engine.client import EngineClient
    from opsconsole.engine.engine import Engine
    from opsconsole.engine.job import Job
    from opsconsole.engine.loading import load
    from opsconsole.engine.records import EngineStats, ModelInfo, Options, Scores
    from opsconsole.engine.settings import EngineSettings

_HOMES = {
    "Engine": "engine",
    "EngineClient": "client",
    "EngineSettings": "settings",
    "EngineStats": "records",
    "Job": "job",
    "ModelInfo": "records",
    "Options": "records",
    "Scores": "records",
    "load": "loading",
}

__all__ = [
    "Engine",
    "EngineClient",
    "EngineSettings",
    "EngineStats",
    "Job",
    "ModelInfo",
    "Options",
    "Scores",
    "load",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return __all__
