"""The formatter, the linter and the type checker, as part of the one test command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "argv",
    [
        ("ruff", "format", "--check", "."),
        ("ruff", "check", "."),
        ("mypy", "opsconsole"),
    ],
    ids=" ".join,
)
def test_the_code_is_clean(argv: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *argv], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
