"""httpx without the two habits that cost a console most.

``import httpx`` also imports its own ``httpx`` command, and with it rich and click: more than half
of its 0.12 s. Without those installed it goes without the command, so it is told just that.

httpcore asks for sniffio on every request, and where that is not installed searches all of
``sys.path`` for it each time: a sixth of the time of a poll. One search is enough.
"""

from __future__ import annotations

import importlib.util
import sys

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import httpx
    finally:
        del sys.modules["httpx._main"]
else:
    import httpx

if "sniffio" not in sys.modules and importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

__all__ = ["httpx"]
