"""The embedded engine as the console sees it: a child process, so a crash there is only an error.

Imports no torch: the console stays small and starts fast.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from opsconsole.engine.records import ModelInfo, Options, Scores
from opsconsole.engine.settings import EngineSettings
from opsconsole.engine.wellformed import well_formed
from opsconsole.engine.wire import (
    HEADER_BYTES,
    Answer,
    Cancel,
    Failed,
    Load,
    Loaded,
    Request,
    Score,
    Scored,
    body_length,
    pack,
    unpack_answer,
)
from opsconsole.errors import OpsError
from opsconsole.text import clean_line

_WHERE = "embedded engine"
_GRACE_SECONDS = 3.0
_TAIL_LINES = 20
_LINE_BYTES = 4096

State = Literal["stopped", "loading", "ready", "failed"]


class EngineClient:
    """Starts, asks and ends one embedded engine. For one event loop.

    Args:
        settings: Which model, on what.
        log: File that the child's standard error is appended to; without one its last lines are
            kept for error messages.

    Attributes:
        state: What the child is doing.
        info: The loaded model, while ready.
        error: Why it failed, while failed.
    """

    def __init__(self, settings: EngineSettings, *, log: Path | None = None) -> None:
        self.settings = settings
        self.state: State = "stopped"
        self.info: ModelInfo | None = None
        self.error: OpsError | None = None
        self._log = log
        self._child: _Child | None = None
        self._spawning = asyncio.Lock()

    async def start(self) -> ModelInfo:
        """Start the child and wait until its model is loaded; a ready engine is left as it is.

        Raises:
            OpsError: the model cannot be loaded, or the child ended.
        """
        if self.state == "ready" and self.info is not None:
            return self.info
        child = await self._spawn()
        try:
            info = await asyncio.shield(child.loaded)
        except OpsError as error:
            await self._drop(child, "failed", error)
            raise
        if self._child is child:
            self.state, self.info = "ready", info
        return info

    async def score(
        self, query: str, documents: Sequence[str], options: Options | None = None
    ) -> Scores:
        """Score documents; several requests may be under way.

        Raises:
            OpsError: the engine is not ready, the request failed, or the child ended.
        """
        child = self._child
        if child is None or self.state != "ready":
            raise self.error or OpsError(
                f"the engine is {self.state}, not ready", where=_WHERE, hint="start it first"
            )
        return await child.score(query, documents, options or Options())

    async def close(self) -> None:
        """End the child, by force after a few seconds. May be called in any state."""
        async with self._spawning:  # a child that is being started is ended too
            child = self._child
        if child is not None:
            await self._drop(child, "stopped", None)
        self.state, self.info, self.error = "stopped", None, None

    async def _spawn(self) -> _Child:
        async with self._spawning:  # two callers of start() share one child
            if self._child is None:
                self.state, self.info, self.error = "loading", None, None
                try:
                    self._child = await _Child.spawn(self.settings, self._log, self._ended)
                except OSError as error:
                    self.state = "failed"
                    self.error = OpsError(f"the process does not start: {error}", where=_WHERE)
                    raise self.error from error
            return self._child

    def _ended(self, child: _Child, error: OpsError) -> None:
        if self._child is child:
            self._child = None
            self.state, self.info, self.error = "failed", None, error

    async def _drop(self, child: _Child, state: State, error: OpsError | None) -> None:
        if self._child is child:
            self._child = None
            self.state, self.info, self.error = state, None, error
        await child.end()


class _Child:
    """One process and what is under way in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        loop = asyncio.get_running_loop()
        self.loaded: asyncio.Future[ModelInfo] = loop.create_future()
        self._process = process
        self._waiting: dict[int, asyncio.Future[Scores]] = {}
        self._last = 0
        self._dead: OpsError | None = None
        self._is_ending = False
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def spawn(cls, settings: EngineSettings, log: Path | None, ended: _Ended) -> _Child:
        """Start the process and ask it to load.

        Raises:
            OSError: it does not start, or the log cannot be written.
        """
        with contextlib.ExitStack() as stack:
            errors = stack.enter_context(log.open("ab")) if log else asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the folder the console happens to stand in must not be imported from
                "-m",
                "opsconsole.engine.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        child = cls(process)
        child._tasks.append(asyncio.create_task(child._read(ended)))
        if process.stderr is not None:
            child._tasks.append(asyncio.create_task(child._keep_tail(process.stderr)))
        await child._send(Load(settings))
        return child

    async def score(self, query: str, documents: Sequence[str], options: Options) -> Scores:
        if self._dead is not None:
            raise self._dead
        self._last += 1
        number = self._last
        future: asyncio.Future[Scores] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._send(
                Score(
                    number, well_formed(query), [well_formed(text) for text in documents], options
                )
            )
            return await future
        except asyncio.CancelledError:
            if self._dead is None:
                self._write(Cancel(number))
            raise
        finally:
            self._waiting.pop(number, None)

    async def end(self) -> None:
        """Close the pipe, which ends the child; kill its group if it does not end by itself."""
        process = self._process
        self._is_ending = True
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            try:
                await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
            except TimeoutError:
                self._kill()
                await process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _send(self, request: Request) -> None:
        self._write(request)
        if self._process.stdin is not None:
            # A dead child is the reader's business: it knows how it ended.
            with contextlib.suppress(ConnectionError):
                await self._process.stdin.drain()

    def _write(self, request: Request) -> None:
        # One call for the whole message: requests under way at once do not mix.
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(pack(request))

    async def _read(self, ended: _Ended) -> None:
        stream = self._process.stdout
        assert stream is not None
        broken: OpsError | None = None
        try:
            while True:
                length = body_length(await stream.readexactly(HEADER_BYTES))
                self._take(unpack_answer(await stream.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (OpsError, msgspec.MsgspecError) as error:
            broken = OpsError(f"its answers cannot be read: {error}", where=_WHERE)
            self._kill()
        code = await self._process.wait()
        if len(self._tasks) > 1:
            await asyncio.wait(self._tasks[1:], timeout=1)  # the last words of standard error
        self._dead = broken or self._obituary(code)
        if not self.loaded.done():
            self.loaded.set_exception(self._dead)
            self.loaded.exception()  # seen: nobody need be waiting for it
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(self._dead)
        ended(self, self._dead)

    def _take(self, answer: Answer) -> None:
        match answer:
            case Loaded(info=info):
                if not self.loaded.done():
                    self.loaded.set_result(info)
            case Scored(number=number, scores=scores):
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_result(scores)
            case Failed(number=None):
                if not self.loaded.done():
                    self.loaded.set_exception(answer.error())
            case Failed(number=int() as number):
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    future.set_exception(answer.error())

    async def _keep_tail(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(_LINE_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-_LINE_BYTES:]
            self._tail.extend(line.decode("utf-8", "replace") for line in lines if line.strip())
        if rest.strip():
            self._tail.append(rest.decode("utf-8", "replace"))

    def _obituary(self, code: int) -> OpsError:
        if self._is_ending:
            return OpsError("the engine was closed", where=_WHERE)
        if code < 0:
            try:
                how = f"signal {-code} ({signal.Signals(-code).name})"
            except ValueError:
                how = f"signal {-code}"
        else:
            how = f"exit {code}"
        last = clean_line(self._tail[-1], 200) if self._tail else ""
        what = f"the process ended: {how}" + (f"; its last words: {last}" if last else "")
        hint = "start it again"
        if code == -signal.SIGKILL:
            hint += "; if nobody killed it, the machine was out of memory"
        return OpsError(what, where=_WHERE, hint=hint)

    def _kill(self) -> None:
        # Not reaped yet, so the pid, which is also the group's, is still its own.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


class _Ended(Protocol):
    """Type of the call that tells the client of a child's end."""

    def __call__(self, child: _Child, error: OpsError, /) -> None: ...
