"""The connections to one server: idle ones, new ones, and the requests in flight over all."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from time import monotonic_ns
from typing import Any

from opsconsole import trust
from opsconsole.load.generator.connection import Connection, Sender, TracingConnection
from opsconsole.load.generator.failures import NoPortLeft, can_be_sent_to, our_failure
from opsconsole.load.generator.stale import Losses
from opsconsole.load.messages import Target
from opsconsole.load.work import Prepared

RESOLVE_EVERY = 10.0
"""Seconds after which a name is looked up again, when connections are made."""
AWAY = 50_000_000
"""Nanoseconds by which a timer may be late before nothing is concluded from it."""
READING = 20_000_000
"""Nanoseconds for reading what came meanwhile."""
FULL_WAIT = 0.001
"""Seconds between attempts at a Unix socket whose backlog is full: it gives no other notice."""

Address = tuple[socket.AddressFamily, Any]


class Flight:
    """All requests in flight, oldest first, and their timeouts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timeout: float) -> None:
        self.busy: dict[Connection, None] = {}
        self._loop = loop
        self._timeout = max(1, int(timeout * 1e9))
        self._wait(int(timeout * 1e9))

    def _wait(self, nanoseconds: int) -> None:
        self._due = monotonic_ns() + nanoseconds
        self._loop.call_later(nanoseconds / 1e9, self._sweep)

    def _sweep(self) -> None:
        now = monotonic_ns()
        if now - self._due > AWAY:
            # This process stood still: answers lie unread, and they were not late.
            self._wait(READING)
            return
        oldest = now
        while self.busy:
            connection = next(iter(self.busy))
            if now - connection.sent < self._timeout:
                oldest = connection.sent
                break
            connection.timed_out()
        # What is sent later cannot be due before: one timer does for all.
        self._wait(max(oldest + self._timeout - now, 1_000_000))

    def waits(self, now: int) -> float:
        """Seconds for which the oldest request in flight has waited; 0 without any."""
        oldest = next(iter(self.busy), None)
        return 0.0 if oldest is None else max(0, now - oldest.sent) / 1e9

    def cut(self, *, forgive: bool) -> None:
        """Give up what is in flight; see :class:`~opsconsole.load.messages.Stop`."""
        for connection in list(self.busy):
            connection.cut(forgive=forgive)


class Pool:
    """Connections to one target."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        flight: Flight,
        target: Target,
        number: int,
        *,
        upstream_header: str,
        bodiless: bool,
        idempotent: bool = False,
    ) -> None:
        self.loop = loop
        self.flight = flight
        self.number = number
        self.idle: dict[Connection, None] = {}
        self.losses = Losses(idempotent=idempotent)
        self._sender: Sender | None = None
        self.tls = _tls_context(target) if target.tls else None
        self.local = bool(target.unix)
        self.bodiless = bodiless
        self.upstream_header = upstream_header.lower().encode()
        self._kind = TracingConnection if upstream_header else Connection
        self._target = target
        self._host = target.host.strip("[]")
        self._addresses: list[Address] = []
        self._resolved = -RESOLVE_EVERY
        self._resolving: asyncio.Task[None] | None = None
        self._no_address: OSError = socket.gaierror("not looked up yet")

    def start(self, prepared: Prepared, intended: int, now: int, sender: Sender) -> None:
        """Send over the connection used last, else over a new one; never waits for one."""
        late = now - intended
        tally = sender.recorder.started(self.number, len(prepared.data), late)
        self._sender = sender
        self.losses.started += 1
        idle = self.idle
        while idle:
            connection = idle.popitem()[0]
            if now < connection.expires:
                connection.begin(prepared, intended, now, sender, tally)
                return
            connection.discard()
        connection = self._kind(self)
        connection.opening = sender.opening
        connection.begin(prepared, intended, now, sender, tally)
        connection.task = self.loop.create_task(self._connect(connection))

    def retry(self, connection: Connection) -> None:
        """Send again over a connection that is new, and so cannot be stale."""
        if connection.sender is not None:
            connection.sender.recorder.retried += 1
        other = self._kind(self)
        connection.hand_over(other)
        other.task = self.loop.create_task(self._connect(other))

    def unasked(self, data: bytes) -> None:
        """An answer to nothing has come. It counts in the phase that sent last."""
        if self._sender is not None:
            recorder = self._sender.recorder
            recorder.unasked(recorder.tallies[self.number], data)

    async def _connect(self, connection: Connection) -> None:
        try:
            sock = await self._socket()
            connection.sock = sock
            await self.loop.create_connection(
                lambda: connection,
                sock=sock,
                ssl=self.tls,
                server_hostname=self._host if self.tls else None,
            )
        except OSError as error:  # ssl.SSLError and socket.gaierror are such
            connection.not_made(error, our_failure(error))
        finally:
            connection.task = None

    async def _socket(self) -> socket.socket:
        """A connected socket."""
        if self._target.unix:
            return await self._unix_socket(self._target.unix)
        if not self._addresses:
            await self.resolve()
        elif self.loop.time() - self._resolved > RESOLVE_EVERY and self._resolving is None:
            self._resolving = self.loop.create_task(self.resolve())
        failure = self._no_address
        for address in tuple(self._addresses):
            family, where = address
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self.loop.sock_connect(sock, where)
            except OSError as error:
                sock.close()
                if error.errno == errno.EADDRNOTAVAIL and can_be_sent_to(family, where):
                    # Another address would fail for another reason, and hide this one.
                    raise NoPortLeft(error.errno, error.strerror) from None
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                if address is not self._addresses[0] and address in self._addresses:
                    # localhost is ::1 first, and most servers listen on 127.0.0.1 only.
                    self._addresses.remove(address)
                    self._addresses.insert(0, address)
                return sock
        raise failure

    async def _unix_socket(self, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            while True:
                try:
                    sock.connect(path)
                except BlockingIOError:
                    await asyncio.sleep(FULL_WAIT)
                else:
                    return sock
        except BaseException:
            sock.close()
            raise

    async def resolve(self) -> None:
        """Look the name up; a failure is raised to those who connect later."""
        now = self.loop.time()
        if self._target.unix or (not self._addresses and now - self._resolved < 1):
            return
        self._resolved = now
        try:
            found = await self.loop.getaddrinfo(
                self._host, self._target.port, type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:  # UnicodeError: a label too long for IDNA
            if not isinstance(error, OSError):
                error = socket.gaierror(str(error))
            self._no_address = error
        else:
            new: list[Address] = list(dict.fromkeys((entry[0], entry[4]) for entry in found))
            # The one that worked stays first.
            new.sort(key=lambda address: address != next(iter(self._addresses), None))
            self._addresses = new
        finally:
            self._resolving = None


def _tls_context(target: Target) -> ssl.SSLContext:
    context = trust.context(target.ca, verify=target.check_tls)
    with contextlib.suppress(NotImplementedError):
        context.set_alpn_protocols(["http/1.1"])
    return context
