"""httpcore without the search that it makes on every request.

It asks for sniffio each time, and where that is not installed Python searches all of ``sys.path``
for it: a sixth of the time of a poll. One search is enough.
"""

from __future__ import annotations

import importlib.util
import sys

import httpcore

if "sniffio" not in sys.modules and importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

__all__ = ["httpcore"]
