"""Every test has folders of its own: no test reads or writes the developer's profiles and state."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Examples that take long say nothing of the code: a busy machine makes any of them slow.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it runs behind ``&`` so, and children inherit it:
    # no Ctrl-C of a test would reach what the test started.
    signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = (
    "tests/test_style.py", "tests/tuning/", "tests/server/test_clock.py",
    "tests/server/test_nginx.py", "tests/server/test_schema_fuzz.py",
    "tests/server/test_shares.py", "tests/tui/test_life.py", "tests/tui/test_load_desk.py",
    "tests/cli/test_load", "tests/load/test_honesty.py", "tests/load/test_run.py",
)  # fmt: skip
"""What begins first, so that the processes of pytest-xdist end together."""
ONE_SERVER = tuple(
    f"tests/server/test_{name}.py"
    for name in ("auth", "clients", "cors", "deadlines", "dialects", "early_refusals", "fuzz",
                 "protocol", "slow_clients", "tls")
)  # fmt: skip
"""Files with a server for all of their tests: it is started once where one process runs them."""


@pytest.hookimpl(tryfirst=True)  # xdist's own makes groups of the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(ONE_SERVER):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """XDG folders under a fresh directory, and no profile or server variable from outside."""
    home = tmp_path / "home"
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        folder = home / variable.lower()
        folder.mkdir(parents=True)
        monkeypatch.setenv(variable, str(folder))
    for variable in ("OPSCONSOLE_PROFILE", "MODEL_NAME", "LOCAL_MODEL_PATH", "NO_COLOR", "SSH_TTY",
                     "SSH_CONNECTION", "TMUX"):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return home
