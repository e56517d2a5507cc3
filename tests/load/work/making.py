"""Requests for the tests."""

from __future__ import annotations

import json
from typing import Any

from opsconsole.load.messages import Setup, Target
from opsconsole.load.plan import Work
from opsconsole.load.work import Requests

TARGET = Target(name="a", host="127.0.0.1", port=8000)


def made(
    *targets: Target, start: int = 0, share: int = 0, shares: int = 1, **work: Any
) -> Requests:
    """Requests to ``targets``, one by default."""
    setup = Setup(
        targets=targets or (TARGET,),
        work=Work(**work),
        timeout=10,
        max_in_flight=10,
        share=share,
        shares=shares,
    )
    return Requests(setup, start=start)


def parted(data: bytes) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers and body."""
    head, _, body = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    return line, dict(field.split(": ", 1) for field in fields), body


def body_of(data: bytes) -> Any:
    """The JSON of a request whose length is the one it says."""
    _, headers, body = parted(data)
    assert int(headers["Content-Length"]) == len(body)
    return json.loads(body)


def pairs_of(data: bytes) -> list[tuple[str, str]]:
    """The pairs of a body in the own dialect."""
    body = body_of(data)
    return [(body["query"], document) for document in body["documents"]]
