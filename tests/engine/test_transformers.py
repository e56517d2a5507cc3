"""Other architectures, through transformers."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsconsole.engine import EngineSettings, load
from opsconsole.errors import OpsError
from tests.engine.conftest import DOCUMENTS, QUERIES, Reference
from tests.engine.models import edit_weights, embedded_folder, spread


def make_foreign(folder: Path, kind: str) -> Path:
    """A small ELECTRA or DistilBERT cross-encoder, or DistilBERT bi-encoder, as saved by
    transformers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from transformers import (
            DistilBertConfig,
            DistilBertForSequenceClassification,
            ElectraConfig,
            ElectraForSequenceClassification,
        )

        torch.manual_seed(5)
        model: Any
        if kind == "electra":
            model = ElectraForSequenceClassification(
                ElectraConfig(
                    embedding_size=32,
                    hidden_size=64,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    intermediate_size=128,
                    initializer_range=0.3,
                    num_labels=1,
                )
            )
        else:
            model = DistilBertForSequenceClassification(
                DistilBertConfig(
                    dim=64,
                    hidden_dim=128,
                    n_layers=2,
                    n_heads=4,
                    initializer_range=0.3,
                    num_labels=1,
                )
            )
        model.save_pretrained(folder)
    source = embedded_folder()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder)
    if kind == "distilbert":
        path = folder / "tokenizer_config.json"
        names = '{"model_input_names": ["input_ids", "attention_mask"], '
        path.write_text(path.read_text().replace("{", names, 1))
    return folder


@pytest.mark.parametrize("kind", ["electra", "distilbert"])
def test_same_scores(
    kind: str, tmp_path: Path, cross_reference: Callable[[Path], Reference]
) -> None:
    folder = make_foreign(tmp_path / kind, kind)
    reference = cross_reference(folder)
    with load(
        EngineSettings(dtype="float32", local_path=str(folder), device="cpu", batch_size=4)
    ) as engine:
        assert (engine.info.backend, engine.info.device) == ("pytorch", "cpu")
        assert engine.info.family == "cross-encoder"
        for query in QUERIES[:2]:
            expected = reference(query, DOCUMENTS)
            assert spread(expected) > 0.005
            assert engine.score(query, DOCUMENTS).values == pytest.approx(expected, abs=1e-5)


def test_missing_weights_are_not_made_up(tmp_path: Path) -> None:
    folder = make_foreign(tmp_path / "model", "electra")
    edit_weights(folder, lambda tensors: tensors.pop("classifier.out_proj.weight"))
    with pytest.raises(OpsError, match=r"no tensor classifier\.out_proj\.weight \(1 missing\)"):
        load(EngineSettings(dtype="float32", local_path=str(folder), device="cpu"))


def test_an_architecture_that_transformers_does_not_know(tmp_path: Path) -> None:
    folder = make_foreign(tmp_path / "model", "electra")
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"electra"', '"electra-of-tomorrow"'))
    with pytest.raises(OpsError, match="cannot load ElectraForSequenceClassification"):
        load(EngineSettings(dtype="float32", local_path=str(folder), device="cpu"))


def test_without_transformers_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_foreign(tmp_path / "model", "electra")
    monkeypatch.setitem(sys.modules, "transformers", None)  # what a failing import looks like
    with pytest.raises(OpsError, match="needs transformers, which is not installed") as caught:
        load(EngineSettings(dtype="float32", local_path=str(folder), device="cpu"))
    assert "opsconsole[transformers]" in caught.value.hint
