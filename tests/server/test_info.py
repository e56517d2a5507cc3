"""What ``/info`` says of the engine is so."""

from __future__ import annotations

import os

import pytest

from opsconsole.engine.engine import _tokenizer_threads
from opsconsole.server.info import tokenizer_threads


@pytest.mark.parametrize("cores", [None, 1, 2, 3, 64])
def test_the_tokenizing_threads_are_those_of_the_engine(
    monkeypatch: pytest.MonkeyPatch, cores: int | None
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")  # which the engine would else set
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert tokenizer_threads() == _tokenizer_threads("cpu")
