"""The generator process: messages in, frames out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
import traceback
from time import monotonic_ns
from typing import Any, NoReturn

import msgspec

from opsconsole.errors import OpsError, UsageError
from opsconsole.load.generator.course import Course, Sending
from opsconsole.load.generator.failures import secrets_of
from opsconsole.load.generator.heartbeat import Heartbeat
from opsconsole.load.generator.pool import Flight, Pool
from opsconsole.load.generator.stale import IDEMPOTENT
from opsconsole.load.messages import (
    FRAME,
    HEADER_BYTES,
    Alive,
    Begin,
    Broken,
    Control,
    FromGenerator,
    PhasesEnded,
    Ready,
    Setup,
    Stop,
    pack,
    to_generator,
)
from opsconsole.load.work import Requests
from opsconsole.text import clean_line

MESSAGE_LIMIT = 256 << 20


class Generator(asyncio.Protocol):
    """Speaks with the console over two pipes."""

    def __init__(self, loop: asyncio.AbstractEventLoop, out: int) -> None:
        self._loop = loop
        self._out = out
        self._writer: asyncio.WriteTransport | None = None
        self._data = bytearray()
        self._sending: Sending | None = None
        self._course: Course | None = None
        self._heartbeat = Heartbeat(loop)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect to the pipes."""
        writer, _ = await self._loop.connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(self._out, "wb", buffering=0, closefd=False)
        )
        self._writer = writer
        await self._loop.connect_read_pipe(lambda: self, sys.stdin)

    # From the console.

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= HEADER_BYTES:
            size = int.from_bytes(self._data[:HEADER_BYTES], "big")
            if size > MESSAGE_LIMIT:
                self.broken("a message of the console is too long")
            if len(self._data) < HEADER_BYTES + size:
                return
            body = bytes(self._data[HEADER_BYTES : HEADER_BYTES + size])
            del self._data[: HEADER_BYTES + size]
            try:
                self._take(to_generator.decode(body))
            except msgspec.DecodeError as error:
                self.broken(f"a message of the console is none: {error}")
            except OpsError as error:
                self.broken(str(error), usage=isinstance(error, UsageError))

    def connection_lost(self, exc: Exception | None) -> None:
        os._exit(0)  # the console is gone: nobody to tell, and nothing to keep

    def _take(self, message: Setup | Begin | Control | Stop) -> None:
        match message:
            case Setup():
                self._setup(message)
            case Begin():
                self._begin(message)
            case Control():
                if self._course is not None:
                    self._course.control(message)
            case Stop():
                if self._course is not None:
                    self._course.stop(message, monotonic_ns())

    def _setup(self, setup: Setup) -> None:
        if self._sending is not None:
            self.broken("set up twice")
        if not setup.targets:
            self.broken("no server to send to")
        requests = Requests(setup)
        method = setup.work.method.upper() if setup.work.dialect == "http" else "POST"
        flight = Flight(self._loop, setup.timeout)
        pools = [
            Pool(
                self._loop,
                flight,
                target,
                number,
                upstream_header=setup.upstream_header,
                bodiless=method == "HEAD",
                idempotent=method in IDEMPOTENT,
            )
            for number, target in enumerate(setup.targets)
        ]
        self._sending = Sending(
            loop=self._loop,
            requests=requests,
            flight=flight,
            pools=pools,
            names=tuple(target.name for target in setup.targets),
            share=setup.share,
            shares=setup.shares,
            max_in_flight=max(1, -(-setup.max_in_flight // setup.shares)),
            seed=setup.work.seed,
            secrets=secrets_of(setup),
        )
        task = self._loop.create_task(self._ready(requests, pools))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ready(self, requests: Requests, pools: list[Pool]) -> None:
        for pool in pools:
            await pool.resolve()
        # The pool of requests lives for ever: no collection need look at it. What is left are
        # connections that come and go, and those are found by the young generations.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        name = type(self._loop).__module__.partition(".")[0]
        self._send(Ready(loop=name, requests=requests.count, size=requests.size))
        self._loop.call_later(FRAME, self._tick)

    def _begin(self, begin: Begin) -> None:
        if self._sending is None:
            self.broken("to begin before it is set up")
        if self._course is not None:
            self.broken("to begin while phases run")
        for phase in begin.phases:
            if phase.is_open and phase.rate is None and phase.arrivals != "recorded":
                self.broken(f"phase {phase.name}: neither a concurrency nor a rate")
            if phase.duration is None and phase.requests is None and phase.arrivals != "recorded":
                self.broken(f"phase {phase.name}: neither a duration nor a number of requests")
        self._heartbeat.start()
        self._course = Course(self._sending, begin, self._ended, self._border)

    def _border(self) -> None:
        """What there was of this process until now is the last phase's."""
        before = self._heartbeat.border()
        if self._course is not None and self._course.recorders:
            self._course.recorders[-1].machine = before

    # To the console.

    def _tick(self) -> None:
        if self._course is not None and self._course.between:
            self._loop.call_soon(self._tick)
            return
        self._loop.call_later(FRAME, self._tick)
        # A console that does not read gets longer frames later: nothing piles up here.
        if self._course is None or self._writer is None or self._writer.get_write_buffer_size():
            return
        if not self._frames(self._course):
            self._send(Alive())

    def _frames(self, course: Course) -> bool:
        """Send what there is; whether there was anything."""
        now = monotonic_ns()
        sent = False
        ends = course.ends
        course.settle_strays()
        for place, recorder in enumerate(course.recorders):
            # What comes in after a phase's end belongs to it, but not to its time.
            frame = recorder.cut(ends[place] if place < len(ends) else now)
            if frame is not None:
                if recorder is course.recorders[-1] and not course.ended:
                    frame.client.then(self._heartbeat.told(), keep_in_flight=True)
                    frame.client.waits = course.sending.flight.waits(now)
                self._send(frame)
                sent = True
        return sent

    def _ended(self) -> None:
        course, self._course = self._course, None
        assert course is not None
        self._heartbeat.stop()
        self._frames(course)
        self._send(PhasesEnded(spans=tuple(course.spans)))

    def _send(self, message: FromGenerator) -> None:
        assert self._writer is not None
        self._writer.write(pack(message))

    def broken(self, text: str, *, usage: bool = False) -> NoReturn:
        """Tell why it cannot go on, and end."""
        data = pack(Broken(text=clean_line(text, 500), usage=usage))
        os.set_blocking(self._out, True)
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._out, data) :]
        os._exit(1)

    def unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error that nobody handles. Those of the system are told to the connections too."""
        error = context.get("exception")
        if isinstance(error, OSError):
            return
        if isinstance(error, OpsError):
            self.broken(str(error), usage=isinstance(error, UsageError))
        if error is not None:
            traceback.print_exception(error)
        self.broken(f"unexpected: {error!r}" if error else f"unexpected: {context.get('message')}")


def main(argv: list[str]) -> None:
    """Run until the input ends. ``argv``: ``asyncio`` to do without uvloop."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the terminal sends it to all; the console decides
    # Whatever prints must not do so between messages.
    out = os.dup(1)
    os.dup2(2, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # macOS has a lower bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = _make_loop(plain="asyncio" in argv)
    asyncio.set_event_loop(loop)
    generator = Generator(loop, out)
    loop.set_exception_handler(generator.unexpected)
    loop.run_until_complete(generator.start())
    loop.run_forever()


def _make_loop(*, plain: bool) -> asyncio.AbstractEventLoop:
    if not plain:
        try:
            import uvloop
        except ImportError:
            pass
        else:
            loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
            return loop
    return asyncio.new_event_loop()
