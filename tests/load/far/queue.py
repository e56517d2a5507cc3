"""A server that does one thing after the other."""

from __future__ import annotations

import asyncio
import time

from tests.load.far.talk import Link, Request, behaviour, http, json_of

_free = 0.0
"""When all that was asked for so far is done, time.monotonic."""


@behaviour
async def queue(link: Link, request: Request) -> bool:
    """Each request takes ``delay`` seconds, after all that came before it, whether or not the
    client still waits: its capacity is 1 / ``delay``, on a slow machine too."""
    global _free
    _free = max(_free, time.monotonic()) + link.options.delay
    await asyncio.sleep(max(0.0, _free - time.monotonic()))
    await link.send(http(json_of(request)))
    return True
