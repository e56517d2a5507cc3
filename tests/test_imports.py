"""What may be imported by whom: the contracts, and a fresh interpreter that is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"textual", "rich", "torch", "mlx", "transformers", "tokenizers", "starlette", "uvicorn"}


def modules(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after ``code``."""
    script = f"{code}\nimport sys, json; print('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def command(*argv: str) -> str:
    return (
        "import sys\n"
        f"sys.argv = ['opsconsole', *{list(argv)!r}]\n"
        "from opsconsole.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
    )


@pytest.mark.parametrize(
    "argv",
    [("--check",), ("status",), ("--help",), ("profile", "validate"), ("completion", "bash"),
     ("logs", "-n", "1"), ("audit",), ("load", "list")],
    ids=" ".join,
)  # fmt: skip
def test_headless_commands_import_neither_screen_nor_engine(argv: tuple[str, ...]) -> None:
    assert not modules(command(*argv)) & HEAVY


def test_status_does_not_pay_for_http() -> None:
    assert not modules(command("status")) & {"httpx", "asyncio", "ssl"}


def test_the_console_never_imports_the_engine() -> None:
    code = (
        "import opsconsole.tui.app, opsconsole.tui.screens.servers, opsconsole.tui.screens.logs\n"
        "import opsconsole.tui.screens.rerank, opsconsole.tui.screens.host\n"
    )
    assert not modules(code) & {"torch", "mlx", "transformers", "tokenizers", "numpy"}


def test_the_first_screen_alone_is_imported_for_the_first_paint() -> None:
    loaded = modules("import opsconsole.tui.app, opsconsole.tui.screens.servers\n")
    assert "psutil" not in loaded
    assert "pynvml" not in loaded


def test_the_layers_hold() -> None:
    done = subprocess.run(
        ["lint-imports"], capture_output=True, text=True, check=False, cwd=ROOT,
        executable=Path(sys.executable).with_name("lint-imports"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
