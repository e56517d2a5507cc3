"""A bed for each test, with nothing left behind."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.bed import clean_up
from tests.tuning.bed import Bed


@pytest.fixture
def bed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bed]:
    """A real daemon, not started."""
    for module in ("torch", "uvicorn", "starlette"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}: pip install opsconsole[engine]")
    made = Bed(tmp_path)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    yield made
    clean_up(made.folder)
