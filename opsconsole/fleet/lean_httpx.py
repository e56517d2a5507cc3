"""httpx without the command-line program that it brings along.

``import httpx`` also imports its own ``httpx`` command, and with it rich and click: more than half
of its 0.12 s. Without those installed it goes without the command, so it is told just that.
"""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import httpx
    finally:
        del sys.modules["httpx._main"]
else:
    import httpx

__all__ = ["httpx"]
