"""``python -m opsconsole.load.generator [asyncio]``: started by the console, not by hand."""

from __future__ import annotations

import sys

from opsconsole.load.generator.process import main

if __name__ == "__main__":
    main(sys.argv[1:])
