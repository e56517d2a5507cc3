"""Certificates of the tests' own, made by the ``openssl`` command."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """A self-signed certificate for 127.0.0.1 and localhost, and its key."""

    cert: Path
    key: Path

    @property
    def env(self) -> dict[str, str]:
        """The settings of a server that uses it."""
        return {"TLS_CERT_FILE": str(self.cert), "TLS_KEY_FILE": str(self.key)}


def make_certificate(folder: Path, name: str = "server", *, days: int = 90) -> Certificate:
    """Make one; with ``days`` below 0 it has expired already."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", made.key)
    openssl(
        "req", "-x509", "-new", "-key", made.key, "-out", made.cert, "-subj", f"/CN={name}",
        "-days", "90", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
    )  # fmt: skip
    if days != 90:
        again = folder / f"{name}.again"
        openssl("x509", "-in", made.cert, "-days", days, "-signkey", made.key, "-out", again)
        again.replace(made.cert)
    return made


def openssl(*arguments: object) -> None:
    """Run ``openssl``; fails the test with what it said."""
    command = ["openssl", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
