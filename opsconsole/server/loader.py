"""Loading the model beside an event loop that already answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from opsconsole.errors import OpsError
from opsconsole.server.logs import JsonLog, trace_of

if TYPE_CHECKING:
    from opsconsole.engine import Engine
    from opsconsole.engine.settings import EngineSettings

UNFIXABLE = 78
"""Exit code (EX_CONFIG) of what another start would not mend."""


class Loader:
    """Loads one model in a thread of its own, and tells the event loop how it went.

    Args:
        settings: What to load.
        log: Where it says what it does.
        loaded: Called in the event loop with the engine and the seconds that it took.
        failed: Called in the event loop with the error and the exit code that fits it.
    """

    def __init__(
        self,
        settings: EngineSettings,
        log: JsonLog,
        loaded: Callable[[Engine, float], None],
        failed: Callable[[OpsError, int], None],
    ) -> None:
        self._settings = settings
        self._log = log
        self._loaded = loaded
        self._failed = failed
        self.thread = threading.Thread(target=self._load, name="engine-load", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; the callbacks come through ``loop``."""
        self._loop = loop
        self.thread.start()

    def _load(self) -> None:
        start = time.monotonic()
        settings = self._settings
        self._log.info("loading the model", model=settings.local_path or settings.model)
        try:
            from opsconsole.engine import load

            engine = load(settings)
        except OpsError as error:
            self._tell(self._failed, error, UNFIXABLE)
            return
        except ImportError as error:
            missing = OpsError(
                f"the inference engine is not installed ({error.name} is missing)",
                hint="pip install 'opsconsole[engine]'",
            )
            self._tell(self._failed, missing, UNFIXABLE)
            return
        except Exception as error:
            self._log.error("loading the model failed", exception=trace_of(error))
            self._tell(self._failed, OpsError(f"{type(error).__name__}: {error}"), 1)
            return
        # Hundreds of thousands of objects of torch that never die: a full collection that
        # walks them would stop every request for a tenth of a second.
        gc.collect()
        gc.freeze()
        self._tell(self._loaded, engine, time.monotonic() - start)
        # What the first scrape would else wait for.
        for name in ("prometheus_client.openmetrics.exposition", "psutil"):
            importlib.import_module(name)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(callback, *arguments)
