"""``python -m tests.load.far OPTIONS`` (JSON, see :class:`Options`).

Says on a line where it listens, answers each line ``counts`` or ``truth PATH``, and ends with its
input.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from dataclasses import asdict

from tests.load.far import answers, faults, queue
from tests.load.far.exact import Exact
from tests.load.far.options import Counts, Options, listener_of
from tests.load.far.talk import BEHAVIOURS, serve_oddly

MODULES = (answers, faults, queue)
"""To import them is to have their behaviours known."""


def raise_limit() -> None:
    """As many files as may be: 10,000 connections want them."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(options: Options) -> None:
    """The process's whole life."""
    assert options.kind in ("exact", *BEHAVIOURS), options.kind
    raise_limit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    counts = Counts()
    exact = Exact(options, counts) if options.kind == "exact" else None
    listener = exact.listener if exact else listener_of(options)
    port = 0 if options.unix else listener.getsockname()[1]
    print(json.dumps({"port": port, "origin": exact.origin if exact else 0}), flush=True)

    def listen() -> None:
        for line in sys.stdin:
            asked, _, path = line.strip().partition(" ")
            if asked == "truth" and exact:
                with open(path, "wb") as file:
                    taken = len(exact.written)
                    exact.read[:taken].tofile(file)
                    exact.written[:taken].tofile(file)
            print(json.dumps(asdict(counts)), flush=True)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    if exact:
        exact.serve()
    else:
        asyncio.run(serve_oddly(options, listener, counts))


if __name__ == "__main__":
    serve(Options(**json.loads(sys.argv[1])))
