"""Who imports what: the console must start without torch, the server without transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["torch", "mlx", "transformers", "sentence_transformers", "tokenizers", "numpy"]
HEAVY += ["sympy", "torch._dynamo"]


def imported(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter has after running ``code``."""
    report = f"import sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import opsconsole.engine",
        "import opsconsole.engine.client, opsconsole.engine.worker, opsconsole.engine.wire",
        "from opsconsole.engine import EngineClient, EngineSettings, Scores, ModelInfo",
        "from opsconsole.engine import EngineStats, Job, load, Engine",
    ],
)
def test_importing_the_engine_is_light(code: str) -> None:
    assert imported(code) == set()


def test_loading_a_model_imports_torch_but_not_more(bert: Path) -> None:
    found = imported(
        "from opsconsole.engine import EngineSettings, load\n"
        f"load(EngineSettings(local_path={str(bert)!r}, device='cpu')).score('q', ['d'])"
    )
    assert {"torch", "tokenizers"} <= found <= {"torch", "tokenizers", "numpy"}


def test_every_public_name_resolves() -> None:
    import opsconsole.engine as engine

    assert all(getattr(engine, name).__name__ == name for name in engine.__all__)
    assert dir(engine) == engine.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        engine.nothing
