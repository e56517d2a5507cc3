"""A profile with two real daemons, and `opsconsole` on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.net import free_port
from tests.server.process import clean_environ


class Bed:
    """Two daemons in a state folder of their own."""

    def __init__(
        self, folder: Path, environment: str = "development", *, warmup: bool = False
    ) -> None:
        self.profile = folder / "duo.yaml"
        ports = [free_port(), free_port()]
        self.profile.write_text(
            f"name: duo\nenvironment: {environment}\nservers:\n"
            + "".join(
                f"  - {{name: r{i}, url: 'http://127.0.0.1:{port}', "
                "daemon: {env: {MAX_PARALLEL_REQUESTS: 4, DTYPE: float32, "
                f"OPSCONSOLE_WARMUP: {str(warmup).lower()}}}}}}}\n"
                for i, port in enumerate(ports, 1)
            )
        )
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.env = clean_environ() | {
            "TMPDIR": str(self.temporary),
            "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder),
        }  # fmt: skip

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "opsconsole", "-p", str(self.profile), *argv]

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv), capture_output=True, text=True, check=False, timeout=200,
            env=self.env, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def state(self, name: str) -> str:
        """Of a daemon, as its keeper has written it down: far quicker than a command is."""
        folder = Path(self.env["XDG_STATE_HOME"], "opsconsole", "daemons", "duo", name)
        return str(json.loads((folder / "state.json").read_bytes())["state"])

    def daemons(self) -> dict[str, dict[str, Any]]:
        done = self("status", "--json")
        return {each["name"]: each for each in json.loads(done.stdout)}
