"""The generator processes of one run: started, spoken to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from opsconsole.errors import OpsError, UsageError
from opsconsole.load.messages import (
    HEADER_BYTES,
    Broken,
    FromGenerator,
    Setup,
    ToGenerator,
    from_generator,
    pack,
)
from opsconsole.text import clean_line

_WHERE = "load generator"
_MOST_MESSAGE = 64 * 2**20
_GRACE = 3.0


class Generators:
    """Processes of their own: what a screen draws must not delay what is measured.

    Args:
        setups: What each is told first.

    Attributes:
        inbox: What they say, with the number of the process that says it; an OpsError when one
            of them ended.
    """

    def __init__(self, setups: Sequence[Setup]) -> None:
        self._setups = setups
        self._processes: list[asyncio.subprocess.Process] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._last_words: list[deque[str]] = []
        self.inbox: asyncio.Queue[tuple[int, FromGenerator | OpsError]] = asyncio.Queue()

    async def __aenter__(self) -> Generators:
        try:
            for number, setup in enumerate(self._setups):
                process = await self._start()
                self._last_words.append(deque(maxlen=20))
                self._tasks.append(asyncio.create_task(self._listen(number, process)))
                self._tasks.append(asyncio.create_task(self._overhear(number, process)))
                self.tell(setup, number)
        except OSError as error:
            await self._end_surely(kill=True)
            raise OpsError(f"the process does not start: {error}", where=_WHERE) from None
        except BaseException:
            await self._end_surely(kill=True)
            raise
        return self

    async def _start(self) -> asyncio.subprocess.Process:
        starting = asyncio.create_task(asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "opsconsole.load.generator",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C is the console's to answer: what is in flight is to be counted.
            start_new_session=True,
        ))  # fmt: skip
        try:
            await _finished(starting)
        finally:
            if starting.exception() is None:
                self._processes.append(starting.result())
        return starting.result()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end_surely(kill=error is not None)

    def tell(self, message: ToGenerator, number: int | None = None) -> None:
        """Send ``message`` to one process, or to all."""
        data = pack(message)
        for i, process in enumerate(self._processes):
            if number in (None, i) and process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.write(data)

    async def _listen(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while True:
                header = await process.stdout.readexactly(HEADER_BYTES)
                length = int.from_bytes(header, "big")
                if length > _MOST_MESSAGE:
                    raise OpsError("sends a message that is too large", where=_WHERE)
                message = from_generator.decode(await process.stdout.readexactly(length))
                if isinstance(message, Broken):
                    text = clean_line(message.text, 500)
                    if message.usage:
                        raise UsageError(text)
                    raise OpsError(text, where=_WHERE)
                self.inbox.put_nowait((number, message))
        except asyncio.IncompleteReadError:
            code = await process.wait()
            words = clean_line(" / ".join(list(self._last_words[number])[-3:]), 500)
            how = f"was killed (signal {-code})" if code < 0 else f"ended with code {code}"
            why = how + (f": {words}" if words else "")
            self.inbox.put_nowait((number, OpsError(why, where=_WHERE)))
        except OpsError as error:
            self.inbox.put_nowait((number, error))
        except Exception as error:  # a message that is none: the run cannot go on
            self.inbox.put_nowait((number, OpsError(f"says nonsense: {error}", where=_WHERE)))

    async def _overhear(self, number: int, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(65536):
            self._last_words[number].extend(chunk.decode("utf-8", "replace").splitlines())

    async def _end_surely(self, *, kill: bool) -> None:
        """End them, also when this task is cancelled meanwhile: nobody else would."""
        await _finished(asyncio.create_task(self._end(kill=kill)), self._kill)

    def _kill(self) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def _end(self, *, kill: bool) -> None:
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()  # the end of its input is the end of a generator
        if kill:  # it may be busy building requests, and has nothing to keep
            self._kill()
        for process in self._processes:
            try:
                await asyncio.wait_for(process.wait(), _GRACE)
            except TimeoutError:
                self._kill()
                await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _finished(task: asyncio.Task[Any], hurry: Callable[[], None] | None = None) -> None:
    """Wait for ``task``, however often this one is cancelled; then let that be raised.

    Args:
        hurry: Called when it is cancelled.
    """
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
            if hurry is not None:
                hurry()
    if cancelled is not None:
        raise cancelled
