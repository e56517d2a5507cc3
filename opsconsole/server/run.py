"""From settings to a process that serves, drains and ends.

The port answers first, then the model is loaded in a thread of its own; ``/health`` says so. Exit
codes: 0 stopped as asked; 1 a failure that another start may mend, or accepted requests that the
grace time cut off; 78 (EX_CONFIG) one that no restart mends: settings, a model that cannot be had,
a port that is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from opsconsole import __version__
from opsconsole.errors import OpsError
from opsconsole.server.app import create_app
from opsconsole.server.listening import BACKLOG, bind, stop_listening
from opsconsole.server.logs import JsonLog, trace_of
from opsconsole.server.protocol import HttpProtocol
from opsconsole.server.service import Service
from opsconsole.server.settings import ServerSettings

if TYPE_CHECKING:
    from opsconsole.engine import Engine

UNFIXABLE = 78
KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than the 60 of nginx, so that the proxy closes first
and never sends into a connection that we are closing."""
CUT_OFF_SECONDS = 1.0
CLOSE_SECONDS = 5.0
SETTINGS_VARIABLE = "OPSCONSOLE_RELOAD_SETTINGS"


def main() -> int:
    """Serve by the environment; returns the exit code."""
    log = JsonLog()
    try:
        given = os.environ.pop(SETTINGS_VARIABLE, None)
        settings = (
            ServerSettings.from_env(os.environ)
            if given is None
            else msgspec.json.decode(given, type=ServerSettings)
        )
    except OpsError as error:
        return _refuse(log, error)
    return serve(settings)


def serve(settings: ServerSettings, *, reload: bool = False) -> int:
    """Run one server until it is told to stop; returns the exit code.

    For the main thread of a process of its own: it takes over signals, logging and, while the
    model is still being loaded, the end of the process.

    Args:
        settings: What to serve and where.
        reload: Development: restart when the code or the model's folder changes.
    """
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    log = JsonLog(level=settings.log_level)
    log.adopt()
    if reload:
        from opsconsole.server.reload import serve_reloading

        return serve_reloading(settings, log)
    try:
        sockets = bind(settings.host, settings.port)
    except OpsError as error:
        return _refuse(log, error)
    if not settings.loopback:
        log.warning("anybody who reaches this address can use the server", host=settings.host)
    server = HttpServer(settings, sockets, log)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(server.run())
        # The loop's handlers go with it: a late signal must not spoil the exit code.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    if server.unfinished:
        # Python cannot end beside a thread that is inside torch.
        os._exit(code)
    return code


class HttpServer(uvicorn.Server):
    """uvicorn's server with our start, our signals and our way of draining."""

    def __init__(
        self, settings: ServerSettings, sockets: list[socket.socket], log: JsonLog
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._log = log
        self._service = Service(settings, log)
        self._exit_code = 0
        self._wake = asyncio.Event()
        self._drain_started = 0.0
        self._loader = threading.Thread(target=self._load, name="engine-load", daemon=True)
        self.unfinished = False
        """Something still runs in a thread that cannot be waited for."""
        super().__init__(
            uvicorn.Config(
                create_app(self._service),
                http=HttpProtocol,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE,
                backlog=BACKLOG,
            )
        )

    async def run(self) -> int:  # type: ignore[override]
        """Serve until told to stop; returns the exit code."""
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, number)
        self._loop.add_signal_handler(signal.SIGUSR1, self._reopen_log)
        await self.serve(self._sockets)
        await self._close_engine()
        self._log.info("stopped", pid=os.getpid(), exit_code=self._exit_code)
        return self._exit_code

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to :meth:`run`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then begin to load the model."""
        await super().startup(sockets)
        address = self._sockets[0].getsockname()
        self._log.info(
            "listening",
            name=self._settings.name,
            host=address[0],
            port=address[1],
            pid=os.getpid(),
            version=__version__,
        )
        self._loader.start()

    async def main_loop(self) -> None:
        """Wait for the end; once a second uvicorn renews its Date header."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let every accepted request have its answer, within the grace time."""
        await self._stop_listening()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        deadline = (self._drain_started or time.monotonic()) + self._settings.drain_timeout
        # A client that has just connected, or that was just answered, may be about to send.
        linger = min(deadline, time.monotonic() + self._settings.drain_seconds)
        await _until(lambda: not connections, linger if self._exit_code == 0 else 0)
        for connection in list(connections):
            connection.shutdown()
        if not await _until(lambda: not connections and not tasks, deadline):
            self._cut_off(list(tasks))
            await _until(lambda: not tasks, time.monotonic() + CUT_OFF_SECONDS)

    async def _stop_listening(self) -> None:
        """Close the listening sockets and serve whoever has connected to them by then."""
        held = [one.dup() for one in self._sockets]
        for server in self.servers:
            server.close()
        for one in self._sockets:
            one.close()
        for one in held:
            for connection in stop_listening(one):
                with contextlib.suppress(OSError):  # it has gone already
                    await self._loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _cut_off(self, tasks: list[asyncio.Task[None]]) -> None:
        """The grace time is over: what still runs is answered with 503."""
        if tasks:
            self._exit_code = self._exit_code or 1
            self._log.error(
                f"requests cut off: {len(tasks)}",
                drain_timeout=self._settings.drain_timeout,
            )
        for task in tasks:
            task.cancel()

    def _stop(self, number: int) -> None:
        name = signal.Signals(number).name
        left = self._service.admission.active + self._service.admission.waiting
        if self._service.draining:
            self._log.info(
                f"{name} again: already stopping",
                requests=left,
                drain_timeout=self._settings.drain_timeout,
            )
            return
        self._service.draining = True
        self._drain_started = time.monotonic()
        self._log.info(f"{name}: draining", requests=left)
        self._loop.call_later(self._settings.drain_seconds, self._end)

    def _end(self) -> None:
        self.should_exit = True
        self._wake.set()

    def _reopen_log(self) -> None:
        if self._settings.log_file is not None:
            self._log.reopen(self._settings.log_file)

    def _load(self) -> None:
        """In the thread ``engine-load``: load the model, then hand it to the event loop."""
        start = time.monotonic()
        engine_settings = self._settings.engine
        self._log.info(
            "loading the model", model=engine_settings.local_path or engine_settings.model
        )
        try:
            from opsconsole.engine import load

            engine = load(engine_settings)
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

    def _loaded(self, engine: Engine, seconds: float) -> None:
        info = engine.info
        self._service.ready(engine)
        self._log.info(
            "ready",
            backend=info.backend,
            device=info.device,
            model=info.name,
            revision=info.revision,
            family=info.family,
            dtype=info.dtype,
            path=info.path,
            load_seconds=round(seconds, 3),
        )

    def _failed(self, error: OpsError, code: int) -> None:
        self._exit_code = code
        self._service.draining = True
        self._log.error(str(error), what=error.what, where=error.where, hint=error.hint)
        self._end()

    async def _close_engine(self) -> None:
        threads = [self._loader]
        if self._service.engine is not None:
            close = self._service.engine.close
            threads = [threading.Thread(target=close, name="engine-close", daemon=True)]
            threads[0].start()
            # Whoever still tokenises a megabyte of a cancelled request is not waited for.
            deadline = time.monotonic() + CLOSE_SECONDS
            await _until(lambda: not threads[0].is_alive(), deadline)
            threads += [t for t in threading.enumerate() if t.name.startswith("engine-")]
        self.unfinished = any(thread.is_alive() for thread in threads)


async def _until(condition: Callable[[], bool], deadline: float) -> bool:
    """Wait for a condition up to a time (monotonic); returns whether it came true."""
    while not condition():
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(0.01)
    return True


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _refuse(log: JsonLog, error: OpsError) -> int:
    log.error(str(error), what=error.what, where=error.where, hint=error.hint)
    return UNFIXABLE
