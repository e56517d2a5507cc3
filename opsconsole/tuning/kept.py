"""The reports of tunings, kept as JSON in the state folder: ten minutes of measuring are not had
twice because a file cannot be written or a terminal is gone."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from opsconsole import paths
from opsconsole.errors import OpsError
from opsconsole.tuning.records import Report


def as_json(report: Report) -> bytes:
    """The report as one JSON document."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2)


def folder() -> Path:
    """Where the reports are."""
    return paths.state_dir() / "tunings"


def keep(report: Report) -> Path:
    """Keep ``report``; its file.

    Raises:
        OpsError: the disk is full or the folder cannot be written.
    """
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(report.at))
    # Of one daemon there is one tuning at a time, and none of less than a second.
    path = folder() / f"{moment}-{report.profile}-{report.server}.json"
    try:
        paths.private_dir(path.parent)
        paths.write_atomic(path, as_json(report))
    except OSError as error:
        raise OpsError(
            f"the tuning cannot be kept: {error.strerror or error}", where=str(path)
        ) from None
    return path
