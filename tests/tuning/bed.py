"""A profile with one real daemon on the embedded model, and ``opsconsole tune`` on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from opsconsole.daemon.command import folder_of
from opsconsole.daemon.folder import Folder
from opsconsole.daemon.group import environ_of
from opsconsole.profile import Profile, Server, load_file
from tests.net import free_port

BRIEF = """
from msgspec.structs import replace
from opsconsole.cli import main
from opsconsole.tuning import steps
steps._REPETITIONS = steps._MOST_REPETITIONS = steps._CACHED = TIMES
for name, each in steps.PRESETS.items():
    steps.PRESETS[name] = replace(each, requests=min(each.requests, 40))
main()
"""
"""``opsconsole`` whose presets measure seldom and little."""

LIGHT = ("--documents", "2", "--document-tokens", "10")


class Bed:
    """One daemon, ``local``, that starts as fast as it can; a state folder of its own."""

    def __init__(self, folder: Path, environment: str = "development") -> None:
        self.path = folder / "bed.yaml"
        self.port = free_port()
        self.path.write_text(
            f"name: bed\nenvironment: {environment}\n"
            "defaults: {timeout: 5s, service_level: {p95: 5s, success_rate: 99%}}\n"
            "servers:\n"
            f"  - name: local\n    url: http://127.0.0.1:{self.port}\n"
            "    daemon: {device: cpu, backend: pytorch, start_timeout: 60s,\n"
            "             env: {OPSCONSOLE_WARMUP: false, MAX_QUEUE_SIZE: 32}}\n"
            "  - {name: far, url: 'http://10.0.0.1:8000'}\n"
        )
        self.env = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder)}
        self.profile: Profile = load_file(self.path)
        self.server: Server = self.profile.servers[0]

    @property
    def folder(self) -> Folder:
        """Of the daemon; the test's own state folder must be in the environment."""
        return folder_of(self.profile, self.server)

    def tune(self, *argv: str, code: str = "", **env: str) -> subprocess.Popen[str]:
        """``opsconsole tune``, under way; ``code``: another program that does it."""
        program = ("-c", code) if code else ("-m", "opsconsole")
        return subprocess.Popen(
            [sys.executable, *program, "-p", str(self.path), "tune", *argv],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **self.env, **env},
        )  # fmt: skip

    def __call__(self, *argv: str, code: int | tuple[int, ...], brief: int = 0,
                 **env: str) -> str:  # fmt: skip
        """``opsconsole tune`` to its end, with this exit code; what it said.

        ``brief``: a preset measures so often, and 40 requests at most.
        """
        program = BRIEF.replace("TIMES", str(brief)) if brief else ""
        process = self.tune(*argv, code=program, **env)
        out, err = process.communicate(timeout=200)
        assert process.returncode in ((code,) if isinstance(code, int) else code), out + err
        return out + err

    def opsconsole(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Another command on this profile."""
        return subprocess.run(
            [sys.executable, "-m", "opsconsole", "-p", str(self.path), *argv],
            capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, **self.env},
        )  # fmt: skip

    def environ(self, pid: int | None) -> dict[bytes, bytes]:
        """What a server was started with, but for what names its start alone."""
        assert pid is not None
        return environ_of(pid)
