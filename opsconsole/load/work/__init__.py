"""What a load test sends: bodies for every dialect, made or replayed, and checks of the answers."""

from opsconsole.load.work.checking import Check
from opsconsole.load.work.prepared import Prepared
from opsconsole.load.work.requests import Requests

__all__ = [
    "Check",
    "Prepared",
    "Requests",
]
