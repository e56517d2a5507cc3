"""From settings to a process that serves, drains and ends.

The port answers first, then the model is loaded in a thread of its own; ``/health`` says so. Exit
codes: 0 stopped as asked; 1 a failure that another start may mend, or accepted requests that the
grace time cut off; 78 (EX_CONFIG) one that no restart mends: settings, a model that cannot be had,
a port that is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn

from opsconsole import __version__
from opsconsole.errors import OpsError
from opsconsole.server import uploads
from opsconsole.server.app import create_app
from opsconsole.server.credentials import Credentials
from opsconsole.server.limits import Rate, RateLimiter
from opsconsole.server.listening import BACKLOG, allow_files, bind, stop_listening
from opsconsole.server.loader import UNFIXABLE, Loader
from opsconsole.server.logs import JsonLog
from opsconsole.server.protocol import LINGER, ConnectionLimits, HttpProtocol
from opsconsole.server.service import Service
from opsconsole.server.settings import ServerSettings

if TYPE_CHECKING:
    from opsconsole.engine import Engine

KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than the 60 of nginx, so that the proxy closes first
and never sends into a connection that we are closing."""
FILES_BESIDE = 256
"""File descriptors beside those of connections: weights, logs, pipes."""
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
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        credentials = Credentials(settings)
        sockets = bind(settings.host, settings.port)
    except OpsError as error:
        return _refuse(log, error)
    credentials.warn(log)
    allow_files(settings.max_connections + FILES_BESIDE)
    server = HttpServer(settings, credentials, sockets, log)
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
        self,
        settings: ServerSettings,
        credentials: Credentials,
        sockets: list[socket.socket],
        log: JsonLog,
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._sockets = sockets
        self._log = log
        self._service = Service(settings, log)
        self._state = {uploads.KEY: uploads.Uploads(settings.max_upload_bytes)}
        self._limits = ConnectionLimits(
            settings.header_timeout,
            settings.max_connections,
            self._service.metrics.refused,
            self._service.repeats.tells,
        )
        self._count_clients()
        self._has_terminal = os.isatty(0)
        self._exit_code = 0
        self._wake = asyncio.Event()
        self._drain_started = 0.0
        self._loader = Loader(settings.engine, log, self._loaded, self._failed)
        self.unfinished = False
        """Something still runs in a thread that cannot be waited for."""
        super().__init__(
            uvicorn.Config(
                create_app(self._service, credentials.keys, _limiter(settings)),
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
        self._loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        await self.serve(self._sockets)
        await self._close_engine()
        self._service.repeats.flush()
        self._log.info("stopped", pid=os.getpid(), exit_code=self._exit_code)
        return self._exit_code

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to :meth:`run`."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then begin to load the model."""
        self.servers = [
            await self._loop.create_server(
                self._protocol,
                sock=one,
                backlog=BACKLOG,
                **self._tls(self._settings.header_timeout),
            )
            for one in self._sockets
        ]
        self.started = True
        address = self._sockets[0].getsockname()
        self._log.info(
            "listening",
            name=self._settings.name,
            scheme=self._credentials.scheme,
            host=address[0],
            port=address[1],
            pid=os.getpid(),
            version=__version__,
        )
        self._loader.start(self._loop)

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
        # Nor is a connection one of ours before its TLS handshake is over.
        secure = self._credentials.certificates is not None
        await _until(lambda: not connections and not secure, linger if self._exit_code == 0 else 0)
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
        await asyncio.gather(
            *(
                self._loop.connect_accepted_socket(self._protocol, connection, **self._tls(LINGER))
                for one in held
                for connection in stop_listening(one)
            ),
            return_exceptions=True,  # one may have gone already, or never have shaken hands
        )

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(
            limits=self._limits,
            config=self.config,
            server_state=self.server_state,
            app_state=self._state,
        )

    def _tls(self, handshake_timeout: float) -> dict[str, Any]:
        """What makes the event loop speak TLS, if it is to."""
        certificates = self._credentials.certificates
        if certificates is None:
            return {}
        return {
            "ssl": certificates.context,
            "ssl_handshake_timeout": handshake_timeout,
            "ssl_shutdown_timeout": LINGER,
        }

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

    def _hang_up(self) -> None:
        """SIGHUP: read keys and certificates again; or the terminal that we ran in has gone."""
        if self._has_terminal and not os.isatty(0):
            self._stop(signal.SIGHUP)
        else:
            self._credentials.reload(self._log)
            self._count_clients()

    def _count_clients(self) -> None:
        keys = self._credentials.keys
        self._service.admission.clients = len(keys.names) if keys is not None else 0

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
            tuning=msgspec.structs.asdict(info.tuning),
            agreement=msgspec.structs.asdict(info.agreement) if info.agreement else None,
            path=info.path,
            load_seconds=round(seconds, 3),
        )

    def _failed(self, error: OpsError, code: int) -> None:
        self._exit_code = code
        self._service.draining = True
        self._log.error(str(error), what=error.what, where=error.where, hint=error.hint)
        self._end()

    async def _close_engine(self) -> None:
        threads = [self._loader.thread]
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


def _limiter(settings: ServerSettings) -> RateLimiter | None:
    return RateLimiter(Rate.parse(settings.rate_limit)) if settings.rate_limit else None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _refuse(log: JsonLog, error: OpsError) -> int:
    log.error(str(error), what=error.what, where=error.where, hint=error.hint)
    return UNFIXABLE
