"""Every test has folders of its own: no test reads or writes the developer's profiles and state."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts what it runs behind ``&`` so, and children inherit it:
    # no Ctrl-C of a test would reach what the test started.
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
