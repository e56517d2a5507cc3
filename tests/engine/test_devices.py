"""The order of the devices; and what is asked for and not there is an error."""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from pathlib import Path

import pytest
import torch

from opsconsole.engine import EngineSettings, load
from opsconsole.engine.architecture import read_architecture
from opsconsole.engine.devices import Placement, place
from opsconsole.errors import OpsError
from tests.engine.models import make_cross_encoder

APPLE = sys.platform == "darwin" and platform.machine() == "arm64"
has_mlx = pytest.mark.skipif(importlib.util.find_spec("mlx") is None, reason="MLX not installed")


def test_cpu_is_what_is_left(bert: Path) -> None:
    placement = place(EngineSettings(), read_architecture(bert))
    if torch.cuda.is_available():
        assert placement == Placement("torch", "cuda")
    elif APPLE and importlib.util.find_spec("mlx"):
        assert placement == Placement("mlx", "mlx")
    else:
        assert placement == Placement("torch", "cpu")
    assert place(EngineSettings(device="cpu"), read_architecture(bert)).device == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="an NVIDIA GPU is here")
def test_cuda_that_is_not_there(bert: Path) -> None:
    with pytest.raises(OpsError) as caught:
        load(EngineSettings(local_path=str(bert), device="cuda"))
    assert caught.value.where == "DEVICE_PREFERENCE=cuda"
    assert "auto" in caught.value.hint


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="an Apple GPU is here")
def test_mps_that_is_not_there(bert: Path) -> None:
    with pytest.raises(OpsError, match="no Apple GPU") as caught:
        load(EngineSettings(local_path=str(bert), device="mps"))
    assert caught.value.where == "DEVICE_PREFERENCE=mps"


@has_mlx
@pytest.mark.parametrize("asked", [{"use_mlx": True}, {"device": "mlx"}])
def test_mlx_when_asked(asked: dict[str, object], bert: Path) -> None:
    with load(EngineSettings(local_path=str(bert), **asked)) as engine:  # type: ignore[arg-type]
        assert (engine.info.backend, engine.info.device) == ("mlx", "mlx")


@has_mlx
def test_use_mlx_goes_before_the_device(bert: Path) -> None:
    settings = EngineSettings(device="cpu", use_mlx=True)
    assert place(settings, read_architecture(bert)) == Placement("mlx", "mlx")


def test_mlx_on_a_mac_unless_declined(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("mlx") is None:
        pytest.skip("MLX not installed")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    architecture = read_architecture(bert)
    assert place(EngineSettings(), architecture) == Placement("mlx", "mlx")
    declined = place(EngineSettings(use_mlx=False), architecture)
    assert declined.backend == "torch"
    assert declined.device != "mps"  # only when asked for


@pytest.mark.parametrize(
    ("missing", "settings", "what", "extra"),
    [
        ("mlx", {"use_mlx": True}, "MLX is not installed", "opsconsole[mlx]"),
        ("torch", {}, "torch is not installed", "opsconsole[engine]"),
    ],
)
def test_what_is_not_installed_is_said(
    missing: str,
    settings: dict[str, object],
    what: str,
    extra: str,
    bert: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == missing else find(name, *a)
    )
    with pytest.raises(OpsError, match=what) as caught:
        place(EngineSettings(**settings), read_architecture(bert))  # type: ignore[arg-type]
    assert extra in caught.value.hint


@has_mlx
def test_mlx_cannot_run_other_architectures(tmp_path: Path) -> None:
    folder = make_cross_encoder(tmp_path / "model")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config |= {"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"]}
    path.write_text(json.dumps(config))
    with pytest.raises(OpsError, match="DistilBertForSequenceClassification does not run on MLX"):
        load(EngineSettings(local_path=str(folder), use_mlx=True))
